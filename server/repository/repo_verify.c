#include "server/repository/repo_verify.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/bundle/policy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- self-signatures ------------------------------------------------------------------------- */

static bool is_known(const struct hf_self_signed *known, const struct hf_cert *cert)
{
    for (size_t i = 0; i < known->n_items; i++) {
        if (memcmp(known->sha256[i], cert->sha256, HF_SHA256_LEN) == 0)
            return true;
    }
    return false;
}

/* Room for all of a bundle, so that noting one cannot fail. */
static enum hf_err reserve(struct hf_self_signed *known, size_t n_more, struct hf_why *why)
{
    void *more = realloc(known->sha256, (known->n_items + n_more + 1) * sizeof *known->sha256);
    if (more == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for fingerprints");
    known->sha256 = more;
    return HF_OK;
}

enum hf_err hf_self_signed_verify(struct hf_self_signed *known, const struct hf_bundle *bundle,
                                  struct hf_why *why)
{
    if (known == NULL)
        return hf_policy_verify_self_signatures(bundle, why);
    HF_TRY(reserve(known, bundle->n_anchors, why));
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &bundle->anchors[i];
        if (anchor->use != HF_USE_ANCHOR || is_known(known, &anchor->cert))
            continue;
        HF_TRY(hf_cert_verify_self_signature(anchor->der, why));
        memcpy(known->sha256[known->n_items++], anchor->cert.sha256, HF_SHA256_LEN);
    }
    return HF_OK;
}

void hf_self_signed_free(struct hf_self_signed *known)
{
    free(known->sha256);
    *known = (struct hf_self_signed){0};
}

/* ---- metadata -------------------------------------------------------------------------------- */

/* ---- metadata, step by step -------------------------------------------------------------------- */

static enum hf_err read_role(const struct hf_repo *repo, enum hf_top_role role, int64_t version,
                             bool is_numbered, size_t max_bytes, struct hf_buf *out,
                             struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_repo_role_path(role, version, is_numbered, &path, why));
    return hf_repo_read(repo, path.text, max_bytes, out, why);
}

static enum hf_err begin_at_first(const struct hf_repo *repo, int64_t now_s,
                                  struct hf_trusted_set *set, struct hf_why *why)
{
    struct hf_buf file = {0};
    enum hf_err err = read_role(repo, HF_ROLE_ROOT, 1, true, HF_ROOT_BYTES_MAX, &file, why);
    if (err == HF_E_NOT_FOUND)
        err = hf_fail(why, HF_E_NOT_FOUND,
                      "there is no repository in %s: it lacks metadata/1.root.json; "
                      "holdfastctl init makes one",
                      repo->dir);
    if (err == HF_OK)
        err = hf_trusted_set_init(set, hf_buf_bytes(&file), now_s, why);
    hf_buf_free(&file);
    return err;
}

/* The repository must hold the very file. Its newer roots are then judged by the keys in it. */
static enum hf_err check_has_root(const struct hf_repo *repo, int64_t version,
                                  struct hf_bytes pinned, struct hf_why *why)
{
    struct hf_buf file = {0};
    char wanted[HF_SHA256_HEX_LEN], found[HF_SHA256_HEX_LEN] = "none";
    enum hf_err err = read_role(repo, HF_ROLE_ROOT, version, true, HF_ROOT_BYTES_MAX, &file, why);
    hf_sha256_hex(pinned, wanted);
    if (err == HF_OK)
        hf_sha256_hex(hf_buf_bytes(&file), found);
    hf_buf_free(&file);
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        return err;
    if (strcmp(wanted, found) == 0)
        return HF_OK;
    return hf_fail(why, HF_E_SIGNATURE,
                   "expected root %" PRId64 " with SHA-256 %s, found %s in %s: it is another "
                   "repository, an old copy, or it was changed; use a copy that you trust",
                   version, wanted, found, repo->dir);
}

static enum hf_err begin_at_pinned(const struct hf_repo *repo, int64_t now_s,
                                   struct hf_trusted_set *set, struct hf_why *why)
{
    struct hf_trusted_set begun = {0};
    HF_TRY(hf_trusted_set_init(&begun, repo->trusted_root, now_s, why));
    enum hf_err err = check_has_root(repo, begun.root->env.version, repo->trusted_root, why);
    if (err != HF_OK) {
        hf_trusted_set_free(&begun);
        return err;
    }
    *set = begun;
    return HF_OK;
}

