/*
 * A candidate becomes the active bundle, and is on trial. The endpoints' evidence, or the
 * application, ends the trial either way; silence makes it longer, by a day at most where the
 * bundle before never reached the endpoint either. What counts is the time that this device is up,
 * so that neither a clock that jumps nor one that stands still ends a trial. A device that wakes,
 * checks and goes off again is hardly ever up; its starts count instead, as for the recovery.
 */
#include "client/core/report.h"

#include <stdio.h>
#include <string.h>

/* Without such a clock, the time between two checks counts, and not more. */
static int64_t trial_clock_ms(const struct hf_client *c)
{
    return c->ports.clock.uptime_ms != NULL ? hf_client_uptime_ms(c) : hf_client_now_s(c) * 1000;
}

static bool has_same_revoked(struct hf_client *c, const struct hf_description *d)
{
    struct hf_buf keys = {0};

    bool is_same = c->ports.store.load_revoked(c->ports.store.ctx, &keys, NULL) == HF_OK &&
                   hf_bytes_equal(hf_buf_bytes(&keys), hf_description_revoked(d));
    hf_buf_free(&keys);
    return is_same;
}

/* Nothing new. If new targets keys list what is active, they adopt it as their lowest version,
 * once, and what it revokes: a holder of stolen former keys may have signed another list. What they
 * do not list while their own bundle waits for its turn they do not adopt: its number may be the
 * attacker's, above all that can come. */
static enum hf_err keep_active(struct hf_client *c, struct hf_candidate *cand, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    /* Without a target the newest bundle was rejected or waits, and what an older one revoked
     * holds. */
    bool has_other_list = cand->target != NULL && !has_same_revoked(c, &cand->description);

    if (has_other_list || (cand->has_new_keys && cand->target != NULL)) {
        HF_TRY(hf_state_begin(c, why));
        hf_candidate_raise_limits(cand, cand->active.version);
        HF_TRY(hf_state_end(c,
                            store->save_revoked(store->ctx,
                                                hf_description_revoked(&cand->description), why),
                            why));
    }
    if (has_other_list)
        c->loaded_version = -1; /* to be made again */
    /* Another process, or an update whose swap failed, may have changed it since. */
    return hf_active_store_follow(c, &cand->active, why);
}

/* Old or new, never between: the bundle, the version it forbids from now on, and the line about
 * it. */
static enum hf_err commit_new(struct hf_client *c, struct hf_candidate *cand, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    const struct hf_bundle_record *new = &cand->record;
    struct hf_trial *trial = &c->state.trial;
    /* A version that follows one on trial: the confirmed one stays what the device rolls back
     * to. */
    const bool is_active_on_trial = trial->version >= 0;
    const size_t n = cand->bundle.n_anchors;
    char from[24] = "none", text[HF_WHY_MAX];

    if (cand->has_active)
        (void)snprintf(from, sizeof from, "%lld", (long long)cand->active.version);
    (void)snprintf(text, sizeof text, "updated %s/%s %s -> %lld, %zu anchor%s%s", new->set,
                   new->profile, from, (long long)new->version, n, n == 1 ? "" : "s",
                   c->waives_validation ? ", recovered" : "");
    HF_TRY(hf_state_begin(c, why));
    enum hf_err err = store->stage_bundle(store->ctx, new, why);
    if (err == HF_OK)
        err = store->activate_staged(store->ctx, is_active_on_trial, why);
    if (err == HF_OK)
        err = store->save_revoked(store->ctx, hf_description_revoked(&cand->description), why);
    if (err == HF_OK)
        err = hf_journal_skipped(c, &cand->bundle, why);
    if (err == HF_OK)
        err = hf_journal(c, HF_LEVEL_INFO, "swap", text, why);
    hf_candidate_raise_limits(cand, new->version);
    *trial = (struct hf_trial){.version = -1};
    if ((cand->has_active || is_active_on_trial) && !cand->is_active_of_former_keys)
        *trial = (struct hf_trial){.version = new->version, .last_uptime_ms = trial_clock_ms(c)};
    /* Without a trial there is nothing that would confirm it later. */
    const struct hf_report_event event = {.kind = trial->version >= 0 ? HF_REPORT_SWAPPED
                                                                      : HF_REPORT_CONFIRMED,
                                          .from = cand->has_active ? cand->active.version : -1,
                                          .to = new->version,
                                          .sha256 = new->sha256,
                                          .text = text};
    if (err == HF_OK)
        hf_report_note(c, &event);
    return hf_state_end(c, err, why);
}

enum hf_err hf_activate(struct hf_client *c, struct hf_candidate *cand, struct hf_why *why)
{
    if (cand->is_active)
        return keep_active(c, cand, why);
    hf_buf_free(&cand->active.pem); /* read for the last time, and as large as the new one */
    HF_TRY(commit_new(c, cand, why));
    enum hf_err err = hf_active_store_swap(c, &cand->record, &cand->bundle, why);
    if (err != HF_OK)
        (void)hf_fail_context(why,
                              "version %lld is committed, but running connections still use the "
                              "anchors of before; the next update or start loads it",
                              (long long)cand->record.version);
    return err;
}

