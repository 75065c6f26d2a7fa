/*
 * Metadata that an attacker with a key signs to use up a device's memory. A whole device, with its
 * database and its live trust store, over an answer in memory: every block that it allocates is
 * counted, with the size that the allocator gives it, and the peak stays below 8 MiB. What exceeds
 * the limits is the mirror's fault, so that the next mirror is asked.
 *
 * Counted is what passes malloc, calloc, realloc and free of our own code and Mbed TLS (--wrap),
 * and what jansson and SQLite allocate. Not counted: sockets and TLS sessions, of which a check
 * has at most five, about 50 KiB each.
 */
#include "tests/support/check.h"
#include "tests/support/counting_malloc.h"
#include "tests/support/device.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_pki.h"
#include "tests/support/tuf_repo.h"

#include <holdfast/posix.h>

#include "client/port/posix/http.h"
#include "common/base/limits.h"
#include "common/json/json.h"
#include "common/rollout/rollout.h"

#include <malloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PEAK_MAX (8u * 1024u * 1024u)

/* ---- what is counted ------------------------------------------------------------------------- */

/* jansson and SQLite are shared libraries: what they ask for passes no linker. */
static void *malloc_for_sqlite(int size)
{
    return counting_malloc((size_t)size);
}

static void *realloc_for_sqlite(void *old, int size)
{
    return counting_realloc(old, (size_t)size);
}

static int size_for_sqlite(void *block)
{
    return (int)malloc_usable_size(block);
}

static int round_up_for_sqlite(int size)
{
    return (size + 7) & ~7;
}

static int init_for_sqlite(void *data)
{
    (void)data;
    return SQLITE_OK;
}

static void shutdown_for_sqlite(void *data)
{
    (void)data;
}

static void count_libraries(void)
{
    sqlite3_mem_methods methods = {.xMalloc = malloc_for_sqlite,
                                   .xFree = counting_free,
                                   .xRealloc = realloc_for_sqlite,
                                   .xSize = size_for_sqlite,
                                   .xRoundup = round_up_for_sqlite,
                                   .xInit = init_for_sqlite,
                                   .xShutdown = shutdown_for_sqlite};

    json_set_alloc_funcs(counting_malloc, counting_free);
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
}

/* ---- a device and its mirrors ---------------------------------------------------------------- */

static const char *const urls[] = {"http://a.test", "http://b.test"};

struct filling;

struct world {
    struct temp_dir *dir;
    struct tuf_repo repo;
    struct hostile {
        const struct filling *filling; /* NULL: nothing is filled */
        const char *only;              /* the role that is; NULL for all of them */
        unsigned beyond; /* so many times what the limits allow; 0 for as much as they do */
    } hostile;
    /* What the first mirror answers where the path ends so; NULL for the truth. */
    const char *forged_path;
    struct hf_buf forged;
    unsigned n_requests_to_second;
};
static struct world *serving;

static enum hf_err fetch(void *ctx, const struct hf_request *request, struct hf_response *out,
                         struct hf_why *why)
{
    const char *path = request->url + strlen(urls[0]) + 1;
    struct hf_bytes body = tuf_files_find(&serving->repo.files, path);
    bool is_first = strncmp(request->url, urls[0], strlen(urls[0])) == 0;

    (void)ctx;
    serving->n_requests_to_second += !is_first;
    if (is_first && serving->forged_path != NULL && strstr(path, serving->forged_path) != NULL)
        body = hf_buf_bytes(&serving->forged);
    out->status = body.data != NULL ? 200 : 404;
    if (body.data == NULL)
        return HF_OK;
    if (body.len > request->max_bytes)
        return hf_fail(why, HF_E_LIMIT, "the answer is longer than the %zu bytes allowed",
                       request->max_bytes);
    return hf_buf_append(&out->body, body.data, body.len);
}

struct hf_transport_port __wrap_hf_http_transport_port(struct hf_http_transport *transport);
struct hf_transport_port __wrap_hf_http_transport_port(struct hf_http_transport *transport)
{
    (void)transport;
    return (struct hf_transport_port){.fetch = fetch};
}

