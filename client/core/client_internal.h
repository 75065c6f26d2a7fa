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

struct hf_client {
    struct hf_ports ports;
    char *urls[HF_MIRRORS_MAX]; /* owned, without a slash at the end */
    size_t n_urls;
    char set[HF_SET_NAME_MAX + 1];
    char profile[HF_SET_NAME_MAX + 1];

    int64_t clock_floor_s;
    size_t first_mirror; /* asked first by the next check */
    size_t mirror;       /* asked first by the next request of this check */

    struct hf_trusted_set trusted; /* during an update only */

    /* What was last put into the live trust store; version -1 for nothing. */
    int64_t live_version;
    char live_sha256[HF_SHA256_HEX_LEN];
};

/* ---- config.c -------------------------------------------------------------------------------- */

/** Check `config` and fill `c` with copies. HF_E_ARGUMENT, HF_E_LIMIT, HF_E_MEMORY. On failure
 *  nothing is held. */
HF_MUST_USE enum hf_err hf_client_init(struct hf_client *c, const struct hf_ports *ports,
                                       const struct hf_client_config *config, struct hf_why *why);
void hf_client_clear(struct hf_client *c);

/* ---- journal.c ------------------------------------------------------------------------------- */

/** One line to the log port. */
void hf_log(const struct hf_client *c, enum hf_level level, const char *fmt, ...) HF_PRINTF(3, 4);

/** One line to the journal of the store and to the log port. */
HF_MUST_USE enum hf_err hf_journal(struct hf_client *c, enum hf_level level, const char *kind,
                                   const char *text, struct hf_why *why);

/** Write down how a check ended, and a failure that is not the one of the check before to the
 *  journal. What cannot be written is logged; the outcome stays what it is. */
void hf_check_record(struct hf_client *c, enum hf_err outcome, const char *text);

/** Tell the caller of the library, who may not want to know (NULL), why `err`. Returns `err`. */
enum hf_err hf_report(struct hf_why *why, const struct hf_why *own, enum hf_err err);

/* ---- values.c: the small named values of the store ------------------------------------------- */

typedef enum hf_err (*hf_writes_fn)(struct hf_client *c, const void *arg, struct hf_why *why);

/** Run `writes` as one transaction: all of it or, when it fails, nothing. */
HF_MUST_USE enum hf_err hf_store_transact(struct hf_client *c, hf_writes_fn writes, const void *arg,
                                          struct hf_why *why);

/** Empty where there is none; the caller frees `out`. */
HF_MUST_USE enum hf_err hf_value_load(struct hf_client *c, const char *name, struct hf_buf *out,
                                      struct hf_why *why);
HF_MUST_USE enum hf_err hf_value_save(struct hf_client *c, const char *name, const char *value,
                                      struct hf_why *why);
/** `*out` is `absent` where there is none; HF_E_STORAGE for anything but a whole number. */
HF_MUST_USE enum hf_err hf_value_load_integer(struct hf_client *c, const char *name, int64_t absent,
                                              int64_t *out, struct hf_why *why);
HF_MUST_USE enum hf_err hf_value_save_integer(struct hf_client *c, const char *name, int64_t value,
                                              struct hf_why *why);

/* ---- floors.c: what never goes back ---------------------------------------------------------- */

/** The time to act by: the clock's, but never below the floor. */
int64_t hf_client_now_s(const struct hf_client *c);

/** Load the clock floor and tell the trust port. What cannot be read counts as the build time. */
void hf_clock_floor_load(struct hf_client *c);

/** Raise the floor to `signed_at_s` (HF_TIME_NONE: nothing), save it, tell the trust port. */
HF_MUST_USE enum hf_err hf_clock_floor_raise(struct hf_client *c, int64_t signed_at_s,
                                             struct hf_why *why);

/** After HF_E_EXPIRED: say so in front of the sentence if the clock is what looks wrong. */
void hf_clock_doubt(const struct hf_client *c, struct hf_why *why);

/** Whose keys: SHA-256, in hex, over the sorted distinct public keys of a role of root. */
HF_MUST_USE enum hf_err hf_role_keys_identity(const struct hf_root *root, enum hf_top_role role,
                                              char out[HF_SHA256_HEX_LEN], struct hf_why *why);

/* Rejected versions remembered; a device that rejected more waits for a key rotation anyway. */
#define HF_REJECTED_MAX 64

/* Which bundle versions may still come. Belongs to the targets keys that root names. */
struct hf_bundle_floor {
    char keys[HF_SHA256_HEX_LEN]; /* identity of the targets keys of now */
    bool is_new;                  /* nothing was stored for these keys yet */
    int64_t version;              /* no bundle below it; 0 for none */
    int64_t rejected[HF_REJECTED_MAX];
    size_t n_rejected;
};

