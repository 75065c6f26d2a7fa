#include "client/agent/cli.h"

static const struct hf_cli_text text = {
    .name = "update",
    .arguments = "[--state DIR]",
    .about =
        "Asks the repository for the newest bundle of this device's set and profile, verifies it\n"
        "and makes it the trust store, unless one of the device's endpoints would be lost with\n"
        "it by mistake: through a root that the publisher neither revokes nor distrusts.\n"
        "What is refused changes nothing. Then renews the export and runs the on-swap command,\n"
        "where they are configured.\n\n"
        "The last line of standard output says what has become of it:\n"
        "  updated SET/PROFILE 1 -> 2      a new bundle is active (none -> 1 the first time)\n"
        "  current SET/PROFILE 2           the newest bundle was active already\n"
        "  rolled back SET/PROFILE 2 -> 1  the bundle on trial was rejected: an endpoint was lost\n"
        "  postponed: SENTENCE             a newer one waits, since an endpoint did not answer or\n"
        "                                  would be lost with a root that the publisher revokes;\n"
        "                                  after eight checks or a day it is installed anyway\n"
        "Endpoints that this device does not validate any more since this update are named on\n"
        "standard error, with the root. On failure there is one sentence there, and no last line.",
    .examples = "  holdfast update\n"
                "  holdfast --state ./device update --verbose\n",
    .more_exit_codes = ", 3 postponed",
};

static enum hf_err update(const char *state_dir, const struct hf_cli_common *common,
                          struct hf_why *why)
{
    struct hf_posix *posix = NULL;
    struct hf_update_result result = {0};

    HF_TRY(hf_posix_open(state_dir, hf_cli_log(common), &posix, why));
    enum hf_err err = hf_posix_update(posix, &result, why);
    if (err == HF_OK) {
        hf_cli_print_result(stdout, hf_posix_config(posix), &result);
        putchar('\n');
        if (result.lost[0] != '\0')
            fprintf(stderr, "holdfast: warning: %s\n", result.lost);
    }
    hf_posix_close(posix);
    return err;
}

int hf_cmd_update(const char *state_dir, int argc, const char **argv)
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
        exit_code = hf_cli_finish(update(hf_cli_state(&common, state_dir), &common, &why), &why);
    hf_cli_common_free(&common);
    return exit_code;
}
