/* client/port/mbedtls/check_config: which configurations pass, what the proof costs, and what it
 * must not do to the store. */
#include "tests/support/check.h"

#include "tests/support/config_check.h"

#include <mbedtls/platform.h>
#include <mbedtls/ssl_ciphersuites.h>

#include <pthread.h>
#include <time.h>

/* ---- configurations that verify -------------------------------------------------------------- */

static void check_bound(struct world *w)
{
    config_check_passes(w);
    config_allow(w, MBEDTLS_SSL_VERSION_TLS1_2, MBEDTLS_SSL_VERSION_TLS1_3);
    config_check_passes(w);
}

static void a_bound_configuration_passes(void **state)
{
    (void)state;
    config_in_both_versions(check_bound);
}

static void it_passes_with_an_empty_store(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    config_check_passes(&w);
    assert_int_equal(hf_trust_store_generation(w.store), 0);
    world_free(&w);
}

/* The proof is about defences, not about dates: it must not fail on a device that boots in 1970. */
static void it_passes_whatever_the_clock_says(void **state)
{
    (void)state;
    static const int64_t clocks[] = {INT64_C(-86400), 0, INT64_C(2147483648), INT64_C(4294967296),
                                     INT64_C(253402300799)};
    struct world w;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_2);
    for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
        hf_trust_store_set_clock(clocks[i]);
        config_check_passes(&w);
    }
    world_free(&w);
}

/* A device's key may be in hardware, slow, or used up by use: it is not asked to sign. */
static void check_client_certificate(struct world *w)
{
    struct world_chain chain = {0};
    mbedtls_x509_crt own;
    struct tls_server server;
    struct tls_pair pair;
    mbedtls_x509_crt_init(&own);
    world_present_leaf(w, &chain, "CN=Root", &w->root, 0);
    assert_int_equal(mbedtls_x509_crt_parse_der(&own, chain.der[0].data, chain.der[0].len), 0);
    assert_int_equal(mbedtls_ssl_conf_own_cert(&w->config, &own, &w->leaf.pk), 0);
    config_check_passes(w);

    world_serve(w, &server, &chain, &w->leaf); /* and it still connects */
    assert_int_equal(tls_connect(&pair, &w->config, &server), 0);
    tls_close(&pair);
    tls_server_free(&server);
    world_chain_clear(&chain);
    mbedtls_ssl_config_free(&w->config); /* it points to the certificate */
    mbedtls_x509_crt_free(&own);
    tls_client_make(&w->config, w->version);
}

static void a_client_certificate_is_no_hindrance(void **state)
{
    (void)state;
    config_in_both_versions(check_client_certificate);
}

static int verify_own(void *store, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    return hf_trust_store_verify(store, crt, depth, flags);
}

static int candidates_of_store(void *store, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    return hf_trust_store_candidates(store, child, out);
}

/* As trust_store.h says how: own callbacks that call the store's. */
static void check_wrapped(struct world *w)
{
    mbedtls_ssl_conf_verify(&w->config, verify_own, w->store);
    mbedtls_ssl_conf_ca_cb(&w->config, candidates_of_store, w->store);
    config_check_passes(w);
}

static void callbacks_that_call_the_stores_pass(void **state)
{
    (void)state;
    config_in_both_versions(check_wrapped);
}

/* One that ends the handshake itself is as good as flags. */
static int verify_and_end(void *store, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    int code = hf_trust_store_verify(store, crt, depth, flags);
    return code == 0 && *flags != 0 ? MBEDTLS_ERR_X509_FATAL_ERROR : code;
}

static void check_ending_callback(struct world *w)
{
    mbedtls_ssl_conf_verify(&w->config, verify_and_end, w->store);
    config_check_passes(w);
}

static void a_callback_that_ends_the_handshake_passes(void **state)
{
    (void)state;
    config_in_both_versions(check_ending_callback);
}

static void check_offer(struct world *w, const uint16_t *signatures, const uint16_t *groups,
                        const int *suites)
{
    mbedtls_ssl_conf_sig_algs(&w->config, signatures);
    mbedtls_ssl_conf_groups(&w->config, groups);
    if (suites != NULL)
        mbedtls_ssl_conf_ciphersuites(&w->config, suites);
    config_check_passes(w);
}

/* The throw-away server has a key that the configuration can do with. */
static void configurations_that_offer_little_are_tried_too(void **state)
{
    (void)state;
    static const uint16_t p384_only[] = {MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
                                         MBEDTLS_TLS1_3_SIG_NONE};
    static const uint16_t secp384r1[] = {MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, 0};
    static const uint16_t rsa_only[] = {MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
                                        MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
                                        MBEDTLS_TLS1_3_SIG_NONE};
    static const uint16_t x25519[] = {MBEDTLS_SSL_IANA_TLS_GROUP_X25519, 0};
    static const int rsa_suite[] = {MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 0};
    struct world w;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    check_offer(&w, p384_only, secp384r1, NULL);
    mbedtls_ssl_conf_authmode(&w.config, MBEDTLS_SSL_VERIFY_NONE);
    config_check_is_caught(&w, "MBEDTLS_SSL_VERIFY_NONE");
    world_free(&w);
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_2);
    check_offer(&w, rsa_only, x25519, rsa_suite);
    world_free(&w);
}

/* ---- what it must not do --------------------------------------------------------------------- */

struct witness {
    struct hf_trust_store *store;
    const mbedtls_x509_crt *crt;
    unsigned n_here, n_elsewhere; /* anchors found for the throw-away server */
};