static enum hf_err confirm(struct hf_client *c, const char *reason, struct hf_why *why)
{
    char text[HF_WHY_MAX];

    (void)snprintf(text, sizeof text, "confirmed %s/%s %lld: %s", c->set, c->profile,
                   (long long)c->state.trial.version, reason);
    const struct hf_report_event event = {.kind = HF_REPORT_CONFIRMED,
                                          .from = -1,
                                          .to = c->state.trial.version,
                                          .sha256 = c->loaded_version == c->state.trial.version
                                                        ? c->loaded_sha256
                                                        : NULL,
                                          .text = text};
    HF_TRY(hf_state_begin(c, why));
    c->state.trial = (struct hf_trial){.version = -1};
    enum hf_err err = hf_journal(c, HF_LEVEL_INFO, "confirmed", text, why);
    if (err == HF_OK)
        hf_report_note(c, &event);
    return hf_state_end(c, err, why);
}

/* Never take the version that is active again, as long as root names the same targets keys. */
static enum hf_err reject_active(struct hf_client *c, struct hf_why *why)
{
    struct hf_bundle_record active = {0};

    HF_TRY(c->ports.store.load_bundle(c->ports.store.ctx, HF_SLOT_ACTIVE, &active, why));
    struct hf_version_limits *limits = hf_state_limits_of(c, active.set, active.profile);
    if (limits->is_unread) { /* a version whose rejection is not kept would come back */
        hf_bundle_record_free(&active);
        return hf_fail(why, limits->fault, "%s", limits->fault_text);
    }
    /* The oldest one makes room: the lowest version is long above it. */
    if (limits->n_rejected == HF_REJECTED_MAX)
        memmove(limits->rejected, limits->rejected + 1,
                --limits->n_rejected * sizeof limits->rejected[0]);
    limits->rejected[limits->n_rejected++] = active.version;
    hf_bundle_record_free(&active);
    return HF_OK;
}

/* To the previous bundle as it would be used: without what was revoked since. HF_E_STATE if that
 * leaves nothing. `missing` is why, NULL: the application says so. */
static enum hf_err roll_back(struct hf_client *c, const char *reason,
                             const struct hf_missing_root *missing, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    const int64_t version = c->state.trial.version;
    struct hf_bundle_record record = {0};
    struct hf_bundle previous = {0};
    char text[HF_WHY_MAX];

    enum hf_err err = hf_bundle_load(c, HF_SLOT_PREVIOUS, &record, why);
    if (err == HF_E_NOT_FOUND)
        return hf_fail(why, HF_E_STATE, "there is no bundle before version %lld to go back to",
                       (long long)version);
    if (err == HF_OK)
        err = hf_bundle_in_use(c, &record, &previous, why);
    if (err == HF_OK && hf_bundle_count_usable(&previous, hf_client_now_s(c)) == 0)
        err = hf_fail(why, HF_E_STATE,
                      "there is no going back to version %lld: none of its anchors may be used any "
                      "more; publish a newer version",
                      (long long)record.version);
    if (err == HF_OK)
        err = hf_state_begin(c, why);
    if (err != HF_OK)
        goto out;
    err = reject_active(c, why);
    if (err == HF_OK)
        err = store->restore_previous(store->ctx, why);
    c->state.trial = (struct hf_trial){.version = -1};
    (void)snprintf(text, sizeof text, "rolled back %s/%s %lld, never to be taken again: %.400s",
                   c->set, c->profile, (long long)version, reason);
    if (err == HF_OK)
        err = hf_journal(c, HF_LEVEL_ERROR, "rollback", text, why);
    const struct hf_report_event event = {.kind = HF_REPORT_ROLLED_BACK,
                                          .from = version,
                                          .to = record.version,
                                          .sha256 = record.sha256,
                                          .text = reason,
                                          .outcome = HF_E_POLICY,
                                          .missing = missing};
    if (err == HF_OK)
        hf_report_note(c, &event);
    err = hf_state_end(c, err, why);
    if (err == HF_OK)
        err = hf_active_store_swap(c, &record, &previous, why);
out:
    hf_bundle_free(&previous);
    hf_bundle_record_free(&record);
    return err;
}

/* After a restart the uptime starts again: what the device had before it went down is lost, so that
 * a trial never ends too early. A start is noticed by that; those that are missed only make it
 * longer. Between two checks no more is counted than lies between two checks. */
