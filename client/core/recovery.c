/*
 * The way home when no server's chain validates any more: the rest of one check goes without it. That
 * is all it waives. Metadata, versions, expiry and hashes are judged where they always are
 * (common/tuf/trusted_set.c), which knows nothing of this.
 *
 * An update server that cannot be authenticated any more is recognised by time: a captive portal or an
 * attacker on the network may fail one handshake, or many in an hour. What counts is the time that this device was
 * up, so that no clock that jumps makes it shorter; a device without such a clock (hf_clock_port) counts
 * none. One that wakes, checks and goes off again is hardly ever up; there it is starts that count.
 */
#include "client/core/bundles.h"
#include "client/core/refresh.h"
#include "client/core/update.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILURES "recovery.failures"
#define LAST "recovery.last"

/* The checks in a row in which a server's chain did not validate, stored as "CHECKS UP_MS UPTIME_MS
 * WAIVED STARTS", or empty. Before there was the last it had four. */
struct row {
    int64_t n_checks;
    int64_t up_ms;          /* of own uptime, from the first of them to the last */
    int64_t last_uptime_ms; /* at the last */
    int64_t n_waived;       /* of them, how many went on without validating */
    int64_t n_starts;       /* of the device, seen in between */
};
#define NUMBER_MAX (INT64_C(1) << 53) /* more than a device lives, in milliseconds */

/* ---- the row, as stored ---------------------------------------------------------------------- */

static bool parse(const char *text, struct row *out)
{
    int64_t n[5] = {0};
    const char *rest = hf_integers_parse(text, n, 4);

    if (rest != NULL && *rest == ' ')
        rest = hf_integers_parse(rest + 1, &n[4], 1);
    if (rest == NULL || *rest != '\0')
        return false;
    for (size_t i = 0; i < 5; i++) {
        if (n[i] > NUMBER_MAX)
            return false;
    }
    *out = (struct row){n[0], n[1], n[2], n[3], n[4]};
    return true;
}

/* What cannot be read counts as none: it only makes the wait longer. */
static struct row load(struct hf_client *c)
{
    struct row row = {0};
    struct hf_buf text = {0};
    struct hf_why why = {0};

    if (hf_value_load(c, FAILURES, &text, &why) != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "how often validation failed cannot be read: %s", why.text);
    else if (text.len > 0 && !parse((const char *)text.data, &row))
        hf_log(c, HF_LEVEL_WARNING, "expected five numbers in \"%s\", found \"%s\"", FAILURES,
               (const char *)text.data);
    hf_buf_free(&text);
    return row;
}

static void write_value(struct hf_client *c, const char *name, const char *value)
{
    struct hf_why why = {0};
    if (hf_value_change(c, name, value, &why) != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "the state of the recovery cannot be written: %s", why.text);
}

static void save(struct hf_client *c, const struct row *row)
{
    char text[120];
    (void)snprintf(text, sizeof text, "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64,
                   row->n_checks, row->up_ms, row->last_uptime_ms, row->n_waived, row->n_starts);
    write_value(c, FAILURES, text);
}

/* ---- does it begin? -------------------------------------------------------------------------- */

/* After a restart the uptime starts again: what lay between the last check and that is lost. A start is
 * seen when there is less uptime than at the last check. That misses some, which only makes it longer. */
static void count(const struct hf_client *c, struct row *row)
{
    int64_t now_ms = hf_client_uptime_ms(c);
    bool is_started = row->n_checks > 0 && now_ms < row->last_uptime_ms;

    if (row->n_checks > 0)
        row->up_ms += is_started ? now_ms : now_ms - row->last_uptime_ms;
    row->n_starts += is_started;
    row->last_uptime_ms = now_ms;
    row->n_checks++;
}

static bool is_untrusted(const struct hf_client *c, size_t mirror)
{
    return (c->faults[mirror].now & (UINT32_C(1) << HF_E_UNTRUSTED)) != 0;
}

/* The first of the servers whose chain did not validate in this check; NULL for none. Another mirror
 * that answers with rubbish, and thereby names the refusal, cannot hide it. */
static const char *untrusted_server(const struct hf_client *c)
{
    for (size_t i = 0; i < c->n_urls; i++) {
        if (is_untrusted(c, i))
            return c->urls[i];
    }
    return NULL;
}

static size_t count_usable(struct hf_client *c, const struct hf_bundle_record *record)
{
    struct hf_bundle bundle = {0};
    struct hf_why why = {0};

    if (hf_bundle_in_use(c, record, &bundle, &why) != HF_OK)
        return 0;
    size_t n = hf_bundle_count_usable(&bundle, hf_client_now_s(c));
    hf_bundle_free(&bundle);
    return n;
}

