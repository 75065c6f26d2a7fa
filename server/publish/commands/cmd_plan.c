/* holdfastctl plan: by which day every anchor needs a successor in the field. Needs no key. */
#include "server/publish/commands/ctl.h"
#include "common/base/hex.h"
#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "server/publish/bundle/catalog.h"
#include "server/publish/lint/lint.h"

#include <inttypes.h>
#include <stdlib.h>

struct plan_options {
    struct hf_ctl_options o;
    char *at;
};

/* One anchor of one bundle, as it is shown. */
struct step {
    const char *set, *profile, *subject, *because;
    int64_t version, ends_s, publish_by_s, days_left;
    const uint8_t *sha256;
    bool is_late; /* its successor should be on its way */
    char by[HF_TIME_TEXT_MAX + 8], ends[HF_TIME_TEXT_MAX], start[17];
};

struct plan {
    struct step *steps; /* the most urgent first */
    size_t n_steps;
    size_t n_late;
    int64_t at_s;
    struct hf_findings findings; /* about what the plan is made from */
};

static json_t *bundle_of(const void *at, const void *ctx)
{
    const struct step *s = at;
    (void)ctx;
    return json_sprintf("%s/%s %" PRId64, s->set, s->profile, s->version);
}

static json_t *sha256_of(const void *at, const void *ctx)
{
    (void)ctx;
    return hf_json_sha256(((const struct step *)at)->sha256);
}

#define OF(member) offsetof(struct step, member)

static const struct hf_field step_fields[] = {
    {NULL, HF_FIELD_CHARS, OF(by), .column = 1, .head = "successor by"},
    {NULL, HF_FIELD_CHARS, OF(ends), .column = 3, .head = "ends"},
    {NULL, HF_FIELD_MADE, 0, .make = bundle_of, .column = 5, .head = "bundle"},
    {NULL, HF_FIELD_CHARS, OF(start), .column = 6, .head = "SHA-256"},
    {"set", HF_FIELD_TEXT, OF(set)},
    {"profile", HF_FIELD_TEXT, OF(profile)},
    {"version", HF_FIELD_NUMBER, OF(version)},
    {"subject", HF_FIELD_TEXT, OF(subject), .column = 7, .head = "subject"},
    {"sha256", HF_FIELD_MADE, 0, .make = sha256_of},
    {"ends", HF_FIELD_TIME, OF(ends_s)},
    {"because", HF_FIELD_TEXT, OF(because), .column = 4, .head = "because it"},
    {"successor_by", HF_FIELD_TIME, OF(publish_by_s)},
    {"days_left", HF_FIELD_NUMBER, OF(days_left), .column = 2, .head = "days left"},
    {"late", HF_FIELD_FLAG, OF(is_late)},
    {0},
};

/* ---- making it -------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    int64_t x = ((const struct step *)a)->publish_by_s, y = ((const struct step *)b)->publish_by_s;
    return (x > y) - (x < y);
}

static void fill(struct step *s, const struct plan *plan, const struct hf_repo_bundle *b,
                 const struct hf_anchor *anchor, const struct hf_anchor_end *end, int64_t lead_s)
{
    const struct hf_description *d = &b->description;
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
}

static enum hf_err add_bundle(struct plan *plan, const struct hf_repo_bundle *b,
                              const struct hf_known_roots *known, int64_t lead_s,
                              struct hf_why *why)
{
    size_t n = plan->n_steps + b->bundle.n_anchors;
    struct step *more = realloc(plan->steps, (n + 1) * sizeof *more);
    if (more == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a plan");
    plan->steps = more;
    for (size_t i = 0; i < b->bundle.n_anchors; i++) {
        const struct hf_anchor *anchor = &b->bundle.anchors[i];
        struct hf_anchor_end end = hf_anchor_end(anchor, known);
        struct step *s = &plan->steps[plan->n_steps++];
        fill(s, plan, b, anchor, &end, lead_s);
        plan->n_late += s->is_late;
    }
    return HF_OK;
}

static enum hf_err make(const struct hf_ctl_options *o, const struct hf_catalog *catalog,
                        const struct hf_known_roots *known, struct plan *out, struct hf_why *why)
{
    HF_TRY(hf_catalog_check_has(catalog, o->set, o->profile, why));
    HF_TRY(hf_lint_tables(known, hf_ctl_now_s(), &out->findings, why));
    for (size_t i = 0; i < catalog->bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &catalog->bundles.items[i];
        if (b->is_newest && hf_catalog_is_of(b, o->set, o->profile))
            HF_TRY(add_bundle(out, b, known, o->lead_days * HF_DAY_S, why));
    }
    qsort(out->steps, out->n_steps, sizeof *out->steps, compare);
    return HF_OK;
}

/* ---- showing it ------------------------------------------------------------------------------- */

