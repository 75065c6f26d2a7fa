#include "server/publish/bundle/publish_report.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "server/publish/ceremony/targets_release.h"
#include "server/publish/lint/lint_accepted.h"
#include "common/cli/report.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- a bundle --------------------------------------------------------------------------------- */

static const char *use_name(enum hf_use use)
{
    switch (use) {
    case HF_USE_ANCHOR:
        return "anchor";
    case HF_USE_CROSS_SIGNED:
        return "cross-signed";
    case HF_USE_INTERMEDIATE:
        return "intermediate";
    }
    return "unknown";
}

static json_t *anchors_json(const struct hf_bundle *bundle)
{
    json_t *list = json_array();
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        json_t *anchor = hf_json_anchor(&bundle->anchors[i]);
        if (json_object_set_new(anchor, "use", json_string(use_name(bundle->anchors[i].use))) !=
            0) {
            json_decref(anchor);
            anchor = NULL;
        }
        list = hf_json_append_take(list, anchor);
    }
    return list;
}

/* Certificates of `bundle` that `other` (NULL: an empty one) lacks. */
static json_t *only_in(const struct hf_bundle *bundle, const struct hf_bundle *other)
{
    json_t *list = json_array();
    for (size_t i = 0; bundle != NULL && i < bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &bundle->anchors[i];
        if (other == NULL || hf_bundle_find(other, anchor->cert.sha256) == NULL)
            list = hf_json_append_take(list, hf_json_anchor(anchor));
    }
    return list;
}

/* Its name and content, as the signed metadata has them: path, length, sha256. */
static json_t *file_json(const struct hf_bundle_built *built)
{
    struct hf_buf path = {0}, pem = {0};
    uint8_t sha256[HF_SHA256_LEN];
    json_t *object = NULL;
    if (hf_description_target_path(&built->description, &path, NULL) == HF_OK &&
        hf_bundle_to_pem(&built->bundle, &pem) == HF_OK) {
        hf_sha256(hf_buf_bytes(&pem), sha256);
        object = json_pack("{s:s, s:I, s:o}", "path", (const char *)path.data, "length",
                           (json_int_t)pem.len, "sha256", hf_json_sha256(sha256));
    }
    hf_buf_free(&path);
    hf_buf_free(&pem);
    return object;
}

/* A new version beside the one `before` it (NULL: none); a new reference, NULL without memory. */
static json_t *bundle_built_to_json(const struct hf_bundle_built *built,
                                    const struct hf_repo_bundle *before)
{
    const struct hf_description *d = &built->description;
    const struct hf_bundle *old = before == NULL ? NULL : &before->bundle;
    json_t *old_version = before == NULL ? json_null()
                                         : json_integer((json_int_t)before->description.version);
    return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "set", d->set, "profile",
                     d->profile, "version", (json_int_t)d->version, "before", old_version, "file",
                     file_json(built), "anchors", anchors_json(&built->bundle), "added",
                     only_in(&built->bundle, old), "removed", only_in(old, &built->bundle), "drops",
                     hf_json_hashes(d->drops, d->n_drops), "findings",
                     hf_findings_to_json(&built->findings));
}

/* One that is as its newest version; a new reference, NULL without memory. */
static json_t *bundle_unchanged_to_json(const struct hf_bundle_built *built)
{
    const struct hf_description *d = &built->description;
    return json_pack("{s:s, s:s, s:I, s:o}", "set", d->set, "profile", d->profile, "version",
                     (json_int_t)d->version, "findings", hf_findings_to_json(&built->findings));
}

/* ---- the whole -------------------------------------------------------------------------------- */

void hf_publish_report_note(struct hf_publish_report *report, const struct hf_publication *p)
{
    for (int role = 0; role < HF_TOP_ROLES; role++)
        report->versions[role] = p->signed_now.of[role].version;
}

static json_t *versions_json(const struct hf_publish_report *report)
{
    json_t *versions = json_object();
    int failures = versions == NULL;
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        int64_t version = report->versions[role];
        failures += json_object_set_new(versions, hf_top_role_name((enum hf_top_role)role),
                                        version == 0 ? json_null()
                                                     : json_integer((json_int_t)version));
    }
    if (failures == 0)
        return versions;
    json_decref(versions);
    return NULL;
}

enum hf_err hf_publish_report_print_take(struct hf_publish_report *report, FILE *out,
                                         struct hf_why *why)
{
    json_t *bundles = report->bundles == NULL ? json_array() : report->bundles;
    json_t *warnings = report->warnings == NULL ? json_array() : report->warnings;
    json_t *unchanged = report->unchanged == NULL ? json_array() : report->unchanged;
    json_t *unlisted = report->unlisted == NULL ? json_array() : report->unlisted;
    report->bundles = NULL;
    report->unchanged = NULL;
    report->unlisted = NULL;
    report->warnings = NULL;
    json_t *signatures = report->signatures == NULL ? json_null() : report->signatures;
    report->signatures = NULL;
    return hf_json_print_take(json_pack("{s:i, s:s, s:o, s:s?, s:b, s:o, s:o, s:o, s:o, s:o}",
                                        "format", 1, "outcome", report->outcome, "versions",
                                        versions_json(report), "draft", report->draft_file,
                                        "bridged", !report->is_unbridged, "bundles", bundles,
                                        "unchanged", unchanged, "unlisted", unlisted, "warnings",
                                        warnings, "signatures", signatures),
                              out, why);
}

