/*
 * What a cold update and an unchanged check cost in requests, heap and signature verifications:
 * libholdfast over ports in memory, with the files of a repository that holdfastctl made.
 *
 * Counted is every block that is allocated from hf_client_open to hf_client_close, with the size that
 * the allocator gives it (malloc_usable_size): by the core and by common/, by jansson, which is told
 * to ask here, and by Mbed TLS. What ports hand to the core is included, answers as well as what is
 * loaded from the store. The ports themselves keep what they have in static arrays, so nothing of
 * theirs is in it: no SQLite, no sockets, no TLS session, no live trust store. Stacks are not heap.
 *
 * The program is linked with --wrap for the functions counted.
 */
#include "common/base/digest.h"
#include "common/tuf/key.h"

#include <holdfast/client.h>

#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FILE_BYTES_MAX (64u * 1024u)
#define ROWS_MAX 48
#define REQUESTS_MAX 16
#define URL "http://bench.invalid/"

static void stop(const char *what, const char *detail)
{
    (void)fprintf(stderr, "bench_core_heap: %s: %s\n", what, detail);
    exit(1);
}

/* ---- what is counted ------------------------------------------------------------------------------- */

/* Names that the linker makes of --wrap. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *block);
bool __real_hf_key_verify(const struct hf_key *key, struct hf_bytes message,
                          struct hf_bytes signature);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *block);
bool __wrap_hf_key_verify(const struct hf_key *key, struct hf_bytes message,
                          struct hf_bytes signature);

static struct {
    size_t held_bytes, peak_bytes, n_blocks;
    unsigned n_verified;
} counted;

static void *count_new(void *block)
{
    counted.held_bytes += malloc_usable_size(block);
    counted.n_blocks++;
    if (counted.held_bytes > counted.peak_bytes)
        counted.peak_bytes = counted.held_bytes;
    return block;
}

void *__wrap_malloc(size_t size)
{
    return count_new(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return count_new(__real_calloc(n, size));
}

/* The old block and the new one, as an allocator that has to move it holds both. */
void *__wrap_realloc(void *old, size_t size)
{
    size_t old_bytes = malloc_usable_size(old);
    void *block = count_new(__real_realloc(old, size));
    counted.held_bytes -= old_bytes;
    return block;
}

void __wrap_free(void *block)
{
    counted.held_bytes -= malloc_usable_size(block);
    __real_free(block);
}

/* jansson is a shared library: what it asks for passes no linker. */
static void *malloc_for_jansson(size_t size)
{
    return __wrap_malloc(size);
}

static void free_for_jansson(void *block)
{
    __wrap_free(block);
}

bool __wrap_hf_key_verify(const struct hf_key *key, struct hf_bytes message,
                          struct hf_bytes signature)
{
    counted.n_verified++;
    return __real_hf_key_verify(key, message, signature);
}

/* ---- transport: files of a folder ------------------------------------------------------------------ */

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

/* ---- store: static rows ---------------------------------------------------------------------------- */

struct row {
    char name[64];
    uint8_t bytes[FILE_BYTES_MAX];
    size_t len;
    bool is_there;
};

static struct row rows[ROWS_MAX]; /* "metadata/root", "value/check.time", "bundle/0/pem", … */

static struct row *find_row(const char *kind, const char *name, bool is_made)
{
    char full[sizeof rows[0].name];
    (void)snprintf(full, sizeof full, "%s/%s", kind, name);
    for (size_t i = 0; i < ROWS_MAX; i++) {
        if (rows[i].name[0] == '\0' && is_made)
            memcpy(rows[i].name, full, sizeof full);
        if (strcmp(rows[i].name, full) == 0)
            return &rows[i];
    }
    if (is_made)
        stop("no more room in the store", full);
    return NULL;
}

static enum hf_err load(const char *kind, const char *name, struct hf_buf *out, struct hf_why *why)
{
    const struct row *row = find_row(kind, name, false);
    if (row == NULL || !row->is_there)
        return hf_fail(why, HF_E_NOT_FOUND, "there is no %s", name);
    return hf_buf_append(out, row->bytes, row->len);
}

static enum hf_err save(const char *kind, const char *name, struct hf_bytes bytes)
{
    struct row *row = find_row(kind, name, true);
    if (bytes.len > sizeof row->bytes)
        stop("larger than this program expects", name);
    if (bytes.len > 0)
        memcpy(row->bytes, bytes.data, bytes.len);
    row->len = bytes.len;
    row->is_there = true;
    return HF_OK;
}

static enum hf_err load_metadata(void *ctx, const char *role, struct hf_buf *out,
                                 struct hf_why *why)
{
    (void)ctx;
    return load("metadata", role, out, why);
}

static enum hf_err save_metadata(void *ctx, const char *role, int64_t version, struct hf_bytes file,
                                 struct hf_why *why)
{
    (void)ctx;
    (void)version;
    (void)why;
    return save("metadata", role, file);
}

static enum hf_err remove_metadata(void *ctx, const char *role, struct hf_why *why)
{
    struct row *row = find_row("metadata", role, false);
    (void)ctx;
    (void)why;
    if (row != NULL)
        row->is_there = false;
    return HF_OK;
}