static enum hf_err print(const struct plan *plan, const struct hf_ctl_options *o,
                         struct hf_why *why)
{
    if (o->is_json)
        return hf_json_print_take(json_pack("{s:i, s:o, s:i, s:I, s:o, s:o}", "format", 1, "at",
                                            hf_json_time(plan->at_s), "lead_days", o->lead_days,
                                            "late", (json_int_t)plan->n_late, "anchors",
                                            hf_report_list(step_fields, plan->steps, plan->n_steps,
                                                           sizeof *plan->steps, NULL),
                                            "findings", hf_findings_to_json(&plan->findings)),
                                  stdout, why);
    HF_TRY(hf_report_table(step_fields, plan->steps, plan->n_steps, sizeof *plan->steps, NULL, 0,
                           stdout, why));
    printf("\n%zu of %zu late; a successor counts as in the field %d days after it is published\n",
           plan->n_late, plan->n_steps, o->lead_days);
    hf_findings_print(&plan->findings, 0, stdout);
    return HF_OK;
}

static enum hf_err plan(struct hf_cli_call *call, struct hf_why *why)
{
    const struct plan_options *r = call->values;
    struct hf_catalog_view view;
    struct hf_known_roots known = {0};
    struct plan made = {.at_s = hf_ctl_now_s()};
    HF_TRY(hf_ctl_check_lead(call));
    if (r->at != NULL && !hf_time_parse_lenient(r->at, &made.at_s))
        return hf_cli_usage(call, "--at wants YYYY-MM-DD, not \"%s\"", r->at);
    enum hf_err err = hf_catalog_view_open(r->o.repo, &view, why);
    if (err == HF_OK)
        err = hf_known_roots_load(hf_cli_list(r->o.roots), &known, why);
    if (err == HF_OK)
        err = make(&r->o, &view.catalog, &known, &made, why);
    if (err == HF_OK)
        err = print(&made, &r->o, why);
    free(made.steps);
    hf_findings_free(&made.findings);
    hf_known_roots_free(&known);
    hf_catalog_view_close(&view);
    return err;
}

#define AT(member) offsetof(struct plan_options, member)

static const struct hf_cli_option options[] = {HF_CTL_REPO,
                                               HF_CTL_SET,
                                               HF_CTL_PROFILE,
                                               HF_CTL_LEAD,
                                               HF_CTL_ROOTS,
                                               {"at", 0, HF_CLI_TEXT, AT(at),
                                                "plan as of that day instead of today",
                                                "YYYY-MM-DD"},
                                               HF_CTL_JSON("plan-report"),
                                               HF_CTL_HELP,
                                               HF_CLI_END};

const struct hf_cli_command hf_cmd_plan = {
    .name = "plan",
    .summary = "Show the date by which each root must be replaced.",
    .arguments = "--repo DIR [--set NAME] [--profile NAME] [--lead DAYS] [--at DATE] [--json]",
    .about =
        "An anchor ends when it expires, at its signed remove_after or distrust_after, or when\n"
        "root programs plan to accept no new certificates under it, whichever is first. Its\n"
        "successor must be published the lead time before: as long as the last device may need to\n"
        "install it, for example a device on a catalog. After that date the root is LATE. The "
        "exit\n"
        "code is 0 in both cases; lint has errors for dangerous cases.",
    .examples = "  holdfastctl plan --repo /srv/roots\n"
                "  holdfastctl plan --repo /srv/roots --lead 730 --json | jq .late\n",
    .options = options,
    .values_size = sizeof(struct plan_options),
    .needs = {"--repo"},
    .run = plan,
};
