/* Handshakes while the store is swapped: none waits, none fails, none races. This is the test
 * that runs under ThreadSanitizer. HOLDFAST_LONG=1 runs it at full length; tests/bench/bench_swap.c
 * does so for the optimised build. */
#include "tests/support/check.h"

#include "tests/support/trust_world.h"

#include <mbedtls/platform.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define HANDSHAKERS 4
#define ASKERS 2
#define SWAPS_LONG 400
#define SWAPS 100 /* of each swapper */

/* Of the run with full handshakes, with each version of TLS: 10,000 in all where it is long, else
 * what a slow machine can bear under ThreadSanitizer, at a tenth of a second a handshake. */
#define FULL_HANDSHAKES_LONG 5000
#define FULL_HANDSHAKES 100
#define FULL_SWAPS 1000

/* What all threads share: the application's one configuration. */
struct shared {
    struct world w;
    struct world_chain chain;
    _Atomic bool is_over;
    _Atomic unsigned n_handshakes, n_failures, n_asked, n_swaps;
};

/* A failed check in a thread ends the program, which fails the test too, but says little: what is
 * expected to go wrong, if anything does, is counted. */
static void handshake_once(struct shared *s, const struct tls_server *server, bool may_resume)
{
    char peer[32]; /* each thread's server is another one */
    (void)snprintf(peer, sizeof peer, "%p", (const void *)server);
    struct tls_pair *pair = calloc(1, sizeof *pair);
    if (pair == NULL) {
        s->n_failures++;
        return;
    }
    struct hf_trust_resumption resumption;
    tls_prepare(pair, &s->w.config, server);
    resumption = hf_trust_store_resume(s->w.store, may_resume ? peer : "other", &pair->client);
    if (tls_handshake(pair) != 0 || !tls_echo(pair))
        s->n_failures++;
    hf_trust_store_save(s->w.store, peer, resumption, &pair->client);
    tls_close(pair);
    free(pair);
    s->n_handshakes++;
}

static void *handshaker(void *ctx)
{
    struct shared *s = ctx;
    struct tls_server server;
    struct pki_key key;
    struct world_chain chain = {0};
    pki_key_make(&key, PKI_P256);
    world_present(&chain, &(struct pki_cert){.subject = "CN=leaf",
                                             .key = &key,
                                             .issuer = "CN=Middle",
                                             .issuer_key = &s->w.middle,
                                             .dns_name = TLS_HOST});
    for (size_t i = 0; i < s->chain.n; i++)
        CHECK_OK(hf_buf_append(&chain.der[chain.n++], s->chain.der[i].data, s->chain.der[i].len));
    world_serve(&s->w, &server, &chain, &key);
    for (unsigned i = 0; !s->is_over; i++)
        handshake_once(s, &server, i % 2 == 0);
    tls_server_free(&server);
    world_chain_clear(&chain);
    pki_key_free(&key);
    return NULL;
}

/* Look-ups alone: many more of them a second than there are handshakes. */
static void *asker(void *ctx)
{
    struct shared *s = ctx;
    mbedtls_x509_crt child;
    mbedtls_x509_crt_init(&child);
    if (mbedtls_x509_crt_parse_der(&child, s->chain.der[0].data, s->chain.der[0].len) != 0)
        s->n_failures++;
    while (!s->is_over) {
        mbedtls_x509_crt *found = NULL;
        if (hf_trust_store_candidates(s->w.store, &child, &found) != 0 || found == NULL)
            s->n_failures++;
        mbedtls_x509_crt_free(found);
        mbedtls_free(found);
        s->n_asked++;
    }
    mbedtls_x509_crt_free(&child);
    return NULL;
}

static void add_cert(struct world_anchors *anchors, const char *subject, struct pki_key *key,
                     const char *issuer, struct pki_key *issuer_key)
{
    (void)world_add(anchors, &(struct pki_cert){.subject = subject,
                                                .key = key,
                                                .issuer = issuer,
                                                .issuer_key = issuer_key,
                                                .is_ca = true});
}

/* Two sets that both validate the servers, each through another certificate of the root's key. */
static void make_sets(struct world *w, struct world_anchors sets[2])
{
    add_cert(&sets[0], "CN=Root", &w->root, NULL, NULL);
    add_cert(&sets[0], "CN=Other", &w->other, NULL, NULL);
    add_cert(&sets[1], "CN=Root", &w->root, "CN=Other", &w->other);
    sets[1].at[0].distrust_after_s = pki_day(2026, 1, 1); /* later than the leaves */
}

static void clear_sets(struct world_anchors sets[2])
{
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < sets[i].n; k++)
            hf_buf_free(&sets[i].der[k]);
    }
}

static void begin(struct shared *s, mbedtls_ssl_protocol_version version)
{
    *s = (struct shared){0};
    world_make(&s->w, version);
    world_present(&s->chain, &(struct pki_cert){.subject = "CN=Middle",
                                                .key = &s->w.middle,
                                                .issuer = "CN=Root",
                                                .issuer_key = &s->w.root,
                                                .is_ca = true});
}

static unsigned swaps(void)
{
    return getenv("HOLDFAST_LONG") != NULL ? SWAPS_LONG : SWAPS;
}

static void *swapper(void *ctx)
{
    struct shared *s = ctx;
    struct world_anchors sets[2] = {{.n = 0}, {.n = 0}};
    make_sets(&s->w, sets);
    for (unsigned i = 0; i < swaps(); i++) {
        const struct world_anchors *set = &sets[i % 2];
        if (hf_trust_store_swap(s->w.store, set->at, set->n, NULL) != HF_OK)
            s->n_failures++;
        s->n_swaps++;
        /* Not all swaps within the first handshake. */
        for (unsigned before = s->n_handshakes; i % 8 == 7 && s->n_handshakes == before;)
            (void)sched_yield();
    }
    clear_sets(sets);
    return NULL;
}

