#include "common/rollout/plan.h"

#include "common/base/digest.h"
#include "common/base/names.h"
#include "common/base/timetext.h"
#include "common/json/json.h"

#include <string.h>

#define WHAT "the rollout plan"
#define WHAT_STAGE "a stage of the rollout plan"

static const char *const approval_names[] =
    {[HF_ROLLOUT_AUTO] = "auto", [HF_ROLLOUT_API] = "api", [HF_ROLLOUT_SIGNED] = "signed"};
#define N_APPROVALS (sizeof approval_names / sizeof approval_names[0])

const char *hf_rollout_approval_name(enum hf_rollout_approval approval)
{
    return approval_names[approval];
}

/* ---- read ------------------------------------------------------------------------------------ */

/* From 0 to `max`; what is absent stays. */
static enum hf_err read_number(const json_t *object, const char *key, const char *what, int64_t max,
                               int64_t *out, struct hf_why *why)
{
    int64_t number = 0;

    if (json_object_get(object, key) == NULL)
        return HF_OK;
    HF_TRY(hf_json_get_integer(object, key, what, 0, &number, why));
    if (number > max)
        return hf_fail(why, HF_E_POLICY, "\"%s\" of %s should be %lld at most, found %lld", key,
                       what, (long long)max, (long long)number);
    *out = number;
    return HF_OK;
}

static enum hf_err read_groups(const json_t *object, struct hf_rollout_stage *out,
                               struct hf_why *why)
{
    json_t *list = NULL;

    if (json_object_get(object, "groups") == NULL)
        return HF_OK;
    HF_TRY(hf_json_get_array(object, "groups", WHAT_STAGE, &list, why));
    if (json_array_size(list) > HF_DEVICE_GROUPS_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s has %zu groups, at most %d are read", WHAT_STAGE,
                       json_array_size(list), HF_DEVICE_GROUPS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name == NULL || !hf_set_name_is_valid(name))
            return hf_fail(why, HF_E_FORMAT,
                           "%s: a group should begin with a-z 0-9 and go on with a-z 0-9 . _ -, "
                           "%d characters at most",
                           WHAT_STAGE, HF_SET_NAME_MAX);
        memcpy(out->groups[out->n_groups++], name, strlen(name) + 1);
    }
    return HF_OK;
}

static enum hf_err read_stage(const json_t *object, struct hf_rollout_stage *out,
                              struct hf_why *why)
{
    if (!json_is_object(object))
        return hf_fail(why, HF_E_FORMAT, "%s should be an object", WHAT_STAGE);
    HF_TRY(hf_json_get_integer(object, "ppm", WHAT_STAGE, 0, &out->ppm, why));
    HF_TRY(read_groups(object, out, why));
    HF_TRY(read_number(object, "bake_s", WHAT_STAGE, HF_ROLLOUT_SPAN_MAX_S, &out->bake_s, why));
    return read_number(object, "min_count", WHAT_STAGE, HF_JSON_INTEGER_MAX, &out->min_count, why);
}

static enum hf_err read_stages(const json_t *object, struct hf_rollout_plan *plan,
                               struct hf_why *why)
{
    json_t *list = NULL;

    HF_TRY(hf_json_get_array(object, "stages", WHAT, &list, why));
    if (json_array_size(list) < 1 || json_array_size(list) > HF_ROLLOUT_STAGES_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s should have 1 to %d stages, found %zu", WHAT,
                       HF_ROLLOUT_STAGES_MAX, json_array_size(list));
    for (size_t i = 0; i < json_array_size(list); i++)
        HF_TRY(read_stage(json_array_get(list, i), &plan->stages[plan->n_stages++], why));
    return HF_OK;
}

static enum hf_err read_thresholds(const json_t *object, struct hf_rollout_plan *plan,
                                   struct hf_why *why)
{
    static const char of_pause[] = "\"pause\" of the rollout plan";
    static const char of_promote[] = "\"promote\" of the rollout plan";
    json_t *pause = NULL, *promote = NULL;

