/*
 * What is reported, and when. Each event that the operator of a fleet wants to know of becomes a
 * report in the same transaction, so that it is there if and only if the event is. Numbers only
 * rise, and a report keeps its content under its number.
 */
#include "client/core/report.h"

#include "common/base/plaintext.h"
#include "common/base/timetext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the queue ------------------------------------------------------------------------------- */

struct queue {
    size_t n;
    int64_t oldest;
    int64_t oldest_outdated; /* of those that a newer one outdates; 0: none */
};

static void look_at(void *ctx, int64_t seq, struct hf_bytes json)
{
    struct queue *queue = ctx;
    struct hf_report *report = NULL;
    size_t n = 0;

    if (queue->n++ == 0)
        queue->oldest = seq;
    if (queue->oldest_outdated > 0 || hf_report_list_read(json, &report, &n, NULL) != HF_OK)
        return;
    if (report[0].kind == HF_REPORT_CURRENT || report[0].kind == HF_REPORT_HELD)
        queue->oldest_outdated = seq;
    free(report);
}

/* The oldest `current` or `held` goes first, because a newer one says as much, and an online key or
 * the network can make the device wait for another reason at each check; then the oldest of all. */
static enum hf_err make_room(struct hf_client *c, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    struct queue queue = {0};

    HF_TRY(store->load_reports(store->ctx, look_at, &queue, why));
    if (queue.n < HF_REPORT_QUEUE_MAX)
        return HF_OK;
    return store->remove_report(store->ctx,
                                queue.oldest_outdated > 0 ? queue.oldest_outdated : queue.oldest,
                                why);
}

static enum hf_err append(struct hf_client *c, const struct hf_report *report, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    struct hf_buf json = {0};

    HF_TRY(make_room(c, why));
    enum hf_err err = hf_report_write(report, &json, why);
    if (err == HF_OK)
        err = store->append_report(store->ctx, report->seq, hf_buf_bytes(&json), why);
    hf_buf_free(&json);
    return err;
}

/* ---- one report ------------------------------------------------------------------------------ */

static void set_text(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text != NULL ? text : "");
    hf_text_sanitize(out); /* it may be cut within a character */
}

/* 128 random bits, once: two devices that report under one name are told apart by it. */
static void make_installation(struct hf_client *c)
{
    uint8_t random[(HF_REPORT_INSTALLATION_SIZE - 1) / 2];

    if (c->state.report.installation[0] != '\0')
        return;
    c->ports.random.fill(c->ports.random.ctx, random, sizeof random);
    hf_hex_encode(random, sizeof random, c->state.report.installation);
}

static void describe(struct hf_client *c, const struct hf_report_event *event,
                     struct hf_report *out)
{
    char subject[HF_DN_TEXT_MAX];

    *out = HF_REPORT_NOTHING;
    out->kind = event->kind;
    out->seq = c->state.report.seq + 1;
    memcpy(out->installation, c->state.report.installation, sizeof out->installation);
    memcpy(out->device, c->device_id, sizeof out->device);
    memcpy(out->set, c->set, sizeof out->set);
    memcpy(out->profile, c->profile, sizeof out->profile);
    out->from = event->from;
    out->to = event->to;
    set_text(out->sha256, sizeof out->sha256, event->sha256);
    set_text(out->text, sizeof out->text, event->text);
    set_text(out->outcome, sizeof out->outcome, hf_err_name(event->outcome));
    if (event->missing != NULL) {
        set_text(out->endpoint, sizeof out->endpoint, event->missing->endpoint);
        set_text(out->root, sizeof out->root, event->missing->spki_sha256);
        set_text(out->root_name, sizeof out->root_name, event->missing->subject);
    }
    if (event->kind == HF_REPORT_CURRENT || event->kind == HF_REPORT_CONFIRMED) {
        int64_t end_s = hf_schedule_first_end_s(c, subject);
        out->next_expiry_s = end_s == INT64_MAX ? HF_TIME_NONE : end_s;
    }
    out->clock_s = hf_client_clock_s(c);
    set_text(out->agent, sizeof out->agent, HF_VERSION);
    memcpy(out->groups, c->groups, sizeof out->groups);
    out->n_groups = c->n_groups;
}

/* Days begin at another time for each device, so that a fleet does not report at once. A clock that
 * was put back by more than a day makes one more. */
static bool is_new_day(const struct hf_client *c, int64_t *day)
{
    const struct hf_report_state *s = &c->state.report;
    uint8_t random[2] = {0};
    char text[5] = "";

    memcpy(text, s->installation, sizeof text - 1);
    if (!hf_hex_decode(text, random, sizeof random))
        memset(random, 0, sizeof random); /* there is none yet */
    *day = (hf_client_now_s(c) + (random[0] << 8 | random[1]) * HF_DAY_S / 65536) / HF_DAY_S;
    return *day > s->current_day || *day < s->current_day - 1;
}

