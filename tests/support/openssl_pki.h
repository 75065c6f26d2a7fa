/*
 * Certificates and requests of every kind that a client may bring, made by OpenSSL: keys and
 * signatures that Mbed TLS (test_pki.h) cannot make.
 */
#ifndef HF_TESTS_SUPPORT_OPENSSL_PKI_H
#define HF_TESTS_SUPPORT_OPENSSL_PKI_H

#include <holdfast/bytes.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

/** "RSA:2048", "RSA:2048:3" (public exponent), "RSA-PSS:2048", "RSA-PSS:2048:SHA256" (restricted to
 *  that hash), "DSA:2048", "ED25519", or a curve: "P-256". The same RSA or DSA key each time, a new
 *  one of a curve. EVP_PKEY_free it. */
EVP_PKEY *ossl_key(const char *spec);
/** A P-256 key whose curve is written out instead of named. */
EVP_PKEY *ossl_key_explicit_curve(void);

/* How something is signed. */
struct ossl_signing {
    EVP_PKEY *key;
    const char *hash;      /* "SHA256"; NULL: that, or none for a key that takes none */
    int pss_salt_len;      /* 0: not RSASSA-PSS, unless the key is RSA-PSS */
    const char *mgf1_hash; /* NULL: the same hash */
};

#define OSSL_NOW_S INT64_C(1900000000) /* within the dates below */

struct ossl_cert {
    const char *subject; /* CN */
    const char *issuer;  /* CN; NULL: the subject's */
    EVP_PKEY *key;
    struct ossl_signing by; /* key NULL: by its own */
    int64_t not_before_s;   /* 0: a day before OSSL_NOW_S */
    int64_t not_after_s;    /* 0: 2049-12-31T23:59:59Z */
    bool is_ca;
    const char *key_usage; /* of a CA; NULL: keyCertSign */
    bool is_version_1;
};

/** X509_free it. */
X509 *ossl_cert(const struct ossl_cert *spec);
void ossl_cert_der(const X509 *cert, struct hf_buf *out);
void ossl_cert_pem(X509 *cert, struct hf_buf *out);

/** A request for `key`, signed by `by`, whose subject is a foreign name. X509_REQ_free it. */
X509_REQ *ossl_csr(EVP_PKEY *key, const struct ossl_signing *by);
void ossl_csr_der(X509_REQ *csr, struct hf_buf *out);
void ossl_csr_pem(X509_REQ *csr, struct hf_buf *out);

#endif
