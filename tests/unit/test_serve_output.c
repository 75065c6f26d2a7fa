/* server/serve/output, escape, health: bytes on their way out, and texts made of hostile ones. */
#include "tests/support/check.h"

#include "server/serve/escape.h"
#include "server/serve/health.h"
#include "server/serve/output.h"

#include <jansson.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_LEN (1024u * 1024u)

struct fixture {
    int ends[2]; /* we send into the first */
    struct hf_served_file *file;
    struct hf_output out;
};

static int make(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    uint8_t *body = malloc(BODY_LEN);
    struct hf_file_mark mark = {0};
    struct hf_why why;
    assert_non_null(f);
    assert_non_null(body);
    for (size_t i = 0; i < BODY_LEN; i++)
        body[i] = (uint8_t)(i * 31 + (i >> 8));
    CHECK_OK(hf_served_file_new_take("/targets/big", &mark, body, BODY_LEN, &f->file, &why));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, f->ends), 0);
    *state = f;
    return 0;
}

static int drop(void **state)
{
    struct fixture *f = *state;
    close(f->ends[0]);
    if (f->ends[1] >= 0)
        close(f->ends[1]);
    hf_served_file_unref(f->file);
    free(f);
    return 0;
}

/* Read up to `step` bytes and compare them with what should come at `*at`. */
static void take(struct fixture *f, const uint8_t *want, size_t *at, size_t step)
{
    static uint8_t got[65536];
    ssize_t n = read(f->ends[1], got, step);
    assert_true(n > 0);
    assert_memory_equal(got, want + *at, (size_t)n);
    *at += (size_t)n;
}

static void a_blocked_answer_goes_on_where_it_stopped(void **state)
{
    struct fixture *f = *state;
    static uint8_t want[8000 + BODY_LEN];
    memset(want, 'h', 8000);
    memcpy(want + 8000, f->file->body, BODY_LEN);
    hf_output_append(&f->out, want, 8000);
    hf_output_append_body(&f->out, f->file);
    assert_true(hf_output_is_full(&f->out));

    size_t sent = 0;
    assert_int_equal(hf_output_send(&f->out, f->ends[0], false, &sent), HF_SENT_PART);
    assert_true(sent > 0);
    struct hf_pending *p = hf_pending_new(&f->out, sent, (const uint8_t *)"GET /next", 9);
    assert_non_null(p);
    assert_int_equal(atomic_load(&f->file->references), 2);

    size_t at = 0, more = 0, total = sent;
    while (total < sizeof want) {
        take(f, want, &at, 40001);
        (void)hf_pending_send(p, f->ends[0], &more);
        total += more;
    }
    while (at < sizeof want)
        take(f, want, &at, 65536);
    assert_int_equal(p->input_len, 9);
    assert_memory_equal(hf_pending_input(p), "GET /next", 9);
    hf_pending_free(p);
    assert_int_equal(atomic_load(&f->file->references), 1);
}

/* However little the socket took, the rest is the rest. */
static void what_is_kept_is_exactly_what_was_not_sent(void **state)
{
    struct fixture *f = *state;
    hf_output_append(&f->out, "0123456789", 10);
    hf_output_append_body(&f->out, f->file);
    for (size_t sent = 0; sent < 20; sent++) {
        struct hf_pending *p = hf_pending_new(&f->out, sent, NULL, 0);
        assert_non_null(p);
        assert_int_equal(p->bytes_len, sent < 10 ? 10 - sent : 0);
        assert_memory_equal(p->data, "0123456789" + (10 - p->bytes_len), p->bytes_len);
        assert_int_equal(p->body_at, sent < 10 ? 0 : sent - 10);
        hf_pending_free(p);
    }
}

static void a_reader_that_is_gone_is_told_apart_from_a_slow_one(void **state)
{
    struct fixture *f = *state;
    size_t sent = 0;
    close(f->ends[1]);
    f->ends[1] = -1;
    hf_output_append(&f->out, "x", 1);
    assert_int_equal(hf_output_send(&f->out, f->ends[0], false, &sent), HF_SENT_BROKEN);
    assert_int_equal(sent, 0);
}

