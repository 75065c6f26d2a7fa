/*
 * Would the device still reach its own endpoints? Asked before anything changes. Only a proved
 * chain that would be lost stops a candidate; silence delays it, and for a bounded time only, so
 * that an attacker on the network cannot stop it. A chain that rests only on a root which the
 * candidate revokes, distrusts for that certificate or removes by date delays as silence does: else
 * the CA that is distrusted could stop it. And what the active bundle validates is no more than a
 * delay once root names other targets keys than those that signed it: an attacker with the old ones
 * may have added a root and impersonate an endpoint with it.
 */
#include "client/core/endpoints.h"
#include "client/core/update.h"

#include "common/bundle/policy.h"

/* Every endpoint was probed in this check. What is not known, or would be lost by the publisher's
 * will, waits for a while all the same: it may be a fault, and a fault may be noticed. */
static enum hf_err postpone(struct hf_client *c, int64_t version, const char *reason,
                            struct hf_why *why)
{
    struct hf_preflight_wait *wait = &c->state.wait;
    char until[HF_TIME_TEXT_MAX];

    if (wait->version != version)
        *wait = (struct hf_preflight_wait){.version = version, .since_s = hf_client_now_s(c)};
    /* A clock that was set back makes it no longer: the tries end it too. */
    if (wait->n_tries >= HF_PREFLIGHT_TRIES ||
        hf_client_now_s(c) - wait->since_s >= HF_PREFLIGHT_WAIT_S) {
        hf_log(c, HF_LEVEL_WARNING,
               "version %lld is installed without evidence that it reaches every endpoint, after "
               "%lld tries: %s",
               (long long)version, (long long)wait->n_tries, reason);
        return HF_OK;
    }
    wait->n_tries++;
    const int64_t left = HF_PREFLIGHT_TRIES - wait->n_tries;
    hf_time_format(wait->since_s + HF_PREFLIGHT_WAIT_S, until);
    return hf_fail(why, HF_E_POSTPONED,
                   "version %lld waits: %s" HF_POSTPONED_UNTIL
                   "%lld check%s from now, or with the first check after %s",
                   (long long)version, reason, (long long)left + 1, left == 0 ? "" : "s", until);
}

enum hf_err hf_preflight(struct hf_client *c, struct hf_candidate *cand, struct hf_why *why)
{
    const int64_t version = cand->description.version;
    struct hf_bundle before = {0};
    struct hf_judgement judgement = {0};
    bool is_something_left = false;

    if (cand->is_active || !cand->has_active || c->ports.endpoints.n_endpoints == 0)
        return HF_OK;
    enum hf_err err = hf_bundle_in_use(c, &cand->active, &before, why);
    if (err == HF_E_STORAGE) { /* nothing can be compared with it */
        hf_log(c, HF_LEVEL_WARNING, "%s", why->text);
        return HF_OK;
    }
    HF_TRY(err);
    const struct hf_change change = {.before = &before,
                                     .revoked = hf_description_revoked(&cand->description),
                                     .after = &cand->bundle,
                                     .is_candidate = true};
    for (size_t i = 0; i < before.n_anchors && !is_something_left; i++)
        is_something_left = !hf_revoked_has(change.revoked, before.anchors[i].cert.spki_sha256) &&
                            hf_policy_anchor_state(&before.anchors[i], hf_client_now_s(c)) ==
                                HF_ANCHOR_USABLE;
    /* Otherwise there is nothing to lose, and no time to wait. */
    if (is_something_left)
        err = hf_endpoints_judge(c, &change, &judgement, why);
    hf_bundle_free(&before);
    HF_TRY(err);
    if (judgement.is_against && cand->is_active_of_former_keys)
        return postpone(c, version, judgement.against, why);
    cand->missing = judgement.missing;
    if (judgement.is_against)
        return hf_fail(why, HF_E_POLICY,
                       "version %lld is not taken: %s; publish a version that validates this chain "
                       "or, if devices must not trust this anchor any more, revokes it (bundle add "
                       "--drop); "
                       "%s/%s %lld stays",
                       (long long)version, judgement.against, c->set, c->profile,
                       (long long)cand->active.version);
    return judgement.n_silent > 0 ? postpone(c, version, judgement.silent, why) : HF_OK;
}
