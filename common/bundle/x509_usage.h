/* What a parsed certificate may be used for, as RFC 5280 has it, and who signed it. No I/O. */
#ifndef HF_COMMON_X509_USAGE_H
#define HF_COMMON_X509_USAGE_H

#include <mbedtls/x509_crt.h>

#include <stdbool.h>

#include <holdfast/error.h>

/** Has it no extendedKeyUsage, or one with serverAuth or anyExtendedKeyUsage (4.2.1.12)? A CA with
 *  another one must not issue certificates of TLS servers. */
HF_MUST_USE bool hf_x509_allows_server_auth(const mbedtls_x509_crt *crt);

/** May it issue certificates: basicConstraints cA, and keyCertSign where it has a keyUsage? */
HF_MUST_USE bool hf_x509_is_ca(const mbedtls_x509_crt *crt);

/** Does the signature of `child` verify with `key`? Says nothing about names and dates. */
HF_MUST_USE bool hf_x509_is_signed_with(const mbedtls_x509_crt *child, mbedtls_pk_context *key);

#endif
