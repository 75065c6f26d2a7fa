#include "client/agent/cli.h"
#include "client/agent/status.h"
#include "common/base/timetext.h"

static const struct hf_cli_text text = {
    .name = "status",
    .arguments = "[--json | --check] [--state DIR]",
    .about =
        "Shows the trust store in use and the one before it, root by root: subject, SHA-256 of "
        "the\n"
        "certificate and of its key (SPKI), expiry and days left, the date after which issued\n"
        "certificates are no longer accepted through it. And when the last check was, how it\n"
        "ended, and when the next one is; the bundle on trial and what it waits for; the roots\n"
        "that each endpoint was seen to need, with a warning 730, 365, 180, 90 and 30 days before\n"
        "they end. Uses no network. Also works if the state can only be read, and says so.\n\n"
        "Without --check, the exit code says whether the status could be shown. With --check it\n"
        "says whether the device is well, as monitoring systems expect it, and one line says why:\n"
        "  0 ok\n"
        "  1 warning   the last check failed, or none was made for two days; a root that an\n"
        "              endpoint needs, or the last valid root, ends within 90 days; the export or\n"
        "              the on-swap command failed\n"
        "  2 critical  no valid root; an endpoint has no root any more; metadata has expired; the\n"
        "              state cannot be written\n"
        "  3 unknown   the state cannot be read",
    .examples =
        "  holdfast status\n"
        "  holdfast status --check || logger 'holdfast needs attention'\n"
        "  holdfast status --json | jq -r '.active.roots[] | [.days_left, .subject] | @tsv'\n",
};

int64_t hf_status_days_left(const struct hf_status_view *view, int64_t time_s)
{
    int64_t left_s = time_s - view->status.now_s;

    return left_s >= 0 ? left_s / HF_DAY_S : -((-left_s + HF_DAY_S - 1) / HF_DAY_S);
}

/* What is asked for. */
struct request {
    int as_json;
    int is_check;
    int exit_code; /* of a check */
};

static enum hf_err print_view(struct hf_posix *posix, const char *state_dir,
                              struct request *request, struct hf_why *why)
{
    struct hf_status_view view = {.config = hf_posix_config(posix), .state_dir = state_dir};

    HF_TRY(hf_client_status(hf_posix_client(posix), &view.status, why));
    if (hf_posix_device_id(posix, &view.device_id, &view.no_device_id) != HF_OK)
        view.device_id = NULL;
    if (hf_posix_is_writable(posix, &view.not_writable) == HF_OK)
        view.not_writable.code = HF_OK;
    if (hf_posix_export_is_current(posix, &view.not_told) == HF_OK)
        view.not_told.code = HF_OK;
    enum hf_err err = HF_OK;
    if (request->is_check != 0)
        request->exit_code = (int)hf_status_check(request->as_json != 0 ? NULL : stdout, &view);
    if (request->as_json != 0)
        err = hf_status_print_json(stdout, &view, why);
    else if (request->is_check == 0)
        hf_status_print_text(stdout, &view);
    hf_status_free(&view.status);
    return err;
}

static enum hf_err status(const char *state_dir, const struct hf_cli_common *common,
                          struct request *request, struct hf_why *why)
{
    struct hf_posix *posix = NULL;

    HF_TRY(hf_posix_open(state_dir, hf_cli_log(common), &posix, why));
    enum hf_err err = print_view(posix, state_dir, request, why);
    hf_posix_close(posix);
    return err;
}

static int run(const char *state_dir, const struct hf_cli_common *common, struct request *request)
{
    struct hf_why why = {0};

    enum hf_err err = status(state_dir, common, request, &why);
    if (err == HF_OK)
        return request->exit_code;
    if (request->is_check == 0)
        return hf_cli_finish(err, &why);
    if (request->as_json == 0)
        printf("UNKNOWN: %s\n", why.text);
    return HF_HEALTH_UNKNOWN;
}

int hf_cmd_status(const char *state_dir, int argc, const char **argv)
{
    struct hf_cli_common common = {0};
    struct request request = {0};
    int exit_code = HF_EXIT_USAGE;
    const struct poptOption options[] = {
        {"json", 'j', POPT_ARG_NONE, &request.as_json, 0,
         "for programs (schema/status.schema.json)", NULL},
        {"check", 'c', POPT_ARG_NONE, &request.is_check, 0,
         "one line, and an exit code for monitoring: 0 ok, 1 warning, 2 critical, 3 unknown", NULL},
        HF_CLI_STATE(&common),
        HF_CLI_VERBOSE(&common),
        HF_CLI_QUIET,
        HF_CLI_HELP,
        HF_CLI_END,
    };

    if (hf_cli_parse(&text, argc, argv, options, &exit_code))
        exit_code = run(hf_cli_state(&common, state_dir), &common, &request);
    hf_cli_common_free(&common);
    return exit_code;
}
