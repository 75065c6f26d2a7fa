/*
 * The transport's TLS: a client that trusts the device's live store and, besides, the update
 * server's own CA, and that says in words why it does not trust a server.
 */
#ifndef HF_CLIENT_PORT_POSIX_TLS_CONN_H
#define HF_CLIENT_PORT_POSIX_TLS_CONN_H

#include "common/os/net.h"

#include <holdfast/trust_store.h>

/* What all connections of one transport share, saved sessions too. For one thread. */
struct hf_tls_client;

/** Both stores are borrowed and must outlive it; `server_ca` may be NULL. `has_legacy_ciphers` as in
 *  struct hf_tls_offer. HF_E_TLS, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_tls_client_new(struct hf_trust_store *device,
                                          struct hf_trust_store *server_ca, bool has_legacy_ciphers,
                                          struct hf_tls_client **out, struct hf_why *why);
/** One that does not judge the server's chain, for recovery: a server has but to hold the key of the
 *  certificate it shows. It offers and keeps no session, and shows no certificate. */
HF_MUST_USE enum hf_err hf_tls_client_new_unvalidated(bool has_legacy_ciphers,
                                                      struct hf_tls_client **out,
                                                      struct hf_why *why);
/** No connection of it may be open any more. */
void hf_tls_client_free(struct hf_tls_client *client);

struct hf_tls_conn;

/**
 * Handshake with `peer` over `fd`, which stays the caller's, resuming a saved session where there
 * is one. HF_E_UNTRUSTED: its chain is not valid; HF_E_TLS, HF_E_NETWORK, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_tls_conn_open(struct hf_tls_client *client, int fd,
                                         const struct hf_endpoint *peer,
                                         const struct hf_deadline *deadline,
                                         struct hf_tls_conn **out, struct hf_why *why);
/** "TLSv1.3"; static. */
const char *hf_tls_conn_version(const struct hf_tls_conn *conn);
void hf_tls_conn_close(struct hf_tls_conn *conn);

/** As hf_net_send and hf_net_receive; an end without close_notify is an error, it may be a cut. */
HF_MUST_USE enum hf_err hf_tls_conn_send(struct hf_tls_conn *conn, struct hf_bytes data,
                                         const struct hf_deadline *deadline, struct hf_why *why);
HF_MUST_USE enum hf_err hf_tls_conn_receive(struct hf_tls_conn *conn, void *data, size_t cap,
                                            const struct hf_deadline *deadline, size_t *out_len,
                                            struct hf_why *why);

/** Nothing has come but, perhaps, session tickets. */
bool hf_tls_conn_is_quiet(struct hf_tls_conn *conn);

#endif
