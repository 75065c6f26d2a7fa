/*
 * Rollouts in the database: what the metadata does not say. Since when the service knows the
 * bundle, the step that the signer is asked for just now, approvals of the next step, and devices
 * that do not count. What is signed is kept only to see that it has changed; the repository as it
 * is served is the truth.
 *
 * The intent is written, and committed, before the signer is asked, and cleared with the outcome.
 * So one step is asked for at a time, and after a crash it is known what was asked; whether it was
 * signed, the repository says.
 */
#ifndef HF_ROLLOUT_ROLLOUT_STORE_H
#define HF_ROLLOUT_ROLLOUT_STORE_H

#include "common/rollout/approval.h"
#include "server/fleet/published.h"
#include "server/fleet/tx.h"
#include "server/rollout/limits.h"

#include <jansson.h>

extern const struct hf_sql hf_rollout_sql[], hf_rollout_people_sql[];

struct hf_rollout_intent {
    int64_t from; /* the version of the signed role that the step replaces */
    int64_t stage;
    enum hf_rollout_state state;
    char reason[HF_ROLLOUT_REASON_MAX + 1];
    char actor[HF_FLEET_ACTOR_MAX + 1];
    int64_t asked_s; /* 0: it is not in the database */
};

struct hf_rollout_row {
    int64_t id;
    char set[HF_SET_NAME_MAX + 1];
    char profile[HF_SET_NAME_MAX + 1];
    int64_t bundle_version;
    uint8_t sha256[HF_SHA256_LEN];
    int64_t seen_s;
    /* As it was served when the service looked last. */
    int64_t signed_version;
    bool is_signed;
    struct hf_rollout_activation now;
    int64_t stalled_since_s; /* 0: it is not */
    bool has_intent;
    struct hf_rollout_intent intent;
    int64_t version; /* of the row: its ETag */
};

/** The row of exactly that bundle. HF_E_NOT_FOUND: the service has not seen it yet, which takes a
 *  second. */
HF_MUST_USE enum hf_err hf_rollout_row_find(struct hf_db *db,
                                            const struct hf_published_bundle *bundle,
                                            struct hf_rollout_row *out, struct hf_why *why);
/** The same, made if it is not there: from now on registered devices do not count. */
HF_MUST_USE enum hf_err hf_rollout_row_ensure(struct hf_tx *tx,
                                              const struct hf_published_bundle *bundle,
                                              struct hf_rollout_row *out, struct hf_why *why);
/** Keep what is served of it, and tell watchers what has changed. `row` is what was read; written
 *  on success. */
HF_MUST_USE enum hf_err hf_rollout_row_note_signed(struct hf_tx *tx,
                                                   const struct hf_published_bundle *bundle,
                                                   struct hf_rollout_row *row, struct hf_why *why);
/** It is stalled since then; 0: it goes on. */
HF_MUST_USE enum hf_err hf_rollout_row_note_stalled(struct hf_tx *tx, struct hf_rollout_row *row,
                                                    int64_t since_s, struct hf_why *why);

/** It has changed in another table: a new version. */
HF_MUST_USE enum hf_err hf_rollout_row_touch(struct hf_tx *tx, struct hf_rollout_row *row,
                                             struct hf_why *why);

/** Paused or aborted: safe after whatever was signed before. */
static inline bool hf_rollout_is_stop(enum hf_rollout_state state)
{
    return state == HF_ROLLOUT_PAUSED || state == HF_ROLLOUT_ABORTED;
}

/* ---- the intent ------------------------------------------------------------------------------ */

/**
 * Ask for this step: `intent` without its time and actor, which are those of `tx`. HF_E_STATE while
 * another one of a rollout of this set is younger than HF_ROLLOUT_INTENT_S, since both would
 * replace the same role; to pause and to abort never waits. `is_logged`: a person asks, so the log
 * names that one before the signer acts.
 */
HF_MUST_USE enum hf_err hf_rollout_intent_put(struct hf_tx *tx, struct hf_rollout_row *row,
                                              const struct hf_rollout_intent *intent,
                                              bool is_logged, struct hf_why *why);
/** The outcome is known: clear `intent`, unless another one has taken its place, and log `action`
 *  ("rollout.step", "rollout.refused", …) with `outcome`, members that are taken, or NULL: not
 *  logged. */
HF_MUST_USE enum hf_err hf_rollout_intent_clear(struct hf_tx *tx, const struct hf_rollout_row *row,
                                                const struct hf_rollout_intent *intent,
                                                const char *action, json_t *outcome,
                                                struct hf_why *why);
/** As the repository is served now: was this step signed? */
bool hf_rollout_intent_was_signed(const struct hf_rollout_intent *intent,
                                  const struct hf_published_rollout *rollout);

/* ---- approvals (rollout_people.c) ------------------------------------------------------------ */

struct hf_rollout_approval_row {
    int64_t since_s; /* of the stage and state that the step follows */
    int64_t stage;
    enum hf_rollout_state state;
    bool is_signed;
    char approver[HF_FLEET_ACTOR_MAX + 1]; /* who asked, or a public key in base64 */
    uint8_t signature[HF_ROLLOUT_SIGNATURE_LEN];
    char reason[HF_FLEET_REASON_MAX + 1];
    int64_t created_s;
};

/** Keep one that was checked, in place of the same approver's before; those of steps that follow
 *  anything else are forgotten. HF_E_LIMIT. */
HF_MUST_USE enum hf_err hf_rollout_approval_add(struct hf_tx *tx, const struct hf_rollout_row *row,
                                                const struct hf_rollout_approval_row *approval,
                                                struct hf_why *why);
/** A struct hf_rollout_approval_row each: those of steps after what is signed since then. */
HF_MUST_USE enum hf_err hf_rollout_approval_list(struct hf_db *db, int64_t rollout_id,
                                                 int64_t since_s, hf_db_each *each, void *ctx,
                                                 struct hf_why *why);

/* All that count for one step. */
struct hf_rollout_approval_rows {
    struct hf_rollout_approval_row rows[HF_ROLLOUT_APPROVALS_MAX];
    size_t n;
};
HF_MUST_USE enum hf_err
hf_rollout_approvals_read(struct hf_db *db, int64_t rollout_id, int64_t since_s,
                          const struct hf_rollout_intent *step, bool are_signed,
                          struct hf_rollout_approval_rows *out, struct hf_why *why);

/* ---- devices that do not count --------------------------------------------------------------- */

struct hf_rollout_excluded {
    int64_t id;
    int64_t account_id;
    int64_t device_id;
    const char *account; /* borrowed for the call; NULL: it is gone */
    char device[HF_DEVICE_ID_MAX + 1];
    char reason[HF_FLEET_REASON_MAX + 1];
    char actor[HF_FLEET_ACTOR_MAX + 1];
    int64_t created_s;
};

/** HF_E_STATE for a device that is excluded already, HF_E_LIMIT. The row gets a new version. */
HF_MUST_USE enum hf_err hf_rollout_exclude(struct hf_tx *tx, struct hf_rollout_row *row,
                                           const struct hf_rollout_excluded *device,
                                           struct hf_why *why);
/** HF_E_NOT_FOUND for a number that is no entry of this rollout. */
HF_MUST_USE enum hf_err hf_rollout_include(struct hf_tx *tx, struct hf_rollout_row *row, int64_t id,
                                           struct hf_why *why);
/** A struct hf_rollout_excluded each, by number. */
HF_MUST_USE enum hf_err hf_rollout_excluded_list(struct hf_db *db, int64_t rollout_id,
                                                 hf_db_each *each, void *ctx, struct hf_why *why);

#endif
