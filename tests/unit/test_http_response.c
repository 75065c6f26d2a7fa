/* server/http/response: bytes on their way out. */
#include "tests/support/check.h"

#include "server/http/response.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_LEN (1024u * 1024u)

struct fixture {
    int ends[2]; /* we send into the first */
    struct hf_stream stream;
    struct hf_body body; /* counted as held by another too */
    struct hf_output out;
};

static int make(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    uint8_t *body = malloc(BODY_LEN);
    assert_non_null(f);
    assert_non_null(body);
    for (size_t i = 0; i < BODY_LEN; i++)
        body[i] = (uint8_t)(i * 31 + (i >> 8));
    f->body.bytes = (struct hf_bytes){body, BODY_LEN};
    atomic_init(&f->body.references, 1);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, f->ends), 0);
    f->stream.fd = f->ends[0];
    *state = f;
    return 0;
}

static int drop(void **state)
{
    struct fixture *f = *state;
    close(f->ends[0]);
    if (f->ends[1] >= 0)
        close(f->ends[1]);
    free((void *)(uintptr_t)f->body.bytes.data);
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
    memcpy(want + 8000, f->body.bytes.data, BODY_LEN);
    hf_output_append(&f->out, want, 8000);
    hf_output_append_body(&f->out, &f->body);
    assert_true(hf_output_is_full(&f->out));

    size_t sent = 0;
    assert_int_equal(hf_output_send(&f->out, &f->stream, false, &sent), HF_STREAM_BLOCKED);
    assert_true(sent > 0);
    struct hf_pending *p = hf_pending_new(&f->out, sent, (const uint8_t *)"GET /next", 9);
    assert_non_null(p);
    assert_int_equal(atomic_load(&f->body.references), 3); /* the output has one as well */
    hf_output_clear(&f->out);
    assert_int_equal(atomic_load(&f->body.references), 2);

    size_t at = 0, more = 0, total = sent;
    while (total < sizeof want) {
        take(f, want, &at, 40001);
        (void)hf_pending_send(p, &f->stream, &more);
        total += more;
    }
    while (at < sizeof want)
        take(f, want, &at, 65536);
    assert_int_equal(p->input_len, 9);
    assert_memory_equal(p->input, "GET /next", 9);
    hf_pending_free(p);
    assert_int_equal(atomic_load(&f->body.references), 1);
}

/* However little the socket took, the rest is the rest. */
static void what_is_kept_is_exactly_what_was_not_sent(void **state)
{
    struct fixture *f = *state;
    hf_output_append(&f->out, "0123456789", 10);
    hf_output_append_body(&f->out, &f->body);
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
    assert_int_equal(hf_output_send(&f->out, &f->stream, false, &sent), HF_STREAM_BROKEN);
    assert_int_equal(sent, 0);
}

static void small_bodies_are_copied_until_there_is_no_room_for_another(void **state)
{
    struct fixture *f = *state;
    struct hf_body small = {.bytes = {f->body.bytes.data, HF_HTTP_COPY_BYTES_MAX}};
    size_t n = 0;
    while (!hf_output_is_full(&f->out)) {
        hf_output_append_body(&f->out, &small);
        n++;
    }
    assert_true(n > 1);
    assert_null(f->out.body);
    assert_int_equal(f->out.len, n * HF_HTTP_COPY_BYTES_MAX);
    assert_true(f->out.len <= sizeof f->out.bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_blocked_answer_goes_on_where_it_stopped),
        TEST(what_is_kept_is_exactly_what_was_not_sent),
        TEST(a_reader_that_is_gone_is_told_apart_from_a_slow_one),
        TEST(small_bodies_are_copied_until_there_is_no_room_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