    HF_TRY(hf_json_get_object(object, "pause", WHAT, &pause, why));
    HF_TRY(hf_json_get_object(object, "promote", WHAT, &promote, why));
    HF_TRY(
        read_number(pause, "failed_ppm", of_pause, HF_ROLLOUT_PPM, &plan->pause.failed_ppm, why));
    HF_TRY(
        read_number(pause, "silent_ppm", of_pause, HF_ROLLOUT_PPM, &plan->pause.silent_ppm, why));
    HF_TRY(read_number(pause, "min_count", of_pause, HF_JSON_INTEGER_MAX, &plan->pause.min_count,
                       why));
    HF_TRY(read_number(pause, "silent_after_s", of_pause, HF_ROLLOUT_SPAN_MAX_S,
                       &plan->pause.silent_after_s, why));
    HF_TRY(read_number(promote, "confirmed_ppm", of_promote, HF_ROLLOUT_PPM,
                       &plan->promote.confirmed_ppm, why));
    return read_number(promote, "min_count", of_promote, HF_JSON_INTEGER_MAX,
                       &plan->promote.min_count, why);
}

static enum hf_err read_approvers(const json_t *object, struct hf_rollout_plan *plan,
                                  struct hf_why *why)
{
    json_t *list = NULL;

    if (json_object_get(object, "approvers") == NULL)
        return HF_OK;
    HF_TRY(hf_json_get_array(object, "approvers", WHAT, &list, why));
    if (json_array_size(list) > HF_ROLLOUT_APPROVERS_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s has %zu approvers, at most %d are read", WHAT,
                       json_array_size(list), HF_ROLLOUT_APPROVERS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text == NULL ||
            !hf_hex_decode(text, plan->approvers[plan->n_approvers], HF_ROLLOUT_APPROVER_LEN))
            return hf_fail(
                why, HF_E_FORMAT,
                "%s: an approver should be a public key of Ed25519, %d hexadecimal digits", WHAT,
                2 * HF_ROLLOUT_APPROVER_LEN);
        plan->n_approvers++;
    }
    return HF_OK;
}

static enum hf_err read_approval(const json_t *object, struct hf_rollout_plan *plan,
                                 struct hf_why *why)
{
    const char *name = approval_names[HF_ROLLOUT_AUTO];
    size_t i = 0;

    if (json_object_get(object, "approval") != NULL)
        HF_TRY(hf_json_get_text(object, "approval", WHAT, &name, why));
    while (i < N_APPROVALS && strcmp(name, approval_names[i]) != 0)
        i++;
    /* What a later Holdfast may know must not let a stage open that it would not have opened. */
    if (i == N_APPROVALS)
        return hf_fail(why, HF_E_FORMAT,
                       "\"approval\" of %s should be \"auto\", \"api\" or \"signed\"", WHAT);
    plan->approval = (enum hf_rollout_approval)i;
    plan->approvals = plan->approval != HF_ROLLOUT_AUTO;
    HF_TRY(read_number(object, "approvals", WHAT, HF_ROLLOUT_APPROVERS_MAX, &plan->approvals, why));
    return read_approvers(object, plan, why);
}

/* ---- can it be kept? ------------------------------------------------------------------------- */

static bool has_group(const struct hf_rollout_stage *stage, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(stage->groups[i], name) == 0)
            return true;
    }
    return false;
}

/* A group that no stage before `k` has, and that this one names once. */
static bool is_new_group(const struct hf_rollout_plan *plan, size_t k, size_t i)
{
    const char *name = plan->stages[k].groups[i];

    for (size_t before = 0; before < k; before++) {
        if (has_group(&plan->stages[before], plan->stages[before].n_groups, name))
            return false;
    }
    return !has_group(&plan->stages[k], i, name);
}

static double percent(int64_t ppm)
{
    return (double)ppm / (HF_ROLLOUT_PPM / 100);
}

static enum hf_err check_stage(const struct hf_rollout_plan *plan, size_t k, struct hf_why *why)
{
    const struct hf_rollout_stage *stage = &plan->stages[k];
    const int64_t before = k > 0 ? plan->stages[k - 1].ppm : 0;
    const size_t number = k + 1; /* as people count */

