/*
 * A server that sends a client any Certificate message, byte by byte, in records of any length:
 * also what no TLS library would send. With TLS 1.3 Mbed TLS encrypts the records. What goes wrong
 * in the setting up fails the running test (cmocka).
 */
#ifndef HF_TESTS_SUPPORT_TLS_BY_HAND_H
#define HF_TESTS_SUPPORT_TLS_BY_HAND_H

#include "tests/support/tls_pair.h"

#define TLS_RECORD_MAX 16384 /* bytes (RFC 8446, 5.1) */

struct tls_by_hand {
    struct tls_pair pair; /* `client` is the one under test */
    struct tls_server server;
    mbedtls_ssl_protocol_version version;
};

/** Connect `client`, which speaks `version` only and asks for `host` (NULL: no name), up to where
 *  it waits for the Certificate message. `has_rsa_leaf`: the kind of key that the cipher suite of
 *  TLS 1.2 has. */
void tls_by_hand_begin(struct tls_by_hand *h, const mbedtls_ssl_config *client,
                       mbedtls_ssl_protocol_version version, const char *host, bool has_rsa_leaf);
void tls_by_hand_end(struct tls_by_hand *h);

/** A Certificate message, appended to `out`. */
void tls_by_hand_certificate(mbedtls_ssl_protocol_version version, const struct hf_bytes *certs,
                             size_t n, struct hf_buf *out);

/** Send bytes of the handshake in records of `record_len` bytes. The client reads each one when it
 *  has been sent. What its handshake returns: MBEDTLS_ERR_SSL_WANT_READ, or the first other code;
 *  nothing is sent after it. */
int tls_by_hand_send(struct tls_by_hand *h, struct hf_bytes data, size_t record_len);

#endif
