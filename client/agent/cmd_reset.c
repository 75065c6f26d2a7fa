#include "client/agent/cli.h"
#include "common/os/file_util.h"
#include "common/base/limits.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct hf_cli_text text = {
    .name = "reset",
    .arguments = "[--bundle FACTORY.pem] [--yes] [--state DIR]",
    .about =
        "Factory reset. This device forgets what it can fetch or learn again, and keeps what\n"
        "protects it: its configuration, the newest root metadata, the time it believes at least,\n"
        "the lowest bundle version it still takes, and which bundles were rejected and which "
        "roots\n"
        "dropped. With --bundle it goes back to the roots it left the factory with (version 0),\n"
        "else the active ones stay. Uses no network. Asks for confirmation unless --yes is "
        "given.\n\n"
        "To wipe the state folder instead throws that protection away, and the first root "
        "metadata\n"
        "may have grown old: keep what holdfast export --root writes, and begin anew with it.",
    .examples =
        "  holdfast reset\n"
        "  holdfast reset --bundle /usr/share/holdfast/factory.pem --yes && holdfast update\n",
};

static enum hf_err read_bundle(const char *file, struct hf_buf *out, struct hf_why *why)
{
    if (file == NULL)
        return HF_OK;
    if (hf_file_read(file, HF_BUNDLE_BYTES_MAX, out, why) != HF_OK)
        return hf_fail_context(why, "--bundle");
    return out->len > 0 ? HF_OK : hf_fail(why, HF_E_FORMAT, "--bundle: %s is empty", file);
}

static enum hf_err reset_with(const char *state_dir, const struct hf_cli_common *common,
                              struct hf_bytes bundle, struct hf_why *why)
{
    struct hf_posix *posix = NULL;

    HF_TRY(hf_posix_open(state_dir, hf_cli_log(common), &posix, why));
    enum hf_err err = hf_posix_reset(posix, bundle, why);
    hf_posix_close(posix);
    if (err == HF_OK)
        printf("reset %s; holdfast update fetches what it forgot\n", state_dir);
    return err;
}

static enum hf_err reset(const char *state_dir, const struct hf_cli_common *common,
                         const char *bundle_file, struct hf_why *why)
{
    struct hf_buf bundle = {0};

    enum hf_err err = read_bundle(bundle_file, &bundle, why);
    if (err == HF_OK)
        err = reset_with(state_dir, common, hf_buf_bytes(&bundle), why);
    hf_buf_free(&bundle);
    return err;
}

/* What is not clearly a yes is a no. */
static bool is_confirmed(const char *state_dir)
{
    char answer[8] = "";

    fprintf(stderr, "holdfast: reset %s? Type yes to go on: ", state_dir);
    return fgets(answer, sizeof answer, stdin) != NULL && strcmp(answer, "yes\n") == 0;
}

static int ask_and_reset(const char *state_dir, const struct hf_cli_common *common,
                         const char *bundle_file, bool is_agreed)
{
    struct hf_why why = {0};

    if (!is_agreed && isatty(STDIN_FILENO) != 1)
        return hf_cli_usage(&text, "there is no terminal to ask on; pass `--yes` to confirm");
    if (!is_agreed && !is_confirmed(state_dir)) {
        fputs("holdfast: nothing was changed\n", stderr);
        return HF_EXIT_FAILED;
    }
    return hf_cli_finish(reset(state_dir, common, bundle_file, &why), &why);
}

int hf_cmd_reset(const char *state_dir, int argc, const char **argv)
{
    struct hf_cli_common common = {0};
    char *bundle = NULL;
    int is_agreed = 0;
    int exit_code = HF_EXIT_USAGE;
    const struct poptOption options[] = {
        {"bundle", 'b', POPT_ARG_STRING, &bundle, 0,
         "PEM of the roots it left the factory with, to be active again", "FACTORY.pem"},
        {"yes", 'y', POPT_ARG_NONE, &is_agreed, 0, "do not ask", NULL},
        HF_CLI_STATE(&common),
        HF_CLI_VERBOSE(&common),
        HF_CLI_QUIET,
        HF_CLI_HELP,
        HF_CLI_END,
    };

    if (hf_cli_parse(&text, argc, argv, options, &exit_code))
        exit_code = ask_and_reset(hf_cli_state(&common, state_dir), &common, bundle,
                                  is_agreed != 0);
    free(bundle);
    hf_cli_common_free(&common);
    return exit_code;
}
