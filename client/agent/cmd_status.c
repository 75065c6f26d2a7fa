#include "client/agent/cli.h"
#include "client/agent/status.h"
#include "common/base/timetext.h"

static const struct hf_cli_text text = {
    .name = "status",
    .arguments = "[--json] [--state DIR]",
    .about =
        "Shows the trust store in use and the one before it, root by root: subject, SHA-256 of "
        "the\n"
        "certificate and of its key (SPKI), expiry and days left, the date after which issued\n"
        "certificates are no longer accepted through it. And when the last check was, how it\n"
        "ended, and when the next one is; the bundle on trial and what it waits for; the roots\n"
        "that each endpoint was seen to need, with a warning 730, 365, 180, 90 and 30 days before\n"
        "they go. Asks nobody; works also where the state can only be read, and says so then.",
    .examples =
        "  holdfast status\n"
        "  holdfast status --json | jq -r '.active.roots[] | [.days_left, .subject] | @tsv'\n",
};

int64_t hf_status_days_left(const struct hf_status_view *view, int64_t time_s)
{
    int64_t left_s = time_s - view->status.now_s;

    return left_s >= 0 ? left_s / HF_DAY_S : -((-left_s + HF_DAY_S - 1) / HF_DAY_S);
}

static enum hf_err print_view(struct hf_posix *posix, const char *state_dir, bool as_json,
                              struct hf_why *why)
{
    struct hf_status_view view = {.config = hf_posix_config(posix), .state_dir = state_dir};

    HF_TRY(hf_client_status(hf_posix_client(posix), &view.status, why));
    if (hf_posix_device_id(posix, &view.device_id, &view.no_device_id) != HF_OK)
        view.device_id = NULL;
    if (hf_posix_is_writable(posix, &view.not_writable) == HF_OK)
        view.not_writable.code = HF_OK;
    enum hf_err err = HF_OK;
    if (as_json)
        err = hf_status_print_json(stdout, &view, why);
    else
        hf_status_print_text(stdout, &view);
    hf_status_free(&view.status);
    return err;
}

static enum hf_err status(const char *state_dir, const struct hf_cli_common *common, bool as_json,
                          struct hf_why *why)
{
    struct hf_posix *posix = NULL;

    HF_TRY(hf_posix_open(state_dir, hf_cli_log(common), &posix, why));
    enum hf_err err = print_view(posix, state_dir, as_json, why);
    hf_posix_close(posix);
    return err;
}

int hf_cmd_status(const char *state_dir, int argc, const char **argv)
{
    struct hf_cli_common common = {0};
    struct hf_why why = {0};
    int as_json = 0;
    int exit_code = HF_EXIT_USAGE;
    const struct poptOption options[] = {
        {"json", 'j', POPT_ARG_NONE, &as_json, 0, "for programs (schema/status.schema.json)", NULL},
        HF_CLI_STATE(&common),
        HF_CLI_VERBOSE(&common),
        HF_CLI_HELP,
        HF_CLI_END,
    };

    if (hf_cli_parse(&text, argc, argv, options, &exit_code))
        exit_code = hf_cli_finish(status(hf_cli_state(&common, state_dir), &common, as_json != 0,
                                         &why),
                                  &why);
    hf_cli_common_free(&common);
    return exit_code;
}
