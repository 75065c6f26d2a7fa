/* server/identity/algorithm: every line of the tables of keys and signatures, with real
 * certificates, and what stands just outside of them. */
#include "tests/support/check.h"

#include "server/identity/client_cert.h"
#include "tests/support/openssl_pki.h"

#include <openssl/err.h>

/* ---- keys ------------------------------------------------------------------------------------ */

struct key_line {
    const char *spec;
    enum hf_client_key kind;
    bool in_tls12, in_tls13; /* and at registration: in either */
    const char *sentence;    /* of the refusal */
};

static void check_key(const struct hf_client_key_form *form, unsigned tls_version, bool is_allowed,
                      const char *sentence)
{
    struct hf_why why = {0};
    if (is_allowed)
        CHECK_OK(hf_client_key_check(form, tls_version, &why));
    else
        CHECK_REFUSED(hf_client_key_check(form, tls_version, &why), HF_E_POLICY, &why, sentence);
}

static struct hf_client_cert describe(X509 *x509)
{
    struct hf_client_cert cert = {0};
    struct hf_why why = {0};
    CHECK_OK(hf_client_cert_describe(x509, &cert, &why));
    assert_int_equal(ERR_peek_error(), 0);
    return cert;
}

static void every_kind_and_size_of_key(void **state)
{
    static const struct key_line lines[] = {
        {"RSA:2048", HF_CLIENT_KEY_RSA, true, true, NULL},
        {"RSA:3072", HF_CLIENT_KEY_RSA, true, true, NULL},
        {"RSA:4096", HF_CLIENT_KEY_RSA, true, true, NULL},
        {"RSA:2048:3", HF_CLIENT_KEY_RSA, true, true, NULL},
        {"P-256", HF_CLIENT_KEY_P256, true, true, NULL},
        {"P-384", HF_CLIENT_KEY_P384, true, true, NULL},
        {"P-521", HF_CLIENT_KEY_P521, true, true, NULL},
        {"RSA-PSS:2048", HF_CLIENT_KEY_RSA_PSS, false, true, "in TLS 1.3 only"},
        {"RSA-PSS:3072", HF_CLIENT_KEY_RSA_PSS, false, true, "in TLS 1.3 only"},
        {"RSA-PSS:2048:SHA256", HF_CLIENT_KEY_RSA_PSS, false, true, "in TLS 1.3 only"},
        {"RSA-PSS:2048:SHA384", HF_CLIENT_KEY_RSA_PSS, false, true, "in TLS 1.3 only"},
        {"RSA-PSS:2048:SHA512", HF_CLIENT_KEY_RSA_PSS, false, true, "in TLS 1.3 only"},
        {"RSA:2047", HF_CLIENT_KEY_RSA, false, false, "found RSA 2047"},
        {"RSA:1024", HF_CLIENT_KEY_RSA, false, false, "found RSA 1024"},
        {"RSA-PSS:1024", HF_CLIENT_KEY_RSA_PSS, false, false, "found RSA-PSS 1024"},
        {"RSA:2048:73786976294838206465", HF_CLIENT_KEY_RSA, false, false, "odd exponent"},
        {"P-224", HF_CLIENT_KEY_OTHER, false, false, "found another kind"},
        {"secp256k1", HF_CLIENT_KEY_OTHER, false, false, "found another kind"},
        {"brainpoolP256r1", HF_CLIENT_KEY_OTHER, false, false, "found another kind"},
        {"ED25519", HF_CLIENT_KEY_OTHER, false, false, "found another kind"},
        {"DSA:2048", HF_CLIENT_KEY_DSA, false, false, "found DSA 2048"},
    };
    EVP_PKEY *issuer = ossl_key("P-256");
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        EVP_PKEY *key = ossl_key(lines[i].spec);
        X509 *x509 = ossl_cert(&(struct ossl_cert){.subject = "device",
                                                   .issuer = "CA",
                                                   .key = key,
                                                   .by = {.key = issuer}});
        struct hf_client_cert cert = describe(x509);
        assert_int_equal(cert.key.kind, lines[i].kind);
        bool is_any = lines[i].in_tls12 || lines[i].in_tls13;
        check_key(&cert.key, HF_TLS_1_2, lines[i].in_tls12, lines[i].sentence);
        check_key(&cert.key, HF_TLS_1_3, lines[i].in_tls13, lines[i].sentence);
        check_key(&cert.key, HF_TLS_ANY, is_any, lines[i].sentence);
        X509_free(x509);
        EVP_PKEY_free(key);
    }
    EVP_PKEY_free(issuer);
}

/* Parameters that are written out could describe a curve with a back door. */
static void a_curve_that_is_not_named_is_refused(void **state)
{
    EVP_PKEY *key = ossl_key_explicit_curve();
    X509 *x509 = ossl_cert(&(struct ossl_cert){.subject = "device", .key = key});
    struct hf_client_cert cert = describe(x509);
    (void)state;
    assert_int_equal(cert.key.kind, HF_CLIENT_KEY_OTHER);
    check_key(&cert.key, HF_TLS_1_3, false, "found another kind");
    X509_free(x509);
    EVP_PKEY_free(key);
}

