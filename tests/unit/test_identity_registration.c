/* server/identity/registration and client_cert: what is checked when a CA or a certificate is
 * registered. */
#include "tests/support/check.h"

#include "common/base/digest.h"
#include "server/identity/registration.h"
#include "tests/support/openssl_pki.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

static const char code[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

struct pki {
    EVP_PKEY *ca_key, *other_key, *device_key;
    X509 *ca, *device;
};

static int make(void **state)
{
    static struct pki p;
    p.ca_key = ossl_key("P-256");
    p.other_key = ossl_key("P-256");
    p.device_key = ossl_key("P-256");
    p.ca = ossl_cert(&(struct ossl_cert){.subject = "CA", .key = p.ca_key, .is_ca = true});
    p.device = ossl_cert(&(struct ossl_cert){.subject = "device",
                                             .issuer = "CA",
                                             .key = p.device_key,
                                             .by = {.key = p.ca_key}});
    *state = &p;
    return 0;
}

static int drop(void **state)
{
    struct pki *p = *state;
    X509_free(p->ca);
    X509_free(p->device);
    EVP_PKEY_free(p->ca_key);
    EVP_PKEY_free(p->other_key);
    EVP_PKEY_free(p->device_key);
    return 0;
}

static void assert_untouched(const struct hf_client_cert *out)
{
    static const struct hf_client_cert nothing;
    assert_memory_equal(out, &nothing, sizeof nothing);
    assert_int_equal(ERR_peek_error(), 0);
}

/* ---- CAs ------------------------------------------------------------------------------------- */

static void refuse_ca(const struct ossl_cert *spec, enum hf_err wanted, const char *sentence)
{
    struct hf_client_cert out = {0};
    struct hf_why why = {0};
    X509 *ca = ossl_cert(spec);
    CHECK_REFUSED(hf_ca_check(ca, OSSL_NOW_S, &out, &why), wanted, &why, sentence);
    assert_untouched(&out);
    X509_free(ca);
}

static void a_ca_is_a_ca(void **state)
{
    struct pki *p = *state;
    struct hf_client_cert out = {0};
    struct hf_why why = {0};
    CHECK_OK(hf_ca_check(p->ca, OSSL_NOW_S, &out, &why));
    assert_int_equal(out.key.kind, HF_CLIENT_KEY_P256);
    refuse_ca(&(struct ossl_cert){.subject = "device", .key = p->ca_key}, HF_E_POLICY,
              "not a CA certificate");
    refuse_ca(&(struct ossl_cert){.subject = "old", .key = p->ca_key, .is_version_1 = true},
              HF_E_POLICY, "not a CA certificate");
    refuse_ca(&(struct ossl_cert){.subject = "CA",
                                  .key = p->ca_key,
                                  .is_ca = true,
                                  .key_usage = "critical,cRLSign"},
              HF_E_POLICY, "keyCertSign");
}

static void a_ca_is_valid_now_and_signed_itself(void **state)
{
    struct pki *p = *state;
    refuse_ca(&(struct ossl_cert){.subject = "CA",
                                  .key = p->ca_key,
                                  .is_ca = true,
                                  .not_after_s = OSSL_NOW_S - 1},
              HF_E_EXPIRED, "CA: the certificate expired on");
    refuse_ca(&(struct ossl_cert){.subject = "CA",
                                  .key = p->ca_key,
                                  .is_ca = true,
                                  .not_before_s = OSSL_NOW_S + 1},
              HF_E_EXPIRED, "not valid before");
    refuse_ca(&(struct ossl_cert){.subject = "CA",
                                  .key = p->ca_key,
                                  .is_ca = true,
                                  .by = {.key = p->other_key}},
              HF_E_SIGNATURE, "its own key did not sign it");
    EVP_PKEY *weak = ossl_key("RSA:1024");
    refuse_ca(&(struct ossl_cert){.subject = "CA", .key = weak, .is_ca = true}, HF_E_POLICY,
              "CA: unsupported key");
    EVP_PKEY_free(weak);
}

/* ---- proof of possession --------------------------------------------------------------------- */

static void assert_proof(struct pki *p, const struct ossl_cert *spec, enum hf_err wanted,
                         const char *sentence)
{
    struct hf_why why = {0};
    X509 *proof = ossl_cert(spec);
    enum hf_err err = hf_ca_check_proof(p->ca, proof, code, OSSL_NOW_S, &why);
    if (wanted == HF_OK)
        CHECK_OK(err);
    else
        CHECK_REFUSED(err, wanted, &why, sentence);
    assert_int_equal(ERR_peek_error(), 0);
    X509_free(proof);
}

static void the_proof_is_signed_by_the_ca_and_names_the_code(void **state)
{
    struct pki *p = *state;
    struct ossl_cert spec = {.subject = code,
                             .issuer = "CA",
                             .key = p->device_key,
                             .by = {.key = p->ca_key}};
    assert_proof(p, &spec, HF_OK, NULL);

    struct ossl_cert changed = spec;
    changed.subject = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeF";
    assert_proof(p, &changed, HF_E_ARGUMENT, "not the registration code");
    changed = spec;
    changed.subject = "0123456789abcdef";
    assert_proof(p, &changed, HF_E_ARGUMENT, "not the registration code");
    changed = spec;
    changed.by.key = p->other_key;
    assert_proof(p, &changed, HF_E_SIGNATURE, "this CA's key did not sign");
    changed = spec;
    changed.issuer = "another CA";
    assert_proof(p, &changed, HF_E_UNTRUSTED, "proof: the certificate names another CA");
    changed = spec;
    changed.not_after_s = OSSL_NOW_S - 1;
    assert_proof(p, &changed, HF_E_EXPIRED, "proof: the certificate expired");
    changed = spec;
    changed.by.hash = "SHA1";
    assert_proof(p, &changed, HF_E_POLICY, "unsupported signature algorithm");
}

static void an_empty_code_proves_nothing(void **state)
{
    struct pki *p = *state;
    struct hf_why why = {0};
    CHECK_REFUSED(hf_ca_check_proof(p->ca, p->device, "", OSSL_NOW_S, &why), HF_E_ARGUMENT, &why,
                  "not the registration code");
}

/* ---- client certificates --------------------------------------------------------------------- */

static void refuse_cert(X509 *cert, X509 *ca, enum hf_err wanted, const char *sentence)
{
    struct hf_client_cert out = {0};
    struct hf_why why = {0};
    CHECK_REFUSED(hf_client_cert_check(cert, ca, OSSL_NOW_S, &out, &why), wanted, &why, sentence);
    assert_untouched(&out);
}

static void a_certificate_is_registered_with_its_ca_or_without(void **state)
{
    struct pki *p = *state;
    struct hf_client_cert out = {0};
    struct hf_why why = {0};
    CHECK_OK(hf_client_cert_check(p->device, p->ca, OSSL_NOW_S, &out, &why));
    assert_int_equal(out.signature, HF_CLIENT_SIGNATURE_ECDSA_SHA256);
    assert_int_equal(out.not_after_s, INT64_C(2524607999));
    CHECK_OK(hf_client_cert_check(p->device, NULL, OSSL_NOW_S, &out, &why));
    X509 *self = ossl_cert(&(struct ossl_cert){.subject = "device", .key = p->device_key});
    CHECK_OK(hf_client_cert_check(self, NULL, OSSL_NOW_S, &out, &why));
    refuse_cert(self, p->ca, HF_E_UNTRUSTED, "names another CA");
    X509_free(self);
}

static void a_certificate_of_another_ca_is_refused(void **state)
{
    struct pki *p = *state;
    X509 *forged = ossl_cert(&(struct ossl_cert){.subject = "device",
                                                 .issuer = "CA",
                                                 .key = p->device_key,
                                                 .by = {.key = p->other_key}});
    refuse_cert(forged, p->ca, HF_E_SIGNATURE, "this CA's key did not sign it");
    X509_free(forged);
    X509 *expired_ca = ossl_cert(&(struct ossl_cert){.subject = "CA",
                                                     .key = p->ca_key,
                                                     .is_ca = true,
                                                     .not_after_s = OSSL_NOW_S - 1});
    refuse_cert(p->device, expired_ca, HF_E_EXPIRED, "CA: the certificate expired");
    X509_free(expired_ca);
    refuse_cert(p->device, p->device, HF_E_POLICY, "not a CA certificate");
}

static void dates_and_algorithms_are_checked_at_registration(void **state)
{
    struct pki *p = *state;
    struct ossl_cert spec = {.subject = "device", .key = p->device_key};
    spec.not_after_s = OSSL_NOW_S - 1;
    X509 *cert = ossl_cert(&spec);
    refuse_cert(cert, NULL, HF_E_EXPIRED, "certificate: the certificate expired");
    X509_free(cert);
    spec.not_after_s = 0;
    spec.by = (struct ossl_signing){.key = p->device_key, .hash = "SHA1"};
    cert = ossl_cert(&spec);
    refuse_cert(cert, NULL, HF_E_POLICY, "certificate: unsupported signature algorithm");
    X509_free(cert);
}

/* Both ends of its time belong to a certificate (RFC 5280, 4.1.2.5). */
static void a_certificate_is_valid_in_its_first_and_last_second(void **state)
{
    struct hf_client_cert cert = {.not_before_s = 100, .not_after_s = 200};
    struct hf_why why = {0};
    (void)state;
    CHECK_OK(hf_client_cert_check_dates(&cert, 100, &why));
    CHECK_OK(hf_client_cert_check_dates(&cert, 200, &why));
    CHECK_REFUSED(hf_client_cert_check_dates(&cert, 99, &why), HF_E_EXPIRED, &why,
                  "not valid before");
    CHECK_REFUSED(hf_client_cert_check_dates(&cert, 201, &why), HF_E_EXPIRED, &why, "expired on");
}

/* ---- reading --------------------------------------------------------------------------------- */

static void refuse_file(const struct hf_buf *file, enum hf_err wanted, const char *sentence)
{
    struct hf_why why = {0};
    X509 *x509 = NULL;
    CHECK_REFUSED(hf_client_cert_read(hf_buf_bytes(file), &x509, &why), wanted, &why, sentence);
    assert_null(x509);
    assert_int_equal(ERR_peek_error(), 0);
}

static void one_certificate_is_read_and_nothing_behind_it(void **state)
{
    struct pki *p = *state;
    struct hf_buf pem = {0}, der = {0}, again = {0}, key = {0};
    struct hf_why why = {0};
    X509 *x509 = NULL;
    ossl_cert_pem(p->device, &pem);
    ossl_cert_der(p->device, &der);
    CHECK_OK(hf_client_cert_read(hf_buf_bytes(&pem), &x509, &why));
    CHECK_OK(hf_client_cert_der(x509, &again, &why));
    assert_true(hf_bytes_equal(hf_buf_bytes(&der), hf_buf_bytes(&again)));
    X509_free(x509);
    CHECK_OK(hf_client_cert_read(hf_buf_bytes(&der), &x509, &why));
    X509_free(x509);

    CHECK_OK(hf_buf_append(&der, "x", 1));
    refuse_file(&der, HF_E_FORMAT, "");
    ossl_cert_pem(p->ca, &pem);
    refuse_file(&pem, HF_E_FORMAT, "more than one certificate");
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    assert_int_equal(PEM_write_bio_PrivateKey(bio, p->device_key, NULL, NULL, 0, NULL, NULL), 1);
    long len = BIO_get_mem_data(bio, &text);
    CHECK_OK(hf_buf_append(&key, text, (size_t)len));
    refuse_file(&key, HF_E_FORMAT, "");
    BIO_free(bio);
    hf_buf_free(&key);
    hf_buf_free(&pem);
    hf_buf_free(&der);
    hf_buf_free(&again);
}

static void names_are_text_that_can_be_shown(void **state)
{
    struct pki *p = *state;
    struct hf_client_cert_text text = {0};
    struct hf_why why = {0};
    X509 *x509 = ossl_cert(&(struct ossl_cert){.subject = "a\x1b[2Jb", .key = p->device_key});
    CHECK_OK(hf_client_cert_describe_text(x509, &text, &why));
    assert_null(strchr(text.common_name, '\x1b'));
    assert_null(strchr(text.subject, '\x1b'));
    assert_int_equal(strlen(text.serial), 32);
    X509_free(x509);
    CHECK_OK(hf_client_cert_describe_text(p->device, &text, &why));
    assert_string_equal(text.common_name, "device");
    assert_string_equal(text.subject, "CN=device");
    assert_string_equal(text.issuer, "CN=CA");
}

/* RFC 5280 lets a name hold values of any type; what is no text must not look like a fault here. */
static void a_common_name_that_is_no_text_is_none(void **state)
{
    struct pki *p = *state;
    struct hf_client_cert_text text = {0};
    struct hf_why why = {0};
    X509 *x509 = X509_dup(p->device);
    X509_NAME *subject = X509_get_subject_name(x509);
    assert_int_equal(X509_NAME_add_entry_by_NID(subject, NID_commonName, V_ASN1_BIT_STRING,
                                                (const unsigned char *)"bits", 4, -1, 0),
                     1);
    CHECK_OK(hf_client_cert_describe_text(x509, &text, &why));
    assert_string_equal(text.common_name, "");
    assert_int_equal(ERR_peek_error(), 0);
    X509_free(x509);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ca_is_a_ca),
        cmocka_unit_test(a_ca_is_valid_now_and_signed_itself),
        cmocka_unit_test(the_proof_is_signed_by_the_ca_and_names_the_code),
        cmocka_unit_test(an_empty_code_proves_nothing),
        cmocka_unit_test(a_certificate_is_registered_with_its_ca_or_without),
        cmocka_unit_test(a_certificate_of_another_ca_is_refused),
        cmocka_unit_test(dates_and_algorithms_are_checked_at_registration),
        cmocka_unit_test(a_certificate_is_valid_in_its_first_and_last_second),
        cmocka_unit_test(one_certificate_is_read_and_nothing_behind_it),
        cmocka_unit_test(names_are_text_that_can_be_shown),
        cmocka_unit_test(a_common_name_that_is_no_text_is_none),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