    if (stage->ppm > HF_ROLLOUT_PPM)
        return hf_fail(why, HF_E_POLICY,
                       "%s: stage %zu has more than all devices (expected at most 100%%, found "
                       "%g%%)",
                       WHAT, number, percent(stage->ppm));
    if (stage->ppm < before)
        return hf_fail(why, HF_E_POLICY,
                       "%s: stage %zu shrinks (expected at least the %g%% of the stage before, "
                       "found %g%%)",
                       WHAT, number, percent(before), percent(stage->ppm));
    for (size_t i = 0; i < stage->n_groups; i++) {
        if (!is_new_group(plan, k, i))
            return hf_fail(why, HF_E_POLICY,
                           "%s: stage %zu names the group %s, which it or a stage before it has "
                           "already; leave it out",
                           WHAT, number, stage->groups[i]);
    }
    if (stage->ppm == before && stage->n_groups == 0)
        return hf_fail(why, HF_E_POLICY,
                       "%s: stage %zu adds no device to the one before; leave it out", WHAT,
                       number);
    return HF_OK;
}

static enum hf_err check_approval(const struct hf_rollout_plan *plan, struct hf_why *why)
{
    if (plan->approval == HF_ROLLOUT_AUTO && plan->approvals > 0)
        return hf_fail(why, HF_E_POLICY,
                       "%s: \"approvals\" needs \"approval\" to be \"api\" or \"signed\"", WHAT);
    if (plan->approval != HF_ROLLOUT_AUTO && plan->approvals < 1)
        return hf_fail(why, HF_E_POLICY, "%s: \"approvals\" should be 1 at least", WHAT);
    if (plan->approval != HF_ROLLOUT_SIGNED && plan->n_approvers > 0)
        return hf_fail(why, HF_E_POLICY, "%s: \"approvers\" needs \"approval\" to be \"signed\"",
                       WHAT);
    if (plan->approval == HF_ROLLOUT_SIGNED && (size_t)plan->approvals > plan->n_approvers)
        return hf_fail(why, HF_E_POLICY,
                       "%s: there are too few approvers (expected at least %lld, found %zu)", WHAT,
                       (long long)plan->approvals, plan->n_approvers);
    for (size_t i = 0; i < plan->n_approvers; i++) {
        for (size_t j = 0; j < i; j++) {
            if (memcmp(plan->approvers[i], plan->approvers[j], HF_ROLLOUT_APPROVER_LEN) == 0)
                return hf_fail(why, HF_E_POLICY, "%s names an approver twice", WHAT);
        }
    }
    return HF_OK;
}

static enum hf_err check_plan(const struct hf_rollout_plan *plan, struct hf_why *why)
{
    char opens[HF_TIME_TEXT_MAX], mandatory[HF_TIME_TEXT_MAX];
    const size_t last = plan->n_stages - 1;

    for (size_t k = 0; k < plan->n_stages; k++)
        HF_TRY(check_stage(plan, k, why));
    if (plan->stages[last].ppm != HF_ROLLOUT_PPM)
        return hf_fail(why, HF_E_POLICY,
                       "%s: the last stage should hold all devices (expected 100%%, found %g%%)",
                       WHAT, percent(plan->stages[last].ppm));
    const int64_t opens_s = hf_rollout_opens_s(plan, last);
    if (plan->mandatory_from_s <= plan->not_before_s || plan->mandatory_from_s < opens_s) {
        hf_time_format(opens_s, opens);
        hf_time_format(plan->mandatory_from_s, mandatory);
        return hf_fail(
            why, HF_E_POLICY,
            "%s: \"mandatory_from\" comes before the last stage can open (expected %s or "
            "later, found %s); choose a later date, or shorten the bake times",
            WHAT, opens, mandatory);
    }
    if (plan->pause.silent_after_s < HF_ROLLOUT_SILENT_MIN_S)
        return hf_fail(why, HF_E_POLICY,
                       "%s: every device would count as silent at once (expected "
                       "\"silent_after\" of at least %d seconds, found %lld)",
                       WHAT, HF_ROLLOUT_SILENT_MIN_S, (long long)plan->pause.silent_after_s);
    return check_approval(plan, why);
}

