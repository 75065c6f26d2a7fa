/* common/bundle/bundle.c: certificates joined with what is signed about them. */
#include "tests/support/check.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/bundle/bundle.h"
#include "common/bundle/pem.h"
#include "common/bundle/policy.h"
#include "tests/support/debian_roots.h"
#include "tests/support/test_pki.h"

#include <stdio.h>

/* A root of its own key, as PEM and by its fingerprint. */
struct made {
    struct pki_key key;
    struct hf_buf pem;
    uint8_t sha256[HF_SHA256_LEN];
};

static void make(struct made *m, const char *subject)
{
    struct hf_buf der = {0};
    *m = (struct made){0};
    pki_key_make(&m->key, PKI_P256);
    pki_root(subject, &m->key, &der);
    hf_sha256(hf_buf_bytes(&der), m->sha256);
    CHECK_OK(hf_pem_append(&m->pem, hf_buf_bytes(&der)));
    hf_buf_free(&der);
}

static void unmake(struct made *m)
{
    pki_key_free(&m->key);
    hf_buf_free(&m->pem);
}

static void join(struct hf_buf *pem, const struct made *a, const struct made *b)
{
    CHECK_OK(hf_buf_append(pem, a->pem.data, a->pem.len));
    CHECK_OK(hf_buf_append(pem, b->pem.data, b->pem.len));
}

static void assert_refused(struct hf_bytes pem, const struct hf_description *d, enum hf_err wanted,
                           const char *part)
{
    struct hf_bundle b = {.n_anchors = 77};
    struct hf_why why = {0};
    CHECK_REFUSED(hf_bundle_parse(pem, d, &b, &why), wanted, &why, part);
    assert_int_equal(b.n_anchors, 77);
    assert_null(b.anchors);
}

static void the_real_roots_make_a_bundle_that_may_be_trusted(void **state)
{
    (void)state;
    struct hf_buf pem = {0};
    struct hf_bundle b;
    struct hf_why why = {0};
    for (size_t i = 0; i < DEBIAN_ROOTS; i++)
        debian_root_load(&debian_roots[i], &pem);
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&pem), NULL, &b, &why));
    CHECK_OK(hf_policy_check_bundle(&b, &why));
    assert_int_equal(b.n_anchors, DEBIAN_ROOTS);
    for (size_t i = 0; i < DEBIAN_ROOTS; i++) {
        uint8_t sha256[HF_SHA256_LEN], spki_sha256[HF_SHA256_LEN];
        assert_true(hf_hex_decode(debian_roots[i].sha256, sha256, sizeof sha256));
        assert_true(hf_hex_decode(debian_roots[i].spki_sha256, spki_sha256, sizeof spki_sha256));
        assert_ptr_equal(hf_bundle_find(&b, sha256), &b.anchors[i]);
        assert_ptr_equal(hf_bundle_find_key(&b, spki_sha256), &b.anchors[i]);
        assert_null(hf_bundle_find(&b, spki_sha256));
        assert_int_equal(b.anchors[i].use, HF_USE_ANCHOR);
        assert_true(b.anchors[i].distrust_after_s == HF_TIME_NONE);
        assert_true(b.anchors[i].remove_after_s == HF_TIME_NONE);
    }
    hf_bundle_free(&b);
    hf_buf_free(&pem);
}

static void what_is_signed_about_a_certificate_goes_to_it(void **state)
{
    (void)state;
    struct made a, c;
    struct hf_buf pem = {0};
    struct hf_bundle b;
    struct hf_why why = {0};
    make(&a, "CN=A");
    make(&c, "CN=C");
    join(&pem, &a, &c);
    struct hf_anchor_note note = {.use = HF_USE_CROSS_SIGNED,
                                  .distrust_after_s = 1807747200,
                                  .remove_after_s = 2208988800};
    memcpy(note.sha256, c.sha256, HF_SHA256_LEN);
    struct hf_description d = {.notes = &note, .n_notes = 1};
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&pem), &d, &b, &why));
    assert_int_equal(b.n_anchors, 2);
    assert_int_equal(b.anchors[0].use, HF_USE_ANCHOR);
    assert_true(b.anchors[0].distrust_after_s == HF_TIME_NONE);
    assert_int_equal(b.anchors[1].use, HF_USE_CROSS_SIGNED);
    assert_true(b.anchors[1].distrust_after_s == 1807747200);
    assert_true(b.anchors[1].remove_after_s == 2208988800);
    hf_bundle_free(&b);
    hf_buf_free(&pem);
    unmake(&a);
    unmake(&c);
}

