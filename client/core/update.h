/* The steps of an update beside the refresh: trial.c, recovery.c, select.c, obtain.c, preflight.c, activate.c. */
#ifndef HF_CLIENT_CORE_UPDATE_H
#define HF_CLIENT_CORE_UPDATE_H

#include "client/core/bundles.h"

/* ---- trial.c: on trial until confirmed or rolled back ---------------------------------------- */

/* Of the device's own uptime, during which the endpoints are asked at every check. */
#define HF_TRIAL_S INT64_C(3600)
#define HF_TRIAL_STARTS 10 /* or so many starts, for devices that are up for a check only */

struct hf_trial {
    bool is_on;
    int64_t version; /* the active bundle's */
    int64_t up_s;    /* so far */
    int64_t last_uptime_ms;
    int64_t n_starts; /* of the device, seen so far */
};
/** What cannot be read is no trial. */
void hf_trial_load(struct hf_client *c, struct hf_trial *out);

/** Part of the transaction that activates `version`. */
HF_MUST_USE enum hf_err hf_trial_begin(struct hf_client *c, int64_t version, struct hf_why *why);
/** The same for one that there is no going back from. */
HF_MUST_USE enum hf_err hf_trial_end(struct hf_client *c, struct hf_why *why);

/** At the start of a check: count the time, ask the endpoints, confirm or roll back. `*rejected` is the
 *  version it rejected, and otherwise stays. Without a trial it does nothing. */
HF_MUST_USE enum hf_err hf_trial_check(struct hf_client *c, int64_t *rejected, struct hf_why *why);

/** After a successful refresh: with neither endpoint nor application, that confirms. */
HF_MUST_USE enum hf_err hf_trial_refreshed(struct hf_client *c, struct hf_why *why);

/* ---- recovery.c: when no server's chain validates any more ----------------------------------- */

/**
 * A refresh ended in `err`, as `why` says. True: make it once more with c->waives_validation, which
 * this has set and written to the journal. That is when a server's chain did not validate in this
 * check and
 *   - no anchor is usable, neither of the live store nor of the transport, or
 *   - it was so in HF_RECOVERY_FAILURES checks in a row, over HF_RECOVERY_AFTER_S of own uptime or
 *     HF_RECOVERY_STARTS starts of the device.
 * Counts such checks (value `recovery.failures`); one that succeeds ends the count.
 */
bool hf_recovery_begins(struct hf_client *c, enum hf_err err, const struct hf_why *why);
#define HF_RECOVERY_FAILURES 5
#define HF_RECOVERY_AFTER_S HF_DAY_S
#define HF_RECOVERY_STARTS 10 /* for devices that are up for a check only, once a day or an hour */

/** That refresh ended in `err`: to the journal and to `recovery.last`, and to `why`, behind `first`,
 *  which is why it was made. Returns `err`. */
enum hf_err hf_recovery_end(struct hf_client *c, enum hf_err err, const struct hf_why *first,
                            struct hf_why *why);

/** What is known of it, for the status. */
HF_MUST_USE enum hf_err hf_recovery_describe(struct hf_client *c, struct hf_status *out,
                                             struct hf_why *why);

/* ---- select.c, obtain.c, preflight.c, activate.c --------------------------------------------- */

/* What an update is about, filled from step to step. */
struct hf_candidate {
    bool has_active;
    struct hf_bundle_record active;
    struct hf_bundle_floor floor;  /* of our set and profile */
    bool is_active_of_us;          /* false after a change of set or profile */
    bool is_active_of_former_keys; /* root names other targets keys than those that signed it */

    const struct hf_target *target; /* borrowed from c->trusted */
    struct hf_description description;
    bool is_active; /* nothing to do: the newest bundle is the active one */

    struct hf_bundle_record record; /* the target's content */
    struct hf_bundle bundle;
    bool is_staged;          /* by an earlier, interrupted update */
    bool is_active_on_trial; /* then the one before it stays what there is to go back to */
};
void hf_candidate_free(struct hf_candidate *cand);

/** Was the active bundle signed with targets keys that root does not name any more? They may have been
 *  stolen: such a bundle must not delay its successor, and the device does not roll back to it. */
bool hf_candidate_has_new_keys(const struct hf_candidate *cand);

/** The newest bundle of our set and profile that may be taken. HF_E_NOT_FOUND without one. */
HF_MUST_USE enum hf_err hf_select(struct hf_client *c, struct hf_candidate *cand,
                                  struct hf_why *why);

/** Its content, verified, parsed and checked (TUF 5.7.3). Nothing is stored. */
HF_MUST_USE enum hf_err hf_obtain(struct hf_client *c, struct hf_candidate *cand,
                                  struct hf_why *why);

/* A candidate that no endpoint has said anything about waits for this long, and for this many checks,
 * whatever comes first. */
#define HF_PREFLIGHT_WAIT_S HF_DAY_S
#define HF_PREFLIGHT_TRIES 8
/* In the sentence about a candidate that waits: what comes after it changes from check to check. */
#define HF_POSTPONED_UNTIL "; each endpoint was tried; it is installed anyway "

/**
 * Would the device still reach its endpoints? HF_E_POLICY when one proved a chain that validates now and
 * would not afterwards, though the candidate neither revokes nor distrusts nor removes its root.
 * HF_E_POSTPONED while that is not known of all. HF_OK without endpoints.
 */
HF_MUST_USE enum hf_err hf_preflight(struct hf_client *c, const struct hf_candidate *cand,
                                     struct hf_why *why);

/** Stage, commit, swap. */
HF_MUST_USE enum hf_err hf_activate(struct hf_client *c, struct hf_candidate *cand,
                                    struct hf_why *why);

#endif
