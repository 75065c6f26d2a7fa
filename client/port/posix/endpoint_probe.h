/*
 * What does a server show? common/tls/tls_probe.h over a socket, and with the certificate of a
 * client where there is one. What the chain is worth is chain.h's business.
 */
#ifndef HF_CLIENT_PORT_POSIX_ENDPOINT_PROBE_H
#define HF_CLIENT_PORT_POSIX_ENDPOINT_PROBE_H

#include <holdfast/error.h>
#include <holdfast/posix.h>

#include "client/port/identity/client_auth.h"
#include "common/os/net.h"
#include "common/tls/tls_probe.h"

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

/** What the core's `offer` is in a ClientHello. */
struct hf_tls_offer hf_probe_offer(enum hf_offer offer, bool has_legacy_ciphers);

/** As hf_tls_probe; HF_E_NETWORK also without a connection. */
HF_MUST_USE enum hf_err hf_probe(const struct hf_probe_request *request,
                                 struct hf_tls_probe_result *out, struct hf_why *why);

/*
 * The endpoint port over sockets: looks at the chains that the device's own servers show, with TLS
 * handshakes and nothing more. Proxies are not used: this is about the servers themselves.
 *
 * Where the device has a client certificate, it is shown to a server only if its chain validates
 * under the anchors of all sets together; the holder of a CA that is being dropped never sees it,
 * since the sets are without that. Every other handshake shows nothing and takes the chain down as
 * it is.
 */

struct hf_endpoint_probe;

/** Copies what `config` says of endpoints and of the client certificate, which is read again at
 *  each look: one that cannot be read is logged and not shown. `*key` is read then too: the key of
 *  the port, or NULL; `key` may be NULL, and must outlive the probe. HF_E_ARGUMENT, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_endpoint_probe_new(const struct hf_posix_config *config,
                                              const struct hf_device_key *const *key,
                                              struct hf_log_port log,
                                              struct hf_endpoint_probe **out, struct hf_why *why);
void hf_endpoint_probe_free(struct hf_endpoint_probe *probe);

/** All zero where there is no endpoint. */
struct hf_endpoint_port hf_endpoint_probe_port(struct hf_endpoint_probe *probe);

#endif
