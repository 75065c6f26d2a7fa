#include "client/agent/cli.h"

#include <stdlib.h>

static const struct hf_cli_text text = {
    .name = "reject",
    .arguments = "--reason TEXT [--state DIR]",
    .about =
        "The application rejects the bundle on trial, because it does not work. The device rolls\n"
        "back to the bundle before and never installs that version again; roots that the\n"
        "publisher dropped do not come back. Then the export is renewed and the on-swap command\n"
        "runs, if they are configured. TEXT is written to the journal. Refused if no bundle is on\n"
        "trial. Uses no network.",
    .examples = "  holdfast reject --reason 'the broker refuses us since the swap'\n",
};

static enum hf_err reject(const char *state_dir, const struct hf_cli_common *common,
                          const char *reason, struct hf_why *why)
{
    struct hf_posix *posix = NULL;

    HF_TRY(hf_posix_open(state_dir, hf_cli_log(common), &posix, why));
    enum hf_err err = hf_posix_reject(posix, reason, why);
    hf_posix_close(posix);
    if (err == HF_OK)
        puts("rolled back");
    return err;
}

int hf_cmd_reject(const char *state_dir, int argc, const char **argv)
{
    struct hf_cli_common common = {0};
    struct hf_why why = {0};
    char *reason = NULL;
    int exit_code = HF_EXIT_USAGE;
    const struct poptOption options[] = {
        {"reason", 'r', POPT_ARG_STRING, &reason, 0, "what does not work, for the journal", "TEXT"},
        HF_CLI_STATE(&common),
        HF_CLI_VERBOSE(&common),
        HF_CLI_QUIET,
        HF_CLI_HELP,
        HF_CLI_END,
    };

    if (hf_cli_parse(&text, argc, argv, options, &exit_code)) {
        if (reason == NULL || reason[0] == '\0')
            exit_code = hf_cli_usage(&text, "--reason TEXT is missing");
        else
            exit_code = hf_cli_finish(reject(hf_cli_state(&common, state_dir), &common, reason,
                                             &why),
                                      &why);
    }
    free(reason);
    hf_cli_common_free(&common);
    return exit_code;
}
