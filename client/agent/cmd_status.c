/* holdfast status; with --check: the health of this device, as one line for a monitoring system,
 * and its exit code. */
#include "client/agent/status.h"
#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/bundle/bundle.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

struct status_options {
    struct hf_agent_options common;
    bool is_check;
};

/* Exit codes of --check, as monitoring systems expect them. */
enum hf_health {
    HF_HEALTH_OK = 0,
    HF_HEALTH_WARNING = 1,
    HF_HEALTH_CRITICAL = 2,
    HF_HEALTH_UNKNOWN = 3, /* the state cannot be read */
};

#define WARN_DAYS 90            /* a successor must be published and installed by then */
#define CERT_WARN_DAYS 30       /* its owner has to issue another one */
#define REPORT_FAILURES 3       /* in a row: fewer may be a service that restarts */
#define SILENT_S (2 * HF_DAY_S) /* checks are at most 30 hours apart */

struct health {
    FILE *out; /* NULL: only the level */
    enum hf_health level;
    size_t n;
};

/* The worst level counts; every problem is printed. */
static void add(struct health *h, enum hf_health level, const char *fmt, ...) HF_PRINTF(3, 4);
static void add(struct health *h, enum hf_health level, const char *fmt, ...)
{
    va_list args;

    if (level > h->level)
        h->level = level;
    if (h->out == NULL)
        return;
    fputs(h->n++ > 0 ? "; " : "", h->out);
    va_start(args, fmt);
    vfprintf(h->out, fmt, args);
    va_end(args);
}

static void check_roots(struct health *h, const struct hf_status *s)
{
    int64_t last_s = INT64_MIN;
    bool has_usable = false;

    for (size_t i = 0; i < s->active.n_anchors; i++) {
        const struct hf_anchor_status *root = &s->active.anchors[i];
        if (strcmp(root->state, "usable") != 0)
            continue;
        int64_t end_s = root->not_after_s;
        if (root->remove_after_s != HF_TIME_NONE && root->remove_after_s < end_s)
            end_s = root->remove_after_s;
        has_usable = true;
        last_s = end_s > last_s ? end_s : last_s;
    }
    if (!s->active.is_present)
        add(h, HF_HEALTH_CRITICAL, "no bundle is installed");
    else if (!has_usable)
        add(h, HF_HEALTH_CRITICAL, "no root of the active bundle is valid");
    else if ((last_s - s->now_s) / HF_DAY_S <= WARN_DAYS)
        add(h, HF_HEALTH_WARNING, "the last valid root ends in %" PRId64 " days",
            (last_s - s->now_s) / HF_DAY_S);
}

static void check_identity(struct health *h, const struct hf_identity_status *id, int64_t now_s)
{
    if (id->is_present && id->credential.not_after_s <= now_s)
        add(h, HF_HEALTH_CRITICAL,
            "the certificate of this device has expired; run holdfast enroll --again");
    else if (id->last_error[0] != '\0')
        add(h, HF_HEALTH_WARNING, "the certificate of this device: %s", id->last_error);
}

/* Unless the device has a certificate of its own, which servers are shown instead. */
static void check_client_cert(struct health *h, const struct hf_status_view *view)
{
    const int64_t left_s = view->client_cert.not_after_s - view->status.now_s;

    if (view->config.client_cert_file == NULL || view->identity.is_present)
        return;
    if (view->no_client_cert.text[0] != '\0')
        add(h, HF_HEALTH_WARNING, "the client certificate: %s", view->no_client_cert.text);
    else if (left_s <= CERT_WARN_DAYS * HF_DAY_S)
        add(h, left_s <= 0 ? HF_HEALTH_CRITICAL : HF_HEALTH_WARNING,
            "the client certificate \"%s\" %s on %s; replace %s", view->client_cert.subject,
            left_s <= 0 ? "expired" : "expires", hf_agent_day(view->client_cert.not_after_s).text,
            view->config.client_cert_file);
}

