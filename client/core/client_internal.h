/*
 * What the files of client/core share: the client itself, its clock, its log and journal. README.md
 * of client/ says which file does what, in the order of an update.
 *
 * Inside the core `why` is never NULL, and may be written to on the way to success. The functions
 * of client.h give their own and hand it on when they fail.
 */
#ifndef HF_CLIENT_CORE_CLIENT_INTERNAL_H
#define HF_CLIENT_CORE_CLIENT_INTERNAL_H

#include "client/core/state.h"

#include "common/base/limits.h"
#include "common/bundle/bundle.h"
#include "common/tuf/trusted_set.h"

#define HF_CHECK_INTERVAL_S HF_DAY_S
#define HF_CHECK_INTERVAL_MAX_S (HF_CHECK_INTERVAL_S / 4 * 5) /* jittered */

/* What a mirror does wrong, as sets of errors: bit 1 << code. */
struct hf_mirror_faults {
    uint32_t journaled; /* since it last answered a whole check well */
    uint32_t now;       /* in this check */
    bool was_asked;     /* in this check */
};

/* How the last check went. */
struct hf_check_memory {
    bool is_of_process; /* it was made by this very client, and `uptime_ms` says when */
    int64_t uptime_ms;
    int64_t time_s;     /* HF_TIME_NONE: never */
    int64_t n_failures; /* in a row, postponed ones among them */
    bool is_postponed;
};

struct hf_reporter {
    bool is_on;
    char url[HF_URL_MAX + 1]; /* where reports go */
    bool has_recovered;       /* in this check, and that is news */
};

struct hf_client {
    struct hf_ports ports;
    char *urls[HF_MIRRORS_MAX]; /* owned, without a slash at the end */
    size_t n_urls;
    char set[HF_SET_NAME_MAX + 1];
    char profile[HF_SET_NAME_MAX + 1];
    bool awaits_confirm;
    char instance[HF_SHA256_HEX_LEN];     /* hash over what differs from device to device */
    char device_id[HF_DEVICE_ID_MAX + 1]; /* empty: not known */
    char groups[HF_DEVICE_GROUPS_MAX][HF_SET_NAME_MAX + 1];
    size_t n_groups;

    struct hf_device_state state; /* as stored; changed by the steps of an operation */
    int64_t clock_floor_s;        /* the highest of the build time and the two of the state */

    size_t first_mirror; /* asked first by the next check */
    size_t mirror;       /* asked first by the next request of this check */
    struct hf_mirror_faults faults[HF_MIRRORS_MAX];
    int64_t check_began_ms;            /* by the uptime of the clock port */
    bool waives_validation;            /* in this check (recovery.c) */
    struct hf_check_memory last_check; /* of this process (schedule.c) */
    struct hf_reporter reporter;
    bool has_swapped; /* the active store, since the last report was sent */

    /* Of endpoint N, by what it showed in this check: seen_s is 0 if it showed nothing,
     * HF_TIME_NONE if it is not refused. Owned. */
    struct hf_refusal *verdicts;

    struct hf_trusted_set trusted;       /* during an update only */
    bool has_asked_rollout;              /* for the role rollout-SET, in this refresh */
    struct hf_buf unsaved[HF_TOP_ROLES]; /* verified in this refresh; it is saved at its end */

    /* What was last put into the active trust store; version -1 for nothing. */
    int64_t loaded_version;
    char loaded_sha256[HF_SHA256_HEX_LEN];
};

/** Check `config` and fill `c` with copies. HF_E_ARGUMENT, HF_E_LIMIT, HF_E_MEMORY. On failure
 *  nothing is held. */
HF_MUST_USE enum hf_err hf_client_init(struct hf_client *c, const struct hf_ports *ports,
                                       const struct hf_client_config *config, struct hf_why *why);
void hf_client_clear(struct hf_client *c);

/* ---- clock.c --------------------------------------------------------------------------------- */

/** The clock of the port, right or wrong, within what a text can say. */
int64_t hf_client_clock_s(const struct hf_client *c);

/** That of the clock port; 0 without one. */
int64_t hf_client_uptime_ms(const struct hf_client *c);

/** The floor from what is stored: for this client and for the trust port. */
void hf_clock_floor_apply(struct hf_client *c);

/**
 * What the newest root, then the targets metadata, say about time. A signed time is believed up to
 * this device's own clock, if that is not below the floor. The time of targets counts as long as
 * root names the keys that signed them. For the next transaction, and for the trust port at once.
 */
HF_MUST_USE enum hf_err hf_clock_floor_learn_root(struct hf_client *c, struct hf_why *why);
HF_MUST_USE enum hf_err hf_clock_floor_learn_targets(struct hf_client *c, struct hf_why *why);

/** After HF_E_EXPIRED: put in front of the sentence that the clock may be wrong, if it looks so. */
void hf_clock_doubt(const struct hf_client *c, struct hf_why *why);

/** Whose keys: SHA-256, in hex, over the sorted distinct public keys of a role of root. */
HF_MUST_USE enum hf_err hf_role_keys_identity(const struct hf_root *root, enum hf_top_role role,
                                              char out[HF_SHA256_HEX_LEN], struct hf_why *why);

/* ---- store.c --------------------------------------------------------------------------------- */

/** One line to the log port. */
void hf_log(const struct hf_client *c, enum hf_level level, const char *fmt, ...) HF_PRINTF(3, 4);

/** One line to the journal of the store and to the log port. */
HF_MUST_USE enum hf_err hf_journal(struct hf_client *c, enum hf_level level, const char *kind,
                                   const char *text, struct hf_why *why);
/** The same where the rest goes on without the journal: a failure is logged. */
void hf_journal_or_log(struct hf_client *c, enum hf_level level, const char *kind,
                       const char *text);

/** The certificates of `bundle` that are not supported here, in the journal. Nothing for none. */
HF_MUST_USE enum hf_err hf_journal_skipped(struct hf_client *c, const struct hf_bundle *bundle,
                                           struct hf_why *why);

/** Pass the reason of `err` on to the caller of the library, unless that is NULL. Returns `err`. */
enum hf_err hf_pass_on(struct hf_why *why, const struct hf_why *own, enum hf_err err);

#endif