static void init_device(struct world *w, size_t n_mirrors)
{
    const struct hf_posix_config config = {.client = {.urls = urls,
                                                      .n_urls = n_mirrors,
                                                      .set = "roots",
                                                      .profile = "full",
                                                      .device_id = "test"}};
    struct hf_why why = {0};

    if (hf_posix_init(temp_path(w->dir, "device"), &config,
                      tuf_files_find(&w->repo.files, "metadata/1.root.json"), (struct hf_bytes){0},
                      (struct hf_log_port){0}, &why) != HF_OK)
        fail_msg("%s", why.text);
}

/* As `holdfast update` does it. Returns the peak of the heap, in bytes. */
static int64_t update(struct world *w, enum hf_err wanted, struct hf_why *why)
{
    struct hf_update_result result = {0};
    struct hf_posix *posix = NULL;
    const int64_t before = counting_heap.held_bytes;

    counting_heap.peak_bytes = counting_heap.held_bytes;
    if (hf_posix_open(temp_path(w->dir, "device"), (struct hf_log_port){0}, &posix, why) != HF_OK)
        fail_msg("%s", why->text);
    enum hf_err err = hf_posix_update(posix, &result, why);
    hf_posix_close(posix);
    if (err != wanted)
        fail_msg("expected %s, found %s: %s", hf_err_name(wanted), hf_err_name(err), why->text);
    return counting_heap.peak_bytes - before;
}

static void check_peak(const char *what, int64_t peak)
{
    print_message("peak of the heap, %s: %lld KiB\n", what, (long long)peak / 1024);
    if (peak >= PEAK_MAX)
        fail_msg("%s: %lld bytes", what, (long long)peak);
}

#define ROLLOUT "rollout-roots"

/* ---- what is signed -------------------------------------------------------------------------- */

/* Ways to make a parser allocate. Each is added `n` times to a role's signed part. */
static json_t *empty_objects(size_t n)
{
    json_t *list = json_array();
    while (n-- > 0)
        (void)json_array_append_new(list, json_object());
    return list;
}

static json_t *empty_arrays(size_t n)
{
    json_t *list = json_array();
    while (n-- > 0)
        (void)json_array_append_new(list, json_array());
    return list;
}

static json_t *objects_of_one(size_t n)
{
    json_t *list = json_array();
    while (n-- > 0)
        (void)json_array_append_new(list, json_pack("{s:i}", "a", 1));
    return list;
}

static json_t *integers(size_t n)
{
    json_t *list = json_array();
    while (n-- > 0)
        (void)json_array_append_new(list, json_integer(1));
    return list;
}

static json_t *empty_strings(size_t n)
{
    json_t *list = json_array();
    while (n-- > 0)
        (void)json_array_append_new(list, json_string(""));
    return list;
}

static json_t *members(size_t n)
{
    json_t *object = json_object();
    char key[24];
    while (n-- > 0) {
        (void)snprintf(key, sizeof key, "%zx", n);
        (void)json_object_set_new(object, key, json_string(key));
    }
    return object;
}

static json_t *one_string(size_t n)
{
    char *text = malloc(n + 1);
    assert_non_null(text);
    memset(text, 'x', n);
    text[n] = '\0';
    json_t *value = json_string(text);
    free(text);
    return value;
}

static const struct filling {
    const char *name;
    json_t *(*make)(size_t n);
} fillings[] = {
    {"empty objects", empty_objects},   {"empty arrays", empty_arrays},
    {"objects of one", objects_of_one}, {"integers", integers},
    {"empty strings", empty_strings},   {"members", members},
    {"one string", one_string},
};
#define N_FILLINGS (sizeof fillings / sizeof fillings[0])

/* The memory that the values of `text` count for: its refusal says it. */
static size_t estimate_of(struct hf_bytes text)
{
    struct hf_why why = {0};
    json_t *read = NULL;
    size_t n = 0;

    CHECK_REFUSED(hf_json_parse_within(text, "test", 0, &read, &why), HF_E_LIMIT, &why,
                  "packs more values");
    assert_int_equal(sscanf(strstr(why.text, "found "), "found %zu", &n), 1);
    return n;
}

