#include "client/port/mbedtls/trust_store_internal.h"

#include "client/port/mbedtls/generations.h"
#include "client/port/mbedtls/received.h"
#include "client/port/mbedtls/running.h"
#include "client/port/mbedtls/sessions.h"
#include "common/bundle/policy.h"
#include "common/chain/clock.h"

#include <mbedtls/platform.h>
#include <mbedtls/version.h>
#include <psa/crypto.h>

#include <inttypes.h>
#include <stdio.h>
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

void hf_trust_store_accept_common_names(bool is_accepted)
{
    hf_common_names_accept(is_accepted);
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

/* No other store is asked, so where this one has no path there is none. */
static int candidates_alone(void *store, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    int ret = hf_trust_store_candidates(store, child, out);

    if (ret == 0 && *out == NULL)
        *out = hf_x509_new();
    return ret;
}

enum hf_err hf_trust_store_bind_checked(struct hf_trust_store *store, mbedtls_ssl_config *config,
                                        struct hf_trust_store_abi abi, struct hf_why *why)
{
    HF_TRY(hf_abi_check(abi, why));
    mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_cb(config, candidates_alone, store);
    mbedtls_ssl_conf_verify(config, hf_trust_store_verify, store);
    return HF_OK;
}

/* The anchors that count for `store` on this thread. */
static struct hf_anchor_sets sets_of(const struct hf_anchors *anchors,
                                     const struct hf_self_test *test)
{
    struct hf_anchor_sets sets = {{anchors}, 1};

    if (test != NULL && test->extra != NULL)
        sets.at[sets.n++] = test->extra;
    return sets;
}

/* The verdict on the list that begins with `leaf`, noted in `running`. Host names, and what the key
 * exchange asks of the key, are Mbed TLS's to check: it knows them. `*issuer` is as
 * hf_received_verdict has it. */
static int judge(struct hf_trust_store *self, const mbedtls_x509_crt *leaf,
                 struct hf_running *running, mbedtls_x509_crt **issuer)
{
    const struct hf_chain_context context = {.at_s = running->at_s};
    struct hf_received_verdict verdict = {0};
    struct hf_received received;
    unsigned pin;

    hf_received_read(leaf, &received);
    uint64_t generation = hf_trust_store_generation(self);
    const struct hf_anchor_sets sets = sets_of(hf_generations_pin(&self->generations, &pin),
                                               self_test_of(self));
    enum hf_err err = hf_received_judge(&received, &sets, &context, NULL, &verdict);
    hf_generations_unpin(&self->generations, pin);
    if (err != HF_OK)
        return MBEDTLS_ERR_X509_ALLOC_FAILED;
    hf_running_add(running, (struct hf_running_store){.store = self,
                                                      .generation = generation,
                                                      .is_valid = verdict.is_valid,
                                                      .flags = verdict.flags,
                                                      .issuer = verdict.issuer});
    *issuer = verdict.issuer;
    return 0;
}

int hf_trust_store_candidates(void *store, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    struct hf_trust_store *self = store;
    struct hf_self_test *test = self_test_of(self);
    const int64_t now_s = hf_chain_clock_now_s();

    if (test != NULL)
        test->was_asked = true;
    *out = NULL;
    /* The first question of a verification is for the server's own certificate: the verdict is made
     * then. A Mbed TLS without the patches asks on where it is bad, for certificates further up. */
    if (hf_running_continue(child) != NULL)
        return 0;
    struct hf_running *running = hf_running_find(child, now_s);
    if (running == NULL || running->is_closed || hf_running_store(running, self) != NULL)
        running = hf_running_begin(child, now_s);
    int ret = judge(self, child, running, out);
    if (ret != 0)
        hf_running_end(running);
    return ret;
}

/* What `self` says in `running`, if that was said of the anchors in force. */
static struct hf_running_store *said_by(struct hf_trust_store *self, struct hf_running *running)
{
    struct hf_running_store *said = running == NULL ? NULL : hf_running_store(running, self);

    return said != NULL && said->generation == hf_trust_store_generation(self) ? said : NULL;
}

/* Does another of the joined stores vouch for the list, whose verify callback the application calls
 * as well? */
static bool is_vouched_for(const struct hf_running *running)
{
    for (size_t i = 0; i < running->n_stores; i++)
        if (running->stores[i].is_valid && running->stores[i].is_consulted)
            return true;
    return false;
}

/* Do all stores that were asked refuse the list, and none has said so yet? Then none offered an
 * anchor to Mbed TLS, and that it has found no path says nothing. */
static bool is_refused(const struct hf_running *running)
{
    for (size_t i = 0; i < running->n_stores; i++)
        if (running->stores[i].is_valid || running->stores[i].is_answered)
            return false;
    return running->n_stores > 0;
}

/* The verification that this call is about is over where the verdict was given before: then another
 * one, without a CA callback of this store, has the same certificate. */
static struct hf_running *running_for_leaf(const struct hf_trust_store *self,
                                           const mbedtls_x509_crt *leaf)
{
    const int64_t now_s = hf_chain_clock_now_s();
    struct hf_running *running = hf_running_find(leaf, now_s);
    const struct hf_running_store *said = running == NULL ? NULL : hf_running_store(running, self);

    return running == NULL || (said != NULL && said->is_answered) ? hf_running_begin(leaf, now_s)
                                                                  : running;
}

int hf_trust_store_verify(void *store, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct hf_trust_store *self = store;
    struct hf_self_test *test = self_test_of(self);
    struct hf_running *running = depth == 0 ? running_for_leaf(self, crt) : hf_running_above(crt);
    struct hf_running_store *said = said_by(self, running);
    mbedtls_x509_crt *issuer = NULL;
    int ret = 0;

    hf_received_take_over(flags);
    if (running != NULL)
        running->is_closed = true;
    if (depth != 0) {
        if (said != NULL)
            said->is_consulted = true;
        return 0;
    }
    if (test != NULL)
        test->was_consulted = true;
    if (said != NULL && is_refused(running)) /* the verdict's flags say more */
        *flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_NOT_TRUSTED;
    bool is_joined = hf_running_store(running, self) != NULL;
    if (said == NULL) { /* not asked for anchors, or swapped since then */
        ret = judge(self, crt, running, &issuer);
        hf_received_free_list(issuer);
        said = hf_running_store(running, self);
    }
    if (ret != 0 || said == NULL) {
        *flags |= MBEDTLS_X509_BADCERT_NOT_TRUSTED;
        return ret;
    }
    said->is_answered = true;
    if (!said->is_valid && !(is_joined && is_vouched_for(running)))
        *flags |= said->flags;
    return 0;
}

enum hf_err hf_trust_stores_judge(struct hf_trust_store *const *stores, size_t n_stores,
                                  const mbedtls_x509_crt *list, struct hf_chain_context context,
                                  char *words, struct hf_received_verdict *out)
{
    struct hf_anchor_sets sets = {.n = n_stores};
    struct hf_received received;
    unsigned pins[HF_VERIFY_SETS_MAX];

    context.at_s = hf_chain_clock_now_s();
    context.has_common_names = hf_common_names_are_accepted();
    hf_received_read(list, &received);
    for (size_t i = 0; i < n_stores; i++)
        sets.at[i] = hf_generations_pin(&stores[i]->generations, &pins[i]);
    enum hf_err err = hf_received_judge(&received, &sets, &context, words, out);
    for (size_t i = 0; i < n_stores; i++)
        hf_generations_unpin(&stores[i]->generations, pins[i]);
    return err;
}

void hf_trust_store_explain(struct hf_trust_store *store, const mbedtls_x509_crt *list, char *out,
                            size_t cap)
{
    struct hf_received_verdict verdict = {0};
    char words[HF_WHY_MAX] = "";
    enum hf_err err = hf_trust_stores_judge(&store, 1, list, (struct hf_chain_context){0}, words,
                                            &verdict);

    hf_received_free_list(verdict.issuer);
    (void)snprintf(out, cap, "%s", err == HF_OK ? words : "out of memory verifying the chain");
}

enum hf_err hf_trust_store_judge(struct hf_trust_store *store, const struct hf_chain *chain,
                                 const char *host, int64_t at_s, struct hf_chain_verdict *out,
                                 struct hf_why *why)
{
    const bool is_asked_for = at_s != INT64_MIN;
    const struct hf_chain_context context = {.host = host,
                                             .at_s = is_asked_for ? at_s : hf_chain_clock_now_s(),
                                             .is_asked_for = is_asked_for};
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
