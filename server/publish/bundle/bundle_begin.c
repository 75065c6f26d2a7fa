#include "server/publish/bundle/bundle_begin.h"

#include "common/cli/cli.h"

#include <string.h>

/* What devices are told to ask for (`holdfast init --profile`). */
static const char *const profiles[] = {"full", "rsa", "ecc", "legacy"};
#define N_PROFILES (sizeof profiles / sizeof profiles[0])

static bool is_usual(const char *profile)
{
    for (size_t i = 0; i < N_PROFILES; i++) {
        if (strcmp(profiles[i], profile) == 0)
            return true;
    }
    return false;
}

static bool has_set(const struct hf_repo_bundles *bundles, const char *set)
{
    for (size_t i = 0; i < bundles->n_items; i++) {
        if (strcmp(bundles->items[i].description.set, set) == 0)
            return true;
    }
    return false;
}

static enum hf_err refuse_set(const struct hf_repo_bundles *bundles, const char *set,
                              struct hf_why *why)
{
    const char *nearest = NULL;
    for (size_t i = 0; i < bundles->n_items; i++)
        if (nearest == NULL && hf_cli_is_slip(set, bundles->items[i].description.set))
            nearest = bundles->items[i].description.set;
    if (nearest != NULL)
        return hf_fail(why, HF_E_POLICY,
                       "there is no set \"%s\", did you mean \"%s\"? --new begins one of that name",
                       set, nearest);
    return hf_fail(why, HF_E_POLICY,
                   "there is no set \"%s\" yet, holdfastctl bundle list shows those there are; "
                   "--new begins one of that name",
                   set);
}

/* One that was begun in another set is no slip either, but may be meant for that set alone. */
static enum hf_err refuse_profile(const char *set, const char *profile, struct hf_why *why)
{
    const char *nearest = NULL;
    for (size_t i = 0; i < N_PROFILES; i++)
        if (nearest == NULL && hf_cli_is_slip(profile, profiles[i]))
            nearest = profiles[i];
    if (nearest != NULL)
        return hf_fail(why, HF_E_POLICY,
                       "set \"%s\" has no profile \"%s\", did you mean \"%s\"? --new begins one of "
                       "that name",
                       set, profile, nearest);
    return hf_fail(why, HF_E_POLICY,
                   "set \"%s\" has no profile \"%s\", and devices ask for full, rsa, ecc or legacy "
                   "unless they are configured otherwise; --new begins one of that name",
                   set, profile);
}

enum hf_err hf_bundle_check_begin(const struct hf_repo_bundles *bundles, const char *set,
                                  const char *profile, bool is_meant, struct hf_why *why)
{
    bool exists = hf_repo_bundles_newest(bundles, set, profile) != NULL;
    if (exists && is_meant)
        return hf_fail(why, HF_E_ARGUMENT,
                       "--new: set \"%s\" has a profile \"%s\" already; without --new this will be "
                       "its next version",
                       set, profile);
    if (exists || is_meant)
        return HF_OK;
    if (bundles->n_items > 0 && !has_set(bundles, set))
        return refuse_set(bundles, set, why);
    return is_usual(profile) ? HF_OK : refuse_profile(set, profile, why);
}
