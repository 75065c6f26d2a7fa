/*
 * Would the device still reach its own endpoints? Asked before anything changes. Only a proved chain
 * that would be lost stops a candidate; silence delays it, and for a bounded time only, so that nobody on
 * the wire has a veto. What the publisher drops on purpose counts as lost already. And what the active
 * bundle validates is no more than a delay once root names other targets keys than those that signed it:
 * with the old ones a thief may have put his own root there, and stand before an endpoint with it.
 */
#include "client/core/client_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- how long it has waited ------------------------------------------------------------------------- */

/* Value `preflight.wait`: "VERSION TRIES SINCE". Of another version: it has not begun. */
struct wait {
    int64_t version;
    int64_t tries;
    int64_t since_s;
};

static enum hf_err wait_load(struct hf_client *c, int64_t version, struct wait *out,
                             struct hf_why *why)
{
    struct hf_buf text = {0};
    int64_t n[3];

    HF_TRY(hf_value_load(c, "preflight.wait", &text, why));
    bool is_known = hf_integers_parse((const char *)text.data, n, 3) != NULL && n[0] == version;
    hf_buf_free(&text);
    if (is_known)
        *out = (struct wait){.version = version, .tries = n[1], .since_s = n[2]};
    else
        *out = (struct wait){.version = version, .since_s = hf_client_now_s(c)};
    return HF_OK;
}

static enum hf_err wait_save(struct hf_client *c, const struct wait *wait, struct hf_why *why)
{
    char text[72];
    (void)snprintf(text, sizeof text, "%" PRId64 " %" PRId64 " %" PRId64, wait->version,
                   wait->tries, wait->since_s);
    return hf_value_save(c, "preflight.wait", text, why);
}

/* A clock that was set back makes it no longer: the tries end it too. */
static bool is_over(const struct hf_client *c, const struct wait *wait)
{
    return wait->tries >= HF_PREFLIGHT_TRIES ||
           hf_client_now_s(c) - wait->since_s >= HF_PREFLIGHT_WAIT_S;
}

/* ---- what the endpoints said ------------------------------------------------------------------------- */

static enum hf_err refuse(struct hf_client *c, const struct hf_candidate *cand,
                          const struct hf_judgement *judgement, struct hf_why *why)
{
    return hf_fail(why, HF_E_POLICY,
                   "version %lld is not taken: %s; publish a version that holds this anchor or, if "
                   "it is to go, names it in its drops; %s/%s %lld stays",
                   (long long)cand->description.version, judgement->against, c->set, c->profile,
                   (long long)cand->active.version);
}

static enum hf_err postpone(struct hf_client *c, const struct hf_candidate *cand,
                            const char *reason, struct hf_why *why)
{
    struct wait wait;

    HF_TRY(wait_load(c, cand->description.version, &wait, why));
    if (is_over(c, &wait)) {
        hf_log(c, HF_LEVEL_WARNING,
               "version %lld is taken without a word from every endpoint, after %lld tries: %s",
               (long long)wait.version, (long long)wait.tries, reason);
        return HF_OK;
    }
    wait.tries++;
    HF_TRY(wait_save(c, &wait, why));
    return hf_fail(why, HF_E_POSTPONED,
                   "version %lld waits until every endpoint was tried with it: %s; after %d tries "
                   "or a day it is taken without",
                   (long long)wait.version, reason, HF_PREFLIGHT_TRIES);
}

static enum hf_err decide(struct hf_client *c, const struct hf_candidate *cand,
                          const struct hf_judgement *judgement, struct hf_why *why)
{
    if (judgement->is_against && !hf_candidate_has_new_keys(cand))
        return refuse(c, cand, judgement, why);
    if (judgement->is_against)
        return postpone(c, cand, judgement->against, why);
    return judgement->n_silent > 0 ? postpone(c, cand, judgement->silent, why) : HF_OK;
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

static enum hf_err load_before(struct hf_client *c, const struct hf_candidate *cand,
                               struct hf_bundle *out, struct hf_why *why)
{
    HF_TRY(hf_bundle_in_use(c, &cand->active, out, why));
    hf_drops_leave_out(out, &cand->description);
    return HF_OK;
}

enum hf_err hf_preflight(struct hf_client *c, const struct hf_candidate *cand, struct hf_why *why)
{
    struct hf_judgement judgement;
    struct hf_bundle before = {0};

    if (cand->is_active || !cand->has_active || c->ports.endpoints.n_endpoints == 0)
        return HF_OK;
    HF_TRY(load_before(c, cand, &before, why));
    /* Nothing to lose, and no time to wait. */
    if (hf_bundle_count_usable(&before, hf_client_now_s(c)) == 0) {
        hf_bundle_free(&before);
        return HF_OK;
    }
    enum hf_err err = hf_endpoints_judge(c, &before, &cand->bundle, &judgement, why);
    hf_bundle_free(&before);
    HF_TRY(err);
    return decide(c, cand, &judgement, why);
}
