#include "client/agent/status.h"
#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- for programs: JSON ---------------------------------------------------------------------- */

/* `ctx` is the whole status. */
static json_t *days_left(const void *at, const void *ctx)
{
    const struct hf_status *s = ctx;

    return json_integer(hf_days_between(s->now_s, *(const int64_t *)at));
}

#define OF(member) offsetof(struct hf_anchor_status, member)

static const struct hf_field anchor_fields[] = {
    {"subject", HF_FIELD_CHARS, OF(subject)},
    {"sha256", HF_FIELD_CHARS, OF(sha256)},
    {"spki_sha256", HF_FIELD_CHARS, OF(spki_sha256)},
    {"not_before", HF_FIELD_TIME, OF(not_before_s)},
    {"not_after", HF_FIELD_TIME, OF(not_after_s)},
    {"days_left", HF_FIELD_MADE, OF(not_after_s), .make = days_left},
    {"distrust_after", HF_FIELD_TIME, OF(distrust_after_s)},
    {"remove_after", HF_FIELD_TIME, OF(remove_after_s)},
    {"state", HF_FIELD_TEXT, OF(state)},
    {0},
};

const struct hf_field hf_skipped_fields[] = {
    {"subject", HF_FIELD_CHARS, offsetof(struct hf_skipped_status, subject)},
    {"sha256", HF_FIELD_CHARS, offsetof(struct hf_skipped_status, sha256)},
    {"spki_sha256", HF_FIELD_CHARS, offsetof(struct hf_skipped_status, spki_sha256)},
    {"unsupported", HF_FIELD_CHARS, offsetof(struct hf_skipped_status, unsupported)},
    {0},
};

#undef OF
#define OF(member) offsetof(struct hf_bundle_status, member)

static const struct hf_field bundle_fields[] = {
    {"version", HF_FIELD_NUMBER, OF(version)},
    {"sha256", HF_FIELD_CHARS, OF(sha256)},
    {"roots", HF_FIELD_LIST, OF(anchors), .fields = anchor_fields, .n_at = OF(n_anchors),
     .size = sizeof(struct hf_anchor_status)},
    {"skipped", HF_FIELD_LIST, OF(skipped), .fields = hf_skipped_fields, .n_at = OF(n_skipped),
     .size = sizeof(struct hf_skipped_status)},
    {0},
};

static json_t *role_of(const void *at, const void *ctx)
{
    const struct hf_role_status *role = at;

    (void)ctx;
    if (role->version == 0)
        return json_null();
    return json_pack("{s:I, s:o}", "version", (json_int_t)role->version, "expires",
                     hf_json_time(role->expires_s));
}

static const struct hf_field metadata_fields[] = {
    {"root", HF_FIELD_MADE, offsetof(struct hf_status, root), .make = role_of},
    {"timestamp", HF_FIELD_MADE, offsetof(struct hf_status, timestamp), .make = role_of},
    {"snapshot", HF_FIELD_MADE, offsetof(struct hf_status, snapshot), .make = role_of},
    {"targets", HF_FIELD_MADE, offsetof(struct hf_status, targets), .make = role_of},
    {0},
};

static json_t *last_check_of(const void *at, const void *ctx)
{
    const struct hf_status *s = at;

    (void)ctx;
    if (s->last_check_s == HF_TIME_NONE)
        return json_null();
    return json_pack("{s:o, s:s, s:s}", "time", hf_json_time(s->last_check_s), "outcome",
                     s->last_outcome, "text", s->last_text);
}

static json_t *last_recovery_of(const void *at, const void *ctx)
{
    const struct hf_status *s = at;

    (void)ctx;
    if (s->last_recovery_s == HF_TIME_NONE)
        return json_null();
    return json_pack("{s:o, s:b}", "time", hf_json_time(s->last_recovery_s), "succeeded",
                     s->has_recovered);
}

static const struct hf_field trial_fields[] = {
    {"version", HF_FIELD_NUMBER, offsetof(struct hf_trial_status, version)},
    {"uptime_s", HF_FIELD_NUMBER, offsetof(struct hf_trial_status, up_s)},
    {"waits_for", HF_FIELD_CHARS, offsetof(struct hf_trial_status, waits_for)},
    {0},
};

