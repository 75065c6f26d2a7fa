/* server/identity/directory: accounts by number, SNI and Host; CAs by the issuer of a
 * certificate. */
#include "tests/support/check.h"

#include "server/identity/directory.h"
#include "tests/support/openssl_pki.h"

#include <stdio.h>

static struct hf_directory *new_directory(struct hf_directory *before)
{
    struct hf_directory *directory = NULL;
    struct hf_why why = {0};
    CHECK_OK(hf_directory_new(before, false, &directory, &why));
    CHECK_OK(hf_directory_add_account(directory, 2, "beta", HF_ANONYMOUS_NONE, &why));
    CHECK_OK(hf_directory_add_account(directory, 1, "alpha", HF_ANONYMOUS_READ, &why));
    CHECK_OK(hf_directory_add_sni(directory, "Alpha.Example", 1, &why));
    CHECK_OK(hf_directory_add_sni(directory, "alpha.example.net.", 1, &why));
    CHECK_OK(hf_directory_add_sni(directory, "beta.example", 2, &why));
    return directory;
}

static void finish(struct hf_directory *directory)
{
    struct hf_why why = {0};
    CHECK_OK(hf_directory_finish(directory, &why));
}

/* 0 for none. */
static uint32_t id_of(const struct hf_account *account)
{
    return account != NULL ? account->id : 0;
}

static uint32_t by_sni(const struct hf_directory *directory, const char *sni)
{
    return id_of(hf_directory_by_sni(directory, sni, strlen(sni)));
}

static uint32_t by_host(const struct hf_directory *directory, const char *host)
{
    return id_of(hf_directory_by_host(directory, host, strlen(host)));
}

static void an_account_is_found_by_number_sni_and_host(void **state)
{
    struct hf_directory *d = new_directory(NULL);
    (void)state;
    finish(d);
    assert_string_equal(hf_directory_account(d, 1)->name, "alpha");
    assert_string_equal(hf_directory_account(d, 2)->name, "beta");
    assert_int_equal(hf_directory_account(d, 2)->anonymous, HF_ANONYMOUS_NONE);
    assert_null(hf_directory_account(d, 0));
    assert_null(hf_directory_account(d, 3));
    assert_int_equal(by_sni(d, "alpha.example"), 1);
    assert_int_equal(by_sni(d, "ALPHA.example."), 1);
    assert_int_equal(by_sni(d, "beta.example"), 2);
    assert_int_equal(by_sni(d, "x.beta.example"), 0);
    assert_int_equal(by_sni(d, "*.example"), 0);
    assert_int_equal(by_sni(d, ""), 0);
    assert_int_equal(by_host(d, "alpha.example.net:8443"), 1);
    assert_int_equal(by_host(d, "BETA.example"), 2);
    assert_int_equal(by_host(d, "[::1]:8443"), 0);
    hf_directory_unref(d);
}

static void a_name_is_letters_digits_and_dots(void **state)
{
    static const char *const bad[] = {"", ".", "..", ".a", "a..b", "a b", "a/b", "a%b", "a\x80"};
    char out[HF_SNI_MAX + 1], text[HF_SNI_MAX + 2];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(hf_sni_normalize(bad[i], strlen(bad[i]), out));
    assert_false(hf_sni_normalize("a\0b", 3, out));
    memset(text, 'A', sizeof text);
    assert_false(hf_sni_normalize(text, HF_SNI_MAX + 1, out));
    assert_true(hf_sni_normalize(text, HF_SNI_MAX, out));
    assert_int_equal(strlen(out), HF_SNI_MAX);
    assert_int_equal(out[0], 'a');
    assert_true(hf_sni_normalize("a_b-1.c.", 8, out));
    assert_string_equal(out, "a_b-1.c");
}

