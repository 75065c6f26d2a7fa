#include "server/publish/lint/lint.h"

#include "common/base/timetext.h"
#include "common/bundle/policy.h"
#include "common/bundle/x509_usage.h"
#include "common/tls/chain_break.h"

#include <stdio.h>
#include <string.h>

/* ---- does a chain end in an anchor? ----------------------------------------------------------- */

/* What a chain is judged by, and why it does not validate: a clause, or empty for no root. */
struct verdict {
    mbedtls_x509_crt *sent;
    bool is_below_anchor; /* the anchor has been seen */
    bool is_valid;
    char fault[HF_DN_TEXT_MAX + HF_CHAIN_BREAK_MAX + 8]; /* "SUBJECT": WHY */
};

static void note_fault(struct verdict *v, const mbedtls_x509_crt *crt, uint32_t flags)
{
    struct hf_cert cert;
    char why[HF_CHAIN_BREAK_MAX] = "its extendedKeyUsage does not allow a TLS server";
    if (v->fault[0] != '\0' ||
        hf_cert_parse((struct hf_bytes){crt->raw.p, crt->raw.len}, &cert, NULL) != HF_OK)
        return;
    if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0 &&
        !hf_chain_break_words(crt, v->sent, cert.issuer, why))
        return;
    if ((flags & (MBEDTLS_X509_BADCERT_NOT_TRUSTED | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE)) != 0)
        (void)snprintf(v->fault, sizeof v->fault, "\"%s\": %s", cert.subject, why);
}

/* Called from the top of the path, the anchor, down to the leaf (depth 0). Dates of what a server
 * sends are its operator's to renew; anchors are chosen by date before. */
static int judge_as_devices(void *verdict, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct verdict *v = verdict;
    *flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
    if (v->is_below_anchor && depth > 0 && !hf_x509_allows_server_auth(crt))
        *flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
    if (*flags != 0)
        note_fault(v, crt, *flags);
    v->is_below_anchor = true;
    return 0;
}

/* What a device accepts is a question of its own (lint_device.h). */
static const mbedtls_x509_crt_profile anything = {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 1024};

static void verify(const struct hf_lint_chain *chain, mbedtls_x509_crt *anchors,
                   struct verdict *out)
{
    uint32_t flags = 0;
    /* Mbed TLS wants it writable and does not write to it. */
    mbedtls_x509_crt *crt = (mbedtls_x509_crt *)&chain->crt;
    *out = (struct verdict){.sent = crt};
    out->is_valid = mbedtls_x509_crt_verify_with_profile(crt, anchors, NULL, &anything, NULL,
                                                         &flags, judge_as_devices, out) == 0;
}

/* As of `lint->at_s`, or of the end of the lead time, when servers have new certificates. */
static bool is_good(const struct hf_lint *lint, const struct hf_anchor *anchor,
                    const struct hf_lint_chain *chain, bool is_after_lead)
{
    if (hf_policy_anchor_state(anchor, lint->at_s) != HF_ANCHOR_USABLE)
        return false;
    if (is_after_lead)
        return hf_anchor_end(anchor, lint->known).end_s > lint->at_s + lint->lead_s;
    return hf_policy_leaf_date_is_accepted(anchor->distrust_after_s, chain->certs[0].not_before_s);
}

