#include "client/agent/cli.h"

#include <inttypes.h>

static const struct hf_cli_text text = {
    .name = "confirm",
    .arguments = "[--state DIR]",
    .about =
        "The application confirms that the bundle on trial works. Ends the trial. Needed if init\n"
        "had --await-confirm. Otherwise the endpoints confirm the bundle, or without endpoints "
        "the\n"
        "next successful check. Without a bundle on trial nothing changes. Uses no network.",
    .examples = "  holdfast confirm\n",
};

static enum hf_err confirm_open(struct hf_posix *posix, struct hf_why *why)
{
    struct hf_status status = {0};
    struct hf_why unread = {0};

    /* Whatever else the status has to tell: the application's word counts. */
    bool is_known = hf_client_status(hf_posix_client(posix), &status, &unread) == HF_OK;
    const struct hf_trial_status trial = status.trial;
    hf_status_free(&status);
    HF_TRY(hf_posix_confirm(posix, why));
    if (trial.is_on)
        printf("confirmed version %" PRId64 "\n", trial.version);
    else
        puts(is_known ? "no bundle is on trial; nothing has changed" : "confirmed");
    return HF_OK;
}

static enum hf_err confirm(const char *state_dir, const struct hf_cli_common *common,
                           struct hf_why *why)
{
    struct hf_posix *posix = NULL;

    HF_TRY(hf_posix_open(state_dir, hf_cli_log(common), &posix, why));
    enum hf_err err = confirm_open(posix, why);
    hf_posix_close(posix);
    return err;
}

int hf_cmd_confirm(const char *state_dir, int argc, const char **argv)
{
    struct hf_cli_common common = {0};
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    const struct poptOption options[] = {
        HF_CLI_STATE(&common), HF_CLI_VERBOSE(&common), HF_CLI_QUIET, HF_CLI_HELP, HF_CLI_END,
    };

    if (hf_cli_parse(&text, argc, argv, options, &exit_code))
        exit_code = hf_cli_finish(confirm(hf_cli_state(&common, state_dir), &common, &why), &why);
    hf_cli_common_free(&common);
    return exit_code;
}
