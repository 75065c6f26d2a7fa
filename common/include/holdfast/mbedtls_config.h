/**
 * The Mbed TLS configuration that Holdfast needs, as an overlay over the default one.
 *
 * Mbed TLS includes this file itself when it is compiled with
 * -DMBEDTLS_USER_CONFIG_FILE='<holdfast/mbedtls_config.h>'. The library and everything that
 * includes an Mbed TLS header must be compiled with the same overlay: it changes the layout of
 * the library's structs.
 *
 * It is #included in the middle of the library's own configuration, so it holds macros only.
 */
#ifndef HOLDFAST_MBEDTLS_CONFIG_H
#define HOLDFAST_MBEDTLS_CONFIG_H

/* mbedtls_ssl_conf_ca_cb: the trust store is asked for anchors at certificate time. That is what
 * lets a swap take effect in the next handshake, and lets anchors stay unparsed until needed. */
#ifndef MBEDTLS_X509_TRUSTED_CERTIFICATE_CALLBACK
#define MBEDTLS_X509_TRUSTED_CERTIFICATE_CALLBACK
#endif

/* mbedtls_platform_set_time: a device that boots in 1970 verifies with the clock floor, and tests
 * verify at a date of their choice. */
#ifndef MBEDTLS_PLATFORM_TIME_ALT
#define MBEDTLS_PLATFORM_TIME_ALT
#endif

/* Several threads handshake with the same configuration, keys and random generator while the
 * store is swapped; without mutexes inside the library that is a data race. */
#ifndef MBEDTLS_THREADING_C
#define MBEDTLS_THREADING_C
#endif
#ifndef MBEDTLS_THREADING_PTHREAD
#define MBEDTLS_THREADING_PTHREAD
#endif

/* The input buffer of a handshake can grow for a long Certificate message. Beside the patch that
 * makes it grow (deploy/mbedtls-4-long-certificates.patch) this saves memory where a maximum
 * fragment length was agreed on. */
#if defined(MBEDTLS_SSL_MAX_FRAGMENT_LENGTH) && !defined(MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH)
#define MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH
#endif

/* With the self-tests, which are never called here, every curve operation counts itself in a
 * variable that all threads share without a lock: a data race in each handshake. */
#undef MBEDTLS_SELF_TEST

/* What the default configuration of 3.6 already has and Holdfast cannot do without. A firmware
 * that starts from a smaller configuration learns here, by name, what is missing. */
#if !defined(MBEDTLS_SSL_PROTO_TLS1_2) || !defined(MBEDTLS_SSL_PROTO_TLS1_3)
#error "Holdfast needs TLS 1.2 and TLS 1.3: servers of the fleet speak one or the other"
#endif
#if !defined(MBEDTLS_SSL_CLI_C) || !defined(MBEDTLS_SSL_SRV_C)
#error "Holdfast needs TLS client and server: preflight handshakes with itself in memory"
#endif
#if !defined(MBEDTLS_SSL_SERVER_NAME_INDICATION)
#error "Holdfast needs SNI: endpoints refuse a device that does not name them"
#endif
#if !defined(MBEDTLS_SSL_KEEP_PEER_CERTIFICATE)
#error "Holdfast needs MBEDTLS_SSL_KEEP_PEER_CERTIFICATE: preflight verifies the chain again"
#endif
#if !defined(MBEDTLS_RSA_C) || !defined(MBEDTLS_PKCS1_V15) || !defined(MBEDTLS_PKCS1_V21) ||       \
    !defined(MBEDTLS_X509_RSASSA_PSS_SUPPORT)
#error "Holdfast needs RSA with PKCS#1 v1.5 and PSS, in metadata and in certificates"
#endif
#if !defined(MBEDTLS_ECDSA_C) || !defined(MBEDTLS_ECP_DP_SECP256R1_ENABLED) ||                     \
    !defined(MBEDTLS_ECP_DP_SECP384R1_ENABLED) || !defined(MBEDTLS_ECP_DP_SECP521R1_ENABLED)
#error "Holdfast needs ECDSA on P-256, P-384 and P-521: roots and device keys use them"
#endif
#if !defined(MBEDTLS_ECDH_C) || !defined(MBEDTLS_ECP_DP_CURVE25519_ENABLED)
#error "Holdfast needs X25519, the key exchange that TLS 1.3 servers prefer"
#endif
#if !defined(MBEDTLS_SHA1_C) || !defined(MBEDTLS_SHA256_C) || !defined(MBEDTLS_SHA384_C) ||        \
    !defined(MBEDTLS_SHA512_C)
#error "Holdfast needs SHA-1 (legacy roots), SHA-256, SHA-384 and SHA-512"
#endif
#if !defined(MBEDTLS_HAVE_TIME_DATE)
#error "Holdfast needs MBEDTLS_HAVE_TIME_DATE: without it certificates never expire"
#endif
#if !defined(MBEDTLS_PEM_PARSE_C) || !defined(MBEDTLS_X509_CRT_PARSE_C)
#error "Holdfast needs X.509 and PEM parsing: bundles are PEM"
#endif
#if !defined(MBEDTLS_PSA_CRYPTO_C)
#error "Holdfast needs MBEDTLS_PSA_CRYPTO_C: TLS 1.3 is built on it"
#endif

#endif
