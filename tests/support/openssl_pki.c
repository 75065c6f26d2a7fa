#include "tests/support/openssl_pki.h"

#include "tests/support/check.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/dsa.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- keys ------------------------------------------------------------------------------------ */

static EVP_PKEY *generate(EVP_PKEY_CTX *ctx)
{
    EVP_PKEY *key = NULL;
    assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/* Parameters of 2048 and 256 bits: to find some takes seconds. */
static const char dsa_2048[] = "-----BEGIN DSA PARAMETERS-----\n"
                               "MIICLAKCAQEApLhYLl9sHrBxdRwXxmbFXHnN8FqrFrxPQBYNUE1YlQHsjh42rEac\n"
                               "zZmuuKGghHNuwdib+lS4qhyqHXNf7b16gUvR+FVVtLhwNsTSTDVvnWzCX5ii9ZZT\n"
                               "ufguj4EV3ndGzc2ks/cYMmGoaZRryGUgaL9UiWNXTBSUkhp+rdjagCq0lSOUYnGs\n"
                               "7z0IgQvOCqdJ4B18h874tYUUNTBArxXfGw3/MXpSYRxP0QogHSU8f1liCZQtgOFH\n"
                               "vh5grpDCP5cp9DTodoKNYr68BmRHEc1BmnQIShWKoyVeWPxI8IN8+V/hVORn+723\n"
                               "iD4RaqwvnZL3ynTFGFv7WhB321sEmp6qNQIhAOPCVat23o5T1LJmmF9oFWs2YwyD\n"
                               "LUw3IEyptsREh5UJAoIBAB328EuOGyPENhyNZgY5U4IsnQI/ZodymoQFausDfn4+\n"
                               "gtGvhjiPmmEwOT9e6SDOqasLCKSQ6CgpOPgZ5RUrmN1naVb5Cwk1atYaVpAgH93S\n"
                               "J+lZurbottVZuxAEJAxr5e8VBrESD20Xr73/R6F7JEfw8QyAzUSfCTMIc3JAjMm+\n"
                               "vjvuO0fgAF4KDenafPlMYaUfow1Ff0/bhMSHZHVAey2OonOWGsbIOvdj0og3jnQI\n"
                               "aGXOU6j2nmj8pY5vIm49j5mgvtqnGEt5GcP08iMUYOLNzDMD+FqiayMfW3ZKpNz9\n"
                               "OXhNxlMvHCjA06ow+Hoxg8gI1ffm3JcTgGGXkLILEKM=\n"
                               "-----END DSA PARAMETERS-----\n";

static EVP_PKEY *read_dsa_2048(void)
{
    BIO *bio = BIO_new_mem_buf(dsa_2048, -1);
    EVP_PKEY *params = PEM_read_bio_Parameters(bio, NULL);
    BIO_free(bio);
    return params;
}

static EVP_PKEY *make_dsa_params(int bits)
{
    EVP_PKEY *params = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DSA", NULL);
    assert_int_equal(EVP_PKEY_paramgen_init(ctx), 1);
    assert_true(EVP_PKEY_CTX_set_dsa_paramgen_bits(ctx, bits) > 0);
    assert_int_equal(EVP_PKEY_paramgen(ctx, &params), 1);
    EVP_PKEY_CTX_free(ctx);
    return params;
}

static EVP_PKEY *dsa_key(int bits)
{
    EVP_PKEY *params = bits == 2048 ? read_dsa_2048() : make_dsa_params(bits);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, params, NULL);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    EVP_PKEY *key = generate(ctx);
    EVP_PKEY_free(params);
    return key;
}

static EVP_PKEY *rsa_key(const char *type, const char *rest)
{
    char *end = NULL;
    unsigned long bits = strtoul(rest, &end, 10);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_true(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits) > 0);
    if (*end == ':' && strcmp(type, "RSA") == 0) {
        BIGNUM *e = NULL;
        assert_true(BN_dec2bn(&e, end + 1) > 0);
        assert_true(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) > 0);
        BN_free(e);
    } else if (*end == ':') {
        const EVP_MD *hash = EVP_get_digestbyname(end + 1);
        assert_true(EVP_PKEY_CTX_set_rsa_pss_keygen_md(ctx, hash) > 0);
        assert_true(EVP_PKEY_CTX_set_rsa_pss_keygen_mgf1_md(ctx, hash) > 0);
        assert_true(EVP_PKEY_CTX_set_rsa_pss_keygen_saltlen(ctx, EVP_MD_get_size(hash)) > 0);
    }
    return generate(ctx);
}

