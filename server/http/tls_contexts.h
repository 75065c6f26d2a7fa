/*
 * One generation of a server's certificates, as OpenSSL contexts: immutable once it is made,
 * counted, and held by the connections that began under it.
 */
#ifndef HF_HTTP_TLS_CONTEXTS_H
#define HF_HTTP_TLS_CONTEXTS_H

#include "server/http/tls.h"
#include "server/http/tls_tickets.h"

/* The certificates with one set of names. */
struct hf_tls_site {
    SSL_CTX *ctx;
    X509 *leaf; /* of the first of them, for its names; a reference */
};

struct hf_tls_contexts {
    atomic_uint references;
    struct hf_tls_tickets *tickets; /* the server's, which outlives this */
    size_t n_sites;
    struct hf_tls_site sites[HF_TLS_CERTIFICATES_MAX];
};

/** As hf_tls_server_new; `*out` has one reference. */
HF_MUST_USE enum hf_err hf_tls_contexts_read(const struct hf_tls_certificate *certificates,
                                             size_t n, struct hf_tls_tickets *tickets,
                                             struct hf_tls_contexts **out, struct hf_why *why);
/** NULL is fine, as for hf_tls_contexts_unref (tls.h); from any thread. */
struct hf_tls_contexts *hf_tls_contexts_ref(struct hf_tls_contexts *c);

/** The context for a client that asks for `sni` (NULL: it did not say). */
SSL_CTX *hf_tls_contexts_choose(const struct hf_tls_contexts *c, const char *sni);

/* ---- for connections (tls.c) ----------------------------------------------------------------- */

/** The current generation, with a reference. */
struct hf_tls_contexts *hf_tls_server_contexts(struct hf_tls_server *server);

/* What a connection does in its handshake (tls_handshake.c), which contexts hand to OpenSSL. */
int hf_tls_on_hello(SSL *ssl, int *alert, void *unused);
int hf_tls_on_name(SSL *ssl, int *alert, void *unused);
int hf_tls_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *offer, unsigned int offer_len, void *unused);
int hf_tls_on_certificate(X509_STORE_CTX *store, void *unused);
int hf_tls_on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                         EVP_MAC_CTX *mac, int is_new);
SSL_TICKET_RETURN hf_tls_on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                   size_t name_len, SSL_TICKET_STATUS status, void *unused);
void hf_tls_on_info(const SSL *ssl, int where, int value);

#endif
