/* The steps of an update beside the refresh: select.c, rollout.c, obtain.c, preflight.c,
 * activate.c, recovery.c, and schedule.c. */
#ifndef HF_CLIENT_CORE_UPDATE_H
#define HF_CLIENT_CORE_UPDATE_H

#include "client/core/bundles.h"
#include "client/core/endpoints.h"

/* What an update is about, filled from step to step. */
struct hf_candidate {
    bool has_active;
    struct hf_bundle_record active;
    bool is_active_of_us; /* false after a change of set or profile */
    /* Root names other targets keys than those that signed the active bundle, which may have been
     * stolen: such a bundle must not delay its successor, and the device does not roll back to
     * it. */
    bool is_active_of_former_keys;

    struct hf_version_limits *limits; /* of our set and profile; borrowed from the state */
    char keys[HF_SHA256_HEX_LEN];     /* identity of the targets keys that root names */
    bool has_new_keys;                /* the limits belong to other keys: they do not count */

    const struct hf_target *target; /* borrowed from c->trusted */
    struct hf_description description;
    bool is_active;      /* nothing to do: the newest bundle that may be taken is the active one */
    struct hf_held held; /* the newest one that waits for its turn, newer than that */

    struct hf_bundle_record record; /* the target's content */
    struct hf_bundle bundle;

    struct hf_missing_root missing; /* why preflight refused it */
};
void hf_candidate_free(struct hf_candidate *cand);

/** The newest bundle of our set and profile that may be taken. HF_E_NOT_FOUND without one;
 *  HF_E_POSTPONED if there is one, but it waits for its turn and the device has no bundle of this
 *  set. */
HF_MUST_USE enum hf_err hf_select(struct hf_client *c, struct hf_candidate *cand,
                                  struct hf_why *why);

/** Is there an active bundle with an anchor that may be used today? True also if that cannot be
 *  told. obtain.c */
bool hf_candidate_can_lose(struct hf_client *c, const struct hf_candidate *cand);

/** May this device install that target now, by the rollout plan in its description? False: `held`
 *  says why not. A role that cannot be had or does not verify only makes the device wait.
 *  rollout.c */
bool hf_rollout_lets(struct hf_client *c, const struct hf_candidate *cand,
                     const struct hf_target *target, const struct hf_description *d,
                     struct hf_held *held);

/** What waits now is news: to the journal and to the fleet service. Part of the transaction of a
 *  check. */
HF_MUST_USE enum hf_err hf_rollout_note(struct hf_client *c, const struct hf_held *held,
                                        struct hf_why *why);

/** `version` is active now: no lower one may come, as long as root names the same targets keys. */
void hf_candidate_raise_limits(struct hf_candidate *cand, int64_t version);

/** Its content, verified, parsed and checked (TUF 5.7.3). Nothing is stored. */
HF_MUST_USE enum hf_err hf_obtain(struct hf_client *c, struct hf_candidate *cand,
                                  struct hf_why *why);

/* A candidate without evidence from the endpoints waits for this long or this many checks,
 * whichever comes first. */
#define HF_PREFLIGHT_WAIT_S HF_DAY_S
#define HF_PREFLIGHT_TRIES 8
/* In the sentence about a candidate that waits: what comes after it changes from check to check. */
#define HF_POSTPONED_UNTIL "; each endpoint was tried; it is installed anyway "

/**
 * Would the device still reach its endpoints? HF_E_POLICY when one proved a chain that validates
 * now and would not afterwards, though the candidate neither revokes nor distrusts nor removes its
 * root. HF_E_POSTPONED while that is not known of all. HF_OK without endpoints. `cand->missing` is
 * what HF_E_POLICY is about.
 */
HF_MUST_USE enum hf_err hf_preflight(struct hf_client *c, struct hf_candidate *cand,
                                     struct hf_why *why);

/* ---- activate.c ------------------------------------------------------------------------------ */

/** Stage, commit, swap; the bundle is on trial then, if there is one to roll back to. */
HF_MUST_USE enum hf_err hf_activate(struct hf_client *c, struct hf_candidate *cand,
                                    struct hf_why *why);

/* Of the device's own uptime, during which the endpoints are probed at every check. */
#define HF_TRIAL_S INT64_C(3600)
#define HF_TRIAL_MOST_S HF_DAY_S /* where only undecidable endpoints are left */
#define HF_TRIAL_STARTS 10       /* or so many starts, for devices that are up for a check only */

/** At the start of a check: count the time, probe the endpoints, confirm or roll back. `*rejected`
 *  is the version it rejected, and otherwise stays. Without a trial it does nothing. */
HF_MUST_USE enum hf_err hf_trial_check(struct hf_client *c, int64_t *rejected, struct hf_why *why);

/** After a successful refresh: with neither endpoint nor application, that confirms. */
HF_MUST_USE enum hf_err hf_trial_refreshed(struct hf_client *c, struct hf_why *why);

/* ---- recovery.c: when no server's chain validates any more ----------------------------------- */

/**
 * A refresh ended in `err`, as `why` says. True: repeat it with c->waives_validation, which this
 * has set and written to the journal. That is when a server's chain did not validate in this check,
 * and
 *   - no anchor is usable, neither of the active store nor of the transport, or
 *   - it was so in HF_RECOVERY_FAILURES checks in a row, over HF_RECOVERY_AFTER_S of own uptime or
 *     HF_RECOVERY_STARTS starts of the device.
 * Counts such checks; one that succeeds ends the count.
 */
bool hf_recovery_begins(struct hf_client *c, enum hf_err err, const struct hf_why *why);
#define HF_RECOVERY_FAILURES 5
#define HF_RECOVERY_AFTER_S HF_DAY_S
#define HF_RECOVERY_STARTS 10 /* for devices that are up for a check only, once a day or an hour */

/** That refresh ended in `err`: to the journal, to the state and to `why`, behind `first`, which is
 *  why it was made. Returns `err`. */
enum hf_err hf_recovery_end(struct hf_client *c, enum hf_err err, const struct hf_why *first,
                            struct hf_why *why);

/* ---- schedule.c ------------------------------------------------------------------------------ */

/** A check has ended with `outcome`: for this process, also if it cannot be written, and for the
 *  state. */
void hf_schedule_count(struct hf_client *c, enum hf_err outcome);

/** hf_client_next_check by the state that is loaded already. */
void hf_schedule_next(struct hf_client *c, struct hf_next_check *out);

/** When the first anchor ends that the device needs; INT64_MAX if none does or that is not known.
 *  `subject` is its subject, empty then. */
int64_t hf_schedule_first_end_s(struct hf_client *c, char subject[HF_DN_TEXT_MAX]);

/** How long between two checks, on average, when the first anchor that is needed ends in `left_s`;
 *  a negative one has ended and does not count. */
int64_t hf_schedule_interval_s(int64_t left_s);

#endif
