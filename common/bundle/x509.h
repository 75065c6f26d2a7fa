/* A certificate that Mbed TLS has parsed: its dates, what it may be used for, its names. No I/O. */
#ifndef HF_COMMON_BUNDLE_X509_H
#define HF_COMMON_BUNDLE_X509_H

#include <mbedtls/x509_crt.h>

#include <stdbool.h>
#include <stdint.h>

#include <holdfast/error.h>

/** Seconds since 1970-01-01 UTC, negative before, as int64_t so that 32-bit time_t stays out. False
 *  if there is no such date. */
HF_MUST_USE bool hf_x509_time(const mbedtls_x509_time *time, int64_t *out_s);

/** Has it no extendedKeyUsage, or one with serverAuth or anyExtendedKeyUsage (RFC 5280, 4.2.1.12)?
 *  A CA with another one must not issue certificates of TLS servers. */
HF_MUST_USE bool hf_x509_allows_server_auth(const mbedtls_x509_crt *crt);

/** May it issue certificates: basicConstraints cA, and keyCertSign if it has a keyUsage? */
HF_MUST_USE bool hf_x509_is_ca(const mbedtls_x509_crt *crt);

/** Does the signature of `child` verify with `key`? Says nothing about names and dates. */
HF_MUST_USE bool hf_x509_is_signed_with(const mbedtls_x509_crt *child, mbedtls_pk_context *key);

/** Equal for names that Mbed TLS holds to be equal; other names may share a hash by accident. */
uint64_t hf_x509_name_hash(const mbedtls_x509_name *name);

#endif
