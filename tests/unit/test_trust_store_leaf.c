/* A verdict belongs to one verification of one chain (client/port/mbedtls/running.h). These are the
 * ways in which that could go wrong. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "tests/support/trust_world.h"

#include <mbedtls/platform.h>

#define NOT_TRUSTED MBEDTLS_X509_BADCERT_NOT_TRUSTED
#define DISTRUST pki_day(2026, 3, 1)

/* CN=Root is trusted for leaves issued until DISTRUST. */
static void trust_until_distrust(struct world *w)
{
    struct world_anchors anchors = {0};
    world_add(&anchors, &(struct pki_cert){.subject = "CN=Root", .key = &w->root, .is_ca = true})
        ->distrust_after_s = DISTRUST;
    world_trust(w, &anchors);
}

/* leaf <- CN=Middle <- CN=Root */
static void present_path(struct world *w, struct world_chain *chain, int64_t issued_s)
{
    world_present_leaf(w, chain, "CN=Middle", &w->middle, issued_s);
    world_present(chain, &(struct pki_cert){.subject = "CN=Middle",
                                            .key = &w->middle,
                                            .issuer = "CN=Root",
                                            .issuer_key = &w->root,
                                            .is_ca = true});
}

static uint32_t verdict_on(struct world *w, int64_t issued_s)
{
    struct world_chain chain = {0};
    present_path(w, &chain, issued_s);
    uint32_t verdict = world_verdict(w, &chain);
    world_chain_clear(&chain);
    return verdict;
}

static void assert_undisturbed(struct world *w)
{
    assert_int_equal(verdict_on(w, DISTRUST), 0);
    assert_int_equal(verdict_on(w, DISTRUST + 1), NOT_TRUSTED);
    assert_int_equal(verdict_on(w, DISTRUST), 0);
}

/* ---- verifications that end half-way --------------------------------------------------------- */

/* More intermediates than Mbed TLS follows. */
static void a_chain_that_is_too_long_leaves_nothing_behind(void **state)
{
    (void)state;
    struct world w;
    struct world_chain chain = {0};
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    trust_until_distrust(&w);
    world_present_leaf(&w, &chain, "CN=M", &w.middle, DISTRUST);
    for (int i = 0; i < 10; i++)
        world_present(&chain, &(struct pki_cert){.subject = "CN=M",
                                                 .key = &w.middle,
                                                 .issuer = "CN=M",
                                                 .issuer_key = &w.middle,
                                                 .is_ca = true});
    for (int i = 0; i < 6; i++) {
        struct tls_server server;
        struct tls_pair pair;
        world_serve(&w, &server, &chain, &w.leaf);
        assert_int_equal(tls_connect(&pair, &w.config, &server),
                         MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
        tls_close(&pair);
        tls_server_free(&server);
    }
    assert_undisturbed(&w);
    world_chain_clear(&chain);
    world_free(&w);
}

static int fail_above_the_leaf(void *store, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    return depth > 0 ? -1 : hf_trust_store_verify(store, crt, depth, flags);
}

static void an_application_s_callback_that_fails_leaves_nothing_behind(void **state)
{
    (void)state;
    struct world w;
    struct world_chain chain = {0};
    struct tls_server server;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_2);
    trust_until_distrust(&w);
    present_path(&w, &chain, DISTRUST);
    world_serve(&w, &server, &chain, &w.leaf);
    mbedtls_ssl_conf_verify(&w.config, fail_above_the_leaf, w.store);
    for (int i = 0; i < 6; i++) {
        struct tls_pair pair;
        assert_int_equal(tls_connect(&pair, &w.config, &server), -1);
        tls_close(&pair);
    }
    mbedtls_ssl_conf_verify(&w.config, hf_trust_store_verify, w.store);
    assert_undisturbed(&w);
    tls_server_free(&server);
    world_chain_clear(&chain);
    world_free(&w);
}

/* Ask for the issuer of a certificate, as the beginning of a verification that never goes on. */
static void begin_and_abandon(struct world *w, const struct pki_cert *cert)
{
    struct hf_buf der = {0};
    mbedtls_x509_crt crt, *found = NULL;
    mbedtls_x509_crt_init(&crt);
    pki_issue(cert, &der);
    assert_int_equal(mbedtls_x509_crt_parse_der(&crt, der.data, der.len), 0);
    assert_int_equal(hf_trust_store_candidates(w->store, &crt, &found), 0);
    mbedtls_x509_crt_free(found);
    mbedtls_free(found);
    mbedtls_x509_crt_free(&crt);
    hf_buf_free(&der);
}

