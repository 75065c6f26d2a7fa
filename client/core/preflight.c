/*
 * Would the device still reach its own endpoints? Asked before anything changes. Only a proved chain
 * that would be lost stops a candidate; silence delays it, and for a bounded time only, so that an
 * attacker on the network cannot stop it. A chain that rests only on a root which the candidate revokes, distrusts for that
 * certificate or removes by date delays as silence does: else the CA that is distrusted could stop it. And
 * what the active bundle validates is no more than a delay once root names other targets keys than those
 * that signed it: an attacker with the old ones may have added a root and impersonate an
 * endpoint with it.
 */
#include "client/core/bundles.h"
#include "client/core/endpoints.h"
#include "client/core/update.h"

#include "common/bundle/policy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- how long it has waited ------------------------------------------------------------------ */

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

/* ---- what the endpoints said ----------------------------------------------------------------- */

static enum hf_err refuse(struct hf_client *c, const struct hf_candidate *cand,
                          const struct hf_judgement *judgement, struct hf_why *why)
{
    return hf_fail(why, HF_E_POLICY,
                   "version %lld is not taken: %s; publish a version that holds this anchor or, if "
                   "it is to go, names it in its drops; %s/%s %lld stays",
                   (long long)cand->description.version, judgement->against, c->set, c->profile,
                   (long long)cand->active.version);
}

/* Every endpoint was asked in this check. What is not known, or would be lost by the publisher's will,
 * waits for a while all the same: it may be a fault, and a fault may be noticed. */
static enum hf_err postpone(struct hf_client *c, const struct hf_candidate *cand,
                            const char *reason, struct hf_why *why)
{
    struct wait wait;
    char until[HF_TIME_TEXT_MAX];

    HF_TRY(wait_load(c, cand->description.version, &wait, why));
    if (is_over(c, &wait)) {
        hf_log(c, HF_LEVEL_WARNING,
               "version %lld is installed without evidence that it reaches every endpoint, after "
               "%lld tries: %s",
               (long long)wait.version, (long long)wait.tries, reason);
        return HF_OK;
    }
    wait.tries++;
    HF_TRY(wait_save(c, &wait, why));
    int64_t left = HF_PREFLIGHT_TRIES - wait.tries;
    hf_time_format(wait.since_s + HF_PREFLIGHT_WAIT_S, until);
    return hf_fail(why, HF_E_POSTPONED,
                   "version %lld waits: %s" HF_POSTPONED_UNTIL
                   "%lld check%s from now, or with the first check after %s",
                   (long long)wait.version, reason, (long long)left + 1, left == 0 ? "" : "s",
                   until);
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

/* ---- the whole ------------------------------------------------------------------------------- */

static bool leaves_something(const struct hf_client *c, const struct hf_change *change)
{
    for (size_t i = 0; i < change->before->n_anchors; i++) {
        const struct hf_anchor *anchor = &change->before->anchors[i];
        if (!hf_revoked_has(change->revoked, anchor->cert.spki_sha256) &&
            hf_policy_anchor_state(anchor, hf_client_now_s(c)) == HF_ANCHOR_USABLE)
            return true;
    }
    return false;
}

enum hf_err hf_preflight(struct hf_client *c, const struct hf_candidate *cand, struct hf_why *why)
{
    struct hf_bundle before = {0};
    struct hf_judgement judgement;

    if (cand->is_active || !cand->has_active || c->ports.endpoints.n_endpoints == 0)
        return HF_OK;
    HF_TRY(hf_bundle_in_use(c, &cand->active, &before, why));
    const struct hf_change change = {.before = &before,
                                     .revoked = hf_description_revoked(&cand->description),
                                     .after = &cand->bundle};
    /* Otherwise there is nothing to lose, and no time to wait. */
    bool is_asked = leaves_something(c, &change);
    enum hf_err err = is_asked ? hf_endpoints_judge(c, &change, &judgement, why) : HF_OK;
    hf_bundle_free(&before);
    HF_TRY(err);
    return is_asked ? decide(c, cand, &judgement, why) : HF_OK;
}
