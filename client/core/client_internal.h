/*
 * What the files of client/core share. README.md of client/ says which file does what, in the
 * order of an update.
 *
 * Inside the core `why` is never NULL, and may be written to on the way to success. The functions of
 * client.h give their own and hand it on when they fail.
 */
#ifndef HF_CLIENT_CORE_CLIENT_INTERNAL_H
#define HF_CLIENT_CORE_CLIENT_INTERNAL_H

#include <holdfast/client.h>

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/bundle/bundle.h"
#include "common/tuf/trusted_set.h"

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

struct hf_client {
    struct hf_ports ports;
    char *urls[HF_MIRRORS_MAX]; /* owned, without a slash at the end */
    size_t n_urls;
    char set[HF_SET_NAME_MAX + 1];
    char profile[HF_SET_NAME_MAX + 1];

    int64_t clock_floor_s; /* the highest of the build time and the two below */
    int64_t root_floor_s;
    int64_t targets_floor_s;                    /* 0 for none */
    char targets_floor_keys[HF_SHA256_HEX_LEN]; /* whose it is */
    size_t first_mirror;                        /* asked first by the next check */
    size_t mirror;                              /* asked first by the next request of this check */
    struct hf_mirror_faults faults[HF_MIRRORS_MAX];
    int64_t check_began_ms; /* by the uptime of the clock port */
    bool awaits_confirm;
    char instance[HF_SHA256_HEX_LEN];  /* hash over what differs from device to device */
    bool waives_validation;            /* in this check (recovery.c) */
    struct hf_check_memory last_check; /* of this process (schedule.c) */

    struct hf_trusted_set trusted; /* during an update only */
    int64_t timestamp_seen_s;      /* when the trusted one came; valid once there is one */

    /* What was last put into the live trust store; version -1 for nothing. */
    int64_t live_version;
    char live_sha256[HF_SHA256_HEX_LEN];
};

/* ---- client.c -------------------------------------------------------------------------------- */

/** Check `config` and fill `c` with copies. HF_E_ARGUMENT, HF_E_LIMIT, HF_E_MEMORY. On failure
 *  nothing is held. */
HF_MUST_USE enum hf_err hf_client_init(struct hf_client *c, const struct hf_ports *ports,
                                       const struct hf_client_config *config, struct hf_why *why);
void hf_client_clear(struct hf_client *c);

/* ---- store.c: the small named values, the journal, the clock --------------------------------- */

typedef enum hf_err (*hf_writes_fn)(struct hf_client *c, const void *arg, struct hf_why *why);

/** Run `writes` as one transaction: all of it or, when it fails, nothing. */
HF_MUST_USE enum hf_err hf_store_transact(struct hf_client *c, hf_writes_fn writes, const void *arg,
                                          struct hf_why *why);

/** Empty where there is none; the caller frees `out`. */
HF_MUST_USE enum hf_err hf_value_load(struct hf_client *c, const char *name, struct hf_buf *out,
                                      struct hf_why *why);
HF_MUST_USE enum hf_err hf_value_save(struct hf_client *c, const char *name, const char *value,
                                      struct hf_why *why);
/** Is this what is stored ("" for nothing)? False also where that cannot be read. */
bool hf_value_is(struct hf_client *c, const char *name, const char *expected);
/** Save it where it is not what is stored already: flash wears out. */
HF_MUST_USE enum hf_err hf_value_change(struct hf_client *c, const char *name, const char *value,
                                        struct hf_why *why);
/** `*out` is `absent` where there is none; HF_E_STORAGE for anything but a whole number. */
HF_MUST_USE enum hf_err hf_value_load_integer(struct hf_client *c, const char *name, int64_t absent,
                                              int64_t *out, struct hf_why *why);
HF_MUST_USE enum hf_err hf_value_save_integer(struct hf_client *c, const char *name, int64_t value,
                                              struct hf_why *why);

/** `n` whole numbers, each at least 0, with single spaces between. What comes after them, which is
 *  nothing or begins with a space; NULL where they are not there. */
const char *hf_integers_parse(const char *text, int64_t *out, size_t n);

/** One line to the log port. */
void hf_log(const struct hf_client *c, enum hf_level level, const char *fmt, ...) HF_PRINTF(3, 4);

/** One line to the journal of the store and to the log port. */
HF_MUST_USE enum hf_err hf_journal(struct hf_client *c, enum hf_level level, const char *kind,
                                   const char *text, struct hf_why *why);

