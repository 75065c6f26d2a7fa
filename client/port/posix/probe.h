/*
 * What does a server show? common/tls/tls_look.h over a socket, and with the certificate of a client
 * where there is one. What the chain is worth is chain_verdict.h's business.
 */
#ifndef HF_CLIENT_PORT_POSIX_PROBE_H
#define HF_CLIENT_PORT_POSIX_PROBE_H

#include "client/port/mbedtls/chain_verdict.h"
#include "client/port/posix/client_auth.h"
#include "common/os/net.h"
#include "common/tls/tls_look.h"

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

/** As hf_tls_look; HF_E_NETWORK also without a connection. */
HF_MUST_USE enum hf_err hf_probe(const struct hf_probe_request *request,
                                 struct hf_tls_look_result *out, struct hf_why *why);

/** Prove, by handshakes in memory, that probes with this `client` end at a chain that is not valid.
 *  As hf_trust_store_check_config. */
HF_MUST_USE enum hf_err hf_probe_check_client(const struct hf_probe_client *client,
                                              struct hf_why *why);

#endif
