/* A certificate that Mbed TLS has parsed: its dates, what it may be used for, its names. No I/O. */
#ifndef HF_COMMON_BUNDLE_X509_H
#define HF_COMMON_BUNDLE_X509_H

#include <mbedtls/x509_crt.h>

#include <stdbool.h>
#include <stdint.h>

#include <holdfast/bytes.h>

/** Parse one that the verifier judges, into an empty `crt`. Extensions are the verifier's, so critical ones
 *  that Mbed TLS does not know are no reason to refuse. With `has_copy` the bytes are copied. 0, or an error
 *  of Mbed TLS. */
HF_MUST_USE int hf_x509_parse(mbedtls_x509_crt *crt, struct hf_bytes der, bool has_copy);

/** Seconds since 1970-01-01 UTC, negative before, as int64_t so that 32-bit time_t stays out. False
 *  if there is no such date. */
HF_MUST_USE bool hf_x509_time(const mbedtls_x509_time *time, int64_t *out_s);

/** May it issue certificates: basicConstraints cA, and keyCertSign if it has a keyUsage? */
HF_MUST_USE bool hf_x509_is_ca(const mbedtls_x509_crt *crt);

#endif
