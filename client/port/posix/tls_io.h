/*
 * Mbed TLS over a non-blocking socket, with deadlines, and its failures in words. What the
 * transport and the probe have in common; whom they trust is their own affair.
 */
#ifndef HF_CLIENT_PORT_POSIX_TLS_IO_H
#define HF_CLIENT_PORT_POSIX_TLS_IO_H

#include "client/port/posix/net.h"

#include <mbedtls/ssl.h>

/** Defaults of a TLS 1.2 and 1.3 client with ALPN http/1.1 (`is_http`) or none. HF_E_TLS, HF_E_MEMORY.
 *  `config` is to be mbedtls_ssl_config_free'd whatever happens. */
HF_MUST_USE enum hf_err hf_tls_io_client_config(mbedtls_ssl_config *config, bool is_http,
                                                struct hf_why *why);

/* What carries the records. Every read and write of it looks at the deadline: one call of Mbed TLS
 * may take any number of records, as long as a peer sends them without pause. */
struct hf_tls_wire {
    int fd;                      /* non-blocking; borrowed */
    struct hf_deadline deadline; /* of what is going on; to be set before each call */
};

/** Set `ssl` up to talk to `peer` over `wire`, which must outlive it. SNI unless it is an address. */
HF_MUST_USE enum hf_err hf_tls_io_setup(mbedtls_ssl_context *ssl, const mbedtls_ssl_config *config,
                                        struct hf_tls_wire *wire, const struct hf_endpoint *peer,
                                        struct hf_why *why);

/** After a call of Mbed TLS that failed with `code`. HF_OK: the wire is ready, call it again;
 *  HF_E_NETWORK when the time is up; else as hf_tls_io_fail. */
HF_MUST_USE enum hf_err hf_tls_io_wait(int code, const struct hf_tls_wire *wire,
                                       struct hf_why *why);

/** The whole handshake. HF_E_NETWORK when the time is up or the connection breaks, else as
 *  hf_tls_io_fail. */
HF_MUST_USE enum hf_err hf_tls_io_handshake(mbedtls_ssl_context *ssl,
                                            const struct hf_tls_wire *wire, struct hf_why *why);

/** The name of the cipher suite that was agreed on, from the server's first answer on; static. */
const char *hf_tls_io_cipher_suite(const mbedtls_ssl_context *ssl);

/** What the key exchange that was agreed on asks of the server's certificate: MBEDTLS_X509_KU_…. */
unsigned hf_tls_io_key_usage(const mbedtls_ssl_context *ssl);

/** The sentence for a failed call; HF_E_NETWORK for a broken connection, HF_E_UNTRUSTED for a chain
 *  that verification gave up on, HF_E_MEMORY, else HF_E_TLS. */
enum hf_err hf_tls_io_fail(int code, struct hf_why *why);

#endif
