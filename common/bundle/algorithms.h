/*
 * Which signatures and keys count in a chain, and their check. One table: RSA of 2048 to 8192 bits,
 * P-256, P-384 and P-521, with SHA-256, SHA-384 or SHA-512. Mbed TLS does the arithmetic. No I/O.
 */
#ifndef HF_COMMON_BUNDLE_ALGORITHMS_H
#define HF_COMMON_BUNDLE_ALGORITHMS_H

#include "common/bundle/certificate.h"

#define HF_ALGORITHM_FAULT_MAX 224 /* bytes of a sentence, its NUL included */

enum hf_signature {
    HF_SIGNATURE_BAD = 0,
    HF_SIGNATURE_WEAK, /* it verifies, with an algorithm or a key that is not accepted */
    HF_SIGNATURE_NO_MEMORY,
    HF_SIGNATURE_GOOD,
};

/** Is the algorithm with which `cert` is signed accepted? */
HF_MUST_USE bool hf_algorithm_is_accepted(const struct hf_certificate *cert);

/** What of a key is not supported, weak ones aside: "key type Ed25519", "RSA key of 9216 bits
 *  (expected 2048 to 8192)". False: nothing, or the key is damaged. */
HF_MUST_USE bool hf_key_unsupported(const struct hf_x509_form *form, char out[HF_UNSUPPORTED_MAX]);

/** Is the key of `cert` accepted? False also where there is no memory for it. */
HF_MUST_USE bool hf_key_is_accepted(const struct hf_certificate *cert);

/** Of one that is not accepted, what it is and what is expected, for a refusal: "signed with SHA-1
 *  (expected …)", "its key is not accepted: RSA key of 1024 bits (expected …)". */
void hf_algorithm_signature_fault(const struct hf_certificate *cert,
                                  char out[HF_ALGORITHM_FAULT_MAX]);
void hf_algorithm_key_fault(const struct hf_certificate *cert, char out[HF_ALGORITHM_FAULT_MAX]);

/** Does the key of `issuer` verify the signature of `cert`? */
HF_MUST_USE enum hf_signature hf_signature_verify(const struct hf_certificate *cert,
                                                  const struct hf_certificate *issuer);

#endif