/** The certificates of `bundle` that are not supported here, in the journal. Nothing for none. */
HF_MUST_USE enum hf_err hf_journal_skipped(struct hf_client *c, const struct hf_bundle *bundle,
                                           struct hf_why *why);

/** Tell the caller of the library, who may not want to know (NULL), why `err`. Returns `err`. */
enum hf_err hf_report(struct hf_why *why, const struct hf_why *own, enum hf_err err);

/** The clock of the port, right or wrong, within what a text can say. */
int64_t hf_client_clock_s(const struct hf_client *c);

/** That of the clock port; 0 where it has none. */
int64_t hf_client_uptime_ms(const struct hf_client *c);

/* ---- floors.c: the lowest time this device believes, and which bundle versions may still come -- */

/** Load the clock floor and tell the trust port. What cannot be read counts as the build time. */
void hf_clock_floor_load(struct hf_client *c);

/**
 * What the newest root, then the targets metadata, say about time. Each is believed up to this
 * device's own clock where that is not below the floor. Targets count as long as root names the keys
 * they were signed with. Saves what rose, tells the trust port.
 */
HF_MUST_USE enum hf_err hf_clock_floor_learn_root(struct hf_client *c, struct hf_why *why);
HF_MUST_USE enum hf_err hf_clock_floor_learn_targets(struct hf_client *c, struct hf_why *why);

/** After HF_E_EXPIRED: say so in front of the sentence if the clock is what looks wrong. */
void hf_clock_doubt(const struct hf_client *c, struct hf_why *why);

/** Whose keys: SHA-256, in hex, over the sorted distinct public keys of a role of root. */
HF_MUST_USE enum hf_err hf_role_keys_identity(const struct hf_root *root, enum hf_top_role role,
                                              char out[HF_SHA256_HEX_LEN], struct hf_why *why);

/* Rejected versions remembered; a device that rejected more waits for a key rotation anyway. */
#define HF_REJECTED_MAX 64

#define HF_FLOOR_SUFFIX_MAX 34 /* '.', 32 hexadecimal digits, NUL */

/* Which bundle versions may still come. Belongs to one set and profile, and to the targets keys that
 * root names. */
struct hf_bundle_floor {
    char suffix[HF_FLOOR_SUFFIX_MAX]; /* of the names of the stored values */
    char keys[HF_SHA256_HEX_LEN];     /* identity of the targets keys of now */
    bool is_new;                      /* nothing was stored for these keys yet */
    int64_t version;                  /* no bundle below it; 0 for none */
    int64_t rejected[HF_REJECTED_MAX];
    size_t n_rejected;
};

HF_MUST_USE enum hf_err hf_bundle_floor_load(struct hf_client *c, const char *set,
                                             const char *profile, struct hf_bundle_floor *out,
                                             struct hf_why *why);
bool hf_bundle_floor_rejects(const struct hf_bundle_floor *floor, int64_t version);
/** Never take the version that is active again, for as long as root names the same targets keys. */
HF_MUST_USE enum hf_err hf_bundle_reject_active(struct hf_client *c, struct hf_why *why);
/** `version` is active now: write the floor, where it differs from what is stored. */
HF_MUST_USE enum hf_err hf_bundle_floor_raise(struct hf_client *c,
                                              const struct hf_bundle_floor *floor, int64_t version,
                                              struct hf_why *why);

/* ---- schedule.c ------------------------------------------------------------------------------ */

#define HF_CHECK_INTERVAL_S HF_DAY_S
#define HF_CHECK_INTERVAL_MAX_S (HF_CHECK_INTERVAL_S / 4 * 5) /* jittered */

/** What makes this device's checks fall on other moments than those of others. Not stored: a clone of
 *  the store is another device. */
void hf_schedule_init(struct hf_client *c, const char *instance);

/** A check has ended with `outcome`: remembered by this process, whether or not it can be written. */
void hf_schedule_count(struct hf_client *c, enum hf_err outcome);
/** Part of the transaction that writes it down. Nothing where nothing has changed. */
HF_MUST_USE enum hf_err hf_schedule_write(struct hf_client *c, struct hf_why *why);

/** How long between two checks, on average, when the first anchor that is needed goes in
 *  `left_s`; a negative one has gone and does not count. */
int64_t hf_schedule_interval_s(int64_t left_s);

#endif
