/*
 * POST /v1/rollouts/…: what operators do with a rollout. A step of it takes the way that the
 * service itself takes (server/rollout/steps.h):
 *
 *     ask      writer   what is asked for, in the database and in the log
 *     sign     signer
 *     record   writer   the outcome, also a refusal
 *     answer   writer
 *
 * If there is no answer of the signer, the intent stays, and the keeper finds out what became of
 * it. A pause and an abort need no record: if the database cannot be written, the service's log
 * says who asked.
 */
#include "server/api/rollout_parts.h"

#include "common/base/timetext.h"
#include "server/fleet/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define AGAIN_MAX 3 /* a stop meets another step so often */
/* The repository is read each second; a step that is not served after three is answered all the
 * same. */
#define SERVED_LOOK_MS 50
#define SERVED_LOOKS_MAX 60u

/* What the steps hand on. */
struct work {
    struct hf_api_rollout rollout; /* the first member */
    struct hf_rollout_intent step;
    struct hf_rollout_approval_rows approvals;
    bool is_bound; /* the operator names the version that is looked at */
    enum hf_err asked;
    struct hf_rollout_stepped stepped;
    struct hf_why refusal;
};

static enum hf_err begin(struct hf_api_call *call, struct hf_tx *tx, struct work **out,
                         struct hf_why *why)
{
    struct work *work = hf_api_work(call, sizeof *work, hf_api_rollout_free);

    if (work == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a step of a rollout");
    HF_TRY(hf_api_rollout_find(call, tx, &work->rollout, why));
    *out = work;
    return HF_OK;
}

/* "reason" is signed, and stands in the log. */
static enum hf_err check_reason(struct hf_api_call *call, struct hf_why *why)
{
    const char *reason = hf_body_text(call->body, "reason");
    enum hf_err err = hf_name_check_text("reason", reason, HF_FLEET_REASON_MAX, why);

    if (err == HF_OK && reason[0] == '\0')
        err = hf_fail(why, HF_E_ARGUMENT, "\"reason\": say why, in a sentence");
    return hf_api_input(call, err);
}

/* ---- ask ------------------------------------------------------------------------------------- */

static enum hf_err put_intent(struct hf_api_call *call, struct hf_tx *tx, struct work *work,
                              struct hf_why *why)
{
    const int64_t now = work->rollout.bundle->rollout.role_version;
    const int64_t from = hf_body_integer(call->body, "from", now);

    HF_TRY(check_reason(call, why));
    work->is_bound = json_object_get(call->body, "from") != NULL;
    if (from != now)
        return hf_fail(why, HF_E_STATE,
                       "another step was signed meanwhile (expected version %" PRId64
                       " of the role, found %" PRId64 "). Look at the rollout and decide again",
                       from, now);
    (void)snprintf(work->step.reason, sizeof work->step.reason, "%s",
                   hf_body_text(call->body, "reason"));
    call->needs_no_record = hf_rollout_is_stop(work->step.state);
    HF_TRY(hf_rollout_intent_put(tx, &work->rollout.row, &work->step, true, why));
    work->step = work->rollout.row.intent;
    return HF_OK;
}

static enum hf_err ask_stop(struct hf_api_call *call, struct hf_tx *tx, enum hf_rollout_state state,
                            struct hf_why *why)
{
    struct work *work = NULL;

    HF_TRY(begin(call, tx, &work, why));
    work->step = hf_rollout_step_stop(work->rollout.bundle, state);
    return put_intent(call, tx, work, why);
}

static enum hf_err ask_pause(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    return ask_stop(call, tx, HF_ROLLOUT_PAUSED, why);
}

static enum hf_err ask_abort(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    return ask_stop(call, tx, HF_ROLLOUT_ABORTED, why);
}

/* The approvals that the plan asks for, also from an administrator. */
static enum hf_err ask_next(struct hf_api_call *call, struct hf_tx *tx, struct work *work,
                            struct hf_why *why)
{
    const struct hf_published_bundle *bundle = work->rollout.bundle;