static void check_server_ca(struct health *h, const char *pem, int64_t now_s)
{
    struct hf_bundle bundle = {0};
    int64_t last_s = HF_TIME_NONE;

    if (pem == NULL || hf_bundle_parse(hf_bytes_of_text(pem), NULL, &bundle, NULL) != HF_OK)
        return;
    for (size_t i = 0; i < bundle.n_anchors; i++) {
        if (bundle.anchors[i].cert.not_after_s > last_s)
            last_s = bundle.anchors[i].cert.not_after_s;
    }
    hf_bundle_free(&bundle);
    if (last_s - now_s <= WARN_DAYS * HF_DAY_S)
        add(h, HF_HEALTH_WARNING,
            "the update server's CA %s on %s; run `holdfast config set server-ca` with its "
            "successor, or unset it",
            last_s <= now_s ? "expired" : "expires", hf_agent_day(last_s).text);
}

static void check_reports(struct health *h, const struct hf_report_status *reports)
{
    bool is_lasting = reports->n_failures == 0 || reports->n_failures >= REPORT_FAILURES;

    if (reports->is_on && reports->last_error[0] != '\0' && is_lasting)
        add(h, HF_HEALTH_WARNING, "no reports are sent: %s", reports->last_error);
}

static void check_all(struct health *h, const struct hf_status_view *view)
{
    const struct hf_status *s = &view->status;
    bool was_ok = strcmp(s->last_outcome, hf_err_name(HF_OK)) == 0;
    bool was_postponed = strcmp(s->last_outcome, hf_err_name(HF_E_POSTPONED)) == 0;

    check_roots(h, s);
    for (size_t i = 0; i < s->n_warnings; i++) {
        const struct hf_warning *w = &s->warnings[i];
        bool is_lost = strcmp(w->kind, "lost") == 0;
        if (!w->is_note && w->endpoint[0] != '\0' && w->days_left <= WARN_DAYS)
            add(h, is_lost ? HF_HEALTH_CRITICAL : HF_HEALTH_WARNING, "%s", w->text);
    }
    if (!view->is_writable)
        add(h, HF_HEALTH_CRITICAL, "the state cannot be written: %s", view->not_writable.text);
    if (s->last_check_s == HF_TIME_NONE)
        add(h, HF_HEALTH_WARNING, "it has never checked for an update");
    else if (was_postponed)
        add(h, HF_HEALTH_WARNING, "%s", s->last_text);
    else if (!was_ok)
        add(h, HF_HEALTH_WARNING, "the last check failed: %s", s->last_text);
    if (s->last_check_s != HF_TIME_NONE && (was_ok || was_postponed) &&
        s->now_s - s->last_check_s > SILENT_S)
        add(h, HF_HEALTH_WARNING,
            "the last check was %" PRId64 " days ago; is holdfast run running?",
            (s->now_s - s->last_check_s) / HF_DAY_S);
    if (s->timestamp.version != 0 && s->timestamp.expires_s <= s->now_s)
        add(h, HF_HEALTH_CRITICAL, "the newest metadata that it has seen has expired");
    if (s->failed_validations > 0)
        add(h, HF_HEALTH_WARNING,
            "no update server had a valid chain in the last %" PRId64 " checks",
            s->failed_validations);
    check_identity(h, &view->identity, s->now_s);
    check_client_cert(h, view);
    check_server_ca(h, view->config.server_ca, s->now_s);
    check_reports(h, &view->reports);
    if (!view->export_is_current)
        add(h, HF_HEALTH_WARNING, "%s", view->export_is_old.text);
}

/* The level stands before the reasons, so it is determined first. */
static enum hf_health check_health(FILE *out, const struct hf_status_view *view)
{
    static const char *const words[] = {"OK", "WARNING", "CRITICAL"};
    struct health health = {0}, printed = {.out = out};

    check_all(&health, view);
    if (out == NULL)
        return health.level;
    fprintf(out, "%s: ", words[health.level]);
    check_all(&printed, view);
    if (printed.n == 0)
        fprintf(out, "%s/%s %" PRId64 " is active, the last check succeeded",
                view->config.client.set, view->config.client.profile, view->status.active.version);
    fputc('\n', out);
    return health.level;
}

