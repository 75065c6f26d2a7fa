#include "server/publish/bundle/bundle_release.h"

#include "common/rollout/role.h"
#include "server/publish/bundle/publish_report.h"
#include "server/repository/drafts/targets_release.h"
#include "server/publish/lint/lint.h"
#include "server/publish/lint/lint_endpoints.h"
#include "server/repository/certs/select.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct hf_repo_bundle *newest(const struct hf_release_run *r, const char *profile)
{
    return hf_repo_bundles_newest(&r->catalog.bundles, r->order->bundle.set, profile);
}

static bool has_meant(const struct hf_bundle *bundle, const char *text,
                      const struct hf_known_roots *known)
{
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        if (hf_select_matches(text, known, &bundle->anchors[i].cert))
            return true;
    }
    return false;
}

/* A text that matches nothing is most likely a typo, unless an earlier version held that root: then
 * it is removed already. */
static enum hf_err check_removed_before(const struct hf_release_run *r,
                                        const struct hf_repo_bundle *from, const char *text,
                                        struct hf_why *why)
{
    const struct hf_description *d = &from->description;
    const struct hf_repo_bundle *before = from;
    struct hf_fingerprint f;
    while ((before = hf_catalog_before(&r->catalog, &before->description)) != NULL) {
        if (has_meant(&before->bundle, text, &r->known))
            return HF_OK;
    }
    bool is_digits = hf_fingerprint_parse(text, strlen(text), &f, NULL) == HF_OK;
    for (size_t i = 0; is_digits && i < d->n_drops; i++) {
        if (hf_fingerprint_matches(&f, d->drops[i]))
            return HF_OK;
    }
    return hf_fail(why, HF_E_ARGUMENT,
                   "\"%.80s\" is no SHA-256, table of known roots or part of a subject of any "
                   "certificate in %s",
                   text, from->target->path);
}

/* The bundle that `from_profile` names, NULL where it names none; it must have what is to be
 * removed. */
static enum hf_err find_from(const struct hf_release_run *r, const struct hf_repo_bundle **out,
                             struct hf_why *why)
{
    const struct hf_bundle_order *order = &r->order->bundle;
    const char *profile = r->order->from_profile;
    const struct hf_repo_bundle *from = profile == NULL ? NULL : newest(r, profile);
    if (profile != NULL && from == NULL && strcmp(profile, order->profile) != 0)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "--from %s: the repository holds no bundle of set \"%s\" and that profile",
                       profile, order->set);
    if (profile != NULL && from == NULL)
        return hf_fail(
            why, HF_E_NOT_FOUND,
            "the repository holds no bundle of set \"%s\" and profile \"%s\" to begin with",
            order->set, profile);
    for (size_t i = 0; order->without != NULL && order->without[i] != NULL; i++) {
        if (!has_meant(&from->bundle, order->without[i], &r->known))
            HF_TRY(check_removed_before(r, from, order->without[i], why));
    }
    *out = from;
    return HF_OK;
}

static enum hf_err build_all(struct hf_release_run *r, struct hf_why *why)
{
    struct hf_bundle_order order = r->order->bundle;
    struct hf_derivation derivations[HF_DERIVED_MAX];
    size_t n = 0;
    const char *from = r->order->from_profile;
    /* hf_bundle_build refuses an invalid name, and find_from a profile that does not exist yet. */
    if (hf_set_name_is_valid(order.set) && hf_set_name_is_valid(order.profile) &&
        (from == NULL || strcmp(from, order.profile) != 0))
        HF_TRY(hf_bundle_check_begin(&r->catalog.bundles, order.set, order.profile,
                                     r->order->is_new, why));
    order.known = &r->known;
    order.self_signed = r->p.repo.self_signed;
    order.listed = &r->catalog.bundles;
    HF_TRY(find_from(r, &order.from, why));
    HF_TRY(hf_bundle_build(&order, newest(r, order.profile), r->p.now_s, &r->built[0], why));
    r->n_built = 1;
    HF_TRY(hf_derivations_parse(r->order->derives, order.profile, derivations, &n, why));
    for (size_t i = 0; i < n; i++) {
        HF_TRY(hf_bundle_derive(&r->built[0], &derivations[i], &order,
                                newest(r, derivations[i].profile), r->p.now_s,
                                &r->built[r->n_built], why));
        r->n_built++;
    }
    return HF_OK;
}

/* The plan is signed with each new version. Devices wait for a role that speaks of its stages, so
 * targets must delegate to it. */
