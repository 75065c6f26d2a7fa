/*
 * Real TLS handshakes between two Mbed TLS contexts in one thread, over memory. What goes wrong in
 * the setting up fails the running test (cmocka).
 */
#ifndef HF_TESTS_SUPPORT_TLS_PAIR_H
#define HF_TESTS_SUPPORT_TLS_PAIR_H

#include "tests/support/test_pki.h"

#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>

#define TLS_HOST "device.example" /* the name that servers here have and clients ask for */

struct tls_server {
    mbedtls_ssl_config config;
    mbedtls_x509_crt chain;
    mbedtls_ssl_ticket_context tickets;
};

/**
 * A server with the private key `key` that presents the `n` certificates of `chain`, leaf first,
 * speaks `version` only, and gives session tickets. It keeps pointers to `key`.
 */
void tls_server_make(struct tls_server *server, mbedtls_ssl_protocol_version version,
                     struct pki_key *key, const struct hf_buf *chain, size_t n);
void tls_server_free(struct tls_server *server);

/** A client that speaks `version` only and takes tickets; whom it trusts is for the caller to
 *  say. */
void tls_client_make(mbedtls_ssl_config *config, mbedtls_ssl_protocol_version version);

struct tls_pipe {
    unsigned char data[32768];
    size_t begin, end;
};

/** Append, for the other end to read. The length. */
int tls_pipe_put(struct tls_pipe *pipe, const unsigned char *data, size_t len);

struct tls_pair {
    mbedtls_ssl_context client, server;
    struct tls_pipe to_client, to_server;
};

/** Set up, without a handshake: for a session to be offered first. */
void tls_prepare(struct tls_pair *pair, const mbedtls_ssl_config *client,
                 const struct tls_server *server);
/** The handshake. 0, or the client's Mbed TLS error. */
int tls_handshake(struct tls_pair *pair);
/** Both. Always tls_close the pair afterwards. */
int tls_connect(struct tls_pair *pair, const mbedtls_ssl_config *client,
                const struct tls_server *server);
/** A byte there and one back; TLS 1.3 tickets arrive on the way. */
bool tls_echo(struct tls_pair *pair);
void tls_close(struct tls_pair *pair);

#endif
