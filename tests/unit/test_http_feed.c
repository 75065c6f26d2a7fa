/*
 * server/http/feed: answers that go on. The owner of each is a timer on the loop that appends
 * numbers as long as there is room.
 */
#include "tests/support/check.h"

#include "server/http/feed.h"
#include "server/http/loop.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct world {
    struct hf_loop loop;
    struct hf_address_count *addresses;
    union hf_peer address;
    atomic_uint n_open, n_ended, n_lines, n_full; /* n_full: a feed had no room */
};

/* What the target says: /few appends three lines and ends, /many appends for ever, /late begins
 * later. */
struct owner {
    struct hf_feed feed; /* first */
    uv_timer_t timer;
    struct world *world;
    struct hf_request *request;
    unsigned n, max;
};

static void free_owner(uv_handle_t *timer)
{
    free(timer->data);
}

static void append(struct owner *o, const char *text)
{
    static const char more[4000] = "";
    char line[4096];
    int len = snprintf(line, sizeof line, "%s%u\n%.*s", text, o->n, o->max == 0 ? 4000 : 0, more);
    if (o->max == 0) {
        memset(line + len, '.', 4000);
        len += 4000;
    }
    o->n++;
    atomic_fetch_add(&o->world->n_lines, 1);
    (void)!hf_feed_append(&o->feed, (struct hf_bytes){(const uint8_t *)line, (size_t)len});
}

static void on_time(uv_timer_t *timer)
{
    struct owner *o = timer->data;
    if (o->request != NULL) {
        struct hf_request *request = o->request;
        o->request = NULL;
        hf_feed_begin(request, "text/x", &o->feed);
        return;
    }
    if (o->feed.conn == NULL)
        return;
    if (!hf_feed_has_room(&o->feed))
        atomic_fetch_add(&o->world->n_full, 1);
    else if (o->max != 0 && o->n == o->max)
        hf_feed_end(&o->feed);
    else
        append(o, "line ");
}

static void on_room(struct hf_feed *feed)
{
    struct owner *o = (struct owner *)feed;
    assert_true(hf_feed_has_room(feed));
    if (o->n == 0)
        append(o, "begin ");
}

static void on_end(struct hf_feed *feed)
{
    struct owner *o = (struct owner *)feed;
    assert_null(feed->conn);
    assert_false(hf_feed_has_room(feed));
    atomic_fetch_add(&o->world->n_ended, 1);
    uv_close((uv_handle_t *)&o->timer, free_owner);
}

static void handle(void *ctx, struct hf_request *request)
{
    struct world *w = ctx;
    if (strncmp(request->target.text, "/plain", 6) == 0) {
        hf_answer_text(request, 200, "text/plain", "plain", 5);
        return;
    }
    struct owner *o = calloc(1, sizeof *o);
    assert_non_null(o);
    o->feed = (struct hf_feed){.on_room = on_room, .on_idle = on_room, .on_end = on_end};
    o->world = w;
    o->max = strncmp(request->target.text, "/few", 4) == 0 ? 4 : 0;
    o->timer.data = o;
    atomic_fetch_add(&w->n_open, 1);
    assert_int_equal(uv_timer_init(hf_request_loop(request), &o->timer), 0);
    assert_int_equal(uv_timer_start(&o->timer, on_time, 20, 1), 0);
    if (strncmp(request->target.text, "/late", 5) == 0)
        o->request = request;
    else
        hf_feed_begin(request, "text/x", &o->feed);
}

static struct world *start_world(void)
{
    struct world *w = calloc(1, sizeof *w);
    struct hf_why why = {.text = ""};
    int listener = -1;
    assert_non_null(w);
    w->addresses = hf_address_count_new(10);
    assert_non_null(w->addresses);
    const struct hf_http_config config = {.connections_max = 10,
                                          .header_timeout_ms = 10000,
                                          .idle_timeout_ms = 10000,
                                          .handler = handle,
                                          .handler_ctx = w,
                                          .addresses = w->addresses};
    CHECK_OK(hf_address_parse("127.0.0.1:0", &w->address, &why));
    CHECK_OK(hf_listen(&w->address, true, &listener, &why));
    CHECK_OK(hf_loop_init_take(&w->loop, listener, &config, &why));
    CHECK_OK(hf_loop_start(&w->loop, &why));
    return w;
}

/* Each feed has ended once, whatever became of it. */
static void end_world(struct world *w)
{
    hf_loop_stop(&w->loop);
    hf_loop_join(&w->loop);
    assert_int_equal(atomic_load(&w->n_ended), atomic_load(&w->n_open));
    free(w->addresses);
    free(w);
}

