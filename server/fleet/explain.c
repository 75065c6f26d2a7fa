#include "server/fleet/explain.h"

#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S INT64_C(86400)

const char *hf_verdict_name(enum hf_verdict verdict)
{
    switch (verdict) {
    case HF_VERDICT_OK:
        return "ok";
    case HF_VERDICT_NOTE:
        return "note";
    case HF_VERDICT_PROBLEM:
        return "problem";
    }
    return "problem";
}

__attribute__((format(printf, 4, 5))) static void
state(struct hf_statement *s, enum hf_verdict verdict, const char *advice, const char *format, ...)
{
    va_list args;

    s->verdict = verdict;
    s->advice = advice;
    va_start(args, format);
    (void)vsnprintf(s->text, sizeof s->text, format, args);
    va_end(args);
}

/* A time in a sentence. */
struct when {
    char text[HF_TIME_TEXT_MAX];
};

static struct when at(int64_t time_s)
{
    struct when when = {0};

    hf_time_format(time_s, when.text);
    return when;
}

/* ---- may it connect? ------------------------------------------------------------------------- */

static void check_certificate(const struct hf_explain_facts *f, struct hf_statement *s)
{
    const struct hf_credential *c = f->credential;

    if (c == NULL && f->has_report_key)
        state(s, HF_VERDICT_OK, "", "It has no certificate; a key for its reports is registered.");
    else if (c == NULL)
        state(s, HF_VERDICT_PROBLEM,
              "Enrol it (`holdfast-admin enroll-token create`), or register its certificate "
              "(`holdfast-admin credential register --device`).",
              "It has no certificate, so the service cannot tell which reports are its own.");
    else if (c->status != HF_CERT_ACTIVE)
        state(s, HF_VERDICT_PROBLEM,
              "If you trust the device, activate its certificate (`holdfast-admin credential "
              "activate`), or enrol it again if the certificate is REVOKED.",
              "None of its certificates is ACTIVE; the newest one is %s. The service refuses the "
              "device.",
              hf_cert_status_name(c->status));
    else if (c->not_after_s < f->now_s)
        state(s, HF_VERDICT_PROBLEM, "Enrol it again (`holdfast-admin enroll-token create`).",
              "Its certificate expired at %s. The service refuses the device.",
              at(c->not_after_s).text);
    else if (c->not_before_s > f->now_s)
        state(
            s, HF_VERDICT_PROBLEM,
            "Check the clocks of the service and of the CA that issued the certificate.",
            "Its certificate is valid only from %s on. The service refuses the device until then.",
            at(c->not_before_s).text);
    else if (c->not_after_s - f->now_s < HF_EXPLAIN_CERTIFICATE_ENDS_S)
        state(s, HF_VERDICT_NOTE,
              "Ask for its rotation (`holdfast-admin credential request-rotation`), or enrol it "
              "again.",
              "Its certificate is ACTIVE, and expires at %s.", at(c->not_after_s).text);
    else
        state(s, HF_VERDICT_OK, "", "Its certificate is ACTIVE until %s.", at(c->not_after_s).text);
}

static void check_contact(const struct hf_explain_facts *f, struct hf_statement *s)
{
    const struct hf_credential *c = f->credential;
    const int64_t seen_s = f->device->state.seen_s;

    if (seen_s == 0)
        state(s, HF_VERDICT_PROBLEM,
              "Check on the device that reports are on (`holdfast config set report=service`) and "
              "what `holdfast status` says of them.",
              "It has never reported. It was registered at %s.",
              at(f->device->device.created_s).text);
    else if (f->now_s - seen_s > HF_EXPLAIN_SILENT_S)
        state(s, HF_VERDICT_PROBLEM,
              "Check that it is switched on and reaches the service, and what `holdfast status` "
              "says on the device.",
              "It has been silent since %s; a device reports at least once a day.",
              at(seen_s).text);
    else if (c != NULL && c->status == HF_CERT_ACTIVE && seen_s < c->created_s)
        state(s, HF_VERDICT_NOTE,
              "If it stays so for a day, check on the device that the new certificate arrived.",
              "Its last report of %s is older than its certificate, registered at %s.",
              at(seen_s).text, at(c->created_s).text);
    else
        state(s, HF_VERDICT_OK, "", "It reported last at %s.", at(seen_s).text);
}