    work->step = hf_rollout_step_next(bundle);
    const int64_t needed = hf_rollout_step_approvals(bundle, &work->step);
    HF_TRY(hf_rollout_step_read_approvals(tx->db, work->rollout.row.id, bundle, &work->step,
                                          &work->approvals, why));
    if ((int64_t)work->approvals.n < needed)
        return hf_fail(why, HF_E_STATE,
                       "the plan asks for %" PRId64 " approvals of this step, and %zu are given. "
                       "Approve it first (`holdfast-admin rollout approve`)",
                       needed, work->approvals.n);
    return put_intent(call, tx, work, why);
}

static enum hf_err ask_resume(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct work *work = NULL;

    HF_TRY(begin(call, tx, &work, why));
    const struct hf_published_rollout *rollout = &work->rollout.bundle->rollout;
    if (rollout->is_signed && rollout->now.state == HF_ROLLOUT_ABORTED)
        return hf_fail(why, HF_E_STATE,
                       "the rollout is aborted, which is final; publish a higher version");
    if (!rollout->is_signed || rollout->now.state != HF_ROLLOUT_PAUSED)
        return hf_fail(why, HF_E_STATE, "the rollout is not paused, so it cannot be resumed");
    return ask_next(call, tx, work, why);
}

static enum hf_err ask_promote(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct work *work = NULL;

    HF_TRY(begin(call, tx, &work, why));
    const struct hf_published_rollout *rollout = &work->rollout.bundle->rollout;
    if (rollout->is_signed && rollout->now.state != HF_ROLLOUT_OPEN)
        return hf_fail(why, HF_E_STATE, "the rollout is %s, so no stage follows%s",
                       hf_rollout_state_name(rollout->now.state),
                       rollout->now.state == HF_ROLLOUT_PAUSED ? ". Resume it first" : "");
    return ask_next(call, tx, work, why);
}

/* ---- sign ------------------------------------------------------------------------------------ */

static enum hf_err ask_signer(struct hf_api_call *call, struct work *work, struct hf_why *why)
{
    json_t *request = NULL, *answer = NULL;

    HF_TRY(hf_rollout_step_request(work->rollout.bundle, &work->step, &work->approvals, &request,
                                   why));
    work->asked = hf_api_ask_signer_take(call, request, -1, &answer, &work->refusal);
    if (work->asked == HF_OK)
        work->asked = hf_rollout_step_read_answer(answer, &work->stepped, &work->refusal);
    json_decref(answer);
    call->status = 0; /* a refusal is recorded before it is answered */
    return HF_OK;
}

/* The bundle as it is served once the role has this version at least, into `out`; false if that
 * takes too long. */
static bool wait_until_served(struct hf_api_call *call, const struct hf_published_bundle *before,
                              int64_t role_version, struct hf_api_rollout *out)
{
    const struct hf_description *d = &before->description;
    const struct timespec pause = {.tv_nsec = SERVED_LOOK_MS * 1000000L};

    for (unsigned i = 0; i < SERVED_LOOKS_MAX && !atomic_load(&call->api->is_ending); i++) {
        struct hf_published *published = hf_api_published(call->api);
        const struct hf_published_bundle *bundle = hf_published_find_version(published, d->set,
                                                                             d->profile,
                                                                             d->version);
        if (bundle != NULL && bundle->description.plan != NULL &&
            bundle->rollout.role_version >= role_version) {
            hf_published_unref(out->published);
            out->published = published;
            out->bundle = bundle;
            return true;
        }
        hf_published_unref(published);
        (void)nanosleep(&pause, NULL);
    }
    return false;
}

/* Another step was signed just before. Stopping is right after any step, so it is asked for again
 * once that one is served; the operator should not have to be quicker than the service. False: it
 * is not served. */
static bool take_newer(struct hf_api_call *call, struct work *work)
{
    if (!wait_until_served(call, work->rollout.bundle, work->step.from + 1, &work->rollout))
        return false;
    const struct hf_rollout_intent newer = hf_rollout_step_stop(work->rollout.bundle,
                                                                work->step.state);
    work->step.from = newer.from;
    work->step.stage = newer.stage;
    return true;
}

static enum hf_err sign(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct work *work = call->work;
    const bool is_stop = hf_rollout_is_stop(work->step.state);
    (void)tx;

    if (call->is_unrecorded)
        work->step.asked_s = 0;
    HF_TRY(ask_signer(call, work, why));
    for (unsigned i = 1; i < AGAIN_MAX && work->asked == HF_E_STATE && is_stop && !work->is_bound &&
                         take_newer(call, work);
         i++)
        HF_TRY(ask_signer(call, work, why));
    if (work->asked == HF_E_NETWORK)
        return hf_fail(why, HF_E_NETWORK,
                       "%.250s. Whether the step was signed is seen within two minutes: look at "
                       "the rollout then",
                       work->refusal.text);
    /* So that the next request shows what this one did. */
    if (work->asked == HF_OK)
        (void)wait_until_served(call, work->rollout.bundle, work->stepped.role_version,
                                &work->rollout);
    return HF_OK;
}

/* ---- record, answer -------------------------------------------------------------------------- */

static enum hf_err record(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    const struct work *work = call->work;

    return hf_rollout_step_end(tx, &work->rollout.row, &work->step,
                               work->asked == HF_OK ? &work->stepped : NULL, &work->refusal, true,
                               why);
}

/* 429 for more than the signer resumes in a day, 409 for all that its rules forbid. */
static enum hf_err refuse(struct hf_api_call *call, const struct work *work, struct hf_why *why)
{
    call->status = work->asked == HF_E_LIMIT ? 429 : 409;
    call->retry_after_s = work->asked == HF_E_LIMIT ? HF_API_QUOTA_RETRY_S : 0;
    return hf_fail(why, work->asked, "%s", work->refusal.text);
}

static enum hf_err answer(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    const struct work *work = call->work;
    const struct hf_description *d = &work->rollout.bundle->description;
    (void)tx;

    if (work->asked != HF_OK)
        return refuse(call, work, why);
    return hf_api_answer_take(call, 200,
                              json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:o, s:o, s:o}", "set",
                                        d->set, "profile", d->profile, "version",
                                        (json_int_t)d->version, "role_version",
                                        (json_int_t)work->stepped.role_version, "stage",
                                        (json_int_t)work->step.stage, "state",
                                        hf_rollout_state_name(work->step.state), "since",
                                        hf_json_time(work->stepped.since_s), "reason",
                                        hf_json_plain(work->step.reason), "mandatory_from",
                                        hf_json_time(d->plan->mandatory_from_s)),
                              why);
}

