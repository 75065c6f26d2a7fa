/*
 * A repository as a device sees it: from a root through every step of the TUF client workflow, then
 * every bundle that it lists. The root is the trusted one, where the repository is opened with one
 * (HF_E_SIGNATURE when it does not hold that very file), else its own first: that proves that it is
 * whole, not whose it is.
 */
#ifndef HF_REPOSITORY_REPO_VERIFY_H
#define HF_REPOSITORY_REPO_VERIFY_H

#include "common/bundle/bundle.h"
#include "common/tuf/trusted_set.h"
#include "server/repository/repo_read.h"

/* Before anything ever expired: signatures, versions and hashes are verified, dates are not. */
#define HF_REPO_ANY_TIME INT64_C(0)

/** One listed bundle, its content verified and parsed; the newest of its line also meets policy. */
struct hf_repo_bundle {
    const struct hf_target *target; /* borrowed from the targets metadata */
    struct hf_description description;
    struct hf_bundle bundle;
    bool is_newest; /* of its set and profile */
};

struct hf_repo_bundles {
    struct hf_repo_bundle *items;
    size_t n_items;
};

/** Verify all metadata at `now_s`, the roles rollout-SET included (HF_E_POLICY for a delegation of
 *  another form). One of them that has expired, or is not there yet, is left out of `out`.
 *  hf_trusted_set_free `out`. */
HF_MUST_USE enum hf_err hf_repo_verify_metadata(const struct hf_repo *repo, int64_t now_s,
                                                struct hf_trusted_set *out, struct hf_why *why);

/** Only the roots, from where trust begins to the newest, which may have expired. What else lies
 *  there may be anything. hf_trusted_set_free `out`. */
HF_MUST_USE enum hf_err hf_repo_verify_roots(const struct hf_repo *repo, int64_t now_s,
                                             struct hf_trusted_set *out, struct hf_why *why);

/** Read every bundle listed in `targets`, check the newest of each set and profile (HF_E_POLICY);
 *  target files of other kinds are left alone. */
HF_MUST_USE enum hf_err hf_repo_verify_bundles(const struct hf_repo *repo,
                                               const struct hf_targets *targets,
                                               bool consistent_snapshot,
                                               struct hf_repo_bundles *out, struct hf_why *why);
void hf_repo_bundles_free(struct hf_repo_bundles *bundles);

/** The newest of that set and profile; NULL without one. */
const struct hf_repo_bundle *hf_repo_bundles_newest(const struct hf_repo_bundles *bundles,
                                                    const char *set, const char *profile);

/** Both, for callers that need only the answer. */
HF_MUST_USE enum hf_err hf_repo_verify(const struct hf_repo *repo, int64_t now_s,
                                       struct hf_why *why);

/**
 * The newest signed targets metadata on disk, if it is not published yet: newer than what the
 * snapshot in `set` names, of the version its name says, signed as the root in `set` asks.
 * HF_E_NOT_FOUND when there is none; HF_E_SIGNATURE, HF_E_ROLLBACK, … when it must not be
 * published. hf_targets_free `out`; its bytes are appended to `file`.
 */
HF_MUST_USE enum hf_err hf_repo_verify_pending(const struct hf_repo *repo,
                                               const struct hf_trusted_set *set,
                                               struct hf_targets *out, struct hf_buf *file,
                                               struct hf_why *why);

/** `targets`, not (yet) named by a snapshot, is signed as `root` asks. HF_E_SIGNATURE. */
HF_MUST_USE enum hf_err hf_repo_verify_targets(const struct hf_root *root,
                                               const struct hf_targets *targets,
                                               struct hf_why *why);

/**
 * As hf_policy_verify_self_signatures, but for those in `known`; those that verify are noted there.
 * `known` may be NULL: nothing is remembered. HF_E_POLICY, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_self_signed_verify(struct hf_self_signed *known,
                                              const struct hf_bundle *bundle, struct hf_why *why);
void hf_self_signed_free(struct hf_self_signed *known);

#endif
