/*
 * Verifications that are in progress on one thread, from the question of Mbed TLS for the issuer of
 * a server's certificate (the CA callback, where the whole list is judged) to the verify callback
 * for that certificate (where the verdict counts).
 *
 * A verification that stopped half-way (out of memory, a callback of the application that failed)
 * gives no notice. So a verdict is found again by the address and the bytes of the server's
 * certificate, and counts once, for HF_RUNNING_LIFE_S, and for the same generation of anchors only.
 * Where none is found, the list is judged again.
 */
#ifndef HF_CLIENT_PORT_MBEDTLS_RUNNING_H
#define HF_CLIENT_PORT_MBEDTLS_RUNNING_H

#include "client/port/mbedtls/received.h"
#include "common/base/digest.h"

/* An application's callback may open another connection, and so on. */
#define HF_RUNNING_MAX 4
/* An application may join the anchors of several stores. */
#define HF_RUNNING_STORES_MAX 4
/* An application's callback may wait for another server. */
#define HF_RUNNING_LIFE_S 60

/* What one store says. */
struct hf_running_store {
    const void *store; /* compared only */
    uint64_t generation;
    bool is_valid;
    uint32_t flags;
    /* For Mbed TLS, what it was told as the next certificate of a valid path. Compared, never
     * followed. */
    const mbedtls_x509_crt *issuer;
    /* Its verify callback was called for a certificate above the server's own: the application
     * counts what it says, also where another store is joined with it. */
    bool is_consulted;
    bool is_answered; /* and for the server's own: the verdict was given */
};

struct hf_running {
    const mbedtls_x509_crt *leaf; /* compared, never followed: it may be gone */
    uint8_t leaf_sha256[HF_SHA256_LEN];
    const mbedtls_x509_crt *last; /* of the list that the server sent; compared only */
    uint8_t last_sha256[HF_SHA256_LEN];
    const mbedtls_x509_crt *asked; /* about which Mbed TLS asked last; compared only */
    uint64_t issuer_hash;          /* of its issuer: the next one has that subject */
    int64_t at_s;
    /* A verify callback was called: the next question for this list begins a new verification. */
    bool is_closed;
    struct hf_running_store stores[HF_RUNNING_STORES_MAX];
    size_t n_stores;
};

/** The verification of the server's certificate `leaf` that runs at `now_s`; NULL: there is none on
 *  this thread. */
struct hf_running *hf_running_find(const mbedtls_x509_crt *leaf, int64_t now_s);

/** Does Mbed TLS ask about `crt` further up in the list of the newest one, or another store about
 *  the same certificate? Then that one; else NULL. */
struct hf_running *hf_running_continue(const mbedtls_x509_crt *crt);

/** The one in whose path `crt` is, above the server's own certificate; NULL: there is none. */
struct hf_running *hf_running_above(const mbedtls_x509_crt *crt);

/** A new one; an older one of the same address ends, or the oldest if there are HF_RUNNING_MAX. */
struct hf_running *hf_running_begin(const mbedtls_x509_crt *leaf, int64_t at_s);

void hf_running_end(struct hf_running *running);

/** What `store` said in it; NULL: it was not asked. */
struct hf_running_store *hf_running_store(struct hf_running *running, const void *store);

/** Note what it says. With more than HF_RUNNING_STORES_MAX it is not noted, and judged again. */
void hf_running_add(struct hf_running *running, struct hf_running_store said);

#endif
