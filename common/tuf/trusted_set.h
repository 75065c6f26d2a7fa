/*
 * The trusted metadata set: the client workflow of TUF 1.0.34, section 5, as a state machine
 * without I/O. Bytes go in; either they become trusted, or they are refused with the clause they
 * break and the set is what it was.
 *
 * The order of calls is the order of the specification:
 *
 *   init(root)                    5.2   the root metadata held already
 *   update_root(root N+1) …       5.3   until the repository has no newer one
 *   end_roots()                   5.3.10 the last one must not be expired
 *   update_timestamp(cached)            what was trusted before, for rollback protection
 *   update_timestamp(fetched)     5.4
 *   update_snapshot(cached|fetched) 5.5
 *   update_targets(…)             5.6   top-level, then delegated roles
 *
 * A cached file goes through the very same door as a fetched one, so one that was tampered with on
 * disk is simply not accepted. Once a root taken here has rotated the keys of timestamp or
 * snapshot, no cached one of either is (5.3.11); the caller removes them from its store.
 */
#ifndef HF_COMMON_TUF_TRUSTED_SET_H
#define HF_COMMON_TUF_TRUSTED_SET_H

#include "common/tuf/receipts.h"

/** Where bytes come from. It decides what a failed last check means, never what is verified. */
enum hf_origin {
    HF_FETCHED, /* just downloaded */
    HF_CACHED,  /* from this device's own store, verified once before */
};

/* A targets role as verified under one delegator. A role reached through two delegators stands here
 * twice: who may speak for what depends on the way it was reached. */
struct hf_trusted_targets {
    const char *role;                           /* "targets" for the top-level one */
    const struct hf_trusted_targets *delegator; /* in the same set; NULL: root */
    struct hf_targets targets;
};

struct hf_trusted_set {
    int64_t now_s; /* fixed for the whole update (5.1) */
    struct hf_root *root;
    bool roots_ended;
    struct hf_timestamp *timestamp;
    struct hf_snapshot *snapshot;
    bool snapshot_is_announced; /* version, length and hashes are those that timestamp names */
    bool online_keys_rotated;   /* a root taken here changed those of timestamp or snapshot */
    struct hf_receipts known;   /* brought by hf_trusted_set_resume */
    struct hf_trusted_targets **targets; /* in order of loading, at most HF_TARGETS_ROLES_MAX */
    size_t n_targets;
};

/** Load the root metadata held already (5.2). Its threshold must be met; expiry is not judged. */
HF_MUST_USE enum hf_err hf_trusted_set_init(struct hf_trusted_set *set, struct hf_bytes root,
                                            int64_t now_s, struct hf_why *why);
/**
 * The same, with the receipts of an earlier set. The signatures of a file that has one are not
 * verified again; everything else about it is still checked. A new root is always verified and
 * makes all receipts void.
 */
HF_MUST_USE enum hf_err hf_trusted_set_resume(struct hf_trusted_set *set, struct hf_bytes root,
                                              int64_t now_s, const struct hf_receipts *known,
                                              struct hf_why *why);
void hf_trusted_set_free(struct hf_trusted_set *set);

/** 5.3.3 to 5.3.7: exactly version N+1, signed by the thresholds of N and of N+1. */
HF_MUST_USE enum hf_err hf_trusted_set_update_root(struct hf_trusted_set *set, struct hf_bytes file,
                                                   struct hf_why *why);

/** 5.3.10: HF_E_EXPIRED when the newest root has expired. After this no root is taken any more. */
HF_MUST_USE enum hf_err hf_trusted_set_end_roots(struct hf_trusted_set *set, struct hf_why *why);

/**
 * 5.4. HF_OK: trusted now. HF_E_SAME_VERSION: a genuine file of the version trusted already; the
 * trusted one stays. HF_E_EXPIRED: genuine but expired; a HF_CACHED one then still serves as the
 * floor for a newer one, a HF_FETCHED one is discarded.
 */
HF_MUST_USE enum hf_err hf_trusted_set_update_timestamp(struct hf_trusted_set *set,
                                                        struct hf_bytes file, enum hf_origin origin,
                                                        struct hf_why *why);

/**
 * 5.5. As above: a genuine HF_CACHED snapshot that is not the one timestamp names (HF_E_ROLLBACK
 * for another version, HF_E_HASH for other bytes) or has expired (HF_E_EXPIRED) stays as the floor
 * only; targets are not accepted under it.
 */
HF_MUST_USE enum hf_err hf_trusted_set_update_snapshot(struct hf_trusted_set *set,
                                                       struct hf_bytes file, enum hf_origin origin,
                                                       struct hf_why *why);

/**
 * 5.6. `delegator` is NULL for the top-level role "targets", else a role of this set that delegates
 * to `role`. The keys are the delegator's: a role reached through two delegators is verified for
 * each. HF_E_STATE when it is loaded under that delegator already. What was loaded stays where it
 * is until the set is freed.
 */
HF_MUST_USE enum hf_err hf_trusted_set_update_targets(struct hf_trusted_set *set,
                                                      struct hf_bytes file, const char *role,
                                                      const struct hf_trusted_targets *delegator,
                                                      struct hf_why *why);

/**
 * Free what only those need who verify or publish: signatures, the bytes that they are over, and
 * the JSON of all but targets. For devices, whenever something was accepted. HF_E_MEMORY, and what
 * is trusted is the same.
 */
HF_MUST_USE enum hf_err hf_trusted_set_shed(struct hf_trusted_set *set, struct hf_why *why);

/** A timestamp / snapshot to act on: trusted, unexpired, (snapshot) as timestamp says. */
HF_MUST_USE enum hf_err hf_trusted_set_timestamp_is_final(const struct hf_trusted_set *set,
                                                          struct hf_why *why);
HF_MUST_USE enum hf_err hf_trusted_set_snapshot_is_final(const struct hf_trusted_set *set,
                                                         struct hf_why *why);

/** The role as verified under that delegator (NULL: root), or NULL. */
const struct hf_trusted_targets *
hf_trusted_set_find_targets(const struct hf_trusted_set *set, const char *role,
                            const struct hf_trusted_targets *delegator);

/** The top-level targets metadata, or NULL while it is not trusted. */
const struct hf_targets *hf_trusted_set_top_targets(const struct hf_trusted_set *set);

/** The receipts of the four files trusted now, and of the first role that targets delegates to, if
 *  one is; false, with `out` as it was, until all four are. */
bool hf_trusted_set_receipts(const struct hf_trusted_set *set, struct hf_receipts *out);

/**
 * The newest `signed_at` of the verified root and top-level targets, HF_TIME_NONE without one:
 * the only thing in metadata that moves a device's clock floor. One that is not before its own
 * file's expiry is an error of the publisher and does not count.
 */
int64_t hf_trusted_set_signed_at(const struct hf_trusted_set *set);

#endif
