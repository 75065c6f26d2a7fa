#include "server/publish/lint/lint.h"

#include "common/bundle/policy.h"

/* A device keeps what it relies on unless its going was signed; it would refuse such a version. */
static enum hf_err find_shrinking(const struct hf_lint_line *line, struct hf_findings *out,
                                  struct hf_why *why)
{
    for (size_t i = 0; i < line->before->n_anchors; i++) {
        const struct hf_cert *cert = &line->before->anchors[i].cert;
        if (hf_bundle_find_key(line->bundle, cert->spki_sha256) != NULL ||
            hf_description_drops(line->description, cert->spki_sha256))
            continue;
        HF_TRY(hf_findings_add(out, HF_LINT_SHRINKS, line->where, why,
                               "\"%s\" was in the version before and is neither here nor among the "
                               "signed drops; add it, or drop it on purpose",
                               cert->subject));
    }
    return HF_OK;
}

/* Old and new must be good together for a while: nobody swaps a whole fleet in one night. */
static bool has_overlap(const struct hf_lint *lint, const struct hf_lint_line *line)
{
    for (size_t i = 0; i < line->before->n_anchors; i++) {
        const struct hf_anchor *now = hf_bundle_find_key(line->bundle,
                                                         line->before->anchors[i].cert.spki_sha256);
        if (now != NULL && hf_policy_anchor_state(now, lint->at_s) == HF_ANCHOR_USABLE)
            return true;
    }
    return false;
}

static bool had_usable(const struct hf_lint *lint, const struct hf_bundle *before)
{
    for (size_t i = 0; i < before->n_anchors; i++) {
        if (hf_policy_anchor_state(&before->anchors[i], lint->at_s) == HF_ANCHOR_USABLE)
            return true;
    }
    return false;
}

enum hf_err hf_lint_change(const struct hf_lint *lint, const struct hf_lint_line *line,
                           struct hf_findings *out, struct hf_why *why)
{
    if (line->before == NULL)
        return HF_OK;
    HF_TRY(find_shrinking(line, out, why));
    if (has_overlap(lint, line) || !had_usable(lint, line->before))
        return HF_OK;
    return hf_findings_add(out, HF_LINT_NO_OVERLAP, line->where, why,
                           "it shares no usable root with the version before; publish old and new "
                           "together first, and drop the old ones when the lead time is over");
}
