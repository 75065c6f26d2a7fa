/*
 * What Holdfast needs to know of one certificate (RFC 5280), as plain values. Read by
 * certificate.h, as the verifier reads it; Mbed TLS knows the key. No I/O, no clock.
 */
#ifndef HF_COMMON_BUNDLE_CERT_H
#define HF_COMMON_BUNDLE_CERT_H

#include "common/base/digest.h"
#include "common/base/limits.h"
#include "common/bundle/certificate.h"

enum hf_cert_key {
    HF_CERT_KEY_OTHER = 0,
    HF_CERT_KEY_RSA,
    HF_CERT_KEY_P256,
    HF_CERT_KEY_P384,
    HF_CERT_KEY_P521,
};

enum hf_cert_digest {
    HF_CERT_DIGEST_OTHER = 0, /* also MD5 and older */
    HF_CERT_DIGEST_SHA1,
    HF_CERT_DIGEST_SHA256,
    HF_CERT_DIGEST_SHA384,
    HF_CERT_DIGEST_SHA512,
};

struct hf_cert {
    uint8_t sha256[HF_SHA256_LEN];      /* of the DER: the fingerprint people compare */
    uint8_t spki_sha256[HF_SHA256_LEN]; /* of the SubjectPublicKeyInfo: the identity of the key */
    char subject[HF_DN_TEXT_MAX];       /* for people */
    char issuer[HF_DN_TEXT_MAX];
    struct hf_bytes subject_der; /* Name, as in the certificate; borrowed from the DER given */
    struct hf_bytes issuer_der;
    int64_t not_before_s;
    int64_t not_after_s; /* the last second in which it is valid */
    enum hf_cert_key key;
    unsigned key_bits;
    int x509_version;           /* 1, 2 or 3; only 3 has basicConstraints */
    enum hf_cert_digest digest; /* of the signature */
    bool is_ca;                 /* basicConstraints cA, and keyCertSign where keyUsage is present */
    bool allows_server_auth;    /* no extendedKeyUsage, or one with serverAuth */
    bool has_name_constraints;
    bool has_critical_constraints; /* on names or policies: older clients do not support it */
    bool is_self_issued;           /* subject equals issuer (hf_name_equal) */
};

/**
 * Parse exactly one DER certificate, which may be a trust anchor. HF_E_FORMAT in words, HF_E_LIMIT,
 * HF_E_MEMORY. HF_E_POLICY: it is a well-formed certificate that is not supported: its algorithm,
 * its key, a critical extension that the verifier does not know (4.2), or a field that is not as
 * the RFC has it; `why` names its subject and what that is.
 */
HF_MUST_USE enum hf_err hf_cert_parse(struct hf_bytes der, struct hf_cert *out, struct hf_why *why);

/** The same for a certificate that a server sent: the verifier judges critical extensions and keys
 *  that Mbed TLS can read, in a path only. */
HF_MUST_USE enum hf_err hf_cert_parse_sent(struct hf_bytes der, struct hf_cert *out,
                                           struct hf_why *why);

/* What can be said of a certificate that hf_cert_parse does not support. */
struct hf_unsupported_cert {
    uint8_t sha256[HF_SHA256_LEN];
    uint8_t spki_sha256[HF_SHA256_LEN];
    char subject[HF_DN_TEXT_MAX];
    char what[HF_UNSUPPORTED_MAX]; /* is not supported: "signature algorithm Ed25519" */
};

/** False for what is no well-formed certificate. */
HF_MUST_USE bool hf_cert_describe_unsupported(struct hf_bytes der, struct hf_unsupported_cert *out);

/** Does the certificate's own key verify its signature? HF_E_POLICY if not: damaged or forged, or
 *  RSASSA-PSS of a kind that is not supported. */
HF_MUST_USE enum hf_err hf_cert_verify_self_signature(struct hf_bytes der, struct hf_why *why);

/** "RSA 2048", "P-256"; `out` holds 16 characters. */
void hf_cert_key_text(const struct hf_cert *cert, char out[16]);

#endif
