/*
 * What all TLS clients share, independent of transport and trust store: set-up, the meaning of
 * failures, what was agreed on and what the server has proved. No I/O.
 */
#ifndef HF_COMMON_TLS_HANDSHAKE_H
#define HF_COMMON_TLS_HANDSHAKE_H

#include "common/tls/endpoint.h"

#include <mbedtls/ssl.h>

/** Defaults of a TLS 1.2 and 1.3 client, which offers what an all-zero hf_tls_offer does. HF_E_TLS,
 *  HF_E_MEMORY. `config` is to be mbedtls_ssl_config_free'd whatever happens. */
HF_MUST_USE enum hf_err hf_handshake_config(mbedtls_ssl_config *config, struct hf_why *why);

/** Set `ssl` up to talk to `peer`. SNI unless it is an address. HF_E_TLS, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_handshake_setup(mbedtls_ssl_context *ssl,
                                           const mbedtls_ssl_config *config,
                                           const struct hf_endpoint *peer, struct hf_why *why);

/** The sentence for a failed call; HF_E_NETWORK for a broken connection, HF_E_UNTRUSTED for a chain
 *  that verification gave up on, HF_E_MEMORY, else HF_E_TLS. */
enum hf_err hf_handshake_fail(int code, struct hf_why *why);

/** The sentence for MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE: HF_E_TLS, with the alert's name and what
 *  to do where it is about the client's certificate or the name that was asked for. `ssl` NULL: it
 *  is not known. */
enum hf_err hf_handshake_fail_alert(const mbedtls_ssl_context *ssl, struct hf_why *why);

/** After mbedtls_ssl_handshake has failed with HF_E_TLS, or without hf_handshake_has_leaf: if a
 *  certificate that the server sent cannot be read, replace `why` by its subject and the reason.
 *  False: `why` stays. */
bool hf_handshake_name_certificate(const mbedtls_ssl_context *ssl, struct hf_why *why);

/** In a verify callback at depth 0: is `crt` the first certificate that the server sent? Mbed TLS
 *  leaves out one with an unknown signature algorithm and verifies the next one in its place, or an
 *  empty one. */
bool hf_handshake_has_leaf(const mbedtls_ssl_context *ssl, const mbedtls_x509_crt *crt);

/** The name of the cipher suite that was agreed on, from the server's first answer on; static. */
const char *hf_handshake_cipher_suite(const mbedtls_ssl_context *ssl);

/** What the key exchange that was agreed on asks of the server's certificate: MBEDTLS_X509_KU_…. */
unsigned hf_handshake_key_usage(const mbedtls_ssl_context *ssl);

/**
 * The server has shown that it holds the key of its certificate: the handshake came to its end, or
 * ended only over the client's certificate, after the signed ServerKeyExchange (TLS 1.2) or the
 * server's Finished (TLS 1.3).
 */
bool hf_handshake_has_proved_key(mbedtls_ssl_context *ssl);

/** It has also shown that the certificates above its own are those that it sent: CertificateVerify
 *  covers them in TLS 1.3, nothing before the Finished in TLS 1.2. Only for what has proved its
 *  key. */
bool hf_handshake_has_proved_chain(mbedtls_ssl_context *ssl);

#endif