static bool is_offered(struct hf_trust_store *store, const mbedtls_x509_crt *child)
{
    mbedtls_x509_crt *found = NULL;
    assert_int_equal(hf_trust_store_candidates(store, child, &found), 0);
    bool answer = found != NULL;
    mbedtls_x509_crt_free(found);
    mbedtls_free(found);
    return answer;
}

static void *look_elsewhere(void *ctx)
{
    struct witness *seen = ctx;
    seen->n_elsewhere += is_offered(seen->store, seen->crt);
    return NULL;
}

static int look_around(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct witness *seen = ctx;
    pthread_t other;
    seen->crt = crt;
    seen->n_here += depth == 0 && is_offered(seen->store, crt);
    assert_int_equal(pthread_create(&other, NULL, look_elsewhere, seen), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    return hf_trust_store_verify(seen->store, crt, depth, flags);
}

static void no_other_thread_trusts_the_throwaway_ca(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    struct witness seen = {.store = w.store};
    mbedtls_ssl_conf_verify(&w.config, look_around, &seen);
    config_check_passes(&w);
    assert_int_equal(seen.n_here, 1); /* in the second handshake, by this thread */
    assert_int_equal(seen.n_elsewhere, 0);
    world_free(&w);
}

static int keep_leaf(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct witness *seen = ctx;
    mbedtls_x509_crt *leaf = (mbedtls_x509_crt *)(uintptr_t)seen->crt;
    if (depth == 0) {
        mbedtls_x509_crt_free(leaf);
        assert_int_equal(mbedtls_x509_crt_parse_der(leaf, crt->raw.p, crt->raw.len), 0);
    }
    return hf_trust_store_verify(seen->store, crt, depth, flags);
}

static void the_throwaway_ca_is_trusted_by_nobody_afterwards(void **state)
{
    (void)state;
    struct world w;
    mbedtls_x509_crt leaf;
    mbedtls_x509_crt_init(&leaf);
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    struct witness seen = {.store = w.store, .crt = &leaf};
    mbedtls_ssl_conf_verify(&w.config, keep_leaf, &seen);
    config_check_passes(&w);
    assert_true(leaf.raw.len > 0);
    assert_false(is_offered(w.store, &leaf));
    mbedtls_x509_crt_free(&leaf);
    world_free(&w);
}

static void what_cannot_be_tried_is_no_success(void **state)
{
    (void)state;
    static const int suite_without_certificates[] = {MBEDTLS_TLS_PSK_WITH_AES_128_GCM_SHA256, 0};
    struct hf_why why = {0};
    struct world w;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_ciphersuites(&w.config, suite_without_certificates);
    CHECK_REFUSED(config_check(&w, &why), HF_E_TLS, &why, "ended before a certificate was judged");
    world_free(&w);

    mbedtls_ssl_config none;
    mbedtls_ssl_config_init(&none);
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    CHECK_REFUSED(hf_trust_store_check_config(w.store, &none, &why), HF_E_ARGUMENT, &why,
                  "neither TLS 1.3 nor TLS 1.2");
    mbedtls_ssl_conf_rng(&w.config, NULL, NULL);
    CHECK_REFUSED(config_check(&w, &why), HF_E_ARGUMENT, &why, "its random generator included");
    assert_int_equal(mbedtls_ssl_config_defaults(&none, MBEDTLS_SSL_IS_SERVER,
                                                 MBEDTLS_SSL_TRANSPORT_STREAM, 0),
                     0);
    CHECK_REFUSED(hf_trust_store_check_config(w.store, &none, &why), HF_E_ARGUMENT, &why,
                  "only the TLS configuration of a client");
    mbedtls_ssl_conf_endpoint(&none, MBEDTLS_SSL_IS_CLIENT);
    mbedtls_ssl_conf_transport(&none, MBEDTLS_SSL_TRANSPORT_DATAGRAM);
    CHECK_REFUSED(hf_trust_store_check_config(w.store, &none, &why), HF_E_ARGUMENT, &why, "DTLS");
    struct hf_trust_store_abi abi = HF_TRUST_STORE_ABI;
    abi.ssl_config_size++;
    CHECK_REFUSED(hf_trust_store_check_config_checked(w.store, &w.config, abi, &why), HF_E_ARGUMENT,
                  &why, "another Mbed TLS");
    mbedtls_ssl_config_free(&none);
    world_free(&w);
}

static void it_takes_milliseconds(void **state)
{
    (void)state;
    struct timespec from, to;
    struct world w;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_2);
    config_allow(&w, MBEDTLS_SSL_VERSION_TLS1_2, MBEDTLS_SSL_VERSION_TLS1_3);
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < 10; i++)
        config_check_passes(&w);
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    double ms = (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
    print_message("both versions: %.1f ms\n", ms / 10);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bound_configuration_passes),
        cmocka_unit_test(it_passes_with_an_empty_store),
        cmocka_unit_test(it_passes_whatever_the_clock_says),
        cmocka_unit_test(a_client_certificate_is_no_hindrance),
        cmocka_unit_test(callbacks_that_call_the_stores_pass),
        cmocka_unit_test(a_callback_that_ends_the_handshake_passes),
        cmocka_unit_test(configurations_that_offer_little_are_tried_too),
        cmocka_unit_test(no_other_thread_trusts_the_throwaway_ca),
        cmocka_unit_test(the_throwaway_ca_is_trusted_by_nobody_afterwards),
        cmocka_unit_test(what_cannot_be_tried_is_no_success),
        cmocka_unit_test(it_takes_milliseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