/* ---- approvals ------------------------------------------------------------------------------- */

/* Only for the step that comes next: an approval given in advance would be for results that are not
 * there yet. */
static enum hf_err check_next(const struct hf_published_bundle *bundle,
                              const struct hf_rollout_approval_row *approval, struct hf_why *why)
{
    const struct hf_rollout_intent next = hf_rollout_step_next(bundle);
    char since[HF_TIME_TEXT_MAX];

    if (hf_rollout_step_approvals(bundle, &next) == 0)
        return hf_fail(why, HF_E_STATE, "the next step of this rollout needs no approval");
    if (approval->since_s == bundle->rollout.now.since_s && approval->stage == next.stage &&
        approval->state == next.state)
        return HF_OK;
    hf_time_format(bundle->rollout.now.since_s, since);
    return hf_fail(why, HF_E_STATE,
                   "this is not the next step (expected since %s, stage %" PRId64
                   ", state %s). Look at the rollout and decide again",
                   since, next.stage, hf_rollout_state_name(next.state));
}

static enum hf_err read_signature(struct hf_api_call *call, const struct hf_api_rollout *rollout,
                                  struct hf_rollout_approval_row *row, struct hf_why *why)
{
    struct hf_rollout_approval_given given;
    struct hf_buf path = {0};
    size_t approver = 0;

    HF_TRY(hf_api_input(call, hf_json_get_bytes(call->body, "approver", "the body", given.approver,
                                                sizeof given.approver, why)));
    HF_TRY(hf_api_input(call, hf_json_get_bytes(call->body, "signature", "the body",
                                                given.signature, sizeof given.signature, why)));
    HF_TRY(hf_description_target_path(&rollout->bundle->description, &path, why));
    const struct hf_rollout_step step = {.path = (const char *)path.data,
                                         .sha256 = rollout->row.sha256,
                                         .since_s = row->since_s,
                                         .stage = row->stage,
                                         .state = row->state};
    enum hf_err err = hf_rollout_approval_verify(rollout->bundle->description.plan, &step, &given,
                                                 &approver, why);
    hf_buf_free(&path);
    if (err == HF_E_SIGNATURE)
        call->status = 403;
    HF_TRY(err);
    row->is_signed = true;
    memcpy(row->signature, given.signature, sizeof row->signature);
    (void)snprintf(row->approver, sizeof row->approver, "%s", hf_body_text(call->body, "approver"));
    return HF_OK;
}

static enum hf_err approve(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_rollout_approval_row row = {.since_s = hf_body_time(call->body, "since"),
                                          .stage = hf_body_integer(call->body, "stage", 0)};
    struct work *work = NULL;

    HF_TRY(check_reason(call, why));
    if (!hf_rollout_state_parse(hf_body_text(call->body, "state"), &row.state))
        return hf_api_input(call, hf_fail(why, HF_E_ARGUMENT, "\"state\": expected open"));
    HF_TRY(begin(call, tx, &work, why));
    const struct hf_published_bundle *bundle = work->rollout.bundle;
    HF_TRY(check_next(bundle, &row, why));
    (void)snprintf(row.reason, sizeof row.reason, "%s", hf_body_text(call->body, "reason"));
    (void)snprintf(row.approver, sizeof row.approver, "%s", tx->actor);
    if (bundle->description.plan->approval == HF_ROLLOUT_SIGNED)
        HF_TRY(read_signature(call, &work->rollout, &row, why));
    else if (json_object_get(call->body, "signature") != NULL)
        return hf_fail(why, HF_E_STATE, "the plan asks for no signatures: approve without one");
    HF_TRY(hf_rollout_approval_add(tx, &work->rollout.row, &row, why));
    HF_TRY(hf_rollout_row_find(tx->db, bundle, &work->rollout.row, why));
    return hf_api_rollout_answer(call, tx, &work->rollout, why);
}

