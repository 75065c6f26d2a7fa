/*
 * What is wrong with a certificate of a chain, in words: which certificate, what about it, and what it
 * says instead. A person should not have to look up -0x2700. No I/O.
 */
#ifndef HF_COMMON_CHAIN_WORDS_H
#define HF_COMMON_CHAIN_WORDS_H

#include "common/base/limits.h"

#include <holdfast/anchor.h>

#include <mbedtls/x509_crt.h>

#define HF_NAMES_TEXT_MAX 384 /* bytes of a certificate's names as text; longer ones are cut */

/** Append to the text `out`, which is of less than `cap` bytes; what does not fit is cut. */
void hf_words_append(char *out, size_t cap, const char *fmt, ...) HF_PRINTF(3, 4);

/** The names a server certificate is for, as "a.example, *.b.example, 192.0.2.1"; its common name
 *  where it lists none, as verification falls back to that one too. */
void hf_words_names(const mbedtls_x509_crt *crt, char out[HF_NAMES_TEXT_MAX]);

/**
 * Append to `out` (a text of less than `cap` bytes) what the MBEDTLS_X509_BADCERT_… `flags` say
 * about `crt`, each as "expired on 2025-10-19", joined by ", ". `sent` is the list that the server
 * sent, its own certificate first. `host` is the name it was checked for, or NULL. Nothing is
 * appended for no flags. What does not fit is cut. An unknown issuer comes last, so that what is
 * known of the anchors can follow (hf_anchors_explain).
 */
void hf_words_faults(const mbedtls_x509_crt *crt, mbedtls_x509_crt *sent, uint32_t flags,
                     const char *host, int64_t now_s, char *out, size_t cap);

/** Is the issuer of `crt` among what the server sent (`sent`)? */
HF_MUST_USE bool hf_words_is_issuer_sent(const mbedtls_x509_crt *crt, mbedtls_x509_crt *sent);

/** Append why an anchor with the name of the issuer of `child` did not help, as a clause: "the trust
 *  anchor of that name expired on 2025-10-19". Joined to what is there by "; ". */
void hf_words_anchor(const struct hf_trust_anchor *anchor, const mbedtls_x509_crt *child,
                     int64_t now_s, char *out, size_t cap);

#endif
