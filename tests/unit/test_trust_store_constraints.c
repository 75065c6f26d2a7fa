/* Anchors with critical constraints, in handshakes: they are read as anchors, and bind what is
 * below them. */
#include "tests/support/check.h"

#include "client/port/mbedtls/trust_store_internal.h"
#include "tests/support/trust_world.h"

#include <mbedtls/oid.h>

#define HERE "example" /* TLS_HOST is below it */
#define ELSEWHERE "elsewhere.test"

static const char *const here[] = {HERE, NULL}, *const elsewhere[] = {ELSEWHERE, NULL};

struct constrained {
    struct hf_buf value;
    struct pki_cert cert; /* CN=Root with this extension, critical */
};

static void constrain(struct world *w, struct constrained *c, const char *oid, size_t oid_len)
{
    c->cert = (struct pki_cert){.subject = "CN=Root",
                                .key = &w->root,
                                .is_ca = true,
                                .extensions = {{{(const uint8_t *)oid, oid_len},
                                                true,
                                                hf_buf_bytes(&c->value)}}};
}

static void constrain_names(struct world *w, struct constrained *c, const char *const *permitted)
{
    c->value = (struct hf_buf){0};
    pki_name_constraints(permitted, NULL, &c->value);
    constrain(w, c, MBEDTLS_OID_NAME_CONSTRAINTS, MBEDTLS_OID_SIZE(MBEDTLS_OID_NAME_CONSTRAINTS));
}

static void trust(struct world *w, const struct pki_cert *root)
{
    struct world_anchors anchors = {0};

    world_add(&anchors, root);
    world_trust(w, &anchors);
}

static void root_with_critical_name_constraints_is_one_for_its_names(void **state)
{
    static const struct {
        const char *const *permitted;
        bool has_middle;
        uint32_t flags;
    } cases[] = {
        {here, false, 0},
        {here, true, 0},
        {elsewhere, false, MBEDTLS_X509_BADCERT_NOT_TRUSTED},
        {elsewhere, true, MBEDTLS_X509_BADCERT_NOT_TRUSTED},
    };
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        const size_t n = i / 2;
        struct world w;
        struct constrained root;
        struct world_chain chain = {0};

        world_make(&w, world_versions[i % 2]);
        constrain_names(&w, &root, cases[n].permitted);
        trust(&w, &root.cert);
        world_present_leaf(&w, &chain, cases[n].has_middle ? "CN=Middle" : "CN=Root",
                           cases[n].has_middle ? &w.middle : &w.root, 0);
        if (cases[n].has_middle)
            world_present(&chain, &(struct pki_cert){.subject = "CN=Middle",
                                                     .key = &w.middle,
                                                     .issuer = "CN=Root",
                                                     .issuer_key = &w.root,
                                                     .is_ca = true});
        assert_int_equal(world_verdict(&w, &chain), cases[n].flags);
#ifdef MBEDTLS_X509_BADCERT_CRITICAL_EXT /* else a root that is shown ends the handshake */
        world_present(&chain, &root.cert);
        assert_int_equal(world_verdict(&w, &chain), cases[n].flags);
#endif
        world_chain_clear(&chain);
        hf_buf_free(&root.value);
        world_free(&w);
    }
}

/* policyConstraints with requireExplicitPolicy 0, and a server's certificate with or without a
 * policy. */
static void root_that_requires_a_policy_gets_one(void **state)
{
    static const uint8_t require[] = {0x30, 3, 0x80, 1, 0};
    static const uint8_t policy[] = {0x30, 6, 0x30, 4, 6, 2, 0x2A, 3};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct world w;
        struct constrained root = {0};
        struct world_chain chain = {0};
        struct pki_cert leaf = {.subject = "CN=server", .issuer = "CN=Root", .dns_name = TLS_HOST};

        world_make(&w, world_versions[i % 2]);
        CHECK_OK(hf_buf_append(&root.value, require, sizeof require));
        constrain(&w, &root, MBEDTLS_OID_POLICY_CONSTRAINTS,
                  MBEDTLS_OID_SIZE(MBEDTLS_OID_POLICY_CONSTRAINTS));
        trust(&w, &root.cert);
        leaf.key = &w.leaf;
        leaf.issuer_key = &w.root;
        if (i / 2 == 1)
            leaf.extensions[0] =
                (struct pki_extension){{(const uint8_t *)MBEDTLS_OID_CERTIFICATE_POLICIES,
                                        MBEDTLS_OID_SIZE(MBEDTLS_OID_CERTIFICATE_POLICIES)},
                                       false,
                                       {policy, sizeof policy}};
        world_present(&chain, &leaf);
        assert_int_equal(world_verdict(&w, &chain),
                         i / 2 == 1 ? 0 : MBEDTLS_X509_BADCERT_NOT_TRUSTED);
        world_chain_clear(&chain);
        hf_buf_free(&root.value);
        world_free(&w);
    }
}

