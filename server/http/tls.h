/*
 * TLS for a server, by OpenSSL 3: versions 1.2 and 1.3, no compression, no renegotiation, no early
 * data. This header is what a server configures and what it decides: its certificates, and the
 * rules about those of clients. One connection is in tls_conn.h.
 *
 * What resumes a session is in a ticket that the client keeps. The keys of tickets are in memory
 * only, change by time, and survive new certificates.
 */
#ifndef HF_HTTP_TLS_H
#define HF_HTTP_TLS_H

#include "common/base/digest.h"
#include "server/http/limits.h"

#include <holdfast/error.h>

#include <openssl/ssl.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- a server's certificates ----------------------------------------------------------------- */

/** Two files in PEM: the server's certificate with the intermediates that it sends, and the private
 *  key, which other users must not be able to read. */
struct hf_tls_certificate {
    const char *chain_path;
    const char *key_path;
};

struct hf_tls_server;

/**
 * Certificates with exactly the same names (subjectAltName, byte by byte) belong together and
 * differ in the kind of key: the client's algorithms decide between RSA and ECDSA. Several sets of
 * names are told apart by the name that the client sends (SNI); the first set is for all other
 * clients. At most HF_TLS_CERTIFICATES_MAX. The texts are not kept.
 *
 * HF_E_ARGUMENT, HF_E_NOT_FOUND, HF_E_FORMAT, HF_E_KEY, HF_E_LIMIT, HF_E_MEMORY, in words.
 */
HF_MUST_USE enum hf_err hf_tls_server_new(const struct hf_tls_certificate *certificates, size_t n,
                                          struct hf_tls_server **out, struct hf_why *why);

struct hf_tls_contexts;
/** Read certificates again, or others. They are handed to hf_tls_server_take, which cannot fail, so
 *  that several servers change at once, or to hf_tls_contexts_unref. From any thread. Does file
 *  I/O. */
HF_MUST_USE enum hf_err hf_tls_server_read(struct hf_tls_server *server,
                                           const struct hf_tls_certificate *certificates, size_t n,
                                           struct hf_tls_contexts **out, struct hf_why *why);
/** For handshakes that begin after this; connections go on with what they have. From any thread. */
void hf_tls_server_take(struct hf_tls_server *server, struct hf_tls_contexts *fresh);
void hf_tls_contexts_unref(struct hf_tls_contexts *contexts);

/** Change the keys of tickets now: tickets of the last but one key are worth nothing any more, so
 *  two calls make all of them void. HF_E_MEMORY without random numbers. From any thread. */
HF_MUST_USE enum hf_err hf_tls_server_rotate_tickets(struct hf_tls_server *server,
                                                     struct hf_why *why);

/** After the last loop that uses it has ended. NULL is fine. */
void hf_tls_server_free(struct hf_tls_server *server);

/* ---- rules about clients --------------------------------------------------------------------- */

/** Who is at the other end, as far as TLS knows. */
struct hf_tls_peer {
    uint64_t tag;     /* what rules->hello said */
    const char *sni;  /* in lower case; NULL: the client sent no name */
    unsigned version; /* TLS1_2_VERSION or TLS1_3_VERSION */
    bool is_resumed;
    X509 *leaf; /* NULL: no certificate. Borrowed; lives as long as the connection */
    uint8_t sha256[HF_SHA256_LEN]; /* of the leaf's DER */
    uint64_t mark; /* the rules' own, 0 at first; what `certificate` writes is there later */
};

enum hf_tls_ask {
    HF_TLS_ASK_NOTHING,
    HF_TLS_ASK_OPTIONAL,
    HF_TLS_ASK_REQUIRED, /* without one: certificate_required, in TLS 1.2 handshake_failure */
};

/**
 * What a server decides about its clients. All functions are called on the loop's thread, must not
 * wait, and get the `ctx` of that loop. An alert is its number of RFC 8446, 6.2 (SSL_AD_…); 0 goes
 * on. Only these alerts are sent exactly for a certificate: handshake_failure, bad_certificate,
 * unsupported_certificate, certificate_revoked, certificate_expired, unknown_ca, decrypt_error,
 * internal_error; another one becomes handshake_failure.
 */
struct hf_tls_rules {
    void *ctx;

    /**
     * The client has said hello: peer->sni and peer->version are known. 0 with `*ask` and
     * peer->tag, or the alert to refuse it with. A session resumes only under the same tag. May be
     * called twice in a handshake; the last counts.
     */
    int (*hello)(void *ctx, struct hf_tls_peer *peer, enum hf_tls_ask *ask);

    /**
     * The client has sent a certificate; `chain` begins with it and is in the order of the client.
     * It has not yet proved that it has the key: nothing may be recorded. 0, or the alert. Nothing
     * else verifies it.
     */
    int (*certificate)(void *ctx, struct hf_tls_peer *peer, STACK_OF(X509) * chain);

    /** The client shows a ticket; peer->leaf is that of its session, or NULL. False: a full
     *  handshake follows, in which the certificate is judged again. */
    bool (*resume)(void *ctx, struct hf_tls_peer *peer);

    /** The handshake is complete, and the client has the key of its certificate. False: the
     *  connection is closed. NULL: nothing is to do. */
    bool (*established)(void *ctx, const struct hf_tls_peer *peer);

    /** May the connection go on? Asked before each request is handled; of all connections once a
     *  minute, and within HF_TLS_RECHECK_MS after `*generation` has changed. False: it is closed,
     *  whatever is under way. */
    bool (*still_allowed)(void *ctx, const struct hf_tls_peer *peer);

    /** Grows with each change that still_allowed may answer differently for, after that change. */
    const atomic_uint_fast64_t *generation;
};

/** "certificate_revoked" for 44; "unknown" for a number that no RFC knows. */
const char *hf_tls_alert_name(int alert);

#endif
