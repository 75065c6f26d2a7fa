/*
 * server/publish/bundle/rollout_plan: a plan as people write it. What is accepted can be kept, is
 * written as devices read it, and lets no device wait without an end or begin in the past of its
 * own end.
 */
#include "tests/fuzz/fuzz.h"

#include "server/publish/bundle/rollout_plan.h"

#define NOW_S INT64_C(1793318400) /* 2026-10-30T00:00:00Z */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_rollout_plan plan = {0}, again = {0};
    struct hf_why why = {0};
    enum hf_err err = hf_rollout_plan_read_text((struct hf_bytes){data, size}, NOW_S, &plan, &why);

    if (err != HF_OK) {
        fuzz_check_refusal(err, &why);
        FUZZ_CHECK(plan.n_stages == 0);
        return 0;
    }
    json_t *json = hf_rollout_plan_to_json(&plan);
    FUZZ_CHECK(json != NULL);
    FUZZ_OK(hf_rollout_plan_parse(json, &again, &why), &why);
    FUZZ_CHECK(memcmp(&plan, &again, sizeof again) == 0);
    FUZZ_CHECK(plan.mandatory_from_s > NOW_S && plan.mandatory_from_s > plan.not_before_s);
    json_decref(json);
    return 0;
}