static void a_point_off_the_curve_is_refused(void **state)
{
    struct hf_buf der = {0};
    struct hf_why why = {0};
    X509 *damaged = NULL;
    EVP_PKEY *key = ossl_key("P-256");
    X509 *x509 = ossl_cert(&(struct ossl_cert){.subject = "device", .key = key});
    unsigned char point[65];
    size_t len = 0;
    (void)state;
    assert_int_equal(EVP_PKEY_get_octet_string_param(key, "pub", point, sizeof point, &len), 1);
    ossl_cert_der(x509, &der);
    uint8_t *at = memmem(der.data, der.len, point, len);
    assert_non_null(at);
    at[len - 1] ^= 1;
    CHECK_OK(hf_client_cert_read_der(hf_buf_bytes(&der), &damaged, &why));
    struct hf_client_cert cert = describe(damaged);
    assert_int_equal(cert.key.kind, HF_CLIENT_KEY_P256);
    check_key(&cert.key, HF_TLS_1_3, false, "the public key is damaged");
    hf_buf_free(&der);
    X509_free(damaged);
    X509_free(x509);
    EVP_PKEY_free(key);
}

static void a_restricted_pss_key_needs_a_hash_of_the_table(void **state)
{
    EVP_PKEY *key = ossl_key("RSA-PSS:2048:SHA1");
    X509 *x509 = ossl_cert(
        &(struct ossl_cert){.subject = "device", .key = key, .by = {.key = key, .hash = "SHA1"}});
    struct hf_client_cert cert = describe(x509);
    (void)state;
    assert_int_equal(cert.key.kind, HF_CLIENT_KEY_RSA_PSS);
    check_key(&cert.key, HF_TLS_1_3, false, "the RSA-PSS key allows only");
    X509_free(x509);
    EVP_PKEY_free(key);
}

static void a_ca_may_also_have_a_dsa_key(void **state)
{
    static const struct {
        const char *spec;
        bool is_allowed;
    } lines[] = {{"DSA:2048", true},     {"DSA:1024", false}, {"RSA:2048", true},
                 {"RSA-PSS:2048", true}, {"P-521", true},     {"ED25519", false}};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct hf_why why = {0};
        EVP_PKEY *key = ossl_key(lines[i].spec);
        X509 *x509 = ossl_cert(&(struct ossl_cert){.subject = "CA", .key = key, .is_ca = true});
        struct hf_client_cert cert = describe(x509);
        enum hf_err err = hf_ca_key_check(&cert.key, &why);
        if (lines[i].is_allowed)
            CHECK_OK(err);
        else
            CHECK_REFUSED(err, HF_E_POLICY, &why, "unsupported key");
        X509_free(x509);
        EVP_PKEY_free(key);
    }
}

/* ---- signatures ------------------------------------------------------------------------------ */

struct signature_line {
    const char *key; /* the CA's */
    const char *hash;
    int salt_len;
    const char *mgf1_hash;
    enum hf_client_signature signature; /* OTHER: refused */
};

