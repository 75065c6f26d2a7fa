/*
 * What the publishing commands have in common: the repository locked, verified and open, the keys
 * at hand, and the chain of signatures from targets up to timestamp.
 *
 *     hf_publication_open        lock, verify what is there, look at the clock
 *     hf_publication_stage_…     compose and sign, in memory
 *     hf_publication_commit      write, verified as a device would before timestamp.json goes out
 */
#ifndef HF_REPOSITORY_PUBLICATION_H
#define HF_REPOSITORY_PUBLICATION_H

#include "server/repository/compose.h"
#include "server/repository/repo_read.h"
#include "server/repository/repo_verify.h"
#include "server/repository/repo_write.h"
#include "server/repository/key_record.h"

/** Where everything is and what time it is. Borrowed. */
struct hf_publication_context {
    const char *repo_dir;
    struct hf_key_set *keys; /* held by the caller, who may be a daemon; NULL: opened for this */
    const char *keys_dir;    /* this and what follows is for keys that are opened */
    const char *const *extra_keys;      /* --key: NULL-terminated; NULL: none */
    const char *passphrase_file;        /* NULL: ask */
    const char *online_passphrase_file; /* NULL: as above */
    int64_t now_s;
    enum hf_key_location location; /* of the keys that the command cannot do without */
    bool is_clock_right;           /* --clock-is-right: compare the clock with signed_at only */
    int64_t root_max; /* a ceremony begins at this root, whatever was written since; 0: none */
};

struct hf_publication {
    int64_t now_s;
    int lock; /* -1: none */
    struct hf_repo repo;
    struct hf_self_signed self_signed; /* `repo` points to it */
    struct hf_key_set *keys;
    struct hf_key_set own_keys;     /* `keys` points to it, unless the caller holds them */
    bool is_used[HF_KEY_LOCATIONS]; /* its keys sign; its record was checked */
    struct hf_trusted_set set;      /* what is published, whatever has expired */
    const struct hf_root *next;     /* borrowed; the root about to be published, NULL: none */
    struct hf_rollback_record record[HF_KEY_LOCATIONS]; /* of the locations used */
    struct hf_signed_files published;                   /* what `set` stands on */
    struct hf_signed_files signed_now;                  /* version 0: none of that role */
    struct hf_expiry expiry; /* read for each location, as keys are used */
};

/**
 * Open `out`, which stays where it is until it is closed. Take the lock and verify what is
 * published, from the trusted root beside the keys (key_record.h), and from that of the online keys
 * where they are at hand. Expired metadata is no obstacle: to replace it is what this is for.
 * HF_E_ROLLBACK when it is older than what the keys signed last (key_record.h). HF_E_POLICY when
 * this machine's clock is behind the last signature, because `signed_at` must not fall, or more
 * than 30 days beyond the end of the timestamp. HF_E_ARGUMENT for an extra key that is not
 * authorised for what the command signs; in a ceremony, hf_publication_sign_under checks that.
 */
HF_MUST_USE enum hf_err hf_publication_open(const struct hf_publication_context *context,
                                            struct hf_publication *out, struct hf_why *why);
void hf_publication_close(struct hf_publication *p);

/** The top-level targets as published. */
const struct hf_targets *hf_publication_targets(const struct hf_publication *p);

/** Are the keys of snapshot and timestamp at hand? As hf_key_set_find. */
HF_MUST_USE enum hf_err hf_publication_find_online(struct hf_publication *p, struct hf_why *why);

/**
 * Sign under this root from now on, which follows the published one: with the keys that it asks for
 * and, so that devices accept the result before they take it, with those of the published root that
 * are at hand too. Borrowed. HF_E_ARGUMENT for a given key that is authorised under neither.
 */
HF_MUST_USE enum hf_err hf_publication_sign_under(struct hf_publication *p,
                                                  const struct hf_root *next, struct hf_why *why);

/** The number of the next file of `role` above `newest`: one never recorded and not on disk. */
int64_t hf_publication_next_version(const struct hf_publication *p, enum hf_top_role role,
                                    int64_t newest);

/** The next number above `newest` under which no file of that role is on disk. */
int64_t hf_publication_next_free(const struct hf_publication *p, const char *role, int64_t newest);

/** Sign `targets` (its signed part, composed) and stage it; the file is appended to `file`. */
HF_MUST_USE enum hf_err hf_publication_stage_targets(struct hf_publication *p,
                                                     const json_t *targets, struct hf_buf *file,
                                                     struct hf_why *why);

/** A new snapshot that names this targets file, and a new timestamp. */
HF_MUST_USE enum hf_err hf_publication_stage_online(struct hf_publication *p,
                                                    int64_t targets_version,
                                                    struct hf_bytes targets_file,
                                                    struct hf_why *why);

/** A new stage of a bundle, with the snapshot that names it and a timestamp. */
struct hf_rollout_change; /* rollout_publish.h */
HF_MUST_USE enum hf_err hf_publication_stage_rollout(struct hf_publication *p,
                                                     const struct hf_rollout_change *change,
                                                     struct hf_why *why);

/** A new timestamp, and a new snapshot if the present one would not outlive it. The same of roles
 *  rollout-SET. */
HF_MUST_USE enum hf_err hf_publication_stage_refresh(struct hf_publication *p, struct hf_why *why);

/**
 * Is the end of this role's metadata near: is less than half of its usual period left, and at most
 * 60 days? What has nothing else to sign renews it then. `newest` is what is published or, of
 * targets, waits to be.
 */
HF_MUST_USE enum hf_err hf_publication_is_due(struct hf_publication *p, enum hf_top_role role,
                                              const struct hf_envelope *newest, bool *out,
                                              struct hf_why *why);

/** hf_publication_stage_refresh and hf_publication_commit if the timestamp is due and the online
 *  keys are at hand. */
HF_MUST_USE enum hf_err hf_publication_refresh_if_due(struct hf_publication *p, struct hf_why *why);

/** Write what is staged (hf_repo_write), and remember it in the locations used: prepared
 *  before timestamp.json goes out, committed after. */
HF_MUST_USE enum hf_err hf_publication_commit(struct hf_publication *p, struct hf_why *why);

/** Note in last.json of the locations used what was signed: as prepared, or as committed. */
HF_MUST_USE enum hf_err hf_publication_remember(struct hf_publication *p, bool is_done,
                                                struct hf_why *why);

/** When a signature of `role` made now ends; reads KEYS/…/expiry.json. */
HF_MUST_USE enum hf_err hf_publication_expiry(struct hf_publication *p, enum hf_top_role role,
                                              int64_t *out_s, struct hf_why *why);

#endif
