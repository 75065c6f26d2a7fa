/*
 * Handshakes while the live trust store is swapped, as JSON: how many of them failed, and how long
 * a reader waits for the store, with swaps and without.
 *
 * 4 threads make full handshakes in memory, half of them TLS 1.2, in which client and server are
 * verified by the store, while a fifth swaps between two sets of anchors that both hold the
 * parties' roots. Then 4 threads do nothing but look the generation up (generations.h: what every
 * handshake does first), for some time without swaps and for the same time while a fifth publishes
 * without pause.
 */
#include "client/port/mbedtls/generations.h"
#include "client/port/mbedtls/test_server.h"

#include <mbedtls/psa_util.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define THREADS 4
#define SAMPLES 500000 /* of a thread */

/* ---- small parts ----------------------------------------------------------------------------- */

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_swap: %s\n", what);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void sleep_us(long us)
{
    const struct timespec pause = {.tv_nsec = us * 1000};
    (void)nanosleep(&pause, NULL);
}

static pthread_t start(void *(*run)(void *ctx), void *ctx)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, ctx) != 0)
        die("no thread");
    return thread;
}

static struct hf_trust_anchor anchor_of(const struct hf_test_server *party)
{
    return (struct hf_trust_anchor){
        .der = {party->chain.next->raw.p, party->chain.next->raw.len},
        .not_before_s = INT64_MIN,
        .not_after_s = INT64_MAX,
        .distrust_after_s = INT64_MIN,
        .remove_after_s = INT64_MIN,
    };
}

/* ---- handshakes under swaps ------------------------------------------------------------------ */

struct handshakes {
    struct hf_trust_store *store;
    struct hf_test_server parties[2 * THREADS]; /* client and server of each thread */
    struct hf_test_server stranger;             /* whose CA comes and goes */
    _Atomic unsigned next_thread, n_done, n_failures;
    unsigned n_wanted;
    mbedtls_ssl_protocol_version versions[2];
};

