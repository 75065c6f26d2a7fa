/* common/bundle/policy.c: what may be a trust anchor, and when it is one. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "common/bundle/policy.h"
#include "tests/support/test_pki.h"

/* The keys of all tests; RSA takes a while. */
static struct pki_key p256, other, p521, rsa_2048, rsa_1024;

static int make_keys(void **state)
{
    (void)state;
    pki_key_make(&p256, PKI_P256);
    pki_key_make(&other, PKI_P256);
    pki_key_make(&p521, PKI_P521);
    pki_key_make(&rsa_2048, PKI_RSA_2048);
    pki_key_make(&rsa_1024, PKI_RSA_1024);
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    struct pki_key *const keys[] = {&p256, &other, &p521, &rsa_2048, &rsa_1024};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        pki_key_free(keys[i]);
    return 0;
}

/* The rules, then the self-signature, as a publisher asks for both. */
static enum hf_err check(const struct pki_cert *cert, enum hf_use use, struct hf_why *why)
{
    struct hf_buf der = {0};
    pki_issue(cert, &der);
    struct hf_anchor anchor = {.der = hf_buf_bytes(&der), .use = use};
    struct hf_bundle bundle = {.anchors = &anchor, .n_anchors = 1};
    CHECK_OK(hf_cert_parse(anchor.der, &anchor.cert, why));
    enum hf_err err = hf_policy_check_bundle(&bundle, why);
    if (err == HF_OK)
        err = hf_policy_verify_self_signatures(&bundle, why);
    hf_buf_free(&der);
    return err;
}

static void roots_with_good_keys_are_accepted(void **state)
{
    (void)state;
    struct pki_key *const keys[] = {&p256, &p521, &rsa_2048};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct hf_why why = {0};
        CHECK_OK(check(&(struct pki_cert){.subject = "CN=R", .key = keys[i], .is_ca = true},
                       HF_USE_ANCHOR, &why));
    }
}

/* Dates choose which anchors are used; a bundle with an expired one still reaches the device. */
static void dates_are_no_reason_to_refuse(void **state)
{
    (void)state;
    struct hf_why why = {0};
    CHECK_OK(check(&(struct pki_cert){.subject = "CN=R",
                                      .key = &p256,
                                      .is_ca = true,
                                      .not_before_s = pki_day(1999, 1, 1),
                                      .not_after_s = pki_day(2000, 1, 1)},
                   HF_USE_ANCHOR, &why));
}

static void a_leaf_is_refused_whatever_it_is_called(void **state)
{
    (void)state;
    const struct pki_cert leaf = {.subject = "CN=www",
                                  .key = &p256,
                                  .issuer = "CN=R",
                                  .issuer_key = &other};
    const enum hf_use uses[] = {HF_USE_ANCHOR, HF_USE_CROSS_SIGNED, HF_USE_INTERMEDIATE};
    for (size_t i = 0; i < 3; i++) {
        struct hf_why why = {0};
        CHECK_REFUSED(check(&leaf, uses[i], &why), HF_E_POLICY, &why,
                      "\"CN=www\" is not a CA certificate");
    }
    struct hf_why why = {0};
    CHECK_REFUSED(check(&(struct pki_cert){.subject = "CN=self", .key = &p256}, HF_USE_ANCHOR,
                        &why),
                  HF_E_POLICY, &why, "\"CN=self\" is not a CA certificate");
}

static void weak_keys_are_refused(void **state)
{
    (void)state;
    struct hf_why why = {0};
    CHECK_REFUSED(check(&(struct pki_cert){.subject = "CN=R", .key = &rsa_1024, .is_ca = true},
                        HF_USE_ANCHOR, &why),
                  HF_E_POLICY, &why, "the key of \"CN=R\" is RSA 1024; at least 2048");
}

static void old_digests_are_refused_where_they_count(void **state)
{
    (void)state;
    struct hf_why why = {0};
    struct pki_cert root = {.subject = "CN=R",
                            .key = &p256,
                            .is_ca = true,
                            .digest = MBEDTLS_MD_SHA1};
    CHECK_OK(check(&root, HF_USE_ANCHOR, &why)); /* as VeriSign's G5 */
    root.key = &rsa_2048;
    root.digest = MBEDTLS_MD_MD5;
    CHECK_REFUSED(check(&root, HF_USE_ANCHOR, &why), HF_E_POLICY, &why, "MD5");
    struct pki_cert cross = {.subject = "CN=R",
                             .key = &p256,
                             .issuer = "CN=O",
                             .issuer_key = &other,
                             .is_ca = true,
                             .digest = MBEDTLS_MD_SHA1};
    CHECK_REFUSED(check(&cross, HF_USE_CROSS_SIGNED, &why), HF_E_POLICY, &why, "with SHA-1");
    cross.digest = MBEDTLS_MD_SHA384;
    CHECK_OK(check(&cross, HF_USE_CROSS_SIGNED, &why));
}

/* History: an intermediate shipped as the root, and ended. */
static void an_intermediate_goes_in_on_purpose_only(void **state)
{
    (void)state;
    struct hf_why why = {0};
    const struct pki_cert intermediate = {.subject = "CN=Server CA",
                                          .key = &p256,
                                          .issuer = "CN=R",
                                          .issuer_key = &other,
                                          .is_ca = true};
    CHECK_REFUSED(check(&intermediate, HF_USE_ANCHOR, &why), HF_E_POLICY, &why,
                  "\"CN=Server CA\" is no root: it is issued by \"CN=R\"");
    CHECK_OK(check(&intermediate, HF_USE_INTERMEDIATE, &why));
    CHECK_OK(check(&intermediate, HF_USE_CROSS_SIGNED, &why));
    const struct pki_cert root = {.subject = "CN=R", .key = &p256, .is_ca = true};
    CHECK_REFUSED(check(&root, HF_USE_INTERMEDIATE, &why), HF_E_POLICY, &why, "\"CN=R\" is a root");
}

