/* common/bundle/cert.c: certificates as plain values. */
#include "tests/support/check.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/bundle/algorithms.h"
#include "common/bundle/cert.h"
#include "common/bundle/pem.h"
#include "tests/support/debian_roots.h"
#include "tests/support/openssl_pki.h"
#include "tests/support/test_pki.h"

#include <stdio.h>

static enum hf_err append_der(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    (void)index;
    (void)why;
    return hf_buf_append(ctx, der.data, der.len);
}

static void load_debian_root(const struct debian_root *root, struct hf_buf *der)
{
    struct hf_buf pem = {0};
    debian_root_load(root, &pem);
    CHECK_OK(hf_pem_walk(hf_buf_bytes(&pem), append_der, der, NULL));
    hf_buf_free(&pem);
}

static void assert_hex(const uint8_t sha256[HF_SHA256_LEN], const char *wanted)
{
    char hex[HF_SHA256_HEX_LEN];
    hf_hex_encode(sha256, HF_SHA256_LEN, hex);
    assert_string_equal(hex, wanted);
}

static void the_real_roots_are_what_their_ca_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < DEBIAN_ROOTS; i++) {
        const struct debian_root *root = &debian_roots[i];
        struct hf_buf der = {0};
        struct hf_cert cert;
        struct hf_why why = {0};
        load_debian_root(root, &der);
        CHECK_OK(hf_cert_parse(hf_buf_bytes(&der), &cert, &why));
        assert_hex(cert.sha256, root->sha256);
        assert_hex(cert.spki_sha256, root->spki_sha256);
        assert_non_null(strstr(cert.subject, root->subject));
        assert_string_equal(cert.subject, cert.issuer);
        assert_true(hf_bytes_equal(cert.subject_der, cert.issuer_der));
        char day[HF_TIME_TEXT_MAX], key[16];
        hf_time_format_day(cert.not_after_s, day);
        assert_string_equal(day, root->not_after);
        hf_cert_key_text(&cert, key);
        assert_string_equal(key, root->key);
        assert_true(cert.is_ca);
        assert_true(cert.is_self_issued);
        CHECK_OK(hf_cert_verify_self_signature(hf_buf_bytes(&der), &why));
        hf_buf_free(&der);
    }
}

static void dates_beyond_2038_and_2106_are_whole_seconds(void **state)
{
    (void)state;
    struct pki_key key;
    struct hf_buf der = {0};
    struct hf_cert cert;
    struct hf_why why = {0};
    pki_key_make(&key, PKI_P256);
    pki_issue(&(struct pki_cert){.subject = "CN=Long",
                                 .key = &key,
                                 .is_ca = true,
                                 .not_before_s = pki_day(1999, 12, 31),
                                 .not_after_s = pki_day(2106, 2, 7) + 86399},
              &der);
    CHECK_OK(hf_cert_parse(hf_buf_bytes(&der), &cert, &why));
    assert_true(cert.not_before_s == INT64_C(946598400));
    assert_true(cert.not_after_s == INT64_C(4295030399));
    hf_buf_free(&der);
    pki_key_free(&key);
}

static void keys_and_digests_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        enum pki_kind kind;
        mbedtls_md_type_t md;
        enum hf_cert_key key;
        enum hf_cert_digest digest;
        const char *text;
    } cases[] = {
        {PKI_P256, MBEDTLS_MD_SHA256, HF_CERT_KEY_P256, HF_CERT_DIGEST_SHA256, "P-256"},
        {PKI_P384, MBEDTLS_MD_SHA384, HF_CERT_KEY_P384, HF_CERT_DIGEST_SHA384, "P-384"},
        {PKI_P521, MBEDTLS_MD_SHA512, HF_CERT_KEY_P521, HF_CERT_DIGEST_SHA512, "P-521"},
        {PKI_P256, MBEDTLS_MD_SHA1, HF_CERT_KEY_P256, HF_CERT_DIGEST_SHA1, "P-256"},
        {PKI_RSA_1024, MBEDTLS_MD_MD5, HF_CERT_KEY_RSA, HF_CERT_DIGEST_OTHER, "RSA 1024"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pki_key key;
        struct hf_buf der = {0};
        struct hf_cert cert;
        struct hf_why why = {0};
        char text[16];
        pki_key_make(&key, cases[i].kind);
        pki_issue(&(struct pki_cert){.subject = "CN=K",
                                     .key = &key,
                                     .is_ca = true,
                                     .digest = cases[i].md},
                  &der);
        CHECK_OK(hf_cert_parse(hf_buf_bytes(&der), &cert, &why));
        assert_int_equal(cert.key, cases[i].key);
        assert_int_equal(cert.digest, cases[i].digest);
        hf_cert_key_text(&cert, text);
        assert_string_equal(text, cases[i].text);
        CHECK_OK(hf_cert_verify_self_signature(hf_buf_bytes(&der), &why));
        hf_buf_free(&der);
        pki_key_free(&key);
    }
}

