/*
 * What is due in a rollout now? Decided from the plan, which offline keys signed, the stage that is
 * signed now, and the results of the devices. The service asks the signer for what is due; the
 * signer decides by its own rules (server/repository/rollout_rules.h). The simulation runs the same
 * code. No I/O, no database, no clock.
 *
 *     none signed                  open stage 0 from `not_before` on
 *     open, too many failures      pause
 *     open                         open the next stage after the bake time, if enough devices are
 *                                  judged and confirmed and people have approved; the last stage
 *                                  becomes complete in the same way
 *     complete, too many failures  pause, until `mandatory_from`: devices that were off are still
 *                                  to come
 *     superseded                   abort what is open or paused
 *     paused                       nothing: only a person resumes
 *     aborted                      nothing, ever
 *
 * A failure counts until its device reports otherwise or the operator excludes it. So a rollout
 * that is resumed with the same failures pauses again at once: to resume means to exclude the
 * devices that caused the pause.
 */
#ifndef HF_ROLLOUT_ENGINE_H
#define HF_ROLLOUT_ENGINE_H

#include "common/rollout/rollout.h"
#include "server/rollout/tally.h"

/* Without progress for so long a stage is stalled: devices check daily, and a weekend is two days
 * more. */
#define HF_ROLLOUT_PATIENCE_S (INT64_C(7) * 86400)

/* `min_count` lets a few devices fail before the share of all can be told. In a small stage it must
 * not let most of them fail, so more than one in so many always pauses it; and one device alone, by
 * chance or on purpose, pauses no stage that has as many. */
#define HF_ROLLOUT_SMALL_PART 5
#define HF_ROLLOUT_DEVICES_MAX INT64_C(1000000000000) /* times a million is below 2^63 */

/* What is true now. Borrowed. */
struct hf_rollout_situation {
    const struct hf_rollout_plan *plan;
    const struct hf_rollout_activation *now; /* the stage that is signed; NULL: none yet */
    bool is_superseded; /* a higher version of its set and profile is published */
    enum hf_rollout_counted counted;
    struct hf_rollout_tally tally; /* of stages 0 to hf_rollout_engine_stage() */
    int64_t approvals;             /* valid ones for the next stage */
    int64_t now_s;
};

/* The thresholds of the plan in devices. */
struct hf_rollout_bounds {
    int64_t judged; /* confirmed, failed and silent: what silence is a share of */
    /* And on trial: what failures are a share of. A refusal is known at once and a confirmation
     * after an hour. */
    int64_t begun;
    int64_t failed_max, silent_max;    /* more than that pauses */
    int64_t judged_min, confirmed_min; /* less than that keeps the next stage closed */
};

enum hf_rollout_due {
    HF_DUE_NOTHING,
    HF_DUE_OPEN,
    HF_DUE_PAUSE,
    HF_DUE_COMPLETE,
    HF_DUE_ABORT,
};

/* Why nothing is due. */
enum hf_rollout_wait {
    HF_WAIT_NONE,       /* something is */
    HF_WAIT_NOT_BEFORE, /* the plan begins later */
    HF_WAIT_COUNTING,   /* the devices are being counted */
    HF_WAIT_BAKING,
    HF_WAIT_JUDGED,    /* too few devices have a result */
    HF_WAIT_CONFIRMED, /* too few of them are good */
    HF_WAIT_APPROVAL,
    HF_WAIT_PAUSED,
    HF_WAIT_SUPERSEDED, /* and was never opened, or is complete */
    HF_WAIT_OVER,       /* aborted, or complete */
    HF_WAIT_COUNT
};

struct hf_rollout_verdict {
    enum hf_rollout_due due;
    int64_t stage; /* to be signed; with HF_DUE_NOTHING the one that is reached */
    enum hf_rollout_wait wait;
    int64_t next_s; /* time alone may change the verdict then; 0: only a report, a device that falls
                       silent, or a person can */
    bool is_stalled; /* it waits for results, and has done so for too long */
};

/** Everything else than HF_DUE_PAUSE needs HF_COUNTED_ALL, and a pause needs HF_COUNTED_STALE: of
 *  the first few devices that are read any share may have failed. An abort needs none. */
struct hf_rollout_verdict hf_rollout_engine_decide(const struct hf_rollout_situation *situation);

/** The stage that counts as reached, 0 without an activation: a stolen key may have signed one that
 *  the plan does not have. */
size_t hf_rollout_engine_stage(const struct hf_rollout_plan *plan,
                               const struct hf_rollout_activation *now);

/** The thresholds at that stage of the plan. `min_count` of the stage itself asks for all devices
 *  if there are no more; that of `promote` for three quarters of a small stage, or for the share of
 *  confirmed ones if that is more: a few are off for weeks. */
struct hf_rollout_bounds hf_rollout_engine_bounds(const struct hf_rollout_plan *plan, size_t stage,
                                                  const struct hf_rollout_tally *tally);

/** No result can change it any more, so its ledger can be freed: it is aborted or superseded, or it
 *  is complete and `mandatory_from` has come. */
bool hf_rollout_engine_is_over(const struct hf_rollout_plan *plan,
                               const struct hf_rollout_activation *now, bool is_superseded,
                               int64_t now_s);

#define HF_ROLLOUT_SENTENCE_MAX 240 /* bytes, with the NUL */

/** Why, in words: "31 of 1000 judged devices fell silent (the plan allows 30)", "stage 2 of 4 bakes
 *  until …". */
void hf_rollout_engine_explain(const struct hf_rollout_situation *situation,
                               const struct hf_rollout_verdict *verdict,
                               char out[HF_ROLLOUT_SENTENCE_MAX]);

/** "nothing", "open", "pause", "complete", "abort". */
const char *hf_rollout_due_name(enum hf_rollout_due due);
/** "none", "not-before", "counting", "baking", "judged", "confirmed", "approval", "paused",
 *  "superseded", "over". */
const char *hf_rollout_wait_name(enum hf_rollout_wait wait);

#endif