/* `only` NULL, or the one anchor that counts. */
static enum hf_err reaches(const struct hf_lint *lint, const struct hf_lint_line *line,
                           const struct hf_lint_chain *chain, bool is_after_lead,
                           const struct hf_anchor *only, struct verdict *out, struct hf_why *why)
{
    mbedtls_x509_crt anchors;
    size_t n_good = 0;
    mbedtls_x509_crt_init(&anchors);
    enum hf_err err = HF_OK;
    for (size_t i = 0; i < line->bundle->n_anchors && err == HF_OK; i++) {
        const struct hf_anchor *anchor = &line->bundle->anchors[i];
        if ((only != NULL && anchor != only) || !is_good(lint, anchor, chain, is_after_lead))
            continue;
        if (mbedtls_x509_crt_parse_der(&anchors, anchor->der.data, anchor->der.len) != 0)
            err = hf_fail(why, HF_E_MEMORY, "out of memory for the certificates of %s",
                          line->where);
        n_good++;
    }
    if (err == HF_OK) {
        verify(chain, &anchors, out);
        out->is_valid = out->is_valid && n_good > 0;
    }
    mbedtls_x509_crt_free(&anchors);
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
        struct verdict verdict;
        HF_TRY(reaches(lint, line, chain, false, anchor, &verdict, why));
        if (verdict.is_valid && (last == NULL || hf_anchor_end(anchor, lint->known).end_s >
                                                     hf_anchor_end(last, lint->known).end_s))
            last = anchor;
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

/* ---- one chain -------------------------------------------------------------------------------- */

static enum hf_err judge_anchors(const struct hf_lint *lint, const struct hf_lint_line *line,
                                 const struct hf_lint_chain *chain, struct hf_findings *out,
                                 struct hf_why *why)
{
    struct verdict now, later;
    HF_TRY(reaches(lint, line, chain, false, NULL, &now, why));
    if (!now.is_valid && now.fault[0] != '\0')
        return hf_findings_add(out, HF_LINT_ENDPOINT_ANCHOR_MISSING, line->where, why,
                               "%s shows a chain (%s) that devices refuse: %s", chain->name,
                               chain->source, now.fault);
    if (!now.is_valid)
        return hf_findings_add(out, HF_LINT_ENDPOINT_ANCHOR_MISSING, line->where, why,
                               "%s shows a chain (%s) that ends in no usable root of this bundle; "
                               "the last issuer in it is \"%s\"",
                               chain->name, chain->source, chain->certs[chain->n_certs - 1].issuer);
    HF_TRY(reaches(lint, line, chain, true, NULL, &later, why));
    return later.is_valid ? HF_OK : report_end(lint, line, chain, out, why);
}

/* Intermediates; the leaf is renewed every few weeks, and roots need no date here. */
static enum hf_err judge_intermediates(const struct hf_lint *lint, const struct hf_lint_line *line,
                                       const struct hf_lint_chain *chain, struct hf_findings *out,
                                       struct hf_why *why)
{
    for (size_t i = 1; i < chain->n_certs; i++) {
        const struct hf_cert *cert = &chain->certs[i];
        char day[HF_TIME_TEXT_MAX];
        if (cert->is_self_issued || cert->not_after_s > lint->at_s + lint->lead_s ||
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

/* ---- which chains a profile must validate ----------------------------------------------------- */

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

static bool is_first_of_name(const struct hf_lint_endpoints *e, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (e->chains[i]->doubt == NULL && strcmp(e->chains[i]->name, e->chains[index]->name) == 0)
            return false;
    }
    return true;
}

static bool has_chain_for(const struct hf_lint_endpoints *e, const char *name, const char *profile)
{
    for (size_t i = 0; i < e->n_chains; i++) {
        if (strcmp(e->chains[i]->name, name) == 0 && is_for(e->chains[i], profile))
            return true;
    }
    return false;
}

static enum hf_err judge_chain(const struct hf_lint *lint, const struct hf_lint_line *line,
                               size_t index, struct hf_findings *out, struct hf_why *why)
{
    const struct hf_lint_chain *chain = lint->endpoints->chains[index];
    const char *profile = line->description->profile;
    if (chain->doubt != NULL)
        return HF_OK;
    if (is_first_of_name(lint->endpoints, index) && !chain->is_devices &&
        !has_chain_for(lint->endpoints, chain->name, profile))
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
    if (!chain->is_devices) /* who validates a device's own chain is the server */
        HF_TRY(judge_anchors(lint, line, chain, out, why));
    return judge_intermediates(lint, line, chain, out, why);
}

enum hf_err hf_lint_reach(const struct hf_lint *lint, const struct hf_lint_line *line,
                          struct hf_findings *out, struct hf_why *why)
{
    for (size_t i = 0; lint->endpoints != NULL && i < lint->endpoints->n_chains; i++)
        HF_TRY(judge_chain(lint, line, i, out, why));
    return HF_OK;
}

/* ---- algorithms ------------------------------------------------------------------------------- */

/* The key of each certificate, and the signature of each that is no root or anchor itself. */
static enum hf_err judge_chain_algorithms(const struct hf_lint *lint,
                                          const struct hf_lint_line *line,
                                          const struct hf_lint_chain *chain,
                                          struct hf_findings *out, struct hf_why *why)
{
    const mbedtls_x509_crt *crt = &chain->crt;
    for (size_t i = 0; i < chain->n_certs; i++, crt = crt->next) {
        const struct hf_cert *cert = &chain->certs[i];
        const char *lacking = hf_lint_device_lacks_key(lint->device, cert);
        if (cert->is_self_issued || hf_bundle_find_key(line->bundle, cert->spki_sha256) != NULL)
            continue;
        if (lacking == NULL)
            lacking = hf_lint_device_lacks_signature(lint->device, cert, crt);
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
