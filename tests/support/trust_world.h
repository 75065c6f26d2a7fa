/*
 * A trust store, a client bound to it, and servers to meet: for tests of the live trust store. The
 * clock stands at WORLD_NOW until a test moves it. What goes wrong fails the running test (cmocka).
 */
#ifndef HF_TESTS_SUPPORT_TRUST_WORLD_H
#define HF_TESTS_SUPPORT_TRUST_WORLD_H

#include "tests/support/tls_pair.h"

#include <holdfast/trust_store.h>

#define WORLD_NOW INT64_C(1780272000) /* 2026-06-01 */
#define WORLD_LIST_MAX 16

extern const mbedtls_ssl_protocol_version world_versions[2]; /* TLS 1.2 and 1.3 */

struct world {
    struct hf_trust_store *store;
    mbedtls_ssl_config config;            /* of the client */
    mbedtls_ssl_protocol_version version; /* that client and servers speak */
    struct pki_key root, other, middle, leaf;
};

void world_make(struct world *w, mbedtls_ssl_protocol_version version);
void world_free(struct world *w);

/* Anchors to be trusted. Zero is an empty list. */
struct world_anchors {
    struct hf_buf der[WORLD_LIST_MAX];
    struct hf_trust_anchor at[WORLD_LIST_MAX];
    size_t n;
};

/** Issue and add; the result is for setting distrust_after_s and remove_after_s. */
struct hf_trust_anchor *world_add(struct world_anchors *anchors, const struct pki_cert *cert);
/** Swap, and forget the list. */
void world_trust(struct world *w, struct world_anchors *anchors);
/** Swap to this one root with the default dates. */
void world_trust_root(struct world *w, const char *subject, struct pki_key *key);

/* What a server presents, leaf first. Zero is an empty one. */
struct world_chain {
    struct hf_buf der[WORLD_LIST_MAX];
    size_t n;
};

void world_present(struct world_chain *chain, const struct pki_cert *cert);
/** A leaf for TLS_HOST with w->leaf as its key, issued on that day (0: the default). */
void world_present_leaf(struct world *w, struct world_chain *chain, const char *issuer,
                        struct pki_key *issuer_key, int64_t not_before_s);
void world_chain_clear(struct world_chain *chain);

/** A server for this chain with the private key `key`; tls_server_free it. */
void world_serve(struct world *w, struct tls_server *server, const struct world_chain *chain,
                 struct pki_key *key);

/** What hf_trust_store_bind does with a list of certificates, without a handshake: is it valid? */
bool world_verify_list(struct hf_trust_store *store, mbedtls_x509_crt *list);

/** One handshake with a server that presents `chain` for w->leaf: 0, or the verification flags. */
uint32_t world_verdict(struct world *w, const struct world_chain *chain);
/** The same with another private key. */
uint32_t world_verdict_for_key(struct world *w, const struct world_chain *chain,
                               struct pki_key *key);

#endif
