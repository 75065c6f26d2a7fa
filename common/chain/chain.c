#include "common/chain/chain.h"

#include "common/base/plaintext.h"

#include <mbedtls/x509.h>

#include <stdlib.h>
#include <string.h>

enum hf_err hf_chain_add(struct hf_chain *chain, struct hf_bytes der, struct hf_why *why)
{
    struct hf_buf copy = {0};

    if (chain->n_certs == HF_CHAIN_CERTS_MAX)
        return hf_fail(why, HF_E_LIMIT, "the chain has more than %d certificates",
                       HF_CHAIN_CERTS_MAX);
    if (hf_buf_append(&copy, der.data, der.len) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "no memory for a certificate");
    chain->certs[chain->n_certs++] = copy;
    return HF_OK;
}

void hf_chain_free(struct hf_chain *chain)
{
    for (size_t i = 0; i < chain->n_certs; i++)
        hf_buf_free(&chain->certs[i]);
    chain->n_certs = 0;
}

bool hf_chain_equal(const struct hf_chain *a, const struct hf_chain *b)
{
    for (size_t i = 0; i < a->n_certs && i < b->n_certs; i++) {
        if (!hf_bytes_equal(hf_buf_bytes(&a->certs[i]), hf_buf_bytes(&b->certs[i])))
            return false;
    }
    return a->n_certs == b->n_certs;
}

/* Each certificate for people. The first one must be readable: the verdict is about it. */
static enum hf_err describe(const struct hf_chain *chain, bool has_common_names,
                            struct hf_chain_verdict *out, struct hf_why *why)
{
    struct hf_certificate cert;
    struct hf_why reason = {0};

    for (size_t i = 0; i < chain->n_certs; i++) {
        struct hf_cert_verdict *v = &out->certs[i];
        struct hf_bytes der = hf_buf_bytes(&chain->certs[i]);
        enum hf_err err = hf_cert_parse_sent(der, &v->cert, &reason);
        bool is_read = hf_certificate_parse(der, &cert);
        if (err == HF_E_MEMORY || (i == 0 && err != HF_OK))
            return hf_fail(why, err, "certificate %zu of the chain: %s", i, reason.text);
        if (is_read)
            hf_x509_form_name(cert.form.subject, v->cert.subject);
        if (i == 0 && is_read)
            hf_words_names(&cert, has_common_names, v->names);
        if (err != HF_OK || !is_read)
            hf_text_append(v->faults, sizeof v->faults, "cannot be read, so it is left aside: %s",
                           err != HF_OK ? reason.text : "a field of it is damaged");
    }
    return HF_OK;
}

/* What the path says of the certificates, in words. */
static void note_path(const struct hf_judged *judged, struct hf_chain_verdict *out)
{
    const struct hf_verdict *verdict = judged->verdict;
    unsigned constraints_left = HF_VERIFY_CONSTRAINTS_MAX;
    char subject[HF_DN_TEXT_MAX];
    struct hf_certificate anchor;

    for (size_t i = 0; i < verdict->n_path; i++) {
        size_t index = verdict->path[i].index;
        /* What is wrong with an anchor that was not sent is told of the certificate below it. */
        struct hf_cert_verdict
            *v = &out->certs[index != HF_VERIFY_ANCHOR ? index : verdict->path[i - 1].index];
        v->is_in_path = true;
        if (verdict->path[i].faults != 0 && index == HF_VERIFY_ANCHOR &&
            hf_certificate_parse(verdict->anchor.der, &anchor)) {
            hf_x509_form_name(anchor.form.subject, subject);
            hf_text_append(v->faults, sizeof v->faults,
                           "%sits trust anchor \"%s\": ", v->faults[0] == '\0' ? "" : ", ",
                           subject);
        }
        hf_words_step(judged, i, &constraints_left, v->faults, sizeof v->faults);
    }
}

/* Is an unknown issuer all that is wrong? */
static bool lacks_only_anchor(const struct hf_judged *judged)
{
    const struct hf_verdict *verdict = judged->verdict;
    unsigned faults = 0;

    for (size_t i = 0; i < verdict->n_path; i++)
        faults |= verdict->path[i].faults;
    return faults == HF_FAULT_NO_ISSUER && hf_words_lacks_anchor(judged, false);
}

/* An anchor that was sent as well is part of the path, too. */
static void note_anchor(const struct hf_verdict *verdict, const struct hf_chain *chain,
                        struct hf_chain_verdict *out)
{
    struct hf_bytes der = verdict->anchor.der;

    out->has_anchor = der.data != NULL && hf_cert_parse(der, &out->anchor, NULL) == HF_OK;
    /* The set of anchors may be gone while the verdict is used. */
    out->anchor.subject_der = out->anchor.issuer_der = (struct hf_bytes){0};
    for (size_t i = 0; i < chain->n_certs && out->has_anchor; i++)
        if (hf_bytes_equal(hf_buf_bytes(&chain->certs[i]), der))
            out->certs[i].is_in_path = true;
}

enum hf_err hf_chain_judge(const struct hf_chain *chain, const struct hf_anchors *anchors,
                           const struct hf_chain_context *context, struct hf_chain_verdict *out,
                           struct hf_why *why)
{
    struct hf_chain_verdict told = {.n_certs = chain->n_certs};
    struct hf_chain_context own_context = *context;
    struct hf_bytes certs[HF_CHAIN_CERTS_MAX];
    const struct hf_anchor_sets sets = {{anchors}, 1};
    struct hf_verdict verdict = {0};

    if (chain->n_certs == 0)
        return hf_fail(why, HF_E_FORMAT, "the server sent no certificate");
    for (size_t i = 0; i < chain->n_certs; i++)
        certs[i] = hf_buf_bytes(&chain->certs[i]);
    own_context.has_common_names = own_context.has_common_names || hf_common_names_are_accepted();
    if (own_context.key_usage == 0)
        own_context.key_usage = chain->key_usage != 0 ? chain->key_usage
                                                      : MBEDTLS_X509_KU_DIGITAL_SIGNATURE;
    told.certs = calloc(chain->n_certs, sizeof *told.certs);
    if (told.certs == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory to verify a chain");
    enum hf_err err = describe(chain, own_context.has_common_names, &told, why);
    if (err == HF_OK)
        err = hf_verify(certs, chain->n_certs, &sets, &own_context, &verdict, why);
    if (err != HF_OK) {
        hf_chain_verdict_free(&told);
        return err;
    }
    const struct hf_judged judged = {certs, chain->n_certs, &sets, &own_context, &verdict};
    told.is_valid = verdict.is_valid;
    told.lacks_anchor = hf_words_lacks_anchor(&judged, true);
    told.lacks_only_anchor = lacks_only_anchor(&judged);
    note_path(&judged, &told);
    note_anchor(&verdict, chain, &told);
    *out = told;
    return HF_OK;
}

void hf_chain_verdict_free(struct hf_chain_verdict *verdict)
{
    free(verdict->certs);
    *verdict = (struct hf_chain_verdict){0};
}

void hf_chain_verdict_faults(const struct hf_chain_verdict *verdict, char out[HF_WHY_MAX])
{
    out[0] = '\0';
    for (size_t i = 0; i < verdict->n_certs; i++) {
        const struct hf_cert_verdict *v = &verdict->certs[i];
        if (v->faults[0] != '\0')
            hf_text_append(out, HF_WHY_MAX, "%scertificate %zu \"%s\": %s",
                           out[0] == '\0' ? "" : "; ", i, v->cert.subject, v->faults);
    }
}
