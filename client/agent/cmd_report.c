/* holdfast report: what this device tells the fleet service, sent now, and the key that signs
 * it. */
#include "client/agent/agent.h"
#include "common/cli/report.h"

#include <inttypes.h>

struct report_options {
    struct hf_agent_options common;
    bool shows;
    bool sends;
    bool prints_key;
};

static enum hf_err print_json(const struct hf_report_status *status, const struct hf_buf *body,
                              struct hf_why *why)
{
    json_t *reports = body->len > 0 ? json_loadb((const char *)body->data, body->len, 0, NULL)
                                    : json_array();

    return hf_json_print_take(json_pack("{s:i, s:b, s:s?, s:I, s:o}", "format", 1, "on",
                                        status->is_on, "url",
                                        status->url[0] != '\0' ? status->url : NULL, "waiting",
                                        (json_int_t)status->n_waiting, "body", reports),
                              stdout, why);
}

static enum hf_err show(const struct hf_cli_call *call, struct hf_posix *posix, struct hf_why *why)
{
    bool as_json = ((const struct hf_agent_options *)call->values)->as_json;
    struct hf_report_status status;
    struct hf_buf body = {0};
    size_t n = 0;

    hf_posix_report_status(posix, &status);
    enum hf_err err = hf_client_show_reports(hf_posix_client(posix), &body, &n, why);
    if (err == HF_OK && as_json) {
        err = print_json(&status, &body, why);
    } else if (err == HF_OK) {
        if (!status.is_on)
            puts("reports are off; set the service with `holdfast config set report URL`");
        else if (n == 0)
            puts("nothing waits to be sent");
        if (n > 0)
            printf("POST %s\n%s\n", status.url, (const char *)body.data);
    }
    hf_buf_free(&body);
    return err;
}

static enum hf_err send_now(struct hf_posix *posix, struct hf_why *why)
{
    struct hf_report_status status;
    size_t n = 0;

    HF_TRY(hf_posix_send_reports(posix, &n, why));
    hf_posix_report_status(posix, &status);
    printf("sent %zu report%s to %s\n", n, n == 1 ? "" : "s", status.url);
    return HF_OK;
}

static enum hf_err print_key(struct hf_posix *posix, struct hf_why *why)
{
    char key[HF_REPORT_KEY_TEXT];

    HF_TRY(hf_posix_report_key(posix, key, why));
    puts(key);
    return HF_OK;
}

static enum hf_err report(struct hf_cli_call *call, struct hf_why *why)
{
    const struct report_options *o = call->values;
    struct hf_posix *posix = NULL;

    if (o->shows + o->sends + o->prints_key > 1)
        return hf_cli_usage(call, "--show, --send and --key exclude each other");
    if (o->common.as_json && (o->sends || o->prints_key))
        return hf_cli_usage(call, "--json belongs to --show");
    HF_TRY(hf_agent_open(call, &posix, why));
    enum hf_err err = o->sends        ? send_now(posix, why)
                      : o->prints_key ? print_key(posix, why)
                                      : show(call, posix, why);
    hf_posix_close(posix);
    return err;
}

static const struct hf_cli_option options[] = {
    {"show", '\0', HF_CLI_FLAG, offsetof(struct report_options, shows),
     "print the next request to the fleet service; nothing is sent (the default)", NULL},
    {"send", '\0', HF_CLI_FLAG, offsetof(struct report_options, sends),
     "send now what waits, or what is in use if nothing does", NULL},
    {"key", '\0', HF_CLI_FLAG, offsetof(struct report_options, prints_key),
     "print the public key that signs the reports, and make it if there is none", NULL},
    HF_AGENT_JSON("report"),
    HF_AGENT_COMMON,
    HF_CLI_END,
};

const struct hf_cli_command hf_cmd_report = {
    .name = "report",
    .summary = "show or send what this device reports to the fleet service",
    .arguments = "[--show | --send | --key] [--json] [--state DIR]",
    .about =
        "Reports tell the fleet service what this device installed, refused or rolled back, and\n"
        "once a day what is in use. They are off until `holdfast config set report` names the\n"
        "service. Each check sends what waits, after its own work; the queue keeps 64 reports.\n"
        "After a failure the waits between tries grow, up to 6 hours; --send does not wait.\n\n"
        "The operator registers the key of --key at the service, if the device signs its\n"
        "reports because it has no certificate.",
    .examples = "  holdfast config set report https://fleet.example.com\n"
                "  holdfast report --show\n"
                "  holdfast report --send\n",
    .options = options,
    .values_size = sizeof(struct report_options),
    .run = report,
};
