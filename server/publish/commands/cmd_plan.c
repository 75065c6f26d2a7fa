/* holdfastctl plan: by which day every anchor needs a successor in the field. Needs no key. */
#include "server/repository/certs/anchor_end.h"
#include "server/publish/commands/bundle_options.h"
#include "server/publish/commands/check_report.h"
#include "server/repository/base/json_text.h"
#include "server/publish/bundle/shelf.h"
#include "server/publish/lint/lint.h"
#include "server/repository/base/table.h"

#include "common/base/hex.h"
#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdlib.h>

struct request {
    struct hf_bundle_options o;
    char *at;
    int64_t at_s;
    int is_json;
};

/* One anchor of one bundle. */
struct step {
    const struct hf_repo_bundle *bundle;
    const struct hf_anchor *anchor;
    struct hf_anchor_end end;
    int64_t publish_by_s; /* the successor must be on its way */
};

struct plan {
    struct step *steps; /* the most urgent first */
    size_t n_steps;
    int64_t at_s;
    struct hf_findings findings; /* about what the plan is made from */
};

static bool is_late(const struct plan *plan, const struct step *step)
{
    return step->publish_by_s < plan->at_s;
}

static size_t count_late(const struct plan *plan)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->n_steps; i++)
        n += is_late(plan, &plan->steps[i]);
    return n;
}

/* ---- making it -------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    int64_t x = ((const struct step *)a)->publish_by_s, y = ((const struct step *)b)->publish_by_s;
    return (x > y) - (x < y);
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
        plan->steps[plan->n_steps++] = (struct step){b, anchor, end, end.end_s - lead_s};
    }
    return HF_OK;
}

static enum hf_err make(const struct request *r, const struct hf_shelf *shelf,
                        const struct hf_known_roots *known, struct plan *out, struct hf_why *why)
{
    HF_TRY(hf_shelf_check_has(shelf, r->o.set, r->o.profile, why));
    out->at_s = r->at_s;
    HF_TRY(hf_lint_tables(known, hf_cli_now_s(), &out->findings, why));
    for (size_t i = 0; i < shelf->bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &shelf->bundles.items[i];
        if (b->is_newest && hf_shelf_is_of(b, r->o.set, r->o.profile))
            HF_TRY(add_bundle(out, b, known, r->o.lead_days * HF_DAY_S, why));
    }
    qsort(out->steps, out->n_steps, sizeof *out->steps, compare);
    return HF_OK;
}

/* ---- showing it ------------------------------------------------------------------------------- */

static enum hf_err fill(const struct plan *plan, struct hf_table *t, struct hf_why *why)
{
    static const char *const head[] = {"successor by", "days left", "ends",   "because it",
                                       "bundle",       "SHA-256",   "subject"};
    for (size_t i = 0; i < 7; i++)
        HF_TRY(hf_table_add(t, why, "%s", head[i]));
    for (size_t i = 0; i < plan->n_steps; i++) {
        const struct step *s = &plan->steps[i];
        const struct hf_description *d = &s->bundle->description;
        char by[HF_TIME_TEXT_MAX], ends[HF_TIME_TEXT_MAX], sha256[HF_SHA256_HEX_LEN];
        hf_time_format_day(s->publish_by_s, by);
        if (s->end.reason == HF_END_EXPIRES)
            hf_time_format_day(s->end.end_s, ends);
        else
            hf_time_format_last(s->end.end_s, ends);
        hf_hex_encode(s->anchor->cert.sha256, 8, sha256);
        HF_TRY(hf_table_add(t, why, "%s%s", by, is_late(plan, s) ? " LATE" : ""));
        HF_TRY(hf_table_add(t, why, "%" PRId64, hf_days_between(plan->at_s, s->publish_by_s)));
        HF_TRY(hf_table_add(t, why, "%s", ends));
        HF_TRY(hf_table_add(t, why, "%s", hf_end_reason_text(s->end.reason)));
        HF_TRY(hf_table_add(t, why, "%s/%s %" PRId64, d->set, d->profile, d->version));
        HF_TRY(hf_table_add(t, why, "%s", sha256));
        HF_TRY(hf_table_add(t, why, "%s", s->anchor->cert.subject));
    }
    return HF_OK;
}

static enum hf_err print_text(const struct plan *plan, int lead_days, struct hf_why *why)
{
    struct hf_table t = {.n_columns = 7};
    enum hf_err err = fill(plan, &t, why);
    if (err == HF_OK) {
        hf_table_print(&t, 0, stdout);
        printf("\n%zu of %zu late; a successor counts as in the field %d days after it is "
               "published\n",
               count_late(plan), plan->n_steps, lead_days);
        hf_findings_print(&plan->findings, 0, stdout);
    }
    hf_table_free(&t);
    return err;
}

