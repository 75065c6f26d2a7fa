/* server/identity/csr: which requests for a certificate are accepted, and that a refused one leaves
 * nothing. */
#include "tests/support/check.h"

#include "server/identity/csr.h"
#include "tests/support/openssl_pki.h"

#include <openssl/err.h>
#include <stdlib.h>

static struct hf_buf csr_der(EVP_PKEY *key, const struct ossl_signing *by)
{
    struct hf_buf der = {0};
    X509_REQ *csr = ossl_csr(key, by);
    ossl_csr_der(csr, &der);
    X509_REQ_free(csr);
    return der;
}

static struct hf_buf csr_pem(EVP_PKEY *key)
{
    struct hf_buf pem = {0};
    X509_REQ *csr = ossl_csr(key, &(struct ossl_signing){.key = key});
    ossl_csr_pem(csr, &pem);
    X509_REQ_free(csr);
    return pem;
}

static void assert_refused(struct hf_bytes input, enum hf_err wanted, const char *sentence)
{
    struct hf_why why = {0};
    struct hf_csr csr = {0};
    CHECK_REFUSED(hf_csr_check(input, &csr, &why), wanted, &why, sentence);
    assert_null(csr.der.data);
    assert_null(csr.spki.data);
    assert_int_equal(ERR_peek_error(), 0);
}

static void every_key_of_the_table_may_ask(void **state)
{
    static const struct {
        const char *spec;
        enum hf_client_key kind;
        unsigned bits;
    } lines[] = {
        {"RSA:2048", HF_CLIENT_KEY_RSA, 2048},
        {"RSA:4096", HF_CLIENT_KEY_RSA, 4096},
        {"RSA-PSS:2048", HF_CLIENT_KEY_RSA_PSS, 2048},
        {"P-256", HF_CLIENT_KEY_P256, 256},
        {"P-384", HF_CLIENT_KEY_P384, 384},
        {"P-521", HF_CLIENT_KEY_P521, 521},
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct hf_why why = {0};
        struct hf_csr csr = {0};
        uint8_t sha256[HF_SHA256_LEN];
        EVP_PKEY *key = ossl_key(lines[i].spec);
        struct hf_buf der = csr_der(key, &(struct ossl_signing){.key = key});
        CHECK_OK(hf_csr_check(hf_buf_bytes(&der), &csr, &why));
        assert_int_equal(csr.key.kind, lines[i].kind);
        assert_int_equal(csr.key.bits, lines[i].bits);
        assert_true(hf_bytes_equal(hf_buf_bytes(&csr.der), hf_buf_bytes(&der)));
        const unsigned char *at = csr.spki.data;
        EVP_PKEY *read = d2i_PUBKEY(NULL, &at, (long)csr.spki.len);
        assert_int_equal(EVP_PKEY_eq(read, key), 1);
        hf_sha256(hf_buf_bytes(&csr.spki), sha256);
        assert_memory_equal(sha256, csr.spki_sha256, sizeof sha256);
        EVP_PKEY_free(read);
        hf_csr_free(&csr);
        hf_buf_free(&der);
        EVP_PKEY_free(key);
    }
}

static void other_keys_are_refused(void **state)
{
    static const struct {
        const char *spec, *sentence;
    } lines[] = {{"RSA:1024", "found RSA 1024"},
                 {"P-224", "found another kind"},
                 {"secp256k1", "found another kind"},
                 {"ED25519", "found another kind"},
                 {"DSA:2048", "found DSA 2048"}};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        EVP_PKEY *key = ossl_key(lines[i].spec);
        struct hf_buf der = csr_der(key, &(struct ossl_signing){.key = key});
        assert_refused(hf_buf_bytes(&der), HF_E_POLICY, lines[i].sentence);
        hf_buf_free(&der);
        EVP_PKEY_free(key);
    }
}