static enum hf_err add_plan(struct hf_release_run *r, struct hf_why *why)
{
    const struct hf_rollout_plan *plan = r->order->plan;
    char role[HF_ROLLOUT_ROLE_SIZE];
    if (plan == NULL)
        return HF_OK;
    hf_rollout_role_name(r->order->bundle.set, role);
    const struct hf_delegation *delegation = hf_rollout_delegation(r->catalog.targets, role);
    if (delegation == NULL)
        return hf_fail(why, HF_E_POLICY,
                       "targets delegate the stages of set \"%s\" to no key, so no device would "
                       "install the bundle before its last day; run `holdfastctl rollout delegate "
                       "%s` first",
                       r->order->bundle.set, r->order->bundle.set);
    HF_TRY(hf_rollout_delegation_check(delegation, why));
    for (size_t i = 0; i < r->n_built; i++) {
        struct hf_description *d = &r->built[i].description;
        if (r->built[i].is_unchanged)
            continue;
        if (plan->min_version > d->version)
            return hf_fail(why, HF_E_POLICY,
                           "\"min_version\" of the plan is above the version that it is for "
                           "(expected %" PRId64 " at most, found %" PRId64 ")",
                           d->version, plan->min_version);
        d->plan = malloc(sizeof *d->plan);
        if (d->plan == NULL)
            return hf_fail(why, HF_E_MEMORY, "out of memory for a rollout plan");
        *d->plan = *plan;
    }
    return HF_OK;
}

/* An unchanged bundle is compared with the version before it, as lint does. Errors that were
 * accepted when it was signed stay accepted. */
static enum hf_err lint_one(const struct hf_release_run *r, const struct hf_lint *lint,
                            struct hf_bundle_built *b, struct hf_why *why)
{
    char where[2 * HF_SET_NAME_MAX + 32];
    const struct hf_description *d = &b->description;
    const struct hf_repo_bundle *last = newest(r, d->profile);
    const struct hf_repo_bundle *before = b->is_unchanged ? hf_catalog_before(&r->catalog, d)
                                                          : last;
    const size_t n_before = b->findings.n_items;
    /* What an rsa or ecc is compared with: the full that is signed with it, or the newest there
     * is. */
    const struct hf_repo_bundle *newest_full = newest(r, "full");
    const struct hf_bundle *full = newest_full == NULL ? NULL : &newest_full->bundle;
    for (size_t i = 0; i < r->n_built; i++) {
        if (strcmp(r->built[i].description.profile, "full") == 0)
            full = &r->built[i].bundle;
    }
    const struct hf_lint_line line = {.where = where,
                                      .bundle = &b->bundle,
                                      .description = d,
                                      .before = before == NULL ? NULL : &before->bundle,
                                      .full = full};
    (void)snprintf(where, sizeof where, "%s/%s %" PRId64, d->set, d->profile, d->version);
    HF_TRY(hf_lint_line(lint, &line, &b->findings, why));
    if (b->is_unchanged) {
        const struct hf_accepted accepted = hf_accepted_of(last->target);
        HF_TRY(hf_accepted_hold(&accepted, lint, &line, &b->findings, n_before, why));
    }
    return hf_findings_accept(&b->findings, r->order->accepts, why);
}

/* Fills in the findings of each bundle. HF_E_POLICY with the first error; all are on standard
 * error. An unchanged bundle is checked too: it may wait to be published, or cut devices off
 * already. */
static enum hf_err lint_all(struct hf_release_run *r, struct hf_why *why)
{
    const struct hf_finding *first = NULL;
    struct hf_lint_device device;
    struct hf_lint lint = {.at_s = r->p.now_s,
                           .lead_s = r->order->lead_s,
                           .known = &r->known,
                           .endpoints = &r->endpoints};
    size_t n_errors = 0;
    if (r->order->device_file != NULL) {
        HF_TRY(hf_lint_device_load(r->order->device_file, &device, why));
        lint.device = &device;
    }
    /* Once for all profiles. */
    HF_TRY(hf_lint_answers(&r->endpoints, &r->built[0].findings, why));
    for (size_t i = 0; i < r->n_built; i++) {
        const struct hf_finding *found = NULL;
        HF_TRY(lint_one(r, &lint, &r->built[i], why));
        n_errors += hf_findings_errors(&r->built[i].findings, &found);
        first = first == NULL ? found : first;
    }
    if (n_errors == 0)
        return HF_OK;
    for (size_t i = 0; n_errors > 1 && i < r->n_built; i++)
        hf_findings_print(&r->built[i].findings, 0, stderr);
    return hf_fail(why, HF_E_POLICY,
                   "nothing was published: %s (%s): %s. If that is meant to be, --accept %s",
                   hf_lint_code_name(first->code), first->where, first->sentence,
                   hf_lint_code_name(first->code));
}

/* List the bundle in `targets`, stage its content under the name that listing gives it, and no
 * longer list what is older than the newest versions to keep. Signed besides the description are
 * the errors of lint that were accepted, which devices ignore. */
