/* What is due in one rollout, and how the signer is asked for it. */
#include "server/rollout/steering_parts.h"

#include "common/os/service.h"
#include "server/rollout/cause.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum hf_err hf_rollout_write(struct hf_rollout_steering *s, hf_fleet_act *act, void *what)
{
    struct hf_why why = {0};
    const enum hf_err err = s->port.write(s->port.ctx, act, what, &why);

    if (err != HF_OK && err != HF_E_STATE && s->refused.code == HF_OK)
        (void)hf_fail(&s->refused, err, "%s", why.text);
    return err;
}

/* A step under way, for the jobs of the writer. */
struct asking {
    const struct hf_published_bundle *bundle;
    struct hf_rollout_row row;
    struct hf_rollout_intent step;
    struct hf_rollout_approval_rows approvals;
    struct hf_rollout_stepped answer;
    const struct hf_rollout_stepped *stepped; /* the answer; NULL: it is none */
    struct hf_why refusal;
    bool is_logged;
    int64_t stalled_since_s;
};

static enum hf_err put_intent(void *what, struct hf_tx *tx, struct hf_why *why)
{
    struct asking *a = what;

    HF_TRY(hf_rollout_intent_put(tx, &a->row, &a->step, false, why));
    a->step = a->row.intent;
    return HF_OK;
}

static enum hf_err end_intent(void *what, struct hf_tx *tx, struct hf_why *why)
{
    const struct asking *a = what;

    return hf_rollout_step_end(tx, &a->row, &a->step, a->stepped, &a->refusal, a->is_logged, why);
}

static enum hf_err settle_intent(void *what, struct hf_tx *tx, struct hf_why *why)
{
    const struct asking *a = what;

    return hf_rollout_step_settle(tx, &a->row, a->bundle, why);
}

static enum hf_err note_stalled(void *what, struct hf_tx *tx, struct hf_why *why)
{
    struct asking *a = what;

    return hf_rollout_row_note_stalled(tx, &a->row, a->stalled_since_s, why);
}

static void set_row(struct hf_rollout_steering *s, struct hf_rollout_followed *f,
                    const struct hf_rollout_row *row)
{
    uv_mutex_lock(&s->mutex);
    f->row = *row;
    uv_mutex_unlock(&s->mutex);
}

static void set_problem(struct hf_rollout_steering *s, struct hf_rollout_followed *f,
                        const char *problem)
{
    uv_mutex_lock(&s->mutex);
    (void)snprintf(f->problem, sizeof f->problem, "%s", problem);
    uv_mutex_unlock(&s->mutex);
}

/* The next try of the same, ever later; a person hears of it once. */
static void try_later(struct hf_rollout_steering *s, struct hf_rollout_followed *f, const char *why)
{
    const struct hf_rollout_row *row = &f->row;

    if (strcmp(f->problem, why) != 0)
        hf_service_log(HF_LOG_WARNING,
                       "the rollout of %s/%s version %" PRId64 " does not go on: %s", row->set,
                       row->profile, row->bundle_version, why);
    f->wait_s = f->tried != f->verdict.due ? HF_ROLLOUT_RETRY_S : 2 * f->wait_s;
    f->tried = f->verdict.due;
    if (f->wait_s > HF_ROLLOUT_RETRY_MAX_S)
        f->wait_s = HF_ROLLOUT_RETRY_MAX_S;
    f->retry_s = s->now_s + f->wait_s;
    set_problem(s, f, why);
}

/* The repository must show this version of the set's role before anything else is decided by it. */
static void await(struct hf_rollout_steering *s, const struct hf_rollout_followed *f,
                  int64_t version)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->list[i].row.set, f->row.set) == 0) {
            s->list[i].awaited_version = version;
            s->list[i].awaited_until_s = s->now_s + HF_ROLLOUT_AWAIT_S;
        }
}

/* Without an answer the intent stays, since the step may have been signed. */
static void end_asking(struct hf_rollout_steering *s, struct hf_rollout_followed *f,
                       struct asking *a, enum hf_err asked)
{
    if (asked == HF_OK) {
        hf_service_log(HF_LOG_INFO,
                       "the rollout of %s/%s version %" PRId64 " is %s at stage %" PRId64 "%s%s",
                       f->row.set, f->row.profile, f->row.bundle_version,
                       hf_rollout_state_name(a->step.state), a->step.stage + 1,
                       a->step.reason[0] != '\0' ? ": " : "", a->step.reason);
        await(s, f, a->stepped->role_version);
        set_problem(s, f, "");
        f->tried = HF_DUE_NOTHING;
    } else if (asked == HF_E_STATE) { /* the repository shows that step soon */
        await(s, f, a->step.from + 1);
    } else {
        /* While the desk publishes, the repository is locked: no refusal that the log has to
         * keep. */
        a->is_logged = asked != HF_E_BUSY && strcmp(f->problem, a->refusal.text) != 0;
        try_later(s, f, a->refusal.text);
        if (asked == HF_E_NETWORK || asked == HF_E_MEMORY)
            return;
    }
    if (hf_rollout_write(s, end_intent, a) != HF_OK && asked == HF_OK) {
        f->unlogged_step = a->step;
        f->unlogged = a->answer;
    }
}