static void a_note_about_a_certificate_that_is_not_there_is_refused(void **state)
{
    (void)state;
    struct made a;
    make(&a, "CN=A");
    struct hf_anchor_note note = {.sha256 = {0xAB}};
    struct hf_description d = {.notes = &note, .n_notes = 1};
    assert_refused(hf_buf_bytes(&a.pem), &d, HF_E_FORMAT, "SHA-256 ab000000");
    unmake(&a);
}

static void the_same_certificate_twice_is_refused_where_it_is_signed(void **state)
{
    (void)state;
    struct made a, c;
    struct hf_buf pem = {0};
    make(&a, "CN=A");
    make(&c, "CN=C");
    join(&pem, &c, &a);
    CHECK_OK(hf_buf_append(&pem, a.pem.data, a.pem.len));
    const struct hf_description d = {0};
    struct hf_bundle b = {0};
    assert_refused(hf_buf_bytes(&pem), &d, HF_E_FORMAT, "\"CN=A\" is the same as certificate 2");
    /* In an unsigned file it counts once. */
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&pem), NULL, &b, NULL));
    assert_int_equal(b.n_anchors, 2);
    hf_bundle_free(&b);
    hf_buf_free(&pem);
    unmake(&a);
    unmake(&c);
}

/* ---- certificates of a later time ------------------------------------------------------------ */

/* A root as it was made, but signed with an algorithm that has no name yet. */
static void make_unsupported(struct made *m, const char *subject)
{
    struct hf_buf der = {0};
    *m = (struct made){0};
    pki_key_make(&m->key, PKI_P256);
    pki_root(subject, &m->key, &der);
    pki_change_signature_algorithm(&der);
    hf_sha256(hf_buf_bytes(&der), m->sha256);
    CHECK_OK(hf_pem_append(&m->pem, hf_buf_bytes(&der)));
    hf_buf_free(&der);
}

static void what_is_not_supported_is_skipped_and_named(void **state)
{
    (void)state;
    struct made a, c;
    struct hf_buf pem = {0};
    struct hf_bundle b;
    char skipped[HF_WHY_MAX];
    make_unsupported(&a, "CN=Of tomorrow");
    make(&c, "CN=C");
    join(&pem, &a, &c);
    struct hf_anchor_note notes[2] = {{.distrust_after_s = 7, .remove_after_s = 8},
                                      {.distrust_after_s = 9, .remove_after_s = 10}};
    memcpy(notes[0].sha256, a.sha256, HF_SHA256_LEN);
    memcpy(notes[1].sha256, c.sha256, HF_SHA256_LEN);
    struct hf_description d = {.notes = notes, .n_notes = 2};
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&pem), &d, &b, NULL));
    assert_int_equal(b.n_anchors, 1);
    assert_string_equal(b.anchors[0].cert.subject, "CN=C");
    assert_true(b.anchors[0].distrust_after_s == 9);
    assert_int_equal(b.n_skipped, 1);
    assert_string_equal(b.skipped[0].subject, "CN=Of tomorrow");
    assert_string_equal(b.skipped[0].what, "signature algorithm 1.2.840.10045.4.3.127");
    assert_memory_equal(b.skipped[0].sha256, a.sha256, HF_SHA256_LEN);
    assert_null(hf_bundle_find(&b, a.sha256));
    hf_bundle_skipped_text(&b, skipped);
    assert_string_equal(skipped, "skipped, because it is not supported here: \"CN=Of tomorrow\" "
                                 "(signature algorithm 1.2.840.10045.4.3.127)");
    hf_bundle_free(&b);

    CHECK_OK(hf_buf_append(&pem, a.pem.data, a.pem.len));
    assert_refused(hf_buf_bytes(&pem), &d, HF_E_FORMAT, "\"CN=Of tomorrow\" comes twice");
    hf_buf_free(&pem);
    unmake(&a);
    unmake(&c);
}

