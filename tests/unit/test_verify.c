/* common/chain/verify.c: paths through what a server sends, and the limits of the search. */
#include "tests/support/check.h"

#include "common/chain/verify.h"
#include "tests/support/test_pki.h"

#include <mbedtls/oid.h>

#include <stdio.h>

#define NOW pki_day(2025, 6, 1)

struct world {
    struct pki_key root_key, ca_key, other_key, leaf_key;
    struct hf_buf root, leaf;
    struct hf_anchors *anchors;
    struct hf_buf sent[HF_VERIFY_CERTS_MAX];
    size_t n_sent;
};

static void trust(struct world *w)
{
    const struct hf_trust_anchor anchor = {.der = hf_buf_bytes(&w->root),
                                           .not_before_s = pki_day(2020, 1, 1),
                                           .not_after_s = pki_day(2040, 1, 1),
                                           .distrust_after_s = INT64_MIN,
                                           .remove_after_s = INT64_MIN};

    CHECK_OK(hf_anchors_new(&anchor, 1, &w->anchors, NULL));
}

static void send(struct world *w, const struct pki_cert *cert)
{
    pki_issue(cert, &w->sent[w->n_sent++]);
}

static void send_leaf(struct world *w, const char *issuer, struct pki_key *key)
{
    send(w, &(struct pki_cert){.subject = "CN=leaf",
                               .key = &w->leaf_key,
                               .issuer = issuer,
                               .issuer_key = key,
                               .dns_name = "a.example"});
}

static void send_ca(struct world *w, const char *subject, struct pki_key *key, const char *issuer,
                    struct pki_key *issuer_key)
{
    send(w, &(struct pki_cert){.subject = subject,
                               .key = key,
                               .issuer = issuer,
                               .issuer_key = issuer_key,
                               .is_ca = true});
}

static struct hf_verdict judge(struct world *w, const char *host)
{
    const struct hf_anchor_sets sets = {{w->anchors}, 1};
    const struct hf_chain_context context = {.host = host, .at_s = NOW};
    struct hf_bytes certs[HF_VERIFY_CERTS_MAX];
    struct hf_verdict verdict;

    for (size_t i = 0; i < w->n_sent; i++)
        certs[i] = hf_buf_bytes(&w->sent[i]);
    CHECK_OK(hf_verify(certs, w->n_sent, &sets, &context, &verdict, NULL));
    assert_true(verdict.n_signatures <= HF_VERIFY_SIGNATURES_MAX);
    assert_true(verdict.n_steps <= HF_VERIFY_STEPS_MAX);
    return verdict;
}

static int set_up(void **state)
{
    struct world *w = test_calloc(1, sizeof *w);

    pki_key_make(&w->root_key, PKI_P256);
    pki_key_make(&w->ca_key, PKI_P256);
    pki_key_make(&w->other_key, PKI_P256);
    pki_key_make(&w->leaf_key, PKI_P256);
    pki_root("CN=Root", &w->root_key, &w->root);
    trust(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < w->n_sent; i++)
        hf_buf_free(&w->sent[i]);
    hf_anchors_free(w->anchors);
    hf_buf_free(&w->root);
    pki_key_free(&w->root_key);
    pki_key_free(&w->ca_key);
    pki_key_free(&w->other_key);
    pki_key_free(&w->leaf_key);
    test_free(w);
    return 0;
}

static void any_order_and_what_is_not_needed(void **state)
{
    struct world *w = *state;

    send_leaf(w, "CN=Lower", &w->ca_key);
    send_ca(w, "CN=Upper", &w->other_key, "CN=Root", &w->root_key);
    CHECK_OK(hf_buf_append_text(&w->sent[w->n_sent++], "no certificate"));
    send_ca(w, "CN=Lower", &w->ca_key, "CN=Upper", &w->other_key);
    send_ca(w, "CN=Lower", &w->ca_key, "CN=Unknown", &w->other_key);
    struct hf_verdict v = judge(w, "a.example");
    assert_true(v.is_valid);
    assert_int_equal(v.n_path, 4);
    assert_int_equal(v.path[1].index, 3);
    assert_int_equal(v.path[2].index, 1);
    assert_int_equal(v.path[3].index, HF_VERIFY_ANCHOR);
    assert_int_equal(judge(w, "b.example").path[0].faults, HF_FAULT_HOST);
}

