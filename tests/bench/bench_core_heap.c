/*
 * What a cold update and an unchanged check cost in requests, heap and signature verifications:
 * libholdfast over ports in memory, with the files of a repository that holdfastctl made.
 *
 * Counted is every block that is allocated from hf_client_open to hf_client_close, with the size
 * that the allocator gives it (malloc_usable_size): by the core and by common/, by jansson, which
 * is told to ask here, and by Mbed TLS. What ports hand to the core is included, answers as well as
 * what is loaded from the store. The ports themselves keep what they have in static arrays, so
 * nothing of theirs is in it: no SQLite, no sockets, no TLS session, no live trust store. Stacks
 * are not heap. Signature verifications are counted by --wrap.
 */
#include "common/base/digest.h"
#include "common/tuf/key.h"
#include "tests/bench/static_store.h"
#include "tests/support/counting_malloc.h"

#include <holdfast/client.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FILE_BYTES_MAX (64u * 1024u)
#define REQUESTS_MAX 16
#define URL "http://bench.invalid/"

static void stop(const char *what, const char *detail)
{
    (void)fprintf(stderr, "bench_core_heap: %s: %s\n", what, detail);
    exit(1);
}

/* ---- what is counted ------------------------------------------------------------------------- */

static unsigned n_verified;

/* Names that the linker makes of --wrap. */
bool __real_hf_key_verify(const struct hf_key *key, struct hf_bytes message,
                          struct hf_bytes signature);
bool __wrap_hf_key_verify(const struct hf_key *key, struct hf_bytes message,
                          struct hf_bytes signature);

bool __wrap_hf_key_verify(const struct hf_key *key, struct hf_bytes message,
                          struct hf_bytes signature)
{
    n_verified++;
    return __real_hf_key_verify(key, message, signature);
}

/* ---- transport: files of a folder ------------------------------------------------------------ */

static const char *repo_dir;
static char requests[REQUESTS_MAX][160];
static size_t n_requests;

/* False where there is no such file. */
static bool read_file(const char *path, uint8_t *out, size_t *len)
{
    char name[1024];
    (void)snprintf(name, sizeof name, "%s/%s", repo_dir, path);
    FILE *file = fopen(name, "rb");
    if (file == NULL)
        return false;
    *len = fread(out, 1, FILE_BYTES_MAX, file);
    if (ferror(file) || fgetc(file) != EOF)
        stop("larger than this program expects", name);
    (void)fclose(file);
    return true;
}

static enum hf_err fetch(void *ctx, const struct hf_request *request, struct hf_response *out,
                         struct hf_why *why)
{
    static uint8_t bytes[FILE_BYTES_MAX];
    const char *path = request->url + sizeof URL - 1;
    char sha256[HF_SHA256_HEX_LEN];
    size_t len = 0;

    (void)ctx;
    if (n_requests == REQUESTS_MAX)
        stop("more requests than this program expects", path);
    (void)snprintf(requests[n_requests++], sizeof requests[0], "%s", path);
    out->status = read_file(path, bytes, &len) ? 200 : 404;
    if (out->status == 404)
        return HF_OK;
    if (len > request->max_bytes)
        return hf_fail(why, HF_E_LIMIT, "expected at most %zu bytes, found %zu", request->max_bytes,
                       len);
    hf_sha256_hex((struct hf_bytes){bytes, len}, sha256);
    (void)snprintf(out->etag, sizeof out->etag, "\"%s\"", sha256);
    if (request->etag != NULL && strcmp(request->etag, out->etag) == 0) {
        out->status = 304;
        return HF_OK;
    }
    return hf_buf_append(&out->body, bytes, len);
}

/* ---- the other ports ------------------------------------------------------------------------- */

static int64_t now_s(void *ctx)
{
    (void)ctx;
    return (int64_t)time(NULL);
}

static void fill(void *ctx, void *out, size_t len)
{
    (void)ctx;
    memset(out, 0, len);
}

static enum hf_err swap(void *ctx, const struct hf_trust_anchor *anchors, size_t n_anchors,
                        struct hf_why *why)
{
    (void)ctx;
    (void)anchors;
    (void)n_anchors;
    (void)why;
    return HF_OK;
}

static void set_clock_floor(void *ctx, int64_t floor_s)
{
    (void)ctx;
    (void)floor_s;
}

static struct hf_ports ports = {
    .transport = {NULL, fetch},
    .clock = {.now_s = now_s},
    .random = {.fill = fill},
    .trust = {.swap = swap, .set_clock_floor = set_clock_floor},
};

/* ---- the two checks -------------------------------------------------------------------------- */

static const char *const urls[] = {"http://bench.invalid"};
static struct hf_client_config config = {.urls = urls, .n_urls = 1};

static void provision(void)
{
    static uint8_t root[FILE_BYTES_MAX];
    struct hf_why why = {0};
    size_t len = 0;
    if (!read_file("metadata/1.root.json", root, &len))
        stop("there is no metadata/1.root.json in", repo_dir);
    if (hf_client_provision(&ports, &config, (struct hf_bytes){root, len}, (struct hf_bytes){0},
                            &why) != HF_OK)
        stop("init", why.text);
}

/* As `holdfast update` does it: open, update, close. Did something change? */
static bool update(void)
{
    struct hf_update_result result = {0};
    struct hf_client *client = NULL;
    struct hf_why why = {0};

    counting_heap.peak_bytes = counting_heap.held_bytes;
    counting_heap.n_blocks = 0;
    n_verified = 0;
    n_requests = 0;
    int64_t held_before = counting_heap.held_bytes;
    if (hf_client_open(&ports, &config, &client, &why) != HF_OK)
        stop("open", why.text);
    if (hf_client_update(client, &result, &why) != HF_OK)
        stop("update", why.text);
    hf_client_close(client);
    if (counting_heap.held_bytes != held_before)
        stop("update", "memory was not given back");
    counting_heap.peak_bytes -= held_before;
    return result.is_changed;
}

static json_t *report(void)
{
    json_t *paths = json_array();
    for (size_t i = 0; i < n_requests; i++)
        (void)json_array_append_new(paths, json_string(requests[i]));
    return json_pack("{s:I, s:I, s:i, s:o}", "peak_bytes", (json_int_t)counting_heap.peak_bytes,
                     "blocks", (json_int_t)counting_heap.n_blocks, "verifications", (int)n_verified,
                     "requests", paths);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fprintf(stderr, "usage: bench_core_heap REPOSITORY SET PROFILE\n");
        return 2;
    }
    json_set_alloc_funcs(counting_malloc, counting_free);
    ports.store = static_store_port();
    repo_dir = argv[1];
    config.set = argv[2];
    config.profile = argv[3];
    provision();
    if (!update())
        stop("the first update", "changed nothing");
    json_t *cold = report();
    if (update() ||
        update()) /* the second ends what the first began, the third is as any other day */
        stop("an unchanged check", "changed something");
    json_t *both = json_pack("{s:o, s:o}", "cold", cold, "unchanged", report());
    if (json_dumpf(both, stdout, JSON_COMPACT) != 0)
        stop("the report", "cannot be written");
    json_decref(both);
    (void)putchar('\n');
    return 0;
}