/* What was abandoned was looking for the name of the next leaf: but a leaf is not an issuer. */
static void a_leaf_is_not_taken_for_the_issuer_that_was_looked_for(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    trust_until_distrust(&w);
    begin_and_abandon(&w, &(struct pki_cert){.subject = "CN=old",
                                             .key = &w.other,
                                             .issuer = "CN=" TLS_HOST,
                                             .issuer_key = &w.leaf,
                                             .not_before_s = DISTRUST + 1});
    assert_undisturbed(&w);
    world_free(&w);
}

/* The next leaf lies where an abandoned one lay: it counts by its own date. */
static void a_leaf_in_memory_that_is_used_again_has_its_own_date(void **state)
{
    (void)state;
    struct world w;
    mbedtls_x509_crt crt;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    trust_until_distrust(&w);
    for (int i = 0; i < 4; i++) {
        mbedtls_x509_crt *found = NULL;
        struct world_chain chain = {0};
        world_present_leaf(&w, &chain, "CN=Root", &w.root, DISTRUST + i % 2);
        mbedtls_x509_crt_init(&crt);
        assert_int_equal(mbedtls_x509_crt_parse_der(&crt, chain.der[0].data, chain.der[0].len), 0);
        assert_int_equal(hf_trust_store_candidates(w.store, &crt, &found), 0);
        assert_int_equal(found != NULL, i % 2 == 0);
        mbedtls_x509_crt_free(found);
        mbedtls_free(found);
        mbedtls_x509_crt_free(&crt);
        world_chain_clear(&chain);
    }
    world_free(&w);
}

/* What was abandoned was looking for the very name of a leaf that is a CA itself. Another server
 * sent that leaf, so it is a new chain, and its own date counts. */
static void a_leaf_that_is_a_ca_is_not_taken_for_the_issuer_either(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    for (int64_t late = 0; late < 2; late++) {
        struct world_anchors anchors = {0};
        struct world_chain chain = {0};
        const struct pki_cert self = {.subject = "CN=broker",
                                      .key = &w.leaf,
                                      .is_ca = true,
                                      .not_before_s = DISTRUST + late,
                                      .dns_name = TLS_HOST};
        struct hf_trust_anchor *anchor = world_add(&anchors, &self);
        CHECK_OK(hf_buf_append(&chain.der[chain.n++], anchor->der.data, anchor->der.len));
        anchor->distrust_after_s = DISTRUST;
        world_trust(&w, &anchors);
        for (int64_t old = 0; old < 2; old++) {
            begin_and_abandon(&w, &(struct pki_cert){.subject = "CN=old",
                                                     .key = &w.other,
                                                     .issuer = "CN=broker",
                                                     .issuer_key = &w.leaf,
                                                     .not_before_s = DISTRUST + old});
            assert_int_equal(world_verdict(&w, &chain), late == 0 ? 0 : NOT_TRUSTED);
            assert_int_equal(world_verdict(&w, &chain), late == 0 ? 0 : NOT_TRUSTED);
        }
        world_chain_clear(&chain);
    }
    world_free(&w);
}

/* Without any distrust in the store there is nothing to guess. */
static void a_store_without_distrust_refuses_nobody_for_it(void **state)
{
    (void)state;
    struct world w;
    struct world_anchors anchors = {0};
    struct world_chain chain = {0};
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    const struct pki_cert broker = {.subject = "CN=broker",
                                    .key = &w.leaf,
                                    .is_ca = true,
                                    .dns_name = TLS_HOST};
    struct hf_trust_anchor *anchor = world_add(&anchors, &broker);
    CHECK_OK(hf_buf_append(&chain.der[chain.n++], anchor->der.data, anchor->der.len));
    world_trust(&w, &anchors);
    begin_and_abandon(&w, &(struct pki_cert){.subject = "CN=old",
                                             .key = &w.other,
                                             .issuer = "CN=broker",
                                             .issuer_key = &w.leaf});
    assert_int_equal(world_verdict(&w, &chain), 0);
    world_chain_clear(&chain);
    world_free(&w);
}

/* ---- several at once ------------------------------------------------------------------------- */

struct nesting {
    struct world *w;
    bool is_inside;                /* it has been */
    uint32_t inner_old, inner_new; /* verdicts of the handshakes inside */
};