static void wait_for(atomic_uint *number, unsigned at_least)
{
    while (atomic_load(number) < at_least) /* the test's own time limit ends it otherwise */
        (void)sched_yield();
}

static int ask(const struct world *w, const char *text)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &w->address.any, sizeof w->address.v4), 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

/* All there is until the server closes, or until `enough` is there. */
static const char *read_until(int fd, const char *enough)
{
    static char text[65536];
    size_t len = 0;
    ssize_t n;
    text[0] = '\0';
    while ((enough == NULL || strstr(text, enough) == NULL) && len < sizeof text - 1 &&
           (n = read(fd, text + len, sizeof text - 1 - len)) > 0) {
        len += (size_t)n;
        text[len] = '\0';
    }
    return text;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static void an_answer_goes_on_until_its_owner_ends_it(void **state)
{
    (void)state;
    struct world *w = start_world();
    /* What came with the request, and an answer before it */
    int fd = ask(w, GET("/plain") GET("/few") GET("/plain"));
    const char *text = read_until(fd, NULL);
    const char *body = strstr(text, "\r\n\r\nbegin 0\nline 1\nline 2\nline 3\n");
    assert_non_null(body);
    assert_string_equal(body,
                        "\r\n\r\nbegin 0\nline 1\nline 2\nline 3\n"); /* and no second /plain */
    assert_non_null(strstr(text, "plainHTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(text, "Content-Type: text/x\r\nCache-Control: no-store\r\n"));
    assert_non_null(strstr(text, "Connection: close\r\n\r\nbegin"));
    assert_null(strstr(strstr(text, "plainHTTP"), "Content-Length"));
    close(fd);
    end_world(w);
}

static void a_client_that_goes_or_says_more_ends_it(void **state)
{
    (void)state;
    static const char *const more[] = {NULL, "x", GET("/plain")};
    struct world *w = start_world();
    for (unsigned i = 0; i < sizeof more / sizeof *more; i++) {
        int fd = ask(w, GET("/many"));
        assert_non_null(strstr(read_until(fd, "line 1\n"), "begin 0\n"));
        if (more[i] != NULL)
            assert_int_equal(write(fd, more[i], strlen(more[i])), strlen(more[i]));
        if (more[i] == NULL)
            close(fd);
        wait_for(&w->n_ended, i + 1);
        if (more[i] != NULL)
            close(fd);
    }
    end_world(w);
}

static void a_client_that_is_gone_before_it_begins_ends_it_at_once(void **state)
{
    (void)state;
    struct world *w = start_world();
    int fd = ask(w, GET("/late"));
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    wait_for(&w->n_open, 1);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(fd);
    wait_for(&w->n_ended, 1);
    fd = ask(w, GET("/late"));
    assert_non_null(strstr(read_until(fd, "line 1\n"), "begin 0\n"));
    close(fd);
    end_world(w);
}

static void a_slow_client_costs_the_rest_of_one_append(void **state)
{
    (void)state;
    struct world *w = start_world();
    int slow = ask(w, GET("/many")), quick = ask(w, GET("/few"));
    wait_for(&w->n_full, 100); /* nothing is appended meanwhile, and the others go on */
    assert_non_null(strstr(read_until(quick, NULL), "line 3\n"));
    close(quick);
    unsigned before = atomic_load(&w->n_lines);
    wait_for(&w->n_full, atomic_load(&w->n_full) + 100);
    assert_int_equal(atomic_load(&w->n_lines), before);
    for (int i = 0; i < 200; i++) /* it reads again: there is room again */
        (void)read_until(slow, "no such text");
    wait_for(&w->n_lines, before + 10);
    close(slow);
    end_world(w);
}

static void the_end_of_the_server_ends_all(void **state)
{
    (void)state;
    struct world *w = start_world();
    int open = ask(w, GET("/few")), full = ask(w, GET("/many")), late = ask(w, GET("/late"));
    assert_non_null(strstr(read_until(open, "begin 0\n"), "200 OK"));
    wait_for(&w->n_full, 1);
    wait_for(&w->n_open, 3);
    hf_loop_stop(&w->loop);
    (void)read_until(open, NULL);
    (void)read_until(late, NULL);
    close(full); /* else it would be given its ten seconds */
    end_world(w);
    close(open);
    close(late);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_goes_on_until_its_owner_ends_it),
        cmocka_unit_test(a_client_that_goes_or_says_more_ends_it),
        cmocka_unit_test(a_client_that_is_gone_before_it_begins_ends_it_at_once),
        cmocka_unit_test(a_slow_client_costs_the_rest_of_one_append),
        cmocka_unit_test(the_end_of_the_server_ends_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