static void a_request_signed_by_another_key_is_refused(void **state)
{
    EVP_PKEY *key = ossl_key("P-256"), *other = ossl_key("P-256");
    struct hf_buf der = csr_der(key, &(struct ossl_signing){.key = other});
    (void)state;
    assert_refused(hf_buf_bytes(&der), HF_E_SIGNATURE, "was not made by the private key");
    hf_buf_free(&der);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void a_weak_signature_is_refused(void **state)
{
    EVP_PKEY *key = ossl_key("RSA:2048");
    struct hf_buf der = csr_der(key, &(struct ossl_signing){.key = key, .hash = "SHA1"});
    (void)state;
    assert_refused(hf_buf_bytes(&der), HF_E_POLICY, "unsupported signature algorithm");
    hf_buf_free(&der);
    EVP_PKEY_free(key);
}

/* Each byte in turn: no change of a request is accepted as the request. */
static void a_changed_request_is_never_accepted_as_the_same(void **state)
{
    EVP_PKEY *key = ossl_key("P-256");
    struct hf_buf der = csr_der(key, &(struct ossl_signing){.key = key});
    (void)state;
    for (size_t i = 0; i < der.len; i++) {
        struct hf_csr csr = {0};
        struct hf_why why = {0};
        der.data[i] ^= 0x01;
        assert_true(hf_csr_check(hf_buf_bytes(&der), &csr, &why) != HF_OK);
        assert_null(csr.der.data);
        der.data[i] ^= 0x01;
    }
    hf_buf_free(&der);
    EVP_PKEY_free(key);
}

static void pem_may_have_white_space_around_it_and_nothing_else(void **state)
{
    struct hf_why why = {0};
    struct hf_csr csr = {0};
    EVP_PKEY *key = ossl_key("P-256");
    struct hf_buf pem = csr_pem(key), text = {0};
    (void)state;
    CHECK_OK(hf_buf_printf(&text, "\r\n  %s\n\t ", (const char *)pem.data));
    CHECK_OK(hf_csr_check(hf_buf_bytes(&text), &csr, &why));
    hf_csr_free(&csr);

    static const char *const formats[] = {"%s%s", "a comment\n%s", "%sx", "%s-----BEGIN"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        char joined[8192];
        (void)snprintf(joined, sizeof joined, formats[i], (const char *)pem.data,
                       (const char *)pem.data);
        assert_refused(hf_bytes_of_text(joined), HF_E_FORMAT, "not a certificate signing request");
    }
    hf_buf_free(&text);
    hf_buf_free(&pem);
    EVP_PKEY_free(key);
}

static void bytes_behind_der_are_refused(void **state)
{
    EVP_PKEY *key = ossl_key("P-256");
    struct hf_buf der = csr_der(key, &(struct ossl_signing){.key = key});
    (void)state;
    CHECK_OK(hf_buf_append(&der, "", 1));
    assert_refused(hf_buf_bytes(&der), HF_E_FORMAT, "not a certificate signing request");
    hf_buf_free(&der);
    EVP_PKEY_free(key);
}

static void other_things_are_refused(void **state)
{
    struct hf_buf pem = {0};
    EVP_PKEY *key = ossl_key("P-256");
    X509 *cert = ossl_cert(&(struct ossl_cert){.subject = "device", .key = key});
    (void)state;
    ossl_cert_pem(cert, &pem);
    assert_refused(hf_buf_bytes(&pem), HF_E_FORMAT, "not a certificate signing request");
    assert_refused((struct hf_bytes){NULL, 0}, HF_E_FORMAT, "not a certificate signing request");
    assert_refused(hf_bytes_of_text("\n\n"), HF_E_FORMAT, "not a certificate signing request");
    assert_refused(hf_bytes_of_text("-----BEGIN CERTIFICATE REQUEST-----\n"), HF_E_FORMAT,
                   "not a certificate signing request");
    hf_buf_free(&pem);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void a_request_that_is_too_long_is_not_read(void **state)
{
    uint8_t *bytes = calloc(1, HF_CSR_BYTES_MAX + 1);
    (void)state;
    assert_non_null(bytes);
    assert_refused((struct hf_bytes){bytes, HF_CSR_BYTES_MAX + 1}, HF_E_LIMIT, "it is too long");
    assert_refused((struct hf_bytes){bytes, HF_CSR_BYTES_MAX}, HF_E_FORMAT,
                   "not a certificate signing request");
    free(bytes);
}

/* ---- renewal --------------------------------------------------------------------------------- */

static struct hf_buf sign_renewal(EVP_PKEY *key, const char *prefix, const struct hf_csr *csr)
{
    struct hf_buf message = {0}, signature = {0};
    size_t len = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    CHECK_OK(hf_buf_append(&message, prefix, strlen(prefix) + 1));
    CHECK_OK(hf_buf_append(&message, csr->der.data, csr->der.len));
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, NULL, &len, message.data, message.len), 1);
    CHECK_OK(hf_buf_reserve(&signature, len));
    assert_int_equal(EVP_DigestSign(ctx, signature.data, &len, message.data, message.len), 1);
    signature.len = len;
    EVP_MD_CTX_free(ctx);
    hf_buf_free(&message);
    return signature;
}

