/* holdfast confirm, holdfast reject: the application's word on the bundle on trial. */
#include "client/agent/agent.h"

#include <inttypes.h>

static enum hf_err confirm(struct hf_cli_call *call, struct hf_why *why)
{
    struct hf_posix *posix = NULL;
    struct hf_status status = {0};
    struct hf_why unread = {0};

    HF_TRY(hf_agent_open(call, &posix, why));
    /* Whatever else the status has to tell: the application's word counts. */
    bool is_known = hf_client_status(hf_posix_client(posix), &status, &unread) == HF_OK;
    const struct hf_trial_status trial = status.trial;
    hf_status_free(&status);
    enum hf_err err = hf_posix_confirm(posix, why);
    hf_posix_close(posix);
    if (err != HF_OK)
        return err;
    if (trial.is_on)
        printf("confirmed version %" PRId64 "\n", trial.version);
    else
        puts(is_known ? "no bundle is on trial; nothing has changed" : "confirmed");
    return HF_OK;
}

static const struct hf_cli_option confirm_options[] = {HF_AGENT_COMMON, HF_CLI_END};

const struct hf_cli_command hf_cmd_confirm = {
    .name = "confirm",
    .summary = "confirm the bundle on trial",
    .arguments = "[--state DIR]",
    .about =
        "The application confirms that the bundle on trial works. Ends the trial. Needed if init\n"
        "had --await-confirm. Otherwise the endpoints confirm the bundle, or without endpoints "
        "the\n"
        "next successful check. Without a bundle on trial nothing changes. Uses no network.",
    .examples = "  holdfast confirm\n",
    .options = confirm_options,
    .run = confirm,
};

struct reject_options {
    struct hf_agent_options common;
    char *reason;
};

static enum hf_err reject(struct hf_cli_call *call, struct hf_why *why)
{
    const struct reject_options *o = call->values;
    struct hf_posix *posix = NULL;

    HF_TRY(hf_agent_open(call, &posix, why));
    enum hf_err err = hf_posix_reject(posix, o->reason, why);
    hf_posix_close(posix);
    if (err == HF_OK)
        puts("rolled back");
    return err;
}

static const struct hf_cli_option reject_options[] = {
    {"reason", 'r', HF_CLI_TEXT, offsetof(struct reject_options, reason),
     "what does not work, for the journal", "TEXT"},
    HF_AGENT_COMMON,
    HF_CLI_END,
};

const struct hf_cli_command hf_cmd_reject = {
    .name = "reject",
    .summary = "reject the bundle on trial and roll back",
    .arguments = "--reason TEXT [--state DIR]",
    .about =
        "The application rejects the bundle on trial, because it does not work. The device rolls\n"
        "back to the bundle before and never installs that version again; roots that the\n"
        "publisher dropped do not come back. Then the export is renewed and the on-swap command\n"
        "runs, if they are configured. TEXT is written to the journal. Refused if no bundle is on\n"
        "trial. Uses no network.",
    .examples = "  holdfast reject --reason 'the broker refuses us since the swap'\n",
    .options = reject_options,
    .values_size = sizeof(struct reject_options),
    .needs = {"--reason TEXT"},
    .run = reject,
};
