#include "server/serve/loop.h"

#include "server/serve/log.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SAID_EVERY_MS 60000u /* the same warning */

/* ---- what connections live on ------------------------------------------------------------------ */

struct hf_conn *hf_loop_take_conn(struct hf_loop *loop)
{
    if (loop->n_conns >= loop->config.connections_max)
        return NULL;
    struct hf_conn *conn = TAILQ_FIRST(&loop->spare_conns);
    if (conn != NULL) {
        TAILQ_REMOVE(&loop->spare_conns, conn, link);
        memset(conn, 0, sizeof *conn);
    } else {
        conn = calloc(1, sizeof *conn);
    }
    if (conn != NULL)
        loop->n_conns++;
    return conn;
}

struct hf_request *hf_loop_take_request(struct hf_loop *loop)
{
    struct hf_request *request = loop->spare_requests;
    if (request == NULL)
        return malloc(sizeof *request);
    loop->spare_requests = request->next_free;
    return request;
}

void hf_loop_release_request(struct hf_loop *loop, struct hf_request *request)
{
    if (request == NULL)
        return;
    request->next_free = loop->spare_requests;
    loop->spare_requests = request;
}

static void free_spares(struct hf_loop *loop)
{
    struct hf_conn *conn;
    while ((conn = TAILQ_FIRST(&loop->spare_conns)) != NULL) {
        TAILQ_REMOVE(&loop->spare_conns, conn, link);
        free(conn);
    }
    while (loop->spare_requests != NULL)
        free(hf_loop_take_request(loop));
}

/* ---- the end ----------------------------------------------------------------------------------- */

static void end_if_drained(struct hf_loop *loop)
{
    if (!loop->is_draining || loop->n_conns > 0 || loop->is_ended)
        return;
    loop->is_ended = true;
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->sweep, NULL);
}

void hf_loop_release_conn(struct hf_loop *loop, struct hf_conn *conn)
{
    TAILQ_INSERT_HEAD(&loop->spare_conns, conn, link);
    loop->n_conns--;
    hf_listener_resume(&loop->listener);
    end_if_drained(loop);
}

/* Each connection of a phase, though handling one may close it and let it go. */
static void for_each_in(struct hf_loop *loop, enum hf_phase phase, void (*handle)(struct hf_conn *))
{
    struct hf_conn *conn, *next;
    for (conn = TAILQ_FIRST(&loop->phases[phase]); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, link);
        handle(conn);
    }
}

static void begin_drain(struct hf_loop *loop)
{
    loop->is_draining = true;
    loop->drain_until_ms = uv_now(&loop->uv) + HF_SERVE_GRACE_MS;
    hf_listener_close(&loop->listener);
    for_each_in(loop, HF_PHASE_IDLE, hf_conn_drain);
    for_each_in(loop, HF_PHASE_HEAD, hf_conn_drain);
    end_if_drained(loop);
}

static void close_all(struct hf_loop *loop)
{
    for (int phase = 0; phase < HF_PHASES; phase++)
        for_each_in(loop, (enum hf_phase)phase, hf_conn_close);
}

/* ---- once a second ----------------------------------------------------------------------------- */

static void close_overdue(struct hf_loop *loop, enum hf_phase phase)
{
    uint64_t now_ms = uv_now(&loop->uv);
    struct hf_conn *conn;
    /* Handling one moves it to the end of a queue or out of all. */
    while ((conn = TAILQ_FIRST(&loop->phases[phase])) != NULL &&
           now_ms - conn->since_ms >= loop->config.timeout_ms[phase])
        hf_conn_time_out(conn);
}

static void on_sweep(uv_timer_t *timer)
{
    struct hf_loop *loop = timer->data;
    hf_respond_date(time(NULL), loop->date_line);
    for (int phase = 0; phase < HF_PHASES; phase++)
        close_overdue(loop, (enum hf_phase)phase);
    /* Descriptors may have become free elsewhere in the process or the machine. */
    hf_listener_resume(&loop->listener);
    if (loop->is_draining && uv_now(&loop->uv) >= loop->drain_until_ms)
        close_all(loop);
}

/* True, and remembered in `*said_ms`, at most once a minute. */
static bool may_say(const struct hf_loop *loop, uint64_t *said_ms)
{
    uint64_t now_ms = uv_now(&loop->uv);
    if (*said_ms != 0 && now_ms - *said_ms < SAID_EVERY_MS)
        return false;
    *said_ms = now_ms;
    return true;
}

