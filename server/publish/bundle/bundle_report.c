#include "server/publish/bundle/bundle_report.h"

#include "common/base/timetext.h"
#include "server/publish/base/json_text.h"
#include "server/publish/bundle/publish_json.h"
#include "server/publish/ceremony/targets_release.h"

#include <inttypes.h>
#include <stdio.h>

static void print_anchor(const struct hf_anchor *anchor)
{
    char ends[HF_TIME_TEXT_MAX], distrusted[HF_TIME_TEXT_MAX], removed[HF_TIME_TEXT_MAX];
    hf_time_format_day(anchor->cert.not_after_s, ends);
    hf_time_format_day(anchor->distrust_after_s, distrusted);
    hf_time_format_day(anchor->remove_after_s, removed);
    printf("  %s, until %s", anchor->cert.subject, ends);
    if (anchor->distrust_after_s != HF_TIME_NONE)
        printf(", distrust after %s", distrusted);
    if (anchor->remove_after_s != HF_TIME_NONE)
        printf(", remove after %s", removed);
    putchar('\n');
}

static void print_bundle(const struct hf_released *released, const struct hf_bundle_built *built)
{
    const struct hf_description *d = &built->description;
    const struct hf_publication_place *place = &released->order->place;
    for (size_t i = 0; i < built->bundle.n_anchors; i++)
        print_anchor(&built->bundle.anchors[i]);
    hf_findings_print(&built->findings, 2, stdout);
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
    if (draft != NULL) {
        hf_targets_print_drafted(released->targets_version, draft);
        return;
    }
    for (size_t i = 0; i < released->n_built; i++)
        print_bundle(released, &released->built[i]);
}

static json_t *bundles_json(const struct hf_released *released)
{
    json_t *list = json_array();
    for (size_t i = 0; i < released->n_built; i++) {
        const struct hf_bundle_built *built = &released->built[i];
        const struct hf_repo_bundle *before = hf_repo_bundles_newest(&released->shelf->bundles,
                                                                     built->description.set,
                                                                     built->description.profile);
        list = hf_json_append_take(list, hf_bundle_built_to_json(built, before));
    }
    return list;
}

static enum hf_err print_json(const struct hf_released *released, struct hf_why *why)
{
    const char *draft = released->order->draft_file;
    struct hf_publish_report report = {
        .outcome = draft != NULL            ? "drafted"
                   : released->is_published ? "published"
                                            : "waiting",
        .draft_file = draft,
        .bundles = bundles_json(released),
        .unlisted = json_incref(released->unlisted),
    };
    hf_publish_report_note(&report, released->p);
    report.versions[HF_ROLE_TARGETS] = released->targets_version;
    if (report.bundles == NULL)
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

static bool has_accepted(const struct hf_findings *f, enum hf_lint_code code)
{
    for (size_t i = 0; i < f->n_items; i++) {
        if (f->items[i].is_accepted && f->items[i].code == code)
            return true;
    }
    return false;
}

/* Each code once, in the order of their list. */
static bool add_accepted(json_t *custom, const struct hf_findings *f)
{
    json_t *list = json_array();
    bool is_whole = list != NULL;
    for (int code = 0; code < HF_LINT_CODES && is_whole; code++) {
        if (has_accepted(f, (enum hf_lint_code)code))
            is_whole = json_array_append_new(list, json_string(hf_lint_code_name(
                                                       (enum hf_lint_code)code))) == 0;
    }
    if (is_whole && json_array_size(list) > 0)
        is_whole = json_object_set(json_object_get(custom, "holdfast"), "accepted", list) == 0;
    json_decref(list);
    return is_whole;
}

enum hf_err hf_bundle_custom(const struct hf_bundle_built *built, json_t **out, struct hf_why *why)
{
    json_t *custom = NULL;
    HF_TRY(hf_description_to_json(&built->description, &custom, why));
    if (!add_accepted(custom, &built->findings)) {
        json_decref(custom);
        return hf_fail(why, HF_E_MEMORY, "out of memory for what is signed about a bundle");
    }
    *out = custom;
    return HF_OK;
}
