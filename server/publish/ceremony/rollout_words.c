#include "server/publish/ceremony/rollout_words.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"

#include <inttypes.h>

#define PERCENT_PPM 10000.0
#define SPAN_TEXT_MAX 32

/* In the largest unit that says it exactly. */
static void format_span(int64_t span_s, char out[SPAN_TEXT_MAX])
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}};
    size_t i = 0;
    while (span_s % units[i].seconds != 0)
        i++;
    const int64_t n = span_s / units[i].seconds;
    (void)snprintf(out, SPAN_TEXT_MAX, "%" PRId64 " %s%s", n, units[i].name, n == 1 ? "" : "s");
}

static void print_stage(const struct hf_rollout_plan *plan, size_t k, int indent, FILE *out)
{
    const struct hf_rollout_stage *stage = &plan->stages[k];
    char opens[HF_TIME_TEXT_MAX], bakes[SPAN_TEXT_MAX];
    hf_time_format(hf_rollout_opens_s(plan, k), opens);
    fprintf(out, "%*sstage %zu: ", indent, "", k + 1);
    if (stage->ppm > 0 || stage->n_groups == 0)
        fprintf(out, "%g%% of the devices", (double)stage->ppm / PERCENT_PPM);
    for (size_t i = 0; i < stage->n_groups; i++)
        fprintf(out, "%sgroup \"%s\"", i == 0 && stage->ppm == 0 ? "" : ", ", stage->groups[i]);
    fprintf(out, ", not before %s", opens);
    if (stage->bake_s > 0 && k + 1 < plan->n_stages) {
        format_span(stage->bake_s, bakes);
        fprintf(out, ", for at least %s", bakes);
    }
    if (stage->min_count > 0)
        fprintf(out, ", until %" PRId64 " devices are judged", stage->min_count);
    fputc('\n', out);
}

static void print_approvals(const struct hf_rollout_plan *plan, int indent, FILE *out)
{
    char hex[2 * HF_ROLLOUT_APPROVER_LEN + 1];
    if (plan->approval == HF_ROLLOUT_API)
        fprintf(out,
                "%*sthe next stage also needs %" PRId64 " user(s) of the service who approve it\n",
                indent, "", plan->approvals);
    if (plan->approval != HF_ROLLOUT_SIGNED)
        return;
    fprintf(out,
            "%*sthe next stage, and a resume, also needs the signatures of %" PRId64
            " of these %zu approver(s):\n",
            indent, "", plan->approvals, plan->n_approvers);
    for (size_t i = 0; i < plan->n_approvers; i++) {
        hf_hex_encode(plan->approvers[i], HF_ROLLOUT_APPROVER_LEN, hex);
        fprintf(out, "%*s%s\n", indent + 2, "", hex);
    }
}

void hf_rollout_words_print(const struct hf_rollout_plan *plan, int indent, FILE *out)
{
    char begins[HF_TIME_TEXT_MAX], mandatory[HF_TIME_TEXT_MAX], silent[SPAN_TEXT_MAX];
    bool has_groups = false;
    hf_time_format(plan->not_before_s, begins);
    hf_time_format(plan->mandatory_from_s, mandatory);
    format_span(plan->pause.silent_after_s, silent);
    fprintf(out, "%*srolls out in %zu stages from %s on; every device installs it from %s on\n",
            indent, "", plan->n_stages, begins, mandatory);
    indent += 2;
    for (size_t k = 0; k < plan->n_stages; k++) {
        print_stage(plan, k, indent, out);
        has_groups = has_groups || plan->stages[k].n_groups > 0;
    }
    if (has_groups)
        fprintf(
            out,
            "%*sdevices say which groups they are in; holdfastctl cannot check that any device is "
            "in one\n",
            indent, "");
    fprintf(out,
            "%*sthe fleet service pauses it when more than %g%% of the devices judged failed, or "
            "%g%% are "
            "silent %s after they announced it",
            indent, "", (double)plan->pause.failed_ppm / PERCENT_PPM,
            (double)plan->pause.silent_ppm / PERCENT_PPM, silent);
    if (plan->pause.min_count > 1)
        fprintf(out, "; while fewer than %" PRId64 " are judged, of %" PRId64 " devices",
                plan->pause.min_count, plan->pause.min_count);
    fputc('\n', out);
    fprintf(out,
            "%*sthe fleet service opens the next stage when %g%% of the devices confirmed it and "
            "%" PRId64 " are judged\n",
            indent, "", (double)plan->promote.confirmed_ppm / PERCENT_PPM, plan->promote.min_count);
    print_approvals(plan, indent, out);
    if (plan->min_version > 0)
        fprintf(out, "%*sdevices below version %" PRId64 " do not wait\n", indent, "",
                plan->min_version);
}