/* How much of what the limits allow a file with that signed part uses: above 1, it is refused. */
static double share_of_limits(const char *role, const json_t *signed_part)
{
    /* Two signatures, as a root has that follows another. */
    static const char key_id[] = "0123456789012345678901234567890123456789012345678901234567890123";
    static const char sig[] = "0123456789012345678901234567890123456789012345678901234567890123"
                              "0123456789012345678901234567890123456789012345678901234567890123";
    json_t *file = json_pack("{s:O, s:[{s:s, s:s}, {s:s, s:s}]}", "signed",
                             (json_t *)(uintptr_t)signed_part, "signatures", "keyid", key_id, "sig",
                             sig, "keyid", key_id, "sig", sig);
    struct hf_metadata_limits limits = hf_metadata_limits(strcmp(role, ROLLOUT) == 0 ? "targets"
                                                                                     : role);
    char *text = json_dumps(file, JSON_INDENT(1)); /* as tuf_sign.c writes it */

    assert_non_null(text);
    struct hf_bytes bytes = hf_bytes_of_text(text);
    double of_bytes = (double)bytes.len / (double)limits.bytes_max;
    double of_heap = (double)estimate_of(bytes) / (double)limits.heap_max;
    counting_free(text);
    json_decref(file);
    return of_bytes > of_heap ? of_bytes : of_heap;
}

static double share_with(const struct filling *filling, size_t n, const char *role,
                         json_t *signed_part)
{
    (void)json_object_set_new(signed_part, "x", filling->make(n));
    return share_of_limits(role, signed_part);
}

/* As many as there may be, to one in a hundred. */
static void fill(void *ctx, const char *role, json_t *signed_part)
{
    enum { SOME = 256 };
    const struct world *w = ctx;
    const struct filling *filling = w->hostile.filling;

    if (filling == NULL || (w->hostile.only != NULL && strcmp(w->hostile.only, role) != 0))
        return;
    double base = share_with(filling, 0, role, signed_part);
    double each = (share_with(filling, SOME, role, signed_part) - base) / SOME;
    size_t n = (size_t)((1 - base) / each);
    while (share_with(filling, n, role, signed_part) > 1)
        n -= n / 100 + 1;
    if (w->hostile.beyond > 0)
        (void)share_with(filling, n * w->hostile.beyond + 64, role, signed_part);
}

/* As large as may be; made once. */
static struct hf_buf bundle;

static void make_bundle(struct hf_buf *out)
{
    struct hf_buf subject = {0};
    struct pki_key key;

    CHECK_OK(hf_buf_append_text(&subject, "CN=A root whose name is longer than it need be"));
    for (int i = 0; i < 6; i++)
        CHECK_OK(hf_buf_printf(&subject,
                               ",OU=%d of a name that is longer than it need be and as long "
                               "as it may be",
                               i));
    pki_key_make(&key, PKI_P256);
    const struct pki_cert root = {.subject = (const char *)subject.data,
                                  .key = &key,
                                  .is_ca = true};
    pki_issue_pem(&root, out);
    const size_t len = out->len + 64; /* serial numbers differ in length */
    for (int i = 1; i < HF_BUNDLE_ANCHORS_MAX && out->len + len <= HF_BUNDLE_BYTES_MAX; i++)
        pki_issue_pem(&root, out);
    hf_buf_free(&subject);
    pki_key_free(&key);
}

static void add_bundle(struct world *w, int version)
{
    char path[32];

    (void)snprintf(path, sizeof path, "roots/full/%d.pem", version);
    tuf_repo_add_target(&w->repo, path, hf_buf_bytes(&bundle),
                        device_custom("roots", "full", version));
}

/* A bundle in use, because a device without one does not wait, and one that waits for its stage, so
 * that the device reads the role that names it. */