/* In an unsigned file, what is skipped counts once too. Each is named, until the sentence is
 * full. */
static void many_are_skipped(void **state)
{
    (void)state;
    struct made made[2];
    struct hf_buf pem = {0}, der = {0};
    struct pki_key key;
    struct hf_bundle b = {0};
    struct hf_why why = {0};
    char subject[200], skipped[HF_WHY_MAX];
    (void)snprintf(subject, sizeof subject, "CN=%060d,O=%060d", 1, 2);
    make_unsupported(&made[0], subject);
    make(&made[1], "CN=C");
    join(&pem, &made[0], &made[1]);
    join(&pem, &made[0], &made[1]);
    /* a key on a curve that Mbed TLS reads, and no program accepts in TLS */
    pki_key_make(&key, PKI_SECP256K1);
    pki_root("CN=K", &key, &der);
    CHECK_OK(hf_pem_append(&pem, hf_buf_bytes(&der)));
    pki_key_free(&key);
    hf_buf_free(&der);
    for (int i = 0; i < 8; i++) {
        struct made more;
        make_unsupported(&more, subject);
        CHECK_OK(hf_buf_append(&pem, more.pem.data, more.pem.len));
        unmake(&more);
    }
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&pem), NULL, &b, &why));
    assert_int_equal(b.n_anchors, 1);
    assert_int_equal(b.n_skipped, 10);
    assert_string_equal(b.skipped[1].subject, "CN=K");
    assert_string_equal(b.skipped[1].what, "elliptic curve secp256k1");
    hf_bundle_skipped_text(&b, skipped);
    assert_non_null(strstr(skipped, "\"CN=K\" (elliptic curve secp256k1)"));
    assert_true(strlen(skipped) < HF_WHY_MAX);
    assert_string_equal(skipped + strlen(skipped) - strlen(" …"), " …");
    hf_bundle_free(&b);

    /* Of notes, the first wrong one is named. */
    struct hf_anchor_note notes[2] = {{.sha256 = {0xAB}}, {.sha256 = {0xCD}}};
    const struct hf_description d = {.notes = notes, .n_notes = 2};
    assert_refused(hf_buf_bytes(&made[1].pem), &d, HF_E_FORMAT, "SHA-256 ab000000");
    hf_buf_free(&pem);
    unmake(&made[0]);
    unmake(&made[1]);
}

static void a_bundle_without_a_supported_certificate_is_refused(void **state)
{
    (void)state;
    struct made a;
    make_unsupported(&a, "CN=A");
    assert_refused(hf_buf_bytes(&a.pem), NULL, HF_E_POLICY, "no certificate of it can be used");
    unmake(&a);
}

/* History: a PEM with three damaged bytes shipped. Here they stay base64, so only the certificate
 * itself can tell. */
static void three_damaged_bytes_are_refused_by_block_and_reason(void **state)
{
    (void)state;
    struct made a, c;
    struct hf_buf pem = {0};
    make(&a, "CN=A");
    make(&c, "CN=C");
    join(&pem, &a, &c);
    uint8_t *second = pem.data + a.pem.len + strlen("-----BEGIN CERTIFICATE-----\n");
    memcpy(second, "AAA", 3);
    char part[64];
    size_t line_no = 1;
    for (size_t i = 0; i < a.pem.len; i++)
        line_no += a.pem.data[i] == '\n';
    (void)snprintf(part, sizeof part, "certificate 2 (line %zu): expected an X.509 cert", line_no);
    assert_refused(hf_buf_bytes(&pem), NULL, HF_E_FORMAT, part);
    hf_buf_free(&pem);
    unmake(&a);
    unmake(&c);
}

