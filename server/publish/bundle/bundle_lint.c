#include "server/publish/bundle/bundle_lint.h"

#include "server/publish/lint/lint.h"
#include "server/publish/lint/lint_accepted.h"
#include "server/publish/lint/lint_answers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What an rsa or ecc is held against: the full that is signed with it, or the newest there is. */
static const struct hf_bundle *find_full(const struct hf_shelf *shelf,
                                         const struct hf_bundle_built *built, size_t n_built)
{
    for (size_t i = 0; i < n_built; i++) {
        if (strcmp(built[i].description.profile, "full") == 0)
            return &built[i].bundle;
    }
    const struct hf_repo_bundle *full = hf_repo_bundles_newest(&shelf->bundles,
                                                               built[0].description.set, "full");
    return full == NULL ? NULL : &full->bundle;
}

/* An unchanged bundle is compared with the version before it, as lint does. Errors that were accepted
 * when it was signed stay accepted. */
static enum hf_err look_at(const struct hf_lint *lint, const struct hf_shelf *shelf,
                           const struct hf_bundle *full, struct hf_bundle_built *b,
                           struct hf_why *why)
{
    char where[2 * HF_SET_NAME_MAX + 32];
    const struct hf_description *d = &b->description;
    const struct hf_repo_bundle *newest = hf_repo_bundles_newest(&shelf->bundles, d->set,
                                                                 d->profile);
    const struct hf_repo_bundle *before = b->is_unchanged ? hf_shelf_before(shelf, d) : newest;
    size_t n_before = b->findings.n_items;
    (void)snprintf(where, sizeof where, "%s/%s %" PRId64, d->set, d->profile, d->version);
    const struct hf_lint_line line = {.where = where,
                                      .bundle = &b->bundle,
                                      .description = d,
                                      .before = before == NULL ? NULL : &before->bundle,
                                      .full = full};
    HF_TRY(hf_lint_line(lint, &line, &b->findings, why));
    if (!b->is_unchanged)
        return HF_OK;
    const struct hf_accepted accepted = hf_accepted_of(newest->target);
    return hf_accepted_hold(&accepted, lint, &line, &b->findings, n_before, why);
}

/* The same sentence for every line would hide which it is about: each says where it was found. */
static enum hf_err judge(const struct hf_bundle_built *built, size_t n_built, struct hf_why *why)
{
    const struct hf_finding *first = NULL;
    size_t n_errors = 0;
    for (size_t i = 0; i < n_built; i++) {
        const struct hf_finding *found = NULL;
        n_errors += hf_findings_errors(&built[i].findings, &found);
        if (first == NULL)
            first = found;
    }
    if (n_errors == 0)
        return HF_OK;
    for (size_t i = 0; n_errors > 1 && i < n_built; i++)
        hf_findings_print(&built[i].findings, 0, stderr);
    return hf_fail(why, HF_E_POLICY,
                   "nothing was published: %s (%s): %s. If that is meant to be, --accept %s",
                   hf_lint_code_name(first->code), first->where, first->sentence,
                   hf_lint_code_name(first->code));
}

static enum hf_err look_at_all(const struct hf_bundle_lint_order *order, const struct hf_lint *lint,
                               const struct hf_shelf *shelf, struct hf_bundle_built *built,
                               size_t n_built, struct hf_why *why)
{
    const struct hf_bundle *full = find_full(shelf, built, n_built);
    for (size_t i = 0; i < n_built; i++) {
        HF_TRY(look_at(lint, shelf, full, &built[i], why));
        HF_TRY(hf_findings_accept(&built[i].findings, order->accepts, why));
    }
    return judge(built, n_built, why);
}

enum hf_err hf_bundle_lint(const struct hf_bundle_lint_order *order, const struct hf_shelf *shelf,
                           struct hf_bundle_built *built, size_t n_built, struct hf_why *why)
{
    struct hf_lint_device device;
    struct hf_lint lint = {.at_s = order->at_s,
                           .lead_s = order->lead_s,
                           .known = order->known,
                           .endpoints = order->endpoints};
    if (order->device_file != NULL) {
        HF_TRY(hf_lint_device_load(order->device_file, &device, why));
        lint.device = &device;
    }
    /* Once for all profiles. */
    HF_TRY(hf_lint_answers(order->endpoints, &built[0].findings, why));
    return look_at_all(order, &lint, shelf, built, n_built, why);
}
