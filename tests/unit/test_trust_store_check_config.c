/* client/port/mbedtls/check_config: each way to turn verification off that was seen in the field is
 * tried, and must be named. */
#include "tests/support/check.h"

#include "tests/support/config_check.h"

#include <mbedtls/platform.h>

/* ---- ways to turn it off --------------------------------------------------------------------- */

static void check_verify_none(struct world *w)
{
    mbedtls_ssl_conf_authmode(&w->config, MBEDTLS_SSL_VERIFY_NONE);
    config_check_is_caught(w, "MBEDTLS_SSL_VERIFY_NONE");
}

static void history_18_verify_none_is_caught(void **state)
{
    (void)state;
    config_in_both_versions(check_verify_none);
}

static void check_verify_optional(struct world *w)
{
    mbedtls_ssl_conf_authmode(&w->config, MBEDTLS_SSL_VERIFY_OPTIONAL);
    config_check_is_caught(w, "MBEDTLS_SSL_VERIFY_OPTIONAL");
}

static void verify_optional_is_caught(void **state)
{
    (void)state;
    config_in_both_versions(check_verify_optional);
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
    config_check_is_caught(w, "its verify callback clears the faults that were found");
}

static void history_15_a_callback_that_accepts_every_error_is_caught(void **state)
{
    (void)state;
    config_in_both_versions(check_accepting_callback);
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
    config_check_is_caught(w, "was accepted under that name");
}

static void a_callback_that_accepts_any_host_is_caught(void **state)
{
    (void)state;
    config_in_both_versions(check_any_name);
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
    config_check_is_caught(w, "was refused, but not for its name");
}

static void other_faults_do_not_hide_that_the_name_does_not_count(void **state)
{
    (void)state;
    config_in_both_versions(check_name_hidden_by_pin);
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
    mbedtls_ssl_conf_verify(&w->config, NULL, NULL);
    config_check_is_caught(w, "its CA callback is not the trust store's and accepts every chain");
}

static void a_ca_callback_that_vouches_for_everybody_is_caught(void **state)
{
    (void)state;
    config_in_both_versions(check_vouching_callback);
}

static int store_or_all(void *store, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    int code = hf_trust_store_candidates(store, child, out);
    return code == 0 && *out == NULL ? vouch_for_all(NULL, child, out) : code;
}

static void check_vouching_joined(struct world *w)
{
    mbedtls_ssl_conf_ca_cb(&w->config, store_or_all, w->store);
    mbedtls_ssl_conf_verify(&w->config, NULL, NULL);
    config_check_is_caught(w, "or its CA callback adds an anchor that is not in the store");
}

static void a_ca_callback_that_adds_to_the_store_is_caught(void **state)
{
    (void)state;
    config_in_both_versions(check_vouching_joined);
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
    config_check_is_caught(w, never_asked);

    mbedtls_x509_crt_init(&root);
    pki_root("CN=Root", &w->root, &der);
    assert_int_equal(mbedtls_x509_crt_parse_der(&root, der.data, der.len), 0);
    mbedtls_ssl_conf_ca_chain(&w->config, &root, NULL);
    config_check_is_caught(w, never_asked);
    mbedtls_x509_crt_free(&root);
    hf_buf_free(&der);
}

static void anchors_of_its_own_are_caught(void **state)
{
    (void)state;
    config_in_both_versions(check_other_anchors);
}

static void check_never_bound(struct world *w)
{
    mbedtls_ssl_config_free(&w->config);
    tls_client_make(&w->config, w->version);
    config_check_is_caught(w, "call hf_trust_store_bind");
}

static void a_configuration_that_was_never_bound_is_caught(void **state)
{
    (void)state;
    config_in_both_versions(check_never_bound);
}

static void check_bound_to_another(struct world *w)
{
    struct hf_trust_store *other = NULL;
    struct hf_why why = {0};
    CHECK_OK(hf_trust_store_new(&other, &why));
    CHECK_OK(hf_trust_store_bind(other, &w->config, &why));
    config_check_is_caught(w, "not verified against this trust store");
    hf_trust_store_free(other);
}

static void another_store_is_caught(void **state)
{
    (void)state;
    config_in_both_versions(check_bound_to_another);
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
    config_check_is_caught(w, "distrust dates are not enforced");
    mbedtls_ssl_conf_verify(&w->config, NULL, NULL);
    config_check_is_caught(w, "distrust dates are not enforced");
}

static void a_verify_callback_without_the_stores_is_caught(void **state)
{
    (void)state;
    config_in_both_versions(check_no_distrust);
}

struct lapse {
    struct hf_trust_store *store;
    unsigned n_calls;
};

/* Two handshakes with a chain of two are over: of a refused one only the server's certificate is
 * shown. */
static int accept_from_the_fourth_on(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct lapse *lapse = ctx;
    int code = hf_trust_store_verify(lapse->store, crt, depth, flags);
    if (++lapse->n_calls > 3)
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
    config_allow(&w, MBEDTLS_SSL_VERSION_TLS1_2, MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_verify(&w.config, accept_from_the_fourth_on, &lapse);
    config_check_is_caught(&w, "a server was accepted (TLS 1.2)");
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