static void every_signature_algorithm(void **state)
{
    static const struct signature_line lines[] = {
        {"RSA:2048", "SHA256", 0, NULL, HF_CLIENT_SIGNATURE_RSA_SHA256},
        {"RSA:2048", "SHA384", 0, NULL, HF_CLIENT_SIGNATURE_RSA_SHA384},
        {"RSA:2048", "SHA512", 0, NULL, HF_CLIENT_SIGNATURE_RSA_SHA512},
        {"RSA:2048", "SHA256", 32, NULL, HF_CLIENT_SIGNATURE_PSS_SHA256},
        {"RSA:2048", "SHA384", 48, NULL, HF_CLIENT_SIGNATURE_PSS_SHA384},
        {"RSA:2048", "SHA512", 64, NULL, HF_CLIENT_SIGNATURE_PSS_SHA512},
        {"RSA-PSS:2048", "SHA256", 32, NULL, HF_CLIENT_SIGNATURE_PSS_SHA256},
        {"RSA-PSS:2048", "SHA384", 48, NULL, HF_CLIENT_SIGNATURE_PSS_SHA384},
        {"RSA-PSS:2048", "SHA512", 64, NULL, HF_CLIENT_SIGNATURE_PSS_SHA512},
        /* `openssl x509` takes the longest salt that fits unless it is told otherwise. */
        {"RSA:2048", "SHA256", 222, NULL, HF_CLIENT_SIGNATURE_PSS_SHA256},
        {"DSA:2048", "SHA256", 0, NULL, HF_CLIENT_SIGNATURE_DSA_SHA256},
        {"P-256", "SHA256", 0, NULL, HF_CLIENT_SIGNATURE_ECDSA_SHA256},
        {"P-384", "SHA384", 0, NULL, HF_CLIENT_SIGNATURE_ECDSA_SHA384},
        {"P-521", "SHA512", 0, NULL, HF_CLIENT_SIGNATURE_ECDSA_SHA512},
        {"P-256", "SHA512", 0, NULL, HF_CLIENT_SIGNATURE_ECDSA_SHA512},

        {"RSA:2048", "SHA1", 0, NULL, HF_CLIENT_SIGNATURE_OTHER},
        {"RSA:2048", "SHA224", 0, NULL, HF_CLIENT_SIGNATURE_OTHER},
        {"RSA:2048", "MD5", 0, NULL, HF_CLIENT_SIGNATURE_OTHER},
        {"RSA:2048", "SHA1", 20, NULL, HF_CLIENT_SIGNATURE_OTHER},
        {"RSA:2048", "SHA256", 31, NULL, HF_CLIENT_SIGNATURE_OTHER},
        {"RSA:2048", "SHA256", 32, "SHA1", HF_CLIENT_SIGNATURE_OTHER},
        {"RSA:2048", "SHA512", 64, "SHA256", HF_CLIENT_SIGNATURE_OTHER},
        {"DSA:2048", "SHA1", 0, NULL, HF_CLIENT_SIGNATURE_OTHER},
        {"DSA:2048", "SHA384", 0, NULL, HF_CLIENT_SIGNATURE_OTHER},
        {"DSA:2048", "SHA512", 0, NULL, HF_CLIENT_SIGNATURE_OTHER},
        {"P-256", "SHA1", 0, NULL, HF_CLIENT_SIGNATURE_OTHER},
        {"P-256", "SHA224", 0, NULL, HF_CLIENT_SIGNATURE_OTHER},
        {"ED25519", NULL, 0, NULL, HF_CLIENT_SIGNATURE_OTHER},
    };
    EVP_PKEY *device = ossl_key("P-256");
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct hf_why why = {0};
        const struct signature_line *line = &lines[i];
        EVP_PKEY *issuer = ossl_key(line->key);
        X509 *x509 = ossl_cert(
            &(struct ossl_cert){.subject = "device",
                                .issuer = "CA",
                                .key = device,
                                .by = {issuer, line->hash, line->salt_len, line->mgf1_hash}});
        struct hf_client_cert cert = describe(x509);
        if (cert.signature != line->signature)
            fail_msg("%s %s salt %d: row %d of the table", line->key, line->hash, line->salt_len,
                     (int)cert.signature);
        enum hf_err err = hf_client_cert_check_algorithms(&cert, HF_TLS_1_2, &why);
        if (line->signature != HF_CLIENT_SIGNATURE_OTHER)
            CHECK_OK(err);
        else
            CHECK_REFUSED(err, HF_E_POLICY, &why, "unsupported signature algorithm");
        X509_free(x509);
        EVP_PKEY_free(issuer);
    }
    EVP_PKEY_free(device);
}

/* An attacker changes the algorithm outside of what is signed. */
static void two_different_algorithms_are_refused(void **state)
{
    static const uint8_t ecdsa_sha256[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    struct hf_buf der = {0};
    struct hf_why why = {0};
    struct hf_client_cert cert = {0};
    X509 *changed = NULL;
    EVP_PKEY *key = ossl_key("P-256");
    X509 *x509 = ossl_cert(&(struct ossl_cert){.subject = "device", .key = key});
    (void)state;
    ossl_cert_der(x509, &der);
    uint8_t *first = memmem(der.data, der.len, ecdsa_sha256, sizeof ecdsa_sha256);
    assert_non_null(first);
    uint8_t *second = memmem(first + 1, der.len - (size_t)(first + 1 - der.data), ecdsa_sha256,
                             sizeof ecdsa_sha256);
    assert_non_null(second);
    second[sizeof ecdsa_sha256 - 1] = 3;
    CHECK_OK(hf_client_cert_read_der(hf_buf_bytes(&der), &changed, &why));
    CHECK_REFUSED(hf_client_cert_describe(changed, &cert, &why), HF_E_FORMAT, &why,
                  "two different signature algorithms");
    assert_int_equal(cert.not_after_s, 0);
    hf_buf_free(&der);
    X509_free(changed);
    X509_free(x509);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_and_size_of_key),
        cmocka_unit_test(a_curve_that_is_not_named_is_refused),
        cmocka_unit_test(a_point_off_the_curve_is_refused),
        cmocka_unit_test(a_restricted_pss_key_needs_a_hash_of_the_table),
        cmocka_unit_test(a_ca_may_also_have_a_dsa_key),
        cmocka_unit_test(every_signature_algorithm),
        cmocka_unit_test(two_different_algorithms_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
