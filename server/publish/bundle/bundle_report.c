#include "server/publish/bundle/bundle_report.h"

#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "server/publish/bundle/publish_json.h"
#include "server/publish/ceremony/targets_release.h"
#include "server/publish/lint/lint_accepted.h"

#include <inttypes.h>
#include <stdio.h>

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
    return released->targets_version == 0 && released->shelf->is_waiting;
}

static void print_bundle(const struct hf_released *released, const struct hf_bundle_built *built)
{
    const struct hf_description *d = &built->description;
    const struct hf_publication_place *place = &released->order->place;
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
        const struct hf_repo_bundle *before = hf_repo_bundles_newest(&released->shelf->bundles,
                                                                     built->description.set,
                                                                     built->description.profile);
        list = hf_json_append_take(list, hf_bundle_built_to_json(built, before));
    }
    return list;
}

static json_t *unchanged_json(const struct hf_released *released)
{
    json_t *list = json_array();
    for (size_t i = 0; i < released->n_built; i++) {
        if (released->built[i].is_unchanged)
            list = hf_json_append_take(list, hf_bundle_unchanged_to_json(&released->built[i]));
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
