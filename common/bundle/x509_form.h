/*
 * Is this a well-formed X.509 certificate, whatever its algorithms and extensions are? Mbed TLS
 * answers "damaged" and "not supported" with the same refusal. A device must tell them apart: it
 * skips a newer root that it does not support, and refuses a damaged file. No I/O.
 */
#ifndef HF_COMMON_X509_FORM_H
#define HF_COMMON_X509_FORM_H

#include "common/base/limits.h"

#include <holdfast/bytes.h>

#define HF_UNSUPPORTED_MAX 128 /* bytes of "signature algorithm ML-DSA-65", its NUL included */

/* All of it points into the DER that was read. */
struct hf_x509_form {
    struct hf_bytes tbs;           /* what is signed, whole */
    int64_t version;               /* 1, 2, 3; others are well-formed too */
    struct hf_bytes serial;        /* the bytes of the INTEGER */
    struct hf_bytes algorithm;     /* of the signature: AlgorithmIdentifier, whole */
    struct hf_bytes signature_oid; /* the bytes of its OBJECT IDENTIFIER */
    struct hf_bytes signature;     /* the BIT STRING: first the number of unused bits */
    struct hf_bytes subject;       /* Name, whole (RFC 5280, 4.1.2.4) */
    struct hf_bytes issuer;
    struct hf_bytes not_before; /* the digits and the "Z": 13 are UTCTime, 15 GeneralizedTime */
    struct hf_bytes not_after;
    struct hf_bytes spki;       /* SubjectPublicKeyInfo, whole */
    struct hf_bytes extensions; /* the contents of the SEQUENCE; empty for none */
};

/* One extension (RFC 5280, 4.2). */
struct hf_x509_extension {
    struct hf_bytes oid;
    struct hf_bytes content; /* of the OCTET STRING */
    bool is_critical;
};

/**
 * Take `der` apart: strict DER, exactly one certificate (RFC 5280, 4.1), nothing behind it.
 * False: damaged, or no certificate. `out` is written on true only.
 */
HF_MUST_USE bool hf_x509_form_parse(struct hf_bytes der, struct hf_x509_form *out);

/** Take the next of `extensions`, which become those behind it. False: there is none. */
HF_MUST_USE bool hf_x509_extension_take(struct hf_bytes *extensions, struct hf_x509_extension *out);

/** A Name as "C=US, O=Example, CN=Root", printable ASCII only; what does not fit is cut. */
void hf_x509_form_name(struct hf_bytes name, char out[HF_DN_TEXT_MAX]);

/** What is too new to be supported: "signature algorithm Ed25519", "X.509 version 4". False:
 *  neither of the two. The key is another question (common/bundle/algorithms.h). */
bool hf_x509_form_unsupported(const struct hf_x509_form *form, char out[HF_UNSUPPORTED_MAX]);

/** "key type Ed25519": `what` and the name of an OBJECT IDENTIFIER, or its number where it has none
 *  here. */
void hf_x509_oid_text(const char *what, struct hf_bytes oid, char out[HF_UNSUPPORTED_MAX]);

#endif
