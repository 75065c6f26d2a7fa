/* Dates of Mbed TLS's parsed certificates as int64_t seconds, so that 32-bit time_t stays out. */
#ifndef HF_COMMON_BUNDLE_X509_TIME_H
#define HF_COMMON_BUNDLE_X509_TIME_H

#include <mbedtls/x509.h>

#include <stdbool.h>
#include <stdint.h>

#include <holdfast/error.h>

/** Seconds since 1970-01-01 UTC, negative before; false where there is no such date. */
HF_MUST_USE bool hf_x509_time(const mbedtls_x509_time *time, int64_t *out_s);

#endif
