/*
 * What a device asks a certificate with, and what it accepts: a new key, a certificate signing
 * request (PKCS#10, RFC 2986), the signature by the old key that renews a certificate, and the
 * check of the certificate that comes back. No I/O but that of a key of the port.
 */
#ifndef HF_CLIENT_PORT_IDENTITY_REQUEST_H
#define HF_CLIENT_PORT_IDENTITY_REQUEST_H

#include <holdfast/posix.h>

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

/** A new private key, appended as PEM; the caller wipes it. HF_E_KEY, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_identity_key_make(enum hf_key_kind kind, struct hf_buf *pem,
                                             struct hf_why *why);

/** The kind of key to make in its place. */
enum hf_key_kind hf_identity_key_kind(const mbedtls_pk_context *key);

/** Append a request by `key` in DER, signed with SHA-256. Its common name is `device`, which the
 *  service is free to ignore. HF_E_KEY, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_identity_csr_make(mbedtls_pk_context *key, const char *device,
                                             struct hf_buf *der, struct hf_why *why);

/** Append `der` as PEM. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_identity_csr_to_pem(struct hf_bytes der, struct hf_buf *pem,
                                               struct hf_why *why);

/**
 * Append the signature of the old key that a renewal needs: over SHA-256 of "holdfast renew", a NUL
 * and the request in DER; ECDSA in DER, or RSA PKCS#1 v1.5. HF_E_KEY, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_identity_renewal_sign(mbedtls_pk_context *old_key, struct hf_bytes csr,
                                                 struct hf_buf *signature, struct hf_why *why);

/** What a chain that was parsed says of its first certificate. HF_E_FORMAT for impossible dates. */
HF_MUST_USE enum hf_err hf_identity_describe(const mbedtls_x509_crt *chain,
                                             struct hf_credential *out, struct hf_why *why);

/**
 * Is `pem`, which the service sent, a certificate that this device can use: one whole chain, its
 * first certificate for `key`, for client authentication, and not expired at `now_s`? One whose
 * time has not come is accepted, since the clock of a device may be behind; the service judges that
 * itself. HF_E_FORMAT, HF_E_KEY, HF_E_POLICY, HF_E_EXPIRED in words.
 */
HF_MUST_USE enum hf_err hf_identity_certificate_check(struct hf_bytes pem,
                                                      const mbedtls_pk_context *key, int64_t now_s,
                                                      struct hf_credential *out,
                                                      struct hf_why *why);

#endif
