/* What the files of the steering share: steering.c, with what is published and the views;
 * steering_devices.c, which reads devices into the ledgers; steering_steps.c, which decides and
 * asks. */
#ifndef HF_ROLLOUT_STEERING_PARTS_H
#define HF_ROLLOUT_STEERING_PARTS_H

#include "server/rollout/steering.h"
#include "server/rollout/steps.h"

/* One rollout. The keeper's thread alone writes it; what views read is marked, and written under
 * the mutex. */
struct hf_rollout_followed {
    const struct hf_published_bundle *bundle; /* of steering->published; for views */
    struct hf_rollout_row row;                /* for views */
    struct hf_rollout_ledger *ledger; /* for views; NULL: it is over, so results change nothing */
    int64_t *excluded;                /* numbers of devices, rising */
    size_t n_excluded;
    int64_t excluded_version; /* of the row whose exclusions these are; 0: none were read */
    int64_t approvals;        /* given for the next step; for views */
    struct hf_rollout_situation situation; /* of the look under way, as the verdict */
    struct hf_rollout_verdict verdict;

    int64_t awaited_version, awaited_until_s; /* of the role: the repository is to show it first */
    enum hf_rollout_due tried;                /* without success; HF_DUE_NOTHING: nothing was */
    int64_t retry_s;                          /* not the same before then */
    int64_t wait_s;                           /* the last pause between two tries of it */
    char problem[HF_WHY_MAX];                 /* of the last try; "": none; for views */
    /* A step that was signed, and that the database did not take yet; `unlogged.role_version` 0:
     * there is none. */
    struct hf_rollout_intent unlogged_step;
    struct hf_rollout_stepped unlogged;

    struct hf_rollout_tally told;
    int64_t told_s;
    size_t told_stage;
    bool was_alarming;
};

struct hf_rollout_steering {
    struct hf_rollout_port port;
    uv_mutex_t mutex;               /* over what others look at: the list and the ledgers */
    struct hf_published *published; /* a reference; NULL: nothing */
    struct hf_rollout_followed *list;
    size_t n;
    bool is_started; /* the intents of an earlier process are settled */
    size_t n_left;   /* rollouts that go on, and are more than are followed */
    bool must_scan, is_scanning;
    int64_t scan_after, scanned_s;
    int64_t now_s;         /* of the look under way; for views */
    struct hf_why refused; /* by the database, first in the look under way; HF_OK: it took all */
};

/** hf_rollout_port.write. The look goes on if the database takes nothing, so that a stop gets
 *  through; then it ends with that error, and nothing else is asked for in it. */
HF_MUST_USE enum hf_err hf_rollout_write(struct hf_rollout_steering *s, hf_fleet_act *act,
                                         void *what);

/** NULL: nothing is signed. */
static inline const struct hf_rollout_activation *
hf_rollout_now_of(const struct hf_published_bundle *bundle)
{
    return bundle->rollout.is_signed ? &bundle->rollout.now : NULL;
}

/** Read what has changed, or the next part of all devices. */
HF_MUST_USE enum hf_err hf_rollout_follow_devices(struct hf_rollout_steering *s, bool *has_more,
                                                  struct hf_why *why);
/** Changes may have been missed: all devices are read again. */
void hf_rollout_mark_stale(struct hf_rollout_steering *s);

/** Settle, decide, tell and ask, for one rollout. */
HF_MUST_USE enum hf_err hf_rollout_steer(struct hf_rollout_steering *s,
                                         struct hf_rollout_followed *f, struct hf_why *why);

/** Without the numbers of devices. */
struct hf_rollout_situation hf_rollout_situation_of(const struct hf_published_bundle *bundle,
                                                    int64_t now_s);
/** These, and the approvals. Under the mutex. */
void hf_rollout_count(const struct hf_rollout_followed *f, struct hf_rollout_situation *at);

#endif
