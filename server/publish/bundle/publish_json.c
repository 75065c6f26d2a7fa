#include "server/publish/bundle/publish_json.h"

#include "common/base/digest.h"
#include "common/cli/report.h"

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

static json_t *drops_json(const struct hf_description *d)
{
    json_t *list = json_array();
    for (size_t i = 0; i < d->n_drops; i++)
        list = hf_json_append_take(list, hf_json_sha256(d->drops[i]));
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

json_t *hf_bundle_built_to_json(const struct hf_bundle_built *built,
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
                     drops_json(d), "findings", hf_findings_to_json(&built->findings));
}

json_t *hf_bundle_unchanged_to_json(const struct hf_bundle_built *built)
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
