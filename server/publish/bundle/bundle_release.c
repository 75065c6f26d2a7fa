#include "server/publish/bundle/bundle_release.h"

#include "server/publish/bundle/bundle_build.h"
#include "server/publish/bundle/publish_report.h"
#include "server/publish/bundle/catalog.h"
#include "server/publish/ceremony/targets_release.h"
#include "server/publish/lint/lint.h"
#include "server/publish/lint/lint_accepted.h"
#include "server/publish/lint/lint_answers.h"
#include "server/repository/certs/select.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One release: the bundle that was asked for, and the profiles derived from it. */
struct release {
    const struct hf_release_order *order;
    struct hf_publication *p;
    const struct hf_lint_endpoints *endpoints;
    struct hf_known_roots known;
    struct hf_catalog catalog;
    struct hf_bundle_built built[1 + HF_DERIVED_MAX];
    size_t n_built;
    json_t *unlisted; /* versions that are too old now */
};

/* ---- the new targets metadata ----------------------------------------------------------------- */

/* No longer list what is older than the newest ones to keep of the line that gets a new version. */
static enum hf_err prune(struct release *r, json_t *targets, const struct hf_description *d,
                         struct hf_why *why)
{
    for (size_t i = 0; i < r->catalog.bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &r->catalog.bundles.items[i];
        if (hf_catalog_is_of(b, d->set, d->profile) &&
            b->description.version <= d->version - r->order->keep)
            HF_TRY(hf_targets_unlist(targets, b, r->unlisted, why));
    }
    return HF_OK;
}

/* List the bundle in `targets`, and stage its content under the name that listing gives it. */
static enum hf_err list_and_stage(struct release *r, json_t *targets, struct hf_bundle_built *built,
                                  struct hf_why *why)
{
    json_t *custom = NULL;
    struct hf_buf name = {0};
    struct hf_path path;
    struct hf_target target = {.info = {.has_sha256 = true}};
    enum hf_err err = hf_bundle_custom(built, r->p->now_s, &custom, why);
    if (err == HF_OK)
        err = hf_description_target_path(&built->description, &name, why);
    if (err != HF_OK)
        goto out;
    target.path = (const char *)name.data;
    hf_sha256(hf_buf_bytes(&built->pem), target.info.sha256);
    err = hf_compose_add_target(targets, target.path, hf_buf_bytes(&built->pem), custom, why);
    if (err == HF_OK)
        err = hf_repo_target_path(&target, r->p->set.root->consistent_snapshot, &path, why);
    if (err == HF_OK)
        err = hf_repo_stage_take(&r->p->repo, path.text, &built->pem, why);
out:
    hf_buf_free(&name);
    json_decref(custom);
    return err;
}

/* Every new version listed in `targets`, and staged. */
static enum hf_err list_all(struct release *r, json_t *targets, struct hf_why *why)
{
    for (size_t i = 0; i < r->n_built; i++) {
        if (r->built[i].is_unchanged)
            continue;
        HF_TRY(prune(r, targets, &r->built[i].description, why));
        HF_TRY(list_and_stage(r, targets, &r->built[i], why));
    }
    return HF_OK;
}

/* `targets` NULL: nothing was published. */
static enum hf_err report(const struct release *r, const json_t *targets, bool is_published,
                          struct hf_why *why)
{
    const struct hf_released released = {
        .order = r->order,
        .p = r->p,
        .catalog = &r->catalog,
        .built = r->built,
        .n_built = r->n_built,
        .unlisted = r->unlisted,
        .targets_version = json_integer_value(json_object_get(targets, "version")),
        .is_published = is_published,
    };
    return hf_released_report(&released, why);
}

/* Is there a new version, or a reason to sign the same targets again: what waits can be published now,
 * or the end is near? */
static enum hf_err has_work(struct release *r, bool *out, struct hf_why *why)
{
    *out = r->catalog.is_waiting && r->p->is_used[HF_KEYS_ONLINE] && r->order->draft_file == NULL;
    for (size_t i = 0; i < r->n_built; i++)
        *out = *out || !r->built[i].is_unchanged;
    return *out ? HF_OK
                : hf_publication_is_due(r->p, HF_ROLE_TARGETS, &r->catalog.targets->env, out, why);
}

static enum hf_err send_out(struct release *r, struct hf_why *why)
{
    json_t *targets = NULL;
    bool has_new = false, is_published = false;
    HF_TRY(has_work(r, &has_new, why));
    if (!has_new) {
        if (r->order->draft_file == NULL)
            HF_TRY(hf_publication_refresh_if_due(r->p, why));
        return report(r, NULL, false, why);
    }
    HF_TRY(hf_targets_next(r->p, r->catalog.targets, &targets, why));
    enum hf_err err = list_all(r, targets, why);
    if (err == HF_OK)
        err = hf_targets_release(r->p, r->catalog.targets, targets, r->order->draft_file,
                                 &is_published, why);
    if (err == HF_OK)
        err = report(r, targets, is_published, why);
    json_decref(targets);
    return err;
}