void hf_report_note(struct hf_client *c, const struct hf_report_event *event)
{
    struct hf_report report;
    struct hf_why why = {0};

    if (!c->reporter.is_on)
        return;
    make_installation(c);
    describe(c, event, &report);
    if (append(c, &report, &why) == HF_OK) {
        c->state.report.seq = report.seq;
        if (report.next_expiry_s != HF_TIME_NONE) /* it says what `current` would */
            (void)is_new_day(c, &c->state.report.current_day);
    } else {
        hf_log(c, HF_LEVEL_WARNING, "a report to the fleet service is left out: %s", why.text);
    }
}

/* ---- about a check --------------------------------------------------------------------------- */

static enum hf_report_kind kind_of_failure(enum hf_err outcome, const struct hf_candidate *cand)
{
    if (outcome == HF_E_POSTPONED)
        return HF_REPORT_HELD;
    return outcome == HF_E_POLICY && cand->missing.endpoint[0] != '\0' ? HF_REPORT_REFUSED
                                                                       : HF_REPORT_FAILED;
}

/* "" before the first one. */
static bool has_last_check_failed(const struct hf_client *c)
{
    return c->state.check_outcome[0] != '\0' &&
           strcmp(c->state.check_outcome, hf_err_name(HF_OK)) != 0;
}

void hf_report_note_check(struct hf_client *c, const struct hf_candidate *cand, enum hf_err outcome,
                          const struct hf_update_result *result, const char *text, bool is_news)
{
    const bool has_recovered = c->reporter.has_recovered;
    const bool has_lost = result->lost[0] != '\0';
    const bool has_failed_before = has_last_check_failed(c);
    struct hf_report_event event = {.kind = HF_REPORT_CURRENT,
                                    .from = -1,
                                    .to = -1,
                                    .outcome = outcome};
    int64_t day = 0;

    c->reporter.has_recovered = false;
    if (!c->reporter.is_on)
        return;
    make_installation(c);
    const bool is_due = is_new_day(c, &day);
    if (outcome != HF_OK) {
        if (!is_news && !is_due)
            return;
        event.kind = kind_of_failure(outcome, cand);
        event.from = cand->active.sha256[0] != '\0' ? cand->active.version : -1;
        event.to = cand->target != NULL     ? cand->description.version
                   : cand->held.version > 0 ? cand->held.version
                                            : -1;
        event.sha256 = cand->record.sha256;
        event.text = text;
        event.missing = &cand->missing;
    } else {
        /* A change is reported already. */
        if (!has_recovered && !has_lost && (result->is_changed || !(is_due || has_failed_before)))
            return;
        event.kind = has_recovered ? HF_REPORT_RECOVERED : HF_REPORT_CURRENT;
        event.to = result->to_version;
        event.sha256 = cand->is_active ? cand->active.sha256 : cand->record.sha256;
        event.text = has_lost ? result->lost : NULL;
    }
    hf_report_note(c, &event);
    c->state.report.current_day = day; /* also if it has no such date */
}

static void take_number(void *ctx, int64_t seq, struct hf_bytes json)
{
    (void)json;
    *(int64_t *)ctx = seq;
}

enum hf_err hf_report_forget(struct hf_client *c, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    int64_t seq = 0;

    c->state.report.installation[0] = '\0';
    c->state.report.seq = 0;
    c->state.report.current_day = -1;
    while (store->load_reports != NULL) {
        seq = 0;
        HF_TRY(store->load_reports(store->ctx, take_number, &seq, why));
        if (seq == 0)
            break;
        HF_TRY(store->remove_report(store->ctx, seq, why));
    }
    return HF_OK;
}

enum hf_err hf_client_note_current(struct hf_client *client, struct hf_why *why)
{
    struct hf_bundle_record active = {0};
    struct hf_report_event event = {.kind = HF_REPORT_CURRENT, .from = -1, .to = -1};
    struct hf_why own = {0};

    if (!client->reporter.is_on)
        return HF_OK;
    hf_state_load(client);
    enum hf_err err = hf_bundle_load(client, HF_SLOT_ACTIVE, &active, &own);
    if (err == HF_OK) {
        event.to = active.version;
        event.sha256 = active.sha256;
        if (has_last_check_failed(client)) { /* not as if all were well */
            event.outcome = HF_E_STATE;
            event.text = client->state.check_text;
        }
    } else {
        event.outcome = err;
        event.text = own.text;
    }
    err = hf_state_begin(client, &own);
    if (err == HF_OK) {
        hf_report_note(client, &event);
        err = hf_state_end(client, HF_OK, &own);
    }
    hf_bundle_record_free(&active);
    return hf_pass_on(why, &own, err);
}