/* The live store is made of the active bundle or, where that cannot be read, of the previous one. */
static bool has_usable_anchor(struct hf_client *c)
{
    const struct hf_transport_port *transport = &c->ports.transport;
    struct hf_bundle_record record = {0};
    struct hf_why why = {0};

    if (transport->has_anchor != NULL && transport->has_anchor(transport->ctx))
        return true;
    enum hf_err err = hf_bundle_load(c, HF_SLOT_ACTIVE, &record, &why);
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        err = hf_bundle_load(c, HF_SLOT_PREVIOUS, &record, &why);
    bool has_one = err == HF_OK && count_usable(c, &record) > 0;
    hf_bundle_record_free(&record);
    return has_one;
}

static bool is_long_enough(const struct row *row)
{
    return row->n_checks >= HF_RECOVERY_FAILURES &&
           (row->up_ms >= HF_RECOVERY_AFTER_S * 1000 || row->n_starts >= HF_RECOVERY_STARTS);
}

/* ---- what is said of it ---------------------------------------------------------------------- */

/* The same line, check after check, would push everything else out of the journal. */
static void tell(struct hf_client *c, bool is_news, enum hf_level level, const char *text)
{
    struct hf_why why = {0};

    if (!is_news)
        hf_log(c, level, "%s", text);
    else if (hf_journal(c, level, "recovery", text, &why) != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "the journal cannot be written: %s", why.text);
}

static void announce(struct hf_client *c, const struct row *row, bool has_anchor,
                     const struct hf_why *refusal)
{
    bool is_by_starts = row->n_starts >= HF_RECOVERY_STARTS;
    char cause[96] = "no trust anchor of this device is usable any more";
    struct hf_why line;

    if (has_anchor)
        (void)snprintf(cause, sizeof cause,
                       "%" PRId64 " checks in a row, over %" PRId64 " %s, did not validate it",
                       row->n_checks, is_by_starts ? row->n_starts : row->up_ms / 3600000,
                       is_by_starts ? "starts" : "hours");
    (void)
        hf_fail(&line, HF_OK,
                "recovery: this check continues without validating the chain of %.100s, since %s; "
                "signatures, versions, expiry and hashes of what it sends are still checked "
                "(%.250s)",
                untrusted_server(c), cause, refusal->text);
    tell(c, row->n_waived == 1, HF_LEVEL_WARNING, line.text);
}

/* ---- one check ------------------------------------------------------------------------------- */

bool hf_recovery_begins(struct hf_client *c, enum hf_err err, const struct hf_why *why)
{
    if (err == HF_OK) {
        write_value(c, FAILURES, "");
        return false;
    }
    if (!hf_mirror_is_to_blame(err) || untrusted_server(c) == NULL)
        return false;
    struct row row = load(c);
    bool has_anchor = has_usable_anchor(c);
    count(c, &row);
    bool begins = !has_anchor || is_long_enough(&row);
    row.n_waived += begins;
    save(c, &row);
    if (!begins)
        return false;
    announce(c, &row, has_anchor, why);
    c->waives_validation = true;
    c->check_began_ms = row.last_uptime_ms; /* the time that is spent is not this one's */
    return true;
}

/* "TIME_S helped" or "TIME_S failed". */
static bool ended_like_the_last(struct hf_client *c, const char *outcome)
{
    struct hf_buf last = {0};
    struct hf_why why = {0};

    if (hf_value_load(c, LAST, &last, &why) != HF_OK)
        return false;
    const char *space = strchr((const char *)last.data, ' ');
    bool is_same = space != NULL && strcmp(space + 1, outcome) == 0;
    hf_buf_free(&last);
    return is_same;
}

enum hf_err hf_recovery_end(struct hf_client *c, enum hf_err err, const struct hf_why *first,
                            struct hf_why *why)
{
    const char *outcome = err == HF_OK ? "helped" : "failed";
    bool is_news = load(c).n_waived == 1 || !ended_like_the_last(c, outcome);
    char last[48];

    (void)snprintf(last, sizeof last, "%" PRId64 " %s", hf_client_now_s(c), outcome);
    write_value(c, LAST, last);
    if (err == HF_OK) {
        tell(c, is_news, HF_LEVEL_INFO,
             "recovery helped: the metadata is up to date, by its signatures");
        return HF_OK;
    }
    (void)hf_fail(why, err, "%.290s; recovery did not help either: %.290s", first->text, why->text);
    tell(c, is_news, HF_LEVEL_WARNING, why->text);
    return err;
}

/* ---- status ---------------------------------------------------------------------------------- */

enum hf_err hf_recovery_describe(struct hf_client *c, struct hf_status *out, struct hf_why *why)
{
    struct hf_buf last = {0};
    char *outcome = NULL;

    out->failed_validations = load(c).n_checks;
    HF_TRY(hf_value_load(c, LAST, &last, why));
    long long time_s = strtoll((const char *)last.data, &outcome, 10);
    if (*outcome == ' ') {
        out->last_recovery_s = time_s;
        out->has_recovered = strcmp(outcome, " helped") == 0;
    }
    hf_buf_free(&last);
    return HF_OK;
}