/* ---- what goes out ---------------------------------------------------------------------------- */

/* The bundle that `from_profile` names; NULL where it names none. */
static enum hf_err find_from(const struct release *r, const struct hf_repo_bundle **out,
                             struct hf_why *why)
{
    const char *set = r->order->bundle.set, *profile = r->order->from_profile;
    *out = NULL;
    if (profile == NULL)
        return HF_OK;
    *out = hf_repo_bundles_newest(&r->catalog.bundles, set, profile);
    if (*out != NULL)
        return HF_OK;
    if (strcmp(profile, r->order->bundle.profile) != 0)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "--from %s: the repository holds no bundle of set \"%s\" and that profile",
                       profile, set);
    return hf_fail(why, HF_E_NOT_FOUND,
                   "the repository holds no bundle of set \"%s\" and profile \"%s\" to begin with",
                   set, profile);
}

static const struct hf_cert *find_meant(const struct hf_bundle *bundle, const char *text,
                                        const struct hf_known_roots *known)
{
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        if (hf_select_matches(text, known, &bundle->anchors[i].cert))
            return &bundle->anchors[i].cert;
    }
    return NULL;
}

static bool is_dropped(const struct hf_description *d, const char *text)
{
    struct hf_fingerprint f;
    struct hf_why unused;
    if (hf_fingerprint_parse(text, strlen(text), &f, &unused) != HF_OK)
        return false;
    for (size_t i = 0; i < d->n_drops; i++) {
        if (hf_fingerprint_matches(&f, d->drops[i]))
            return true;
    }
    return false;
}

/* What fits nothing is most likely a typo, unless an earlier version held it. */
static enum hf_err refuse_to_remove(const struct release *r, const struct hf_repo_bundle *from,
                                    const char *text, struct hf_why *why)
{
    const struct hf_repo_bundle *before = from;
    while ((before = hf_catalog_before(&r->catalog, &before->description)) != NULL) {
        const struct hf_cert *cert = find_meant(&before->bundle, text, &r->known);
        if (cert != NULL)
            return hf_fail(why, HF_E_NOT_FOUND,
                           "\"%.80s\" is removed already: %s holds \"%s\", and %s, the newest "
                           "version, does not. Nothing was published.",
                           text, before->target->path, cert->subject, from->target->path);
    }
    if (is_dropped(&from->description, text))
        return hf_fail(why, HF_E_NOT_FOUND,
                       "\"%.80s\" is removed already: %s, the newest version, drops this key. "
                       "Nothing was published.",
                       text, from->target->path);
    return hf_fail(why, HF_E_ARGUMENT,
                   "\"%.80s\" is no SHA-256, table of known roots or part of a subject of any "
                   "certificate in %s",
                   text, from->target->path);
}

static enum hf_err check_without(const struct release *r, const struct hf_bundle_order *order,
                                 struct hf_why *why)
{
    for (size_t i = 0; order->without != NULL && order->without[i] != NULL; i++) {
        if (find_meant(&order->from->bundle, order->without[i], &r->known) == NULL)
            return refuse_to_remove(r, order->from, order->without[i], why);
    }
    return HF_OK;
}

static enum hf_err build_one(struct release *r, const struct hf_bundle_order *order,
                             struct hf_why *why)
{
    HF_TRY(hf_bundle_build(order,
                           hf_repo_bundles_newest(&r->catalog.bundles, order->set, order->profile),
                           r->p->now_s, &r->built[r->n_built], why));
    r->n_built++;
    return HF_OK;
}

static enum hf_err derive(struct release *r, const struct hf_bundle_order *order,
                          struct hf_why *why)
{
    struct hf_derivation derivations[HF_DERIVED_MAX];
    size_t n = 0;
    HF_TRY(hf_derivations_parse(r->order->derives, r->order->bundle.profile, derivations, &n, why));
    for (size_t i = 0; i < n; i++) {
        HF_TRY(hf_bundle_derive(&r->built[0], &derivations[i], order,
                                hf_repo_bundles_newest(&r->catalog.bundles, r->order->bundle.set,
                                                       derivations[i].profile),
                                r->p->now_s, &r->built[r->n_built], why));
        r->n_built++;
    }
    return HF_OK;
}

/* A name that cannot be one is refused where the bundle is named, a line that is to begin with
 * itself where that is looked up. */
static enum hf_err check_name(const struct release *r, struct hf_why *why)
{
    const struct hf_bundle_order *order = &r->order->bundle;
    const char *from = r->order->from_profile;
    if (!hf_set_name_is_valid(order->set) || !hf_set_name_is_valid(order->profile) ||
        (from != NULL && strcmp(from, order->profile) == 0))
        return HF_OK;
    return hf_bundle_check_begin(&r->catalog.bundles, order->set, order->profile, r->order->is_new,
                                 why);
}

