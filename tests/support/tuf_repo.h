/*
 * A TUF repository in memory, signed for real (Ed25519), for tests.
 *
 *     struct tuf_repo repo;
 *     tuf_repo_init(&repo, NOW_S);                       // one key a role, nothing published
 *     tuf_repo_add_target(&repo, "set/full/1.pem", pem, custom);
 *     tuf_repo_publish_root(&repo);                      // metadata/1.root.json
 *     tuf_repo_publish(&repo);                           // targets, snapshot, timestamp, content
 *     … tuf_files_find(&repo.files, "metadata/timestamp.json") …
 *
 * Every field may be changed between init and publish: that is how a test makes a repository that
 * is too old, expired, or signed by too few. The hooks change what is about to be signed, or what
 * was signed. Out of memory, or a misuse, fails the running test (cmocka).
 */
#ifndef HF_TESTS_SUPPORT_TUF_REPO_H
#define HF_TESTS_SUPPORT_TUF_REPO_H

#include "common/tuf/metadata.h"
#include "tests/support/tuf_files.h"
#include "tests/support/tuf_sign.h"

struct tuf_role {
    struct tuf_keys keys;
    int64_t version;
    int64_t expires_s;
    int64_t signed_at_s; /* HF_TIME_NONE: not written */
};

struct tuf_target {
    char *path;
    struct hf_buf content;
    json_t *custom;
};

struct tuf_targets {
    struct tuf_target *items;
    size_t n_items;
};

/* One targets file beside the top-level one. */
struct tuf_delegated_role {
    char name[64];
    struct tuf_role role; /* its keys are those that sign the file */
    struct tuf_targets targets;
};

/* Who delegates what to whom. The keys stand here too: two delegators may name different ones. */
struct tuf_delegation {
    char delegator[64]; /* "targets" or the name of a delegated role */
    char role[64];
    char path_pattern[128];
    struct tuf_keys keys;
    bool is_terminating;
};

#define TUF_DELEGATED_MAX 40

struct tuf_repo {
    struct tuf_role roles[HF_TOP_ROLES];
    struct tuf_keys root_keys_before; /* also sign the next root; n_keys 0 for none */
    bool consistent_snapshot;         /* true at first */
    bool has_lengths;                 /* of snapshot and targets, in their parents; true at first */
    bool has_hashes;                  /* likewise; false at first */
    struct tuf_targets targets;
    struct tuf_delegated_role delegated[TUF_DELEGATED_MAX];
    size_t n_delegated;
    struct tuf_delegation delegations[TUF_DELEGATED_MAX];
    size_t n_delegations;

    /* Change what is about to be signed / what has been signed. `role` is "root", "timestamp",
     * "snapshot", "targets" or the name of a delegated one. NULL for none. */
    void (*before_signing)(void *ctx, const char *role, json_t *signed_part);
    void (*after_signing)(void *ctx, const char *role, json_t *envelope);
    void *hook_ctx;

    struct tuf_files files; /* what a client can fetch */
};

/** Version 1 of every role, one key and threshold 1 each, expiring a year after `now_s`, root and
 *  targets with `signed_at` = now_s. Nothing is published. */
void tuf_repo_init(struct tuf_repo *repo, int64_t now_s);
void tuf_repo_free(struct tuf_repo *repo);

/** Add a target, or replace its content; steals `custom` (may be NULL). */
void tuf_repo_add_target(struct tuf_repo *repo, const char *path, struct hf_bytes content,
                         json_t *custom);

void tuf_repo_remove_target(struct tuf_repo *repo, const char *path);

/** A delegated role with one fresh key, and the delegation to it. Borrowed; content by
 *  tuf_targets_add. */
struct tuf_delegated_role *tuf_repo_delegate(struct tuf_repo *repo, const char *delegator,
                                             const char *role, const char *path_pattern,
                                             bool is_terminating);
void tuf_targets_add(struct tuf_targets *targets, const char *path, struct hf_bytes content,
                     json_t *custom);

/**
 * New keys for `role`, as many and with the same threshold, and the next root version; publish
 * both. The old root keys will sign that root as well.
 */
void tuf_repo_rotate(struct tuf_repo *repo, enum hf_top_role role);

/** Sign root as it stands and put metadata/VERSION.root.json. */
void tuf_repo_publish_root(struct tuf_repo *repo);
/** Sign delegated roles, targets, snapshot and timestamp as they stand, and put them and all
 *  target files. */
void tuf_repo_publish(struct tuf_repo *repo);
/** targets, snapshot and timestamp each one version on, then tuf_repo_publish. */
void tuf_repo_publish_next(struct tuf_repo *repo);

/** One file, appended to `out`, signed as the repository stands, without putting it anywhere. */
void tuf_repo_build_root(const struct tuf_repo *repo, struct hf_buf *out);
void tuf_repo_build_targets(const struct tuf_repo *repo, struct hf_buf *out);
void tuf_repo_build_delegated(const struct tuf_repo *repo, const struct tuf_delegated_role *role,
                              struct hf_buf *out);
void tuf_repo_build_snapshot(const struct tuf_repo *repo, struct hf_buf *out);
void tuf_repo_build_timestamp(const struct tuf_repo *repo, struct hf_buf *out);

/** The path a role's file is published under: "metadata/3.targets.json". */
void tuf_repo_role_path(const struct tuf_repo *repo, enum hf_top_role role, char out[128]);
/** The path a target's content is published under; `out` holds HF_TARGET_PATH_MAX + 160. */
void tuf_repo_content_path(const struct tuf_repo *repo, const struct tuf_target *target, char *out,
                           size_t out_size);

#endif
