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

/** Set `ssl` up to talk to `peer` over `*fd`, which must outlive it. SNI unless it is an address. */
HF_MUST_USE enum hf_err hf_tls_io_setup(mbedtls_ssl_context *ssl, const mbedtls_ssl_config *config,
                                        int *fd, const struct hf_endpoint *peer,
                                        struct hf_why *why);

/** Did the call ask to be repeated when the socket is ready? */
bool hf_tls_io_would_block(int code);

/** Wait for what `code` (WANT_READ, WANT_WRITE) asks for. */
HF_MUST_USE enum hf_err hf_tls_io_wait(int code, int fd, const struct hf_deadline *deadline,
                                       struct hf_why *why);

/** The whole handshake. HF_E_NETWORK when the time is up or the connection breaks, else HF_E_TLS. */
HF_MUST_USE enum hf_err hf_tls_io_handshake(mbedtls_ssl_context *ssl, int fd,
                                            const struct hf_deadline *deadline, struct hf_why *why);

/** The sentence for a failed call; returns HF_E_NETWORK for a broken connection, else HF_E_TLS. */
enum hf_err hf_tls_io_fail(int code, struct hf_why *why);

#endif
