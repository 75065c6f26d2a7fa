#include "server/publish/lint/lint.h"

#include "common/base/timetext.h"
#include "common/chain/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The anchors of a bundle as devices have them at lint's own day, and at the end of the lead time,
 * when what root programs plan counts as well. */
struct both_days {
    struct hf_anchors *now, *later;
};

static enum hf_err judge(const struct hf_lint *lint, const struct hf_lint_chain *chain,
                         const struct hf_anchors *anchors, bool is_after_lead,
                         struct hf_chain_verdict *out, struct hf_why *why)
{
    const struct hf_chain_context context = {
        .host = chain->host,
        .at_s = lint->at_s + (is_after_lead ? lint->lead_s : 0),
        .is_renewed = is_after_lead || lint->is_later_day,
    };

    return hf_chain_judge(&chain->sent, anchors, &context, out, why);
}

/* A lone root stands for what is issued under it, which is not known: only its anchor counts. */
static bool is_good(const struct hf_lint_chain *chain, const struct hf_chain_verdict *verdict)
{
    return chain->is_lone_root ? verdict->has_anchor : verdict->is_valid;
}

static enum hf_err make_anchors(const struct hf_lint *lint, const struct hf_bundle *bundle,
                                struct both_days *out, struct hf_why *why)
{
    struct hf_trust_anchor *later = calloc(bundle->n_anchors + 1, sizeof *later);

    if (later == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for %zu trust anchors", bundle->n_anchors);
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        later[i] = hf_trust_anchor_of(&bundle->anchors[i]);
        later[i].distrust_after_s = hf_anchor_distrust_s(&bundle->anchors[i], lint->known);
    }
    enum hf_err err = hf_anchors_of_bundle(bundle, &out->now, why);
    if (err == HF_OK)
        err = hf_anchors_new(later, bundle->n_anchors, &out->later, why);
    free(later);
    return err;
}

/* Of the roots that validate the chain today, the one that ends last; NULL for none. */
static enum hf_err find_last(const struct hf_lint *lint, const struct hf_lint_line *line,
                             const struct hf_lint_chain *chain, const struct hf_anchor **out,
                             struct hf_why *why)
{
    const struct hf_anchor *last = NULL;
    for (size_t i = 0; i < line->bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &line->bundle->anchors[i];
        const struct hf_trust_anchor alone = hf_trust_anchor_of(anchor);
        struct hf_anchors *anchors = NULL;
        struct hf_chain_verdict verdict;
        HF_TRY(hf_anchors_new(&alone, 1, &anchors, why));
        enum hf_err err = judge(lint, chain, anchors, false, &verdict, why);
        hf_anchors_free(anchors);
        HF_TRY(err);
        if (is_good(chain, &verdict) &&
            (last == NULL ||
             hf_anchor_end(anchor, lint->known).end_s > hf_anchor_end(last, lint->known).end_s))
            last = anchor;
        hf_chain_verdict_free(&verdict);
    }
    *out = last;
    return HF_OK;
}

static enum hf_err report_end(const struct hf_lint *lint, const struct hf_lint_line *line,
                              const struct hf_lint_chain *chain, struct hf_findings *out,
                              struct hf_why *why)
{
    const struct hf_anchor *last = NULL;
    char day[HF_TIME_TEXT_MAX], end[HF_ANCHOR_END_TEXT_MAX] = "ends";
    HF_TRY(find_last(lint, line, chain, &last, why));
    if (last != NULL)
        hf_anchor_end_text(hf_anchor_end(last, lint->known), end);
    hf_time_format_day(lint->at_s + lint->lead_s, day);
    return hf_findings_add(out, HF_LINT_ENDPOINT_ANCHOR_ENDS, line->where, why,
                           "%s (%s) is validated through roots only that end before %s, when the "
                           "last device has this bundle. The last of them, \"%s\", %s. Add its "
                           "successor.",
                           chain->name, chain->source, day, last != NULL ? last->cert.subject : "?",
                           end);
}

/* Two kinds of refusal: no anchor for the chain, which another bundle may have, and a chain that
 * devices refuse all the same. */
