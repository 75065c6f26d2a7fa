#include "server/rollout/steps.h"

#include "common/json/json.h"
#include "server/rollout/engine.h"

#define ANSWER "the signer's answer"

struct hf_rollout_intent hf_rollout_step_next(const struct hf_published_bundle *bundle)
{
    const struct hf_rollout_plan *plan = bundle->description.plan;
    const struct hf_rollout_activation *now = bundle->rollout.is_signed ? &bundle->rollout.now
                                                                        : NULL;
    const size_t stage = hf_rollout_engine_stage(plan, now);
    struct hf_rollout_intent step = {.from = bundle->rollout.role_version,
                                     .stage = (int64_t)stage,
                                     .state = HF_ROLLOUT_OPEN};

    if (now == NULL || now->state != HF_ROLLOUT_OPEN)
        return step;
    if (stage + 1 < plan->n_stages)
        step.stage++;
    else
        step.state = HF_ROLLOUT_COMPLETE;
    return step;
}

struct hf_rollout_intent hf_rollout_step_stop(const struct hf_published_bundle *bundle,
                                              enum hf_rollout_state state)
{
    const struct hf_published_rollout *rollout = &bundle->rollout;
    const size_t stage = hf_rollout_engine_stage(bundle->description.plan,
                                                 rollout->is_signed ? &rollout->now : NULL);

    return (struct hf_rollout_intent){.from = rollout->role_version,
                                      .stage = (int64_t)stage,
                                      .state = state};
}

/* ---- approvals ------------------------------------------------------------------------------- */

int64_t hf_rollout_step_approvals(const struct hf_published_bundle *bundle,
                                  const struct hf_rollout_intent *step)
{
    const struct hf_rollout_plan *plan = bundle->description.plan;

    if (plan->approval == HF_ROLLOUT_AUTO || step->state != HF_ROLLOUT_OPEN ||
        !bundle->rollout.is_signed)
        return 0;
    return plan->approvals;
}

enum hf_err hf_rollout_step_read_approvals(struct hf_db *db, int64_t rollout_id,
                                           const struct hf_published_bundle *bundle,
                                           const struct hf_rollout_intent *step,
                                           struct hf_rollout_approval_rows *out, struct hf_why *why)
{
    out->n = 0;
    if (hf_rollout_step_approvals(bundle, step) == 0)
        return HF_OK;
    return hf_rollout_approvals_read(db, rollout_id, bundle->rollout.now.since_s, step,
                                     bundle->description.plan->approval == HF_ROLLOUT_SIGNED, out,
                                     why);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static json_t *approvals_json(const struct hf_rollout_approval_rows *approvals)
{
    json_t *list = json_array();

    for (size_t i = 0; approvals != NULL && i < approvals->n; i++) {
        const struct hf_rollout_approval_row *row = &approvals->rows[i];
        if (row->is_signed)
            list = hf_json_append_take(list,
                                       json_pack("{s:s, s:o}", "approver", row->approver,
                                                 "signature",
                                                 hf_json_base64(
                                                     (struct hf_bytes){row->signature,
                                                                       sizeof row->signature})));
    }
    return list;
}

enum hf_err hf_rollout_step_request(const struct hf_published_bundle *bundle,
                                    const struct hf_rollout_intent *step,
                                    const struct hf_rollout_approval_rows *approvals, json_t **out,
                                    struct hf_why *why)
{
    struct hf_buf path = {0};

    enum hf_err err = hf_description_target_path(&bundle->description, &path, why);
    if (err == HF_OK) {
        *out = json_pack("{s:s, s:s, s:I, s:I, s:s, s:o, s:o}", "verb", "step", "path",
                         (const char *)path.data, "from", (json_int_t)step->from, "stage",
                         (json_int_t)step->stage, "state", hf_rollout_state_name(step->state),
                         "reason", hf_json_plain(step->reason), "approvals",
                         approvals_json(approvals));
        if (*out == NULL)
            err = hf_fail(why, HF_E_MEMORY, "no memory for a step of a rollout");
    }
    hf_buf_free(&path);
    return err;
}

enum hf_err hf_rollout_step_read_answer(const json_t *answer, struct hf_rollout_stepped *out,
                                        struct hf_why *why)
{
    struct hf_rollout_stepped stepped;

    HF_TRY(hf_json_get_integer(answer, "version", ANSWER, 1, &stepped.role_version, why));
    HF_TRY(hf_json_get_time(answer, "since", ANSWER, &stepped.since_s, why));
    *out = stepped;
    return HF_OK;
}

/* ---- the outcome ----------------------------------------------------------------------------- */

enum hf_err hf_rollout_step_end(struct hf_tx *tx, const struct hf_rollout_row *row,
                                const struct hf_rollout_intent *step,
                                const struct hf_rollout_stepped *stepped,
                                const struct hf_why *refusal, bool is_logged, struct hf_why *why)
{
    if (stepped != NULL)
        return hf_rollout_intent_clear(tx, row, step, "rollout.step",
                                       json_pack("{s:I, s:b}", "role_version",
                                                 (json_int_t)stepped->role_version, "had_intent",
                                                 step->asked_s > 0),
                                       why);
    json_t *outcome = is_logged ? json_pack("{s:s, s:o}", "error", hf_err_name(refusal->code),
                                            "sentence", hf_json_plain(refusal->text))
                                : NULL;
    return hf_rollout_intent_clear(tx, row, step, "rollout.refused", outcome, why);
}

enum hf_err hf_rollout_step_settle(struct hf_tx *tx, const struct hf_rollout_row *row,
                                   const struct hf_published_bundle *bundle, struct hf_why *why)
{
    const bool was_signed = hf_rollout_intent_was_signed(&row->intent, &bundle->rollout);

    return hf_rollout_intent_clear(tx, row, &row->intent, "rollout.settled",
                                   json_pack("{s:b, s:I}", "was_signed", was_signed, "role_version",
                                             (json_int_t)bundle->rollout.role_version),
                                   why);
}