static void count_time(const struct hf_client *c, struct hf_trial *trial)
{
    const bool has_uptime = c->ports.clock.uptime_ms != NULL;
    const int64_t now_ms = trial_clock_ms(c);
    const int64_t most_ms = HF_CHECK_INTERVAL_MAX_S * 1000;
    int64_t up_ms = now_ms - trial->last_uptime_ms;

    if (up_ms < 0) {
        trial->n_starts += has_uptime && trial->n_starts < HF_TRIAL_STARTS;
        up_ms = has_uptime ? now_ms : 0;
    }
    if (trial->up_s < HF_DAY_S) /* more would not change the schedule */
        trial->up_s += (up_ms < most_ms ? up_ms : most_ms) / 1000;
    trial->last_uptime_ms = now_ms;
}

/* Against the previous bundle, with what is revoked since, as far as it can be read; without one
 * the active one is compared with nothing. */
static enum hf_err judge_trial(struct hf_client *c, struct hf_judgement *out, struct hf_why *why)
{
    struct hf_bundle_record record = {0};
    struct hf_bundle before = {0}, active = {0};
    struct hf_buf revoked = {0};

    enum hf_err err = hf_bundle_load(c, HF_SLOT_PREVIOUS, &record, why);
    if (err == HF_OK)
        err = hf_bundle_of_record(&record, &before, why);
    if (err == HF_E_NOT_FOUND || err == HF_E_STORAGE)
        err = HF_OK;
    if (err == HF_OK)
        err = hf_revoked_load(c, &revoked, why);
    if (err == HF_OK)
        err = hf_bundle_load_in_use(c, HF_SLOT_ACTIVE, &active, why);
    if (err == HF_OK) {
        const struct hf_change change = {&before, hf_buf_bytes(&revoked), &active};
        err = hf_endpoints_judge(c, &change, out, why);
    }
    hf_bundle_free(&active);
    hf_bundle_free(&before);
    hf_buf_free(&revoked);
    hf_bundle_record_free(&record);
    return err;
}

enum hf_err hf_trial_check(struct hf_client *c, int64_t *rejected, struct hf_why *why)
{
    struct hf_trial *trial = &c->state.trial;
    struct hf_judgement judgement;
    char reason[HF_WHY_MAX] = "every endpoint was reached with it";

    if (trial->version < 0)
        return HF_OK;
    count_time(c, trial);
    if (c->ports.endpoints.n_endpoints == 0)
        return HF_OK;
    enum hf_err err = judge_trial(c, &judgement, why);
    if (err == HF_E_STORAGE) { /* the bundle is damaged; the update replaces it */
        hf_log(c, HF_LEVEL_WARNING, "the bundle on trial cannot be tried: %s", why->text);
        return HF_OK;
    }
    HF_TRY(err);
    if (!judgement.is_against) {
        const int64_t least_s = judgement.n_silent == 0 ? HF_TRIAL_S : HF_TRIAL_MOST_S;
        bool is_long_enough = trial->up_s >= least_s || trial->n_starts >= HF_TRIAL_STARTS;
        if (judgement.n_silent > judgement.n_undecidable || !is_long_enough || c->awaits_confirm)
            return HF_OK;
        if (judgement.n_silent > 0)
            (void)snprintf(reason, sizeof reason,
                           "no endpoint was lost by it; it waits no longer for %.500s",
                           judgement.silent);
        return confirm(c, reason, why);
    }
    const int64_t version = trial->version;
    err = roll_back(c, judgement.against, &judgement.missing, why);
    if (err == HF_OK)
        *rejected = version;
    if (err != HF_E_STATE)
        return err;
    /* The device has to go on as it is; the update that may repair it must not be held up by
     * that. */
    (void)hf_fail_context(why, "%s", judgement.against);
    return hf_journal(c, HF_LEVEL_ERROR, "trial", why->text, why);
}

enum hf_err hf_trial_refreshed(struct hf_client *c, struct hf_why *why)
{
    if (c->state.trial.version < 0 || c->ports.endpoints.n_endpoints > 0 || c->awaits_confirm ||
        c->waives_validation)
        return HF_OK;
    return confirm(c, "the repository was reached with it", why);
}

enum hf_err hf_client_confirm(struct hf_client *client, struct hf_why *why)
{
    struct hf_why own = {0};

    hf_state_load(client);
    if (client->state.trial.version < 0)
        return HF_OK;
    return hf_pass_on(why, &own, confirm(client, "the application says that it works", &own));
}

enum hf_err hf_client_reject(struct hf_client *client, const char *reason, struct hf_why *why)
{
    struct hf_why own = {0};
    char text[HF_WHY_MAX];

    hf_state_load(client);
    if (client->state.trial.version < 0)
        return hf_fail(why, HF_E_STATE,
                       "no bundle is on trial, so there is none to reject; what was confirmed is "
                       "replaced by publishing a newer version");
    (void)snprintf(text, sizeof text, "the application says: %s",
                   reason != NULL && reason[0] != '\0' ? reason : "it does not work");
    return hf_pass_on(why, &own, roll_back(client, text, NULL, &own));
}
