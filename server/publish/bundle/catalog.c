#include "server/publish/bundle/catalog.h"

#include "common/cli/cli.h"

#include <inttypes.h>
#include <string.h>

enum hf_err hf_catalog_load(const struct hf_repo *repo, const struct hf_trusted_set *set,
                            struct hf_catalog *out, struct hf_why *why)
{
    struct hf_buf file = {0};
    *out = (struct hf_catalog){.targets = hf_trusted_set_top_targets(set)};
    enum hf_err err = hf_repo_verify_pending(repo, set, &out->pending, &file, why);
    hf_buf_free(&file);
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        return err;
    out->is_waiting = err == HF_OK;
    if (out->is_waiting)
        out->targets = &out->pending;
    return hf_repo_verify_bundles(repo, out->targets, set->root->consistent_snapshot, &out->bundles,
                                  why);
}

void hf_catalog_free(struct hf_catalog *catalog)
{
    hf_repo_bundles_free(&catalog->bundles);
    hf_targets_free(&catalog->pending);
    *catalog = (struct hf_catalog){0};
}

const struct hf_repo_bundle *hf_catalog_before(const struct hf_catalog *catalog,
                                               const struct hf_description *d)
{
    const struct hf_repo_bundle *found = NULL;
    for (size_t i = 0; i < catalog->bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &catalog->bundles.items[i];
        if (hf_catalog_is_of(b, d->set, d->profile) && b->description.version < d->version &&
            (found == NULL || b->description.version > found->description.version))
            found = b;
    }
    return found;
}

enum hf_err hf_catalog_find(const struct hf_catalog *catalog, const char *set, const char *profile,
                            int64_t version, const struct hf_repo_bundle **out, struct hf_why *why)
{
    for (size_t i = 0; i < catalog->bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &catalog->bundles.items[i];
        if (hf_catalog_is_of(b, set, profile) &&
            (version == 0 ? b->is_newest : b->description.version == version)) {
            *out = b;
            return HF_OK;
        }
    }
    return hf_fail(why, HF_E_NOT_FOUND,
                   "version %" PRId64
                   " of %s/%s is not listed; holdfastctl bundle list shows which are",
                   version, set, profile);
}

bool hf_catalog_is_of(const struct hf_repo_bundle *bundle, const char *set, const char *profile)
{
    return (set == NULL || strcmp(bundle->description.set, set) == 0) &&
           (profile == NULL || strcmp(bundle->description.profile, profile) == 0);
}

enum hf_err hf_catalog_check_has(const struct hf_catalog *catalog, const char *set,
                                 const char *profile, struct hf_why *why)
{
    for (size_t i = 0; i < catalog->bundles.n_items; i++) {
        if (hf_catalog_is_of(&catalog->bundles.items[i], set, profile))
            return HF_OK;
    }
    if (set == NULL)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "the repository lists no bundle yet; holdfastctl bundle add publishes one");
    return hf_fail(
        why, HF_E_NOT_FOUND,
        "the repository lists no bundle of set \"%s\"%s%s; holdfastctl bundle list shows "
        "what there is",
        set, profile == NULL ? "" : " and profile ", profile == NULL ? "" : profile);
}

enum hf_err hf_catalog_view_open(const char *repo_dir, struct hf_catalog_view *out,
                                 struct hf_why *why)
{
    *out = (struct hf_catalog_view){.repo = {.dir = repo_dir}};
    HF_TRY(hf_repo_verify_metadata(&out->repo, HF_REPO_ANY_TIME, &out->set, why));
    return hf_catalog_load(&out->repo, &out->set, &out->catalog, why);
}

void hf_catalog_view_close(struct hf_catalog_view *view)
{
    hf_catalog_free(&view->catalog);
    hf_trusted_set_free(&view->set);
}

enum hf_err hf_bundle_check_begin(const struct hf_repo_bundles *bundles, const char *set,
                                  const char *profile, bool is_meant, struct hf_why *why)
{
    /* What devices are told to ask for (`holdfast init --profile`). */
    static const char *const profiles[] = {"full", "rsa", "ecc", "legacy"};
    const size_t n_profiles = sizeof profiles / sizeof profiles[0];
    const char *near = NULL;
    bool exists = hf_repo_bundles_newest(bundles, set, profile) != NULL;
    if (exists && is_meant)
        return hf_fail(why, HF_E_ARGUMENT,
                       "--new: set \"%s\" has a profile \"%s\" already; without --new this will be "
                       "its next version",
                       set, profile);
    if (exists || is_meant)
        return HF_OK;
    bool has_set = bundles->n_items == 0;
    for (size_t i = 0; i < bundles->n_items; i++) {
        const char *other = bundles->items[i].description.set;
        has_set = has_set || strcmp(other, set) == 0;
        near = near == NULL && hf_cli_is_typo(set, other) ? other : near;
    }
    if (!has_set && near != NULL)
        return hf_fail(why, HF_E_POLICY,
                       "there is no set \"%s\", did you mean \"%s\"? --new creates it", set, near);
    if (!has_set)
        return hf_fail(why, HF_E_POLICY,
                       "there is no set \"%s\" yet, holdfastctl bundle list shows those there are; "
                       "--new creates it",
                       set);
    /* A profile of another set is no typo either, but may be meant for that set alone. */
    near = NULL;
    for (size_t i = 0; i < n_profiles; i++) {
        if (strcmp(profiles[i], profile) == 0)
            return HF_OK;
        near = near == NULL && hf_cli_is_typo(profile, profiles[i]) ? profiles[i] : near;
    }
    if (near != NULL)
        return hf_fail(why, HF_E_POLICY,
                       "set \"%s\" has no profile \"%s\", did you mean \"%s\"? --new creates it",
                       set, profile, near);
    return hf_fail(why, HF_E_POLICY,
                   "set \"%s\" has no profile \"%s\", and devices ask for full, rsa, ecc or legacy "
                   "unless they are configured otherwise; --new creates it",
                   set, profile);
}