int64_t hf_rollout_opens_s(const struct hf_rollout_plan *plan, size_t stage)
{
    int64_t at_s = plan->not_before_s;

    for (size_t k = 0; k < stage; k++)
        at_s += plan->stages[k].bake_s;
    return at_s;
}

enum hf_err hf_rollout_plan_parse(const json_t *object, struct hf_rollout_plan *out,
                                  struct hf_why *why)
{
    struct hf_rollout_plan plan = {0};

    if (!json_is_object(object))
        return hf_fail(why, HF_E_FORMAT, "%s should be an object", WHAT);
    HF_TRY(hf_json_get_time(object, "not_before", WHAT, &plan.not_before_s, why));
    HF_TRY(hf_json_get_time(object, "mandatory_from", WHAT, &plan.mandatory_from_s, why));
    HF_TRY(read_number(object, "min_version", WHAT, HF_JSON_INTEGER_MAX, &plan.min_version, why));
    HF_TRY(read_stages(object, &plan, why));
    HF_TRY(read_thresholds(object, &plan, why));
    HF_TRY(read_approval(object, &plan, why));
    HF_TRY(check_plan(&plan, why));
    *out = plan;
    return HF_OK;
}

/* ---- write ----------------------------------------------------------------------------------- */

/* Numbers of which zero says nothing are left out. */
static json_t *set_number(json_t *object, const char *key, int64_t number)
{
    return number == 0 ? object : hf_json_set_take(object, key, json_integer(number));
}

static json_t *stage_to_json(const struct hf_rollout_stage *stage)
{
    json_t *object = hf_json_set_take(json_object(), "ppm", json_integer(stage->ppm));
    json_t *groups = json_array();

    for (size_t i = 0; i < stage->n_groups; i++)
        groups = hf_json_append_take(groups, json_string(stage->groups[i]));
    if (stage->n_groups > 0)
        object = hf_json_set_take(object, "groups", groups);
    else
        json_decref(groups);
    object = set_number(object, "bake_s", stage->bake_s);
    return set_number(object, "min_count", stage->min_count);
}

json_t *hf_rollout_plan_to_json(const struct hf_rollout_plan *plan)
{
    json_t *stages = json_array(), *object = json_object();

    for (size_t k = 0; k < plan->n_stages; k++)
        stages = hf_json_append_take(stages, stage_to_json(&plan->stages[k]));
    object = hf_json_set_take(object, "not_before", hf_json_time(plan->not_before_s));
    object = hf_json_set_take(object, "mandatory_from", hf_json_time(plan->mandatory_from_s));
    object = set_number(object, "min_version", plan->min_version);
    object = hf_json_set_take(object, "stages", stages);
    object = hf_json_set_take(object, "pause",
                              json_pack("{s:I, s:I, s:I, s:I}", "failed_ppm",
                                        (json_int_t)plan->pause.failed_ppm, "silent_ppm",
                                        (json_int_t)plan->pause.silent_ppm, "min_count",
                                        (json_int_t)plan->pause.min_count, "silent_after_s",
                                        (json_int_t)plan->pause.silent_after_s));
    object = hf_json_set_take(object, "promote",
                              json_pack("{s:I, s:I}", "confirmed_ppm",
                                        (json_int_t)plan->promote.confirmed_ppm, "min_count",
                                        (json_int_t)plan->promote.min_count));
    object = hf_json_set_take(object, "approval",
                              json_string(hf_rollout_approval_name(plan->approval)));
    object = set_number(object, "approvals", plan->approvals);
    if (plan->n_approvers > 0)
        object = hf_json_set_take(object, "approvers",
                                  hf_json_hashes((const void *)plan->approvers, plan->n_approvers));
    return object;
}