/* An application that makes other connections while it looks at the chain of one. */
static int verify_and_connect(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct nesting *nesting = ctx;
    if (!nesting->is_inside) {
        struct world *w = nesting->w;
        nesting->is_inside = true;
        mbedtls_ssl_conf_verify(&w->config, hf_trust_store_verify, w->store);
        nesting->inner_old = verdict_on(w, DISTRUST);
        nesting->inner_new = verdict_on(w, DISTRUST + 1);
        mbedtls_ssl_conf_verify(&w->config, verify_and_connect, nesting);
    }
    return hf_trust_store_verify(nesting->w->store, crt, depth, flags);
}

static void verifications_inside_of_one_another_do_not_mix(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    trust_until_distrust(&w);
    for (int64_t late = 0; late < 2; late++) {
        struct nesting nesting = {.w = &w};
        mbedtls_ssl_conf_verify(&w.config, verify_and_connect, &nesting);
        assert_int_equal(verdict_on(&w, DISTRUST + late), late == 0 ? 0 : NOT_TRUSTED);
        assert_int_equal(nesting.inner_old, 0);
        assert_int_equal(nesting.inner_new, NOT_TRUSTED);
    }
    mbedtls_ssl_conf_verify(&w.config, hf_trust_store_verify, w.store);
    assert_undisturbed(&w);
    world_free(&w);
}

/* As an application joins two stores, and as preflight verifies against two at once. */
struct joined {
    struct hf_trust_store *stores[2];
    struct world *slow; /* NULL, or each callback of an outer handshake meets the next second */
    int64_t now_s;
};

static void take_a_second(struct joined *joined)
{
    if (joined->slow != NULL)
        hf_trust_store_set_clock(++joined->now_s);
}

static int joined_candidates(void *ctx, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    struct joined *joined = ctx;
    mbedtls_x509_crt *first = NULL, *second = NULL;
    int ret = hf_trust_store_candidates(joined->stores[0], child, &first);
    take_a_second(joined);
    if (ret == 0)
        ret = hf_trust_store_candidates(joined->stores[1], child, &second);
    mbedtls_x509_crt *last = first;
    while (last != NULL && last->next != NULL)
        last = last->next;
    if (last != NULL)
        last->next = second;
    *out = first != NULL ? first : second;
    return ret;
}

static int joined_verify(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct joined *joined = ctx;
    struct world *w = joined->slow;
    take_a_second(joined);
    if (w != NULL && depth == 1) {
        joined->slow = NULL;
        (void)verdict_on(w, DISTRUST); /* another connection, which is over before this one */
        joined->slow = w;
    }
    int ret = hf_trust_store_verify(joined->stores[0], crt, depth, flags);
    take_a_second(joined);
    return ret != 0 ? ret : hf_trust_store_verify(joined->stores[1], crt, depth, flags);
}

static void two_stores_can_be_joined(void **state)
{
    (void)state;
    struct world w, second;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    world_make(&second, MBEDTLS_SSL_VERSION_TLS1_3);
    struct joined joined = {.stores = {w.store, second.store}};
    mbedtls_ssl_conf_ca_cb(&w.config, joined_candidates, &joined);
    mbedtls_ssl_conf_verify(&w.config, joined_verify, &joined);

    assert_int_equal(verdict_on(&w, DISTRUST), NOT_TRUSTED); /* neither knows the root */
    trust_until_distrust(&w);
    assert_undisturbed(&w); /* the first does */
    world_trust_root(&second, "CN=Root", &w.root);
    assert_int_equal(verdict_on(&w, DISTRUST + 1), 0); /* the second does not mind the date */
    world_trust_root(&w, "CN=Other", &w.other);
    assert_int_equal(verdict_on(&w, DISTRUST + 1), 0);
    world_free(&second);
    world_free(&w);
}

/* The first vouches and the second refuses, and the other way round. */
static void joined_stores_need_not_be_asked_in_one_second(void **state)
{
    (void)state;
    struct world w, second;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    world_make(&second, MBEDTLS_SSL_VERSION_TLS1_3);
    struct joined joined = {.stores = {w.store, second.store}, .slow = &w, .now_s = WORLD_NOW};
    mbedtls_ssl_conf_ca_cb(&w.config, joined_candidates, &joined);
    mbedtls_ssl_conf_verify(&w.config, joined_verify, &joined);
    world_trust_root(&w, "CN=Root", &w.root);
    world_trust_root(&second, "CN=Other", &w.other);
    assert_int_equal(verdict_on(&w, DISTRUST), 0);
    joined = (struct joined){.stores = {second.store, w.store}, .slow = &w, .now_s = joined.now_s};
    assert_int_equal(verdict_on(&w, DISTRUST), 0);
    world_trust_root(&w, "CN=Other", &w.other);
    assert_int_equal(verdict_on(&w, DISTRUST), NOT_TRUSTED);
    world_free(&second);
    world_free(&w);
}

