/*
 * The transport port over sockets: HTTP/1.1 with keep-alive, plain or over TLS with SNI, through a
 * proxy where the environment names one (http_proxy, https_proxy, all_proxy, no_proxy). Answers are
 * parsed by llhttp, every wait has a deadline (limits.h), redirects are followed as redirect.h says.
 * An entity tag is sent to the server of the URL asked for, and taken from it, and to no other.
 *
 * HTTPS is validated against the device's own store and, besides, the update server's own CA. A
 * request that waives this goes over a connection of its own, as do the redirects it meets.
 */
#ifndef HF_CLIENT_PORT_POSIX_HTTP_TRANSPORT_H
#define HF_CLIENT_PORT_POSIX_HTTP_TRANSPORT_H

#include <holdfast/port.h>
#include <holdfast/trust_store.h>

#include "client/port/posix/redirect.h"

struct hf_http_transport;

/** `store` is borrowed and must outlive it. `server_ca_pem` may be NULL. `has_legacy_ciphers` as in
 *  struct hf_posix_config. */
HF_MUST_USE enum hf_err hf_http_transport_new(struct hf_trust_store *store,
                                              const char *server_ca_pem, bool has_legacy_ciphers,
                                              struct hf_http_transport **out, struct hf_why *why);
/** Hosts that any server may redirect to; none in a new transport. Copied. */
void hf_http_transport_allow_redirects(struct hf_http_transport *transport,
                                       const struct hf_redirect_targets *targets);
void hf_http_transport_free(struct hf_http_transport *transport);
struct hf_transport_port hf_http_transport_port(struct hf_http_transport *transport);

/** Close kept-alive connections; called after a run of requests. */
void hf_http_transport_idle(struct hf_http_transport *transport);

#endif
