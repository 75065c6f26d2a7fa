#include "client/port/mbedtls/clock.h"
#include "client/port/mbedtls/generation.h"
#include "client/port/mbedtls/leaf.h"
#include "client/port/mbedtls/sessions.h"
#include "client/port/mbedtls/trust_store_internal.h"
#include "client/port/mbedtls/verify_words.h"

#include <holdfast/trust_store.h>

#include "common/bundle/policy.h"
#include "common/bundle/x509_usage.h"

#include <mbedtls/platform.h>
#include <mbedtls/version.h>
#include <psa/crypto.h>

#include <inttypes.h>
#include <stdlib.h>

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

static _Thread_local struct hf_rehearsal *under_way;

void hf_rehearsal_begin(struct hf_rehearsal *rehearsal)
{
    under_way = rehearsal;
}

void hf_rehearsal_end(void)
{
    under_way = NULL;
}

struct hf_rehearsal *hf_rehearsal_of(const struct hf_trust_store *store)
{
    return under_way != NULL && under_way->store == store ? under_way : NULL;
}

/* ---- the store ------------------------------------------------------------------------------- */

struct hf_trust_store {
    struct hf_live live;
    pthread_mutex_t swap_mutex;
    _Atomic uint64_t generation;
    struct hf_sessions sessions;
};

/* ---- life --------------------------------------------------------------------------------------- */

static enum hf_err init(struct hf_trust_store *store, struct hf_why *why)
{
    struct hf_generation *empty = NULL;
    HF_TRY(hf_generation_new(NULL, 0, &empty, why));
    hf_live_init(&store->live, empty);
    if (pthread_mutex_init(&store->swap_mutex, NULL) != 0) {
        hf_live_free(&store->live);
        return hf_fail(why, HF_E_MEMORY, "the system gave no mutex for the trust store");
    }
    enum hf_err err = hf_sessions_init(&store->sessions, why);
    if (err != HF_OK) {
        (void)pthread_mutex_destroy(&store->swap_mutex);
        hf_live_free(&store->live);
    }
    return err;
}

enum hf_err hf_trust_store_new(struct hf_trust_store **out, struct hf_why *why)
{
    /* TLS 1.3 stands on PSA. Never undone: the application may use it as well. */
    psa_status_t status = psa_crypto_init();
    if (status != PSA_SUCCESS)
        return hf_fail(why, HF_E_STATE,
                       "Mbed TLS could not start its crypto core (PSA status %" PRId32
                       "); is a source of randomness there?",
                       status);
    hf_mbedtls_clock_install();
    struct hf_trust_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a trust store");
    enum hf_err err = init(store, why);
    if (err == HF_OK)
        *out = store;
    else
        free(store);
    return err;
}

void hf_trust_store_free(struct hf_trust_store *store)
{
    if (store == NULL)
        return;
    hf_sessions_free(&store->sessions);
    (void)pthread_mutex_destroy(&store->swap_mutex);
    hf_live_free(&store->live);
    free(store);
}

/* ---- swap --------------------------------------------------------------------------------------- */

enum hf_err hf_trust_store_swap(struct hf_trust_store *store, const struct hf_trust_anchor *anchors,
                                size_t n_anchors, struct hf_why *why)
{
    struct hf_generation *next = NULL;
    HF_TRY(hf_generation_new(anchors, n_anchors, &next, why));

    (void)pthread_mutex_lock(&store->swap_mutex);
    uint64_t number = atomic_load(&store->generation) + 1;
    hf_live_publish_take(&store->live, next);
    /* In this order: a handshake that reads the new number is verified under the new anchors, and a session
     * of the old ones that was kept in between is dropped here. */
    hf_sessions_begin(&store->sessions, number);
    atomic_store(&store->generation, number);
    (void)pthread_mutex_unlock(&store->swap_mutex);
    return HF_OK;
}

uint64_t hf_trust_store_generation(const struct hf_trust_store *store)
{
    return atomic_load(&store->generation);
}

static enum hf_err port_swap(void *ctx, const struct hf_trust_anchor *anchors, size_t n_anchors,
                             struct hf_why *why)
{
    return hf_trust_store_swap(ctx, anchors, n_anchors, why);
}

static void port_set_clock_floor(void *ctx, int64_t floor_s)
{
    (void)ctx; /* the clock is the process's */
    hf_trust_store_set_clock_floor(floor_s);
}

struct hf_trust_port hf_trust_store_port(struct hf_trust_store *store)
{
    return (struct hf_trust_port){.ctx = store,
                                  .swap = port_swap,
                                  .set_clock_floor = port_set_clock_floor};
}

/* ---- what Mbed TLS calls --------------------------------------------------------------------------- */

/** The anchor that a proof on this thread adds, if there is one under way. */
static int collect_rehearsed(struct hf_trust_store *store, const mbedtls_x509_crt *child,
                             int64_t leaf_not_before_s, mbedtls_x509_crt **list)
{
    struct hf_rehearsal *rehearsal = hf_rehearsal_of(store);
    if (rehearsal == NULL)
        return 0;
    rehearsal->was_asked = true;
    if (rehearsal->extra == NULL)
        return 0;
    return hf_generation_collect(rehearsal->extra, &child->issuer, hf_mbedtls_clock_now_s(),
                                 leaf_not_before_s, list);
}

