#include "server/publish/commands/rollout_view.h"

#include "common/base/timetext.h"
#include "common/json/json.h"

#include <inttypes.h>
#include <stdio.h>

int64_t hf_rollout_view_stage(const struct hf_online_stage *stage)
{
    const int64_t last = (int64_t)stage->plan.n_stages - 1;
    if (!stage->is_signed)
        return 0;
    return stage->now.stage < last ? stage->now.stage : last;
}

void hf_rollout_view_text(const struct hf_online_stage *stage, char out[HF_ROLLOUT_VIEW_MAX])
{
    const struct hf_rollout_activation *now = &stage->now;
    char since[HF_TIME_TEXT_MAX];
    if (!stage->is_signed) {
        (void)snprintf(out, HF_ROLLOUT_VIEW_MAX, "not begun, %zu stages", stage->plan.n_stages);
        return;
    }
    hf_time_format(now->since_s, since);
    (void)snprintf(out, HF_ROLLOUT_VIEW_MAX, "%s at stage %" PRId64 " of %zu since %s%s%s",
                   hf_rollout_state_name(now->state), hf_rollout_view_stage(stage) + 1,
                   stage->plan.n_stages, since, now->reason[0] == '\0' ? "" : ": ", now->reason);
}

static json_t *stage_json(const struct hf_rollout_plan *plan, size_t k)
{
    const struct hf_rollout_stage *stage = &plan->stages[k];
    json_t *groups = json_array();
    for (size_t i = 0; i < stage->n_groups; i++)
        groups = hf_json_append_take(groups, json_string(stage->groups[i]));
    return json_pack("{s:I, s:o, s:I, s:o, s:I}", "stage", (json_int_t)k + 1, "groups", groups,
                     "share_ppm", (json_int_t)stage->ppm, "opens",
                     hf_json_time(hf_rollout_opens_s(plan, k)), "bake_s",
                     (json_int_t)stage->bake_s);
}

json_t *hf_rollout_view_json(const struct hf_online_stage *stage)
{
    const bool is_signed = stage->is_signed;
    const struct hf_rollout_activation *now = &stage->now;
    json_t *stages = json_array();
    for (size_t k = 0; k < stage->plan.n_stages; k++)
        stages = hf_json_append_take(stages, stage_json(&stage->plan, k));
    json_t *object = json_pack("{s:I, s:s?}", "role_version", (json_int_t)stage->version, "state",
                               is_signed ? hf_rollout_state_name(now->state) : NULL);
    object = hf_json_set_take(object, "stage",
                              is_signed ? json_integer(hf_rollout_view_stage(stage) + 1)
                                        : json_null());
    object = hf_json_set_take(object, "since",
                              hf_json_time(is_signed ? now->since_s : HF_TIME_NONE));
    object = hf_json_set_take(object, "reason", hf_json_plain(is_signed ? now->reason : ""));
    object = hf_json_set_take(object, "stages", stages);
    object = hf_json_set_take(object, "not_before", hf_json_time(stage->plan.not_before_s));
    return hf_json_set_take(object, "mandatory_from", hf_json_time(stage->plan.mandatory_from_s));
}

static bool read_stage(const struct hf_trusted_set *set, const struct hf_repo_bundle *b,
                       struct hf_online_stage *out)
{
    return b->description.plan != NULL &&
           hf_online_read_stage(set, b->target->path, out, NULL) == HF_OK;
}

json_t *hf_rollout_view_bundle(const struct hf_trusted_set *set, const struct hf_repo_bundle *b)
{
    struct hf_online_stage stage;
    return read_stage(set, b, &stage) ? hf_rollout_view_json(&stage) : json_null();
}

void hf_rollout_view_print(const struct hf_trusted_set *set, const struct hf_repo_bundle *b)
{
    struct hf_online_stage stage;
    char text[HF_ROLLOUT_VIEW_MAX], mandatory[HF_TIME_TEXT_MAX];
    if (!read_stage(set, b, &stage))
        return;
    hf_rollout_view_text(&stage, text);
    hf_time_format(stage.plan.mandatory_from_s, mandatory);
    printf("  rollout: %s; every device installs it from %s on\n", text, mandatory);
}
