/*
 * One X.509 certificate of a client or of a CA, as the decisions need it. No I/O, no clock. Every
 * function leaves OpenSSL's list of errors empty.
 */
#ifndef HF_IDENTITY_CLIENT_CERT_H
#define HF_IDENTITY_CLIENT_CERT_H

#include "common/base/digest.h"
#include "common/base/limits.h"
#include "server/identity/algorithm.h"

/** What a handshake and each request look at: plain values, nothing to free. */
struct hf_client_cert {
    uint8_t sha256[HF_SHA256_LEN]; /* of the DER: how the registry knows it */
    struct hf_client_key_form key;
    enum hf_client_signature signature;
    int64_t not_before_s;
    int64_t not_after_s; /* the last second in which it is valid */
};

/** What people and the database want to know besides. */
struct hf_client_cert_text {
    /* Of the SubjectPublicKeyInfo: two certificates of one key. */
    uint8_t spki_sha256[HF_SHA256_LEN];
    char subject[HF_DN_TEXT_MAX]; /* RFC 2253, printable; a longer one is cut */
    char issuer[HF_DN_TEXT_MAX];
    char common_name[HF_DN_TEXT_MAX]; /* the last CN of the subject; "" without one that is text */
    char serial[HF_SERIAL_TEXT_MAX];  /* hexadecimal, lower case; a longer one is cut */
};

/**
 * Read exactly one certificate, PEM or DER, at most HF_CERT_DER_MAX bytes of DER. `*out` is
 * X509_free'd by the caller. HF_E_FORMAT (also for bytes behind it, or encodings other than DER),
 * HF_E_LIMIT, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_client_cert_read(struct hf_bytes pem_or_der, X509 **out,
                                            struct hf_why *why);
/** The same for DER alone, as it comes from a TLS library or the database. */
HF_MUST_USE enum hf_err hf_client_cert_read_der(struct hf_bytes der, X509 **out,
                                                struct hf_why *why);

/** HF_E_FORMAT when a date cannot be read, or the algorithm inside the signature differs from the
 *  one outside (RFC 5280, 4.1.1.2). */
HF_MUST_USE enum hf_err hf_client_cert_describe(const X509 *x509, struct hf_client_cert *out,
                                                struct hf_why *why);
/** The same for a connection that knows the hash of its DER: hashing is three quarters of the
 *  work. */
HF_MUST_USE enum hf_err hf_client_cert_describe_hashed(const X509 *x509,
                                                       const uint8_t sha256[HF_SHA256_LEN],
                                                       struct hf_client_cert *out,
                                                       struct hf_why *why);
/** HF_E_MEMORY. */
HF_MUST_USE enum hf_err
hf_client_cert_describe_text(const X509 *x509, struct hf_client_cert_text *out, struct hf_why *why);

/** Append its DER. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_client_cert_der(const X509 *x509, struct hf_buf *out,
                                           struct hf_why *why);

/** The two tables of algorithm.h; `tls_version` of the handshake, or HF_TLS_ANY. HF_E_POLICY. */
HF_MUST_USE enum hf_err hf_client_cert_check_algorithms(const struct hf_client_cert *cert,
                                                        unsigned tls_version, struct hf_why *why);
/** HF_E_EXPIRED, also for a certificate whose time has not come. */
HF_MUST_USE enum hf_err hf_client_cert_check_dates(const struct hf_client_cert *cert, int64_t now_s,
                                                   struct hf_why *why);

#endif
