#include "server/rollout/engine.h"

#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- thresholds ------------------------------------------------------------------------------ */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

size_t hf_rollout_engine_stage(const struct hf_rollout_plan *plan,
                               const struct hf_rollout_activation *now)
{
    return now == NULL ? 0 : (size_t)least(now->stage, (int64_t)plan->n_stages - 1);
}

/* How many devices may fail, or fall silent. */
static int64_t allowance(const struct hf_rollout_plan *plan, int64_t ppm, int64_t known,
                         int64_t devices)
{
    const int64_t min_count = least(plan->pause.min_count, HF_ROLLOUT_DEVICES_MAX);
    const int64_t of_few = ppm * most(known, min_count) / HF_ROLLOUT_PPM;
    const int64_t of_small = most(devices / HF_ROLLOUT_SMALL_PART, ppm * devices / HF_ROLLOUT_PPM);

    return least(of_few, of_small);
}

struct hf_rollout_bounds hf_rollout_engine_bounds(const struct hf_rollout_plan *plan, size_t stage,
                                                  const struct hf_rollout_tally *tally)
{
    const int64_t judged = tally->confirmed + tally->failed + tally->silent;
    const int64_t begun = judged + tally->on_trial;
    const int64_t own = plan->stages[stage].min_count;
    const int64_t confirmed_min = (plan->promote.confirmed_ppm * tally->devices + HF_ROLLOUT_PPM -
                                   1) /
                                  HF_ROLLOUT_PPM;
    const int64_t most_of_small = most(confirmed_min, tally->devices * 3 / 4);

    return (struct hf_rollout_bounds){
        .judged = judged,
        .begun = begun,
        .failed_max = allowance(plan, plan->pause.failed_ppm, begun, tally->devices),
        .silent_max = allowance(plan, plan->pause.silent_ppm, judged, tally->devices),
        .judged_min = own > 0 ? least(own, tally->devices)
                              : least(plan->promote.min_count, most_of_small),
        .confirmed_min = confirmed_min,
    };
}

/* ---- the verdict ----------------------------------------------------------------------------- */

bool hf_rollout_engine_is_over(const struct hf_rollout_plan *plan,
                               const struct hf_rollout_activation *now, bool is_superseded,
                               int64_t now_s)
{
    if (now == NULL)
        return is_superseded;
    return now->state == HF_ROLLOUT_ABORTED || (now->state == HF_ROLLOUT_COMPLETE &&
                                                (is_superseded || now_s >= plan->mandatory_from_s));
}

static struct hf_rollout_verdict due(enum hf_rollout_due due, size_t stage)
{
    return (struct hf_rollout_verdict){.due = due, .stage = (int64_t)stage};
}

static struct hf_rollout_verdict wait_for(enum hf_rollout_wait wait, size_t stage, int64_t next_s)
{
    return (struct hf_rollout_verdict){.stage = (int64_t)stage, .wait = wait, .next_s = next_s};
}

/* It was ready at `ready_s` and waits for devices. A short plan leaves less time than patience
 * would take until all of them install the bundle: half of it is left to people. */
static struct hf_rollout_verdict wait_for_devices(const struct hf_rollout_situation *s,
                                                  enum hf_rollout_wait wait, size_t stage,
                                                  int64_t ready_s)
{
    const int64_t left_s = s->plan->mandatory_from_s - ready_s;
    const int64_t stalled_s = ready_s + most(least(HF_ROLLOUT_PATIENCE_S, left_s / 2),
                                             s->plan->pause.silent_after_s);
    struct hf_rollout_verdict v = wait_for(wait, stage, stalled_s);

    v.is_stalled = s->now_s >= stalled_s;
    if (v.is_stalled)
        v.next_s = 0;
    return v;
}

static struct hf_rollout_verdict judge_unopened(const struct hf_rollout_situation *s)
{
    if (s->is_superseded)
        return wait_for(HF_WAIT_SUPERSEDED, 0, 0);
    if (s->now_s < s->plan->not_before_s)
        return wait_for(HF_WAIT_NOT_BEFORE, 0, s->plan->not_before_s);
    if (s->counted != HF_COUNTED_ALL)
        return wait_for(HF_WAIT_COUNTING, 0, 0);
    return due(HF_DUE_OPEN, 0);
}