/* The same names on both sides, but signed by another key. */
static void a_forged_self_signature_is_refused(void **state)
{
    (void)state;
    struct hf_why why = {0};
    const struct pki_cert forged = {.subject = "CN=R",
                                    .key = &p256,
                                    .issuer = "CN=R",
                                    .issuer_key = &other,
                                    .is_ca = true};
    CHECK_REFUSED(check(&forged, HF_USE_ANCHOR, &why), HF_E_POLICY, &why, "damaged or forged");
    CHECK_OK(check(&forged, HF_USE_CROSS_SIGNED, &why)); /* a CA's new key, signed by its old one */
}

static void an_empty_bundle_is_refused(void **state)
{
    (void)state;
    struct hf_why why = {0};
    const struct hf_bundle empty = {0};
    CHECK_REFUSED(hf_policy_check_bundle(&empty, &why), HF_E_POLICY, &why, "no trust anchor");
}

/* Whatever else a bundle holds, one of it must be able to issue certificates. */
static void a_bundle_without_a_ca_is_refused(void **state)
{
    (void)state;
    struct hf_anchor anchors[2] = {{.cert = {.subject = "CN=A", .x509_version = 3}},
                                   {.cert = {.subject = "CN=B", .x509_version = 3}}};
    struct hf_bundle bundle = {.anchors = anchors, .n_anchors = 2};
    struct hf_why why = {0};
    CHECK_REFUSED(hf_policy_check_issuers(&bundle, &why), HF_E_POLICY, &why,
                  "\"CN=A\" is not a CA certificate (expected cA");
    anchors[1].cert.x509_version = 1; /* cannot say what it is */
    CHECK_OK(hf_policy_check_issuers(&bundle, &why));
    CHECK_REFUSED(hf_policy_check_ca(&anchors[1], &why), HF_E_POLICY, &why,
                  "\"CN=B\" is not a CA certificate: it is X.509 version 1");
    anchors[1].cert = (struct hf_cert){.x509_version = 3, .is_ca = true};
    CHECK_OK(hf_policy_check_issuers(&bundle, &why));
}

static void an_anchor_is_usable_from_its_first_to_its_last_second(void **state)
{
    (void)state;
    struct hf_anchor a = {.cert = {.not_before_s = 1000,
                                   .not_after_s = 2000,
                                   .allows_server_auth = true},
                          .remove_after_s = HF_TIME_NONE};
    assert_int_equal(hf_policy_anchor_state(&a, 999), HF_ANCHOR_NOT_YET_VALID);
    assert_int_equal(hf_policy_anchor_state(&a, 1000), HF_ANCHOR_USABLE);
    assert_int_equal(hf_policy_anchor_state(&a, 2000), HF_ANCHOR_USABLE);
    assert_int_equal(hf_policy_anchor_state(&a, 2001), HF_ANCHOR_EXPIRED);
    a.remove_after_s = 1500;
    assert_int_equal(hf_policy_anchor_state(&a, 1500), HF_ANCHOR_USABLE);
    assert_int_equal(hf_policy_anchor_state(&a, 1501), HF_ANCHOR_REMOVED);
    a.distrust_after_s = 1200; /* says nothing about the anchor itself */
    assert_int_equal(hf_policy_anchor_state(&a, 1400), HF_ANCHOR_USABLE);
    a.cert.allows_server_auth = false;
    assert_int_equal(hf_policy_anchor_state(&a, 1400), HF_ANCHOR_NOT_FOR_SERVERS);
    assert_int_equal(hf_policy_anchor_state(&a, 2001), HF_ANCHOR_REMOVED);
}

static void each_state_has_its_words(void **state)
{
    (void)state;
    assert_string_equal(hf_anchor_state_text(HF_ANCHOR_USABLE), "usable");
    assert_string_equal(hf_anchor_state_text(HF_ANCHOR_NOT_YET_VALID), "not yet valid");
    assert_string_equal(hf_anchor_state_text(HF_ANCHOR_EXPIRED), "expired");
    assert_string_equal(hf_anchor_state_text(HF_ANCHOR_REMOVED), "removed");
    assert_string_equal(hf_anchor_state_text(HF_ANCHOR_NOT_FOR_SERVERS), "not for servers");
}

static void a_leaf_counts_by_the_day_it_was_issued(void **state)
{
    (void)state;
    assert_true(hf_policy_leaf_date_is_accepted(HF_TIME_NONE, INT64_MAX));
    assert_true(hf_policy_leaf_date_is_accepted(1000, 1000));
    assert_false(hf_policy_leaf_date_is_accepted(1000, 1001));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_with_good_keys_are_accepted),
        cmocka_unit_test(dates_are_no_reason_to_refuse),
        cmocka_unit_test(a_leaf_is_refused_whatever_it_is_called),
        cmocka_unit_test(weak_keys_are_refused),
        cmocka_unit_test(old_digests_are_refused_where_they_count),
        cmocka_unit_test(an_intermediate_goes_in_on_purpose_only),
        cmocka_unit_test(a_forged_self_signature_is_refused),
        cmocka_unit_test(an_empty_bundle_is_refused),
        cmocka_unit_test(a_bundle_without_a_ca_is_refused),
        cmocka_unit_test(an_anchor_is_usable_from_its_first_to_its_last_second),
        cmocka_unit_test(each_state_has_its_words),
        cmocka_unit_test(a_leaf_counts_by_the_day_it_was_issued),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
