#include "client/port/mbedtls/received.h"

#include "common/bundle/certificate.h"

#include <mbedtls/platform.h>

#include <stdio.h>

void hf_received_read(const mbedtls_x509_crt *list, struct hf_received *out)
{
    *out = (struct hf_received){.leaf = list};
    for (; list != NULL && out->n_certs < HF_VERIFY_CERTS_MAX; list = list->next)
        out->certs[out->n_certs++] = (struct hf_bytes){list->raw.p, list->raw.len};
}

void hf_received_take_over(uint32_t *flags)
{
    (void)flags; /* of a Mbed TLS without the patches */
#ifdef MBEDTLS_X509_BADCERT_CRITICAL_EXT
    *flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_CRITICAL_EXT;
#endif
#ifdef MBEDTLS_X509_BADCERT_COMMON_NAME
    if ((*flags & MBEDTLS_X509_BADCERT_COMMON_NAME) != 0 && hf_common_names_are_accepted())
        *flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_CN_MISMATCH;
    *flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_COMMON_NAME;
#endif
}

void hf_received_free_list(mbedtls_x509_crt *list)
{
    mbedtls_x509_crt_free(list);
    mbedtls_free(list);
}

/* Mbed TLS compares names byte by byte, but for the case of ASCII letters. The verdict has found
 * the two to be the same, so the issuer's copy gets the name as the leaf has it. */
static int take_name(mbedtls_x509_crt *issuer, const mbedtls_x509_crt *leaf)
{
    const mbedtls_x509_name *from = &leaf->issuer;
    mbedtls_x509_name *to = &issuer->subject;

    mbedtls_asn1_free_named_data_list_shallow(to->next);
    *to = *from;
    to->next = NULL;
    while ((from = from->next) != NULL) {
        to->next = mbedtls_calloc(1, sizeof *to->next);
        if (to->next == NULL)
            return MBEDTLS_ERR_X509_ALLOC_FAILED;
        to = to->next;
        *to = *from;
        to->next = NULL;
    }
    return 0;
}

/* Names that a CA may not issue for, policies and extensions have no flag of their own in Mbed
 * TLS. */
static uint32_t flags_of(unsigned faults)
{
    static const struct {
        unsigned faults;
        uint32_t flag;
    } flags[] = {
        {HF_FAULT_EXPIRED, MBEDTLS_X509_BADCERT_EXPIRED},
        {HF_FAULT_NOT_YET_VALID, MBEDTLS_X509_BADCERT_FUTURE},
        {HF_FAULT_HOST, MBEDTLS_X509_BADCERT_CN_MISMATCH},
        {HF_FAULT_KEY_USAGE, MBEDTLS_X509_BADCERT_KEY_USAGE},
        {HF_FAULT_EXT_KEY_USAGE, MBEDTLS_X509_BADCERT_EXT_KEY_USAGE},
        {HF_FAULT_ALGORITHM, MBEDTLS_X509_BADCERT_BAD_MD},
        {HF_FAULT_KEY, MBEDTLS_X509_BADCERT_BAD_KEY},
        {HF_FAULT_CONSTRAINTS | HF_FAULT_POLICY | HF_FAULT_EXTENSION | HF_FAULT_NO_ISSUER |
             HF_FAULT_LIMIT,
         MBEDTLS_X509_BADCERT_NOT_TRUSTED},
    };
    uint32_t out = 0;

    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if ((faults & flags[i].faults) != 0)
            out |= flags[i].flag;
    return out;
}

static uint32_t flags_of_path(const struct hf_verdict *verdict)
{
    unsigned faults = 0;

    for (size_t i = 0; i < verdict->n_path; i++)
        faults |= verdict->path[i].faults;
    return faults == 0 ? MBEDTLS_X509_BADCERT_NOT_TRUSTED : flags_of(faults);
}

enum hf_err hf_received_judge(const struct hf_received *received,
                              const struct hf_anchor_sets *anchors,
                              const struct hf_chain_context *context, char *words,
                              struct hf_received_verdict *out)
{
    struct hf_verdict verdict = {0};
    const struct hf_judged judged = {received->certs, received->n_certs, anchors, context,
                                     &verdict};
    struct hf_why why = {0};
    enum hf_err err = hf_verify(received->certs, received->n_certs, anchors, context, &verdict,
                                &why);

    if (words != NULL)
        words[0] = '\0';
    if (err == HF_E_MEMORY)
        return err;
    *out = (struct hf_received_verdict){.is_valid = err == HF_OK && verdict.is_valid};
    if (out->is_valid) {
        size_t index = verdict.path[1].index;
        struct hf_bytes issuer = index == HF_VERIFY_ANCHOR ? verdict.anchor.der
                                                           : received->certs[index];
        /* A copy that owns its bytes: Mbed TLS looks at it until the verification ends, and by then
         * the anchors may have been swapped. */
        out->issuer = hf_x509_new();
        if (out->issuer != NULL && hf_x509_parse(out->issuer, issuer, true) == 0 &&
            take_name(out->issuer, received->leaf) == 0)
            return HF_OK;
        hf_received_free_list(out->issuer);
        *out = (struct hf_received_verdict){0};
        return HF_E_MEMORY;
    }
    out->flags = err == HF_OK ? flags_of_path(&verdict) : MBEDTLS_X509_BADCERT_NOT_TRUSTED;
    if (words != NULL && err != HF_OK)
        (void)snprintf(words, HF_WHY_MAX, "%s", why.text);
    else if (words != NULL)
        hf_words_refusal(&judged, words);
    return HF_OK;
}