static enum hf_err list_and_stage(struct hf_release_run *r, json_t *targets,
                                  struct hf_bundle_built *built, struct hf_why *why)
{
    const struct hf_description *d = &built->description;
    json_t *custom = NULL;
    struct hf_buf name = {0};
    struct hf_path path;
    struct hf_target target = {.info = {.has_sha256 = true}};
    for (size_t i = 0; i < r->catalog.bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &r->catalog.bundles.items[i];
        if (hf_catalog_is_of(b, d->set, d->profile) &&
            b->description.version <= d->version - r->order->keep)
            HF_TRY(hf_targets_unlist(targets, b, r->unlisted, why));
    }
    enum hf_err err = hf_description_to_json(d, &custom, why);
    if (err == HF_OK && !hf_accepted_sign(custom, &built->findings, r->p.now_s))
        err = hf_fail(why, HF_E_MEMORY, "out of memory for what is signed about a bundle");
    if (err == HF_OK)
        err = hf_description_target_path(d, &name, why);
    if (err == HF_OK) {
        target.path = (const char *)name.data;
        hf_sha256(hf_buf_bytes(&built->pem), target.info.sha256);
        err = hf_compose_add_target(targets, target.path, hf_buf_bytes(&built->pem), custom, why);
    }
    if (err == HF_OK)
        err = hf_repo_target_path(&target, r->p.set.root->consistent_snapshot, &path, why);
    if (err == HF_OK)
        err = hf_repo_stage_take(&r->p.repo, path.text, &built->pem, why);
    hf_buf_free(&name);
    json_decref(custom);
    return err;
}

static enum hf_err send_out(struct hf_release_run *r, struct hf_why *why)
{
    json_t *targets = NULL;
    /* Is there a new version, or a reason to sign the same targets again: signed targets wait and
     * can be published now, or the targets expire soon? */
    bool has_work = r->catalog.is_waiting && r->p.is_used[HF_KEYS_ONLINE] &&
                    r->order->draft_file == NULL;
    for (size_t i = 0; i < r->n_built; i++)
        has_work = has_work || !r->built[i].is_unchanged;
    if (!has_work)
        HF_TRY(hf_publication_is_due(&r->p, HF_ROLE_TARGETS, &r->catalog.targets->env, &has_work,
                                     why));
    if (!has_work) {
        if (r->order->draft_file == NULL)
            HF_TRY(hf_publication_refresh_if_due(&r->p, why));
        return hf_release_report(r, why);
    }
    enum hf_err err = hf_targets_next(&r->p, r->catalog.targets, &targets, why);
    for (size_t i = 0; i < r->n_built && err == HF_OK; i++) {
        if (!r->built[i].is_unchanged)
            err = list_and_stage(r, targets, &r->built[i], why);
    }
    if (err == HF_OK)
        err = hf_targets_release(&r->p, r->catalog.targets, targets, r->order->draft_file,
                                 &r->is_published, why);
    if (err == HF_OK) {
        r->targets_version = json_integer_value(json_object_get(targets, "version"));
        err = hf_release_report(r, why);
    }
    json_decref(targets);
    return err;
}

enum hf_err hf_release(const struct hf_release_order *order, struct hf_why *why)
{
    struct hf_release_run r = {.order = order, .p.lock = -1, .unlisted = json_array()};
    /* Servers may answer slowly: ask them before the repository is locked and any key is opened. */
    enum hf_err err = hf_lint_endpoints_load(&order->endpoints, &r.endpoints, why);
    if (err == HF_OK)
        err = hf_publication_open(&order->place, &r.p, why);
    /* Before any question or passphrase: are the keys here at all? */
    if (err == HF_OK && order->draft_file == NULL)
        err = hf_key_set_find(r.p.keys, r.p.set.root, HF_ROLE_TARGETS, why);
    if (err == HF_OK)
        err = hf_known_roots_load(order->roots, &r.known, why);
    if (err == HF_OK)
        err = hf_catalog_load(&r.p.repo, &r.p.set, &r.catalog, why);
    if (err == HF_OK)
        err = build_all(&r, why);
    if (err == HF_OK)
        err = add_plan(&r, why);
    if (err == HF_OK)
        err = lint_all(&r, why);
    if (err == HF_OK)
        err = send_out(&r, why);
    for (size_t i = 0; i < r.n_built; i++)
        hf_bundle_built_free(&r.built[i]);
    hf_catalog_free(&r.catalog);
    hf_known_roots_free(&r.known);
    hf_publication_close(&r.p);
    hf_lint_endpoints_free(&r.endpoints);
    json_decref(r.unlisted);
    return err;
}
