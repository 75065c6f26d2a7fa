/* Saved TLS sessions: a resumed one is not verified again, so it goes with its generation. */
#include "tests/support/check.h"

#include "client/port/mbedtls/sessions.h"
#include "tests/support/trust_world.h"

#include <stdio.h>

#define PEER TLS_HOST ":8883"

/* A client and a server that know each other, and how often the store was asked. */
struct scene {
    struct world w;
    struct world_chain chain;
    struct tls_server server;
    unsigned n_asked;
};

static int count_and_ask(void *ctx, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    struct scene *s = ctx;
    s->n_asked++;
    return hf_trust_store_candidates(s->w.store, child, out);
}

static void make_scene(struct scene *s, mbedtls_ssl_protocol_version version)
{
    *s = (struct scene){0};
    world_make(&s->w, version);
    mbedtls_ssl_conf_ca_cb(&s->w.config, count_and_ask, s);
    world_present_leaf(&s->w, &s->chain, "CN=Root", &s->w.root, 0);
    world_serve(&s->w, &s->server, &s->chain, &s->w.leaf);
    world_trust_root(&s->w, "CN=Root", &s->w.root);
}

static void free_scene(struct scene *s)
{
    tls_server_free(&s->server);
    world_chain_clear(&s->chain);
    world_free(&s->w);
}

/* A connection that resumes if it can and saves what it got: was it verified? */
static bool connect_now(struct scene *s, const char *peer)
{
    struct tls_pair pair;
    unsigned before = s->n_asked;
    tls_prepare(&pair, &s->w.config, &s->server);
    struct hf_trust_resumption resumption = hf_trust_store_resume(s->w.store, peer, &pair.client);
    assert_int_equal(tls_handshake(&pair), 0);
    assert_true(tls_echo(&pair));
    hf_trust_store_save(s->w.store, peer, resumption, &pair.client);
    tls_close(&pair);
    return s->n_asked > before;
}

static void in_both_versions(void (*check)(struct scene *s))
{
    for (size_t i = 0; i < 2; i++) {
        struct scene s;
        make_scene(&s, world_versions[i]);
        check(&s);
        free_scene(&s);
    }
}

static void check_resumed(struct scene *s)
{
    assert_true(connect_now(s, PEER));
    assert_false(connect_now(s, PEER));
    assert_false(connect_now(s, PEER));             /* and what that one saved */
    assert_true(connect_now(s, "other.example:1")); /* sessions are for their peer only */
}

static void a_saved_session_is_resumed_without_verification(void **state)
{
    (void)state;
    in_both_versions(check_resumed);
}

