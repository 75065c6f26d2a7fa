/* holdfastctl plan: the date by which devices need a successor of each anchor. Needs no key. */
#include "server/publish/commands/ctl.h"
#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "server/publish/bundle/catalog.h"
#include "server/publish/lint/lint.h"

#include <inttypes.h>
#include <stdlib.h>

/* One anchor of one bundle, as it is shown. */
struct step {
    const char *set, *profile, *subject, *because;
    int64_t version, ends_s, publish_by_s, days_left;
    const uint8_t *sha256;
    bool is_late; /* its successor should be published already */
    char by[HF_TIME_TEXT_MAX + 8], ends[HF_TIME_TEXT_MAX], start[17];
};

struct rollout {
    const char *set, *profile;
    int64_t version, begins_s, mandatory_from_s;
};

struct plan {
    struct step *steps; /* the most urgent first */
    size_t n_steps;
    size_t n_late;
    int64_t at_s;
    struct rollout *rollouts; /* of newest versions that not every device may have yet */
    size_t n_rollouts;
    struct hf_findings findings; /* about the tables of known roots */
};

static int compare(const void *a, const void *b)
{
    int64_t x = ((const struct step *)a)->publish_by_s, y = ((const struct step *)b)->publish_by_s;
    return (x > y) - (x < y);
}

static void add_step(struct plan *plan, const struct hf_repo_bundle *b,
                     const struct hf_anchor *anchor, const struct hf_anchor_end *end,
                     int64_t lead_s)
{
    const struct hf_description *d = &b->description;
    struct step *s = &plan->steps[plan->n_steps++];
    char day[HF_TIME_TEXT_MAX];
    *s = (struct step){.set = d->set,
                       .profile = d->profile,
                       .version = d->version,
                       .subject = anchor->cert.subject,
                       .sha256 = anchor->cert.sha256,
                       .because = hf_end_reason_text(end->reason),
                       .ends_s = end->end_s,
                       .publish_by_s = end->end_s - lead_s,
                       .days_left = hf_days_between(plan->at_s, end->end_s - lead_s),
                       .is_late = end->end_s - lead_s < plan->at_s};
    hf_time_format_day(s->publish_by_s, day);
    (void)snprintf(s->by, sizeof s->by, "%s%s", day, s->is_late ? " LATE" : "");
    if (end->reason == HF_END_EXPIRES)
        hf_time_format_day(end->end_s, s->ends);
    else
        hf_time_format_last(end->end_s, s->ends);
    hf_hex_encode(anchor->cert.sha256, 8, s->start);
    plan->n_late += s->is_late;
}

static void add_rollout(struct plan *plan, const struct hf_repo_bundle *b)
{
    const struct hf_description *d = &b->description;
    if (d->plan == NULL || d->plan->mandatory_from_s <= plan->at_s)
        return;
    plan->rollouts[plan->n_rollouts++] = (struct rollout){d->set, d->profile, d->version,
                                                          d->plan->not_before_s,
                                                          d->plan->mandatory_from_s};
}