static void twins_share_their_key_and_nothing_else(void **state)
{
    (void)state;
    struct pki_key key, old_key;
    struct hf_buf self = {0}, cross = {0};
    struct hf_cert a, b;
    struct hf_why why = {0};
    pki_key_make(&key, PKI_P256);
    pki_key_make(&old_key, PKI_P256);
    pki_root("CN=New", &key, &self);
    pki_issue(&(struct pki_cert){.subject = "CN=New",
                                 .key = &key,
                                 .issuer = "CN=Old",
                                 .issuer_key = &old_key,
                                 .is_ca = true},
              &cross);
    CHECK_OK(hf_cert_parse(hf_buf_bytes(&self), &a, &why));
    CHECK_OK(hf_cert_parse(hf_buf_bytes(&cross), &b, &why));
    assert_memory_equal(a.spki_sha256, b.spki_sha256, HF_SHA256_LEN);
    assert_memory_not_equal(a.sha256, b.sha256, HF_SHA256_LEN);
    assert_true(a.is_self_issued);
    assert_false(b.is_self_issued);
    assert_string_equal(b.issuer, "CN=Old");
    CHECK_REFUSED(hf_cert_verify_self_signature(hf_buf_bytes(&cross), &why), HF_E_POLICY, &why,
                  "the self-signature of \"CN=New\" does not verify");
    hf_buf_free(&self);
    hf_buf_free(&cross);
    pki_key_free(&key);
    pki_key_free(&old_key);
}

static void a_leaf_is_no_ca(void **state)
{
    (void)state;
    struct pki_key key;
    struct hf_buf der = {0};
    struct hf_cert cert;
    struct hf_why why = {0};
    pki_key_make(&key, PKI_P256);
    pki_issue(&(struct pki_cert){.subject = "CN=leaf", .key = &key}, &der);
    CHECK_OK(hf_cert_parse(hf_buf_bytes(&der), &cert, &why));
    assert_false(cert.is_ca);
    hf_buf_free(&der);
    pki_key_free(&key);
}

/* History: a PEM with three damaged bytes shipped. Wherever they are, some check notices. */
static void any_damaged_byte_is_noticed(void **state)
{
    (void)state;
    struct pki_key key;
    struct hf_buf der = {0};
    pki_key_make(&key, PKI_P256);
    pki_root("CN=Root", &key, &der);
    for (size_t i = 0; i < der.len; i++) {
        struct hf_cert cert = {.is_ca = true, .key_bits = 77};
        struct hf_why why = {0};
        der.data[i] ^= 0x55;
        enum hf_err err = hf_cert_parse(hf_buf_bytes(&der), &cert, &why);
        if (err != HF_OK) {
            assert_int_equal(cert.key_bits, 77); /* nothing was written */
        } else {
            err = hf_cert_verify_self_signature(hf_buf_bytes(&der), &why);
        }
        if (err == HF_OK)
            fail_msg("no check noticed that byte %zu of %zu is damaged", i, der.len);
        assert_int_equal(why.code, err);
        assert_true(strlen(why.text) > 40);
        der.data[i] ^= 0x55;
    }
    hf_buf_free(&der);
    pki_key_free(&key);
}

/* A device skips the one and refuses the other. */
static void not_supported_is_not_damaged(void **state)
{
    (void)state;
    struct pki_key key;
    struct hf_buf der = {0};
    struct hf_cert cert = {.key_bits = 77};
    struct hf_unsupported_cert unsupported;
    struct hf_why why = {0};
    pki_key_make(&key, PKI_P256);
    pki_root("C=US,O=Test,CN=Later", &key, &der);
    pki_change_signature_algorithm(&der);
    CHECK_REFUSED(
        hf_cert_parse(hf_buf_bytes(&der), &cert, &why), HF_E_POLICY, &why,
        "\"C=US, O=Test, CN=Later\" is a certificate that is not supported here: Holdfast "
        "cannot use its signature algorithm 1.2.840.10045.4.3.127");
    assert_int_equal(cert.key_bits, 77);
    assert_true(hf_cert_describe_unsupported(hf_buf_bytes(&der), &unsupported));
    assert_string_equal(unsupported.subject, "C=US, O=Test, CN=Later");

    /* One of its two algorithms damaged, a byte behind it, a byte missing. */
    uint8_t *last = der.data;
    for (size_t i = 0; i + 1 < der.len; i++)
        last = der.data[i] == 0x03 && der.data[i + 1] == 0x7F ? der.data + i + 1 : last;
    *last = 0x7E;
    CHECK_REFUSED(hf_cert_parse(hf_buf_bytes(&der), &cert, &why), HF_E_FORMAT, &why, "damaged");
    *last = 0x7F;
    CHECK_REFUSED(hf_cert_parse((struct hf_bytes){der.data, der.len - 1}, &cert, &why), HF_E_FORMAT,
                  &why, "damaged");
    CHECK_OK(hf_buf_append(&der, "x", 1));
    CHECK_REFUSED(hf_cert_parse(hf_buf_bytes(&der), &cert, &why), HF_E_FORMAT, &why,
                  "expected nothing behind it");
    hf_buf_free(&der);
    pki_key_free(&key);
}

