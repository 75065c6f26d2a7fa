/* server/findings: keys that are weak, and lists of them and of revoked certificates. */
#include "tests/support/check.h"
#include "tests/support/openssl_pki.h"
#include "tests/support/temp_dir.h"

#include "common/base/digest.h"
#include "server/findings/crl.h"
#include "server/findings/key_quality.h"
#include "server/findings/roca.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include <stdio.h>

/* Made for this test by the published formula: two primes k * M + (65537^a mod M), M the product of
 * the first 126 primes. */
static const char weak_modulus[] =
    "CDFF19E625838764AAA523E4AFD5912319F9678BAC15B28F3579458FF644017DC230F4B102E2F82876874A68"
    "98AA1F18EAA2E12689929562B1178C45A770E2EB1F63F036DA36ECC3F98434E5767FB23E3FB17D986D3DE57A"
    "BE23408DB3D16CFCAB6F377FAFC25A296EAEF72886CB84517BB7D1578C82EB46DA081034A52CE1D4A6580510"
    "003E2649ED17858A9D7CDC5D51E37332A13F2F908E495EF70FABA225B5F38D818D3D1A065A7942E861B0F9BF"
    "2AE5FE18DC0452E6B8E7196A6A38EA2D32A0B7C69680B9BD0C6709E03A68DFF4CE38A43E3A0390971B849B65"
    "1B045D29B189DFC0F78E0C5CF825E32F99F3841DC77C7534177FAACE40EDF089B0039E65";

static BIGNUM *number(const char *hex)
{
    BIGNUM *n = NULL;
    assert_true(BN_hex2bn(&n, hex) > 0);
    return n;
}

static BIGNUM *modulus_of(EVP_PKEY *key)
{
    BIGNUM *n = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n), 1);
    return n;
}

/* A certificate of that modulus; its private key is unknown. */
static X509 *cert_of_modulus(const BIGNUM *n)
{
    EVP_PKEY *rsa = NULL, *signer = ossl_key("P-256");
    BIGNUM *e = number("10001");
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e), 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &rsa, EVP_PKEY_PUBLIC_KEY, params), 1);
    X509 *cert = ossl_cert(&(struct ossl_cert){.subject = "pump-1", .key = rsa, .by = {signer}});
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(signer);
    BN_free(e);
    return cert;
}

/* The line of openssl-blacklist for that modulus. */
static void list_line(const BIGNUM *n, char out[22])
{
    uint8_t sha1[SHA_DIGEST_LENGTH];
    char text[1100], *digits = BN_bn2hex(n);
    (void)snprintf(text, sizeof text, "Modulus=%s\n", digits);
    (void)SHA1((const uint8_t *)text, strlen(text), sha1);
    hf_hex_encode(sha1 + 10, 10, out);
    memcpy(out + 20, "\n", 2);
    OPENSSL_free(digits);
}

/* ---- ROCA ------------------------------------------------------------------------------------ */

static void a_modulus_of_the_weak_generator_is_found(void **state)
{
    (void)state;
    BIGNUM *n = number(weak_modulus);
    assert_true(hf_roca_is_weak(n));
    assert_true(BN_add_word(n, 2));
    assert_false(hf_roca_is_weak(n));
    BN_free(n);
}

static void other_moduli_are_not(void **state)
{
    (void)state;
    const char *const kinds[] = {"RSA:2048", "RSA:3072", "RSA-PSS:2048"};
    for (size_t i = 0; i < 3; i++) {
        EVP_PKEY *key = ossl_key(kinds[i]);
        BIGNUM *n = modulus_of(key);
        assert_false(hf_roca_is_weak(n));
        BN_free(n);
        EVP_PKEY_free(key);
    }
    /* 200 random ones, and those that all small primes divide. */
    BIGNUM *n = number("0");
    assert_false(hf_roca_is_weak(n));
    for (int i = 0; i < 200; i++) {
        assert_int_equal(BN_rand(n, 2048, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD), 1);
        assert_false(hf_roca_is_weak(n));
    }
    BN_free(n);
}

/* ---- Debian's weak keys ---------------------------------------------------------------------- */

