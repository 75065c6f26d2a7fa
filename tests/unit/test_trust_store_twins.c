/* The live trust store with several anchors of one name, and servers that send along whatever they
 * have: rotation by cross-signing, as CAs do it. And what strength a chain must have. */
#include "tests/support/check.h"

#include "tests/support/trust_world.h"

#define NOT_TRUSTED MBEDTLS_X509_BADCERT_NOT_TRUSTED

static void in_both_versions(void (*check)(struct world *w))
{
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        world_make(&w, world_versions[i]);
        check(&w);
        world_free(&w);
    }
}

/* ---- certificates of CN=Root ----------------------------------------------------------------- */

enum which { SELF, CROSS, OTHER, RENEWED, WHICH };

/* The root by itself, signed by CN=Other, CN=Other itself, and the root again with another date. */
static struct pki_cert certificate(struct world *w, enum which which)
{
    switch (which) {
    case SELF:
        return (struct pki_cert){.subject = "CN=Root", .key = &w->root, .is_ca = true};
    case CROSS:
        return (struct pki_cert){.subject = "CN=Root",
                                 .key = &w->root,
                                 .issuer = "CN=Other",
                                 .issuer_key = &w->other,
                                 .is_ca = true};
    case OTHER:
        return (struct pki_cert){.subject = "CN=Other", .key = &w->other, .is_ca = true};
    case RENEWED:
        return (struct pki_cert){.subject = "CN=Root",
                                 .key = &w->root,
                                 .not_before_s = pki_day(2026, 1, 1),
                                 .not_after_s = pki_day(2050, 1, 1),
                                 .is_ca = true};
    case WHICH:
        break;
    }
    fail_msg("no such certificate");
    return (struct pki_cert){0};
}

/* Bit 1 << which: trust these, those of higher bits first where `is_reversed`. */
static void trust_set(struct world *w, unsigned set, bool is_reversed)
{
    struct world_anchors anchors = {0};
    for (unsigned i = 0; i < WHICH; i++) {
        enum which which = (enum which)(is_reversed ? WHICH - 1 - i : i);
        struct pki_cert cert = certificate(w, which);
        if ((set & (1u << which)) != 0)
            (void)world_add(&anchors, &cert);
    }
    world_trust(w, &anchors);
}

/* A server under CN=Root that sends `set` along. */
static uint32_t verdict_when_sent(struct world *w, unsigned set)
{
    struct world_chain chain = {0};
    world_present_leaf(w, &chain, "CN=Root", &w->root, 0);
    for (unsigned which = 0; which < WHICH; which++) {
        struct pki_cert cert = certificate(w, (enum which)which);
        if ((set & (1u << which)) != 0)
            world_present(&chain, &cert);
    }
    uint32_t verdict = world_verdict(w, &chain);
    world_chain_clear(&chain);
    return verdict;
}

/* Whichever certificates of the root's key a device holds, and whichever the server sends: a chain
 * ends in the root's key, or in CN=Other where the cross-sign came along. */
static void every_mix_of_twins_works(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    for (unsigned held = 1; held < 1u << WHICH; held++) {
        bool has_root = (held & (1u << SELF | 1u << CROSS | 1u << RENEWED)) != 0;
        trust_set(&w, held, held % 3 == 0);
        for (unsigned sent = 0; sent < 1u << WHICH; sent += 5) {
            bool is_known = has_root || (sent & (1u << CROSS)) != 0;
            assert_int_equal(verdict_when_sent(&w, sent), is_known ? 0 : NOT_TRUSTED);
        }
    }
    world_free(&w);
}

static void check_one_name_two_keys(struct world *w)
{
    for (int order = 0; order < 2; order++) {
        struct world_anchors anchors = {0};
        struct pki_cert one = {.subject = "CN=Root", .key = &w->root, .is_ca = true};
        struct pki_cert two = {.subject = "CN=Root", .key = &w->other, .is_ca = true};
        struct pki_key *issuers[] = {&w->root, &w->other, &w->middle};
        (void)world_add(&anchors, order == 0 ? &one : &two);
        (void)world_add(&anchors, order == 0 ? &two : &one);
        world_trust(w, &anchors);
        for (size_t i = 0; i < 3; i++) {
            struct world_chain chain = {0};
            world_present_leaf(w, &chain, "CN=Root", issuers[i], 0);
            assert_int_equal(world_verdict(w, &chain), i < 2 ? 0 : NOT_TRUSTED);
            world_chain_clear(&chain);
        }
    }
}

static void two_roots_of_one_name_are_told_apart_by_their_keys(void **state)
{
    (void)state;
    in_both_versions(check_one_name_two_keys);
}

/* ---- history 1 and 2: cross-signs that have expired, sent for years -------------------------- */

/* The device holds the new root, or its expired twin too, or the expired issuer of the
 * cross-sign. */