static const struct hf_field next_check_fields[] = {
    {"time", HF_FIELD_TIME, offsetof(struct hf_next_check, at_s)},
    {"wait_s", HF_FIELD_NUMBER, offsetof(struct hf_next_check, wait_s)},
    {"reason", HF_FIELD_CHARS, offsetof(struct hf_next_check, reason)},
    {0},
};

static json_t *chain_of(const struct hf_chain_status *chain)
{
    bool was_seen = chain->seen_s != HF_TIME_NONE;
    json_t *anchors = json_array(), *lost = json_null();

    for (size_t i = 0; was_seen && i < chain->n_anchors; i++)
        anchors = hf_json_append_take(anchors, json_string(chain->anchors[i]));
    if (was_seen && chain->lost_since_s != HF_TIME_NONE)
        lost = json_pack("{s:o, s:s}", "since", hf_json_time(chain->lost_since_s), "root",
                         chain->lost_root);
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "key_type", chain->key_type, "seen",
                     hf_json_time(chain->seen_s), "not_before",
                     hf_json_time(was_seen ? chain->leaf_not_before_s : HF_TIME_NONE), "not_after",
                     hf_json_time(was_seen ? chain->leaf_not_after_s : HF_TIME_NONE), "anchors",
                     anchors, "lost", lost);
}

static json_t *chains_of(const void *at, const void *ctx)
{
    const struct hf_endpoint_status *endpoint = at;
    json_t *chains = json_array();

    (void)ctx;
    for (size_t i = 0; i < sizeof endpoint->chains / sizeof endpoint->chains[0]; i++)
        chains = hf_json_append_take(chains, chain_of(&endpoint->chains[i]));
    return chains;
}

static json_t *refusal_of(const void *at, const void *ctx)
{
    const struct hf_endpoint_status *endpoint = at;

    (void)ctx;
    if (endpoint->refused_s == HF_TIME_NONE)
        return json_null();
    return json_pack("{s:o, s:s}", "seen", hf_json_time(endpoint->refused_s), "text",
                     endpoint->refused);
}

static const struct hf_field endpoint_fields[] = {
    {"name", HF_FIELD_CHARS, offsetof(struct hf_endpoint_status, name)},
    {"chains", HF_FIELD_MADE, 0, .make = chains_of},
    {"refused", HF_FIELD_MADE, 0, .make = refusal_of},
    {0},
};

static json_t *level_of(const void *at, const void *ctx)
{
    (void)ctx;
    return json_string(*(const bool *)at ? "note" : "warning");
}

#undef OF
#define OF(member) offsetof(struct hf_warning, member)

static const struct hf_field warning_fields[] = {
    {"level", HF_FIELD_MADE, OF(is_note), .make = level_of},
    {"kind", HF_FIELD_TEXT, OF(kind)},
    {"threshold_days", HF_FIELD_INT, OF(threshold_days)},
    {"time", HF_FIELD_TIME, OF(at_s)},
    {"days_left", HF_FIELD_NUMBER, OF(days_left)},
    {"root", HF_FIELD_WORDS, OF(subject)},
    {"sha256", HF_FIELD_WORDS, OF(sha256)},
    {"endpoint", HF_FIELD_WORDS, OF(endpoint)},
    {"text", HF_FIELD_CHARS, OF(text)},
    {0},
};

#undef OF
#define OF(member) offsetof(struct hf_held_status, member)

static const struct hf_field held_fields[] = {
    {"version", HF_FIELD_NUMBER, OF(version)},
    {"turn", HF_FIELD_TIME, OF(turn_s)},
    {"latest", HF_FIELD_TIME, OF(latest_s)},
    {"text", HF_FIELD_CHARS, OF(text)},
    {0},
};

#undef OF
#define OF(member) offsetof(struct hf_status, member)