void hf_loop_say_paused(struct hf_loop *loop, const char *reason)
{
    if (may_say(loop, &loop->paused_said_ms))
        hf_serve_log(HF_LOG_WARNING,
                     "accepting pauses with %u connections open on this loop: %s; it resumes when "
                     "one closes",
                     loop->n_conns, reason);
}

void hf_loop_say_full(struct hf_loop *loop, const union hf_peer *peer)
{
    char address[HF_ADDRESS_TEXT_MAX];
    if (!may_say(loop, &loop->full_said_ms))
        return;
    hf_address_format(peer, address);
    hf_serve_log(HF_LOG_WARNING,
                 "the client %s has %u connections open, the most that --max-per-address allows: "
                 "further ones are closed",
                 address, loop->addresses->max);
}

/* ---- from other threads ------------------------------------------------------------------------ */

static void on_wake(uv_async_t *wake)
{
    struct hf_loop *loop = wake->data;
    uv_mutex_lock(&loop->mutex);
    struct hf_edition *offered = loop->offered;
    bool must_stop = loop->is_stop_asked;
    loop->offered = NULL;
    loop->has_answered = true;
    uv_mutex_unlock(&loop->mutex);

    if (offered != NULL) {
        hf_edition_unref(loop->edition);
        loop->edition = offered;
    }
    if (must_stop && !loop->is_draining)
        begin_drain(loop);
}

void hf_loop_offer(struct hf_loop *loop, struct hf_edition *g)
{
    uv_mutex_lock(&loop->mutex);
    hf_edition_unref(loop->offered);
    loop->offered = hf_edition_ref(g);
    uv_mutex_unlock(&loop->mutex);
    (void)uv_async_send(&loop->wake);
}

bool hf_loop_is_alive(struct hf_loop *loop)
{
    uv_mutex_lock(&loop->mutex);
    bool has_answered = loop->has_answered;
    loop->has_answered = false;
    uv_mutex_unlock(&loop->mutex);
    (void)uv_async_send(&loop->wake);
    return has_answered;
}

void hf_loop_stop(struct hf_loop *loop)
{
    uv_mutex_lock(&loop->mutex);
    loop->is_stop_asked = true;
    uv_mutex_unlock(&loop->mutex);
    (void)uv_async_send(&loop->wake);
}

/* ---- from beginning to end --------------------------------------------------------------------- */

enum hf_err hf_loop_init_take(struct hf_loop *loop, const struct hf_listener *listener,
                              const struct hf_loop_config *config, struct hf_why *why)
{
    memset(loop, 0, sizeof *loop);
    loop->listener = *listener;
    loop->config = *config;
    loop->repository = config->repository;
    loop->access_log = config->access_log;
    loop->addresses = config->addresses;
    loop->has_answered = true; /* nothing was asked yet */
    for (int phase = 0; phase < HF_PHASES; phase++)
        TAILQ_INIT(&loop->phases[phase]);
    TAILQ_INIT(&loop->spare_conns);
    hf_respond_date(time(NULL), loop->date_line);
    int failed = uv_loop_init(&loop->uv);
    if (failed == 0)
        failed = uv_mutex_init(&loop->mutex);
    if (failed == 0)
        failed = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (failed == 0)
        failed = uv_timer_init(&loop->uv, &loop->sweep);
    loop->wake.data = loop->sweep.data = loop;
    if (failed == 0)
        failed = uv_timer_start(&loop->sweep, on_sweep, HF_SERVE_SWEEP_MS, HF_SERVE_SWEEP_MS);
    if (failed != 0)
        return hf_fail(why, HF_E_MEMORY, "an event loop cannot be made: %s", uv_strerror(failed));
    return hf_listener_start(&loop->listener, loop, why);
}

static void run(void *arg)
{
    struct hf_loop *loop = arg;
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

enum hf_err hf_loop_start(struct hf_loop *loop, struct hf_why *why)
{
    int failed = uv_thread_create(&loop->thread, run, loop);
    if (failed != 0)
        return hf_fail(why, HF_E_MEMORY, "a thread cannot be made: %s", uv_strerror(failed));
    return HF_OK;
}

void hf_loop_join(struct hf_loop *loop)
{
    (void)uv_thread_join(&loop->thread);
    (void)uv_loop_close(&loop->uv);
    uv_mutex_destroy(&loop->mutex);
    hf_edition_unref(loop->edition);
    hf_edition_unref(loop->offered);
    free_spares(loop);
}
