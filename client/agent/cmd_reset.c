#include "client/agent/agent.h"
#include "common/base/limits.h"

#include <string.h>
#include <unistd.h>

struct reset_options {
    struct hf_agent_options common;
    char *bundle;
    bool is_agreed;
};

static enum hf_err reset(struct hf_cli_call *call, struct hf_why *why)
{
    const struct reset_options *o = call->values;
    const char *state_dir = hf_agent_state(call);
    struct hf_posix *posix = NULL;
    struct hf_buf bundle = {0};
    char answer[8] = "";

    if (!o->is_agreed && isatty(STDIN_FILENO) != 1)
        return hf_cli_usage(call, "there is no terminal to ask on; pass `--yes` to confirm");
    if (!o->is_agreed)
        fprintf(stderr, "holdfast: reset %s? Type yes to go on: ", state_dir);
    /* What is not clearly a yes is a no. */
    if (!o->is_agreed &&
        (fgets(answer, sizeof answer, stdin) == NULL || strcmp(answer, "yes\n") != 0))
        return hf_fail(why, HF_E_STATE, "nothing was changed");
    enum hf_err err = hf_agent_read_file("--bundle", o->bundle, HF_BUNDLE_BYTES_MAX, &bundle, why);
    if (err == HF_OK)
        err = hf_agent_open(call, &posix, why);
    if (err == HF_OK)
        err = hf_posix_reset(posix, hf_buf_bytes(&bundle), why);
    hf_posix_close(posix);
    hf_buf_free(&bundle);
    if (err == HF_OK)
        printf("reset %s; holdfast update fetches what it forgot\n", state_dir);
    return err;
}

static const struct hf_cli_option options[] = {
    {"bundle", 'b', HF_CLI_TEXT, offsetof(struct reset_options, bundle),
     "PEM of the roots it left the factory with, to be active again", "FACTORY.pem"},
    {"yes", 'y', HF_CLI_FLAG, offsetof(struct reset_options, is_agreed), "do not ask", NULL},
    HF_AGENT_COMMON,
    HF_CLI_END,
};

const struct hf_cli_command hf_cmd_reset = {
    .name = "reset",
    .summary = "factory reset, without losing what protects this device",
    .arguments = "[--bundle FACTORY.pem] [--yes] [--state DIR]",
    .about =
        "Factory reset. The device deletes what it can fetch or learn again, and keeps what\n"
        "protects it: its configuration, the newest root metadata, the floor of its clock, the\n"
        "lowest allowed bundle version, the rejected bundles and the revoked roots. With --bundle\n"
        "it returns to the factory roots (version 0), otherwise the active ones stay. Uses no\n"
        "network. Asks for confirmation unless --yes is given.\n\n"
        "If you wipe the state folder instead, this protection is lost, and the first root\n"
        "metadata may be years old: keep the file of `holdfast export --root` elsewhere, and run\n"
        "init with it.",
    .examples =
        "  holdfast reset\n"
        "  holdfast reset --bundle /usr/share/holdfast/factory.pem --yes && holdfast update\n",
    .options = options,
    .values_size = sizeof(struct reset_options),
    .run = reset,
};