static void a_key_on_the_list_is_found(void **state)
{
    (void)state;
    struct hf_why why = {0};
    struct hf_weak_keys list = {0};
    EVP_PKEY *key = ossl_key("RSA:2048"), *other = ossl_key("RSA:3072");
    BIGNUM *n = modulus_of(key), *m = modulus_of(other);
    char line[22], text[256];
    list_line(n, line);
    (void)snprintf(text, sizeof text,
                   "# RSA 2048\r\nffffffffffffffffffff\r\n\n%s00000000000000000000", line);
    CHECK_OK(hf_weak_keys_parse(&list, "list", hf_bytes_of_text(text), &why));
    hf_weak_keys_sort(&list);
    assert_int_equal(list.n, 3);
    assert_true(hf_weak_keys_has(&list, n));
    assert_false(hf_weak_keys_has(&list, m));
    hf_weak_keys_free(&list);
    assert_false(hf_weak_keys_has(&list, n));
    BN_free(n);
    BN_free(m);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void a_list_that_is_none_is_refused(void **state)
{
    (void)state;
    const char *const bad[] = {"ffffffffffffffffffff\nffffffffffffffffffffff\n",
                               "x\nfffffffffffffffffff", "gggggggggggggggggggg\n",
                               " ffffffffffffffffffff\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct hf_weak_keys list = {0};
        struct hf_why why = {0};
        CHECK_REFUSED(hf_weak_keys_parse(&list, "keys.txt", hf_bytes_of_text(bad[i]), &why),
                      HF_E_FORMAT, &why, i == 0 ? "keys.txt, line 2: expected 20" : "line 1");
        hf_weak_keys_free(&list);
    }
    struct hf_weak_keys list = {0};
    struct hf_why why = {0};
    CHECK_REFUSED(hf_weak_keys_read((const char *const[]){"/nowhere/keys"}, 1, &list, &why),
                  HF_E_NOT_FOUND, &why, "/nowhere/keys");
    assert_int_equal(list.n, 0);
}

/* ---- a certificate's key --------------------------------------------------------------------- */

static void each_fault_of_a_key_has_its_sentence(void **state)
{
    (void)state;
    struct hf_weak_keys list = {0};
    struct hf_why why = {0};
    char fault[HF_KEY_FAULT_MAX], line[22];
    static const struct {
        const char *key, *part;
    } cases[] = {{"RSA:2048", ""},           {"P-256", ""},
                 {"RSA-PSS:2048", ""},       {"RSA:1024", "found RSA 1024"},
                 {"ED25519", "unsupported"}, {"DSA:2048", "unsupported"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        EVP_PKEY *key = ossl_key(cases[i].key), *signer = ossl_key("P-256");
        X509 *cert = ossl_cert(&(struct ossl_cert){.subject = "d", .key = key, .by = {signer}});
        hf_key_fault(cert, false, &list, fault);
        assert_int_equal(fault[0] == '\0', cases[i].part[0] == '\0');
        assert_non_null(strstr(fault, cases[i].part));
        X509_free(cert);
        EVP_PKEY_free(key);
        EVP_PKEY_free(signer);
    }
    BIGNUM *n = number(weak_modulus);
    X509 *cert = cert_of_modulus(n);
    hf_key_fault(cert, false, &list, fault);
    assert_non_null(strstr(fault, "ROCA"));
    hf_key_fault(cert, true, &list, fault);
    assert_non_null(strstr(fault, "ROCA"));
    X509_free(cert);
    BN_free(n);

    EVP_PKEY *key = ossl_key("RSA:2048");
    n = modulus_of(key);
    list_line(n, line);
    CHECK_OK(hf_weak_keys_parse(&list, "list", hf_bytes_of_text(line), &why));
    cert = cert_of_modulus(n);
    hf_key_fault(cert, false, &list, fault);
    assert_non_null(strstr(fault, "CVE-2008-0166"));
    X509_free(cert);
    BN_free(n);
    EVP_PKEY_free(key);
    hf_weak_keys_free(&list);
}

/* ---- revocation lists ------------------------------------------------------------------------ */

static X509_CRL *crl_of(const char *issuer, EVP_PKEY *key, X509 *revoked)
{
    X509_CRL *crl = X509_CRL_new();
    X509_NAME *name = X509_NAME_new();
    ASN1_TIME *now = ASN1_TIME_set(NULL, (time_t)OSSL_NOW_S);
    X509_REVOKED *entry = X509_REVOKED_new();
    (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)issuer, -1, -1, 0);
    (void)X509_CRL_set_issuer_name(crl, name);
    (void)X509_CRL_set1_lastUpdate(crl, now);
    (void)X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked));
    (void)X509_REVOKED_set_revocationDate(entry, now);
    (void)X509_CRL_add0_revoked(crl, entry);
    assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
    X509_NAME_free(name);
    ASN1_TIME_free(now);
    return crl;
}

static void only_what_its_issuer_lists_is_revoked(void **state)
{
    struct hf_why why = {0};
    struct hf_crls crls = {0};
    EVP_PKEY *key = ossl_key("P-256");
    X509 *one = ossl_cert(&(struct ossl_cert){.subject = "one", .issuer = "CA", .key = key});
    X509 *two = ossl_cert(&(struct ossl_cert){.subject = "two", .issuer = "other", .key = key});
    X509_CRL *crl = crl_of("CA", key, one);
    const char *path = temp_path(*state, "crl.pem");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509_CRL(file, crl), 1);
    assert_int_equal(fclose(file), 0);
    CHECK_OK(hf_crls_read(&path, 1, &crls, &why));
    assert_int_equal(crls.n, 1);
    assert_true(hf_crls_has(&crls, one));
    assert_false(hf_crls_has(&crls, two)); /* whatever its number is */
    hf_crls_free(&crls);
    assert_false(hf_crls_has(&crls, one));

    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(i2d_X509_CRL_fp(file, crl), 1);
    assert_int_equal(fclose(file), 0);
    CHECK_OK(hf_crls_read(&path, 1, &crls, &why));
    assert_true(hf_crls_has(&crls, one));
    hf_crls_free(&crls);

    file = fopen(path, "a"); /* a second list behind it would not be read */
    assert_non_null(file);
    assert_int_equal(i2d_X509_CRL_fp(file, crl), 1);
    assert_int_equal(fclose(file), 0);
    CHECK_REFUSED(hf_crls_read(&path, 1, &crls, &why), HF_E_FORMAT, &why,
                  "expected certificate revocation lists");

    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509_CRL(file, crl), 1);
    assert_true(fputs("-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    CHECK_REFUSED(hf_crls_read(&path, 1, &crls, &why), HF_E_FORMAT, &why,
                  "expected certificate revocation lists");

    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs("no list\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    CHECK_REFUSED(hf_crls_read(&path, 1, &crls, &why), HF_E_FORMAT, &why,
                  "expected certificate revocation lists");
    X509_CRL_free(crl);
    X509_free(one);
    X509_free(two);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_modulus_of_the_weak_generator_is_found),
        cmocka_unit_test(other_moduli_are_not),
        cmocka_unit_test(a_key_on_the_list_is_found),
        cmocka_unit_test(a_list_that_is_none_is_refused),
        cmocka_unit_test(each_fault_of_a_key_has_its_sentence),
        cmocka_unit_test_setup_teardown(only_what_its_issuer_lists_is_revoked, temp_dir_setup,
                                        temp_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