static enum hf_err load_value(void *ctx, const char *name, struct hf_buf *out, struct hf_why *why)
{
    (void)ctx;
    return load("value", name, out, why);
}

static enum hf_err save_value(void *ctx, const char *name, const char *value, struct hf_why *why)
{
    (void)ctx;
    (void)why;
    return save("value", name, hf_bytes_of_text(value));
}

/* ---- store: bundles ----------------------------------------------------------------------------------- */

static struct hf_bundle_record slots[HF_SLOT_STAGED + 1]; /* without their bytes, which are rows */
static unsigned content_of[HF_SLOT_STAGED + 1];           /* number of those rows; 0: empty slot */

static void content_name(unsigned content, char out[16])
{
    (void)snprintf(out, 16, "%u", content);
}

static enum hf_err load_bundle(void *ctx, enum hf_slot slot, struct hf_bundle_record *out,
                               struct hf_why *why)
{
    struct hf_bundle_record record = slots[slot];
    char name[16];

    (void)ctx;
    content_name(content_of[slot], name);
    HF_TRY(load("pem", name, &record.pem, why));
    enum hf_err err = load("custom", name, &record.custom, why);
    if (err != HF_OK) {
        hf_bundle_record_free(&record);
        return err;
    }
    *out = record;
    return HF_OK;
}

static enum hf_err stage_bundle(void *ctx, const struct hf_bundle_record *record,
                                struct hf_why *why)
{
    static unsigned n_contents;
    char name[16];

    (void)ctx;
    (void)why;
    content_name(++n_contents, name);
    HF_TRY(save("pem", name, hf_buf_bytes(&record->pem)));
    HF_TRY(save("custom", name, hf_buf_bytes(&record->custom)));
    slots[HF_SLOT_STAGED] = *record;
    slots[HF_SLOT_STAGED].pem = slots[HF_SLOT_STAGED].custom = (struct hf_buf){0};
    content_of[HF_SLOT_STAGED] = n_contents;
    return HF_OK;
}

static void move(enum hf_slot from, enum hf_slot to)
{
    slots[to] = slots[from];
    content_of[to] = content_of[from];
    content_of[from] = 0;
}

static enum hf_err activate_staged(void *ctx, bool keeps_previous, struct hf_why *why)
{
    (void)ctx;
    (void)why;
    if (!keeps_previous || content_of[HF_SLOT_PREVIOUS] == 0)
        move(HF_SLOT_ACTIVE, HF_SLOT_PREVIOUS);
    move(HF_SLOT_STAGED, HF_SLOT_ACTIVE);
    return HF_OK;
}

static enum hf_err restore_previous(void *ctx, struct hf_why *why)
{
    (void)ctx;
    (void)why;
    move(HF_SLOT_PREVIOUS, HF_SLOT_ACTIVE);
    return HF_OK;
}

static enum hf_err append_event(void *ctx, const struct hf_event *event, struct hf_why *why)
{
    (void)ctx;
    (void)event;
    (void)why;
    return HF_OK;
}

static enum hf_err begin_or_commit(void *ctx, struct hf_why *why)
{
    (void)ctx;
    (void)why;
    return HF_OK;
}

static void abort_writes(void *ctx)
{
    (void)ctx;
    stop("a transaction failed", "which cannot happen in memory");
}

/* ---- the other ports ---------------------------------------------------------------------------------- */

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

static const struct hf_ports ports = {
    .transport = {NULL, fetch},
    .store = {.begin = begin_or_commit,
              .commit = begin_or_commit,
              .abort = abort_writes,
              .load_metadata = load_metadata,
              .save_metadata = save_metadata,
              .remove_metadata = remove_metadata,
              .load_bundle = load_bundle,
              .stage_bundle = stage_bundle,
              .activate_staged = activate_staged,
              .restore_previous = restore_previous,
              .load_value = load_value,
              .save_value = save_value,
              .append_event = append_event},
    .clock = {.now_s = now_s},
    .random = {.fill = fill},
    .trust = {.swap = swap, .set_clock_floor = set_clock_floor},
};

/* ---- the two checks ------------------------------------------------------------------------------------ */

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

    counted.peak_bytes = counted.held_bytes;
    counted.n_blocks = 0;
    counted.n_verified = 0;
    n_requests = 0;
    size_t held_before = counted.held_bytes;
    if (hf_client_open(&ports, &config, &client, &why) != HF_OK)
        stop("open", why.text);
    if (hf_client_update(client, &result, &why) != HF_OK)
        stop("update", why.text);
    hf_client_close(client);
    if (counted.held_bytes != held_before)
        stop("update", "memory was not given back");
    counted.peak_bytes -= held_before;
    return result.is_changed;
}

static json_t *report(void)
{
    json_t *paths = json_array();
    for (size_t i = 0; i < n_requests; i++)
        (void)json_array_append_new(paths, json_string(requests[i]));
    return json_pack("{s:I, s:I, s:i, s:o}", "peak_bytes", (json_int_t)counted.peak_bytes, "blocks",
                     (json_int_t)counted.n_blocks, "verifications", (int)counted.n_verified,
                     "requests", paths);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fprintf(stderr, "usage: bench_core_heap REPOSITORY SET PROFILE\n");
        return 2;
    }
    json_set_alloc_funcs(malloc_for_jansson, free_for_jansson);
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