static enum hf_err make(const struct hf_ctl_options *o, const struct hf_catalog *catalog,
                        const struct hf_known_roots *known, struct plan *out, struct hf_why *why)
{
    size_t n = 0;
    HF_TRY(hf_catalog_check_has(catalog, o->set, o->profile, why));
    HF_TRY(hf_lint_tables(known, hf_ctl_now_s(), &out->findings, why));
    for (size_t i = 0; i < catalog->bundles.n_items; i++)
        n += catalog->bundles.items[i].bundle.n_anchors;
    out->steps = calloc(n + 1, sizeof *out->steps);
    out->rollouts = calloc(catalog->bundles.n_items + 1, sizeof *out->rollouts);
    if (out->steps == NULL || out->rollouts == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a plan");
    for (size_t i = 0; i < catalog->bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &catalog->bundles.items[i];
        if (!b->is_newest || !hf_catalog_is_of(b, o->set, o->profile))
            continue;
        add_rollout(out, b);
        for (size_t k = 0; k < b->bundle.n_anchors; k++) {
            const struct hf_anchor_end end = hf_anchor_end(&b->bundle.anchors[k], known);
            add_step(out, b, &b->bundle.anchors[k], &end, o->lead_days * HF_DAY_S);
        }
    }
    qsort(out->steps, out->n_steps, sizeof *out->steps, compare);
    return HF_OK;
}

static json_t *make_bundle(const void *at, const void *ctx)
{
    const struct step *s = at;
    (void)ctx;
    return json_sprintf("%s/%s %" PRId64, s->set, s->profile, s->version);
}

static json_t *make_sha256(const void *at, const void *ctx)
{
    (void)ctx;
    return hf_json_sha256(((const struct step *)at)->sha256);
}

#define OF(member) offsetof(struct step, member)
static const struct hf_field step_fields[] = {
    {NULL, HF_FIELD_CHARS, OF(by), .column = 1, .head = "successor by"},
    {NULL, HF_FIELD_CHARS, OF(ends), .column = 3, .head = "ends"},
    {NULL, HF_FIELD_MADE, 0, .make = make_bundle, .column = 5, .head = "bundle"},
    {NULL, HF_FIELD_CHARS, OF(start), .column = 6, .head = "SHA-256"},
    {"set", HF_FIELD_TEXT, OF(set)},
    {"profile", HF_FIELD_TEXT, OF(profile)},
    {"version", HF_FIELD_NUMBER, OF(version)},
    {"subject", HF_FIELD_TEXT, OF(subject), .column = 7, .head = "subject"},
    {"sha256", HF_FIELD_MADE, 0, .make = make_sha256},
    {"ends", HF_FIELD_TIME, OF(ends_s)},
    {"because", HF_FIELD_TEXT, OF(because), .column = 4, .head = "because it"},
    {"successor_by", HF_FIELD_TIME, OF(publish_by_s)},
    {"days_left", HF_FIELD_NUMBER, OF(days_left), .column = 2, .head = "days left"},
    {"late", HF_FIELD_FLAG, OF(is_late)},
    {0},
};
#undef OF

#define OF(member) offsetof(struct rollout, member)
static const struct hf_field rollout_fields[] = {
    {"set", HF_FIELD_TEXT, OF(set)},
    {"profile", HF_FIELD_TEXT, OF(profile)},
    {"version", HF_FIELD_NUMBER, OF(version)},
    {"not_before", HF_FIELD_TIME, OF(begins_s)},
    {"mandatory_from", HF_FIELD_TIME, OF(mandatory_from_s)},
    {0},
};
#undef OF

static void print_rollouts(const struct plan *plan)
{
    for (size_t i = 0; i < plan->n_rollouts; i++) {
        const struct rollout *r = &plan->rollouts[i];
        char begins[HF_TIME_TEXT_MAX], mandatory[HF_TIME_TEXT_MAX];
        hf_time_format(r->begins_s, begins);
        hf_time_format(r->mandatory_from_s, mandatory);
        printf("%s/%s %" PRId64 " rolls out from %s on: until %s a device may have the version "
               "before; the lead time does not include that\n",
               r->set, r->profile, r->version, begins, mandatory);
    }
}

static enum hf_err print(const struct plan *plan, const struct hf_ctl_options *o,
                         struct hf_why *why)
{
    if (o->is_json)
        return hf_json_print_take(json_pack("{s:i, s:o, s:I, s:I, s:o, s:o, s:o}", "format", 1,
                                            "at", hf_json_time(plan->at_s), "lead_days",
                                            (json_int_t)o->lead_days, "late",
                                            (json_int_t)plan->n_late, "anchors",
                                            hf_report_list(step_fields, plan->steps, plan->n_steps,
                                                           sizeof *plan->steps, NULL),
                                            "rollouts",
                                            hf_report_list(rollout_fields, plan->rollouts,
                                                           plan->n_rollouts, sizeof *plan->rollouts,
                                                           NULL),
                                            "findings", hf_findings_to_json(&plan->findings)),
                                  stdout, why);
    HF_TRY(hf_report_table(step_fields, plan->steps, plan->n_steps, sizeof *plan->steps, NULL, 0,
                           stdout, why));
    printf("\n%zu of %zu late; a successor counts as in the field %lld days after it is "
           "published\n",
           plan->n_late, plan->n_steps, o->lead_days);
    print_rollouts(plan);
    hf_findings_print(&plan->findings, 0, stdout);
    return HF_OK;
}

static enum hf_err plan(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct hf_catalog_view view;
    struct hf_known_roots known = {0};
    struct plan made = {.at_s = hf_ctl_now_s()};
    HF_TRY(hf_ctl_time(call, "--at", o->at, &made.at_s));
    enum hf_err err = hf_catalog_view_open(o->repo, &view, why);
    if (err == HF_OK)
        err = hf_known_roots_load(hf_cli_list(o->roots), &known, why);
    if (err == HF_OK)
        err = make(o, &view.catalog, &known, &made, why);
    if (err == HF_OK)
        err = print(&made, o, why);
    free(made.steps);
    free(made.rollouts);
    hf_findings_free(&made.findings);
    hf_known_roots_free(&known);
    hf_catalog_view_close(&view);
    return err;
}

static const struct hf_cli_option options[] = {HF_CTL_REPO,
                                               HF_CTL_SET,
                                               HF_CTL_PROFILE,
                                               HF_CTL_LEAD,
                                               HF_CTL_ROOTS,
                                               HF_CTL_TEXT("at", at,
                                                           "plan as of that day instead of today",
                                                           "YYYY-MM-DD"),
                                               HF_CTL_REPORT("plan-report")};

const struct hf_cli_command hf_cmd_plan = {
    .name = "plan",
    .summary = "Show the date by which each root must be replaced.",
    .arguments = "--repo DIR [--set NAME] [--profile NAME] [--lead DAYS] [--at DATE] [--json]",
    .about =
        "An anchor ends when it expires, at its signed remove_after or distrust_after, or when\n"
        "root programs plan to accept no new certificates under it, whichever is first. Its\n"
        "successor must be published the lead time before: as long as the last device may need to\n"
        "install it, for example a device in a warehouse. After that date the root is LATE.\n"
        "Newest versions that still roll out are listed, with the date from which every device\n"
        "installs them. The exit code is 0 in both cases; lint has errors for dangerous cases.",
    .examples = "  holdfastctl plan --repo /srv/roots\n"
                "  holdfastctl plan --repo /srv/roots --lead 730 --json | jq .late\n",
    .options = options,
    .needs = {"--repo"},
    .run = plan,
};
