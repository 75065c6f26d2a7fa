/* client/port/mbedtls/check_config: does the application's own configuration verify? Each way to
 * turn verification off that was seen in the field is tried, and must be named. */
#include "tests/support/check.h"

#include "tests/support/trust_world.h"

#include <mbedtls/platform.h>
#include <mbedtls/ssl_ciphersuites.h>

#include <pthread.h>
#include <time.h>

/* ---- around each check ---------------------------------------------------------------------------- */

static void allow(mbedtls_ssl_config *config, mbedtls_ssl_protocol_version min,
                  mbedtls_ssl_protocol_version max)
{
    mbedtls_ssl_conf_min_tls_version(config, min);
    mbedtls_ssl_conf_max_tls_version(config, max);
}

/* Run the check; neither the configuration nor the store may be another one afterwards. */
static enum hf_err check(struct world *w, struct hf_why *why)
{
    mbedtls_ssl_config before = w->config;
    uint64_t generation = hf_trust_store_generation(w->store);
    enum hf_err err = hf_trust_store_check_config(w->store, &w->config, why);
    assert_memory_equal(&before, &w->config, sizeof before);
    assert_int_equal(hf_trust_store_generation(w->store), generation);
    return err;
}

static void check_passes(struct world *w)
{
    struct hf_why why = {0};
    enum hf_err err = check(w, &why);
    if (err != HF_OK)
        fail_msg("refused: %s", why.text);
}

/* Refused for what `part` says; and bound again, all is well. */
static void check_is_caught(struct world *w, const char *part)
{
    struct hf_why why = {0};
    CHECK_REFUSED(check(w, &why), HF_E_POLICY, &why, part);
    CHECK_OK(hf_trust_store_bind(w->store, &w->config, &why));
    check_passes(w);
}

static void in_both_versions(void (*test)(struct world *w))
{
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        world_make(&w, world_versions[i]);
        world_trust_root(&w, "CN=Root", &w.root);
        test(&w);
        world_free(&w);
    }
}

/* ---- configurations that verify ------------------------------------------------------------------- */

static void check_bound(struct world *w)
{
    check_passes(w);
    allow(&w->config, MBEDTLS_SSL_VERSION_TLS1_2, MBEDTLS_SSL_VERSION_TLS1_3);
    check_passes(w);
}

static void a_bound_configuration_passes(void **state)
{
    (void)state;
    in_both_versions(check_bound);
}

static void it_passes_with_an_empty_store(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    check_passes(&w);
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
        check_passes(&w);
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
    check_passes(w);

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
    in_both_versions(check_client_certificate);
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
    check_passes(w);
}

static void callbacks_that_call_the_stores_pass(void **state)
{
    (void)state;
    in_both_versions(check_wrapped);
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
    check_passes(w);
}

static void a_callback_that_ends_the_handshake_passes(void **state)
{
    (void)state;
    in_both_versions(check_ending_callback);
}

static void check_offer(struct world *w, const uint16_t *signatures, const uint16_t *groups,
                        const int *suites)
{
    mbedtls_ssl_conf_sig_algs(&w->config, signatures);
    mbedtls_ssl_conf_groups(&w->config, groups);
    if (suites != NULL)
        mbedtls_ssl_conf_ciphersuites(&w->config, suites);
    check_passes(w);
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
    check_is_caught(&w, "MBEDTLS_SSL_VERIFY_NONE");
    world_free(&w);
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_2);
    check_offer(&w, rsa_only, x25519, rsa_suite);
    world_free(&w);
}

/* ---- ways to turn it off --------------------------------------------------------------------------- */

static void check_verify_none(struct world *w)
{
    mbedtls_ssl_conf_authmode(&w->config, MBEDTLS_SSL_VERIFY_NONE);
    check_is_caught(w, "MBEDTLS_SSL_VERIFY_NONE");
}

static void history_18_verify_none_is_caught(void **state)
{
    (void)state;
    in_both_versions(check_verify_none);
}

static void check_verify_optional(struct world *w)
{
    mbedtls_ssl_conf_authmode(&w->config, MBEDTLS_SSL_VERIFY_OPTIONAL);
    check_is_caught(w, "MBEDTLS_SSL_VERIFY_OPTIONAL");
}

