#include "server/publish/lint/lint.h"

#include "common/base/timetext.h"
#include "common/bundle/policy.h"

/* Does the new version bring a root that devices which wait do not have? */
static bool brings_roots(const struct hf_lint_line *line)
{
    for (size_t i = 0; i < line->bundle->n_anchors; i++)
        if (hf_bundle_find_key(line->before, line->bundle->anchors[i].cert.spki_sha256) == NULL)
            return true;
    return false;
}

static enum hf_err judge_anchor(const struct hf_lint *lint, const struct hf_lint_line *line,
                                const struct hf_anchor *anchor, size_t *n_left,
                                struct hf_findings *out, struct hf_why *why)
{
    const int64_t mandatory_s = line->description->plan->mandatory_from_s;
    const struct hf_anchor_end end = hf_anchor_end(anchor, lint->known);
    char text[HF_ANCHOR_END_TEXT_MAX], mandatory[HF_TIME_TEXT_MAX];
    if (end.end_s >= mandatory_s) {
        (*n_left)++;
        return HF_OK;
    }
    hf_anchor_end_text(end, text);
    hf_time_format(mandatory_s, mandatory);
    return hf_findings_add(out, HF_LINT_ROLLOUT_LATE, line->where, why,
                           "\"%s\" %s, and a device may wait for its successor until %s; bring "
                           "\"mandatory_from\" of the plan forward",
                           anchor->cert.subject, text, mandatory);
}

/* A device that waits has the version before, until the last day of the plan. */
enum hf_err hf_lint_rollout(const struct hf_lint *lint, const struct hf_lint_line *line,
                            struct hf_findings *out, struct hf_why *why)
{
    const struct hf_rollout_plan *plan = line->description->plan;
    size_t n_usable = 0, n_left = 0;
    char mandatory[HF_TIME_TEXT_MAX];
    if (plan == NULL || line->before == NULL || plan->mandatory_from_s <= lint->at_s ||
        !brings_roots(line))
        return HF_OK;
    for (size_t i = 0; i < line->before->n_anchors; i++) {
        const struct hf_anchor *anchor = &line->before->anchors[i];
        if (hf_policy_anchor_state(anchor, lint->at_s) != HF_ANCHOR_USABLE)
            continue;
        n_usable++;
        HF_TRY(judge_anchor(lint, line, anchor, &n_left, out, why));
    }
    if (n_usable == 0 || n_left > 0)
        return HF_OK;
    hf_time_format(plan->mandatory_from_s, mandatory);
    return hf_findings_add(
        out, HF_LINT_ROLLOUT_CUTS_OFF, line->where, why,
        "no root of the version before is good until %s, so devices that wait are cut "
        "off; bring \"mandatory_from\" of the plan forward, or publish without one",
        mandatory);
}