static EVP_PKEY *make_key(const char *spec)
{
    if (strncmp(spec, "RSA:", 4) == 0)
        return rsa_key("RSA", spec + 4);
    if (strncmp(spec, "RSA-PSS:", 8) == 0)
        return rsa_key("RSA-PSS", spec + 8);
    if (strncmp(spec, "DSA:", 4) == 0)
        return dsa_key((int)strtol(spec + 4, NULL, 10));
    if (strcmp(spec, "ED25519") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return EVP_EC_gen(spec);
}

/* A second key of the same numbers is the first one: they take a second to make. */
static struct {
    char spec[64];
    EVP_PKEY *key;
} kept[32];

static void free_kept(void)
{
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        EVP_PKEY_free(kept[i].key);
}

EVP_PKEY *ossl_key(const char *spec)
{
    static size_t n;
    bool is_slow = strncmp(spec, "RSA", 3) == 0 || strncmp(spec, "DSA", 3) == 0;
    for (size_t i = 0; is_slow && i < n; i++)
        if (strcmp(kept[i].spec, spec) == 0 && EVP_PKEY_up_ref(kept[i].key) == 1)
            return kept[i].key;
    EVP_PKEY *key = make_key(spec);
    assert_non_null(key);
    if (is_slow && n < sizeof kept / sizeof *kept && EVP_PKEY_up_ref(key) == 1) {
        if (n == 0)
            (void)atexit(free_kept);
        (void)snprintf(kept[n].spec, sizeof kept[n].spec, "%s", spec);
        kept[n++].key = key;
    }
    return key;
}

EVP_PKEY *ossl_key_explicit_curve(void)
{
    EVP_PKEY *key = ossl_key("P-256");
    assert_int_equal(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, "explicit"),
                     1);
    return key;
}

/* ---- signing --------------------------------------------------------------------------------- */

static EVP_MD_CTX *begin_signing(const struct ossl_signing *by)
{
    EVP_PKEY_CTX *key_ctx = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool has_hash = EVP_PKEY_get_id(by->key) != EVP_PKEY_ED25519;
    const char *hash = by->hash != NULL ? by->hash : "SHA256";
    const EVP_MD *md = has_hash ? EVP_get_digestbyname(hash) : NULL;
    assert_int_equal(EVP_DigestSignInit(ctx, &key_ctx, md, NULL, by->key), 1);
    if (by->pss_salt_len != 0) {
        assert_true(EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING) > 0);
        assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, by->pss_salt_len) > 0);
        if (by->mgf1_hash != NULL)
            assert_true(EVP_PKEY_CTX_set_rsa_mgf1_md(key_ctx, EVP_get_digestbyname(by->mgf1_hash)) >
                        0);
    }
    return ctx;
}

static void set_cn(X509_NAME *name, const char *cn)
{
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                                (const unsigned char *)cn, -1, -1, 0),
                     1);
}

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

X509 *ossl_cert(const struct ossl_cert *spec)
{
    X509 *cert = X509_new();
    struct ossl_signing by = spec->by;
    unsigned char serial[16];
    if (by.key == NULL)
        by.key = spec->key;
    assert_int_equal(RAND_bytes(serial, sizeof serial), 1);
    serial[0] &= 0x7f;
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    assert_non_null(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)));
    BN_free(number);
    assert_int_equal(X509_set_version(cert, spec->is_version_1 ? X509_VERSION_1 : X509_VERSION_3),
                     1);
    set_cn(X509_get_subject_name(cert), spec->subject);
    set_cn(X509_get_issuer_name(cert), spec->issuer != NULL ? spec->issuer : spec->subject);
    int64_t from_s = spec->not_before_s != 0 ? spec->not_before_s : OSSL_NOW_S - 86400;
    int64_t to_s = spec->not_after_s != 0 ? spec->not_after_s : INT64_C(2524607999);
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(cert), from_s));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(cert), to_s));
    assert_int_equal(X509_set_pubkey(cert, spec->key), 1);
    if (spec->is_ca) {
        add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(cert, cert, NID_key_usage,
                      spec->key_usage != NULL ? spec->key_usage : "critical,keyCertSign");
        add_extension(cert, cert, NID_subject_key_identifier, "hash");
    }
    EVP_MD_CTX *ctx = begin_signing(&by);
    assert_true(X509_sign_ctx(cert, ctx) > 0);
    EVP_MD_CTX_free(ctx);
    return cert;
}

static void append_taken(struct hf_buf *out, unsigned char *der, int len)
{
    assert_true(len > 0);
    CHECK_OK(hf_buf_append(out, der, (size_t)len));
    OPENSSL_free(der);
}

void ossl_cert_der(const X509 *cert, struct hf_buf *out)
{
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    append_taken(out, der, len);
}

static void append_bio(struct hf_buf *out, BIO *bio)
{
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    CHECK_OK(hf_buf_append(out, text, (size_t)len));
    BIO_free(bio);
}

void ossl_cert_pem(X509 *cert, struct hf_buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
    append_bio(out, bio);
}

X509_REQ *ossl_csr(EVP_PKEY *key, const struct ossl_signing *by)
{
    X509_REQ *csr = X509_REQ_new();
    set_cn(X509_REQ_get_subject_name(csr), "another-device");
    assert_int_equal(X509_REQ_set_pubkey(csr, key), 1);
    EVP_MD_CTX *ctx = begin_signing(by);
    assert_true(X509_REQ_sign_ctx(csr, ctx) > 0);
    EVP_MD_CTX_free(ctx);
    return csr;
}

void ossl_csr_der(X509_REQ *csr, struct hf_buf *out)
{
    unsigned char *der = NULL;
    int len = i2d_X509_REQ(csr, &der);
    append_taken(out, der, len);
}

void ossl_csr_pem(X509_REQ *csr, struct hf_buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509_REQ(bio, csr), 1);
    append_bio(out, bio);
}