static json_t *step_json(const struct plan *plan, const struct step *s)
{
    const struct hf_description *d = &s->bundle->description;
    return json_pack("{s:s, s:s, s:I, s:s, s:o, s:o, s:s, s:o, s:I, s:b}", "set", d->set, "profile",
                     d->profile, "version", (json_int_t)d->version, "subject",
                     s->anchor->cert.subject, "sha256", hf_json_sha256(s->anchor->cert.sha256),
                     "ends", hf_json_time(s->end.end_s), "because",
                     hf_end_reason_text(s->end.reason), "successor_by",
                     hf_json_time(s->publish_by_s), "days_left",
                     (json_int_t)hf_days_between(plan->at_s, s->publish_by_s), "late",
                     is_late(plan, s));
}

static enum hf_err print_json(const struct plan *plan, int lead_days, struct hf_why *why)
{
    json_t *steps = json_array();
    for (size_t i = 0; i < plan->n_steps; i++)
        steps = hf_json_append_take(steps, step_json(plan, &plan->steps[i]));
    return hf_json_print_take(json_pack("{s:i, s:o, s:i, s:I, s:o, s:o}", "format", 1, "at",
                                        hf_json_time(plan->at_s), "lead_days", lead_days, "late",
                                        (json_int_t)count_late(plan), "anchors", steps, "findings",
                                        hf_findings_to_json(&plan->findings)),
                              stdout, why);
}

/* ---- the command ------------------------------------------------------------------------------ */

static enum hf_err plan_and_print(const struct request *r, const struct hf_shelf *shelf,
                                  struct hf_why *why)
{
    struct hf_known_roots known = {0};
    struct plan plan = {0};
    HF_TRY(hf_known_roots_load(hf_cli_list(r->o.roots), &known, why));
    enum hf_err err = make(r, shelf, &known, &plan, why);
    if (err == HF_OK)
        err = r->is_json ? print_json(&plan, r->o.lead_days, why)
                         : print_text(&plan, r->o.lead_days, why);
    free(plan.steps);
    hf_findings_free(&plan.findings);
    hf_known_roots_free(&known);
    return err;
}

static enum hf_err work(const struct request *r, struct hf_why *why)
{
    struct hf_shelf_view view;
    enum hf_err err = hf_shelf_view_open(r->o.place.repo, &view, why);
    if (err == HF_OK)
        err = plan_and_print(r, &view.shelf, why);
    hf_shelf_view_close(&view);
    return err;
}

static int run(const struct hf_command *self, int argc, const char **argv)
{
    struct request r = {.o = HF_BUNDLE_OPTIONS_DEFAULT, .at_s = hf_cli_now_s()};
    const struct poptOption options[] = {HF_CLI_REPO(&r.o.place),
                                         HF_CLI_SET(&r.o),
                                         HF_CLI_PROFILE(&r.o),
                                         HF_CLI_LEAD(&r.o),
                                         HF_CLI_ROOTS(&r.o),
                                         {"at", 0, POPT_ARG_STRING, &r.at, 0,
                                          "plan as of that day instead of today", "YYYY-MM-DD"},
                                         HF_CLI_JSON(&r.is_json, "plan-report"),
                                         HF_CLI_HELP,
                                         HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code) &&
        hf_cli_need(self, "--repo", r.o.place.repo) && hf_cli_no_arguments(&cli) &&
        hf_cli_check_lead(self, r.o.lead_days)) {
        if (r.at != NULL && !hf_time_parse_lenient(r.at, &r.at_s))
            exit_code = hf_cli_usage(self, "--at wants YYYY-MM-DD, not \"%s\"", r.at);
        else
            exit_code = hf_cli_finish(work(&r, &why), &why);
    }
    hf_cli_end(&cli);
    hf_bundle_options_free(&r.o);
    free(r.at);
    return exit_code;
}

const struct hf_command hf_cmd_plan = {
    .name = "plan",
    .summary = "Show by which day each root needs a successor in the field.",
    .arguments = "--repo DIR [--set NAME] [--profile NAME] [--lead DAYS] [--at DATE] [--json]",
    .text =
        "An anchor ends when it expires, when its signed remove_after or distrust_after comes,\n"
        "or when root programs plan to accept nothing newly issued under it, whichever is\n"
        "first. Its successor must be published the lead time before: as long as the last\n"
        "device may take to get it, from the shelf or in a drawer. Later than that is LATE.\n"
        "The exit code is 0 whether or not something is late; lint has errors for what is\n"
        "dangerous.",
    .examples = "  holdfastctl plan --repo /srv/roots\n"
                "  holdfastctl plan --repo /srv/roots --lead 730 --json | jq .late\n",
    .run = run,
};