static enum hf_err status(struct hf_cli_call *call, struct hf_why *why)
{
    const struct status_options *o = call->values;
    struct hf_posix *posix = NULL;
    struct hf_status_view view = {.state_dir = hf_agent_state(call)};

    enum hf_err err = hf_agent_open(call, &posix, why);
    if (err == HF_OK)
        err = hf_client_status(hf_posix_client(posix), &view.status, why);
    if (err == HF_OK) {
        view.config = *hf_posix_config(posix);
        if (hf_posix_device_id(posix, &view.device_id, &view.no_device_id) != HF_OK)
            view.device_id = NULL;
        view.is_writable = hf_posix_is_writable(posix, &view.not_writable) == HF_OK;
        if (view.is_writable)
            view.not_writable.text[0] = '\0';
        view.export_is_current = hf_posix_export_is_current(posix, &view.export_is_old) == HF_OK;
        hf_posix_identity_status(posix, &view.identity);
        if (hf_posix_client_cert(posix, &view.client_cert, &view.no_client_cert) == HF_OK)
            view.no_client_cert.text[0] = '\0';
        hf_posix_report_status(posix, &view.reports);
        view.shows_identity = view.identity.is_present || view.identity.is_pending ||
                              view.identity.last_error[0] != '\0';
        if (o->is_check)
            call->exit_code = (int)check_health(o->common.as_json ? NULL : stdout, &view);
        if (o->common.as_json)
            err = hf_status_print_json(stdout, &view, why);
        else if (!o->is_check)
            hf_status_print_text(stdout, &view);
        hf_status_free(&view.status);
    }
    hf_posix_close(posix);
    if (err == HF_OK || !o->is_check)
        return err;
    if (!o->common.as_json)
        printf("UNKNOWN: %s\n", why->text);
    call->exit_code = HF_HEALTH_UNKNOWN;
    return HF_OK;
}

static const struct hf_cli_option options[] = {
    HF_AGENT_JSON("status"),
    {"check", 'c', HF_CLI_FLAG, offsetof(struct status_options, is_check),
     "one line, and an exit code for monitoring: 0 ok, 1 warning, 2 critical, 3 unknown", NULL},
    HF_AGENT_COMMON,
    HF_CLI_END,
};

const struct hf_cli_command hf_cmd_status = {
    .name = "status",
    .summary = "the roots in use and when they end, the last check and the next",
    .arguments = "[--json | --check] [--state DIR]",
    .about =
        "Shows the current trust store and the one before it, root by root: subject, SHA-256 of\n"
        "the certificate and of its key (SPKI), expiry and days left, and the date after which\n"
        "certificates issued under it are not accepted. Shows the last check and its result, and\n"
        "the next check; the bundle on trial and what it waits for; and the roots that each\n"
        "endpoint needs, with a warning 730, 365, 180, 90 and 30 days before they end. Shows the\n"
        "device's own certificate, if it is enrolled, and when it is rotated. Uses no network.\n"
        "Also works if the state can only be read, and says so.\n\n"
        "Without --check, the exit code is 0 if the status could be shown. With --check, it is\n"
        "the health of the device in the form of monitoring plugins, with one line that gives the\n"
        "reason:\n"
        "  0 ok\n"
        "  1 warning   the last check failed or was postponed, or none was made for two days; the\n"
        "              chain of an endpoint is refused; a root that an endpoint needs, or the "
        "last\n"
        "              valid root, ends within 90 days; the export or the on-swap command failed;\n"
        "              the rotation of the certificate failed; the client certificate cannot be "
        "read\n"
        "              or expires within 30 days, or the update server's CA within 90; no reports\n"
        "              are sent\n"
        "  2 critical  no valid root; an endpoint has no root any more; metadata has expired; the\n"
        "              state cannot be written; the device's own or client certificate has "
        "expired\n"
        "  3 unknown   the state cannot be read",
    .examples =
        "  holdfast status\n"
        "  holdfast status --check || logger 'holdfast needs attention'\n"
        "  holdfast status --json | jq -r '.active.roots[] | [.days_left, .subject] | @tsv'\n",
    .options = options,
    .values_size = sizeof(struct status_options),
    .run = status,
};
