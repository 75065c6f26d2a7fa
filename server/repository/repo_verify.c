#include "server/repository/repo_verify.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/bundle/policy.h"
#include "common/rollout/role.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum hf_err hf_self_signed_verify(struct hf_self_signed *known, const struct hf_bundle *bundle,
                                  struct hf_why *why)
{
    if (known == NULL)
        return hf_policy_verify_self_signatures(bundle, why);
    /* Room for all of the bundle, so that noting one cannot fail. */
    void *more = realloc(known->sha256,
                         (known->n_items + bundle->n_anchors + 1) * sizeof *known->sha256);
    if (more == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for fingerprints");
    known->sha256 = more;
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &bundle->anchors[i];
        bool is_known = false;
        for (size_t k = 0; k < known->n_items && !is_known; k++)
            is_known = memcmp(known->sha256[k], anchor->cert.sha256, HF_SHA256_LEN) == 0;
        if (anchor->use != HF_USE_ANCHOR || is_known)
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

/* Trust begins at the trusted root, which the repository must hold: the very file. Without one it
 * begins at the repository's own first. */
static enum hf_err begin(const struct hf_repo *repo, int64_t now_s, struct hf_trusted_set *set,
                         struct hf_why *why)
{
    struct hf_buf file = {0};
    char wanted[HF_SHA256_HEX_LEN], found[HF_SHA256_HEX_LEN] = "none";
    if (repo->trusted_root.len == 0) {
        enum hf_err err = hf_repo_read_role(repo, HF_ROLE_ROOT, 1, true, &file, why);
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

    HF_TRY(hf_trusted_set_init(set, repo->trusted_root, now_s, why));
    int64_t version = set->root->env.version;
    enum hf_err err = hf_repo_read_role(repo, HF_ROLE_ROOT, version, true, &file, why);
    hf_sha256_hex(repo->trusted_root, wanted);
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

enum hf_err hf_repo_verify_roots(const struct hf_repo *repo, int64_t now_s,
                                 struct hf_trusted_set *out, struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    enum hf_err err = begin(repo, now_s, &set, why);
    bool has_begun = err == HF_OK;
    while (err == HF_OK) { /* 5.3: every root version, one by one, until there is no newer one */
        struct hf_buf file = {0};
        int64_t version = set.root->env.version + 1;
        if (repo->root_max > 0 && version > repo->root_max)
            break;
        err = hf_repo_read_role(repo, HF_ROLE_ROOT, version, true, &file, why);
        if (err == HF_OK)
            err = hf_trusted_set_update_root(&set, hf_buf_bytes(&file), why);
        hf_buf_free(&file);
    }
    if (has_begun && (err == HF_OK || err == HF_E_NOT_FOUND)) {
        *out = set;
        return HF_OK;
    }
    hf_trusted_set_free(&set);
    return err;
}

static enum hf_err load_role(const struct hf_repo *repo, enum hf_top_role role, int64_t version,
                             struct hf_trusted_set *set, struct hf_why *why)
{
    struct hf_buf file = {0};
    enum hf_err err = hf_repo_read_role(repo, role, version, set->root->consistent_snapshot, &file,
                                        why);
    const struct hf_bytes bytes = hf_buf_bytes(&file);
    if (err == HF_OK && role == HF_ROLE_TIMESTAMP)
        err = hf_trusted_set_update_timestamp(set, bytes, HF_FETCHED, why);
    else if (err == HF_OK && role == HF_ROLE_SNAPSHOT)
        err = hf_trusted_set_update_snapshot(set, bytes, HF_FETCHED, why);
    else if (err == HF_OK)
        err = hf_trusted_set_update_targets(set, bytes, "targets", NULL, why);
    hf_buf_free(&file);
    return err;
}

/* The roles of rollouts, where the snapshot lists them. One that has expired is left out, as
 * devices do: the stage is then unknown, which is no reason to refuse everything else. */
static enum hf_err load_rollouts(const struct hf_repo *repo, struct hf_trusted_set *set,
                                 struct hf_why *why)
{
    const struct hf_trusted_targets *top = hf_trusted_set_find_targets(set, "targets", NULL);
    size_t n = 0;
    for (size_t i = 0; i < top->targets.n_delegations; i++) {
        const struct hf_delegation *d = &top->targets.delegations[i];
        char name[HF_ROLLOUT_ROLE_SIZE + sizeof ".json"];
        struct hf_path path;
        struct hf_buf file = {0};
        if (hf_rollout_role_set(d->role.name) == NULL)
            continue;
        HF_TRY(hf_rollout_delegation_check(d, why));
        if (++n > HF_ROLLOUT_ROLES_MAX)
            return hf_fail(why, HF_E_LIMIT, "targets delegate to more than %d roles of rollouts",
                           HF_ROLLOUT_ROLES_MAX);
        (void)snprintf(name, sizeof name, "%s.json", d->role.name);
        const struct hf_file_info *info = hf_snapshot_find(set->snapshot, name);
        if (info == NULL)
            continue;
        HF_TRY(hf_repo_delegated_path(d->role.name, info->version, set->root->consistent_snapshot,
                                      &path, why));
        enum hf_err err = hf_repo_read(repo, path.text, HF_TARGETS_BYTES_MAX, &file, why);
        if (err == HF_OK)
            err = hf_trusted_set_update_targets(set, hf_buf_bytes(&file), d->role.name, top, why);
        hf_buf_free(&file);
        if (err != HF_OK && err != HF_E_EXPIRED)
            return err;
    }
    return HF_OK;
}

enum hf_err hf_repo_verify_metadata(const struct hf_repo *repo, int64_t now_s,
                                    struct hf_trusted_set *out, struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    HF_TRY(hf_repo_verify_roots(repo, now_s, &set, why));
    enum hf_err err = hf_trusted_set_end_roots(&set, why);
    if (err == HF_OK)
        err = load_role(repo, HF_ROLE_TIMESTAMP, 0, &set, why);
    if (err == HF_OK)
        err = load_role(repo, HF_ROLE_SNAPSHOT, set.timestamp->snapshot.version, &set, why);
    if (err == HF_OK) {
        const struct hf_file_info *info = hf_snapshot_find(set.snapshot, "targets.json");
        err = info == NULL ? hf_fail(why, HF_E_FORMAT,
                                     "snapshot %" PRId64 " names no targets.json (TUF 4.4)",
                                     set.snapshot->env.version)
                           : load_role(repo, HF_ROLE_TARGETS, info->version, &set, why);
    }
    if (err == HF_OK)
        err = load_rollouts(repo, &set, why);
    if (err != HF_OK) {
        hf_trusted_set_free(&set);
        return err;
    }
    *out = set;
    return HF_OK;
}

void hf_repo_bundles_free(struct hf_repo_bundles *bundles)
{
    for (size_t i = 0; i < bundles->n_items; i++) {
        hf_description_free(&bundles->items[i].description);
        hf_bundle_free(&bundles->items[i].bundle);
    }
    free(bundles->items);
    *bundles = (struct hf_repo_bundles){0};
}

/* The content of the target that `b` describes. */
static enum hf_err read_bundle(const struct hf_repo *repo, bool consistent_snapshot,
                               struct hf_repo_bundle *b, struct hf_why *why)
{
    const struct hf_target *target = b->target;
    struct hf_buf wanted = {0}, pem = {0};
    struct hf_path path;
    /* A device finds its bundle by the description and its floor by the path; they must agree. */
    enum hf_err err = hf_description_target_path(&b->description, &wanted, why);
    if (err == HF_OK && !hf_bytes_equal(hf_buf_bytes(&wanted), hf_bytes_of_text(target->path)))
        err = hf_fail(why, HF_E_FORMAT, "its description belongs to %s, not to that path",
                      (const char *)wanted.data);
    if (err == HF_OK)
        err = hf_repo_target_path(target, consistent_snapshot, &path, why);
    if (err == HF_OK)
        err = hf_repo_read(repo, path.text, HF_BUNDLE_BYTES_MAX, &pem, why);
    if (err == HF_OK)
        err = hf_file_info_verify(&target->info, hf_buf_bytes(&pem), path.text, why);
    if (err == HF_OK)
        err = hf_bundle_parse(hf_buf_bytes(&pem), &b->description, &b->bundle, why);
    hf_buf_free(&wanted);
    hf_buf_free(&pem);
    return err;
}

const struct hf_repo_bundle *hf_repo_bundles_newest(const struct hf_repo_bundles *bundles,
                                                    const char *set, const char *profile)
{
    const struct hf_repo_bundle *newest = NULL;
    for (size_t i = 0; i < bundles->n_items; i++) {
        const struct hf_description *d = &bundles->items[i].description;
        if (strcmp(d->set, set) == 0 && strcmp(d->profile, profile) == 0 &&
            (newest == NULL || d->version > newest->description.version))
            newest = &bundles->items[i];
    }
    return newest;
}

enum hf_err hf_repo_verify_bundles(const struct hf_repo *repo, const struct hf_targets *targets,
                                   bool consistent_snapshot, struct hf_repo_bundles *out,
                                   struct hf_why *why)
{
    struct hf_repo_bundles bundles = {
        .items = calloc(targets->n_targets + 1, sizeof *bundles.items)};
    enum hf_err err = HF_OK;
    const char *path = NULL;
    if (bundles.items == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for bundles");
    for (size_t i = 0; i < targets->n_targets && err == HF_OK; i++) {
        struct hf_repo_bundle *b = &bundles.items[bundles.n_items];
        const struct hf_target *target = &targets->targets[i];
        path = target->path;
        err = target->custom == NULL ? HF_E_NOT_FOUND
                                     : hf_description_parse(target->custom, &b->description, why);
        if (err == HF_E_NOT_FOUND) { /* no bundle of ours */
            err = HF_OK;
            continue;
        }
        if (err != HF_OK)
            break;
        b->target = target;
        bundles.n_items++; /* to be freed, also when it is refused */
        err = read_bundle(repo, consistent_snapshot, b, why);
    }
    /* Policy is asked of the newest only: no device takes another, and to verify the signatures of
     * all the roots of all versions would take seconds. */
    for (size_t i = 0; i < bundles.n_items && err == HF_OK; i++) {
        struct hf_repo_bundle *b = &bundles.items[i];
        path = b->target->path;
        b->is_newest = hf_repo_bundles_newest(&bundles, b->description.set,
                                              b->description.profile) == b;
        if (b->is_newest)
            err = hf_policy_check_bundle(&b->bundle, why);
        if (b->is_newest && err == HF_OK)
            err = hf_self_signed_verify(repo->self_signed, &b->bundle, why);
    }
    if (err != HF_OK) {
        (void)hf_fail_context(why, "bundle %s", path);
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

enum hf_err hf_repo_verify_targets(const struct hf_root *root, const struct hf_targets *targets,
                                   struct hf_why *why)
{
    char what[48];
    snprintf(what, sizeof what, "targets %" PRId64, targets->env.version);
    return hf_envelope_verify(&targets->env, &root->ring, &root->roles[HF_ROLE_TARGETS], what, why);
}

enum hf_err hf_repo_verify_pending(const struct hf_repo *repo, const struct hf_trusted_set *set,
                                   struct hf_targets *out, struct hf_buf *file, struct hf_why *why)
{
    int64_t published = hf_trusted_set_top_targets(set)->env.version, newest = 0;
    struct hf_buf bytes = {0};
    struct hf_targets pending = {0};
    HF_TRY(hf_repo_newest_targets(repo, &newest, why));
    if (newest <= published)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "nothing waits to be published; targets %" PRId64 " is the newest",
                       published);
    enum hf_err err = hf_repo_read_role(repo, HF_ROLE_TARGETS, newest, true, &bytes, why);
    if (err == HF_OK)
        err = hf_targets_parse(hf_buf_bytes(&bytes), &pending, why);
    if (err == HF_OK && pending.env.version != newest)
        err = hf_fail(why, HF_E_ROLLBACK, "it says that it is version %" PRId64,
                      pending.env.version);
    if (err == HF_OK)
        err = hf_repo_verify_targets(set->root, &pending, why);
    if (err == HF_OK && hf_buf_append(file, bytes.data, bytes.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for targets metadata");
    hf_buf_free(&bytes);
    if (err != HF_OK) {
        hf_targets_free(&pending);
        return hf_fail_context(why,
                               "metadata/%" PRId64 ".targets.json waits to be published but must "
                               "not be (delete it to go on without it)",
                               newest);
    }
    *out = pending;
    return HF_OK;
}