int hf_trust_store_candidates(void *store, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    struct hf_trust_store *self = store;
    mbedtls_x509_crt *list = NULL;
    int64_t leaf_not_before_s = hf_leaf_not_before(child);

    unsigned pin;
    const struct hf_generation *generation = hf_live_pin(&self->live, &pin);
    int ret = hf_generation_collect(generation, &child->issuer, hf_mbedtls_clock_now_s(),
                                    leaf_not_before_s, &list);
    hf_live_unpin(&self->live, pin);
    if (ret == 0)
        ret = collect_rehearsed(self, child, leaf_not_before_s, &list);
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

static bool has_distrust(struct hf_trust_store *store)
{
    unsigned pin;
    bool answer = hf_generation_has_distrust(hf_live_pin(&store->live, &pin));
    hf_live_unpin(&store->live, pin);
    return answer;
}

int hf_trust_store_verify(void *store, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    /* Mbed TLS looks at the server's own extendedKeyUsage only. An anchor is trusted for what its
     * publisher says, whatever stands in its certificate (RFC 5280, 6.1). */
    if (depth != 0) {
        if (!hf_x509_allows_server_auth(crt) && !hf_leaf_is_offered(crt))
            *flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
        return 0;
    }
    struct hf_rehearsal *rehearsal = hf_rehearsal_of(store);
    if (rehearsal != NULL)
        rehearsal->was_consulted = true;
    /* Anchors that do not accept the leaf's date were not offered (hf_trust_store_candidates), so
     * that a path to another one could be found. What is left is whether it was this leaf's. */
    bool is_confirmed = hf_leaf_confirm(crt);
    if (!is_confirmed && has_distrust(store))
        *flags |= MBEDTLS_X509_BADCERT_NOT_TRUSTED;
    return 0;
}

/* ---- why not -------------------------------------------------------------------------------------- */

struct explanation {
    const mbedtls_x509_crt *child;
    char *out;
    size_t cap;
};

static void explain_one(void *ctx, const struct hf_trust_anchor *anchor)
{
    struct explanation *e = ctx;
    hf_verify_anchor_words(anchor, e->child, hf_mbedtls_clock_now_s(), e->out, e->cap);
}

void hf_trust_store_explain(struct hf_trust_store *store, const mbedtls_x509_crt *child, char *out,
                            size_t cap)
{
    struct explanation e = {.child = child, .out = out, .cap = cap};
    unsigned pin;
    const struct hf_generation *generation = hf_live_pin(&store->live, &pin);
    hf_generation_each(generation, &child->issuer, explain_one, &e);
    hf_live_unpin(&store->live, pin);
}

/* ---- bind --------------------------------------------------------------------------------------- */

enum hf_err hf_trust_store_bind_checked(struct hf_trust_store *store, mbedtls_ssl_config *config,
                                        struct hf_trust_store_abi abi, struct hf_why *why)
{
    HF_TRY(hf_abi_check(abi, why));
    mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_cb(config, hf_trust_store_candidates, store);
    mbedtls_ssl_conf_verify(config, hf_trust_store_verify, store);
    return HF_OK;
}

/* ---- sessions ------------------------------------------------------------------------------------- */

int64_t hf_trust_store_last_end(struct hf_trust_store *store)
{
    unsigned pin;
    int64_t end_s = hf_generation_last_end(hf_live_pin(&store->live, &pin),
                                           hf_mbedtls_clock_now_s());

    hf_live_unpin(&store->live, pin);
    return end_s;
}

bool hf_trust_store_has_usable(struct hf_trust_store *store)
{
    unsigned pin;
    bool has_one = hf_generation_has_usable(hf_live_pin(&store->live, &pin),
                                            hf_mbedtls_clock_now_s());

    hf_live_unpin(&store->live, pin);
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

/* ---- a store made of a PEM file -------------------------------------------------------------- */

static enum hf_err fill(struct hf_trust_store *store, const struct hf_bundle *bundle,
                        struct hf_why *why)
{
    struct hf_trust_anchor *anchors = calloc(bundle->n_anchors, sizeof *anchors);
    enum hf_err err;

    if (anchors == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for %zu trust anchors", bundle->n_anchors);
    for (size_t i = 0; i < bundle->n_anchors; i++)
        anchors[i] = (struct hf_trust_anchor){
            .der = bundle->anchors[i].der,
            .not_before_s = bundle->anchors[i].cert.not_before_s,
            .not_after_s = bundle->anchors[i].cert.not_after_s,
            .distrust_after_s = bundle->anchors[i].distrust_after_s,
            .remove_after_s = bundle->anchors[i].remove_after_s,
        };
    err = hf_trust_store_swap(store, anchors, bundle->n_anchors, why);
    free(anchors);
    return err;
}

enum hf_err hf_trust_store_new_from_pem(struct hf_bytes pem, struct hf_trust_store **out,
                                        char skipped[HF_WHY_MAX], struct hf_why *why)
{
    struct hf_trust_store *store = NULL;
    struct hf_bundle bundle = {0};
    enum hf_err err;

    HF_TRY(hf_bundle_parse(pem, NULL, &bundle, why));
    err = hf_policy_check_issuers(&bundle, why);
    if (err == HF_OK)
        err = hf_trust_store_new(&store, why);
    if (err == HF_OK)
        err = fill(store, &bundle, why);
    if (err == HF_OK && skipped != NULL)
        hf_bundle_skipped_text(&bundle, skipped);
    hf_bundle_free(&bundle);
    if (err != HF_OK) {
        hf_trust_store_free(store);
        return err;
    }
    *out = store;
    return HF_OK;
}