static void an_empty_directory_knows_nothing(void **state)
{
    struct hf_directory *d = NULL;
    struct hf_why why = {0};
    EVP_PKEY *key = ossl_key("P-256");
    X509 *cert = ossl_cert(&(struct ossl_cert){.subject = "device", .key = key});
    (void)state;
    CHECK_OK(hf_directory_new(NULL, true, &d, &why));
    finish(d);
    assert_true(hf_directory_is_sni_optional(d));
    assert_null(hf_directory_account(d, 1));
    assert_int_equal(by_sni(d, "alpha.example"), 0);
    assert_null(hf_directory_next_issuer(d, cert, NULL));
    assert_null(hf_directory_ca(d, 1));
    hf_directory_unref(d);
    hf_directory_unref(NULL);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void refuse(struct hf_directory *d, const char *sentence)
{
    struct hf_why why = {0};
    CHECK_REFUSED(hf_directory_finish(d, &why), HF_E_STATE, &why, sentence);
    hf_directory_unref(d);
}

static void what_contradicts_itself_is_refused(void **state)
{
    struct hf_why why = {0};
    (void)state;
    struct hf_directory *d = new_directory(NULL);
    CHECK_OK(hf_directory_add_account(d, 3, "alpha", HF_ANONYMOUS_READ, &why));
    refuse(d, "account \"alpha\" is there twice");
    d = new_directory(NULL);
    CHECK_OK(hf_directory_add_account(d, 1, "gamma", HF_ANONYMOUS_READ, &why));
    refuse(d, "the number of account");
    d = new_directory(NULL);
    CHECK_OK(hf_directory_add_sni(d, "ALPHA.EXAMPLE", 2, &why));
    refuse(d, "SNI \"alpha.example\" is there twice");
    d = new_directory(NULL);
    CHECK_OK(hf_directory_add_sni(d, "gamma.example", 3, &why));
    refuse(d, "belongs to no account");
    d = new_directory(NULL);
    CHECK_REFUSED(hf_directory_add_sni(d, "no name", 1, &why), HF_E_ARGUMENT, &why,
                  "not a DNS name");
    CHECK_REFUSED(hf_directory_add_account(d, 0, "zero", HF_ANONYMOUS_READ, &why), HF_E_ARGUMENT,
                  &why, "its number is 0");
    CHECK_REFUSED(hf_directory_add_account(d, 9, "", HF_ANONYMOUS_READ, &why), HF_E_ARGUMENT, &why,
                  "its name is empty");
    finish(d); /* the refused ones have left nothing */
    hf_directory_unref(d);
}

static void add_ca(struct hf_directory *d, uint64_t id, uint32_t account, X509 *x509)
{
    struct hf_buf der = {0};
    struct hf_why why = {0};
    ossl_cert_der(x509, &der);
    CHECK_OK(hf_directory_add_ca(d,
                                 &(struct hf_ca){.id = id,
                                                 .account = account,
                                                 .mode = HF_CERT_MODE_SNI_ONLY,
                                                 .is_active = true},
                                 hf_buf_bytes(&der), &why));
    hf_buf_free(&der);
}

static void every_ca_of_that_name_is_found(void **state)
{
    struct hf_directory *d = new_directory(NULL);
    EVP_PKEY *key = ossl_key("P-256"), *other = ossl_key("P-256");
    X509 *ca = ossl_cert(&(struct ossl_cert){.subject = "CA", .key = key, .is_ca = true});
    X509 *same_name = ossl_cert(&(struct ossl_cert){.subject = "CA", .key = other, .is_ca = true});
    X509 *stranger = ossl_cert(&(struct ossl_cert){.subject = "CB", .key = key, .is_ca = true});
    X509 *device = ossl_cert(
        &(struct ossl_cert){.subject = "device", .issuer = "CA", .key = key, .by = {.key = key}});
    const struct hf_ca *found = NULL;
    uint64_t seen = 0;
    (void)state;
    add_ca(d, 1, 1, ca);
    add_ca(d, 2, 2, ca);
    add_ca(d, 3, 1, same_name);
    add_ca(d, 4, 1, stranger);
    finish(d);
    while ((found = hf_directory_next_issuer(d, device, found)) != NULL)
        seen |= UINT64_C(1) << found->id;
    assert_int_equal(seen, 1 << 1 | 1 << 2 | 1 << 3);
    assert_int_equal(hf_directory_ca(d, 2)->account, 2);

    /* The next directory has the same certificate, not another copy of it. */
    struct hf_directory *next = new_directory(d);
    add_ca(next, 1, 1, ca);
    add_ca(next, 3, 1, stranger); /* another certificate under that number */
    finish(next);
    assert_ptr_equal(hf_directory_ca(next, 1)->x509, hf_directory_ca(d, 1)->x509);
    assert_ptr_not_equal(hf_directory_ca(next, 3)->x509, hf_directory_ca(d, 3)->x509);
    hf_directory_unref(d);
    assert_int_equal(X509_cmp(hf_directory_ca(next, 1)->x509, ca), 0);
    hf_directory_unref(next);

    d = new_directory(NULL);
    add_ca(d, 1, 9, ca);
    refuse(d, "a CA belongs to no account");
    d = new_directory(NULL);
    add_ca(d, 1, 1, ca);
    add_ca(d, 1, 1, ca);
    refuse(d, "a CA is there twice");
    X509_free(ca);
    X509_free(same_name);
    X509_free(stranger);
    X509_free(device);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void many_accounts_are_told_apart(void **state)
{
    struct hf_directory *d = NULL;
    struct hf_why why = {0};
    char text[64];
    (void)state;
    CHECK_OK(hf_directory_new(NULL, false, &d, &why));
    for (uint32_t i = 1; i <= 3000; i++) {
        uint32_t id = i * 2654435761u % 1000003u + 1;
        (void)snprintf(text, sizeof text, "account-%u", id);
        CHECK_OK(hf_directory_add_account(d, id, text, HF_ANONYMOUS_READ, &why));
        (void)snprintf(text, sizeof text, "d%u.example", id);
        CHECK_OK(hf_directory_add_sni(d, text, id, &why));
    }
    finish(d);
    for (uint32_t i = 1; i <= 3000; i++) {
        uint32_t id = i * 2654435761u % 1000003u + 1;
        (void)snprintf(text, sizeof text, "d%u.example", id);
        assert_int_equal(by_sni(d, text), id);
        (void)snprintf(text, sizeof text, "account-%u", id);
        assert_string_equal(hf_directory_account(d, id)->name, text);
    }
    hf_directory_unref(d);
}

static void words_are_read_as_what_they_name(void **state)
{
    enum hf_anonymous anonymous = HF_ANONYMOUS_NONE;
    enum hf_auto_registration automatic = HF_AUTO_REGISTRATION_OFF;
    (void)state;
    for (unsigned i = 0; i < HF_ANONYMOUS_POLICIES; i++) {
        assert_true(hf_anonymous_parse(hf_anonymous_name((enum hf_anonymous)i), &anonymous));
        assert_int_equal(anonymous, i);
    }
    for (unsigned i = 0; i < HF_AUTO_REGISTRATIONS; i++) {
        const char *name = hf_auto_registration_name((enum hf_auto_registration)i);
        assert_true(hf_auto_registration_parse(name, &automatic));
        assert_int_equal(automatic, i);
    }
    assert_false(hf_anonymous_parse("Read", &anonymous));
    assert_false(hf_auto_registration_parse("on", &automatic));
    assert_string_equal(hf_anonymous_name((enum hf_anonymous)99), "none");
    assert_string_equal(hf_auto_registration_name((enum hf_auto_registration)99), "off");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_account_is_found_by_number_sni_and_host),
        cmocka_unit_test(a_name_is_letters_digits_and_dots),
        cmocka_unit_test(an_empty_directory_knows_nothing),
        cmocka_unit_test(what_contradicts_itself_is_refused),
        cmocka_unit_test(every_ca_of_that_name_is_found),
        cmocka_unit_test(many_accounts_are_told_apart),
        cmocka_unit_test(words_are_read_as_what_they_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
