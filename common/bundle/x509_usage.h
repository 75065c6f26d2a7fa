/* What a certificate may be used for, as RFC 5280 has it. No I/O. */
#ifndef HF_COMMON_X509_USAGE_H
#define HF_COMMON_X509_USAGE_H

#include <mbedtls/x509_crt.h>

#include <stdbool.h>

#include <holdfast/error.h>

/** Has it no extendedKeyUsage, or one with serverAuth or anyExtendedKeyUsage (4.2.1.12)? A CA with
 *  another one must not issue certificates of TLS servers. */
HF_MUST_USE bool hf_x509_allows_server_auth(const mbedtls_x509_crt *crt);

#endif
