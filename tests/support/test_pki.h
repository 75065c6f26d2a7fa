/*
 * Certificates for tests, made at run time: roots, cross-signs, intermediates and leaves with any
 * key, digest and dates. What goes wrong here fails the running test (cmocka).
 */
#ifndef HF_TESTS_SUPPORT_TEST_PKI_H
#define HF_TESTS_SUPPORT_TEST_PKI_H

#include <holdfast/bytes.h>

#include <mbedtls/md.h>
#include <mbedtls/pk.h>

enum pki_kind { PKI_P256, PKI_P384, PKI_P521, PKI_SECP256K1, PKI_RSA_2048, PKI_RSA_1024 };

struct pki_key {
    mbedtls_pk_context pk;
};

/** RSA takes about a second under a sanitizer. */
void pki_key_make(struct pki_key *key, enum pki_kind kind);
/** The public key of an RSA key that does not exist: a random modulus of 8192 bits, and an exponent
 *  of `exponent_len` bytes, at most 1024. A check of a signature fails, after the time that it
 *  takes with a real one. */
void pki_key_make_public(struct pki_key *key, size_t exponent_len);
void pki_key_free(struct pki_key *key);
/** The private key as PEM, appended: for the server programs that a test starts. */
void pki_key_append_pem(const struct pki_key *key, struct hf_buf *out);

/* An extension as it stands in a certificate, in place of the one that would be there. */
struct pki_extension {
    struct hf_bytes oid; /* MBEDTLS_OID_… */
    bool is_critical;
    struct hf_bytes value; /* DER */
};
#define PKI_EXTENSIONS_MAX 4

/* What is to be in a certificate. Zero is the default of everything but subject and key. */
struct pki_cert {
    const char *subject; /* "CN=Root A" */
    struct pki_key *key;
    const char *issuer; /* NULL: self-signed */
    struct pki_key *issuer_key;
    int64_t not_before_s;     /* 0: 2020-01-01 */
    int64_t not_after_s;      /* 0: 2040-01-01 */
    mbedtls_md_type_t digest; /* 0: SHA-256 */
    bool is_ca;
    unsigned key_usage;             /* MBEDTLS_X509_KU_…; 0: a CA's own, none for others */
    const char *dns_name;           /* subjectAltName */
    struct hf_bytes extended_usage; /* the OID in extendedKeyUsage; empty: no extendedKeyUsage */
    struct pki_extension extensions[PKI_EXTENSIONS_MAX]; /* up to the first without an OID */
};

/** DER, appended to `out`. */
void pki_issue(const struct pki_cert *cert, struct hf_buf *out);
/** The same as one PEM block. */
void pki_issue_pem(const struct pki_cert *cert, struct hf_buf *out);

/** A tag, a length and a value, appended: what extensions are made of. */
void pki_put(struct hf_buf *out, uint8_t tag, struct hf_bytes value);

/* An attribute of a name: 2.5.4.`type`, with a value of any tag. */
struct pki_attribute {
    uint8_t type; /* 3: commonName, 10: organizationName */
    uint8_t tag;
    struct hf_bytes value;
    bool is_merged; /* into the part of the one before */
};

/** A Name of the attributes up to the first without a type, appended. */
void pki_name(const struct pki_attribute *attributes, struct hf_buf *out);
/** nameConstraints (RFC 5280, 4.2.1.10) with DNS names, each list ended by NULL; NULL: no such
 *  list. */
void pki_name_constraints(const char *const *permitted, const char *const *excluded,
                          struct hf_buf *out);

/** Make of a certificate that is signed with ECDSA one with an undefined signature
 *  algorithm: well-formed, and not supported by anything. */
void pki_change_signature_algorithm(struct hf_buf *der);

/** A self-signed root with the default dates. */
void pki_root(const char *subject, struct pki_key *key, struct hf_buf *out);
/** Midnight UTC. */
int64_t pki_day(int year, int month, int day);

/** A random generator in the shape that Mbed TLS asks for. */
int pki_random(void *ctx, unsigned char *out, size_t len);

#endif
