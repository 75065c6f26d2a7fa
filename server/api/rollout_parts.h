/* What the files of /v1/rollouts share: rollouts.c, which shows, rollout_acts.c, which changes, and
 * rollout_metrics.c. */
#ifndef HF_API_ROLLOUT_PARTS_H
#define HF_API_ROLLOUT_PARTS_H

#include "server/api/parts.h"
#include "server/rollout/steps.h"

#define HF_API_ROLLOUT "/v1/rollouts/{set}/{profile}/{version}"

/* What a call is about. */
struct hf_api_rollout {
    struct hf_published *published; /* a reference */
    const struct hf_published_bundle *bundle;
    struct hf_rollout_row row;
};
/** hf_api_call.free_work of a work that begins with it. */
void hf_api_rollout_free(void *rollout);

/** The rollout that the path names. HF_E_NOT_FOUND: nothing of that name is published, or it has no
 *  plan. */
HF_MUST_USE enum hf_err hf_api_rollout_find(struct hf_api_call *call, struct hf_tx *tx,
                                            struct hf_api_rollout *out, struct hf_why *why);

/** Answer with all that is known of it. */
HF_MUST_USE enum hf_err hf_api_rollout_answer(struct hf_api_call *call, struct hf_tx *tx,
                                              const struct hf_api_rollout *rollout,
                                              struct hf_why *why);

/** The families of rollouts, for GET /metrics; there is a keeper. */
HF_MUST_USE enum hf_err hf_api_rollout_metrics(struct hf_api *api, struct hf_tx *tx,
                                               struct hf_metrics *m, struct hf_why *why);

#endif
