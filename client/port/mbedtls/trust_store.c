#include "client/port/mbedtls/trust_store_internal.h"

#include "client/port/mbedtls/generations.h"
#include "client/port/mbedtls/leaf.h"
#include "client/port/mbedtls/sessions.h"
#include "common/bundle/policy.h"
#include "common/chain/clock.h"

#include <mbedtls/platform.h>
#include <mbedtls/version.h>
#include <psa/crypto.h>

#include <inttypes.h>
#include <stdlib.h>

struct hf_trust_store {
    struct hf_generations generations;
    pthread_mutex_t swap_mutex;
    _Atomic uint64_t generation;
    struct hf_sessions sessions;
};

static _Thread_local struct hf_self_test *self_test; /* NULL, as nearly always: none */

void hf_self_test_set(struct hf_self_test *next)
{
    self_test = next;
}

/** The one that this thread runs for `store`, or NULL. */
static struct hf_self_test *self_test_of(const struct hf_trust_store *store)
{
    return self_test != NULL && self_test->store == store ? self_test : NULL;
}

enum hf_err hf_abi_check(struct hf_trust_store_abi theirs, struct hf_why *why)
{
    struct hf_trust_store_abi ours = HF_TRUST_STORE_ABI;
    ours.version_number = mbedtls_version_get_number(); /* of the library that is linked */
    if (theirs.version_number == ours.version_number &&
        theirs.ssl_config_size == ours.ssl_config_size &&
        theirs.ssl_context_size == ours.ssl_context_size &&
        theirs.x509_crt_size == ours.x509_crt_size)
        return HF_OK;
    return hf_fail(
        why, HF_E_ARGUMENT,
        "the application was compiled with another Mbed TLS than Holdfast: expected "
        "version 0x%08x with structs of %zu, %zu and %zu bytes (ssl_config, ssl_context, "
        "x509_crt), found 0x%08x with %zu, %zu and %zu; the Mbed TLS headers that are "
        "installed with Holdfast must come first on its include path, as "
        "pkg-config --cflags holdfast puts them",
        ours.version_number, ours.ssl_config_size, ours.ssl_context_size, ours.x509_crt_size,
        theirs.version_number, theirs.ssl_config_size, theirs.ssl_context_size,
        theirs.x509_crt_size);
}

enum hf_err hf_trust_store_new(struct hf_trust_store **out, struct hf_why *why)
{
    struct hf_anchors *empty = NULL;
    enum hf_err err;

    /* TLS 1.3 stands on PSA. Never undone: the application may use it as well. */
    psa_status_t status = psa_crypto_init();
    if (status != PSA_SUCCESS)
        return hf_fail(why, HF_E_STATE,
                       "Mbed TLS could not start its crypto core (PSA status %" PRId32
                       "); is a source of randomness there?",
                       status);
    hf_chain_clock_install();
    HF_TRY(hf_anchors_new(NULL, 0, &empty, why));
    struct hf_trust_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        err = hf_fail(why, HF_E_MEMORY, "out of memory for a trust store");
        goto out;
    }
    err = hf_sessions_init(&store->sessions, why);
    if (err != HF_OK)
        goto out;
    if (pthread_mutex_init(&store->swap_mutex, NULL) != 0) {
        err = hf_fail(why, HF_E_MEMORY, "the system gave no mutex for the trust store");
        hf_sessions_free(&store->sessions);
        goto out;
    }
    hf_generations_init(&store->generations, empty);
    *out = store;
    return HF_OK;
out:
    hf_anchors_free(empty);
    free(store);
    return err;
}

void hf_trust_store_free(struct hf_trust_store *store)
{
    if (store == NULL)
        return;
    hf_sessions_free(&store->sessions);
    (void)pthread_mutex_destroy(&store->swap_mutex);
    hf_generations_free(&store->generations);
    free(store);
}

/* Put `next` in force. */
static void swap_take(struct hf_trust_store *store, struct hf_anchors *next)
{
    (void)pthread_mutex_lock(&store->swap_mutex);
    uint64_t number = atomic_load(&store->generation) + 1;
    hf_generations_swap_take(&store->generations, next);
    /* In this order: a handshake that reads the new number is verified under the new anchors, and a
     * session of the old ones that was kept in between is dropped here. */
    hf_sessions_begin(&store->sessions, number);
    atomic_store(&store->generation, number);
    (void)pthread_mutex_unlock(&store->swap_mutex);
}

enum hf_err hf_trust_store_swap(struct hf_trust_store *store, const struct hf_trust_anchor *anchors,
                                size_t n_anchors, struct hf_why *why)
{
    struct hf_anchors *next = NULL;

    HF_TRY(hf_anchors_new(anchors, n_anchors, &next, why));
    swap_take(store, next);
    return HF_OK;
}

enum hf_err hf_trust_store_new_from_pem(struct hf_bytes pem, struct hf_trust_store **out,
                                        char skipped[HF_WHY_MAX], struct hf_why *why)
{
    struct hf_trust_store *store = NULL;
    struct hf_anchors *anchors = NULL;
    struct hf_bundle bundle = {0};
    enum hf_err err;

    HF_TRY(hf_bundle_parse(pem, NULL, &bundle, why));
    err = hf_policy_check_issuers(&bundle, why);
    if (err == HF_OK)
        err = hf_trust_store_new(&store, why);
    if (err == HF_OK)
        err = hf_anchors_of_bundle(&bundle, &anchors, why);
    if (err == HF_OK && skipped != NULL)
        hf_bundle_skipped_text(&bundle, skipped);
    hf_bundle_free(&bundle);
    if (err != HF_OK) {
        hf_trust_store_free(store);
        return err;
    }
    swap_take(store, anchors);
    *out = store;
    return HF_OK;
}