static void verify_optional_is_caught(void **state)
{
    (void)state;
    in_both_versions(check_verify_optional);
}

static int accept_everything(void *store, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    (void)hf_trust_store_verify(store, crt, depth, flags);
    *flags = 0;
    return 0;
}

static void check_accepting_callback(struct world *w)
{
    mbedtls_ssl_conf_verify(&w->config, accept_everything, w->store);
    check_is_caught(w, "its verify callback clears the faults that were found");
}

static void history_15_a_callback_that_accepts_every_error_is_caught(void **state)
{
    (void)state;
    in_both_versions(check_accepting_callback);
}

static int accept_any_name(void *store, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    int code = hf_trust_store_verify(store, crt, depth, flags);
    *flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_CN_MISMATCH;
    return code;
}

static void check_any_name(struct world *w)
{
    mbedtls_ssl_conf_verify(&w->config, accept_any_name, w->store);
    check_is_caught(w, "was accepted under that name");
}

static void a_callback_that_accepts_any_host_is_caught(void **state)
{
    (void)state;
    in_both_versions(check_any_name);
}

static int refuse_but_for_the_name(void *store, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    int code = accept_any_name(store, crt, depth, flags);
    *flags |= MBEDTLS_X509_BADCERT_OTHER; /* a pin that does not fit */
    return code;
}

static void check_name_hidden_by_pin(struct world *w)
{
    mbedtls_ssl_conf_verify(&w->config, refuse_but_for_the_name, w->store);
    check_is_caught(w, "was refused, but not for its name");
}

static void other_faults_do_not_hide_that_the_name_does_not_count(void **state)
{
    (void)state;
    in_both_versions(check_name_hidden_by_pin);
}

/* "Trust on first use", at every use: each self-signed certificate vouches for itself. */
static int vouch_for_all(void *ctx, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    (void)ctx;
    mbedtls_x509_crt *copy = mbedtls_calloc(1, sizeof *copy);
    assert_non_null(copy);
    mbedtls_x509_crt_init(copy);
    assert_int_equal(mbedtls_x509_crt_parse_der(copy, child->raw.p, child->raw.len), 0);
    *out = copy;
    return 0;
}

static void check_vouching_callback(struct world *w)
{
    mbedtls_ssl_conf_ca_cb(&w->config, vouch_for_all, NULL);
    check_is_caught(w, "its CA callback is not the trust store's and vouches for everybody");
}

static void a_ca_callback_that_vouches_for_everybody_is_caught(void **state)
{
    (void)state;
    in_both_versions(check_vouching_callback);
}

static int store_or_all(void *store, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    int code = hf_trust_store_candidates(store, child, out);
    return code == 0 && *out == NULL ? vouch_for_all(NULL, child, out) : code;
}

static void check_vouching_joined(struct world *w)
{
    mbedtls_ssl_conf_ca_cb(&w->config, store_or_all, w->store);
    check_is_caught(w, "or its CA callback adds an anchor that nobody gave it");
}

static void a_ca_callback_that_adds_to_the_store_is_caught(void **state)
{
    (void)state;
    in_both_versions(check_vouching_joined);
}

static int no_anchors(void *ctx, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    (void)ctx;
    (void)child;
    *out = NULL;
    return 0;
}

/* It verifies, but a swap would change nothing. */
static void check_other_anchors(struct world *w)
{
    struct hf_buf der = {0};
    mbedtls_x509_crt root;
    static const char never_asked[] = "the configuration never asked it for an anchor";

    mbedtls_ssl_conf_ca_cb(&w->config, no_anchors, NULL);
    check_is_caught(w, never_asked);

    mbedtls_x509_crt_init(&root);
    pki_root("CN=Root", &w->root, &der);
    assert_int_equal(mbedtls_x509_crt_parse_der(&root, der.data, der.len), 0);
    mbedtls_ssl_conf_ca_chain(&w->config, &root, NULL);
    check_is_caught(w, never_asked);
    mbedtls_x509_crt_free(&root);
    hf_buf_free(&der);
}

static void anchors_of_its_own_are_caught(void **state)
{
    (void)state;
    in_both_versions(check_other_anchors);
}

static void check_never_bound(struct world *w)
{
    mbedtls_ssl_config_free(&w->config);
    tls_client_make(&w->config, w->version);
    check_is_caught(w, "call hf_trust_store_bind");
}

