/*
 * What does a server show? One TLS handshake whose only purpose is the chain, over a transport of
 * the caller. The chain is taken down whether it is valid or not, and the server must prove that it
 * holds the key of its certificate. Nothing of the application's protocol is sent. What the chain
 * is worth is for others to judge.
 */
#ifndef HF_COMMON_TLS_TLS_PROBE_H
#define HF_COMMON_TLS_TLS_PROBE_H

#include "common/chain/chain.h"
#include "common/tls/endpoint.h"
#include "common/tls/tls_offer.h"

#include <mbedtls/x509_crt.h>

/* What carries the records, and looks at its deadline with each of them: one call of Mbed TLS may
 * take any number, as long as a peer sends them without pause. */
struct hf_tls_transport {
    void *ctx;
    mbedtls_ssl_send_t *send; /* as mbedtls_ssl_set_bio has them; they never wait */
    mbedtls_ssl_recv_t *receive;
    /* A call of Mbed TLS ended with `code`. HF_OK: wait no longer, call again. */
    enum hf_err (*wait)(void *ctx, int code, struct hf_why *why);
};

/* A client that is strict about the server, and has something to show. */
struct hf_tls_probe_client {
    void *ctx;
    /* Trust, and a certificate, for a configuration of hf_handshake_config. */
    enum hf_err (*configure)(void *ctx, mbedtls_ssl_config *config, struct hf_why *why);
    /* As mbedtls_ssl_set_verify has it; a fault ends the handshake. */
    int (*verify)(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags);
};

/* All borrowed. */
struct hf_tls_probe_request {
    const struct hf_endpoint *server; /* whom to ask for by SNI */
    struct hf_tls_offer offer;
    const char *alpn;                         /* the one protocol to offer; NULL: none */
    const struct hf_tls_probe_client *client; /* NULL: judges nothing and shows nothing */
};

struct hf_tls_probe_result {
    struct hf_chain chain;
    const char *tls_version;  /* "TLSv1.3"; static */
    const char *cipher_suite; /* static */
    bool has_chain_proof;     /* hf_handshake_has_proved_chain */
    /* Why the handshake did not come to its end although the server has proved its key, as when it
     * wants a certificate from the client; empty when it did. */
    char ending[HF_WHY_MAX];
    /* The one field that is written without such a proof, too: a certificate of the server cannot
     * be read, or is not supported, so that the handshake failed. */
    bool is_unusable;
};

/**
 * HF_OK: the server holds the key of the first certificate in `out->chain`. HF_E_NETWORK, HF_E_TLS
 * without such a proof; HF_E_UNTRUSTED when a `client` ended the handshake at the server's chain,
 * so that nothing was shown to it; HF_E_LIMIT for a chain that is too long; HF_E_MEMORY.
 * hf_chain_free(&out->chain).
 */
HF_MUST_USE enum hf_err hf_tls_probe(const struct hf_tls_probe_request *request,
                                     const struct hf_tls_transport *transport,
                                     struct hf_tls_probe_result *out, struct hf_why *why);

#endif
