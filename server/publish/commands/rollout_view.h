/* How far a rollout has come, as commands report it. */
#ifndef HF_PUBLISH_ROLLOUT_VIEW_H
#define HF_PUBLISH_ROLLOUT_VIEW_H

#include "server/repository/online.h"

#define HF_ROLLOUT_VIEW_MAX (HF_ROLLOUT_REASON_MAX + 128)

/** The stage that counts as reached: a stolen key may have signed one that the plan does not
 *  have. */
int64_t hf_rollout_view_stage(const struct hf_online_stage *stage);

/** "open at stage 2 of 4 since …: REASON", "not begun, 4 stages". */
void hf_rollout_view_text(const struct hf_online_stage *stage, char out[HF_ROLLOUT_VIEW_MAX]);

/** state, stage, since, reason, stages, not_before, mandatory_from, role_version; NULL without
 *  memory. */
json_t *hf_rollout_view_json(const struct hf_online_stage *stage);

/** The same of a listed bundle: null where it has no plan, or is not published yet. */
json_t *hf_rollout_view_bundle(const struct hf_trusted_set *set, const struct hf_repo_bundle *b);

/** "  rollout: …" on standard output; nothing where the other gives null. */
void hf_rollout_view_print(const struct hf_trusted_set *set, const struct hf_repo_bundle *b);

#endif