static void check_dropped(struct scene *s)
{
    assert_true(connect_now(s, PEER));
    world_trust_root(&s->w, "CN=Root", &s->w.root); /* the same root, but a swap */
    assert_true(connect_now(s, PEER));
    assert_false(connect_now(s, PEER));

    world_trust_root(&s->w, "CN=Other", &s->w.other); /* the server is no longer trusted */
    struct tls_pair pair;
    tls_prepare(&pair, &s->w.config, &s->server);
    (void)hf_trust_store_resume(s->w.store, PEER, &pair.client);
    assert_int_equal(tls_handshake(&pair), MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
    tls_close(&pair);
}

static void a_swap_drops_saved_sessions(void **state)
{
    (void)state;
    in_both_versions(check_dropped);
}

/* Verified under the old anchors, saved when the new ones are in force. */
static void check_late_save(struct scene *s)
{
    struct tls_pair pair;
    tls_prepare(&pair, &s->w.config, &s->server);
    struct hf_trust_resumption before = hf_trust_store_resume(s->w.store, PEER, &pair.client);
    assert_int_equal(tls_handshake(&pair), 0);
    assert_true(tls_echo(&pair));
    world_trust_root(&s->w, "CN=Root", &s->w.root);
    hf_trust_store_save(s->w.store, PEER, before, &pair.client);
    tls_close(&pair);
    assert_true(connect_now(s, PEER));
    assert_false(connect_now(s, PEER));
}

static void a_session_of_an_older_generation_is_not_kept(void **state)
{
    (void)state;
    in_both_versions(check_late_save);
}

static void check_unverified(struct scene *s)
{
    static const int authmodes[] = {MBEDTLS_SSL_VERIFY_NONE, MBEDTLS_SSL_VERIFY_OPTIONAL};

    world_trust_root(&s->w, "CN=Other", &s->w.other);
    for (size_t i = 0; i < sizeof authmodes / sizeof authmodes[0]; i++) {
        struct tls_pair pair;
        mbedtls_ssl_conf_authmode(&s->w.config, authmodes[i]);
        (void)connect_now(s, PEER);
        mbedtls_ssl_conf_authmode(&s->w.config, MBEDTLS_SSL_VERIFY_REQUIRED);
        tls_prepare(&pair, &s->w.config, &s->server);
        (void)hf_trust_store_resume(s->w.store, PEER, &pair.client);
        assert_int_equal(tls_handshake(&pair), MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
        tls_close(&pair);
    }
}

static void a_session_that_was_not_verified_is_not_kept(void **state)
{
    (void)state;
    in_both_versions(check_unverified);
}

static void check_unfinished(struct scene *s)
{
    struct tls_pair pair;
    tls_prepare(&pair, &s->w.config, &s->server);
    struct hf_trust_resumption resumption = hf_trust_store_resume(s->w.store, PEER, &pair.client);
    assert_int_equal(mbedtls_ssl_handshake(&pair.client), MBEDTLS_ERR_SSL_WANT_READ);
    hf_trust_store_save(s->w.store, PEER, resumption, &pair.client);
    tls_close(&pair);
    assert_true(connect_now(s, PEER));
}

static void an_unfinished_handshake_has_nothing_to_save(void **state)
{
    (void)state;
    in_both_versions(check_unfinished);
}

/* A server that knows the ticket does not show whether it still has a valid chain. */
static void check_age(struct scene *s)
{
    assert_true(connect_now(s, PEER));
    hf_trust_store_set_clock(WORLD_NOW + HF_SESSION_LIFE_S - 1);
    assert_false(connect_now(s, PEER));
    hf_trust_store_set_clock(WORLD_NOW + HF_SESSION_LIFE_S);
    assert_true(connect_now(s, PEER)); /* resumed a second ago, but verified a day ago */
    assert_false(connect_now(s, PEER));
    hf_trust_store_set_clock(WORLD_NOW); /* set back: its age is unknown */
    assert_true(connect_now(s, PEER));
}

static void a_session_lasts_a_day_however_often_it_is_resumed(void **state)
{
    (void)state;
    in_both_versions(check_age);
}

static void check_anchor_end(struct scene *s)
{
    struct world_anchors anchors = {0};
    struct pki_cert root = {.subject = "CN=Root", .key = &s->w.root, .is_ca = true};
    world_add(&anchors, &root)->remove_after_s = WORLD_NOW + 60;
    world_trust(&s->w, &anchors);
    assert_true(connect_now(s, PEER));
    hf_trust_store_set_clock(WORLD_NOW + 60);
    assert_false(connect_now(s, PEER));
    hf_trust_store_set_clock(WORLD_NOW + 61);

    struct tls_pair pair;
    tls_prepare(&pair, &s->w.config, &s->server);
    (void)hf_trust_store_resume(s->w.store, PEER, &pair.client);
    assert_int_equal(tls_handshake(&pair), MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
    tls_close(&pair);
}

static void a_session_ends_with_its_anchor(void **state)
{
    (void)state;
    in_both_versions(check_anchor_end);
}

static void the_least_recently_used_session_goes_first(void **state)
{
    (void)state;
    struct scene s;
    char peer[32];
    make_scene(&s, MBEDTLS_SSL_VERSION_TLS1_3);
    for (int i = 0; i < HF_SESSIONS_MAX; i++) {
        (void)snprintf(peer, sizeof peer, "peer%d:1", i);
        assert_true(connect_now(&s, peer));
    }
    assert_false(connect_now(&s, "peer0:1"));   /* used: now peer1 is the oldest */
    assert_true(connect_now(&s, "one-more:1")); /* takes its place */
    assert_false(connect_now(&s, "peer0:1"));
    assert_false(connect_now(&s, "one-more:1"));
    assert_false(connect_now(&s, "peer2:1"));
    assert_true(connect_now(&s, "peer1:1"));
    free_scene(&s);
}

static void a_name_that_is_no_host_s_is_not_kept(void **state)
{
    (void)state;
    struct scene s;
    char peer[HF_SESSION_PEER_MAX + 2];
    memset(peer, 'a', sizeof peer);
    make_scene(&s, MBEDTLS_SSL_VERSION_TLS1_3);
    peer[HF_SESSION_PEER_MAX + 1] = '\0';
    assert_true(connect_now(&s, peer));
    assert_true(connect_now(&s, peer));
    peer[HF_SESSION_PEER_MAX] = '\0';
    assert_true(connect_now(&s, peer));
    assert_false(connect_now(&s, peer));
    free_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_saved_session_is_resumed_without_verification),
        cmocka_unit_test(a_swap_drops_saved_sessions),
        cmocka_unit_test(a_session_of_an_older_generation_is_not_kept),
        cmocka_unit_test(a_session_that_was_not_verified_is_not_kept),
        cmocka_unit_test(an_unfinished_handshake_has_nothing_to_save),
        cmocka_unit_test(a_session_lasts_a_day_however_often_it_is_resumed),
        cmocka_unit_test(a_session_ends_with_its_anchor),
        cmocka_unit_test(the_least_recently_used_session_goes_first),
        cmocka_unit_test(a_name_that_is_no_host_s_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