static void the_old_key_signs_the_request_for_a_new_one(void **state)
{
    static const char *const old_keys[] = {"P-256", "P-521", "RSA:2048", "RSA-PSS:2048"};
    EVP_PKEY *fresh = ossl_key("P-256"), *other = ossl_key("P-256");
    struct hf_buf der = csr_der(fresh, &(struct ossl_signing){.key = fresh});
    struct hf_csr csr = {0};
    struct hf_why why = {0};
    (void)state;
    CHECK_OK(hf_csr_check(hf_buf_bytes(&der), &csr, &why));
    for (size_t i = 0; i < sizeof old_keys / sizeof *old_keys; i++) {
        EVP_PKEY *key = ossl_key(old_keys[i]);
        X509 *old = ossl_cert(&(struct ossl_cert){.subject = "device", .key = key});
        struct hf_buf good = sign_renewal(key, "holdfast renew", &csr);
        struct hf_buf bad[] = {sign_renewal(other, "holdfast renew", &csr),
                               sign_renewal(key, "holdfast reneW", &csr),
                               {0}};
        CHECK_OK(hf_csr_check_renewal(&csr, old, hf_buf_bytes(&good), &why));
        for (size_t b = 0; b < 3; b++) {
            CHECK_REFUSED(hf_csr_check_renewal(&csr, old, hf_buf_bytes(&bad[b]), &why),
                          HF_E_SIGNATURE, &why, "did not sign it");
            hf_buf_free(&bad[b]);
        }
        assert_int_equal(ERR_peek_error(), 0);
        hf_buf_free(&good);
        X509_free(old);
        EVP_PKEY_free(key);
    }
    X509 *same = ossl_cert(&(struct ossl_cert){.subject = "device", .key = fresh});
    struct hf_buf signature = sign_renewal(fresh, "holdfast renew", &csr);
    CHECK_REFUSED(hf_csr_check_renewal(&csr, same, hf_buf_bytes(&signature), &why), HF_E_POLICY,
                  &why, "Generate a new key");
    hf_buf_free(&signature);
    hf_buf_free(&der);
    hf_csr_free(&csr);
    X509_free(same);
    EVP_PKEY_free(fresh);
    EVP_PKEY_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_of_the_table_may_ask),
        cmocka_unit_test(other_keys_are_refused),
        cmocka_unit_test(a_request_signed_by_another_key_is_refused),
        cmocka_unit_test(a_weak_signature_is_refused),
        cmocka_unit_test(a_changed_request_is_never_accepted_as_the_same),
        cmocka_unit_test(pem_may_have_white_space_around_it_and_nothing_else),
        cmocka_unit_test(bytes_behind_der_are_refused),
        cmocka_unit_test(other_things_are_refused),
        cmocka_unit_test(a_request_that_is_too_long_is_not_read),
        cmocka_unit_test(the_old_key_signs_the_request_for_a_new_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
