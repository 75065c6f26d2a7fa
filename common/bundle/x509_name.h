/* Names of certificates as Mbed TLS compares them. No I/O. */
#ifndef HF_COMMON_X509_NAME_H
#define HF_COMMON_X509_NAME_H

#include <mbedtls/x509.h>

#include <stdint.h>

/** Equal for names that Mbed TLS holds to be equal; other names may share a hash by accident. */
uint64_t hf_name_hash(const mbedtls_x509_name *name);

#endif