static enum hf_err build_all(struct release *r, struct hf_why *why)
{
    struct hf_bundle_order order = r->order->bundle;
    order.known = &r->known;
    HF_TRY(check_name(r, why));
    order.self_signed = r->p->repo.self_signed;
    HF_TRY(find_from(r, &order.from, why));
    HF_TRY(check_without(r, &order, why));
    HF_TRY(build_one(r, &order, why));
    return derive(r, &order, why);
}

/* ---- lint ------------------------------------------------------------------------------------ */

/* What an rsa or ecc is compared with: the full that is signed with it, or the newest there is. */
static const struct hf_bundle *find_full(const struct hf_catalog *catalog,
                                         const struct hf_bundle_built *built, size_t n_built)
{
    for (size_t i = 0; i < n_built; i++) {
        if (strcmp(built[i].description.profile, "full") == 0)
            return &built[i].bundle;
    }
    const struct hf_repo_bundle *full = hf_repo_bundles_newest(&catalog->bundles,
                                                               built[0].description.set, "full");
    return full == NULL ? NULL : &full->bundle;
}

/* An unchanged bundle is compared with the version before it, as lint does. Errors that were accepted
 * when it was signed stay accepted. */
static enum hf_err look_at(const struct hf_lint *lint, const struct hf_catalog *catalog,
                           const struct hf_bundle *full, struct hf_bundle_built *b,
                           struct hf_why *why)
{
    char where[2 * HF_SET_NAME_MAX + 32];
    const struct hf_description *d = &b->description;
    const struct hf_repo_bundle *newest = hf_repo_bundles_newest(&catalog->bundles, d->set,
                                                                 d->profile);
    const struct hf_repo_bundle *before = b->is_unchanged ? hf_catalog_before(catalog, d) : newest;
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

/* Fills in the findings of each bundle. HF_E_POLICY with the first error, all of them on standard error:
 * also of what is unchanged, which may wait to be published, or be out and cut devices off. */
static enum hf_err lint_all(struct release *r, struct hf_why *why)
{
    struct hf_lint_device device;
    struct hf_lint lint = {.at_s = r->p->now_s,
                           .lead_s = r->order->lead_s,
                           .known = &r->known,
                           .endpoints = r->endpoints};
    if (r->order->device_file != NULL) {
        HF_TRY(hf_lint_device_load(r->order->device_file, &device, why));
        lint.device = &device;
    }
    /* Once for all profiles. */
    HF_TRY(hf_lint_answers(r->endpoints, &r->built[0].findings, why));
    const struct hf_bundle *full = find_full(&r->catalog, r->built, r->n_built);
    for (size_t i = 0; i < r->n_built; i++) {
        HF_TRY(look_at(&lint, &r->catalog, full, &r->built[i], why));
        HF_TRY(hf_findings_accept(&r->built[i].findings, r->order->accepts, why));
    }
    return judge(r->built, r->n_built, why);
}

/* ---- the whole -------------------------------------------------------------------------------- */

static enum hf_err run(struct release *r, struct hf_why *why)
{
    HF_TRY(hf_known_roots_load(r->order->roots, &r->known, why));
    HF_TRY(hf_catalog_load(&r->p->repo, &r->p->set, &r->catalog, why));
    HF_TRY(build_all(r, why));
    HF_TRY(lint_all(r, why));
    return send_out(r, why);
}

static enum hf_err release_to(struct hf_publication *p, const struct hf_release_order *order,
                              const struct hf_lint_endpoints *endpoints, struct hf_why *why)
{
    struct release r = {.order = order, .p = p, .endpoints = endpoints, .unlisted = json_array()};
    /* Before any question or passphrase: are the keys here at all? */
    enum hf_err err = order->draft_file != NULL
                          ? HF_OK
                          : hf_key_set_find(&p->keys, p->set.root, HF_ROLE_TARGETS, why);
    if (err == HF_OK)
        err = run(&r, why);
    for (size_t i = 0; i < r.n_built; i++)
        hf_bundle_built_free(&r.built[i]);
    hf_catalog_free(&r.catalog);
    hf_known_roots_free(&r.known);
    json_decref(r.unlisted);
    return err;
}

static enum hf_err release(const struct hf_release_order *order,
                           const struct hf_lint_endpoints *endpoints, struct hf_why *why)
{
    struct hf_publication p;
    HF_TRY(hf_publication_open(&order->place, &p, why));
    enum hf_err err = release_to(&p, order, endpoints, why);
    hf_publication_close(&p);
    return err;
}

/* Servers take their time: they are asked before the repository is locked and any key is opened. */
enum hf_err hf_release(const struct hf_release_order *order, struct hf_why *why)
{
    struct hf_lint_endpoints endpoints = {0};
    HF_TRY(hf_lint_endpoints_load(&order->endpoints, &endpoints, why));
    enum hf_err err = release(order, &endpoints, why);
    hf_lint_endpoints_free(&endpoints);
    return err;
}