/* Of two with one name the second has the key. */
static void namesakes_are_tried_in_turn(void **state)
{
    struct world *w = *state;

    send_leaf(w, "CN=Middle", &w->ca_key);
    send_ca(w, "CN=Middle", &w->other_key, "CN=Root", &w->root_key);
    send_ca(w, "CN=Middle", &w->ca_key, "CN=Root", &w->root_key);
    struct hf_verdict v = judge(w, NULL);
    assert_true(v.is_valid);
    assert_int_equal(v.path[1].index, 2);
}

/* An intermediate with an OBJECT IDENTIFIER that ends in the middle of a number (X.690, 8.19.2), or
 * with half a mapping. */
static void damaged_extensions_are_refused(void **state)
{
#define BYTES(text)                                                                                \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }
    static const struct pki_extension extensions[] = {
        {BYTES(MBEDTLS_OID_POLICY_MAPPINGS), false,
         BYTES("\x30\x0A\x30\x08\x06\x02\x2A\x03\x06\x02\x2A\x9E")},
        {BYTES(MBEDTLS_OID_POLICY_MAPPINGS), false,
         BYTES("\x30\x0A\x30\x08\x06\x02\x2A\x03\x06\x02\x2A\x1E")},
        {BYTES(MBEDTLS_OID_EXTENDED_KEY_USAGE), false,
         BYTES("\x30\x0A\x06\x04\x55\x1D\x25\x00\x06\x02\x2A\x9E")},
        {BYTES(MBEDTLS_OID_EXTENDED_KEY_USAGE), false,
         BYTES("\x30\x0A\x06\x04\x55\x1D\x25\x00\x06\x02\x2A\x1E")},
        {BYTES(MBEDTLS_OID_POLICY_MAPPINGS), false, BYTES("\x30\x06\x30\x04\x06\x02\x2A\x03")},
        {BYTES(MBEDTLS_OID_POLICY_MAPPINGS), false,
         BYTES("\x30\x0A\x30\x08\x06\x02\x2A\x03\x06\x02\x2A\x04")},
    };
    struct hf_certificate cert;
#undef BYTES
    struct world *w = *state;

    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
        send_leaf(w, "CN=Middle", &w->ca_key);
        send(w, &(struct pki_cert){.subject = "CN=Middle",
                                   .key = &w->ca_key,
                                   .issuer = "CN=Root",
                                   .issuer_key = &w->root_key,
                                   .is_ca = true,
                                   .extensions = {extensions[i]}});
        assert_int_equal(hf_certificate_parse(hf_buf_bytes(&w->sent[1]), &cert), i % 2 == 1);
        assert_int_equal(judge(w, NULL).is_valid, i % 2 == 1);
        while (w->n_sent > 0)
            hf_buf_free(&w->sent[--w->n_sent]);
    }
}

/* Two CAs that sign each other, and no way out of the circle. */
static void circle_of_cross_signs_ends(void **state)
{
    struct world *w = *state;

    send_leaf(w, "CN=A", &w->ca_key);
    send_ca(w, "CN=A", &w->ca_key, "CN=B", &w->other_key);
    send_ca(w, "CN=B", &w->other_key, "CN=A", &w->ca_key);
    struct hf_verdict v = judge(w, NULL);
    assert_false(v.is_valid);
    assert_int_equal(v.n_path, 3);
    assert_int_equal(v.path[2].faults, HF_FAULT_NO_ISSUER);
    assert_true(v.n_steps < 10);
}

/* Levels of two CAs with one name and two keys each, all signed for all: paths double with each
 * level. */
static void exponential_list_is_given_up(void **state)
{
    struct world *w = *state;
    struct pki_key *keys[] = {&w->ca_key, &w->other_key};
    char name[16], above[16];

    send_leaf(w, "CN=L0", &w->ca_key);
    for (int level = 0; level < 15; level++) {
        (void)snprintf(name, sizeof name, "CN=L%d", level);
        (void)snprintf(above, sizeof above, "CN=L%d", level + 1);
        for (int k = 0; k < 4; k++)
            send_ca(w, name, keys[k % 2], above, keys[k / 2]);
    }
    struct hf_verdict v = judge(w, NULL);
    assert_false(v.is_valid);
    assert_true((v.path[v.n_path - 1].faults & HF_FAULT_LIMIT) != 0);
    assert_int_equal(v.n_signatures, HF_VERIFY_SIGNATURES_MAX);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(any_order_and_what_is_not_needed), WITH_WORLD(namesakes_are_tried_in_turn),
        WITH_WORLD(damaged_extensions_are_refused),   WITH_WORLD(circle_of_cross_signs_ends),
        WITH_WORLD(exponential_list_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