/* The log gets what was signed while the database took nothing. */
static void log_late(struct hf_rollout_steering *s, struct hf_rollout_followed *f)
{
    struct asking a = {.row = f->row, .step = f->unlogged_step, .stepped = &f->unlogged};

    if (f->unlogged.role_version > 0 && hf_rollout_write(s, end_intent, &a) == HF_OK)
        f->unlogged.role_version = 0;
}

static enum hf_err ask(struct hf_rollout_steering *s, struct hf_rollout_followed *f,
                       struct asking *a, struct hf_why *why)
{
    json_t *request = NULL, *answer = NULL;

    HF_TRY(hf_rollout_step_read_approvals(s->port.db, f->row.id, f->bundle, &a->step, &a->approvals,
                                          why));
    const enum hf_err put = hf_rollout_write(s, put_intent, a);
    if (put == HF_OK)
        set_row(s, f, &a->row);
    else if (put == HF_E_STATE || !hf_rollout_is_stop(a->step.state))
        return HF_OK; /* another step is under way, or the database takes nothing */
    else {
        a->step.asked_s = 0; /* it was not committed */
        hf_service_log(HF_LOG_WARNING,
                       "the signer is asked to stop the rollout of %s/%s version %" PRId64
                       " without a record in the database, which gets it later: %s",
                       f->row.set, f->row.profile, f->row.bundle_version, s->refused.text);
    }
    HF_TRY(hf_rollout_step_request(f->bundle, &a->step, &a->approvals, &request, why));
    enum hf_err asked = s->port.ask(s->port.ctx, request, &answer, &a->refusal);
    if (asked == HF_OK)
        asked = hf_rollout_step_read_answer(answer, &a->answer, &a->refusal);
    if (asked == HF_OK)
        a->stepped = &a->answer;
    json_decref(answer);
    end_asking(s, f, a, asked);
    return HF_OK;
}

/* What the verdict says, as a step. */
static struct hf_rollout_intent step_of(struct hf_rollout_steering *s,
                                        const struct hf_rollout_followed *f)
{
    const struct hf_rollout_situation *at = &f->situation;
    struct hf_rollout_entry devices[HF_ROLLOUT_CAUSE_DEVICES];
    struct hf_rollout_intent step;
    char text[HF_ROLLOUT_SENTENCE_MAX];

    hf_rollout_engine_explain(at, &f->verdict, text);
    if (f->verdict.due != HF_DUE_PAUSE && f->verdict.due != HF_DUE_ABORT)
        return hf_rollout_step_next(f->bundle);
    step = hf_rollout_step_stop(f->bundle, f->verdict.due == HF_DUE_PAUSE ? HF_ROLLOUT_PAUSED
                                                                          : HF_ROLLOUT_ABORTED);
    if (f->verdict.due == HF_DUE_ABORT) {
        (void)snprintf(step.reason, sizeof step.reason, "%s", text);
        return step;
    }
    const struct hf_rollout_bounds bounds =
        hf_rollout_engine_bounds(at->plan, hf_rollout_engine_stage(at->plan, at->now), &at->tally);
    const bool has_failed = at->tally.failed > bounds.failed_max;
    uv_mutex_lock(&s->mutex);
    const size_t n = hf_rollout_ledger_list(f->ledger,
                                            has_failed ? HF_RESULT_FAILED : HF_RESULT_SILENT,
                                            (size_t)step.stage, 0, s->now_s, devices,
                                            HF_ROLLOUT_CAUSE_DEVICES);
    uv_mutex_unlock(&s->mutex);
    hf_rollout_cause(s->port.db, devices, n, has_failed, text, step.reason);
    return step;
}

static void settle(struct hf_rollout_steering *s, struct hf_rollout_followed *f)
{
    struct asking a = {.bundle = f->bundle, .row = f->row};
    const int64_t age_s = s->now_s - f->row.intent.asked_s;

    if (!f->row.has_intent || (s->is_started && age_s >= 0 && age_s < HF_ROLLOUT_INTENT_S))
        return;
    if (hf_rollout_write(s, settle_intent, &a) != HF_OK)
        return;
    a.row.has_intent = false;
    set_row(s, f, &a.row);
}

static enum hf_err count_approvals(struct hf_rollout_steering *s,
                                   const struct hf_rollout_followed *f, int64_t *out,
                                   struct hf_why *why)
{
    const struct hf_rollout_intent step = hf_rollout_step_next(f->bundle);
    struct hf_rollout_approval_rows approvals;

    HF_TRY(
        hf_rollout_step_read_approvals(s->port.db, f->row.id, f->bundle, &step, &approvals, why));
    *out = (int64_t)approvals.n;
    return HF_OK;
}

struct hf_rollout_situation hf_rollout_situation_of(const struct hf_published_bundle *bundle,
                                                    int64_t now_s)
{
    return (struct hf_rollout_situation){.plan = bundle->description.plan,
                                         .now = hf_rollout_now_of(bundle),
                                         .is_superseded = !bundle->is_newest,
                                         .now_s = now_s};
}

