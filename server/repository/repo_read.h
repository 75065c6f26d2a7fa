/*
 * A repository: DIR/metadata/ and DIR/targets/ on disk, and over it the files that are about to be
 * written. Reading looks at those first, so that what will be published can be verified before it
 * is.
 */
#ifndef HF_REPOSITORY_REPO_READ_H
#define HF_REPOSITORY_REPO_READ_H

#include "common/tuf/metadata.h"
#include "common/os/file_util.h"
#include "common/bundle/bundle.h"

#include <holdfast/error.h>

#define HF_TIMESTAMP_FILE "metadata/timestamp.json"

struct hf_repo_file {
    char *path; /* below DIR: "metadata/2.root.json"; owned */
    struct hf_buf bytes;
};

/*
 * Roots whose own signature was found good in this run. A run looks at the same roots several
 * times: in what is published, in what is built, and in the repository as it will be. Whether a key
 * verifies the signature of its certificate depends on nothing but the certificate's bytes, so it
 * is asked once for each; for the 138 roots of Mozilla one such look is four fifths of all that a
 * look costs. What depends on a description, another file or the date is asked every time.
 */
struct hf_self_signed {
    uint8_t (*sha256)[HF_SHA256_LEN]; /* of each certificate's DER */
    size_t n_items;
};

struct hf_repo {
    const char *dir;              /* borrowed */
    struct hf_bytes trusted_root; /* borrowed; where trust begins. None: at 1.root.json */
    int64_t root_max;             /* as it is for devices that took no newer root; 0: no bound */
    struct hf_self_signed *self_signed; /* borrowed; noted in this run. NULL: not noted */
    struct hf_repo_file *staged;        /* not on disk yet; owned (repo_write.h) */
    size_t n_staged;
};

/** Append the file of that path. HF_E_NOT_FOUND, HF_E_LIMIT, HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_repo_read(const struct hf_repo *repo, const char *path, size_t max_bytes,
                                     struct hf_buf *out, struct hf_why *why);

/** Where a role's file lies: "metadata/3.snapshot.json"; without `is_numbered`
 *  "metadata/snapshot.json". HF_E_LIMIT never happens with the names of top-level roles. */
HF_MUST_USE enum hf_err hf_repo_role_path(enum hf_top_role role, int64_t version, bool is_numbered,
                                          struct hf_path *out, struct hf_why *why);

/** The same of a role that targets delegates to. */
HF_MUST_USE enum hf_err hf_repo_delegated_path(const char *role, int64_t version, bool is_numbered,
                                               struct hf_path *out, struct hf_why *why);

/** hf_repo_read of that file, of at most as many bytes as devices take. */
HF_MUST_USE enum hf_err hf_repo_read_role(const struct hf_repo *repo, enum hf_top_role role,
                                          int64_t version, bool is_numbered, struct hf_buf *out,
                                          struct hf_why *why);

/** The N of "N.ROLE.json" as this program writes it; 0 for any other name. */
int64_t hf_repo_version_in_name(const char *name, const char *role);

/** Where a target's content lies: "targets/SET/PROFILE/HASH.VERSION.pem". */
HF_MUST_USE enum hf_err hf_repo_target_path(const struct hf_target *target,
                                            bool consistent_snapshot, struct hf_path *out,
                                            struct hf_why *why);

/** The highest N of the N.targets.json on disk, signed but perhaps not published; 0 without one. */
HF_MUST_USE enum hf_err hf_repo_newest_targets(const struct hf_repo *repo, int64_t *out,
                                               struct hf_why *why);

#endif