static const struct hf_field status_fields[] = {
    {"time", HF_FIELD_TIME, OF(now_s)},
    {"clock_floor", HF_FIELD_TIME, OF(clock_floor_s)},
    {"last_check", HF_FIELD_MADE, 0, .make = last_check_of},
    {"metadata", HF_FIELD_RECORD, 0, .fields = metadata_fields},
    {"active", HF_FIELD_RECORD_IF, OF(active), .fields = bundle_fields,
     .n_at = OF(active.is_present)},
    {"previous", HF_FIELD_RECORD_IF, OF(previous), .fields = bundle_fields,
     .n_at = OF(previous.is_present)},
    {"next_check", HF_FIELD_RECORD, OF(next_check), .fields = next_check_fields},
    {"trial", HF_FIELD_RECORD_IF, OF(trial), .fields = trial_fields, .n_at = OF(trial.is_on)},
    {"held", HF_FIELD_RECORD_IF, OF(held), .fields = held_fields, .n_at = OF(held.is_on)},
    {"last_recovery", HF_FIELD_MADE, 0, .make = last_recovery_of},
    {"failed_validations", HF_FIELD_NUMBER, OF(failed_validations)},
    {"endpoints", HF_FIELD_LIST, OF(endpoints), .fields = endpoint_fields, .n_at = OF(n_endpoints),
     .size = sizeof(struct hf_endpoint_status)},
    {"warnings", HF_FIELD_LIST, OF(warnings), .fields = warning_fields, .n_at = OF(n_warnings),
     .size = sizeof(struct hf_warning)},
    {0},
};

#undef OF
#define OF(member) offsetof(struct hf_identity_status, member)

static json_t *failure_of(const void *at, const void *ctx)
{
    const struct hf_identity_status *id = at;

    (void)ctx;
    if (id->last_error[0] == '\0')
        return json_null();
    return json_pack("{s:o, s:I, s:s}", "time", hf_json_time(id->last_try_s), "count",
                     (json_int_t)id->n_failures, "text", id->last_error);
}

static const struct hf_field credential_fields[] = {
    {"credential", HF_FIELD_CHARS, OF(credential.sha256)},
    {"subject", HF_FIELD_CHARS, OF(credential.subject)},
    {"not_before", HF_FIELD_TIME, OF(credential.not_before_s)},
    {"expires", HF_FIELD_TIME, OF(credential.not_after_s)},
    {"service", HF_FIELD_WORDS, OF(url)},
    {"certificate_file", HF_FIELD_WORDS, OF(cert_file)},
    {"key_file", HF_FIELD_WORDS, OF(key_file)},
    {"rotation_due", HF_FIELD_TIME, OF(rotation_due_s)},
    {"rotation_requested", HF_FIELD_FLAG, OF(is_requested)},
    {0},
};

static const struct hf_field identity_fields[] = {
    {"current", HF_FIELD_RECORD_IF, 0, .fields = credential_fields, .n_at = OF(is_present)},
    {"pending", HF_FIELD_FLAG, OF(is_pending)},
    {"last_failure", HF_FIELD_MADE, 0, .make = failure_of},
    {0},
};

#undef OF
#define OF(member) offsetof(struct hf_report_status, member)

static const struct hf_field report_fields[] = {
    {"url", HF_FIELD_WORDS, OF(url)},
    {"waiting", HF_FIELD_COUNT, OF(n_waiting)},
    {"last_sent", HF_FIELD_TIME, OF(last_sent_s)},
    {"failures", HF_FIELD_NUMBER, OF(n_failures)},
    {"next_try", HF_FIELD_TIME, OF(next_try_s)},
    {"last_error", HF_FIELD_WORDS, OF(last_error)},
    {0},
};

#undef OF
#define OF(member) offsetof(struct hf_status_view, member)

static const struct hf_field view_fields[] = {
    {"state", HF_FIELD_PLAIN, OF(state_dir)},
    {"set", HF_FIELD_TEXT, OF(config.client.set)},
    {"profile", HF_FIELD_TEXT, OF(config.client.profile)},
    {"device_id", HF_FIELD_TEXT, OF(device_id)},
    {"mirrors", HF_FIELD_TEXTS, OF(config.client.urls), .n_at = OF(config.client.n_urls)},
    {"export", HF_FIELD_PLAIN, OF(config.export_file)},
    {"on_swap", HF_FIELD_PLAIN, OF(config.on_swap)},
    {"writable", HF_FIELD_FLAG, OF(is_writable)},
    {"read_only_reason", HF_FIELD_WORDS, OF(not_writable.text)},
    {"identity", HF_FIELD_RECORD_IF, OF(identity), .fields = identity_fields,
     .n_at = OF(shows_identity)},
    {"reports", HF_FIELD_RECORD_IF, OF(reports), .fields = report_fields,
     .n_at = OF(reports.is_on)},
    {.kind = HF_FIELD_INCLUDE, .at = OF(status), .fields = status_fields},
    {0},
};

enum hf_err hf_status_print_json(FILE *out, const struct hf_status_view *view, struct hf_why *why)
{
    return hf_report_print(view_fields, view, &view->status, out, why);
}