static void a_configuration_that_was_never_bound_is_caught(void **state)
{
    (void)state;
    in_both_versions(check_never_bound);
}

static void check_bound_to_another(struct world *w)
{
    struct hf_trust_store *other = NULL;
    struct hf_why why = {0};
    CHECK_OK(hf_trust_store_new(&other, &why));
    CHECK_OK(hf_trust_store_bind(other, &w->config, &why));
    check_is_caught(w, "not verified against this trust store");
    hf_trust_store_free(other);
}

static void another_store_is_caught(void **state)
{
    (void)state;
    in_both_versions(check_bound_to_another);
}

static int see_no_store(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    (void)ctx;
    (void)crt;
    (void)depth;
    (void)flags;
    return 0;
}

static void check_no_distrust(struct world *w)
{
    mbedtls_ssl_conf_verify(&w->config, see_no_store, NULL);
    check_is_caught(w, "distrust dates are not enforced");
    mbedtls_ssl_conf_verify(&w->config, NULL, NULL);
    check_is_caught(w, "distrust dates are not enforced");
}

static void a_verify_callback_without_the_stores_is_caught(void **state)
{
    (void)state;
    in_both_versions(check_no_distrust);
}

struct lapse {
    struct hf_trust_store *store;
    unsigned n_calls;
};

/* Two handshakes with a chain of two are over. */
static int accept_from_the_fifth_on(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct lapse *lapse = ctx;
    int code = hf_trust_store_verify(lapse->store, crt, depth, flags);
    if (++lapse->n_calls > 4)
        *flags = 0;
    return code;
}

/* Mbed TLS has one implementation of the handshake for each version: both are proven. */
static void the_second_version_is_tried_too(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_2);
    struct lapse lapse = {.store = w.store};
    allow(&w.config, MBEDTLS_SSL_VERSION_TLS1_2, MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_verify(&w.config, accept_from_the_fifth_on, &lapse);
    check_is_caught(&w, "a server was accepted (TLS 1.2)");
    world_free(&w);
}

/* ---- what it must not do --------------------------------------------------------------------------- */

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
    check_passes(&w);
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
    check_passes(&w);
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
    CHECK_REFUSED(check(&w, &why), HF_E_TLS, &why, "ended before a certificate was judged");
    world_free(&w);

    mbedtls_ssl_config none;
    mbedtls_ssl_config_init(&none);
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    CHECK_REFUSED(hf_trust_store_check_config(w.store, &none, &why), HF_E_ARGUMENT, &why,
                  "neither TLS 1.3 nor TLS 1.2");
    mbedtls_ssl_conf_rng(&w.config, NULL, NULL);
    CHECK_REFUSED(check(&w, &why), HF_E_ARGUMENT, &why, "its random generator included");
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
    allow(&w.config, MBEDTLS_SSL_VERSION_TLS1_2, MBEDTLS_SSL_VERSION_TLS1_3);
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < 10; i++)
        check_passes(&w);
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
        cmocka_unit_test(history_18_verify_none_is_caught),
        cmocka_unit_test(verify_optional_is_caught),
        cmocka_unit_test(history_15_a_callback_that_accepts_every_error_is_caught),
        cmocka_unit_test(a_callback_that_accepts_any_host_is_caught),
        cmocka_unit_test(other_faults_do_not_hide_that_the_name_does_not_count),
        cmocka_unit_test(a_ca_callback_that_vouches_for_everybody_is_caught),
        cmocka_unit_test(a_ca_callback_that_adds_to_the_store_is_caught),
        cmocka_unit_test(anchors_of_its_own_are_caught),
        cmocka_unit_test(a_configuration_that_was_never_bound_is_caught),
        cmocka_unit_test(another_store_is_caught),
        cmocka_unit_test(a_verify_callback_without_the_stores_is_caught),
        cmocka_unit_test(the_second_version_is_tried_too),
        cmocka_unit_test(no_other_thread_trusts_the_throwaway_ca),
        cmocka_unit_test(the_throwaway_ca_is_trusted_by_nobody_afterwards),
        cmocka_unit_test(what_cannot_be_tried_is_no_success),
        cmocka_unit_test(it_takes_milliseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
