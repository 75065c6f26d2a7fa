/*
 * Mbed TLS over a non-blocking socket, with deadlines. What the transport and the probe have in
 * common; whom they trust is their own affair.
 */
#ifndef HF_OS_TLS_IO_H
#define HF_OS_TLS_IO_H

#include "common/os/net.h"
#include "common/tls/tls_probe.h"

#include <mbedtls/ssl.h>

/* What carries the records. Every read and write checks the deadline: one call of Mbed TLS
 * may take any number of records, as long as a peer sends them without pause. */
struct hf_tls_socket {
    int fd;                      /* non-blocking; borrowed */
    struct hf_deadline deadline; /* of what is going on; to be set before each call */
};

/** Set `ssl` up to talk to `peer` over `socket`, which must outlive it. SNI unless it is an
 *  address. */
HF_MUST_USE enum hf_err hf_tls_io_setup(mbedtls_ssl_context *ssl, const mbedtls_ssl_config *config,
                                        struct hf_tls_socket *socket,
                                        const struct hf_endpoint *peer, struct hf_why *why);

/** After a call of Mbed TLS that failed with `code`. HF_OK: the socket is ready, call it again;
 *  HF_E_NETWORK when the time is up; else as hf_handshake_fail. */
HF_MUST_USE enum hf_err hf_tls_io_wait(const mbedtls_ssl_context *ssl, int code,
                                       const struct hf_tls_socket *socket, struct hf_why *why);

/** The whole handshake. HF_E_NETWORK when the time is up or the connection breaks, else as
 *  hf_handshake_fail. */
HF_MUST_USE enum hf_err hf_tls_io_handshake(mbedtls_ssl_context *ssl,
                                            const struct hf_tls_socket *socket, struct hf_why *why);

/** The same for hf_tls_probe; `socket` is borrowed. */
struct hf_tls_transport hf_tls_io_transport(struct hf_tls_socket *socket);

#endif