/* Damaged bytes in the signature still parse; publisher and factory must verify it. */
static void damage_in_a_signature_is_found_by_verifying_it(void **state)
{
    (void)state;
    struct made a;
    struct hf_bundle b;
    struct hf_why why = {0};
    make(&a, "CN=A");
    uint8_t *end = a.pem.data + a.pem.len - strlen("\n-----END CERTIFICATE-----\n");
    while (end[-1] == '=' || end[-1] == '\n')
        end--;
    for (int i = 2; i <= 4; i++) /* the last character's unused bits must stay 0 */
        end[-i] = end[-i] == 'A' ? 'B' : 'A';
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&a.pem), NULL, &b, &why));
    CHECK_OK(hf_policy_check_bundle(&b, &why));
    CHECK_REFUSED(hf_policy_verify_self_signatures(&b, &why), HF_E_POLICY, &why,
                  "the self-signature of \"CN=A\" does not verify");
    hf_bundle_free(&b);
    unmake(&a);
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    static uint8_t large[HF_BUNDLE_BYTES_MAX + 1];
    assert_refused((struct hf_bytes){large, sizeof large}, NULL, HF_E_LIMIT, "1048577 bytes");

    struct pki_key key;
    struct hf_buf pem = {0};
    struct hf_bundle b;
    struct hf_why why = {0};
    pki_key_make(&key, PKI_P256);
    const struct pki_cert root = {.subject = "CN=A", .key = &key, .is_ca = true};
    for (int i = 0; i < HF_BUNDLE_ANCHORS_MAX; i++)
        pki_issue_pem(&root, &pem); /* each with a serial of its own */
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&pem), NULL, &b, &why));
    assert_int_equal(b.n_anchors, HF_BUNDLE_ANCHORS_MAX);
    for (size_t i = 0; i < b.n_anchors; i++) { /* nothing moved while it grew */
        assert_in_range(b.anchors[i].cert.subject_der.data, b.der.data, b.der.data + b.der.len);
        assert_memory_equal(b.anchors[i].cert.subject_der.data + 2, "\x31\x0a", 2);
    }
    hf_bundle_free(&b);
    pki_issue_pem(&root, &pem);
    assert_refused(hf_buf_bytes(&pem), NULL, HF_E_LIMIT, "more than the 512 certificates");
    hf_buf_free(&pem);
    pki_key_free(&key);
}

static void the_export_names_each_certificate_and_is_read_again(void **state)
{
    (void)state;
    struct made a, c;
    struct hf_buf pem = {0}, exported = {0};
    struct hf_bundle b, again;
    struct hf_why why = {0};
    make(&a, "CN=A");
    make(&c, "CN=C\\0a-----BEGIN PRIVATE KEY-----"); /* a name that wants to be a boundary */
    join(&pem, &a, &c);
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&pem), NULL, &b, &why));
    CHECK_OK(hf_bundle_to_pem(&b, &exported));
    assert_memory_equal(exported.data, "# CN=A\n-----BEGIN CERTIFICATE-----\n", 35);
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&exported), NULL, &again, &why));
    assert_int_equal(again.n_anchors, 2);
    for (size_t i = 0; i < 2; i++)
        assert_true(hf_bytes_equal(again.anchors[i].der, b.anchors[i].der));
    hf_bundle_free(&b);
    hf_bundle_free(&again);
    hf_buf_free(&exported);
    hf_buf_free(&pem);
    unmake(&a);
    unmake(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_real_roots_make_a_bundle_that_may_be_trusted),
        cmocka_unit_test(what_is_signed_about_a_certificate_goes_to_it),
        cmocka_unit_test(a_note_about_a_certificate_that_is_not_there_is_refused),
        cmocka_unit_test(the_same_certificate_twice_is_refused_where_it_is_signed),
        cmocka_unit_test(what_is_not_supported_is_skipped_and_named),
        cmocka_unit_test(many_are_skipped),
        cmocka_unit_test(a_bundle_without_a_supported_certificate_is_refused),
        cmocka_unit_test(three_damaged_bytes_are_refused_by_block_and_reason),
        cmocka_unit_test(damage_in_a_signature_is_found_by_verifying_it),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(the_export_names_each_certificate_and_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
