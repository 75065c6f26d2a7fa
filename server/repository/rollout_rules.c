#include "server/repository/rollout_rules.h"

#include "common/base/timetext.h"

#include <inttypes.h>
#include <string.h>

#define REFUSE(...) hf_fail(why, HF_E_POLICY, __VA_ARGS__)

/* ---- approvals ------------------------------------------------------------------------------- */

/* Each approver counts once. A wrong signature is refused, not passed over: it is a mistake or an
 * attack. */
static enum hf_err check_approvals(const struct hf_rollout_case *at,
                                   const struct hf_rollout_request *request, struct hf_why *why)
{
    const struct hf_rollout_step step = {at->path, at->sha256, at->now->since_s, request->stage,
                                         request->state};
    bool has_approved[HF_ROLLOUT_APPROVERS_MAX] = {false};
    int64_t n = 0;

    for (size_t i = 0; i < request->n_approvals; i++) {
        size_t k = 0;
        enum hf_err err = hf_rollout_approval_verify(at->plan, &step, &request->approvals[i], &k,
                                                     why);
        if (err == HF_E_SIGNATURE)
            return hf_fail(why, err,
                           "approval %zu is by no approver of the plan, or for another step; let "
                           "an approver sign this step (holdfastctl rollout approve)",
                           i + 1);
        HF_TRY(err);
        n += !has_approved[k];
        has_approved[k] = true;
    }
    if (n >= at->plan->approvals)
        return HF_OK;
    return hf_fail(why, HF_E_SIGNATURE,
                   "the plan asks for the signatures of %" PRId64 " approver(s), %" PRId64
                   " found; let them sign this step (holdfastctl rollout approve)",
                   at->plan->approvals, n);
}

/* The stage that counts as reached: a stolen key may have signed one that the plan does not
 * have. */
static int64_t reached(const struct hf_rollout_case *at)
{
    const int64_t last = (int64_t)at->plan->n_stages - 1;

    if (at->now == NULL)
        return 0;
    return at->now->stage < last ? at->now->stage : last;
}

/* ---- times ----------------------------------------------------------------------------------- */

static enum hf_err check_not_before(const struct hf_rollout_case *at, int64_t stage,
                                    struct hf_why *why)
{
    const int64_t opens_s = hf_rollout_opens_s(at->plan, (size_t)stage);
    char opens[HF_TIME_TEXT_MAX], now[HF_TIME_TEXT_MAX];

    if (at->now_s >= opens_s)
        return HF_OK;
    hf_time_format(opens_s, opens);
    hf_time_format(at->now_s, now);
    return REFUSE("the plan opens stage %" PRId64 " at %s, it is %s; wait until then", stage + 1,
                  opens, now);
}

static enum hf_err check_baked(const struct hf_rollout_case *at, struct hf_why *why)
{
    const int64_t bake_s = at->plan->stages[reached(at)].bake_s;
    char since[HF_TIME_TEXT_MAX], baked[HF_TIME_TEXT_MAX], now[HF_TIME_TEXT_MAX];

    if (at->now_s - bake_s >= at->now->since_s)
        return HF_OK;
    hf_time_format(at->now->since_s, since);
    hf_time_format(at->now->since_s + bake_s, baked);
    hf_time_format(at->now_s, now);
    return REFUSE("stage %" PRId64
                  " is open since %s and bakes until %s, it is %s; wait until then",
                  reached(at) + 1, since, baked, now);
}

/* ---- the rules, by the state that is asked for ----------------------------------------------- */

static enum hf_err check_first(const struct hf_rollout_case *at,
                               const struct hf_rollout_request *request, struct hf_why *why)
{
    if (request->stage != 0)
        return REFUSE("no stage is open yet; open the first one");
    return check_not_before(at, 0, why);
}

static enum hf_err check_open(const struct hf_rollout_case *at,
                              const struct hf_rollout_request *request, struct hf_why *why)
{
    const struct hf_rollout_activation *now = at->now;
    const int64_t stage = reached(at);

    if (at->is_superseded)
        return REFUSE("a higher version is listed; let that one go on, or publish another");
    if (now == NULL)
        return check_first(at, request, why);
    if (now->state == HF_ROLLOUT_COMPLETE)
        return REFUSE("the rollout is complete");
    if (now->state == HF_ROLLOUT_PAUSED && request->stage != stage)
        return REFUSE("the rollout is paused at stage %" PRId64 "; resume it first", stage + 1);
    if (now->state == HF_ROLLOUT_OPEN && request->stage == stage)
        return REFUSE("stage %" PRId64 " is open already", stage + 1);
    if (now->state == HF_ROLLOUT_OPEN && request->stage != stage + 1)
        return REFUSE("stage %" PRId64 " is open, so stage %" PRId64
                      " is the next one (expected that, found stage %" PRId64 ")",
                      stage + 1, stage + 2, request->stage + 1);
    HF_TRY(check_not_before(at, request->stage, why));
    if (now->state == HF_ROLLOUT_OPEN)
        HF_TRY(check_baked(at, why));
    return at->plan->approval == HF_ROLLOUT_SIGNED ? check_approvals(at, request, why) : HF_OK;
}

static enum hf_err check_stop(const struct hf_rollout_case *at,
                              const struct hf_rollout_request *request, struct hf_why *why)
{
    const int64_t stage = reached(at);

    if (request->stage != stage)
        return REFUSE("a rollout stops at the stage that it has reached (expected stage %" PRId64
                      ", found stage %" PRId64 ")",
                      stage + 1, request->stage + 1);
    if (at->now != NULL && at->now->state == request->state)
        return REFUSE("the rollout is %s already", hf_rollout_state_name(request->state));
    return HF_OK;
}

static enum hf_err check_complete(const struct hf_rollout_case *at,
                                  const struct hf_rollout_request *request, struct hf_why *why)
{
    const int64_t last = (int64_t)at->plan->n_stages - 1;

    if (at->now != NULL && at->now->state == HF_ROLLOUT_OPEN && reached(at) == last &&
        request->stage == last)
        return HF_OK;
    return REFUSE("a rollout is complete when its last stage, %" PRId64 ", is open", last + 1);
}

enum hf_err hf_rollout_rules_check(const struct hf_rollout_case *at,
                                   const struct hf_rollout_request *request, struct hf_why *why)
{
    if (request->from != at->version)
        return hf_fail(why, HF_E_STATE,
                       "another step was signed meanwhile (expected version %" PRId64
                       " of the role, found %" PRId64 "); look at the rollout and decide again",
                       request->from, at->version);
    if (at->now != NULL && at->now->state == HF_ROLLOUT_ABORTED)
        return REFUSE("the rollout is aborted, which is final; publish a higher version");
    if (request->stage < 0 || request->stage >= (int64_t)at->plan->n_stages)
        return REFUSE("the plan has stages 1 to %zu, not %" PRId64, at->plan->n_stages,
                      request->stage + 1);
    switch (request->state) {
    case HF_ROLLOUT_OPEN:
        return check_open(at, request, why);
    case HF_ROLLOUT_PAUSED:
    case HF_ROLLOUT_ABORTED:
        return check_stop(at, request, why);
    case HF_ROLLOUT_COMPLETE:
        return check_complete(at, request, why);
    case HF_ROLLOUT_STATES:
        break;
    }
    return REFUSE("there is no such state of a rollout");
}
