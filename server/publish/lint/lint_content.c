#include "server/publish/lint/lint.h"

#include "common/base/timetext.h"

#include <string.h>

static enum hf_err find_missing(const struct hf_lint *lint, const struct hf_lint_line *line,
                                struct hf_findings *out, struct hf_why *why)
{
    for (size_t i = 0; i < lint->known->n_items; i++) {
        const struct hf_known_root *root = &lint->known->items[i];
        /* A root that its program distrusts already is not missed. */
        bool is_missed = !root->is_removed && root->not_after_s > lint->at_s &&
                         (root->distrust_s == HF_TIME_NONE || root->distrust_s > lint->at_s);
        if (is_missed && hf_known_roots_is_table_of(root->set, line->description->set) &&
            hf_bundle_find_key(line->bundle, root->spki_sha256) == NULL)
            HF_TRY(hf_findings_add(out, HF_LINT_KNOWN_ROOT_MISSING, line->where, why,
                                   "\"%s\" of the table of known roots \"%s\" is not in it; an "
                                   "endpoint may move to it any day",
                                   root->name, root->set));
    }
    return HF_OK;
}

static enum hf_err find_behind(const struct hf_lint_line *line, struct hf_findings *out,
                               struct hf_why *why)
{
    const bool is_rsa = strcmp(line->description->profile, "rsa") == 0;
    const bool is_ecc = strcmp(line->description->profile, "ecc") == 0;

    for (size_t i = 0; line->full != NULL && i < line->full->n_anchors; i++) {
        const struct hf_cert *cert = &line->full->anchors[i].cert;
        bool is_of_profile = cert->key == HF_CERT_KEY_RSA ? is_rsa : is_ecc;
        if (is_of_profile && hf_bundle_find_key(line->bundle, cert->spki_sha256) == NULL)
            HF_TRY(hf_findings_add(
                out, HF_LINT_PROFILE_BEHIND, line->where, why,
                "\"%s\" is in the profile full and not in this one; derive it again",
                cert->subject));
    }
    return HF_OK;
}

enum hf_err hf_lint_content(const struct hf_lint *lint, const struct hf_lint_line *line,
                            struct hf_findings *out, struct hf_why *why)
{
    const struct hf_bundle *bundle = line->bundle;
    size_t n_keys = 0;

    /* Published by a newer holdfastctl. Devices without support for it skip it. */
    for (size_t i = 0; i < bundle->n_skipped; i++)
        HF_TRY(hf_findings_add(out, HF_LINT_ANCHOR_UNUSABLE, line->where, why,
                               "\"%s\" is not supported here: Holdfast cannot use its %s; devices "
                               "with the same software skip it",
                               bundle->skipped[i].subject, bundle->skipped[i].what));
    for (size_t i = 0; i < bundle->n_anchors; i++)
        if (bundle->anchors[i].cert.has_critical_constraints)
            HF_TRY(hf_findings_add(out, HF_LINT_ANCHOR_UNUSABLE, line->where, why,
                                   "\"%s\" has critical constraints on names or policies: "
                                   "devices with an older Holdfast do not support it and "
                                   "skip it; update them first",
                                   bundle->anchors[i].cert.subject));
    for (size_t i = 0; i < bundle->n_anchors; i++)
        n_keys += hf_bundle_find_key(bundle, bundle->anchors[i].cert.spki_sha256) ==
                  &bundle->anchors[i];
    if (n_keys <= 1)
        HF_TRY(hf_findings_add(out, HF_LINT_SINGLE_ANCHOR, line->where, why,
                               "\"%s\" is its only root; when its owner moves to another, devices "
                               "that are off on that day stay off",
                               bundle->anchors[0].cert.subject));
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &bundle->anchors[i];
        if (anchor->use == HF_USE_INTERMEDIATE)
            HF_TRY(hf_findings_add(out, HF_LINT_INTERMEDIATE_KEPT, line->where, why,
                                   "\"%s\" is an intermediate, trusted as a root on purpose; its "
                                   "CA \"%s\" may replace it any day",
                                   anchor->cert.subject, anchor->cert.issuer));
    }
    for (size_t i = 0; i < bundle->n_anchors; i++) /* RFC 5280, 4.2.1.10 */
        if (bundle->anchors[i].cert.has_name_constraints)
            HF_TRY(hf_findings_add(out, HF_LINT_NAME_CONSTRAINTS, line->where, why,
                                   "\"%s\" has name constraints: devices trust it only for the "
                                   "names that it may issue for; check that all servers that need "
                                   "it are among them",
                                   bundle->anchors[i].cert.subject));
    if (strcmp(line->description->profile, "full") == 0)
        HF_TRY(find_missing(lint, line, out, why));
    return find_behind(line, out, why);
}