static void small_bodies_are_copied_until_there_is_no_room_for_another(void **state)
{
    struct fixture *f = *state;
    struct hf_served_file small = {.body = f->file->body, .body_len = HF_SERVE_COPY_BYTES_MAX};
    size_t n = 0;
    while (!hf_output_is_full(&f->out)) {
        hf_output_append_body(&f->out, &small);
        n++;
    }
    assert_true(n > 1);
    assert_null(f->out.file);
    assert_int_equal(f->out.len, n * HF_SERVE_COPY_BYTES_MAX);
    assert_true(f->out.len <= sizeof f->out.bytes);
}

static void any_byte_becomes_plain_ascii(void **state)
{
    (void)state;
    char all[256], out[8 + 256 * 6];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (char)i;
    out[0] = '"';
    size_t len = 1 + hf_escape_json(all, sizeof all, out + 1, sizeof out - 2);
    out[len++] = '"';
    for (size_t i = 0; i < len; i++)
        assert_in_range((unsigned char)out[i], 0x20, 0x7e);
    json_t *text = json_loadb(out, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(text);
    /* 128 bytes of ASCII, and two of UTF-8 for each above. */
    assert_int_equal(json_string_length(text), 128 + 2 * 128);
    json_decref(text);
}

static void an_escape_is_never_cut(void **state)
{
    (void)state;
    char out[8];
    assert_int_equal(hf_escape_json("ab\n", 3, out, 7), 2);
    assert_int_equal(hf_escape_json("ab\n", 3, out, 8), 8);
    assert_int_equal(hf_escape_json("abc", 3, out, 0), 0);
}

static json_t *health(const struct hf_repository_status *status, int64_t now_s, unsigned want)
{
    static char text[HF_HEALTH_TEXT_MAX];
    size_t len = 0;
    assert_int_equal(hf_health_text(status, now_s, text, &len), want);
    assert_true(len <= sizeof text);
    assert_int_equal(text[len - 1], '\n');
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    return json;
}

static const char *text_of(const json_t *json, const char *key)
{
    return json_string_value(json_object_get(json, key));
}

static void health_tells_served_expired_and_missing_apart(void **state)
{
    (void)state;
    struct hf_repository_status status = {.is_served = true,
                                          .summary = {1, 7, 5, 3, 1000, "targets"},
                                          .problem = ""};
    json_t *json = health(&status, 999, 200);
    assert_string_equal(text_of(json, "status"), "ok");
    assert_string_equal(text_of(json, "expires"), "1970-01-01T00:16:40Z");
    assert_int_equal(json_integer_value(json_object_get(json, "seconds_left")), 1);
    assert_string_equal(text_of(json, "expires_role"), "targets");
    assert_int_equal(json_integer_value(json_object_get(json, "timestamp")), 7);
    assert_null(json_object_get(json, "problem"));
    json_decref(json);

    json = health(&status, 1000, 200);
    assert_string_equal(text_of(json, "status"), "expired");
    json_decref(json);

    status = (struct hf_repository_status){.is_served = false, .problem = "a \"reason\"\n"};
    json = health(&status, 0, 503);
    assert_string_equal(text_of(json, "status"), "unavailable");
    assert_string_equal(text_of(json, "problem"), "a \"reason\"\n");
    assert_null(json_object_get(json, "timestamp"));
    json_decref(json);
}

static void the_longest_problem_fits(void **state)
{
    (void)state;
    struct hf_repository_status status = {.is_served = true,
                                          .summary = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX,
                                                      INT64_MIN}};
    memset(status.summary.expires_role, '\x01', sizeof status.summary.expires_role - 1);
    memset(status.problem, '\x01', sizeof status.problem - 1);
    json_t *json = health(&status, 0, 200);
    assert_int_equal(strlen(text_of(json, "problem")), sizeof status.problem - 1);
    json_decref(json);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_blocked_answer_goes_on_where_it_stopped),
        TEST(what_is_kept_is_exactly_what_was_not_sent),
        TEST(a_reader_that_is_gone_is_told_apart_from_a_slow_one),
        TEST(small_bodies_are_copied_until_there_is_no_room_for_another),
        cmocka_unit_test(any_byte_becomes_plain_ascii),
        cmocka_unit_test(an_escape_is_never_cut),
        cmocka_unit_test(health_tells_served_expired_and_missing_apart),
        cmocka_unit_test(the_longest_problem_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