uint64_t hf_trust_store_generation(const struct hf_trust_store *store)
{
    return atomic_load(&store->generation);
}

void hf_trust_store_set_clock_floor(int64_t floor_s)
{
    hf_chain_clock_raise_floor(floor_s);
}

void hf_trust_store_set_clock(int64_t now_s)
{
    hf_chain_clock_set(now_s);
}

static enum hf_err port_swap(void *ctx, const struct hf_trust_anchor *anchors, size_t n_anchors,
                             struct hf_why *why)
{
    return hf_trust_store_swap(ctx, anchors, n_anchors, why);
}

static void port_set_clock_floor(void *ctx, int64_t floor_s)
{
    (void)ctx; /* the clock is the process's */
    hf_chain_clock_raise_floor(floor_s);
}

struct hf_trust_port hf_trust_store_port(struct hf_trust_store *store)
{
    return (struct hf_trust_port){store, port_swap, port_set_clock_floor};
}

enum hf_err hf_trust_store_bind_checked(struct hf_trust_store *store, mbedtls_ssl_config *config,
                                        struct hf_trust_store_abi abi, struct hf_why *why)
{
    HF_TRY(hf_abi_check(abi, why));
    mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_cb(config, hf_trust_store_candidates, store);
    mbedtls_ssl_conf_verify(config, hf_trust_store_verify, store);
    return HF_OK;
}

int hf_trust_store_candidates(void *store, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    struct hf_trust_store *self = store;
    struct hf_self_test *test = self_test_of(self);
    mbedtls_x509_crt *list = NULL;
    int64_t now_s = hf_chain_clock_now_s();
    int64_t leaf_not_before_s = hf_leaf_not_before(child);

    unsigned pin;
    const struct hf_anchors *anchors = hf_generations_pin(&self->generations, &pin);
    int ret = hf_anchors_collect(anchors, child, now_s, leaf_not_before_s, &list);
    hf_generations_unpin(&self->generations, pin);
    if (test != NULL)
        test->was_asked = true;
    if (ret == 0 && test != NULL && test->extra != NULL)
        ret = hf_anchors_collect(test->extra, child, now_s, leaf_not_before_s, &list);
    if (ret != 0) {
        hf_leaf_abandon();
        mbedtls_x509_crt_free(list);
        mbedtls_free(list);
        return ret;
    }
    hf_leaf_offer(list);
    *out = list;
    return 0;
}

int hf_trust_store_verify(void *store, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct hf_trust_store *self = store;
    struct hf_self_test *test = self_test_of(self);

    if (depth != 0) {
        *flags |= hf_chain_check_issuer(crt, hf_leaf_is_offered(crt));
        return 0;
    }
    if (test != NULL)
        test->was_consulted = true;
    /* Anchors that do not accept the leaf's date were not offered (hf_trust_store_candidates), so
     * that a path to another one could be found. What is left is whether it was this leaf's. */
    if (!hf_leaf_confirm(crt)) {
        unsigned pin;
        if (hf_anchors_has_distrust(hf_generations_pin(&self->generations, &pin)))
            *flags |= MBEDTLS_X509_BADCERT_NOT_TRUSTED;
        hf_generations_unpin(&self->generations, pin);
    }
    return 0;
}

void hf_trust_store_explain(struct hf_trust_store *store, const mbedtls_x509_crt *child, char *out,
                            size_t cap)
{
    unsigned pin;
    const struct hf_anchors *anchors = hf_generations_pin(&store->generations, &pin);

    hf_anchors_explain(anchors, child, hf_chain_clock_now_s(), out, cap);
    hf_generations_unpin(&store->generations, pin);
}

enum hf_err hf_trust_store_judge(struct hf_trust_store *store, const struct hf_chain *chain,
                                 const char *host, struct hf_chain_verdict *out, struct hf_why *why)
{
    const struct hf_chain_context context = {host, hf_chain_clock_now_s(), false};
    unsigned pin;
    const struct hf_anchors *anchors = hf_generations_pin(&store->generations, &pin);
    enum hf_err err = hf_chain_judge(chain, anchors, &context, out, why);

    hf_generations_unpin(&store->generations, pin);
    return err;
}

int64_t hf_trust_store_last_end(struct hf_trust_store *store)
{
    unsigned pin;
    int64_t end_s = hf_anchors_last_end(hf_generations_pin(&store->generations, &pin),
                                        hf_chain_clock_now_s());

    hf_generations_unpin(&store->generations, pin);
    return end_s;
}

bool hf_trust_store_has_usable(struct hf_trust_store *store)
{
    unsigned pin;
    bool has_one = hf_anchors_has_usable(hf_generations_pin(&store->generations, &pin),
                                         hf_chain_clock_now_s());

    hf_generations_unpin(&store->generations, pin);
    return has_one;
}

struct hf_trust_resumption hf_trust_store_resume(struct hf_trust_store *store, const char *peer,
                                                 mbedtls_ssl_context *ssl)
{
    return hf_sessions_offer(&store->sessions, peer, hf_trust_store_last_end(store), ssl);
}

void hf_trust_store_save(struct hf_trust_store *store, const char *peer,
                         struct hf_trust_resumption resumption, mbedtls_ssl_context *ssl)
{
    hf_sessions_keep(&store->sessions, peer, resumption, ssl);
}