static void root_with_an_unknown_critical_extension_is_none(void **state)
{
    struct world w;
    struct constrained root = {0};
    struct world_anchors anchors = {0};
    struct hf_why why = {0};
    (void)state;

    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    world_trust_root(&w, "CN=Other", &w.other);
    CHECK_OK(hf_buf_append(&root.value, "\x05\x00", 2));
    constrain(&w, &root, "\x2A\x03", 2);
    world_add(&anchors, &root.cert);
    CHECK_REFUSED(
        hf_trust_store_swap(w.store, anchors.at, 1, &why), HF_E_POLICY, &why,
        "trust anchor 1: \"CN=Root\" is a certificate that is not supported here: Holdfast "
        "cannot use its critical extension 1.2");
    assert_int_equal(hf_trust_store_generation(w.store), 1);
    hf_buf_free(&anchors.der[0]);
    hf_buf_free(&root.value);
    world_free(&w);
}

/* What Mbed TLS says of a leaf for TLS_HOST below a root for ELSEWHERE, without Holdfast's verify
 * callback. */
static void mbed_tls_alone_does_not_trust_it(void **state)
{
    struct world w;
    struct constrained root;
    struct hf_buf root_der = {0}, der = {0};
    mbedtls_x509_crt leaf, trusted;
    uint32_t flags = 0;
    (void)state;

    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    constrain_names(&w, &root, elsewhere);
    trust(&w, &root.cert);
    pki_issue(&root.cert, &root_der);
    pki_issue(&(struct pki_cert){.subject = "CN=server",
                                 .key = &w.leaf,
                                 .issuer = "CN=Root",
                                 .issuer_key = &w.root,
                                 .dns_name = TLS_HOST},
              &der);
    mbedtls_x509_crt_init(&leaf);
    mbedtls_x509_crt_init(&trusted);
    assert_int_equal(mbedtls_x509_crt_parse_der(&leaf, der.data, der.len), 0);

    /* Its CA callback alone: a store whose verify callback an application has left out. */
    assert_int_equal(mbedtls_x509_crt_verify_with_ca_cb(&leaf, hf_trust_store_candidates, w.store,
                                                        &mbedtls_x509_crt_profile_default, TLS_HOST,
                                                        &flags, NULL, NULL),
                     MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
    assert_true((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0);

    /* A list of its own: the root cannot be read, or it can, without its key (deploy/). */
    if (mbedtls_x509_crt_parse_der(&trusted, root_der.data, root_der.len) == 0) {
        assert_int_equal(mbedtls_pk_get_type(&trusted.pk), MBEDTLS_PK_NONE);
        assert_int_equal(mbedtls_x509_crt_verify(&trusted, &trusted, NULL, NULL, &flags, NULL,
                                                 NULL),
                         MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
#ifdef MBEDTLS_X509_BADCERT_CRITICAL_EXT
        assert_true((flags & MBEDTLS_X509_BADCERT_CRITICAL_EXT) != 0);
#endif
    }
    assert_int_equal(mbedtls_x509_crt_verify(&leaf, &trusted, NULL, TLS_HOST, &flags, NULL, NULL),
                     MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
    assert_true((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0);
    mbedtls_x509_crt_free(&trusted);
    mbedtls_x509_crt_free(&leaf);
    hf_buf_free(&der);
    hf_buf_free(&root_der);
    hf_buf_free(&root.value);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_with_critical_name_constraints_is_one_for_its_names),
        cmocka_unit_test(root_that_requires_a_policy_gets_one),
        cmocka_unit_test(root_with_an_unknown_critical_extension_is_none),
        cmocka_unit_test(mbed_tls_alone_does_not_trust_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