static void check_expired_cross_sign(struct world *w)
{
    struct pki_cert root = certificate(w, SELF), cross = certificate(w, CROSS);
    struct pki_cert issuer = certificate(w, OTHER), twin = certificate(w, RENEWED);
    struct world_chain chain = {0};
    const struct pki_cert *beside[] = {NULL, &twin, &issuer};
    cross.not_after_s = issuer.not_after_s = twin.not_after_s = pki_day(2026, 5, 30);
    world_present_leaf(w, &chain, "CN=Root", &w->root, 0);
    world_present(&chain, &cross);
    for (size_t i = 0; i < 6; i++) {
        struct world_anchors anchors = {0};
        const struct pki_cert *expired = beside[i / 2];
        if (expired != NULL && i % 2 == 0)
            (void)world_add(&anchors, expired);
        (void)world_add(&anchors, &root);
        if (expired != NULL && i % 2 == 1)
            (void)world_add(&anchors, expired);
        world_trust(w, &anchors);
        assert_int_equal(world_verdict(w, &chain), 0);
    }
    world_chain_clear(&chain);
}

static void history_2_an_expired_cross_sign_sent_by_the_server_does_no_harm(void **state)
{
    (void)state;
    in_both_versions(check_expired_cross_sign);
}

/* ---- removal at load ------------------------------------------------------------------------- */

static void check_removed_at_load(struct world *w)
{
    struct world_anchors anchors = {0};
    struct pki_cert root = certificate(w, SELF), other = certificate(w, OTHER);
    world_add(&anchors, &root)->remove_after_s = WORLD_NOW - 1;
    world_add(&anchors, &other)->remove_after_s = WORLD_NOW;
    world_trust(w, &anchors);
    assert_int_equal(verdict_when_sent(w, 0), NOT_TRUSTED);
    assert_int_equal(verdict_when_sent(w, 1u << SELF), NOT_TRUSTED);
    assert_int_equal(verdict_when_sent(w, 1u << CROSS),
                     0); /* up to the one that has a second left */
    hf_trust_store_set_clock(WORLD_NOW + 1);
    assert_int_equal(verdict_when_sent(w, 1u << CROSS), NOT_TRUSTED);
}

static void an_anchor_that_was_to_be_removed_is_not_loaded(void **state)
{
    (void)state;
    in_both_versions(check_removed_at_load);
}

/* ---- strength -------------------------------------------------------------------------------- */

/* leaf <- CN=Middle <- CN=Root (RSA, as no ECDSA signature is over MD5), with this key and digest
 * in the middle. */
static uint32_t verdict_on_middle(struct world *w, struct pki_key *root, struct pki_key *key,
                                  mbedtls_md_type_t digest)
{
    struct world_chain chain = {0};
    world_present_leaf(w, &chain, "CN=Middle", key, 0);
    world_present(&chain, &(struct pki_cert){.subject = "CN=Middle",
                                             .key = key,
                                             .issuer = "CN=Root",
                                             .issuer_key = root,
                                             .digest = digest,
                                             .is_ca = true});
    uint32_t verdict = world_verdict(w, &chain);
    world_chain_clear(&chain);
    return verdict;
}

static void weak_links_are_refused_between_good_ones(void **state)
{
    (void)state;
    static const struct {
        enum pki_kind kind;
        mbedtls_md_type_t digest;
        uint32_t verdict;
    } cases[] = {
        {PKI_P256, MBEDTLS_MD_SHA256, 0},
        {PKI_P384, MBEDTLS_MD_SHA384, 0},
        {PKI_P521, MBEDTLS_MD_SHA512, 0},
        {PKI_RSA_2048, MBEDTLS_MD_SHA256, 0},
        {PKI_RSA_1024, MBEDTLS_MD_SHA256, MBEDTLS_X509_BADCERT_BAD_KEY},
        {PKI_SECP256K1, MBEDTLS_MD_SHA256, MBEDTLS_X509_BADCERT_BAD_KEY},
        {PKI_P256, MBEDTLS_MD_SHA1, MBEDTLS_X509_BADCERT_BAD_MD},
        {PKI_P256, MBEDTLS_MD_MD5, MBEDTLS_X509_BADCERT_BAD_MD},
    };
    struct pki_key root;
    struct world w;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_2);
    pki_key_make(&root, PKI_RSA_2048);
    world_trust_root(&w, "CN=Root", &root);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pki_key key;
        pki_key_make(&key, cases[i].kind);
        assert_int_equal(verdict_on_middle(&w, &root, &key, cases[i].digest), cases[i].verdict);
        pki_key_free(&key);
    }
    pki_key_free(&root);
    world_free(&w);
}

/* VeriSign's roots, for one: a root's own signature proves nothing. */
static void check_sha1_root(struct world *w)
{
    struct world_anchors anchors = {0};
    struct pki_cert root = certificate(w, SELF);
    root.digest = MBEDTLS_MD_SHA1;
    (void)world_add(&anchors, &root);
    world_trust(w, &anchors);
    assert_int_equal(verdict_when_sent(w, 0), 0);
}

static void sha1_in_a_roots_own_signature_does_no_harm(void **state)
{
    (void)state;
    in_both_versions(check_sha1_root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mix_of_twins_works),
        cmocka_unit_test(two_roots_of_one_name_are_told_apart_by_their_keys),
        cmocka_unit_test(history_2_an_expired_cross_sign_sent_by_the_server_does_no_harm),
        cmocka_unit_test(an_anchor_that_was_to_be_removed_is_not_loaded),
        cmocka_unit_test(weak_links_are_refused_between_good_ones),
        cmocka_unit_test(sha1_in_a_roots_own_signature_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
