/* The certificates that a server has sent. No I/O. */
#ifndef HF_COMMON_TLS_CHAIN_H
#define HF_COMMON_TLS_CHAIN_H

#include <holdfast/bytes.h>

#define HF_CHAIN_CERTS_MAX 16 /* as sent; Mbed TLS follows a path of 8 intermediates */

/* What a server sent, in its order: its own certificate first. All zero is an empty one. */
struct hf_chain {
    struct hf_buf certs[HF_CHAIN_CERTS_MAX]; /* DER */
    size_t n_certs;
    /* MBEDTLS_X509_KU_…: what the key exchange of the handshake asks of the server's key; 0 is
     * digital signature, as in TLS 1.3 and with nearly all suites of TLS 1.2. */
    unsigned key_usage;
};

/** Append a copy of `der`. HF_E_LIMIT, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_chain_add(struct hf_chain *chain, struct hf_bytes der,
                                     struct hf_why *why);
void hf_chain_free(struct hf_chain *chain);

/** The same certificates in the same order. */
bool hf_chain_equal(const struct hf_chain *a, const struct hf_chain *b);

#endif