/* ---- a release ------------------------------------------------------------------------------- */

static void print_anchor(const struct hf_anchor *anchor)
{
    char ends[HF_TIME_TEXT_MAX], distrusted[HF_TIME_TEXT_MAX], removed[HF_TIME_TEXT_MAX];
    hf_time_format_day(anchor->cert.not_after_s, ends);
    hf_time_format_last(anchor->distrust_after_s, distrusted);
    hf_time_format_last(anchor->remove_after_s, removed);
    printf("  %s, until %s", anchor->cert.subject, ends);
    if (anchor->distrust_after_s != HF_TIME_NONE)
        printf(", distrust after %s", distrusted);
    if (anchor->remove_after_s != HF_TIME_NONE)
        printf(", remove after %s", removed);
    putchar('\n');
}

/* Signed by an earlier command, and not published by this one. */
static bool waits(const struct hf_released *released)
{
    return released->targets_version == 0 && released->catalog->is_waiting;
}

static void print_bundle(const struct hf_released *released, const struct hf_bundle_built *built)
{
    const struct hf_description *d = &built->description;
    const struct hf_publication_context *place = &released->order->place;
    for (size_t i = 0; i < built->bundle.n_anchors; i++)
        print_anchor(&built->bundle.anchors[i]);
    hf_findings_print(&built->findings, 2, stdout);
    if (built->is_unchanged) {
        printf("nothing to publish: %s/%s %" PRId64 " has this content already%s\n", d->set,
               d->profile, d->version, waits(released) ? " and waits for holdfastctl publish" : "");
        return;
    }
    if (d->n_drops > 0)
        printf("  drops %zu key(s) on purpose\n", d->n_drops);
    if (released->is_published)
        printf("published: %s/%s %" PRId64 ", targets %" PRId64 "\n", d->set, d->profile,
               d->version, released->targets_version);
    else
        printf("signed, not published: %s/%s %" PRId64 ", targets %" PRId64
               "; where the online keys are, run holdfastctl publish --repo %s --keys %s\n",
               d->set, d->profile, d->version, released->targets_version, place->repo_dir,
               place->keys_dir);
}

static void print_text(const struct hf_released *released)
{
    const char *draft = released->order->draft_file;
    int64_t timestamp = released->p->signed_now.of[HF_ROLE_TIMESTAMP].version;
    bool has_new = false;
    if (draft != NULL && released->targets_version > 0) {
        hf_targets_print_drafted(released->targets_version, draft);
        return;
    }
    for (size_t i = 0; i < released->n_built; i++) {
        print_bundle(released, &released->built[i]);
        has_new = has_new || !released->built[i].is_unchanged;
    }
    if (!has_new && released->targets_version > 0)
        printf("%s: targets %" PRId64 ", with the same bundles\n",
               released->is_published ? "published" : "signed, not published",
               released->targets_version);
    else if (!has_new && timestamp > 0)
        printf("refreshed: timestamp %" PRId64 ", the one before would have expired soon\n",
               timestamp);
}

static json_t *bundles_json(const struct hf_released *released)
{
    json_t *list = json_array();
    for (size_t i = 0; i < released->n_built; i++) {
        const struct hf_bundle_built *built = &released->built[i];
        if (built->is_unchanged)
            continue;
        const struct hf_repo_bundle *before = hf_repo_bundles_newest(&released->catalog->bundles,
                                                                     built->description.set,
                                                                     built->description.profile);
        list = hf_json_append_take(list, bundle_built_to_json(built, before));
    }
    return list;
}

static json_t *unchanged_json(const struct hf_released *released)
{
    json_t *list = json_array();
    for (size_t i = 0; i < released->n_built; i++) {
        if (released->built[i].is_unchanged)
            list = hf_json_append_take(list, bundle_unchanged_to_json(&released->built[i]));
    }
    return list;
}

static enum hf_err print_json(const struct hf_released *released, struct hf_why *why)
{
    const char *draft = released->order->draft_file;
    struct hf_publish_report report = {
        .outcome = released->targets_version == 0 ? (waits(released) ? "waiting" : "unchanged")
                   : draft != NULL                ? "drafted"
                   : released->is_published       ? "published"
                                                  : "waiting",
        .draft_file = released->targets_version == 0 ? NULL : draft,
        .bundles = bundles_json(released),
        .unchanged = unchanged_json(released),
        .unlisted = json_incref(released->unlisted),
    };
    hf_publish_report_note(&report, released->p);
    report.versions[HF_ROLE_TARGETS] = released->targets_version; /* of a draft too */
    if (report.bundles == NULL || report.unchanged == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the report");
    return hf_publish_report_print_take(&report, stdout, why);
}

enum hf_err hf_released_report(const struct hf_released *released, struct hf_why *why)
{
    if (released->order->is_json)
        return print_json(released, why);
    print_text(released);
    return HF_OK;
}

/* ---- what is signed --------------------------------------------------------------------------- */

enum hf_err hf_bundle_custom(const struct hf_bundle_built *built, int64_t now_s, json_t **out,
                             struct hf_why *why)
{
    json_t *custom = NULL;
    HF_TRY(hf_description_to_json(&built->description, &custom, why));
    if (!hf_accepted_sign(custom, &built->findings, now_s)) {
        json_decref(custom);
        return hf_fail(why, HF_E_MEMORY, "out of memory for what is signed about a bundle");
    }
    *out = custom;
    return HF_OK;
}
