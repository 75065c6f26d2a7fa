/*
 * A step of a rollout on its way to the signer: which one comes next, what is asked for, and what
 * the answer means. The keeper and operators take the same way:
 *
 *     hf_rollout_intent_put      written, and committed
 *     hf_rollout_step_request    the signer is asked
 *     hf_rollout_step_end        cleared, with the outcome in the log
 *
 * FROM, the version of the signed role, makes each step compare-and-swap: of two that were decided
 * at the same time, one is signed, and the other is refused with HF_E_STATE.
 */
#ifndef HF_ROLLOUT_STEPS_H
#define HF_ROLLOUT_STEPS_H

#include "server/rollout/rollout_store.h"

/** The stage and state that follow: stage 0, the next stage, the same one for a rollout that is
 *  paused, or complete. Its reason is "". */
struct hf_rollout_intent hf_rollout_step_next(const struct hf_published_bundle *bundle);
/** To stop it where it is: `state` is paused or aborted. */
struct hf_rollout_intent hf_rollout_step_stop(const struct hf_published_bundle *bundle,
                                              enum hf_rollout_state state);

/** What the plan asks for before this step: 0 unless a stage is opened after the first one. */
int64_t hf_rollout_step_approvals(const struct hf_published_bundle *bundle,
                                  const struct hf_rollout_intent *step);
/** Those that the store has for it, of the kind that the plan asks for. */
HF_MUST_USE enum hf_err hf_rollout_step_read_approvals(struct hf_db *db, int64_t rollout_id,
                                                       const struct hf_published_bundle *bundle,
                                                       const struct hf_rollout_intent *step,
                                                       struct hf_rollout_approval_rows *out,
                                                       struct hf_why *why);

/** The verb `step`: a new reference in `*out`. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_rollout_step_request(const struct hf_published_bundle *bundle,
                                                const struct hf_rollout_intent *step,
                                                const struct hf_rollout_approval_rows *approvals,
                                                json_t **out, struct hf_why *why);

/* What the signer says that is signed now. */
struct hf_rollout_stepped {
    int64_t role_version;
    int64_t since_s;
};
HF_MUST_USE enum hf_err hf_rollout_step_read_answer(const json_t *answer,
                                                    struct hf_rollout_stepped *out,
                                                    struct hf_why *why);

/**
 * In a job of the writer, after the signer was asked: clear the intent and log what came of it.
 * `stepped` NULL: it was refused with `refusal`, whose code HF_E_STATE means that another step was
 * signed. `is_logged`: also a refusal.
 */
HF_MUST_USE enum hf_err hf_rollout_step_end(struct hf_tx *tx, const struct hf_rollout_row *row,
                                            const struct hf_rollout_intent *step,
                                            const struct hf_rollout_stepped *stepped,
                                            const struct hf_why *refusal, bool is_logged,
                                            struct hf_why *why);
/** It is not known what became of an intent that was found: the repository says. Clears it, with an
 *  entry in the log. */
HF_MUST_USE enum hf_err hf_rollout_step_settle(struct hf_tx *tx, const struct hf_rollout_row *row,
                                               const struct hf_published_bundle *bundle,
                                               struct hf_why *why);

#endif