/* Under the mutex. */
void hf_rollout_count(const struct hf_rollout_followed *f, struct hf_rollout_situation *at)
{
    at->approvals = f->approvals;
    if (f->ledger == NULL)
        return;
    at->counted = hf_rollout_ledger_counted(f->ledger);
    at->tally = hf_rollout_ledger_tally(f->ledger, hf_rollout_engine_stage(at->plan, at->now),
                                        at->now_s);
}

static enum hf_err decide(struct hf_rollout_steering *s, struct hf_rollout_followed *f,
                          struct hf_why *why)
{
    int64_t approvals = 0;

    HF_TRY(count_approvals(s, f, &approvals, why));
    f->situation = hf_rollout_situation_of(f->bundle, s->now_s);
    uv_mutex_lock(&s->mutex);
    f->approvals = approvals;
    hf_rollout_count(f, &f->situation);
    uv_mutex_unlock(&s->mutex);
    f->verdict = hf_rollout_engine_decide(&f->situation);
    return HF_OK;
}

/* Stalled and paused rollouts are findings. */
static void note_alarms(struct hf_rollout_steering *s, struct hf_rollout_followed *f)
{
    const struct hf_published_rollout *rollout = &f->bundle->rollout;
    const bool is_stalled = f->verdict.is_stalled;
    const bool is_paused = rollout->is_signed && rollout->now.state == HF_ROLLOUT_PAUSED &&
                           f->bundle->is_newest;
    struct asking a = {.row = f->row, .stalled_since_s = is_stalled ? s->now_s : 0};

    if (is_stalled != (f->row.stalled_since_s != 0) &&
        hf_rollout_write(s, note_stalled, &a) == HF_OK)
        set_row(s, f, &a.row);
    if ((is_stalled || is_paused) != f->was_alarming)
        s->port.alarm(s->port.ctx);
    f->was_alarming = is_stalled || is_paused;
}

static json_t *tally_json(const struct hf_rollout_tally *t)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "devices", (json_int_t)t->devices, "waiting",
                     (json_int_t)t->waiting, "on_trial", (json_int_t)t->on_trial, "confirmed",
                     (json_int_t)t->confirmed, "failed", (json_int_t)t->failed, "silent",
                     (json_int_t)t->silent);
}

static void tell_numbers(struct hf_rollout_steering *s, struct hf_rollout_followed *f)
{
    const struct hf_rollout_situation *at = &f->situation;
    const size_t stage = hf_rollout_engine_stage(at->plan, at->now);
    const int64_t age_s = s->now_s - f->told_s;

    if (f->ledger == NULL || at->counted != HF_COUNTED_ALL ||
        (age_s >= 0 && age_s < HF_ROLLOUT_TELL_EVERY_S) ||
        (stage == f->told_stage && memcmp(&f->told, &at->tally, sizeof f->told) == 0))
        return;
    f->told = at->tally;
    f->told_s = s->now_s;
    f->told_stage = stage;
    hf_events_add_take(s->port.events, "rollout-tally", s->now_s,
                       json_pack("{s:s, s:s, s:I, s:I, s:o}", "set", f->row.set, "profile",
                                 f->row.profile, "version", (json_int_t)f->row.bundle_version,
                                 "stage", (json_int_t)stage, "counts", tally_json(&at->tally)));
}

/* A stop always. A step forward not while another one may still be signed; nor by results of an old
 * copy of the database, as it could follow failures that are lost with it, nor while the database
 * takes nothing, as failures cannot be reported then. */
static bool is_allowed(const struct hf_rollout_steering *s, const struct hf_rollout_followed *f)
{
    const enum hf_rollout_due due = f->verdict.due;

    return due == HF_DUE_PAUSE || due == HF_DUE_ABORT ||
           (due != HF_DUE_NOTHING && !f->row.has_intent && !s->port.is_behind(s->port.ctx) &&
            s->refused.code == HF_OK);
}

static bool may_ask(const struct hf_rollout_steering *s, const struct hf_rollout_followed *f)
{
    const bool is_awaited = f->bundle->rollout.role_version < f->awaited_version &&
                            s->now_s < f->awaited_until_s;
    const bool is_too_early = f->tried == f->verdict.due && s->now_s < f->retry_s &&
                              f->retry_s - s->now_s <= HF_ROLLOUT_RETRY_MAX_S;

    return s->port.ask != NULL && f->bundle->rollout.is_delegated && is_allowed(s, f) &&
           !is_awaited && !is_too_early;
}

enum hf_err hf_rollout_steer(struct hf_rollout_steering *s, struct hf_rollout_followed *f,
                             struct hf_why *why)
{
    log_late(s, f);
    settle(s, f);
    HF_TRY(decide(s, f, why));
    note_alarms(s, f);
    tell_numbers(s, f);
    if (f->verdict.due == HF_DUE_NOTHING && f->problem[0] != '\0')
        set_problem(s, f, "");
    if (!may_ask(s, f))
        return HF_OK;
    struct asking a = {.bundle = f->bundle, .row = f->row, .step = step_of(s, f)};
    return ask(s, f, &a, why);
}
