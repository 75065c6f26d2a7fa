/*
 * A private key that Mbed TLS cannot read (struct hf_device_key), as a key that it can use: for a
 * CSR, for the signature of a renewal, and for client authentication. No I/O but that of the key.
 *
 * Elliptic curves work with TLS 1.2 and 1.3. RSA works with TLS 1.2 only: for the RSA-PSS signature
 * of TLS 1.3, Mbed TLS 3.6 computes with the private numbers and calls no function of the key
 * (mbedtls_pk_sign_ext).
 */
#ifndef HF_CLIENT_PORT_IDENTITY_DEVICE_KEY_H
#define HF_CLIENT_PORT_IDENTITY_DEVICE_KEY_H

#include <holdfast/port.h>

#include <mbedtls/pk.h>

/**
 * Make `out`, which mbedtls_pk_init has prepared, use `key`. What `key` points to must outlive it.
 * mbedtls_pk_free releases it. HF_E_KEY for a public key that cannot be used, and for what the key
 * says; HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_device_key_use(const struct hf_device_key *key, mbedtls_pk_context *out,
                                          struct hf_why *why);

/** Why it did not sign the last time; empty where it did, and for any other key. Lives as long as
 *  the key. */
const char *hf_device_key_fault(const mbedtls_pk_context *pk);

/** Did hf_device_key_use make it? */
bool hf_device_key_is(const mbedtls_pk_context *pk);

#endif
