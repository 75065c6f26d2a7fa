/*
 * server/http/loop and connection: a loop that does not run is not alive, which is what the
 * watchdog hears; answers that come later; bodies.
 */
#include "tests/support/check.h"

#include "server/http/loop.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct hf_refusal refusals[] = {{413, "too long", NULL}};

struct world {
    struct hf_loop loop;
    struct hf_address_count *addresses;
    union hf_peer address;
    bool is_late;        /* the handler answers later */
    atomic_uint n_asked; /* of the handler */
};

/* ---- a server that says what it was asked ---------------------------------------------------- */

struct late {
    uv_timer_t timer;
    struct hf_request *request;
};

static void answer(struct hf_request *r)
{
    char text[256];
    int len = snprintf(text, sizeof text, "%.*s %.*s;", (int)r->target.len, r->target.text,
                       (int)r->body.len, r->body.len > 0 ? (const char *)r->body.data : "");
    hf_answer_text(r, 200, "text/plain", text, (size_t)len);
}

static void free_late(uv_handle_t *timer)
{
    free(timer->data);
}

static void on_late(uv_timer_t *timer)
{
    struct late *late = timer->data;
    answer(late->request);
    uv_close((uv_handle_t *)timer, free_late);
}

static void handle(void *ctx, struct hf_request *request)
{
    struct world *w = ctx;
    atomic_fetch_add(&w->n_asked, 1);
    if (!w->is_late || strncmp(request->target.text, "/now", 4) == 0) {
        answer(request);
        return;
    }
    struct late *late = calloc(1, sizeof *late);
    assert_non_null(late);
    late->timer.data = late;
    late->request = request;
    assert_int_equal(uv_timer_init(hf_request_loop(request), &late->timer), 0);
    assert_int_equal(uv_timer_start(&late->timer, on_late, 50, 0), 0);
}

static struct world *make_world(bool is_late)
{
    struct world *w = calloc(1, sizeof *w);
    struct hf_why why = {.text = ""};
    int listener = -1;
    assert_non_null(w);
    w->is_late = is_late;
    w->addresses = hf_address_count_new(10);
    assert_non_null(w->addresses);
    const struct hf_http_config config = {.connections_max = 10,
                                          .header_timeout_ms = 10000,
                                          .idle_timeout_ms = 10000,
                                          .body_max = 16,
                                          .handler = handle,
                                          .handler_ctx = w,
                                          .refusals = refusals,
                                          .n_refusals = 1,
                                          .addresses = w->addresses};
    CHECK_OK(hf_address_parse("127.0.0.1:0", &w->address, &why));
    CHECK_OK(hf_listen(&w->address, true, &listener, &why));
    CHECK_OK(hf_loop_init_take(&w->loop, listener, &config, &why));
    return w;
}

static struct world *start_world(bool is_late)
{
    struct world *w = make_world(is_late);
    struct hf_why why = {.text = ""};
    CHECK_OK(hf_loop_start(&w->loop, &why));
    return w;
}

static void end_world(struct world *w)
{
    hf_loop_stop(&w->loop);
    hf_loop_join(&w->loop);
    free(w->addresses);
    free(w);
}

/* ---- its client ------------------------------------------------------------------------------ */

static int ask(const struct world *w, const char *text)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &w->address.any, sizeof w->address.v4), 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