static void add_held_beside_the_first(struct world *w)
{
    struct hf_why why = {0};
    const struct hf_rollout_plan plan = {.mandatory_from_s = INT64_C(4102444800) /* 2100 */,
                                         .stages = {{.ppm = 1}, {.ppm = HF_ROLLOUT_PPM}},
                                         .n_stages = 2,
                                         .pause = {.silent_after_s = HF_ROLLOUT_SILENT_MIN_S}};
    json_t *custom = device_custom("roots", "full", 999);

    add_bundle(w, 1);
    tuf_repo_publish_next(&w->repo);
    (void)update(w, HF_OK, &why);
    assert_int_equal(json_object_set_new(json_object_get(custom, "holdfast"), "rollout",
                                         hf_rollout_plan_to_json(&plan)),
                     0);
    tuf_repo_add_target(&w->repo, "roots/full/999.pem", hf_bytes_of_text("held"), custom);
    (void)tuf_repo_delegate(&w->repo, "targets", ROLLOUT, "roots/*/*.pem", false);
}

/* ---- set-up ---------------------------------------------------------------------------------- */

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    void *dir = NULL;

    assert_non_null(w);
    assert_int_equal(temp_dir_setup(&dir), 0);
    w->dir = dir;
    tuf_repo_init(&w->repo, (int64_t)time(NULL) - 60);
    w->repo.before_signing = fill;
    w->repo.hook_ctx = w;
    serving = w;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    void *dir = w->dir;

    tuf_repo_free(&w->repo);
    hf_buf_free(&w->forged);
    free(w);
    return temp_dir_teardown(&dir);
}

static int make_bundle_once(void **state)
{
    (void)state;
    make_bundle(&bundle);
    return 0;
}

static int free_bundle(void **state)
{
    (void)state;
    hf_buf_free(&bundle);
    return 0;
}

/* ---- the attacks ----------------------------------------------------------------------------- */

/* Twice for each way to fill a file: the second time with what was cached beside it. */
static void check_hostile_metadata(struct world *w, const char *only)
{
    struct hf_why why = {0};
    char what[80];
    int version = 1;

    /* Of every role each second way: signing takes its time. */
    for (size_t i = 0; i < N_FILLINGS; i += only != NULL ? 1 : 2) {
        w->hostile = (struct hostile){.filling = &fillings[i], .only = only};
        for (int time = 0; time < 2; time++) {
            if (only == NULL)
                tuf_repo_rotate(&w->repo, HF_ROLE_ROOT);
            w->repo.delegated[0].role.version++; /* if there is one */
            add_bundle(w, ++version);
            tuf_repo_publish_next(&w->repo);
            (void)snprintf(what, sizeof what, "%s of %s, %s time",
                           only != NULL ? only : "every role", fillings[i].name,
                           time == 0 ? "first" : "second");
            check_peak(what, update(w, HF_OK, &why));
        }
    }
}

static void snapshot_by_a_stolen_online_key(void **state)
{
    struct world *w = *state;

    tuf_repo_publish_root(&w->repo);
    init_device(w, 1);
    check_hostile_metadata(w, "snapshot");
}

static void stage_by_a_stolen_online_key(void **state)
{
    struct world *w = *state;

    tuf_repo_publish_root(&w->repo);
    init_device(w, 1);
    add_held_beside_the_first(w);
    check_hostile_metadata(w, ROLLOUT);
}

static void every_role_and_the_largest_bundle_by_all_keys(void **state)
{
    struct world *w = *state;

    w->hostile = (struct hostile){.filling = &fillings[0]};
    tuf_repo_publish_root(&w->repo);
    init_device(w, 1);
    add_held_beside_the_first(w);
    check_hostile_metadata(w, NULL);
}

/* Signed, so that every mirror has it: nothing of it is taken, and the device stays what it was. */
static void snapshot_beyond_the_limits(void **state)
{
    struct world *w = *state;
    struct hf_why why = {0};

    tuf_repo_publish_root(&w->repo);
    init_device(w, 2);
    add_bundle(w, 1);
    tuf_repo_publish_next(&w->repo);
    (void)update(w, HF_OK, &why);
    for (size_t i = 0; i < N_FILLINGS; i++) {
        w->hostile = (struct hostile){.filling = &fillings[i], .only = "snapshot", .beyond = 2};
        tuf_repo_publish_next(&w->repo);
        w->n_requests_to_second = 0;
        check_peak("beyond the limits", update(w, HF_E_LIMIT, &why));
        assert_true(w->n_requests_to_second > 0);
        assert_null(strstr(why.text, "out of memory"));
    }
    w->hostile = (struct hostile){0};
    add_bundle(w, 2);
    tuf_repo_publish_next(&w->repo);
    (void)update(w, HF_OK, &why);
}