static enum hf_err begin(const struct hf_repo *repo, int64_t now_s, struct hf_trusted_set *set,
                         struct hf_why *why)
{
    return repo->trusted_root.len > 0 ? begin_at_pinned(repo, now_s, set, why)
                                      : begin_at_first(repo, now_s, set, why);
}

static enum hf_err next_root(const struct hf_repo *repo, struct hf_trusted_set *set,
                             struct hf_why *why)
{
    struct hf_buf file = {0};
    int64_t version = set->root->env.version + 1;
    if (repo->root_max > 0 && version > repo->root_max)
        return HF_E_NOT_FOUND;
    enum hf_err err = read_role(repo, HF_ROLE_ROOT, version, true, HF_ROOT_BYTES_MAX, &file, why);
    if (err == HF_OK)
        err = hf_trusted_set_update_root(set, hf_buf_bytes(&file), why);
    hf_buf_free(&file);
    return err;
}

/* 5.3: every root version, one by one, until there is no newer one. */
static enum hf_err walk_roots(const struct hf_repo *repo, struct hf_trusted_set *set,
                              struct hf_why *why)
{
    enum hf_err err;
    do
        err = next_root(repo, set, why);
    while (err == HF_OK);
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

enum hf_err hf_repo_verify_roots(const struct hf_repo *repo, int64_t now_s,
                                 struct hf_trusted_set *out, struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    HF_TRY(begin(repo, now_s, &set, why));
    enum hf_err err = walk_roots(repo, &set, why);
    if (err != HF_OK) {
        hf_trusted_set_free(&set);
        return err;
    }
    *out = set;
    return HF_OK;
}

static enum hf_err load_timestamp(const struct hf_repo *repo, struct hf_trusted_set *set,
                                  struct hf_why *why)
{
    struct hf_buf file = {0};
    enum hf_err err = read_role(repo, HF_ROLE_TIMESTAMP, 0, false, HF_TIMESTAMP_BYTES_MAX, &file,
                                why);
    if (err == HF_OK)
        err = hf_trusted_set_update_timestamp(set, hf_buf_bytes(&file), HF_FETCHED, why);
    hf_buf_free(&file);
    return err;
}

static enum hf_err load_snapshot(const struct hf_repo *repo, struct hf_trusted_set *set,
                                 struct hf_why *why)
{
    struct hf_buf file = {0};
    enum hf_err err = read_role(repo, HF_ROLE_SNAPSHOT, set->timestamp->snapshot.version,
                                set->root->consistent_snapshot, HF_SNAPSHOT_BYTES_MAX, &file, why);
    if (err == HF_OK)
        err = hf_trusted_set_update_snapshot(set, hf_buf_bytes(&file), HF_FETCHED, why);
    hf_buf_free(&file);
    return err;
}

static enum hf_err load_targets(const struct hf_repo *repo, struct hf_trusted_set *set,
                                struct hf_why *why)
{
    const struct hf_file_info *info = hf_snapshot_find(set->snapshot, "targets.json");
    if (info == NULL)
        return hf_fail(why, HF_E_FORMAT, "snapshot %" PRId64 " names no targets.json (TUF 4.4)",
                       set->snapshot->env.version);
    struct hf_buf file = {0};
    enum hf_err err = read_role(repo, HF_ROLE_TARGETS, info->version,
                                set->root->consistent_snapshot, HF_TARGETS_BYTES_MAX, &file, why);
    if (err == HF_OK)
        err = hf_trusted_set_update_targets(set, hf_buf_bytes(&file), "targets", NULL, why);
    hf_buf_free(&file);
    return err;
}

enum hf_err hf_repo_verify_metadata(const struct hf_repo *repo, int64_t now_s,
                                    struct hf_trusted_set *out, struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    HF_TRY(hf_repo_verify_roots(repo, now_s, &set, why));
    enum hf_err err = hf_trusted_set_end_roots(&set, why);
    if (err == HF_OK)
        err = load_timestamp(repo, &set, why);
    if (err == HF_OK)
        err = load_snapshot(repo, &set, why);
    if (err == HF_OK)
        err = load_targets(repo, &set, why);
    if (err != HF_OK) {
        hf_trusted_set_free(&set);
        return err;
    }
    *out = set;
    return HF_OK;
}

/* ---- bundles ---------------------------------------------------------------------------------- */

static void free_bundle(struct hf_repo_bundle *b)
{
    hf_description_free(&b->description);
    hf_bundle_free(&b->bundle);
}

void hf_repo_bundles_free(struct hf_repo_bundles *bundles)
{
    for (size_t i = 0; i < bundles->n_items; i++)
        free_bundle(&bundles->items[i]);
    free(bundles->items);
    *bundles = (struct hf_repo_bundles){0};
}

/* A device finds its bundle by the description and its floor by the path; they must agree. */
static enum hf_err check_path(const struct hf_repo_bundle *b, struct hf_why *why)
{
    struct hf_buf wanted = {0};
    enum hf_err err = hf_description_target_path(&b->description, &wanted, why);
    if (err == HF_OK && !hf_bytes_equal(hf_buf_bytes(&wanted), hf_bytes_of_text(b->target->path)))
        err = hf_fail(why, HF_E_FORMAT, "its description belongs to %s, not to that path",
                      (const char *)wanted.data);
    hf_buf_free(&wanted);
    return err;
}

static enum hf_err check_content(const struct hf_repo *repo, bool consistent_snapshot,
                                 struct hf_repo_bundle *b, struct hf_why *why)
{
    struct hf_buf pem = {0};
    struct hf_path path;
    HF_TRY(check_path(b, why));
    HF_TRY(hf_repo_target_path(b->target, consistent_snapshot, &path, why));
    enum hf_err err = hf_repo_read(repo, path.text, HF_BUNDLE_BYTES_MAX, &pem, why);
    if (err == HF_OK)
        err = hf_file_info_verify(&b->target->info, hf_buf_bytes(&pem), path.text, why);
    if (err == HF_OK)
        err = hf_bundle_parse(hf_buf_bytes(&pem), &b->description, &b->bundle, why);
    hf_buf_free(&pem);
    return err;
}

/* Adds to `out`, or adds nothing for a target that is no bundle of ours. */
static enum hf_err add_bundle(const struct hf_repo *repo, bool consistent_snapshot,
                              const struct hf_target *target, struct hf_repo_bundles *out,
                              struct hf_why *why)
{
    struct hf_repo_bundle b = {.target = target};
    enum hf_err err = HF_E_NOT_FOUND;
    if (target->custom != NULL)
        err = hf_description_parse(target->custom, &b.description, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    if (err == HF_OK)
        err = check_content(repo, consistent_snapshot, &b, why);
    if (err != HF_OK) {
        free_bundle(&b);
        return hf_fail_context(why, "bundle %s", target->path);
    }
    out->items[out->n_items++] = b;
    return HF_OK;
}

static bool is_same_line(const struct hf_repo_bundle *b, const char *set, const char *profile)
{
    return strcmp(b->description.set, set) == 0 && strcmp(b->description.profile, profile) == 0;
}

const struct hf_repo_bundle *hf_repo_bundles_newest(const struct hf_repo_bundles *bundles,
                                                    const char *set, const char *profile)
{
    const struct hf_repo_bundle *newest = NULL;
    for (size_t i = 0; i < bundles->n_items; i++) {
        const struct hf_repo_bundle *b = &bundles->items[i];
        if (is_same_line(b, set, profile) &&
            (newest == NULL || b->description.version > newest->description.version))
            newest = b;
    }
    return newest;
}

/* Policy is asked of the newest only: no device takes another, and to verify the signatures of all
 * the roots of all versions would take seconds. */
static enum hf_err check_newest(const struct hf_repo *repo, struct hf_repo_bundles *bundles,
                                struct hf_why *why)
{
    for (size_t i = 0; i < bundles->n_items; i++) {
        struct hf_repo_bundle *b = &bundles->items[i];
        b->is_newest = hf_repo_bundles_newest(bundles, b->description.set,
                                              b->description.profile) == b;
        if (b->is_newest && (hf_policy_check_bundle(&b->bundle, why) != HF_OK ||
                             hf_self_signed_verify(repo->self_signed, &b->bundle, why) != HF_OK))
            return hf_fail_context(why, "bundle %s", b->target->path);
    }
    return HF_OK;
}

enum hf_err hf_repo_verify_bundles(const struct hf_repo *repo, const struct hf_targets *targets,
                                   bool consistent_snapshot, struct hf_repo_bundles *out,
                                   struct hf_why *why)
{
    struct hf_repo_bundles bundles = {0};
    bundles.items = calloc(targets->n_targets + 1, sizeof *bundles.items);
    if (bundles.items == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for bundles");
    enum hf_err err = HF_OK;
    for (size_t i = 0; i < targets->n_targets && err == HF_OK; i++)
        err = add_bundle(repo, consistent_snapshot, &targets->targets[i], &bundles, why);
    if (err == HF_OK)
        err = check_newest(repo, &bundles, why);
    if (err != HF_OK) {
        hf_repo_bundles_free(&bundles);
        return err;
    }
    *out = bundles;
    return HF_OK;
}

enum hf_err hf_repo_verify(const struct hf_repo *repo, int64_t now_s, struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    struct hf_repo_bundles bundles = {0};
    HF_TRY(hf_repo_verify_metadata(repo, now_s, &set, why));
    const struct hf_targets *targets = hf_trusted_set_top_targets(&set);
    enum hf_err err = hf_repo_verify_bundles(repo, targets, set.root->consistent_snapshot, &bundles,
                                             why);
    hf_repo_bundles_free(&bundles);
    hf_trusted_set_free(&set);
    return err;
}

/* ---- signed, but not published yet ------------------------------------------------------------- */

enum hf_err hf_repo_verify_targets(const struct hf_trusted_set *set,
                                   const struct hf_targets *targets, struct hf_why *why)
{
    char what[48];
    snprintf(what, sizeof what, "targets %" PRId64, targets->env.version);
    return hf_envelope_verify(&targets->env, &set->root->ring, &set->root->roles[HF_ROLE_TARGETS],
                              what, why);
}

static enum hf_err check_pending(const struct hf_trusted_set *set, const struct hf_targets *pending,
                                 int64_t version, struct hf_why *why)
{
    if (pending->env.version != version)
        return hf_fail(why, HF_E_ROLLBACK, "it says that it is version %" PRId64,
                       pending->env.version);
    return hf_repo_verify_targets(set, pending, why);
}

static enum hf_err read_pending(const struct hf_repo *repo, const struct hf_trusted_set *set,
                                int64_t version, struct hf_targets *out, struct hf_buf *file,
                                struct hf_why *why)
{
    struct hf_buf bytes = {0};
    struct hf_targets pending = {0};
    enum hf_err err = read_role(repo, HF_ROLE_TARGETS, version, true, HF_TARGETS_BYTES_MAX, &bytes,
                                why);
    if (err == HF_OK)
        err = hf_targets_parse(hf_buf_bytes(&bytes), &pending, why);
    if (err == HF_OK)
        err = check_pending(set, &pending, version, why);
    if (err == HF_OK && hf_buf_append(file, bytes.data, bytes.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for targets metadata");
    hf_buf_free(&bytes);
    if (err != HF_OK) {
        hf_targets_free(&pending);
        return hf_fail_context(why,
                               "metadata/%" PRId64 ".targets.json waits to be published but must "
                               "not be (delete it to go on without it)",
                               version);
    }
    *out = pending;
    return HF_OK;
}

enum hf_err hf_repo_verify_pending(const struct hf_repo *repo, const struct hf_trusted_set *set,
                                   struct hf_targets *out, struct hf_buf *file, struct hf_why *why)
{
    const struct hf_targets *published = hf_trusted_set_top_targets(set);
    int64_t newest = 0;
    HF_TRY(hf_repo_newest_targets(repo, &newest, why));
    if (newest <= published->env.version)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "nothing waits to be published; targets %" PRId64 " is the newest",
                       published->env.version);
    return read_pending(repo, set, newest, out, file, why);
}
