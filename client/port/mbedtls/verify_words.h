/*
 * What Mbed TLS found wrong with a certificate, in words: which certificate, what about it, and
 * what it says instead. A person should not have to look up -0x2700. No I/O.
 */
#ifndef HF_CLIENT_PORT_MBEDTLS_VERIFY_WORDS_H
#define HF_CLIENT_PORT_MBEDTLS_VERIFY_WORDS_H

#include <holdfast/port.h>

#include <mbedtls/x509_crt.h>

#define HF_NAMES_TEXT_MAX 384 /* bytes of a certificate's names as text; longer ones are cut */

/** Append to the text `out`, which is of less than `cap` bytes; what does not fit is cut. */
void hf_verify_append(char *out, size_t cap, const char *fmt, ...) HF_PRINTF(3, 4);

/** The names a server certificate is for, as "a.example, *.b.example, 192.0.2.1"; its common name
 *  where it lists none, as verification falls back to that one too. */
void hf_verify_names(const mbedtls_x509_crt *crt, char out[HF_NAMES_TEXT_MAX]);

bool hf_verify_is_address(const char *host);

/** Is the certificate for this address ("192.0.2.1", "2001:db8::1")? */
bool hf_verify_has_address(const mbedtls_x509_crt *crt, const char *address);

/** MBEDTLS_X509_BADCERT_KEY_USAGE unless its key may be used for `key_usage` (MBEDTLS_X509_KU_…, what
 *  the key exchange asks for), MBEDTLS_X509_BADCERT_EXT_KEY_USAGE unless it may be a TLS server's.
 *  Mbed TLS looks at these outside the verification proper, where it cannot be reported in words. */
uint32_t hf_verify_server_usage(const mbedtls_x509_crt *crt, unsigned key_usage);

/**
 * Append to `out` (a text of less than `cap` bytes) what the MBEDTLS_X509_BADCERT_… `flags` say
 * about `crt`, each as "expired on 2025-10-19", joined by ", ". `sent` is the list that the server
 * sent, its own certificate first. `host` is the name it was checked for, or NULL. Nothing is
 * appended for no flags. What does not fit is cut. An unknown issuer comes last, so that what the
 * store knows about it can follow (hf_trust_store_explain).
 */
void hf_verify_words(const mbedtls_x509_crt *crt, mbedtls_x509_crt *sent, uint32_t flags,
                     const char *host, char *out, size_t cap);

/** Append why an anchor with the name of the issuer of `child` did not help, as a clause: "the trust
 *  anchor of that name expired on 2025-10-19". Joined to what is there by "; ". */
void hf_verify_anchor_words(const struct hf_trust_anchor *anchor, const mbedtls_x509_crt *child,
                            int64_t now_s, char *out, size_t cap);

#endif
