/* common/bundle/algorithms.c: which signatures and keys count. */
#include "tests/support/check.h"

#include "common/bundle/algorithms.h"
#include "tests/support/test_pki.h"

#define SIGNATURES " (expected RSA or ECDSA with SHA-256 or better)"

/* A certificate that its own key has signed; `der` keeps its bytes. */
static struct hf_certificate make(enum pki_kind kind, mbedtls_md_type_t digest, struct hf_buf *der)
{
    struct pki_key key;
    struct hf_certificate cert;

    pki_key_make(&key, kind);
    pki_issue(&(struct pki_cert){.subject = "CN=A", .key = &key, .digest = digest, .is_ca = true},
              der);
    pki_key_free(&key);
    assert_true(hf_certificate_parse(hf_buf_bytes(der), &cert));
    return cert;
}

static void the_table_decides(void **state)
{
    static const struct {
        enum pki_kind kind;
        mbedtls_md_type_t digest;
        bool is_key_accepted, is_algorithm_accepted;
        const char *fault;
    } rows[] = {
        {PKI_P256, MBEDTLS_MD_SHA256, true, true},
        {PKI_P384, MBEDTLS_MD_SHA384, true, true},
        {PKI_P521, MBEDTLS_MD_SHA512, true, true},
        {PKI_RSA_2048, MBEDTLS_MD_SHA256, true, true},
        {PKI_P256, MBEDTLS_MD_SHA1, true, false, "signed with SHA-1" SIGNATURES},
        {PKI_RSA_1024, MBEDTLS_MD_SHA256, false, true,
         "its key is not accepted: RSA key of 1024 bits (expected 2048 to 8192)"},
        {PKI_SECP256K1, MBEDTLS_MD_SHA256, false, true,
         "its key is not accepted: elliptic curve secp256k1 (expected RSA, P-256, P-384 or P-521)"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool is_good = rows[i].is_key_accepted && rows[i].is_algorithm_accepted;
        struct hf_buf der = {0};
        struct hf_certificate cert = make(rows[i].kind, rows[i].digest, &der);
        char fault[HF_ALGORITHM_FAULT_MAX];
        assert_int_equal(hf_algorithm_is_accepted(&cert), rows[i].is_algorithm_accepted);
        assert_int_equal(hf_key_is_accepted(&cert), rows[i].is_key_accepted);
        if (!rows[i].is_key_accepted)
            hf_algorithm_key_fault(&cert, fault);
        else if (!rows[i].is_algorithm_accepted)
            hf_algorithm_signature_fault(&cert, fault);
        if (!is_good)
            assert_string_equal(fault, rows[i].fault);
        assert_int_equal(hf_signature_verify(&cert, &cert),
                         is_good ? HF_SIGNATURE_GOOD : HF_SIGNATURE_WEAK);
        hf_buf_free(&der);
    }
}

static void another_key_or_other_bytes_do_not_verify(void **state)
{
    struct hf_buf der = {0}, other_der = {0};
    struct hf_certificate cert = make(PKI_P256, MBEDTLS_MD_SHA256, &der),
                          other = make(PKI_P256, MBEDTLS_MD_SHA256, &other_der);

    (void)state;
    assert_int_equal(hf_signature_verify(&cert, &other), HF_SIGNATURE_BAD);
    der.data[cert.form.serial.data + 1 - der.data] ^= 1;
    assert_int_equal(hf_signature_verify(&cert, &cert), HF_SIGNATURE_BAD);
    hf_buf_free(&der);
    hf_buf_free(&other_der);
}

static void what_is_not_in_the_table_is_not_known(void **state)
{
    struct hf_buf der = {0};
    struct hf_certificate cert = make(PKI_P256, MBEDTLS_MD_SHA256, &der);

    (void)state;
    pki_change_signature_algorithm(&der);
    assert_true(hf_certificate_parse(hf_buf_bytes(&der), &cert));
    assert_false(hf_algorithm_is_accepted(&cert));
    assert_int_equal(hf_signature_verify(&cert, &cert), HF_SIGNATURE_BAD);
    hf_buf_free(&der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_decides),
        cmocka_unit_test(another_key_or_other_bytes_do_not_verify),
        cmocka_unit_test(what_is_not_in_the_table_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