/* One that only the verify callback asks is no joined one: what it refuses no other store makes
 * good. Nor does it what another verification of the same certificate has found. */
static void a_store_that_is_not_joined_is_not_overruled(void **state)
{
    (void)state;
    struct world w, second;
    struct world_chain chain = {0};
    struct hf_buf root = {0};
    mbedtls_x509_crt list, trusted;
    uint32_t flags = 0;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    world_make(&second, MBEDTLS_SSL_VERSION_TLS1_3);
    world_trust_root(&w, "CN=Root", &w.root);
    world_trust_root(&second, "CN=Other", &w.other);
    for (int k = 0; k < 2; k++) {
        struct joined both = {
            .stores = {k == 0 ? w.store : second.store, k == 0 ? second.store : w.store}};
        mbedtls_ssl_conf_verify(&w.config, joined_verify, &both);
        assert_int_equal(verdict_on(&w, DISTRUST), NOT_TRUSTED);
    }

    pki_root("CN=Root", &w.root, &root);
    present_path(&w, &chain, DISTRUST);
    mbedtls_x509_crt_init(&list);
    mbedtls_x509_crt_init(&trusted);
    assert_int_equal(mbedtls_x509_crt_parse_der(&trusted, root.data, root.len), 0);
    for (size_t i = 0; i < chain.n; i++)
        assert_int_equal(mbedtls_x509_crt_parse_der(&list, chain.der[i].data, chain.der[i].len), 0);
    for (int k = 0; k < 2; k++) {
        struct joined joined = {.stores = {w.store, second.store}};
        assert_int_equal(mbedtls_x509_crt_verify(&list, &trusted, NULL, TLS_HOST, &flags,
                                                 hf_trust_store_verify, second.store),
                         MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
        assert_int_equal(flags, NOT_TRUSTED);
        assert_int_equal(mbedtls_x509_crt_verify_with_ca_cb(&list, joined_candidates, &joined,
                                                            &mbedtls_x509_crt_profile_default,
                                                            TLS_HOST, &flags, joined_verify,
                                                            &joined),
                         0);
    }
    mbedtls_x509_crt_free(&list);
    mbedtls_x509_crt_free(&trusted);
    hf_buf_free(&root);
    world_chain_clear(&chain);
    world_free(&second);
    world_free(&w);
}

/* ---- callbacks that leave calls out ---------------------------------------------------------- */

static int ask(void *store, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    return hf_trust_store_candidates(store, child, out);
}

static int verify_above_the_leaf(void *store, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    return depth == 0 ? 0 : hf_trust_store_verify(store, crt, depth, flags);
}

/* The verdict comes with the server's own certificate. Without it, what Mbed TLS says stays. */
static void a_callback_without_the_leaf_lets_nothing_through(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    world_trust_root(&w, "CN=Other", &w.other);
    mbedtls_ssl_conf_verify(&w.config, verify_above_the_leaf, w.store);
    assert_int_equal(verdict_on(&w, DISTRUST), NOT_TRUSTED);
    mbedtls_ssl_conf_ca_cb(&w.config, ask,
                           w.store); /* by which Mbed TLS goes through the list itself */
    assert_int_equal(verdict_on(&w, DISTRUST), NOT_TRUSTED);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_that_is_too_long_leaves_nothing_behind),
        cmocka_unit_test(an_application_s_callback_that_fails_leaves_nothing_behind),
        cmocka_unit_test(a_leaf_is_not_taken_for_the_issuer_that_was_looked_for),
        cmocka_unit_test(a_leaf_in_memory_that_is_used_again_has_its_own_date),
        cmocka_unit_test(a_leaf_that_is_a_ca_is_not_taken_for_the_issuer_either),
        cmocka_unit_test(a_store_without_distrust_refuses_nobody_for_it),
        cmocka_unit_test(verifications_inside_of_one_another_do_not_mix),
        cmocka_unit_test(two_stores_can_be_joined),
        cmocka_unit_test(joined_stores_need_not_be_asked_in_one_second),
        cmocka_unit_test(a_store_that_is_not_joined_is_not_overruled),
        cmocka_unit_test(a_callback_without_the_leaf_lets_nothing_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
