/* server/repository/certs/self_signed.c: a root's own signature is verified once in a run, and
 * never less. */
#include "tests/support/check.h"

#include "common/bundle/pem.h"
#include "server/repository/repo_verify.h"
#include "tests/support/test_pki.h"

struct world {
    struct pki_key key, other;
    struct hf_buf pem;
    struct hf_bundle bundle; /* CN=A, CN=B */
    struct hf_self_signed known;
};

static int setup(void **state)
{
    static struct world w;
    w = (struct world){0};
    pki_key_make(&w.key, PKI_P256);
    pki_key_make(&w.other, PKI_P256);
    pki_issue_pem(&(struct pki_cert){.subject = "CN=A", .key = &w.key, .is_ca = true}, &w.pem);
    pki_issue_pem(&(struct pki_cert){.subject = "CN=B", .key = &w.other, .is_ca = true}, &w.pem);
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&w.pem), NULL, &w.bundle, NULL));
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    hf_self_signed_free(&w->known);
    hf_bundle_free(&w->bundle);
    hf_buf_free(&w->pem);
    pki_key_free(&w->key);
    pki_key_free(&w->other);
    return 0;
}

/* Its last byte is of the signature: it parses all the same. */
static void damage(const struct hf_anchor *anchor)
{
    ((uint8_t *)anchor->der.data)[anchor->der.len - 1] ^= 1;
}

static void what_verified_is_not_asked_again(void **state)
{
    struct world *w = *state;
    CHECK_OK(hf_self_signed_verify(&w->known, &w->bundle, NULL));
    assert_int_equal(w->known.n_items, 2);
    damage(&w->bundle.anchors[1]); /* only asking would tell: its fingerprint was taken before */
    CHECK_OK(hf_self_signed_verify(&w->known, &w->bundle, NULL));
    assert_int_equal(w->known.n_items, 2);
}

static void without_a_memory_it_is_asked_each_time(void **state)
{
    struct world *w = *state;
    struct hf_why why = {0};
    CHECK_OK(hf_self_signed_verify(NULL, &w->bundle, &why));
    damage(&w->bundle.anchors[1]);
    CHECK_REFUSED(hf_self_signed_verify(NULL, &w->bundle, &why), HF_E_POLICY, &why,
                  "the self-signature of \"CN=B\" does not verify");
}

static void what_was_refused_stays_refused(void **state)
{
    struct world *w = *state;
    struct hf_why why = {0};
    damage(&w->bundle.anchors[1]);
    for (int i = 0; i < 2; i++)
        CHECK_REFUSED(hf_self_signed_verify(&w->known, &w->bundle, &why), HF_E_POLICY, &why,
                      "the self-signature of \"CN=B\" does not verify");
    assert_int_equal(w->known.n_items, 1); /* CN=A, before it */
}

/* One byte makes it another certificate, whatever it says of itself. */
static void another_certificate_of_the_same_name_and_key_is_asked(void **state)
{
    struct world *w = *state;
    struct hf_why why = {0};
    struct hf_bundle forged;
    struct hf_buf der = {0}, pem = {0};
    CHECK_OK(hf_self_signed_verify(&w->known, &w->bundle, &why));
    CHECK_OK(hf_buf_append(&der, w->bundle.anchors[0].der.data, w->bundle.anchors[0].der.len));
    der.data[der.len - 1] ^= 1;
    CHECK_OK(hf_pem_append(&pem, hf_buf_bytes(&der)));
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&pem), NULL, &forged, &why));
    CHECK_REFUSED(hf_self_signed_verify(&w->known, &forged, &why), HF_E_POLICY, &why,
                  "the self-signature of \"CN=A\" does not verify");
    hf_bundle_free(&forged);
    hf_buf_free(&der);
    hf_buf_free(&pem);
}

/* As a cross-signed certificate it need not be signed by its own key; that proves nothing of it as
 * an anchor. */
static void what_is_no_anchor_is_not_noted(void **state)
{
    struct world *w = *state;
    struct hf_why why = {0};
    damage(&w->bundle.anchors[1]);
    w->bundle.anchors[1].use = HF_USE_CROSS_SIGNED;
    CHECK_OK(hf_self_signed_verify(&w->known, &w->bundle, &why));
    assert_int_equal(w->known.n_items, 1);
    w->bundle.anchors[1].use = HF_USE_ANCHOR;
    CHECK_REFUSED(hf_self_signed_verify(&w->known, &w->bundle, &why), HF_E_POLICY, &why, "CN=B");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_verified_is_not_asked_again, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_memory_it_is_asked_each_time, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_refused_stays_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(another_certificate_of_the_same_name_and_key_is_asked,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_anchor_is_not_noted, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
