#include "tests/sim/service.h"

#include "server/repository/rollout_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void die(const struct hf_why *why)
{
    (void)fprintf(stderr, "hf-rollout-sim: %s\n", why->text);
    exit(1);
}

void sim_service_begin(struct sim_service *service, enum sim_rule rule,
                       const struct hf_rollout_plan *plan, const uint8_t sha256[HF_SHA256_LEN],
                       const struct hf_rollout_subject *subject)
{
    struct hf_why why = {0};

    *service = (struct sim_service){.rule = rule,
                                    .plan = plan,
                                    .thresholds = plan,
                                    .path = "sim/all/2.pem",
                                    .sha256 = sha256};
    if (hf_rollout_ledger_new(subject, &service->ledger, &why) != HF_OK)
        die(&why);
    if (rule == SIM_RULE_NONE)
        service->plan = NULL;
    if (rule != SIM_RULE_HAWKBIT)
        return;
    service->no_calendar = *plan;
    for (size_t k = 0; k < plan->n_stages; k++)
        service->no_calendar.stages[k].bake_s = 0;
    service->no_calendar.mandatory_from_s += HF_ROLLOUT_SPAN_MAX_S;
    service->plan = &service->no_calendar;
}

void sim_service_end(struct sim_service *service)
{
    hf_rollout_ledger_free(service->ledger);
    service->ledger = NULL;
}

const struct hf_rollout_activation *sim_service_activation(const struct sim_service *service)
{
    return service->is_signed ? &service->now : NULL;
}

static void sign(struct sim_service *service, int64_t stage, enum hf_rollout_state state,
                 int64_t now_s)
{
    service->version++;
    service->is_signed = true;
    service->now = (struct hf_rollout_activation){.stage = stage, .state = state, .since_s = now_s};
    if (state == HF_ROLLOUT_OPEN)
        service->opened_s[stage] = now_s;
    else if (state == HF_ROLLOUT_PAUSED)
        service->paused_s = now_s;
    else
        service->complete_s = now_s;
}

/* ---- ours ------------------------------------------------------------------------------------ */

static enum hf_rollout_state state_of(enum hf_rollout_due due)
{
    return due == HF_DUE_PAUSE      ? HF_ROLLOUT_PAUSED
           : due == HF_DUE_COMPLETE ? HF_ROLLOUT_COMPLETE
                                    : HF_ROLLOUT_OPEN;
}

static void look_as_holdfast(struct sim_service *service, int64_t now_s)
{
    const struct hf_rollout_activation *now = sim_service_activation(service);
    const size_t stage = hf_rollout_engine_stage(service->plan, now);
    const struct hf_rollout_situation at = {.plan = service->plan,
                                            .now = now,
                                            .counted = hf_rollout_ledger_counted(service->ledger),
                                            .tally = hf_rollout_ledger_tally(service->ledger, stage,
                                                                             now_s),
                                            .now_s = now_s};
    const struct hf_rollout_verdict v = hf_rollout_engine_decide(&at);
    const struct hf_rollout_case signed_now = {.path = service->path,
                                               .sha256 = service->sha256,
                                               .plan = service->plan,
                                               .now = now,
                                               .version = service->version,
                                               .now_s = now_s};
    const struct hf_rollout_request request = {.from = service->version,
                                               .stage = v.stage,
                                               .state = state_of(v.due)};
    struct hf_why why = {0};

    service->is_stalled = service->is_stalled || v.is_stalled;
    if (v.due == HF_DUE_NOTHING)
        return;
    if (hf_rollout_rules_check(&signed_now, &request, &why) != HF_OK)
        die(&why);
    if (v.due == HF_DUE_PAUSE)
        hf_rollout_engine_explain(&at, &v, service->reason);
    sign(service, v.stage, state_of(v.due), now_s);
}

/* ---- like hawkBit ---------------------------------------------------------------------------- */

/* ThresholdRolloutGroupSuccessCondition and ThresholdRolloutGroupErrorCondition: both are shares of
 * all devices of the group, which is what lies between two stages here. */
static void look_as_hawkbit(struct sim_service *service, int64_t now_s)
{
    const struct hf_rollout_plan *plan = service->thresholds;
    const size_t k = service->is_signed ? (size_t)service->now.stage : 0;

    if (!service->is_signed) {
        sign(service, 0, HF_ROLLOUT_OPEN, now_s);
        return;
    }
    if (service->now.state != HF_ROLLOUT_OPEN)
        return;
    struct hf_rollout_tally group = hf_rollout_ledger_tally(service->ledger, k, now_s);
    if (k > 0) {
        const struct hf_rollout_tally before = hf_rollout_ledger_tally(service->ledger, k - 1,
                                                                       now_s);
        group.devices -= before.devices;
        group.failed -= before.failed;
        group.confirmed -= before.confirmed;
    }
    if (group.failed * HF_ROLLOUT_PPM > plan->pause.failed_ppm * group.devices)
        sign(service, (int64_t)k, HF_ROLLOUT_PAUSED, now_s);
    else if (group.confirmed * HF_ROLLOUT_PPM >= plan->promote.confirmed_ppm * group.devices)
        sign(service, (int64_t)(k + 1 < plan->n_stages ? k + 1 : k),
             k + 1 < plan->n_stages ? HF_ROLLOUT_OPEN : HF_ROLLOUT_COMPLETE, now_s);
}

void sim_service_look(struct sim_service *service, int64_t now_s)
{
    if (service->rule == SIM_RULE_HOLDFAST)
        look_as_holdfast(service, now_s);
    else if (service->rule == SIM_RULE_HAWKBIT)
        look_as_hawkbit(service, now_s);
}