/* May the stage after the open one open, or is the last one complete? */
static struct hf_rollout_verdict judge_progress(const struct hf_rollout_situation *s, size_t stage,
                                                const struct hf_rollout_bounds *bounds)
{
    const struct hf_rollout_plan *plan = s->plan;
    const bool is_last = stage + 1 == plan->n_stages;
    int64_t ready_s = s->now->since_s + plan->stages[stage].bake_s;

    if (!is_last)
        ready_s = most(ready_s, hf_rollout_opens_s(plan, stage + 1));
    if (s->now_s < ready_s)
        return wait_for(HF_WAIT_BAKING, stage, ready_s);
    if (s->counted != HF_COUNTED_ALL)
        return wait_for(HF_WAIT_COUNTING, stage, 0);
    if (bounds->judged < bounds->judged_min || s->tally.unreported > 0)
        return wait_for_devices(s, HF_WAIT_JUDGED, stage, ready_s);
    if (s->tally.confirmed < bounds->confirmed_min)
        return wait_for_devices(s, HF_WAIT_CONFIRMED, stage, ready_s);
    if (is_last)
        return due(HF_DUE_COMPLETE, stage);
    if (plan->approval != HF_ROLLOUT_AUTO && s->approvals < plan->approvals)
        return wait_for(HF_WAIT_APPROVAL, stage, 0);
    return due(HF_DUE_OPEN, stage + 1);
}

struct hf_rollout_verdict hf_rollout_engine_decide(const struct hf_rollout_situation *s)
{
    const size_t stage = hf_rollout_engine_stage(s->plan, s->now);
    const struct hf_rollout_bounds bounds = hf_rollout_engine_bounds(s->plan, stage, &s->tally);

    if (s->now == NULL)
        return judge_unopened(s);
    if (hf_rollout_engine_is_over(s->plan, s->now, s->is_superseded, s->now_s))
        return wait_for(s->is_superseded ? HF_WAIT_SUPERSEDED : HF_WAIT_OVER, stage, 0);
    if (s->is_superseded)
        return due(HF_DUE_ABORT, stage);
    if (s->now->state == HF_ROLLOUT_PAUSED)
        return wait_for(HF_WAIT_PAUSED, stage, 0);
    if (s->counted != HF_COUNTED_PARTLY &&
        (s->tally.failed > bounds.failed_max || s->tally.silent > bounds.silent_max))
        return due(HF_DUE_PAUSE, stage);
    if (s->now->state == HF_ROLLOUT_COMPLETE)
        return wait_for(HF_WAIT_OVER, stage, s->plan->mandatory_from_s);
    return judge_progress(s, stage, &bounds);
}

/* ---- for people ------------------------------------------------------------------------------ */

const char *hf_rollout_due_name(enum hf_rollout_due due)
{
    static const char *const names[] = {[HF_DUE_NOTHING] = "nothing",
                                        [HF_DUE_OPEN] = "open",
                                        [HF_DUE_PAUSE] = "pause",
                                        [HF_DUE_COMPLETE] = "complete",
                                        [HF_DUE_ABORT] = "abort"};
    return names[due];
}

const char *hf_rollout_wait_name(enum hf_rollout_wait wait)
{
    static const char *const names[HF_WAIT_COUNT] = {[HF_WAIT_NONE] = "none",
                                                     [HF_WAIT_NOT_BEFORE] = "not-before",
                                                     [HF_WAIT_COUNTING] = "counting",
                                                     [HF_WAIT_BAKING] = "baking",
                                                     [HF_WAIT_JUDGED] = "judged",
                                                     [HF_WAIT_CONFIRMED] = "confirmed",
                                                     [HF_WAIT_APPROVAL] = "approval",
                                                     [HF_WAIT_PAUSED] = "paused",
                                                     [HF_WAIT_SUPERSEDED] = "superseded",
                                                     [HF_WAIT_OVER] = "over"};
    return names[wait];
}

static void explain_due(const struct hf_rollout_situation *s, const struct hf_rollout_verdict *v,
                        const struct hf_rollout_bounds *b, char out[HF_ROLLOUT_SENTENCE_MAX])
{
    if (v->due == HF_DUE_PAUSE && s->tally.failed > b->failed_max)
        (void)snprintf(out, HF_ROLLOUT_SENTENCE_MAX,
                       "%" PRId64 " of %" PRId64
                       " devices that began to install the bundle failed (the plan allows %" PRId64
                       ")",
                       s->tally.failed, b->begun, b->failed_max);
    else if (v->due == HF_DUE_PAUSE)
        (void)snprintf(out, HF_ROLLOUT_SENTENCE_MAX,
                       "%" PRId64 " of %" PRId64
                       " judged devices fell silent (the plan allows %" PRId64 ")",
                       s->tally.silent, b->judged, b->silent_max);
    else if (v->due == HF_DUE_ABORT)
        (void)snprintf(out, HF_ROLLOUT_SENTENCE_MAX, "a higher version is published");
    else if (v->due == HF_DUE_COMPLETE)
        (void)snprintf(out, HF_ROLLOUT_SENTENCE_MAX,
                       "%" PRId64 " of %" PRId64 " devices have confirmed the bundle",
                       s->tally.confirmed, s->tally.devices);
    else
        (void)snprintf(out, HF_ROLLOUT_SENTENCE_MAX, "stage %" PRId64 " of %zu is due",
                       v->stage + 1, s->plan->n_stages);
}

