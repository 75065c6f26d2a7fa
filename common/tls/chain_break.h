/* Why a path does not go on where it ends, although the issuer is among what the server sent. No I/O. */
#ifndef HF_COMMON_TLS_CHAIN_BREAK_H
#define HF_COMMON_TLS_CHAIN_BREAK_H

#include "common/base/limits.h"

#include <holdfast/error.h>

#include <mbedtls/x509_crt.h>

#include <stdbool.h>

#define HF_CHAIN_BREAK_MAX (HF_DN_TEXT_MAX + 128) /* bytes of such a clause, its NUL included */

/**
 * `crt` has no trust anchor, says Mbed TLS. `sent` is the list that the server sent, which `crt` is in;
 * `issuer` is the name of its issuer as text. True: the issuer was sent, and `out` is a clause such
 * as "its issuer "CN=…" was sent before it: the server's chain is out of order". False: it was not.
 */
HF_MUST_USE bool hf_chain_break_words(const mbedtls_x509_crt *crt, mbedtls_x509_crt *sent,
                                      const char *issuer, char out[HF_CHAIN_BREAK_MAX]);

#endif