static enum hf_err report_refusal(const struct hf_lint_line *line,
                                  const struct hf_lint_chain *chain,
                                  const struct hf_chain_verdict *verdict, struct hf_findings *out,
                                  struct hf_why *why)
{
    char faults[HF_WHY_MAX];
    hf_chain_verdict_faults(verdict, faults);
    return hf_findings_add(out,
                           verdict->lacks_anchor ? HF_LINT_ENDPOINT_ANCHOR_MISSING
                                                 : HF_LINT_ENDPOINT_REFUSED,
                           line->where, why, "%s shows a chain (%s) that devices refuse: %s",
                           chain->name, chain->source, faults);
}

/* Intermediates of the path of `verdict`; NULL: of the whole chain, where no path is known. The
 * leaf is renewed every few weeks, and roots need no date here. */
static enum hf_err judge_intermediates(const struct hf_lint *lint, const struct hf_lint_line *line,
                                       const struct hf_lint_chain *chain,
                                       const struct hf_chain_verdict *verdict,
                                       struct hf_findings *out, struct hf_why *why)
{
    for (size_t i = 1; i < chain->sent.n_certs; i++) {
        const struct hf_cert *cert = &chain->certs[i];
        char day[HF_TIME_TEXT_MAX];
        if (cert->is_self_issued || cert->not_after_s > lint->at_s + lint->lead_s ||
            (verdict != NULL && !verdict->certs[i].is_in_path) ||
            hf_bundle_find_key(line->bundle, cert->spki_sha256) != NULL)
            continue;
        hf_time_format_day(cert->not_after_s, day);
        HF_TRY(hf_findings_add(out,
                               chain->is_devices ? HF_LINT_DEVICE_CHAIN_ENDS : HF_LINT_CHAIN_ENDS,
                               line->where, why, "\"%s\" in the chain of %s (%s) ends on %s; %s",
                               cert->subject, chain->name, chain->source, day,
                               chain->is_devices
                                   ? "devices show it themselves and need a new one before"
                                   : "see which one its operator will use"));
    }
    return HF_OK;
}

static enum hf_err judge_path(const struct hf_lint *lint, const struct hf_lint_line *line,
                              const struct hf_lint_chain *chain, const struct both_days *anchors,
                              struct hf_findings *out, struct hf_why *why)
{
    struct hf_chain_verdict now = {0}, later = {0};
    HF_TRY(judge(lint, chain, anchors->now, false, &now, why));
    enum hf_err err = HF_OK;
    if (!is_good(chain, &now)) {
        err = report_refusal(line, chain, &now, out, why);
    } else {
        err = judge(lint, chain, anchors->later, true, &later, why);
        if (err == HF_OK && !is_good(chain, &later))
            err = report_end(lint, line, chain, out, why);
    }
    if (err == HF_OK)
        err = judge_intermediates(lint, line, chain, &now, out, why);
    hf_chain_verdict_free(&now);
    hf_chain_verdict_free(&later);
    return err;
}

/* What is no evidence is for none. */
static bool is_for(const struct hf_lint_chain *chain, const char *profile)
{
    if (chain->doubt != NULL)
        return false;
    if (strcmp(profile, "rsa") == 0)
        return chain->kind == HF_CHAIN_RSA;
    if (strcmp(profile, "ecc") == 0)
        return chain->kind == HF_CHAIN_ECC;
    return true;
}

/* Has the endpoint of that chain none for the profile? Asked once for each endpoint: at its
 * first. */
static bool is_unchecked(const struct hf_lint_endpoints *e, size_t index, const char *profile)
{
    for (size_t i = 0; i < e->n_chains; i++) {
        const struct hf_lint_chain *chain = e->chains[i];
        if (strcmp(chain->name, e->chains[index]->name) == 0 &&
            ((i < index && chain->doubt == NULL) || is_for(chain, profile)))
            return false;
    }
    return true;
}