/* What the open stage of several waits for. */
static void explain_progress(const struct hf_rollout_situation *s,
                             const struct hf_rollout_verdict *v, const struct hf_rollout_bounds *b,
                             char out[HF_ROLLOUT_SENTENCE_MAX])
{
    const int64_t stage = v->stage + 1;
    char ready[HF_TIME_TEXT_MAX];

    if (v->wait == HF_WAIT_BAKING) {
        const bool is_empty = s->counted == HF_COUNTED_ALL && s->tally.devices == 0 &&
                              s->tally.unreported == 0;
        hf_time_format(v->next_s, ready);
        (void)snprintf(out, HF_ROLLOUT_SENTENCE_MAX, "stage %" PRId64 " of %zu bakes until %s%s",
                       stage, s->plan->n_stages, ready,
                       is_empty
                           ? "; no device that counts is in it, so nothing is tried before the "
                             "next one opens"
                           : "");
    } else if (v->wait == HF_WAIT_JUDGED && s->tally.unreported > 0) {
        (void)snprintf(out, HF_ROLLOUT_SENTENCE_MAX,
                       "none of %" PRId64
                       " registered devices has ever reported, so it is not known "
                       "whether one has tried the bundle; let them report, or promote it by hand",
                       s->tally.unreported);
    } else if (v->wait == HF_WAIT_JUDGED) {
        (void)snprintf(out, HF_ROLLOUT_SENTENCE_MAX,
                       "%" PRId64 " of %" PRId64 " devices up to stage %" PRId64
                       " have a result (expected at least %" PRId64 ")",
                       b->judged, s->tally.devices, stage, b->judged_min);
    } else if (v->wait == HF_WAIT_CONFIRMED) {
        (void)snprintf(out, HF_ROLLOUT_SENTENCE_MAX,
                       "%" PRId64 " of %" PRId64 " devices up to stage %" PRId64
                       " have confirmed the bundle (expected at least %" PRId64 ")",
                       s->tally.confirmed, s->tally.devices, stage, b->confirmed_min);
    } else {
        (void)snprintf(out, HF_ROLLOUT_SENTENCE_MAX,
                       "%" PRId64 " of %" PRId64 " approvals of stage %" PRId64 " are given",
                       s->approvals, s->plan->approvals, stage + 1);
    }
}

void hf_rollout_engine_explain(const struct hf_rollout_situation *s,
                               const struct hf_rollout_verdict *v,
                               char out[HF_ROLLOUT_SENTENCE_MAX])
{
    const size_t stage = hf_rollout_engine_stage(s->plan, s->now);
    const struct hf_rollout_bounds bounds = hf_rollout_engine_bounds(s->plan, stage, &s->tally);
    char begins[HF_TIME_TEXT_MAX];

    switch (v->wait) {
    case HF_WAIT_NONE:
        explain_due(s, v, &bounds, out);
        break;
    case HF_WAIT_NOT_BEFORE:
        hf_time_format(s->plan->not_before_s, begins);
        (void)snprintf(out, HF_ROLLOUT_SENTENCE_MAX, "the plan begins at %s", begins);
        break;
    case HF_WAIT_COUNTING:
        (void)snprintf(out, HF_ROLLOUT_SENTENCE_MAX, "the devices are being counted");
        break;
    case HF_WAIT_BAKING:
    case HF_WAIT_JUDGED:
    case HF_WAIT_CONFIRMED:
    case HF_WAIT_APPROVAL:
        explain_progress(s, v, &bounds, out);
        break;
    case HF_WAIT_PAUSED:
        (void)snprintf(out, HF_ROLLOUT_SENTENCE_MAX,
                       "the rollout is paused; only a person resumes it");
        break;
    case HF_WAIT_SUPERSEDED:
        (void)snprintf(out, HF_ROLLOUT_SENTENCE_MAX, "a higher version is published");
        break;
    case HF_WAIT_OVER:
    case HF_WAIT_COUNT:
        (void)snprintf(out, HF_ROLLOUT_SENTENCE_MAX, "the rollout is over");
        break;
    }
}