/* ---- devices that do not count --------------------------------------------------------------- */

static enum hf_err exclude(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_rollout_excluded row = {.id = 0};
    struct hf_account_row account;
    struct hf_device device;
    struct work *work = NULL;

    HF_TRY(check_reason(call, why));
    HF_TRY(begin(call, tx, &work, why));
    enum hf_err err = hf_account_find(tx->db, hf_body_text(call->body, "account"), &account, why);
    if (err == HF_E_NOT_FOUND)
        return hf_fail(why, err, "\"account\": there is no account of this name");
    HF_TRY(err);
    HF_TRY(hf_device_find(tx->db, account.id, hf_body_text(call->body, "device"), &device, why));
    row.account_id = account.id;
    row.device_id = device.id;
    memcpy(row.device, device.name, sizeof row.device);
    (void)snprintf(row.reason, sizeof row.reason, "%s", hf_body_text(call->body, "reason"));
    HF_TRY(hf_rollout_exclude(tx, &work->rollout.row, &row, why));
    return hf_api_rollout_answer(call, tx, &work->rollout, why);
}

static enum hf_err include(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct work *work = NULL;
    int64_t id = 0;

    HF_TRY(hf_api_param_number(call, 3, &id, why));
    HF_TRY(begin(call, tx, &work, why));
    HF_TRY(hf_tx_check_version(call->if_version, work->rollout.row.version, why));
    call->status = 204;
    return hf_rollout_include(tx, &work->rollout.row, id, why);
}

/* ---- routes ---------------------------------------------------------------------------------- */

static const struct hf_body_field act_body[] = {
    {"reason", HF_BODY_TEXT, .is_required = true, .max = HF_FLEET_REASON_MAX},
    {"from", HF_BODY_INTEGER, .max = INT64_MAX},
    {0},
};
static const struct hf_body_field approve_body[] = {
    {"since", HF_BODY_TIME, .is_required = true},
    {"stage", HF_BODY_INTEGER, .is_required = true, .max = HF_ROLLOUT_STAGES_MAX - 1},
    {"state", HF_BODY_TEXT, .is_required = true, .max = 16},
    {"approver", HF_BODY_TEXT, .max = 64},
    {"signature", HF_BODY_TEXT, .max = 128},
    {"reason", HF_BODY_TEXT, .is_required = true, .max = HF_FLEET_REASON_MAX},
    {0},
};
static const struct hf_body_field exclude_body[] = {
    {"account", HF_BODY_TEXT, .is_required = true, .max = HF_ACCOUNT_NAME_MAX},
    {"device", HF_BODY_TEXT, .is_required = true, .max = HF_DEVICE_ID_MAX},
    {"reason", HF_BODY_TEXT, .is_required = true, .max = HF_FLEET_REASON_MAX},
    {0},
};

#define SIGNED_AND_ANSWERED                                                                        \
    {HF_API_SIGNER, sign}, {HF_API_WRITE, record},                                                 \
    {                                                                                              \
        HF_API_WRITE, answer                                                                       \
    }

const struct hf_api_route hf_rollout_act_routes[] = {
    {HTTP_POST, HF_API_ROLLOUT "/pause", HF_ADMIN_OPERATOR, .body = act_body,
     .steps = {{HF_API_WRITE, ask_pause}, SIGNED_AND_ANSWERED}},
    {HTTP_POST, HF_API_ROLLOUT "/abort", HF_ADMIN_OPERATOR, .body = act_body,
     .steps = {{HF_API_WRITE, ask_abort}, SIGNED_AND_ANSWERED}},
    {HTTP_POST, HF_API_ROLLOUT "/resume", HF_ADMIN_OPERATOR, .body = act_body,
     .steps = {{HF_API_WRITE, ask_resume}, SIGNED_AND_ANSWERED}},
    {HTTP_POST, HF_API_ROLLOUT "/promote", HF_ADMIN_OPERATOR, .body = act_body,
     .steps = {{HF_API_WRITE, ask_promote}, SIGNED_AND_ANSWERED}},
    {HTTP_POST, HF_API_ROLLOUT "/approve", HF_ADMIN_OPERATOR, .body = approve_body,
     .steps = {{HF_API_WRITE, approve}}},
    {HTTP_POST, HF_API_ROLLOUT "/excluded", HF_ADMIN_OPERATOR, .body = exclude_body,
     .steps = {{HF_API_WRITE, exclude}}},
    {HTTP_DELETE, HF_API_ROLLOUT "/excluded/{id}", HF_ADMIN_OPERATOR, .must_match = true,
     .steps = {{HF_API_WRITE, include}}},
    {0},
};
