/*
 * The way home when no server's chain validates any more: the rest of one check goes on without
 * validating it. That is all it waives. Metadata, versions, expiry and hashes are judged where they
 * always are (common/tuf/trusted_set.c), which knows nothing of this.
 *
 * An update server that cannot be authenticated any more is recognised by time: a captive portal or
 * an attacker on the network may fail one handshake, or many in an hour. What counts is the time
 * that this device was up, so that no clock that jumps makes it shorter; a device without such a
 * clock (hf_clock_port) counts none. A device that wakes, checks and goes off again is hardly ever
 * up; its starts count instead.
 */
#include "client/core/refresh.h"
#include "client/core/update.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* After a restart the uptime starts again: what lay between the last check and that is lost. A
 * start is noticed by less uptime than at the last check. That misses some, which only makes it
 * longer. */
static void count(const struct hf_client *c, struct hf_validation_failures *f)
{
    int64_t now_ms = hf_client_uptime_ms(c);
    bool is_started = f->n_checks > 0 && now_ms < f->last_uptime_ms;

    if (f->n_checks > 0)
        f->up_ms += is_started ? now_ms : now_ms - f->last_uptime_ms;
    f->n_starts += is_started;
    f->last_uptime_ms = now_ms;
    f->n_checks++;
}

/* The first of the servers whose chain did not validate in this check; NULL for none. Another
 * mirror that answers with garbage, and thereby names the refusal, cannot hide it. */
static const char *untrusted_server(const struct hf_client *c)
{
    for (size_t i = 0; i < c->n_urls; i++) {
        if ((c->faults[i].now & (UINT32_C(1) << HF_E_UNTRUSTED)) != 0)
            return c->urls[i];
    }
    return NULL;
}

/* The active store is made of the active bundle or, if that cannot be read, of the previous one. */
static bool has_usable_anchor(struct hf_client *c)
{
    const struct hf_transport_port *transport = &c->ports.transport;
    struct hf_bundle bundle = {0};
    struct hf_why why = {0};

    if (transport->has_anchor != NULL && transport->has_anchor(transport->ctx))
        return true;
    enum hf_err err = hf_bundle_load_in_use(c, HF_SLOT_ACTIVE, &bundle, &why);
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        err = hf_bundle_load_in_use(c, HF_SLOT_PREVIOUS, &bundle, &why);
    bool has_one = err == HF_OK && hf_bundle_count_usable(&bundle, hf_client_now_s(c)) > 0;
    hf_bundle_free(&bundle);
    return has_one;
}

/* The same line, check after check, would push everything else out of the journal. */
static void report(struct hf_client *c, bool is_news, enum hf_level level, const char *text)
{
    if (is_news)
        hf_journal_or_log(c, level, "recovery", text);
    else
        hf_log(c, level, "%s", text);
}

bool hf_recovery_begins(struct hf_client *c, enum hf_err err, const struct hf_why *why)
{
    struct hf_validation_failures *f = &c->state.failures;
    const char *server = untrusted_server(c);
    char cause[96] = "no trust anchor of this device is usable any more";
    struct hf_why line;

    if (err == HF_OK)
        *f = (struct hf_validation_failures){0};
    if (err == HF_OK || !hf_mirror_is_to_blame(err) || server == NULL)
        return false;
    bool has_anchor = has_usable_anchor(c);
    count(c, f);
    bool is_by_starts = f->n_starts >= HF_RECOVERY_STARTS;
    bool is_long_enough = f->n_checks >= HF_RECOVERY_FAILURES &&
                          (f->up_ms >= HF_RECOVERY_AFTER_S * 1000 || is_by_starts);
    bool begins = !has_anchor || is_long_enough;
    if (!begins)
        return false;
    f->n_waived++;
    if (has_anchor)
        (void)snprintf(cause, sizeof cause,
                       "%" PRId64 " checks in a row, over %" PRId64 " %s, did not validate it",
                       f->n_checks, is_by_starts ? f->n_starts : f->up_ms / 3600000,
                       is_by_starts ? "starts" : "hours");
    (void)
        hf_fail(&line, HF_OK,
                "recovery: this check continues without validating the chain of %.100s, since %s; "
                "signatures, versions, expiry and hashes of what it sends are still checked "
                "(%.250s)",
                server, cause, why->text);
    report(c, f->n_waived == 1, HF_LEVEL_WARNING, line.text);
    c->waives_validation = true;
    c->check_began_ms = f->last_uptime_ms; /* the time that is spent is not this one's */
    return true;
}

enum hf_err hf_recovery_end(struct hf_client *c, enum hf_err err, const struct hf_why *first,
                            struct hf_why *why)
{
    struct hf_device_state *s = &c->state;
    const char *outcome = err == HF_OK ? "helped" : "failed";
    bool is_news = s->failures.n_waived == 1 || strcmp(s->last_recovery, outcome) != 0;

    s->last_recovery_s = hf_client_now_s(c);
    (void)snprintf(s->last_recovery, sizeof s->last_recovery, "%s", outcome);
    if (err == HF_OK) {
        c->reporter.has_recovered = is_news;
        report(c, is_news, HF_LEVEL_INFO,
               "recovery helped: the metadata is up to date, by its signatures");
        return HF_OK;
    }
    (void)hf_fail(why, err, "%.290s; recovery did not help either: %.290s", first->text, why->text);
    report(c, is_news, HF_LEVEL_WARNING, why->text);
    return err;
}
