/*
 * What does a server show? One real TLS handshake, and nothing of the application's protocol. The
 * chain is taken down whether it is valid or not, and the server must prove that it holds the key of
 * its certificate. What the chain is worth is chain_verdict.h's business.
 */
#ifndef HF_CLIENT_PORT_POSIX_PROBE_H
#define HF_CLIENT_PORT_POSIX_PROBE_H

#include "client/port/mbedtls/chain_verdict.h"
#include "client/port/posix/client_auth.h"
#include "client/port/posix/net.h"
#include "client/port/posix/tls_offer.h"

/* A client that has a certificate, and who may see it. All borrowed. */
struct hf_probe_client {
    struct hf_trust_store *store; /* the server's chain must validate against it first */
    struct hf_client_auth *auth;  /* NULL: shows nothing, and is as strict all the same */
};

struct hf_probe_request {
    struct hf_endpoint peer;
    const struct hf_endpoint *server; /* whom to ask for by SNI; NULL: the peer's own host */
    struct hf_tls_offer offer;
    const char *alpn; /* the one protocol to offer, 1 to 255 bytes; NULL: none */
    const struct hf_probe_client *client; /* NULL: judges nothing and shows nothing */
    struct hf_timeouts timeouts;
};

struct hf_probe_result {
    struct hf_chain chain;
    const char *tls_version;  /* "TLSv1.3"; static */
    const char *cipher_suite; /* static */
    bool has_chain_proof;     /* hf_sighting.has_chain_proof */
    /* Why the handshake did not come to its end although the server has proved its key, as when it
     * wants a certificate from the client; empty when it did. */
    char ending[HF_WHY_MAX];
};

/**
 * HF_OK: the server holds the key of the first certificate in `out->chain`. HF_E_NETWORK, HF_E_TLS
 * without such a proof; HF_E_UNTRUSTED when a `client` ended the handshake at the server's chain, so
 * that nothing was shown to it. hf_chain_free(&out->chain).
 */
HF_MUST_USE enum hf_err hf_probe(const struct hf_probe_request *request,
                                 struct hf_probe_result *out, struct hf_why *why);

/** Prove, by handshakes in memory, that probes with this `client` end at a chain that is not valid.
 *  As hf_trust_store_check_config. */
HF_MUST_USE enum hf_err hf_probe_check_client(const struct hf_probe_client *client,
                                              struct hf_why *why);

#endif