/* ---- for people: text, a head about the device, then one block a root ------------------------ */

#define SOON_DAYS 90 /* a root that ends within a quarter needs attention */

struct colours {
    const char *bold, *green, *yellow, *red, *off;
};

struct printer {
    FILE *out;
    struct colours c;
    const struct hf_status_view *view;
};

/* On a terminal only, and not with NO_COLOR set (no-color.org) or TERM=dumb. */
static struct colours colours_of(FILE *out)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if ((no_colour != NULL && no_colour[0] != '\0') || term == NULL || strcmp(term, "dumb") == 0 ||
        isatty(fileno(out)) != 1)
        return (struct colours){"", "", "", "", ""};
    return (struct colours){"\x1b[1m", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[0m"};
}

/* "NAME         VALUE" */
static void row(const struct printer *p, const char *name, const char *fmt, ...) HF_PRINTF(3, 4);
static void row(const struct printer *p, const char *name, const char *fmt, ...)
{
    va_list args;

    fprintf(p->out, "%-12s ", name);
    va_start(args, fmt);
    vfprintf(p->out, fmt, args);
    va_end(args);
    fputc('\n', p->out);
}

static void row_of_others(const struct printer *p, const char *name, const char *value)
{
    fprintf(p->out, "%-12s ", name);
    hf_agent_print_plain(p->out, value);
    fputc('\n', p->out);
}

static void print_device(const struct printer *p)
{
    const struct hf_status_view *v = p->view;
    const struct hf_client_config *client = &v->config.client;
    const struct hf_status *s = &v->status;

    row(p, "bundle", "%s%s/%s%s", p->c.bold, client->set, client->profile, p->c.off);
    row(p, "device", "%s", v->device_id != NULL ? v->device_id : v->no_device_id.text);
    row(p, "state", "%s", v->state_dir);
    if (!v->is_writable)
        row(p, "", "%sread-only: %s%s", p->c.yellow, v->not_writable.text, p->c.off);
    if (client->n_urls == 0)
        row(p, "mirror", "unknown");
    for (size_t i = 0; i < client->n_urls; i++)
        row_of_others(p, i == 0 ? "mirror" : "", client->urls[i]);
    if (v->config.export_file != NULL)
        row_of_others(p, "export", v->config.export_file);
    if (v->config.on_swap != NULL)
        row_of_others(p, "on swap", v->config.on_swap);
    row(p, "time", "%s (it is %s at least)", hf_agent_time(s->now_s).text,
        hf_agent_day(s->clock_floor_s).text);
    if (s->last_check_s == HF_TIME_NONE) {
        row(p, "last check", "never");
    } else {
        bool was_ok = strcmp(s->last_outcome, hf_err_name(HF_OK)) == 0;
        bool was_postponed = strcmp(s->last_outcome, hf_err_name(HF_E_POSTPONED)) == 0;
        row(p, "last check", "%s, %s%s%s: %s", hf_agent_time(s->last_check_s).text,
            was_ok ? p->c.green : p->c.red,
            was_ok          ? "ok"
            : was_postponed ? "postponed"
                            : "failed",
            p->c.off, s->last_text);
    }
    row(p, "next check", "%s, in %s: %s", hf_agent_time(s->next_check.at_s).text,
        hf_agent_duration(s->next_check.wait_s).text, s->next_check.reason);
    if (s->held.is_on)
        row(p, "waits", "%s", s->held.text);
    if (s->trial.is_on)
        row(p, "on trial", "%sversion %" PRId64 "%s, for %s of uptime; it waits for %s",
            p->c.yellow, s->trial.version, p->c.off, hf_agent_duration(s->trial.up_s).text,
            s->trial.waits_for);
    if (s->failed_validations > 0)
        row(p, "servers", "no server's chain has validated in the last %" PRId64 " checks",
            s->failed_validations);
    if (s->last_recovery_s != HF_TIME_NONE)
        row(p, "recovery", "%s, %s: that check did not validate the servers' chains",
            hf_agent_time(s->last_recovery_s).text,
            s->has_recovered ? "successful" : "without success");
}

static void print_identity(const struct printer *p)
{
    const struct hf_identity_status *id = &p->view->identity;
    int64_t now_s = p->view->status.now_s;
    bool is_expired = id->credential.not_after_s <= now_s;

    if (id->is_present) {
        row(p, "identity", "%s", id->credential.sha256);
        row(p, "", "%s, %s%s on %s%s, of %s", id->credential.subject,
            is_expired ? p->c.red : p->c.off, is_expired ? "ended" : "ends",
            hf_agent_day(id->credential.not_after_s).text, p->c.off,
            id->url[0] != '\0' ? id->url : "a service whose address is unknown");
        row(p, "rotation", "%s%s", hf_agent_time(id->rotation_due_s).text,
            id->is_pending     ? ", begun and not finished"
            : id->is_requested ? ", asked for by the service"
                               : "");
    } else if (id->is_pending) {
        row(p, "identity", "%sthe enrolment is not finished; run holdfast enroll again%s",
            p->c.yellow, p->c.off);
    } else if (id->is_unusable) {
        row(p, "identity", "%sits files cannot be used%s", p->c.red, p->c.off);
    }
    if (id->last_error[0] != '\0')
        row(p, "", "%sfailed%s: %s", p->c.red, p->c.off, id->last_error);
}

static void print_client_cert(const struct printer *p)
{
    const struct hf_status_view *v = p->view;
    bool is_expired = v->client_cert.not_after_s <= v->status.now_s;

    if (v->config.client_cert_file == NULL || v->identity.is_present)
        return;
    row_of_others(p, "client cert", v->config.client_cert_file);
    if (v->no_client_cert.text[0] != '\0')
        row(p, "", "%snot shown%s: %s", p->c.red, p->c.off, v->no_client_cert.text);
    else
        row(p, "", "%s, %s%s on %s%s", v->client_cert.subject, is_expired ? p->c.red : p->c.off,
            is_expired ? "ended" : "ends", hf_agent_day(v->client_cert.not_after_s).text, p->c.off);
}

static void print_reports(const struct printer *p)
{
    const struct hf_report_status *r = &p->view->reports;

    if (!r->is_on) {
        row(p, "reports", "off");
        return;
    }
    row(p, "reports", "%s; %zu waiting; last sent %s", r->url[0] != '\0' ? r->url : "-",
        r->n_waiting,
        r->last_sent_s == HF_TIME_NONE ? "never" : hf_agent_time(r->last_sent_s).text);
    if (r->last_error[0] != '\0')
        row(p, "", "%sfailed%s: %s", p->c.red, p->c.off, r->last_error);
}

static void print_chain(const struct printer *p, const struct hf_chain_status *chain)
{
    const struct hf_bundle_status *active = &p->view->status.active;
    bool is_lost = chain->lost_since_s != HF_TIME_NONE;

    row(p, "", "%s key seen %s, its certificate lasts until %s; %s", chain->key_type,
        hf_agent_time(chain->seen_s).text, hf_agent_day(chain->leaf_not_after_s).text,
        is_lost                ? "it is lost"
        : chain->n_anchors > 0 ? "any one of these roots serves:"
                               : "no root serves");
    if (is_lost)
        row(p, "",
            "%slost since %s%s: no root of its chain is trusted any more, the last one was \"%s\"",
            p->c.red, hf_agent_time(chain->lost_since_s).text, p->c.off, chain->lost_root);
    for (size_t i = 0; i < chain->n_anchors && !is_lost; i++) {
        const char *subject = NULL;
        for (size_t k = 0; k < active->n_anchors && subject == NULL; k++) {
            if (strcmp(active->anchors[k].spki_sha256, chain->anchors[i]) == 0)
                subject = active->anchors[k].subject;
        }
        if (subject != NULL)
            row(p, "", "  %s", subject);
        else
            row(p, "", "  SPKI %s, which is not in the active bundle", chain->anchors[i]);
    }
}

static void print_endpoint(const struct printer *p, const struct hf_endpoint_status *endpoint)
{
    const size_t n = sizeof endpoint->chains / sizeof endpoint->chains[0];
    const bool is_refused = endpoint->refused_s != HF_TIME_NONE;
    bool was_seen = is_refused;

    for (size_t i = 0; i < n; i++)
        was_seen = was_seen || endpoint->chains[i].seen_s != HF_TIME_NONE;
    row(p, "endpoint", "%s%s", endpoint->name,
        was_seen ? "" : ", not seen yet: it was not reached, or no check has looked");
    if (is_refused)
        row(p, "", "seen on %s, %srefused%s: %s", hf_agent_time(endpoint->refused_s).text, p->c.red,
            p->c.off, endpoint->refused);
    for (size_t i = 0; i < n; i++) {
        if (endpoint->chains[i].seen_s != HF_TIME_NONE)
            print_chain(p, &endpoint->chains[i]);
    }
}

static void print_role(const struct printer *p, const char *name, const struct hf_role_status *role)
{
    bool is_expired = role->expires_s <= p->view->status.now_s;

    if (role->version == 0)
        row(p, name, "-");
    else
        row(p, name, "version %" PRId64 ", %s%s %s%s", role->version,
            is_expired ? p->c.red : p->c.off, is_expired ? "expired" : "expires",
            hf_agent_time(role->expires_s).text, p->c.off);
}

static void print_root(const struct printer *p, size_t number, const struct hf_anchor_status *root)
{
    const struct {
        const char *name;
        int64_t time_s;
    } dates[] = {{"distrust after", root->distrust_after_s},
                 {"remove after", root->remove_after_s}};
    int64_t days_left = hf_days_between(p->view->status.now_s, root->not_after_s);
    const char *colour = days_left < SOON_DAYS ? p->c.yellow : p->c.off;

    if (strcmp(root->state, "usable") != 0)
        colour = p->c.red;
    fprintf(p->out, "  %zu. %s%s%s\n", number, p->c.bold, root->subject, p->c.off);
    fprintf(p->out, "     %-15s %s\n", "SHA-256", root->sha256);
    fprintf(p->out, "     %-15s %s\n", "SPKI SHA-256", root->spki_sha256);
    fprintf(p->out, "     %-15s %s%s (%" PRId64 " days left), %s%s\n", "expires", colour,
            hf_agent_day(root->not_after_s).text, days_left, root->state, p->c.off);
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        if (dates[i].time_s != HF_TIME_NONE)
            fprintf(p->out, "     %-15s %s (%" PRId64 " days left)\n", dates[i].name,
                    hf_agent_last_day(dates[i].time_s).text,
                    hf_days_between(p->view->status.now_s, dates[i].time_s));
        else if (i == 0)
            fprintf(p->out, "     %-15s -\n", dates[i].name);
    }
}