static void check_conflict(const struct hf_explain_facts *f, struct hf_statement *s)
{
    const struct hf_device_state *d = &f->device->state;

    if (d->conflicts == 0)
        state(s, HF_VERDICT_OK, "", "No other device has reported under its name.");
    else if (d->conflict_s < d->seen_s && f->now_s - d->conflict_s > HF_EXPLAIN_SILENT_S)
        state(s, HF_VERDICT_NOTE, "",
              "Reports of another installation under its name were refused, the last at %s.",
              at(d->conflict_s).text);
    else
        state(s, HF_VERDICT_PROBLEM,
              "If the device was set up again, enrol it. Otherwise look for a copy of it, and "
              "revoke its certificate (`holdfast-admin credential revoke`).",
              "Another device or installation reports under its name; %" PRId64 " such requests "
              "were refused, the last at %s. What is shown here may be of either one.",
              d->conflicts, at(d->conflict_s).text);
}

static void check_clock(const struct hf_explain_facts *f, struct hf_statement *s)
{
    const struct hf_device_state *d = &f->device->state;
    const long long off_s = llabs((long long)d->clock_offset_s);
    const char *way = d->clock_offset_s < 0 ? "behind" : "ahead of";

    if (d->seen_s == 0)
        state(s, HF_VERDICT_NOTE, "", "Its clock is unknown: it has not reported.");
    else if (off_s >= HF_EXPLAIN_CLOCK_WRONG_S)
        state(s, HF_VERDICT_PROBLEM,
              "Set its clock, and check its battery and its time service. With a wrong clock "
              "certificates and metadata look expired or not yet valid.",
              "Its clock was %lld seconds (%lld days) %s the service's when it reported.", off_s,
              off_s / DAY_S, way);
    else
        state(s, HF_VERDICT_OK, "", "Its clock was %lld seconds %s the service's.", off_s, way);
}

/* ---- what does it do? ------------------------------------------------------------------------ */

/* Has the device the newest bundle that it can have? */
static bool is_newest(const struct hf_explain_facts *f)
{
    return f->published > 0 && f->device->state.active_version >= f->published;
}

/* What each kind of result means for the device that has not gone on since. */
static const struct {
    const char *kind;
    enum hf_verdict verdict;
    const char *what; /* it did with the bundle */
    const char *advice;
} results[] = {
    {"refused", HF_VERDICT_PROBLEM, "refused the bundle",
     "Publish a bundle that holds the root of that endpoint, move the endpoint to a root that the "
     "bundle holds, or remove the endpoint from the device's list."},
    {"rolled-back", HF_VERDICT_PROBLEM,
     "rolled back: an endpoint or the application failed with "
     "the bundle",
     "Find out what failed with the bundle; the device takes a newer version, not this one again."},
    {"failed", HF_VERDICT_PROBLEM, "could not update",
     "Solve what the reason says; the device tries again at its next check."},
    {"held", HF_VERDICT_PROBLEM, "waits with the bundle",
     "It goes on by itself when its turn comes or its endpoints answer; if it does not, check that "
     "its endpoints can be reached."},
    {"announce", HF_VERDICT_NOTE, "is about to install the bundle",
     "If nothing follows within an hour, the device stopped while it installed: check it."},
    {"swapped", HF_VERDICT_NOTE, "tries the bundle out",
     "It confirms the bundle or rolls back when the trial ends."},
    {"confirmed", HF_VERDICT_OK, "confirmed the bundle", ""},
    {"current", HF_VERDICT_OK, "checked without a failure", ""},
    {"recovered", HF_VERDICT_OK, "recovered, and validates servers again", ""},
};

/* One more sentence, of the device's own words. */
static void add(struct hf_statement *s, const char *before, const char *text)
{
    const size_t len = strlen(s->text), text_len = strlen(text);

    if (text_len > 0)
        (void)snprintf(s->text + len, sizeof s->text - len, " %s%s%s", before, text,
                       text[text_len - 1] == '.' ? "" : ".");
}

static void describe_result(const struct hf_explain_facts *f, const char *what,
                            struct hf_statement *s)
{
    const struct hf_device_state *d = &f->device->state;
    char version[32] = "", root[HF_REPORT_ROOT_NAME_MAX + HF_SHA256_HEX_LEN + 8] = "";

    if (d->result_version >= 0)
        (void)snprintf(version, sizeof version, " (version %" PRId64 ")", d->result_version);
    state(s, s->verdict, s->advice, "At %s it %s%s.", at(d->result_s).text, what, version);
    if (s->verdict != HF_VERDICT_PROBLEM)
        return;
    add(s, "Reason: ", d->reason);
    if (f->result == NULL)
        return;
    const struct hf_report *report = &f->result->report;
    add(s, "Endpoint: ", report->endpoint);
    if (report->root[0] != '\0')
        (void)snprintf(root, sizeof root, "%s (key %s)", report->root_name, report->root);
    add(s, "Missing root: ", root);
}