static void configure(struct handshakes *h, unsigned i, mbedtls_ssl_config *client)
{
    struct hf_test_server *own = &h->parties[2 * i], *server = &h->parties[2 * i + 1];
    mbedtls_ssl_protocol_version version = h->versions[i % 2];

    mbedtls_ssl_config_init(client);
    if (mbedtls_ssl_config_defaults(client, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0 ||
        mbedtls_ssl_conf_own_cert(client, &own->chain, &own->key) != 0 ||
        hf_trust_store_bind(h->store, client, NULL) != HF_OK ||
        hf_trust_store_bind(h->store, &server->config, NULL) != HF_OK)
        die("a configuration cannot be made");
    mbedtls_ssl_conf_rng(client, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    mbedtls_ssl_conf_min_tls_version(client, version);
    mbedtls_ssl_conf_max_tls_version(client, version);
    mbedtls_ssl_conf_min_tls_version(&server->config, version);
    mbedtls_ssl_conf_max_tls_version(&server->config, version);
}

static void *connect_again_and_again(void *ctx)
{
    struct handshakes *h = ctx;
    unsigned i = h->next_thread++;
    mbedtls_ssl_config client;

    configure(h, i, &client);
    while (h->n_done < h->n_wanted) {
        struct hf_memory_handshake end;
        if (hf_memory_handshake(&client, &h->parties[2 * i + 1].config, HF_TEST_SERVER_HOST, &end,
                                NULL) != HF_OK ||
            end.code != 0 || end.server_code != 0)
            h->n_failures++;
        h->n_done++;
    }
    mbedtls_ssl_config_free(&client);
    return NULL;
}

static void swap(struct handshakes *h, bool with_stranger)
{
    struct hf_trust_anchor anchors[2 * THREADS + 1];
    size_t n = 0;

    for (size_t i = 0; i < 2 * THREADS; i++)
        anchors[n++] = anchor_of(&h->parties[i]);
    if (with_stranger)
        anchors[n++] = anchor_of(&h->stranger);
    if (hf_trust_store_swap(h->store, anchors, n, NULL) != HF_OK)
        die("a swap failed");
}

static void begin(struct handshakes *h, unsigned n_wanted)
{
    *h = (struct handshakes){.n_wanted = n_wanted,
                             .versions = {MBEDTLS_SSL_VERSION_TLS1_2, MBEDTLS_SSL_VERSION_TLS1_3}};
    if (hf_trust_store_new(&h->store, NULL) != HF_OK)
        die("no store");
    for (size_t i = 0; i < 2 * THREADS; i++)
        if (hf_test_server_make(HF_TEST_SERVER_P256, &h->parties[i], NULL) != HF_OK)
            die("no certificates");
    if (hf_test_server_make(HF_TEST_SERVER_P256, &h->stranger, NULL) != HF_OK)
        die("no certificates");
    swap(h, false);
}

static void measure_handshakes(unsigned n_wanted, unsigned n_swaps)
{
    static struct handshakes h;
    pthread_t threads[THREADS];

    begin(&h, n_wanted);
    uint64_t from = now_ns();
    for (size_t i = 0; i < THREADS; i++)
        threads[i] = start(connect_again_and_again, &h);
    for (unsigned i = 0; i < n_swaps; i++) { /* evenly, from the first handshake to the last */
        while ((uint64_t)h.n_done * n_swaps < (uint64_t)i * n_wanted)
            sleep_us(100);
        swap(&h, i % 2 == 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    printf("\"handshakes\":%u,\"swaps\":%u,\"failures\":%u,\"seconds\":%.1f", h.n_done, n_swaps,
           h.n_failures, (double)(now_ns() - from) / 1e9);
    for (size_t i = 0; i < 2 * THREADS; i++)
        hf_test_server_free(&h.parties[i]);
    hf_test_server_free(&h.stranger);
    hf_trust_store_free(h.store);
}

/* ---- the reader's wait ----------------------------------------------------------------------- */

struct waits {
    struct hf_generations generations;
    _Atomic unsigned next_thread, n_running;
    uint32_t ns[THREADS * SAMPLES];
};

static void *look_up_again_and_again(void *ctx)
{
    struct waits *w = ctx;
    uint32_t *ns = &w->ns[(size_t)w->next_thread++ * SAMPLES];

    for (size_t i = 0; i < SAMPLES; i++) {
        unsigned pin;
        uint64_t from = now_ns();
        if (hf_generations_pin(&w->generations, &pin) == NULL)
            die("a generation is missing");
        uint64_t waited = now_ns() - from;
        hf_generations_unpin(&w->generations, pin);
        ns[i] = waited < UINT32_MAX ? (uint32_t)waited : UINT32_MAX;
    }
    w->n_running--;
    return NULL;
}

static struct hf_anchors *new_generation(void)
{
    struct hf_anchors *g = NULL;
    if (hf_anchors_new(NULL, 0, &g, NULL) != HF_OK)
        die("no memory");
    return g;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void measure_waits(const char *name, bool with_swaps)
{
    static struct waits w;
    const size_t n = sizeof w.ns / sizeof w.ns[0];
    pthread_t threads[THREADS];
    unsigned n_swaps = 0;

    hf_generations_init(&w.generations, new_generation());
    w.next_thread = 0;
    w.n_running = THREADS;
    for (size_t i = 0; i < THREADS; i++)
        threads[i] = start(look_up_again_and_again, &w);
    for (; with_swaps && w.n_running > 0; n_swaps++)
        hf_generations_swap_take(&w.generations, new_generation());
    for (size_t i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    hf_generations_free(&w.generations);

    qsort(w.ns, n, sizeof w.ns[0], by_size);
    printf(",\"%s\":{\"reads\":%zu,\"swaps\":%u,\"p50_ns\":%u,\"p99_ns\":%u,\"p999_ns\":%u,"
           "\"max_ns\":%u}",
           name, n, n_swaps, w.ns[n / 2], w.ns[n / 100 * 99], w.ns[n / 1000 * 999], w.ns[n - 1]);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static unsigned number(const char *text)
{
    char *end = NULL;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || n == 0 || n > 1000000)
        die("usage: bench_swap HANDSHAKES SWAPS, each from 1 to 1000000");
    return (unsigned)n;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        die("usage: bench_swap HANDSHAKES SWAPS");
    printf("{");
    measure_handshakes(number(argv[1]), number(argv[2]));
    measure_waits("quiet", false);
    measure_waits("swapping", true);
    printf("}\n");
    return 0;
}
