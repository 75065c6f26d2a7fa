/*
 * The newest signed bundles of a repository, published or waiting to be: what the next version is
 * built on, and what list, diff, lint and plan read.
 */
#ifndef HF_PUBLISH_CATALOG_H
#define HF_PUBLISH_CATALOG_H

#include "server/repository/repo_verify.h"

struct hf_catalog {
    struct hf_targets pending; /* zero where nothing waits */
    const struct hf_targets *targets;
    bool is_waiting; /* signed, not published: `targets` are the pending ones */
    struct hf_repo_bundles bundles;
};

/** From verified metadata (hf_trusted_set borrowed as long as the catalog). hf_catalog_free `out`,
 *  also after a failure. */
HF_MUST_USE enum hf_err hf_catalog_load(const struct hf_repo *repo,
                                        const struct hf_trusted_set *set, struct hf_catalog *out,
                                        struct hf_why *why);
void hf_catalog_free(struct hf_catalog *catalog);

/** The newest version of that line below `version`; NULL without one. */
const struct hf_repo_bundle *hf_catalog_before(const struct hf_catalog *catalog,
                                               const struct hf_description *d);

/** That version, 0 for the newest; HF_E_NOT_FOUND in words. Borrowed from the catalog. */
HF_MUST_USE enum hf_err hf_catalog_find(const struct hf_catalog *catalog, const char *set,
                                        const char *profile, int64_t version,
                                        const struct hf_repo_bundle **out, struct hf_why *why);

/** A repository opened for reading: without keys or lock, and dates are not checked. */
struct hf_catalog_view {
    struct hf_repo repo;
    struct hf_trusted_set set;
    struct hf_catalog catalog;
};

/** hf_catalog_view_close `out`, also after a failure. */
HF_MUST_USE enum hf_err hf_catalog_view_open(const char *repo_dir, struct hf_catalog_view *out,
                                             struct hf_why *why);
void hf_catalog_view_close(struct hf_catalog_view *view);

/** HF_E_NOT_FOUND unless some bundle is of that set (NULL: of any) and profile (NULL: of any). */
HF_MUST_USE enum hf_err hf_catalog_check_has(const struct hf_catalog *catalog, const char *set,
                                             const char *profile, struct hf_why *why);
/** Is it of that set and profile, each NULL for any? */
bool hf_catalog_is_of(const struct hf_repo_bundle *bundle, const char *set, const char *profile);

/*
 * May a bundle be the first of its set and profile? A mistyped name would be signed and served like
 * any other, and no device would ever ask for it.
 */

/**
 * Allowed without --new: the first set of a repository, and the profiles full, rsa, ecc and legacy.
 * HF_E_POLICY for any other new name, with a similar existing name, unless `is_meant` (--new).
 * HF_E_ARGUMENT for --new with a set and profile that exist already. No I/O.
 */
HF_MUST_USE enum hf_err hf_bundle_check_begin(const struct hf_repo_bundles *bundles,
                                              const char *set, const char *profile, bool is_meant,
                                              struct hf_why *why);

#endif