/* All there is until the server closes. */
static const char *rest(int fd)
{
    static char text[8192];
    size_t len = 0;
    ssize_t n;
    while ((n = read(fd, text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    close(fd);
    return text;
}

/* `parts` follow each other. */
static void assert_in_order(const char *text, const char *const parts[])
{
    const char *at = text;
    for (size_t i = 0; parts[i] != NULL; i++) {
        const char *found = strstr(at, parts[i]);
        if (found == NULL)
            fail_msg("%s is missing in: %s", parts[i], text);
        at = found + strlen(parts[i]);
    }
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define LAST(path) "GET " path " HTTP/1.0\r\n\r\n"

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_loop_that_runs_is_alive(void **state)
{
    (void)state;
    struct world *w = start_world(false);
    for (int i = 0; i < 3; i++)
        while (!hf_loop_is_alive(&w->loop)) /* the test's own time limit ends it otherwise */
            (void)sched_yield();
    end_world(w);
}

static void a_loop_that_hangs_is_not(void **state)
{
    (void)state;
    struct hf_why why = {.text = ""};
    struct world *w = make_world(false);
    assert_true(hf_loop_is_alive(&w->loop)); /* it was not asked before */
    for (int i = 0; i < 3; i++)
        assert_false(hf_loop_is_alive(&w->loop));
    CHECK_OK(hf_loop_start(&w->loop, &why)); /* and is again when it goes on */
    while (!hf_loop_is_alive(&w->loop))
        (void)sched_yield();
    end_world(w);
}

/* Whether at once, later, or in turns. */
static void answers_come_in_the_order_of_the_requests(void **state)
{
    (void)state;
    static const char *const parts[] = {"200 OK", "/now/1 ;",       "/a ;",  "/now/2 ;", "/b ;",
                                        "/c ;",   "Content-Length", "close", "/now/3 ;", NULL};
    for (int is_late = 0; is_late < 2; is_late++) {
        struct world *w = start_world(is_late != 0);
        assert_in_order(rest(ask(w, GET("/now/1") GET("/a") GET("/now/2") GET("/b") GET("/c")
                                        LAST("/now/3"))),
                        parts);
        assert_int_equal(atomic_load(&w->n_asked), 6);
        end_world(w);
    }
}

static void the_server_stops_when_the_last_answer_is_sent(void **state)
{
    (void)state;
    struct world *w = start_world(true);
    int fd = ask(w, GET("/a"));
    while (atomic_load(&w->n_asked) == 0)
        (void)sched_yield();
    end_world(w);
    static const char *const parts[] = {"200 OK", "Connection: close", "/a ;", NULL};
    assert_in_order(rest(fd), parts);
}

static void a_client_that_is_gone_has_its_request_answered_all_the_same(void **state)
{
    (void)state;
    struct world *w = start_world(true);
    for (int i = 0; i < 3; i++) {
        int fd = ask(w, GET("/a") GET("/b"));
        struct linger at_once = {.l_onoff = 1, .l_linger = 0};
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
        close(fd);
    }
    static const char *const parts[] = {"/c ;", NULL};
    assert_in_order(rest(ask(w, LAST("/c"))), parts); /* and the loop goes on */
    end_world(w);
}

/* The connection has been waited on before, so the kernel tells of the second request at once. */
static void a_request_that_comes_before_the_answer_waits_for_it(void **state)
{
    (void)state;
    static const char *const parts[] = {"/a ;", "/b ;", "/now/2 ;", NULL};
    char first[512];
    struct world *w = start_world(true);
    int fd = ask(w, GET("/now/1"));
    assert_true(read(fd, first, sizeof first) > 0);
    assert_int_equal(write(fd, GET("/a"), strlen(GET("/a"))), strlen(GET("/a")));
    while (atomic_load(&w->n_asked) < 2)
        (void)sched_yield();
    assert_int_equal(write(fd, GET("/b") LAST("/now/2"), strlen(GET("/b") LAST("/now/2"))),
                     strlen(GET("/b") LAST("/now/2")));
    assert_in_order(rest(fd), parts);
    assert_int_equal(atomic_load(&w->n_asked), 4);
    end_world(w);
}

static void bodies_come_with_their_requests(void **state)
{
    (void)state;
    static const char *const parts[] = {"/a hello;", "/b ;", "413 Content Too Large: too long",
                                        NULL};
    for (int is_late = 0; is_late < 2; is_late++) {
        struct world *w = start_world(is_late != 0);
        assert_in_order(
            rest(ask(w, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" GET(
                            "/b") "PUT /c HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\n")),
            parts);
        assert_int_equal(atomic_load(&w->n_asked), 2);
        end_world(w);
    }
}

/* One after the other: the last that is offered counts, also if the loop saw none of those before
 * it. */
static void new_settings_reach_connections_that_are_open(void **state)
{
    (void)state;
    struct hf_http_settings values = {.connections_max = 10,
                                      .header_timeout_ms = 10000,
                                      .idle_timeout_ms = 1};
    struct hf_http_settings *settings = NULL;
    struct hf_why why = {.text = ""};
    char first[64];
    struct world *w = start_world(false);
    int fd = ask(w, GET("/now/1"));
    assert_true(read(fd, first, sizeof first) > 0);
    for (int i = 0; i < 100; i++) {
        CHECK_OK(hf_http_settings_new(&values, &settings, &why));
        hf_loop_offer(&w->loop, settings);
        hf_http_settings_unref(settings);
    }
    (void)rest(fd); /* it is closed: the test's own time limit ends it otherwise */
    static const char *const parts[] = {"/now/2 ;", NULL};
    assert_in_order(rest(ask(w, LAST("/now/2"))), parts);
    CHECK_OK(hf_http_settings_new(&values, &settings, &why));
    hf_loop_stop(&w->loop);
    hf_loop_offer(&w->loop, settings); /* perhaps too late: it is freed all the same */
    hf_http_settings_unref(settings);
    hf_loop_join(&w->loop);
    free(w->addresses);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_that_runs_is_alive),
        cmocka_unit_test(a_loop_that_hangs_is_not),
        cmocka_unit_test(answers_come_in_the_order_of_the_requests),
        cmocka_unit_test(the_server_stops_when_the_last_answer_is_sent),
        cmocka_unit_test(a_client_that_is_gone_has_its_request_answered_all_the_same),
        cmocka_unit_test(a_request_that_comes_before_the_answer_waits_for_it),
        cmocka_unit_test(bodies_come_with_their_requests),
        cmocka_unit_test(new_settings_reach_connections_that_are_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
