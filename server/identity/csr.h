/*
 * A certificate signing request (PKCS#10, RFC 2986) as the service accepts it: it proves possession
 * of a private key and carries the public one. Its subject and the extensions it asks for are
 * ignored: the service decides what the certificate says. No I/O.
 */
#ifndef HF_IDENTITY_CSR_H
#define HF_IDENTITY_CSR_H

#include "common/base/digest.h"
#include "server/identity/algorithm.h"

#include <holdfast/bytes.h>

struct hf_csr {
    struct hf_buf der;  /* the request; what a renewal's second signature covers */
    struct hf_buf spki; /* its SubjectPublicKeyInfo, DER */
    uint8_t spki_sha256[HF_SHA256_LEN];
    struct hf_client_key_form key;
};

/**
 * Read one request, PEM or DER, and check it: at most HF_CSR_BYTES_MAX bytes, nothing before or
 * behind it but white space, its key one of the table, its algorithm one of the table, and signed
 * by its own key.
 *
 * HF_E_LIMIT, HF_E_FORMAT, HF_E_POLICY (key or algorithm outside the tables), HF_E_SIGNATURE,
 * HF_E_MEMORY. `out` is written on HF_OK only; hf_csr_free it.
 */
HF_MUST_USE enum hf_err hf_csr_check(struct hf_bytes pem_or_der, struct hf_csr *out,
                                     struct hf_why *why);
/** The same in two steps: everything but the signature, and then that. A signature costs up to some
 *  milliseconds to verify, so a server looks first whether the sender may ask at all. Nothing may
 *  be issued before the second step. */
HF_MUST_USE enum hf_err hf_csr_read(struct hf_bytes pem_or_der, struct hf_csr *out,
                                    struct hf_why *why);
HF_MUST_USE enum hf_err hf_csr_verify(const struct hf_csr *csr, struct hf_why *why);
/**
 * Did the key of `old`, a certificate, sign this request too? So a device asks for the successor of
 * a certificate that it holds the key of. `signature` is over "holdfast renew", a NUL and the
 * request's DER, with SHA-256: ECDSA in DER, RSA PKCS#1 v1.5, or RSASSA-PSS for an RSA-PSS key. The
 * request must bring another key. HF_E_SIGNATURE, HF_E_POLICY, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_csr_check_renewal(const struct hf_csr *csr, X509 *old,
                                             struct hf_bytes signature, struct hf_why *why);

/** Frees and zeroes. */
void hf_csr_free(struct hf_csr *csr);

#endif
