#include "server/publish/bundle/publish_report.h"

#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "server/publish/ceremony/rollout_words.h"
#include "server/repository/drafts/targets_release.h"
#include "server/repository/online.h"

#include <inttypes.h>

void hf_publish_report_note(struct hf_publish_report *report, const struct hf_publication *p)
{
    for (int role = 0; role < HF_TOP_ROLES; role++)
        report->versions[role] = p->signed_now.of[role].version;
    for (size_t i = 0; i < p->signed_now.n_rollouts; i++)
        hf_publish_report_add_rollout(report, p->signed_now.rollouts[i].role,
                                      p->signed_now.rollouts[i].file.version);
}

void hf_publish_report_add_rollout(struct hf_publish_report *report, const char *role,
                                   int64_t version)
{
    json_t *list = report->rollouts == NULL ? json_array() : report->rollouts;
    report->rollouts = hf_json_append_take(list, json_pack("{s:s, s:I}", "role", role, "version",
                                                           (json_int_t)version));
}

static json_t *list_take(json_t **list)
{
    json_t *taken = *list == NULL ? json_array() : *list;
    *list = NULL;
    return taken;
}

enum hf_err hf_publish_report_print_take(struct hf_publish_report *report, FILE *out,
                                         struct hf_why *why)
{
    json_t *versions = json_object();
    json_t *signatures = report->signatures == NULL ? json_null() : report->signatures;
    json_t *draft = report->draft_file == NULL ? json_null() : hf_json_plain(report->draft_file);
    report->signatures = NULL;
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        json_int_t version = report->versions[role];
        versions = hf_json_set_take(versions, hf_top_role_name((enum hf_top_role)role),
                                    version == 0 ? json_null() : json_integer(version));
    }
    return hf_json_print_take(json_pack("{s:i, s:s, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o}",
                                        "format", 1, "outcome", report->outcome, "versions",
                                        versions, "rollouts", list_take(&report->rollouts), "draft",
                                        draft, "bridged", !report->is_unbridged, "bundles",
                                        list_take(&report->bundles), "unchanged",
                                        list_take(&report->unchanged), "unlisted",
                                        list_take(&report->unlisted), "warnings",
                                        list_take(&report->warnings), "signatures", signatures),
                              out, why);
}

void hf_targets_print_drafted(int64_t version, const char *draft_file)
{
    printf("not signed: targets %" PRId64 " is a draft; let each key holder run\n"
           "holdfastctl targets sign --draft %s --keys DIR\n",
           version, draft_file);
}

/* An earlier command signed targets, and this one did not publish them. */
static bool waits(const struct hf_release_run *run)
{
    return run->targets_version == 0 && run->catalog.is_waiting;
}

/* Devices that wait for this version take the one before when the last day of its own plan comes
 * first. */
static void print_overtaken(const struct hf_release_run *run, const struct hf_description *d,
                            const struct hf_description *before)
{
    const struct hf_publication_context *place = &run->order->place;
    char mandatory[HF_TIME_TEXT_MAX];
    if (before->plan == NULL || d->plan == NULL || before->plan->mandatory_from_s <= run->p.now_s ||
        before->plan->mandatory_from_s >= d->plan->mandatory_from_s)
        return;
    hf_time_format(before->plan->mandatory_from_s, mandatory);
    printf("  devices that wait for version %" PRId64 " install version %" PRId64
           " from %s on; if that one is bad, run holdfastctl bundle unlist --repo %s --keys %s "
           "--set %s --profile %s %" PRId64 "\n",
           d->version, before->version, mandatory, place->repo_dir, place->keys_dir, d->set,
           d->profile, before->version);
}

/* A version before that is rolling out, and stops with this one. */
static void print_superseded(const struct hf_release_run *run, const struct hf_description *d,
                             const struct hf_repo_bundle *before)
{
    struct hf_online_stage stage;
    char role[HF_ROLLOUT_ROLE_SIZE];
    if (hf_online_read_stage(&run->p.set, before->target->path, &stage, NULL) != HF_OK ||
        !stage.is_signed ||
        (stage.now.state != HF_ROLLOUT_OPEN && stage.now.state != HF_ROLLOUT_PAUSED))
        return;
    hf_rollout_role_name(d->set, role);
    if (hf_signed_rollout_version(&run->p.signed_now, role) > 0)
        printf("  the rollout of %s/%s/%" PRId64 " is aborted: this version takes its place\n",
               d->set, d->profile, before->description.version);
    else
        printf("  the rollout of %s/%s/%" PRId64
               " goes on until holdfastctl publish aborts it, where the key of %s is\n",
               d->set, d->profile, before->description.version, role);
}

static void print_plan(const struct hf_release_run *run, const struct hf_description *d)
{
    const struct hf_publication_context *place = &run->order->place;
    const struct hf_repo_bundle *before = hf_repo_bundles_newest(&run->catalog.bundles, d->set,
                                                                 d->profile);
    if (before != NULL) {
        print_superseded(run, d, before);
        print_overtaken(run, d, &before->description);
    }
    if (d->plan == NULL)
        return;
    hf_rollout_words_print(d->plan, 2, stdout);
    printf(
        "    next, once it is published: the fleet service opens the first stage; without it, run "
        "holdfastctl rollout open --repo %s --keys %s %s/%s\n",
        run->is_published ? place->repo_dir : "DIR", run->is_published ? place->keys_dir : "DIR",
        d->set, d->profile);
}