/* OpenSSL before 3.1 took the longest salt, 222 bytes here. */
static void a_self_signature_with_unusual_parameters_is_not_damaged(void **state)
{
    (void)state;
    EVP_PKEY *key = ossl_key("RSA:2048");
    const struct {
        struct ossl_signing by;
        const char *part; /* NULL: it is good */
    } cases[] = {
        {{key, "SHA256", 222, NULL}, NULL},
        {{key, "SHA512", 32, NULL}, NULL},
        {{key, "SHA256", 32, "SHA1"}, "is a certificate that is not supported here"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_certificate parsed;
        struct hf_buf der = {0};
        struct hf_why why = {0};
        X509 *cert = ossl_cert(
            &(struct ossl_cert){.subject = "Root", .key = key, .by = cases[i].by, .is_ca = true});
        ossl_cert_der(cert, &der);
        assert_true(hf_certificate_parse(hf_buf_bytes(&der), &parsed));
        assert_int_equal(hf_signature_verify(&parsed, &parsed),
                         cases[i].part == NULL ? HF_SIGNATURE_GOOD : HF_SIGNATURE_BAD);
        if (cases[i].part == NULL)
            CHECK_OK(hf_cert_verify_self_signature(hf_buf_bytes(&der), &why));
        else
            CHECK_REFUSED(hf_cert_verify_self_signature(hf_buf_bytes(&der), &why), HF_E_POLICY,
                          &why, cases[i].part);
        der.data[der.len - 1] ^= 1;
        CHECK_REFUSED(hf_cert_verify_self_signature(hf_buf_bytes(&der), &why), HF_E_POLICY, &why,
                      cases[i].part == NULL ? "is damaged or forged" : cases[i].part);
        hf_buf_free(&der);
        X509_free(cert);
    }
    EVP_PKEY_free(key);
}

static void trailing_and_missing_bytes_are_refused(void **state)
{
    (void)state;
    struct pki_key key;
    struct hf_buf der = {0};
    struct hf_cert cert;
    struct hf_why why = {0};
    pki_key_make(&key, PKI_P256);
    pki_root("CN=Root", &key, &der);
    CHECK_REFUSED(hf_cert_parse((struct hf_bytes){der.data, der.len - 1}, &cert, &why), HF_E_FORMAT,
                  &why, "expected an X.509 certificate");
    CHECK_REFUSED(hf_cert_parse((struct hf_bytes){der.data, 0}, &cert, &why), HF_E_FORMAT, &why,
                  "expected an X.509 certificate");
    CHECK_OK(hf_buf_append(&der, "xyz", 3));
    CHECK_REFUSED(hf_cert_parse(hf_buf_bytes(&der), &cert, &why), HF_E_FORMAT, &why,
                  "but 3 more follow");
    CHECK_REFUSED(hf_cert_verify_self_signature(hf_buf_bytes(&der), &why), HF_E_FORMAT, &why,
                  "but 3 more follow");
    static const uint8_t large[HF_CERT_DER_MAX + 1];
    CHECK_REFUSED(hf_cert_parse((struct hf_bytes){large, sizeof large}, &cert, &why), HF_E_LIMIT,
                  &why, "16385 bytes");
    hf_buf_free(&der);
    pki_key_free(&key);
}

static void long_and_odd_names_stay_printable(void **state)
{
    (void)state;
    struct pki_key key;
    struct hf_buf der = {0};
    struct hf_cert cert;
    struct hf_why why = {0};
    char subject[400];
    pki_key_make(&key, PKI_P256);
    (void)snprintf(subject, sizeof subject, "CN=%060d,O=%060d,OU=%060d,L=%060d,ST=%060d", 1, 2, 3,
                   4, 5);
    pki_root(subject, &key, &der);
    CHECK_OK(hf_cert_parse(hf_buf_bytes(&der), &cert, &why));
    assert_int_equal(strlen(cert.subject), HF_DN_TEXT_MAX - 1);

    der.len = 0;
    pki_root("CN=a\\0a-----BEGIN\\c3\\bc", &key, &der);
    CHECK_OK(hf_cert_parse(hf_buf_bytes(&der), &cert, &why));
    for (const char *c = cert.subject; *c != '\0'; c++)
        assert_in_range(*c, 0x20, 0x7E);
    hf_buf_free(&der);
    pki_key_free(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_real_roots_are_what_their_ca_says),
        cmocka_unit_test(dates_beyond_2038_and_2106_are_whole_seconds),
        cmocka_unit_test(keys_and_digests_are_told_apart),
        cmocka_unit_test(twins_share_their_key_and_nothing_else),
        cmocka_unit_test(a_leaf_is_no_ca),
        cmocka_unit_test(any_damaged_byte_is_noticed),
        cmocka_unit_test(not_supported_is_not_damaged),
        cmocka_unit_test(a_self_signature_with_unusual_parameters_is_not_damaged),
        cmocka_unit_test(trailing_and_missing_bytes_are_refused),
        cmocka_unit_test(long_and_odd_names_stay_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
