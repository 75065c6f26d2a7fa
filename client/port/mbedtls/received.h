/*
 * A list of certificates as Mbed TLS has it in a handshake, judged by the one verifier
 * (common/chain). No I/O.
 */
#ifndef HF_CLIENT_PORT_MBEDTLS_RECEIVED_H
#define HF_CLIENT_PORT_MBEDTLS_RECEIVED_H

#include "common/chain/chain.h"

#include <mbedtls/x509_crt.h>

/* With HF_VERIFY_CERTS_MAX certificates it is 1 KiB. */
struct hf_received {
    const mbedtls_x509_crt *leaf; /* the server's own */
    struct hf_bytes certs[HF_VERIFY_CERTS_MAX];
    size_t n_certs;
};

/** `list` (borrowed) as the verifier has it, from the server's own certificate on. */
void hf_received_read(const mbedtls_x509_crt *list, struct hf_received *out);

struct hf_received_verdict {
    bool is_valid;
    uint32_t flags; /* MBEDTLS_X509_BADCERT_…; 0 where it is valid */
    /* The next certificate of a valid path, to be told to Mbed TLS as a trusted one: it checks one
     * signature then, and nothing else. Its subject reads as the issuer in the leaf, whose bytes it
     * points to. NULL where the list is not valid. */
    mbedtls_x509_crt *issuer;
};

/**
 * Judge `received`. `words` (NULL: not wanted; HF_WHY_MAX bytes) becomes why it is not valid, or
 * empty. HF_OK also where the first certificate cannot be read: then it is not valid. HF_E_MEMORY.
 * The caller frees `out->issuer` (hf_received_free_list).
 */
HF_MUST_USE enum hf_err hf_received_judge(const struct hf_received *received,
                                          const struct hf_anchor_sets *anchors,
                                          const struct hf_chain_context *context, char *words,
                                          struct hf_received_verdict *out);

/** What a verify callback does with the flags of a certificate first: clear those that Mbed TLS
 *  leaves to the verifier (deploy/mbedtls-*.patch). */
void hf_received_take_over(uint32_t *flags);

/** A list of copies that Mbed TLS may free as well; NULL is fine. */
void hf_received_free_list(mbedtls_x509_crt *list);

#endif