static void answer_beyond_the_limits_is_the_mirror_s_fault(void **state)
{
    static const char *const paths[] = {"timestamp.json", "snapshot.json", "targets.json", ".pem"};
    struct world *w = *state;
    struct hf_why why = {0};

    tuf_repo_publish_root(&w->repo);
    init_device(w, 2);
    CHECK_OK(hf_buf_append_text(&w->forged, "{\"signed\":["));
    for (int i = 0; i < 4000; i++)
        CHECK_OK(hf_buf_append_text(&w->forged, "{},"));
    CHECK_OK(hf_buf_append_text(&w->forged, "{}]}"));
    for (int i = 0; i < 4; i++) {
        w->forged_path = paths[i];
        w->n_requests_to_second = 0;
        add_bundle(w, i + 1);
        tuf_repo_publish_next(&w->repo);
        check_peak(paths[i], update(w, HF_OK, &why));
        assert_true(w->n_requests_to_second > 0);
    }
}

/* What is counted in the text is what jansson allocates at most. */
static void the_estimate_is_an_upper_bound(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FILLINGS; i++) {
        for (size_t n = 1; n < 5000; n = n * 2 + 1) {
            json_t *file = json_pack("{s:o}", "x", fillings[i].make(n)), *read = NULL;
            struct hf_buf text = {0};
            struct hf_why why = {0};

            CHECK_OK(hf_json_write(file, &text, &why));
            json_decref(file);
            size_t estimate = estimate_of(hf_buf_bytes(&text));
            const int64_t before = counting_heap.held_bytes;
            counting_heap.peak_bytes = counting_heap.held_bytes;
            CHECK_OK(hf_json_parse_within(hf_buf_bytes(&text), "test", estimate, &read, &why));
            if (counting_heap.peak_bytes - before > (int64_t)estimate)
                fail_msg("%zu %s: estimated %zu bytes, allocated %lld", n, fillings[i].name,
                         estimate, (long long)(counting_heap.peak_bytes - before));
            json_decref(read);
            CHECK_REFUSED(hf_json_parse_within(hf_buf_bytes(&text), "test", estimate - 1, &read,
                                               &why),
                          HF_E_LIMIT, &why, "packs more values");
            hf_buf_free(&text);
        }
    }
}

/* A number or a word is no JSON if it is that long, but the parser reads it to its end first. */
static void long_tokens_are_counted(void **state)
{
    static const char *const begins[] = {"{\"x\": 1", "{\"x\": -", "{\"x\": t", "{\"x\": 1.5e"};
    static char text[100000];
    (void)state;
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        const size_t len = strlen(begins[i]);
        const struct hf_bytes bytes = {(const uint8_t *)text, sizeof text};
        json_t *read = NULL;

        memset(text, begins[i][len - 1] == 't' ? 't' : '7', sizeof text);
        memcpy(text, begins[i], len);
        size_t estimate = estimate_of(bytes);
        const int64_t before = counting_heap.held_bytes;
        counting_heap.peak_bytes = counting_heap.held_bytes;
        assert_int_not_equal(hf_json_parse_within(bytes, "test", estimate, &read, NULL), HF_OK);
        assert_in_range(counting_heap.peak_bytes - before, sizeof text, estimate);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(snapshot_by_a_stolen_online_key),
        TEST(stage_by_a_stolen_online_key),
        TEST(every_role_and_the_largest_bundle_by_all_keys),
        TEST(snapshot_beyond_the_limits),
        TEST(answer_beyond_the_limits_is_the_mirror_s_fault),
        cmocka_unit_test(the_estimate_is_an_upper_bound),
        cmocka_unit_test(long_tokens_are_counted),
    };
#undef TEST
    count_libraries();
    return cmocka_run_group_tests(tests, make_bundle_once, free_bundle);
}