static void check_result(const struct hf_explain_facts *f, struct hf_statement *s)
{
    const struct hf_device_state *d = &f->device->state;

    if (d->result[0] == '\0') {
        state(s, HF_VERDICT_OK, "", "It has reported no update and no failure.");
        return;
    }
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        if (strcmp(results[i].kind, d->result) != 0)
            continue;
        s->verdict = results[i].verdict;
        s->advice = results[i].advice;
        describe_result(f, results[i].what, s);
        if (s->verdict == HF_VERDICT_PROBLEM && is_newest(f)) {
            s->verdict = HF_VERDICT_NOTE; /* it went on since, or has nothing to go on to */
            s->advice = "";
        }
        return;
    }
    state(s, HF_VERDICT_NOTE,
          "Update the service: the device has a newer agent, whose reports say more.",
          "Its last result is \"%s\", which this service does not know.", d->result);
}

static void check_version(const struct hf_explain_facts *f, struct hf_statement *s)
{
    const struct hf_device_state *d = &f->device->state;

    if (d->active_version < 0)
        state(s, HF_VERDICT_PROBLEM, "See what keeps it from reporting.",
              "Which bundle it uses is unknown.");
    else if (f->published < 0)
        state(s, HF_VERDICT_NOTE,
              "Check what the service says of its repository (`holdfast-admin "
              "status`).",
              "It uses version %" PRId64 " of %s/%s. The service serves no repository now, so what "
              "is the newest is unknown.",
              d->active_version, d->set, d->profile);
    else if (f->published == 0)
        state(
            s, HF_VERDICT_PROBLEM,
            "Publish such a bundle, or correct the set and profile in the device's configuration.",
            "It uses version %" PRId64 " of %s/%s, and no bundle of this set and profile is "
            "published.",
            d->active_version, d->set, d->profile);
    else if (d->active_version < f->published)
        state(s, HF_VERDICT_PROBLEM,
              "If no other statement explains it, the device has not checked since, or its mirror "
              "holds old metadata: run `holdfast update` on it, and compare its repository URL.",
              "It uses version %" PRId64 " of %s/%s; version %" PRId64 " is published.",
              d->active_version, d->set, d->profile, f->published);
    else if (d->active_version > f->published)
        state(s, HF_VERDICT_NOTE, "Check that the service serves the newest repository.",
              "It uses version %" PRId64 " of %s/%s, newer than version %" PRId64
              ", which is published here.",
              d->active_version, d->set, d->profile, f->published);
    else
        state(s, HF_VERDICT_OK, "", "It uses version %" PRId64 " of %s/%s, the newest one.",
              d->active_version, d->set, d->profile);
}

static void check_expiry(const struct hf_explain_facts *f, struct hf_statement *s)
{
    const int64_t expiry_s = f->device->state.next_expiry_s;

    if (expiry_s == 0)
        state(s, HF_VERDICT_OK, "", "It has not said when its root certificates expire.");
    else if (expiry_s < f->now_s)
        state(s, HF_VERDICT_NOTE, "Publish a bundle without that root certificate.",
              "A root certificate that it uses expired at %s.", at(expiry_s).text);
    else if (expiry_s - f->now_s < HF_EXPLAIN_ANCHOR_ENDS_S)
        state(s, HF_VERDICT_NOTE,
              "Check that the devices hold its successor (`holdfast-admin fleet show`).",
              "The first root certificate that it uses expires at %s.", at(expiry_s).text);
    else
        state(s, HF_VERDICT_OK, "", "None of its root certificates expires before %s.",
              at(expiry_s).text);
}

/* ---- all of them ----------------------------------------------------------------------------- */

void hf_explain(const struct hf_explain_facts *facts, struct hf_explanation *out)
{
    static const struct {
        const char *name;
        void (*check)(const struct hf_explain_facts *facts, struct hf_statement *out);
    } checks[HF_EXPLAIN_CHECKS] = {
        {"certificate", check_certificate}, {"contact", check_contact},
        {"conflict", check_conflict},       {"clock", check_clock},
        {"result", check_result},           {"version", check_version},
        {"expiry", check_expiry},
    };
    const struct hf_statement *version = NULL;

    out->cause = NULL;
    for (size_t i = 0; i < HF_EXPLAIN_CHECKS; i++) {
        struct hf_statement *s = &out->statements[i];
        s->check = checks[i].name;
        checks[i].check(facts, s);
        if (out->cause == NULL && s->verdict == HF_VERDICT_PROBLEM)
            out->cause = s;
        if (checks[i].check == check_version)
            version = s;
    }
    out->is_up_to_date = is_newest(facts);
    if (out->cause == NULL)
        out->cause = version;
}
