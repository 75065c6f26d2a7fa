/*
 * What an online key may sign about a rollout, and when. The rules follow from the plan, which
 * offline keys signed, and from the stage that is signed now; neither a person at the desk nor the
 * service is trusted to keep to them. No I/O.
 *
 *     open, stage 0      from `not_before` on, if nothing is signed yet
 *     open, stage k + 1  when stage k is open, has baked since it was signed, and the plan's
 *                        calendar allows k + 1
 *     open, stage k      when stage k is paused (resume); its bake time begins again
 *     paused, aborted    at any time, at the stage that is signed
 *     complete           when the last stage is open
 *
 * Aborted is final. With the approval "signed", resuming and going on need signatures of approvers.
 * "api" is a matter of the service, whose users approve; at the desk it is the person who types.
 */
#ifndef HF_REPOSITORY_ROLLOUT_RULES_H
#define HF_REPOSITORY_ROLLOUT_RULES_H

#include "common/rollout/approval.h"

/** What is true now. Borrowed. */
struct hf_rollout_case {
    const char *path; /* of the bundle, as a target */
    const uint8_t *sha256;
    const struct hf_rollout_plan *plan;
    const struct hf_rollout_activation *now; /* the stage that is signed; NULL: none yet */
    int64_t version;                         /* of the signed role; 0: none yet */
    bool is_superseded;                      /* a higher version of its set and profile is listed */
    int64_t now_s;
};

/** What is asked for. Borrowed. */
struct hf_rollout_request {
    int64_t from; /* the version of the signed role that was looked at; 0: there was none */
    int64_t stage;
    enum hf_rollout_state state;
    const struct hf_rollout_approval_given *approvals;
    size_t n_approvals;
};

/** HF_OK, or in words: HF_E_STATE if another version than `from` is signed now, HF_E_SIGNATURE if
 *  approvals are missing or wrong, HF_E_POLICY for everything else that the rules forbid. */
HF_MUST_USE enum hf_err hf_rollout_rules_check(const struct hf_rollout_case *at,
                                               const struct hf_rollout_request *request,
                                               struct hf_why *why);

#endif