static void print_bundle(const struct printer *p, const char *name,
                         const struct hf_bundle_status *bundle, const char *if_absent)
{
    fprintf(p->out, "\n%s%s%s: ", p->c.bold, name, p->c.off);
    if (!bundle->is_present) {
        fprintf(p->out, "none%s\n", if_absent);
        return;
    }
    fprintf(p->out, "version %" PRId64 "%s, %zu %s, SHA-256 %s\n", bundle->version,
            bundle->version == 0 ? " (from the factory)" : "", bundle->n_anchors,
            bundle->n_anchors == 1 ? "root" : "roots", bundle->sha256);
    for (size_t i = 0; i < bundle->n_anchors; i++)
        print_root(p, i + 1, &bundle->anchors[i]);
    for (size_t i = 0; i < bundle->n_skipped; i++)
        fprintf(p->out, "   skipped %s\n           %s is not supported by this device\n",
                bundle->skipped[i].subject, bundle->skipped[i].unsupported);
}

void hf_status_print_text(FILE *out, const struct hf_status_view *view)
{
    const struct printer p = {out, colours_of(out), view};
    const struct hf_status *s = &view->status;

    print_device(&p);
    print_identity(&p);
    print_client_cert(&p);
    print_reports(&p);
    for (size_t i = 0; i < s->n_endpoints; i++)
        print_endpoint(&p, &s->endpoints[i]);
    for (size_t i = 0; i < s->n_warnings; i++) {
        const struct hf_warning *w = &s->warnings[i];
        fprintf(out, "%s%-12s%s ", w->is_note ? p.c.off : p.c.yellow,
                w->is_note ? "note" : "warning", p.c.off);
        if (w->threshold_days > 0)
            fprintf(out, "(%d days) ", w->threshold_days);
        fprintf(out, "%s\n", w->text);
    }
    print_role(&p, "root", &s->root);
    print_role(&p, "timestamp", &s->timestamp);
    print_role(&p, "snapshot", &s->snapshot);
    print_role(&p, "targets", &s->targets);
    print_bundle(&p, "active", &s->active, "; run holdfast update");
    print_bundle(&p, "previous", &s->previous, "");
}
