/*
 * TLS on one connection, over its non-blocking socket: the handshake with the server's rules
 * (tls.h), then bytes in both directions. Every step can wait for the socket in either direction.
 *
 * OpenSSL writes to the socket itself, without MSG_NOSIGNAL: the process ignores SIGPIPE.
 */
#ifndef HF_HTTP_TLS_CONN_H
#define HF_HTTP_TLS_CONN_H

#include "server/http/stream.h"
#include "server/http/tls.h"

struct hf_tls_conn {
    SSL *ssl;
    struct hf_tls_contexts *contexts; /* what it began under: a reference */
    const struct hf_tls_rules *rules; /* borrowed; NULL: none */
    struct hf_tls_peer peer;
    enum hf_tls_ask ask;
    char *sni;
    int refusal; /* the alert that the hello earned, 0 for none */

    int alert_sent, alert_received; /* -1: none */
    bool is_established;
    bool is_renegotiating;                  /* TLS 1.2: the client tries to; refused */
    bool is_broken;                         /* OpenSSL has given it up */
    bool has_input;                         /* the last read left something behind */
    bool is_writing;                        /* a record is half sent */
    unsigned waits_to_read, waits_to_write; /* HF_STREAM_INPUT or HF_STREAM_OUTPUT */
    uint64_t pushed;                        /* bytes that the socket took, up to hf_tls_pushed */
};

/** On an accepted socket, which stays the caller's. `rules` may be NULL. NULL without memory. */
struct hf_tls_conn *hf_tls_conn_new(struct hf_tls_server *server, const struct hf_tls_rules *rules,
                                    int fd);
/** NULL is fine. Sends nothing. */
void hf_tls_conn_free(struct hf_tls_conn *c);

/**
 * Go on with the handshake. HF_STREAM_DONE when it is complete and the rules accept it;
 * HF_STREAM_BLOCKED: wait as hf_tls_conn.waits_to_read says. HF_STREAM_BROKEN: it has failed, or
 * the client is gone, or the rules closed it; an alert, where there is one to tell, is sent.
 */
enum hf_stream_result hf_tls_handshake(struct hf_tls_conn *c);

/** As hf_stream_read and hf_stream_write. */
enum hf_stream_result hf_tls_read(struct hf_tls_conn *c, void *data, size_t size, size_t *len);
enum hf_stream_result hf_tls_write(struct hf_tls_conn *c, struct hf_bytes data, size_t *sent);

/** Bytes that the socket took since the last call. */
size_t hf_tls_pushed(struct hf_tls_conn *c);

/** Send close_notify, as far as the socket takes it at once. */
void hf_tls_end(struct hf_tls_conn *c);

/** Do the rules let the connection go on? */
bool hf_tls_is_allowed(const struct hf_tls_conn *c);

/* Between tls_conn.c and tls_handshake.c: the certificate and its hash, or none. */
void hf_tls_set_leaf(struct hf_tls_peer *peer, X509 *leaf);

#endif
