#include "client/agent/cli.h"

static const struct hf_cli_text text = {
    .name = "confirm",
    .arguments = "[--state DIR]",
    .about =
        "The application's word that the bundle on trial works: it reaches with it what it must.\n"
        "Ends the trial. Needed where init was told --await-confirm; otherwise the endpoints\n"
        "confirm by themselves, and without any of them the next successful check. Without a\n"
        "bundle on trial it changes nothing. Asks nobody.",
    .examples = "  holdfast confirm\n",
};

static enum hf_err confirm(const char *state_dir, const struct hf_cli_common *common,
                           struct hf_why *why)
{
    struct hf_posix *posix = NULL;

    HF_TRY(hf_posix_open(state_dir, hf_cli_log(common), &posix, why));
    enum hf_err err = hf_posix_confirm(posix, why);
    hf_posix_close(posix);
    if (err == HF_OK)
        puts("confirmed");
    return err;
}

int hf_cmd_confirm(const char *state_dir, int argc, const char **argv)
{
    struct hf_cli_common common = {0};
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    const struct poptOption options[] = {
        HF_CLI_STATE(&common),
        HF_CLI_VERBOSE(&common),
        HF_CLI_HELP,
        HF_CLI_END,
    };

    if (hf_cli_parse(&text, argc, argv, options, &exit_code))
        exit_code = hf_cli_finish(confirm(hf_cli_state(&common, state_dir), &common, &why), &why);
    hf_cli_common_free(&common);
    return exit_code;
}
