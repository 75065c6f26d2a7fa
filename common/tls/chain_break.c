#include "common/tls/chain_break.h"

#include "common/bundle/x509_name.h"
#include "common/bundle/x509_usage.h"

#include <stdio.h>

static bool is_issuer_by_name(const mbedtls_x509_crt *issuer, const mbedtls_x509_crt *child)
{
    return hf_name_hash(&issuer->subject) == hf_name_hash(&child->issuer);
}

/* Why Mbed TLS did not go on from `crt` to this certificate, which the server sent behind it. */
static void explain(const mbedtls_x509_crt *crt, mbedtls_x509_crt *issuer, const char *name,
                    char out[HF_CHAIN_BREAK_MAX])
{
    if (!hf_x509_is_ca(issuer))
        (void)snprintf(out, HF_CHAIN_BREAK_MAX,
                       "its issuer \"%s\" is not a CA (basicConstraints, keyUsage keyCertSign)",
                       name);
    else if (!hf_x509_is_signed_with(crt, &issuer->pk))
        (void)snprintf(out, HF_CHAIN_BREAK_MAX,
                       "its signature does not verify with the key of its issuer \"%s\"", name);
    else if (issuer->MBEDTLS_PRIVATE(max_pathlen) > 0)
        (void)
            snprintf(out, HF_CHAIN_BREAK_MAX,
                     "its issuer \"%s\" allows no more than %d intermediate certificates below it "
                     "(path length)",
                     name, issuer->MBEDTLS_PRIVATE(max_pathlen) - 1);
    else
        (void)snprintf(out, HF_CHAIN_BREAK_MAX, "the path above it ends in no trust anchor");
}

/* Mbed TLS looks for an issuer in the trust store, and in what was sent behind the certificate. */
bool hf_chain_break_words(const mbedtls_x509_crt *crt, mbedtls_x509_crt *sent, const char *issuer,
                          char out[HF_CHAIN_BREAK_MAX])
{
    for (mbedtls_x509_crt *next = crt->next; next != NULL; next = next->next) {
        if (!is_issuer_by_name(next, crt))
            continue;
        explain(crt, next, issuer, out);
        return true;
    }
    for (mbedtls_x509_crt *before = sent; before != NULL && before != crt; before = before->next) {
        if (!is_issuer_by_name(before, crt) || !hf_x509_is_signed_with(crt, &before->pk))
            continue;
        (void)snprintf(out, HF_CHAIN_BREAK_MAX,
                       "its issuer \"%s\" was sent before it: the server's chain is out of order",
                       issuer);
        return true;
    }
    return false;
}
