/* client/port/mbedtls/received.c: names that are the same by RFC 5280, 7.1, and not byte by byte,
 * in handshakes. Mbed TLS alone would find no issuer. */
#include "tests/support/check.h"

#include "tests/support/test_pki.h"
#include "tests/support/x509_judge.h"

struct keys {
    struct pki_key root, middle, leaf;
};

static int set_up(void **state)
{
    struct keys *keys = test_calloc(1, sizeof *keys);

    pki_key_make(&keys->root, PKI_P256);
    pki_key_make(&keys->middle, PKI_P256);
    pki_key_make(&keys->leaf, PKI_P256);
    *state = keys;
    return 0;
}

static int tear_down(void **state)
{
    struct keys *keys = *state;

    pki_key_free(&keys->root);
    pki_key_free(&keys->middle);
    pki_key_free(&keys->leaf);
    test_free(keys);
    return 0;
}

/* A CA's name in its own certificate, and in one that it issued. */
static const struct spelling {
    const char *subject, *issuer;
    bool is_same;
} spellings[] = {
    {"O=Example Corp,CN=CA", "O=Example Corp,CN=CA", true},
    {"O=Example Corp,CN=CA", "O=EXAMPLE  corp,CN=ca", true},
    {"O=Example Corp,CN=CA", "O=#130c4578616d706c6520436f7270,CN=#14024341", true},
    {"O=#1e020416,CN=CA", "O=#0c02d0b6,CN=CA", true},               /* BMPString, another case */
    {"O=#1401c9,CN=CA", "O=#1401e9,CN=CA", false},                  /* TeletexString beyond ASCII */
    {"O=Example Corp", "O=#0c0d4578616d706c65c2a0436f7270", false}, /* a no-break space */
    {"O=Example Corp,CN=CA", "O=Example Corp", false},
    {"O=Example Corp", "O=Example Corp,CN=CA", false},
};

/* leaf <- middle <- root. With `is_direct` the root has issued the leaf, and the middle is there
 * for nothing. */
static enum x509_answer ask(struct keys *keys, const struct spelling *middle,
                            const struct spelling *root, bool is_direct,
                            const mbedtls_ssl_protocol_version *version)
{
    struct hf_buf sent[2] = {{0}}, der = {0};
    struct hf_trust_anchor anchor;
    struct hf_why why = {0};

    pki_issue(&(struct pki_cert){.subject = "CN=leaf",
                                 .key = &keys->leaf,
                                 .issuer = is_direct ? root->issuer : middle->issuer,
                                 .issuer_key = is_direct ? &keys->root : &keys->middle,
                                 .dns_name = "a.example"},
              &sent[0]);
    pki_issue(&(struct pki_cert){.subject = middle->subject,
                                 .key = &keys->middle,
                                 .issuer = root->issuer,
                                 .issuer_key = &keys->root,
                                 .is_ca = true},
              &sent[1]);
    pki_root(root->subject, &keys->root, &der);
    assert_true(x509_anchor_of(hf_buf_bytes(&der), &anchor));
    const struct hf_bytes certs[] = {hf_buf_bytes(&sent[0]), hf_buf_bytes(&sent[1])};
    const struct x509_case c = {"a.example", pki_day(2026, 6, 1), &anchor, 1, certs, 2};
    enum x509_answer answer = version == NULL ? x509_judge_verdict(&c, &why)
                                              : x509_judge_live(&c, *version, &why);
    hf_buf_free(&sent[0]);
    hf_buf_free(&sent[1]);
    hf_buf_free(&der);
    return answer;
}

static void issuers_are_found_however_their_names_are_spelled(void **state)
{
    static const mbedtls_ssl_protocol_version versions[] = {MBEDTLS_SSL_VERSION_TLS1_2,
                                                            MBEDTLS_SSL_VERSION_TLS1_3};
    static const struct spelling plain = {"CN=Plain", "CN=Plain", true};
    const mbedtls_ssl_protocol_version *const judges[] = {NULL, &versions[0], &versions[1]};

    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        const struct spelling *s = &spellings[i];
        const enum x509_answer expected = s->is_same ? X509_ACCEPTED : X509_REFUSED;
        for (size_t k = 0; k < sizeof judges / sizeof judges[0]; k++) {
            assert_int_equal(ask(*state, s, &plain, false, judges[k]), expected);
            assert_int_equal(ask(*state, &plain, s, false, judges[k]), expected);
            assert_int_equal(ask(*state, &plain, s, true, judges[k]), expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(issuers_are_found_however_their_names_are_spelled, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