static enum hf_err judge_chain(const struct hf_lint *lint, const struct hf_lint_line *line,
                               size_t index, const struct both_days *anchors,
                               struct hf_findings *out, struct hf_why *why)
{
    const struct hf_lint_chain *chain = lint->endpoints->chains[index];
    const char *profile = line->description->profile;
    if (chain->doubt != NULL)
        return HF_OK;
    if (!chain->is_devices && is_unchecked(lint->endpoints, index, profile))
        HF_TRY(hf_findings_add(out, HF_LINT_ENDPOINT_UNCHECKED, line->where, why,
                               "no %s chain of %s is known, so it is unknown whether devices of "
                               "this profile reach it",
                               profile, chain->name));
    if (!is_for(chain, profile))
        return HF_OK;
    if (chain->is_lone_root)
        HF_TRY(hf_findings_add(out, HF_LINT_ENDPOINT_UNCHECKED, line->where, why,
                               "the chain of %s (%s) is the root \"%s\" alone; if that is not the "
                               "very certificate that it shows, give the chain that it shows",
                               chain->name, chain->source, chain->certs[0].subject));
    /* A device's own chain is validated by servers, which have other anchors. */
    return chain->is_devices ? judge_intermediates(lint, line, chain, NULL, out, why)
                             : judge_path(lint, line, chain, anchors, out, why);
}

enum hf_err hf_lint_reach(const struct hf_lint *lint, const struct hf_lint_line *line,
                          struct hf_findings *out, struct hf_why *why)
{
    struct both_days anchors = {0};
    if (lint->endpoints == NULL || lint->endpoints->n_chains == 0)
        return HF_OK;
    enum hf_err err = make_anchors(lint, line->bundle, &anchors, why);
    for (size_t i = 0; err == HF_OK && i < lint->endpoints->n_chains; i++)
        err = judge_chain(lint, line, i, &anchors, out, why);
    hf_anchors_free(anchors.now);
    hf_anchors_free(anchors.later);
    return err;
}

/* The key of each certificate, and the signature of each that is no root or anchor itself. */
static enum hf_err judge_chain_algorithms(const struct hf_lint *lint,
                                          const struct hf_lint_line *line,
                                          const struct hf_lint_chain *chain,
                                          struct hf_findings *out, struct hf_why *why)
{
    for (size_t i = 0; i < chain->sent.n_certs; i++) {
        const struct hf_cert *cert = &chain->certs[i];
        const char *lacking = hf_lint_device_lacks_key(lint->device, cert);
        if (cert->is_self_issued || hf_bundle_find_key(line->bundle, cert->spki_sha256) != NULL)
            continue;
        if (lacking == NULL)
            lacking = hf_lint_device_lacks_signature(lint->device, cert, chain->signatures[i]);
        if (lacking != NULL)
            HF_TRY(hf_findings_add(out, HF_LINT_ALGORITHM_MISSING, line->where, why,
                                   "\"%s\" in the chain of %s (%s) needs %s, which the device "
                                   "lacks; roots alone will not help",
                                   cert->subject, chain->name, chain->source, lacking));
    }
    return HF_OK;
}

enum hf_err hf_lint_algorithms(const struct hf_lint *lint, const struct hf_lint_line *line,
                               struct hf_findings *out, struct hf_why *why)
{
    if (lint->device == NULL)
        return HF_OK;
    for (size_t i = 0; i < line->bundle->n_anchors; i++) {
        const struct hf_cert *cert = &line->bundle->anchors[i].cert;
        const char *lacking = hf_lint_device_lacks_key(lint->device, cert);
        if (lacking != NULL)
            HF_TRY(hf_findings_add(out, HF_LINT_ANCHOR_UNUSABLE, line->where, why,
                                   "\"%s\" needs %s, which the device lacks: to it this root is of "
                                   "no use",
                                   cert->subject, lacking));
    }
    for (size_t i = 0; lint->endpoints != NULL && i < lint->endpoints->n_chains; i++) {
        if (is_for(lint->endpoints->chains[i], line->description->profile))
            HF_TRY(judge_chain_algorithms(lint, line, lint->endpoints->chains[i], out, why));
    }
    return HF_OK;
}
