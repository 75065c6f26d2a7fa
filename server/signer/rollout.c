/* The stage of a rollout: signed where the plan and the stage that is signed now allow it. */
#include "server/signer/quota.h"
#include "server/signer/verbs.h"

#include "common/os/service.h"
#include "server/repository/rollout_approval.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What is asked for. Texts are borrowed from the request. */
struct order {
    const char *path, *reason;
    struct hf_rollout_approvals approvals;
    struct hf_rollout_request request;
};

static enum hf_err read_order(const json_t *message, struct order *out, struct hf_why *why)
{
    struct hf_rollout_request *request = &out->request;
    const char *state = NULL;
    HF_TRY(hf_json_get_text(message, "path", HF_SIGNER_REQUEST, &out->path, why));
    HF_TRY(hf_json_get_integer(message, "from", HF_SIGNER_REQUEST, 0, &request->from, why));
    HF_TRY(hf_json_get_integer(message, "stage", HF_SIGNER_REQUEST, 0, &request->stage, why));
    HF_TRY(hf_json_get_text(message, "state", HF_SIGNER_REQUEST, &state, why));
    HF_TRY(hf_json_get_text(message, "reason", HF_SIGNER_REQUEST, &out->reason, why));
    HF_TRY(hf_rollout_approvals_parse(json_object_get(message, "approvals"), HF_SIGNER_REQUEST,
                                      &out->approvals, why));
    request->approvals = out->approvals.of;
    request->n_approvals = out->approvals.n;
    if (!hf_rollout_state_parse(state, &request->state))
        return hf_fail(why, HF_E_FORMAT,
                       HF_SIGNER_REQUEST
                       ": \"state\": expected open, paused, aborted or complete, found \"%.32s\"",
                       state);
    if (strlen(out->reason) > HF_ROLLOUT_REASON_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       HF_SIGNER_REQUEST ": \"reason\": expected at most %d bytes, found %zu",
                       HF_ROLLOUT_REASON_MAX, strlen(out->reason));
    return HF_OK;
}

/* What was signed, in words: before the others are noted, which are files like all others. */
static enum hf_err note_step(struct hf_signer *signer, const struct order *order,
                             const struct hf_online_result *result, int64_t now_s,
                             struct hf_why *why)
{
    char subject[HF_SIGNER_SUBJECT_MAX];
    for (size_t i = 0; i < result->n_rollouts; i++) {
        const struct hf_online_rollout *rollout = &result->rollouts[i];
        const char *set = hf_rollout_role_set(rollout->role);
        const size_t len = strlen(set);
        if (strncmp(order->path, set, len) != 0 || order->path[len] != '/')
            continue;
        (void)snprintf(subject, sizeof subject, "version %" PRId64 ": %s, stage %" PRId64 " %s",
                       rollout->version, order->path, order->request.stage + 1,
                       hf_rollout_state_name(order->request.state));
        HF_TRY(hf_signer_note_rollout(signer, rollout, subject, now_s, why));
    }
    return hf_signer_note_published(signer, result, now_s, why);
}

static json_t *answer_of(const struct hf_online_stage *signed_stage)
{
    return json_pack("{s:I, s:I, s:s, s:o}", "version", (json_int_t)signed_stage->version, "stage",
                     (json_int_t)signed_stage->now.stage, "state",
                     hf_rollout_state_name(signed_stage->now.state), "since",
                     hf_json_time(signed_stage->now.since_s));
}

/* Stopping is never counted: to be slow there would harm devices. What opens is, so that stopping
 * and resuming in turn does not fill the disk; a rollout that is open can be stopped once. */
enum hf_err hf_verb_step(struct hf_signer *signer, const json_t *message, int fd,
                         const struct hf_moment *now, json_t **answer, struct hf_why *why)
{
    const struct hf_publication_context at = hf_signer_publication(signer, now->wall_s);
    struct order order = {0};
    struct hf_online_stage stage = {0};
    struct hf_online_result result = {0};
    (void)fd;
    HF_TRY(read_order(message, &order, why));
    const struct hf_quota quota = {HF_QUOTA_OPENING, order.path, HF_OPENINGS_PER_DAY};
    const bool is_counted = order.request.state == HF_ROLLOUT_OPEN;
    HF_TRY(hf_quota_take(&signer->state, &quota, is_counted, now, why));
    enum hf_err err = hf_online_step(&at, order.path, &order.request, order.reason, &stage, &result,
                                     why);
    if (err == HF_OK) {
        signer->refreshed = *now;
        signer->found = result;
        hf_service_log(HF_LOG_INFO,
                       "signed: %s is %s at stage %" PRId64 " of %zu, version %" PRId64, order.path,
                       hf_rollout_state_name(stage.now.state), stage.now.stage + 1,
                       stage.plan.n_stages, stage.version);
        err = note_step(signer, &order, &result, now->wall_s, why);
    }
    HF_TRY(hf_quota_commit(&signer->state, err, NULL, why));
    *answer = answer_of(&stage);
    return HF_OK;
}
