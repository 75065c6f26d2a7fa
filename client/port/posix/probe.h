/*
 * What does a server show? One real TLS handshake that judges nothing: the chain is taken down
 * whether it is valid or not, and the server must prove that it holds the key of its certificate.
 * What the chain is worth is chain_verdict.h's business.
 */
#ifndef HF_CLIENT_PORT_POSIX_PROBE_H
#define HF_CLIENT_PORT_POSIX_PROBE_H

#include "client/port/mbedtls/chain_verdict.h"
#include "client/port/posix/net.h"

struct hf_probe_request {
    struct hf_endpoint peer;
    const struct hf_endpoint *server; /* whom to ask for by SNI; NULL: the peer's own host */
    bool is_tls12_only;
    struct hf_timeouts timeouts;
};

struct hf_probe_result {
    struct hf_chain chain;
    const char *tls_version;  /* "TLSv1.3"; static */
    const char *cipher_suite; /* static */
    /* Why the handshake did not come to its end although the server has proved its key, as when it
     * wants a certificate from the client; empty when it did. */
    char ending[HF_WHY_MAX];
};

/**
 * HF_OK: the server holds the key of the first certificate in `out->chain`. HF_E_NETWORK, HF_E_TLS
 * without such a proof. hf_chain_free(&out->chain).
 */
HF_MUST_USE enum hf_err hf_probe(const struct hf_probe_request *request,
                                 struct hf_probe_result *out, struct hf_why *why);

#endif