HF_MUST_USE enum hf_err hf_bundle_floor_load(struct hf_client *c, struct hf_bundle_floor *out,
                                             struct hf_why *why);
bool hf_bundle_floor_rejects(const struct hf_bundle_floor *floor, int64_t version);
/** `version` is active now: write the floor, where it differs from what is stored. */
HF_MUST_USE enum hf_err hf_bundle_floor_raise(struct hf_client *c,
                                              const struct hf_bundle_floor *floor, int64_t version,
                                              struct hf_why *why);

/* ---- mirrors.c: one fetch over the configured mirrors ---------------------------------------- */

struct hf_fetch {
    const char *path; /* below the mirror's URL: "metadata/timestamp.json" */
    const char *etag; /* NULL for none; with one, `accept` sees 304 answers too */
    size_t max_bytes;
    bool missing_ends; /* 403, 404 or 410 is an answer: HF_E_NOT_FOUND at once */

    /** Verify a 200 (or 304) answer. What a mirror is to blame for sends the fetch to the next one,
     *  any other error ends it. */
    enum hf_err (*accept)(struct hf_client *c, void *arg, const struct hf_response *answer,
                          struct hf_why *why);
    void *arg;
};

/**
 * Ask one mirror after the other until one gives what `accept` takes. Otherwise the most telling
 * refusal, with the address in front.
 */
HF_MUST_USE enum hf_err hf_mirrors_fetch(struct hf_client *c, const struct hf_fetch *fetch,
                                         struct hf_why *why);

/** A new check: begin with another mirror than the one before. */
void hf_mirrors_rotate(struct hf_client *c);

/* ---- refresh.c, root_walk.c ------------------------------------------------------------------- */

/** 5.3: every root metadata from the held one to the newest, each saved as soon as it is verified. */
HF_MUST_USE enum hf_err hf_root_walk(struct hf_client *c, struct hf_why *why);

/** The whole of TUF 5.1 to 5.6 for the top-level roles. `c->trusted` holds the result. */
HF_MUST_USE enum hf_err hf_refresh(struct hf_client *c, struct hf_why *why);

/* ---- record.c: bundles as the store keeps them ------------------------------------------------ */

/** Load a slot and check its hash. HF_E_NOT_FOUND for an empty one, HF_E_STORAGE for a damaged one.
 *  The caller frees `out` with hf_bundle_record_free. */
HF_MUST_USE enum hf_err hf_bundle_load(struct hf_client *c, enum hf_slot slot,
                                       struct hf_bundle_record *out, struct hf_why *why);

/** The record as the anchors it stands for. */
HF_MUST_USE enum hf_err hf_bundle_of_record(const struct hf_bundle_record *record,
                                            struct hf_bundle *out, struct hf_why *why);

size_t hf_bundle_count_usable(const struct hf_bundle *bundle, int64_t now_s);

/* ---- live.c: the live trust store ------------------------------------------------------------- */

/** New handshakes see this bundle from now on. */
HF_MUST_USE enum hf_err hf_live_swap(struct hf_client *c, const struct hf_bundle_record *record,
                                     const struct hf_bundle *bundle, struct hf_why *why);

/** As above, unless it is what they see already. */
HF_MUST_USE enum hf_err hf_live_swap_if_other(struct hf_client *c,
                                              const struct hf_bundle_record *record,
                                              struct hf_why *why);

/** At the start: the active bundle or, where that cannot be read, the previous one. What goes wrong
 *  is in the journal; a device without anchors must be able to update more than ever. */
void hf_live_load(struct hf_client *c);

/* ---- select.c, obtain.c, activate.c ------------------------------------------------------------- */

/* What an update is about, filled from step to step. */
struct hf_candidate {
    bool has_active;
    struct hf_bundle_record active;
    struct hf_bundle_floor floor;

    const struct hf_target *target; /* borrowed from c->trusted */
    struct hf_description description;
    bool is_active; /* nothing to do: the newest bundle is the active one */

    struct hf_bundle_record record; /* the target's content */
    struct hf_bundle bundle;
    bool is_staged; /* by an earlier, interrupted update */
};
void hf_candidate_free(struct hf_candidate *cand);

/** The newest bundle of our set and profile that may be taken. HF_E_NOT_FOUND without one. */
HF_MUST_USE enum hf_err hf_select(struct hf_client *c, struct hf_candidate *cand,
                                  struct hf_why *why);

/** Its content, verified, parsed and checked (TUF 5.7.3). Nothing is stored. */
HF_MUST_USE enum hf_err hf_obtain(struct hf_client *c, struct hf_candidate *cand,
                                  struct hf_why *why);

/** Stage, commit, swap. */
HF_MUST_USE enum hf_err hf_activate(struct hf_client *c, struct hf_candidate *cand,
                                    struct hf_why *why);

#endif
