/*
 * Which keys and which signature algorithms a client certificate may have: AWS IoT's two tables,
 * one row a constant. No I/O. Every function leaves OpenSSL's list of errors empty, since a TLS
 * library on the same thread reads it.
 *
 *     keys        RSA of 2048 bits or more, NIST P-256, P-384, P-521   TLS 1.2 and 1.3
 *                 RSA-PSS of 2048 bits or more                         TLS 1.3 only
 *     signatures  RSA, RSASSA-PSS and ECDSA with SHA-256, SHA-384 or SHA-512, and DSA with SHA-256
 */
#ifndef HF_IDENTITY_ALGORITHM_H
#define HF_IDENTITY_ALGORITHM_H

#include "server/identity/limits.h"

#include <holdfast/error.h>

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

enum hf_client_key {
    HF_CLIENT_KEY_OTHER = 0,
    HF_CLIENT_KEY_RSA,
    HF_CLIENT_KEY_RSA_PSS,
    HF_CLIENT_KEY_P256,
    HF_CLIENT_KEY_P384,
    HF_CLIENT_KEY_P521,
    HF_CLIENT_KEY_DSA, /* of a CA only */
};

enum hf_client_signature {
    HF_CLIENT_SIGNATURE_OTHER = 0,
    HF_CLIENT_SIGNATURE_RSA_SHA256,
    HF_CLIENT_SIGNATURE_RSA_SHA384,
    HF_CLIENT_SIGNATURE_RSA_SHA512,
    HF_CLIENT_SIGNATURE_PSS_SHA256,
    HF_CLIENT_SIGNATURE_PSS_SHA384,
    HF_CLIENT_SIGNATURE_PSS_SHA512,
    HF_CLIENT_SIGNATURE_DSA_SHA256,
    HF_CLIENT_SIGNATURE_ECDSA_SHA256,
    HF_CLIENT_SIGNATURE_ECDSA_SHA384,
    HF_CLIENT_SIGNATURE_ECDSA_SHA512,
};

/* What is wrong with a key whose kind is known. */
enum hf_client_key_fault {
    HF_CLIENT_KEY_FINE = 0,
    HF_CLIENT_KEY_UNREADABLE, /* no key of its kind: a point that is not on the curve, … */
    HF_CLIENT_KEY_EXPONENT,   /* RSA: even, 1, above HF_RSA_EXPONENT_BITS_MAX; or an even modulus */
    HF_CLIENT_KEY_PARAMETERS, /* RSA-PSS: a restriction to algorithms outside the table */
};

struct hf_client_key_form {
    enum hf_client_key kind;
    enum hf_client_key_fault fault;
    unsigned bits; /* 0 for a key of kind OTHER that OpenSSL cannot read */
};

/* TLS versions as they are on the wire. */
#define HF_TLS_ANY 0u /* no handshake: a certificate is being registered */
#define HF_TLS_1_2 0x0303u
#define HF_TLS_1_3 0x0304u

/** What kind of key a SubjectPublicKeyInfo holds. A curve must be named: explicit parameters are
 *  OTHER. */
struct hf_client_key_form hf_client_key_describe(X509_PUBKEY *spki);

/**
 * Which row of the table an AlgorithmIdentifier is. RSASSA-PSS needs parameters (RFC 4055, 3.1):
 * MGF1 with the same hash, a salt at least as long as the hash, and the usual trailer; otherwise
 * OTHER.
 */
enum hf_client_signature hf_client_signature_describe(const X509_ALGOR *algorithm);

/** May a device have this key, in a handshake of `tls_version`? HF_E_POLICY with the sentence. */
HF_MUST_USE enum hf_err hf_client_key_check(const struct hf_client_key_form *key,
                                            unsigned tls_version, struct hf_why *why);
/** May a CA that signs client certificates have it? The keys of devices, and DSA of 2048 bits or
 *  more. */
HF_MUST_USE enum hf_err hf_ca_key_check(const struct hf_client_key_form *key, struct hf_why *why);
/** May a client certificate be signed so? HF_E_POLICY with the sentence. */
HF_MUST_USE enum hf_err hf_client_signature_check(enum hf_client_signature signature,
                                                  struct hf_why *why);

#endif
