/*
 * All rollouts of the published bundles: their devices are counted, what is due is decided
 * (engine.h), and the signer is asked for it. One look does all that is to be done now; the keeper
 * (keeper.h) is the thread that looks. What others want to see they get as copies, from any thread.
 *
 * A look, in this order:
 *   1  which bundles are published, and what is signed of them; a change becomes an event
 *   2  devices that have changed are read again, or all of them in steps
 *   3  for each rollout: settle an intent that was left over, decide, ask
 *
 * Nothing is decided by what a crash could have lost: stage and state come from the repository,
 * results from the database. If the database cannot be read, nothing is decided. If it cannot be
 * written, a rollout can only be stopped: the step is in the log once it can. If the signer is
 * away, it is asked again.
 */
#ifndef HF_ROLLOUT_STEERING_H
#define HF_ROLLOUT_STEERING_H

#include "server/fleet/changes.h"
#include "server/fleet/events.h"
#include "server/fleet/fleet.h"
#include "server/rollout/engine.h"
#include "server/rollout/ledger.h"
#include "server/rollout/rollout_store.h"

/* What a look needs; a test has its own. All is borrowed. */
struct hf_rollout_port {
    struct hf_db *db; /* for reading */
    struct hf_device_changes *changes;
    struct hf_events *events;
    void *ctx; /* of the functions */
    /** As hf_fleet_write_wait. */
    enum hf_err (*write)(void *ctx, hf_fleet_act *act, void *what, struct hf_why *why);
    /** Ask the signer, as hf_signer_call_take; `request` is taken. NULL: there is none, and nothing
     *  is steered. */
    enum hf_err (*ask)(void *ctx, json_t *request, json_t **answer, struct hf_why *why);
    /** A rollout is paused or stalled, or is not any more. */
    void (*alarm)(void *ctx);
    /** hf_fleet_is_behind: the database is an old copy, so its results are old, and nothing but a
     *  stop is asked for. */
    bool (*is_behind)(void *ctx);
    bool (*is_ending)(void *ctx);
};

struct hf_rollout_steering;

/** HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_rollout_steering_new(const struct hf_rollout_port *port,
                                                struct hf_rollout_steering **out,
                                                struct hf_why *why);
/** After the last look. NULL is fine. */
void hf_rollout_steering_free(struct hf_rollout_steering *steering);

/**
 * Look once. `published` is borrowed; NULL: nothing is served. `*has_more`: devices are left to be
 * read, look again at once. Errors are those of the database, also if a rollout was stopped all the
 * same; what the signer refuses is none, and is seen in the views.
 */
HF_MUST_USE enum hf_err hf_rollout_steering_look(struct hf_rollout_steering *steering,
                                                 struct hf_published *published, int64_t now_s,
                                                 bool *has_more, struct hf_why *why);

/* ---- for others, from any thread ------------------------------------------------------------- */

struct hf_rollout_view {
    bool is_counted; /* there are numbers; while they are not complete, `counted` says so */
    enum hf_rollout_counted counted;
    size_t stage;                                           /* that is reached */
    struct hf_rollout_tally tallies[HF_ROLLOUT_STAGES_MAX]; /* of stages 0 to k */
    struct hf_rollout_bounds bounds;
    struct hf_rollout_verdict verdict;
    char text[HF_WHY_MAX]; /* why nothing happens, or what is due; with what the signer says */
    const char *wait;      /* static: a word for it; NULL: something is due */
};

/** Of the rollout with that row, whose bundle is published as in `bundle`: decided now, so that it
 *  fits to what is served, which the last look may not have seen. False: no look has seen the
 *  rollout yet, or it is not followed; then `wait` and `text` say why. */
bool hf_rollout_steering_view(struct hf_rollout_steering *steering, int64_t rollout_id,
                              const struct hf_published_bundle *bundle, int64_t now_s,
                              struct hf_rollout_view *out);
/** hf_rollout_ledger_list, in the stages that are open. 0 where it is not counted. */
size_t hf_rollout_steering_list(struct hf_rollout_steering *steering, int64_t rollout_id,
                                enum hf_rollout_result result, int64_t after,
                                struct hf_rollout_entry *out, size_t cap);

#endif
