/*
 * common/rollout: {"rollout": plan, "holdfast": {"activation": …}, …}. What is read and written
 * again is read the same; and whatever was signed, a device takes nothing before the calendar lets
 * it, and waits for nothing after `mandatory_from`.
 */
#include "tests/fuzz/fuzz.h"

#include "common/json/json.h"
#include "common/rollout/rollout.h"

static void check_plan(const struct hf_rollout_plan *plan)
{
    struct hf_rollout_plan again;
    struct hf_why why = {0};
    json_t *json = hf_rollout_plan_to_json(plan);

    FUZZ_CHECK(json != NULL);
    FUZZ_OK(hf_rollout_plan_parse(json, &again, &why), &why);
    FUZZ_CHECK(memcmp(plan, &again, sizeof again) == 0);
    FUZZ_CHECK(plan->stages[plan->n_stages - 1].ppm == HF_ROLLOUT_PPM);
    FUZZ_CHECK(hf_rollout_opens_s(plan, plan->n_stages - 1) <= plan->mandatory_from_s);
    json_decref(json);
}

static void check_decisions(const struct hf_rollout_plan *plan,
                            const struct hf_rollout_activation *activation)
{
    const uint8_t sha256[HF_SHA256_LEN] = {7};
    const struct hf_rollout_device device = {.id = "pump-17", .active = plan->min_version};
    const int64_t own_s = hf_rollout_opens_s(plan, hf_rollout_stage_of(plan, sha256, &device));
    const int64_t times[] = {plan->not_before_s - 1,     plan->not_before_s,    own_s - 1, own_s,
                             plan->mandatory_from_s - 1, plan->mandatory_from_s};
    char text[512];

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct hf_rollout_decision d = hf_rollout_decide(plan, activation, sha256, &device,
                                                         times[i]);
        FUZZ_CHECK(!d.takes || times[i] >= own_s || times[i] >= plan->mandatory_from_s);
        FUZZ_CHECK(d.takes || times[i] < plan->mandatory_from_s);
        FUZZ_CHECK(activation != NULL || !d.takes || times[i] >= plan->mandatory_from_s);
        hf_rollout_explain(&d, plan, activation, times[i], text, sizeof text);
        FUZZ_CHECK(strlen(text) < sizeof text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_rollout_plan plan = {0};
    struct hf_rollout_activation activation = {0};
    struct hf_why why = {0};
    json_t *json = NULL;

    if (hf_json_parse_object((struct hf_bytes){data, size}, "a rollout", &json, &why) != HF_OK)
        return 0;
    enum hf_err read = hf_rollout_activation_parse(json, &activation, &why);
    if (read != HF_OK)
        fuzz_check_refusal(read, &why);
    why = (struct hf_why){0};
    enum hf_err err = hf_rollout_plan_parse(json_object_get(json, "rollout"), &plan, &why);
    if (err == HF_OK) {
        check_plan(&plan);
        check_decisions(&plan, read == HF_OK ? &activation : NULL);
        check_decisions(&plan, NULL);
    } else {
        fuzz_check_refusal(err, &why);
    }
    json_decref(json);
    return 0;
}
