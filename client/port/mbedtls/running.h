/*
 * Verifications that are in progress on one thread, from the question of Mbed TLS for the issuer of a
 * server's certificate (the CA callback, where the whole list is judged) to the verify callback for that
 * certificate (where the verdict counts).
 *
 * A verification that stopped half-way (out of memory, a callback of the application that failed) gives no
 * notice. So a verdict is found again by the address and the bytes of the server's certificate, and counts in
 * the same second and for the same generation of anchors only. Where none is found, the list is judged again.
 */
#ifndef HF_CLIENT_PORT_MBEDTLS_RUNNING_H
#define HF_CLIENT_PORT_MBEDTLS_RUNNING_H

#include "client/port/mbedtls/received.h"
#include "common/base/digest.h"

/* An application's callback may open another connection, and so on. */
#define HF_RUNNING_MAX 4
/* An application may join the anchors of several stores. */
#define HF_RUNNING_STORES_MAX 4

/* What one store says. */
struct hf_running_store {
    const void *store; /* compared only */
    uint64_t generation;
    bool is_valid;
    uint32_t flags;
    /* Its verify callback was called for a certificate above the server's own: the application counts what it
     * says, also where another store is joined with it. */
    bool is_consulted;
};

struct hf_running {
    const mbedtls_x509_crt *leaf; /* compared, never followed: it may be gone */
    uint8_t leaf_sha256[HF_SHA256_LEN];
    const mbedtls_x509_crt *last; /* of the list that the server sent; compared only */
    uint8_t last_sha256[HF_SHA256_LEN];
    uint64_t
        issuer_hash; /* of the certificate that was asked about last: the next one has that subject */
    int64_t at_s;
    bool
        is_closed; /* a verify callback was called: the next question for this list begins a new one */
    struct hf_running_store stores[HF_RUNNING_STORES_MAX];
    size_t n_stores;
};

/** The verification of the server's certificate `leaf` at `at_s`; NULL: there is none on this thread. */
struct hf_running *hf_running_find(const mbedtls_x509_crt *leaf, int64_t at_s);

/** Is `crt` the next certificate that Mbed TLS asks about in the newest one, further up in its list? Then that
 *  one; else NULL. */
struct hf_running *hf_running_continue(const mbedtls_x509_crt *crt);

/** The newest one; NULL: there is none. */
struct hf_running *hf_running_newest(void);

/** A new one; an older one of the same address ends, or the oldest if there are HF_RUNNING_MAX. */
struct hf_running *hf_running_begin(const mbedtls_x509_crt *leaf, int64_t at_s);

void hf_running_end(struct hf_running *running);

/** What `store` said in it; NULL: it was not asked. */
struct hf_running_store *hf_running_store(struct hf_running *running, const void *store);

/** Note what it says. With more than HF_RUNNING_STORES_MAX it is not noted, and judged again. */
void hf_running_add(struct hf_running *running, struct hf_running_store said);

#endif