static void print_bundle(const struct hf_release_run *run, const struct hf_bundle_built *built)
{
    const struct hf_description *d = &built->description;
    const struct hf_publication_context *place = &run->order->place;
    for (size_t i = 0; i < built->bundle.n_anchors; i++) {
        const struct hf_anchor *anchor = &built->bundle.anchors[i];
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
    hf_findings_print(&built->findings, 2, stdout);
    if (built->is_unchanged) {
        printf("nothing to publish: %s/%s %" PRId64 " has this content already%s%s\n", d->set,
               d->profile, d->version, waits(run) ? " and waits for holdfastctl publish" : "",
               run->order->plan == NULL
                   ? ""
                   : "; --plan changes nothing: pass --again to sign a new version with this plan");
        return;
    }
    if (d->n_drops > 0)
        printf("  drops %zu key(s) on purpose\n", d->n_drops);
    print_plan(run, d);
    if (run->is_published)
        printf("published: %s/%s %" PRId64 ", targets %" PRId64 "\n", d->set, d->profile,
               d->version, run->targets_version);
    else
        printf("signed, not published: %s/%s %" PRId64 ", targets %" PRId64
               "; where the online keys are, run holdfastctl publish --repo %s --keys %s\n",
               d->set, d->profile, d->version, run->targets_version, place->repo_dir,
               place->keys_dir);
}

static void print_text(const struct hf_release_run *run)
{
    const char *draft = run->order->draft_file;
    int64_t timestamp = run->p.signed_now.of[HF_ROLE_TIMESTAMP].version;
    bool has_new = false;
    if (draft != NULL && run->targets_version > 0) {
        hf_targets_print_drafted(run->targets_version, draft);
        return;
    }
    for (size_t i = 0; i < run->n_built; i++) {
        print_bundle(run, &run->built[i]);
        has_new = has_new || !run->built[i].is_unchanged;
    }
    if (!has_new && run->targets_version > 0)
        printf("%s: targets %" PRId64 ", with the same bundles\n",
               run->is_published ? "published" : "signed, not published", run->targets_version);
    else if (!has_new && timestamp > 0)
        printf("refreshed: timestamp %" PRId64 ", the one before would have expired soon\n",
               timestamp);
}

/* Its name and content, as the signed metadata has them. */
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

/* Certificates of `bundle` that `other` (NULL: an empty one) lacks. */
static json_t *only_in(const struct hf_bundle *bundle, const struct hf_bundle *other)
{
    json_t *list = json_array();
    for (size_t i = 0; bundle != NULL && i < bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &bundle->anchors[i];
        if (other == NULL || hf_bundle_find(other, anchor->cert.sha256) == NULL)
            list = hf_json_append_take(list, hf_report_object(hf_anchor_fields, anchor, NULL));
    }
    return list;
}

static json_t *bundle_json(const struct hf_release_run *run, const struct hf_bundle_built *built)
{
    const struct hf_description *d = &built->description;
    const struct hf_repo_bundle *before = hf_repo_bundles_newest(&run->catalog.bundles, d->set,
                                                                 d->profile);
    const struct hf_bundle *new = &built->bundle, *old = before == NULL ? NULL : &before->bundle;
    json_t *object = json_pack("{s:s, s:s, s:I}", "set", d->set, "profile", d->profile, "version",
                               (json_int_t)d->version);
    if (!built->is_unchanged) {
        object = hf_json_set_take(object, "before",
                                  before == NULL ? json_null()
                                                 : json_integer(before->description.version));
        object = hf_json_set_take(object, "file", file_json(built));
        object = hf_json_set_take(object, "anchors", hf_json_anchors(new));
        object = hf_json_set_take(object, "added", only_in(new, old));
        object = hf_json_set_take(object, "removed", only_in(old, new));
        object = hf_json_set_take(object, "drops", hf_json_hashes(d->drops, d->n_drops));
        if (d->plan != NULL)
            object = hf_json_set_take(object, "rollout", hf_rollout_plan_to_json(d->plan));
    }
    return hf_json_set_take(object, "findings", hf_findings_to_json(&built->findings));
}

static enum hf_err print_json(const struct hf_release_run *run, struct hf_why *why)
{
    const char *draft = run->order->draft_file;
    json_t *bundles = json_array(), *unchanged = json_array();
    struct hf_publish_report report = {.outcome = "waiting"};
    for (size_t i = 0; i < run->n_built; i++) {
        json_t **list = run->built[i].is_unchanged ? &unchanged : &bundles;
        *list = hf_json_append_take(*list, bundle_json(run, &run->built[i]));
    }
    if (bundles == NULL || unchanged == NULL) {
        json_decref(bundles);
        json_decref(unchanged);
        return hf_fail(why, HF_E_MEMORY, "out of memory for the report");
    }
    if (run->targets_version == 0 && !waits(run))
        report.outcome = "unchanged";
    else if (run->targets_version > 0 && draft != NULL)
        report.outcome = "drafted";
    else if (run->is_published)
        report.outcome = "published";
    report.draft_file = run->targets_version == 0 ? NULL : draft;
    report.bundles = bundles;
    report.unchanged = unchanged;
    report.unlisted = json_incref(run->unlisted);
    hf_publish_report_note(&report, &run->p);
    report.versions[HF_ROLE_TARGETS] = run->targets_version; /* of a draft too */
    return hf_publish_report_print_take(&report, stdout, why);
}

enum hf_err hf_release_report(const struct hf_release_run *run, struct hf_why *why)
{
    if (run->order->is_json)
        return print_json(run, why);
    print_text(run);
    return HF_OK;
}