static void handshakes_go_on_while_the_store_is_swapped(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        struct shared s;
        pthread_t threads[HANDSHAKERS + ASKERS], swappers[2];
        begin(&s, world_versions[v]);
        world_trust_root(&s.w, "CN=Root", &s.w.root);
        for (size_t i = 0; i < HANDSHAKERS + ASKERS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, i < HANDSHAKERS ? handshaker : asker,
                                            &s),
                             0);
        for (size_t i = 0; i < 2; i++) /* two at once: swaps are serialised */
            assert_int_equal(pthread_create(&swappers[i], NULL, swapper, &s), 0);
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(pthread_join(swappers[i], NULL), 0);
        s.is_over = true;
        for (size_t i = 0; i < HANDSHAKERS + ASKERS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);

        print_message("%u handshakes, %u look-ups, %u swaps\n", s.n_handshakes, s.n_asked,
                      s.n_swaps);
        assert_int_equal(s.n_failures, 0);
        assert_int_equal(s.n_swaps, 2 * swaps());
        assert_int_equal(hf_trust_store_generation(s.w.store), 2 * swaps() + 1);
        assert_true(s.n_handshakes >= swaps() / 8);
        world_chain_clear(&s.chain);
        world_free(&s.w);
    }
}

/* ---- full handshakes, in which both sides are verified --------------------------------------- */

/* One end of a thread's connections: a leaf of its own under CN=Root, verified by the store like
 * the other end's. */
struct party {
    struct pki_key key;
    struct world_chain chain;
};

static void party_make(struct party *p, struct world *w)
{
    *p = (struct party){0};
    pki_key_make(&p->key, PKI_P256);
    world_present(&p->chain, &(struct pki_cert){.subject = "CN=party",
                                                .key = &p->key,
                                                .issuer = "CN=Root",
                                                .issuer_key = &w->root,
                                                .dns_name = TLS_HOST});
}

static void party_free(struct party *p)
{
    world_chain_clear(&p->chain);
    pki_key_free(&p->key);
}

static unsigned full_handshakes(void)
{
    return getenv("HOLDFAST_LONG") != NULL ? FULL_HANDSHAKES_LONG : FULL_HANDSHAKES;
}

static void connect_until_enough(struct shared *s, const mbedtls_ssl_config *client,
                                 const struct tls_server *server)
{
    struct tls_pair *pair = calloc(1, sizeof *pair);
    if (pair == NULL)
        s->n_failures++;
    while (pair != NULL && s->n_handshakes < full_handshakes()) {
        if (tls_connect(pair, client, server) != 0 || !tls_echo(pair) ||
            mbedtls_ssl_get_peer_cert(&pair->server) == NULL)
            s->n_failures++;
        tls_close(pair);
        s->n_handshakes++;
    }
    free(pair);
}

static void *both_are_verified(void *ctx)
{
    struct shared *s = ctx;
    struct party client, server;
    mbedtls_ssl_config config;
    mbedtls_x509_crt own;
    struct tls_server end;
    party_make(&client, &s->w);
    party_make(&server, &s->w);
    mbedtls_x509_crt_init(&own);
    tls_client_make(&config, s->w.version);
    world_serve(&s->w, &end, &server.chain, &server.key);
    if (mbedtls_x509_crt_parse_der(&own, client.chain.der[0].data, client.chain.der[0].len) != 0 ||
        mbedtls_ssl_conf_own_cert(&config, &own, &client.key.pk) != 0 ||
        hf_trust_store_bind(s->w.store, &config, NULL) != HF_OK ||
        hf_trust_store_bind(s->w.store, &end.config, NULL) != HF_OK)
        s->n_failures++;
    connect_until_enough(s, &config, &end);
    tls_server_free(&end);
    mbedtls_ssl_config_free(&config);
    mbedtls_x509_crt_free(&own);
    party_free(&client);
    party_free(&server);
    return NULL;
}

/* Swaps keep pace with the handshakes, so that they meet from the first to the last. */
static void swap_while_they_connect(struct shared *s, const struct world_anchors sets[2])
{
    while (s->n_swaps < FULL_SWAPS) {
        const struct world_anchors *set = &sets[s->n_swaps % 2];
        while (s->n_handshakes < s->n_swaps * full_handshakes() / FULL_SWAPS)
            (void)nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        if (hf_trust_store_swap(s->w.store, set->at, set->n, NULL) != HF_OK)
            s->n_failures++;
        s->n_swaps++;
    }
}

static void no_full_handshake_fails_for_a_swap(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        struct world_anchors sets[2] = {{.n = 0}, {.n = 0}};
        pthread_t threads[HANDSHAKERS];
        struct shared s;
        begin(&s, world_versions[v]);
        make_sets(&s.w, sets);
        world_trust_root(&s.w, "CN=Root", &s.w.root);
        for (size_t i = 0; i < HANDSHAKERS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, both_are_verified, &s), 0);
        swap_while_they_connect(&s, sets);
        for (size_t i = 0; i < HANDSHAKERS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);

        print_message("%u full handshakes, %u swaps, %u failures\n", s.n_handshakes, s.n_swaps,
                      s.n_failures);
        assert_int_equal(s.n_failures, 0);
        assert_true(s.n_handshakes >= full_handshakes());
        assert_int_equal(hf_trust_store_generation(s.w.store), FULL_SWAPS + 1);
        clear_sets(sets);
        world_chain_clear(&s.chain);
        world_free(&s.w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes_go_on_while_the_store_is_swapped),
        cmocka_unit_test(no_full_handshake_fails_for_a_swap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
