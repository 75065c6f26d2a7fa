#include "server/http/loop.h"

#include "common/os/service.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SAID_EVERY_MS 60000u /* the same warning */

/* True, and remembered in `*said_ms`, at most once a minute. */
static bool may_say(const struct hf_loop *loop, uint64_t *said_ms)
{
    uint64_t now_ms = uv_now(&loop->uv);
    if (*said_ms != 0 && now_ms - *said_ms < SAID_EVERY_MS)
        return false;
    *said_ms = now_ms;
    return true;
}

/* ---- accepting --------------------------------------------------------------------------------- */

static void pause_accepting(struct hf_loop *loop, const char *reason)
{
    (void)uv_poll_stop(&loop->waiting);
    loop->is_paused = true;
    if (may_say(loop, &loop->paused_said_ms))
        hf_service_log(HF_LOG_WARNING,
                       "accepting pauses with %u connections open on this loop: %s; it resumes "
                       "when one closes",
                       loop->conns.n, reason);
}

static void say_full(struct hf_loop *loop, const union hf_peer *peer)
{
    char address[HF_ADDRESS_TEXT_MAX];
    if (!may_say(loop, &loop->full_said_ms))
        return;
    hf_address_format(peer, address);
    hf_service_log(HF_LOG_WARNING,
                   "the client %s has %u connections open, the most that --max-per-address allows: "
                   "further ones are closed",
                   address, loop->conns.config.addresses->max);
}

/* False when there is no more to accept for now. */
static bool accept_one(struct hf_loop *loop)
{
    union hf_peer peer;
    socklen_t len = sizeof peer;
    struct hf_conn *conn = hf_conn_take(&loop->conns);
    if (conn == NULL) {
        pause_accepting(loop, "as many connections as --max-connections allows are open");
        return false;
    }
    int fd = accept4(loop->listener, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int failed = errno;
    if (fd >= 0 && hf_address_count_add(loop->conns.config.addresses, &peer)) {
        hf_conn_begin_take(conn, fd, &peer);
        return true;
    }
    if (fd >= 0) {
        say_full(loop, &peer);
        close(fd);
        hf_conn_release(conn);
        return true;
    }
    hf_conn_release(conn);
    if (failed == EMFILE || failed == ENFILE || failed == ENOBUFS || failed == ENOMEM)
        pause_accepting(loop, strerror(failed));
    /* A client that gave up while it was waiting is no reason to stop. */
    return failed == ECONNABORTED || failed == EINTR;
}

static void on_waiting(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    for (int i = 0; i < HF_HTTP_ACCEPTS_AT_ONCE; i++)
        if (!accept_one(poll->data))
            return;
}

static enum hf_err wait_for_clients(struct hf_loop *loop, struct hf_why *why)
{
    int failed = uv_poll_start(&loop->waiting, UV_READABLE, on_waiting);
    if (failed != 0)
        return hf_fail(why, HF_E_NETWORK, "cannot wait for connections: %s", uv_strerror(failed));
    loop->is_paused = false;
    return HF_OK;
}

/* Something closed, or some time has passed. */
static void resume_accepting(struct hf_loop *loop)
{
    struct hf_why why;
    if (loop->is_listening && loop->is_paused && wait_for_clients(loop, &why) != HF_OK)
        hf_service_log(HF_LOG_ERROR, "%s", why.text);
}

/* Those that are waiting already come in. */
static void stop_accepting(struct hf_loop *loop)
{
    if (!loop->is_listening)
        return;
    for (int i = 0; i < HF_HTTP_BACKLOG && !loop->is_paused && accept_one(loop); i++)
        ;
    loop->is_listening = false;
    uv_close((uv_handle_t *)&loop->waiting, NULL);
    close(loop->listener);
}

/* ---- the end ----------------------------------------------------------------------------------- */

static void end_if_drained(struct hf_loop *loop)
{
    if (!loop->conns.is_draining || loop->conns.n > 0 || loop->is_ended)
        return;
    loop->is_ended = true;
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->sweep, NULL);
}

static void on_conn_free(void *ctx)
{
    resume_accepting(ctx);
    end_if_drained(ctx);
}

/* Each connection of a phase, though handling one may close it and let it go. */
static void for_each_in(struct hf_loop *loop, enum hf_phase phase, void (*handle)(struct hf_conn *))
{
    struct hf_conn *conn, *next;
    for (conn = TAILQ_FIRST(&loop->conns.phases[phase]); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, link);
        handle(conn);
    }
}

static void begin_drain(struct hf_loop *loop)
{
    loop->conns.is_draining = true;
    loop->drain_until_ms = uv_now(&loop->uv) + HF_HTTP_GRACE_MS;
    stop_accepting(loop);
    for_each_in(loop, HF_PHASE_IDLE, hf_conn_drain);
    for_each_in(loop, HF_PHASE_HEAD, hf_conn_drain);
    end_if_drained(loop);
}

/* ---- once a second ----------------------------------------------------------------------------- */

static void on_sweep(uv_timer_t *timer)
{
    struct hf_loop *loop = timer->data;
    uint64_t now_ms = uv_now(&loop->uv);
    struct hf_conn *conn;
    hf_date_line(time(NULL), loop->conns.date_line);
    /* Handling one moves it to the end of a queue or out of all. */
    for (int phase = 0; phase < HF_PHASES; phase++)
        while ((conn = TAILQ_FIRST(&loop->conns.phases[phase])) != NULL &&
               now_ms - conn->since_ms >= loop->conns.timeout_ms[phase])
            hf_conn_time_out(conn);
    /* Descriptors may have become free elsewhere in the process or the machine. */
    resume_accepting(loop);
    if (!loop->conns.is_draining || now_ms < loop->drain_until_ms)
        return;
    for (int phase = 0; phase < HF_PHASES; phase++)
        for_each_in(loop, (enum hf_phase)phase, hf_conn_close);
}

/* ---- from other threads ------------------------------------------------------------------------ */

static void on_wake(uv_async_t *wake)
{
    struct hf_loop *loop = wake->data;
    atomic_store(&loop->has_answered, true);
    if (atomic_load(&loop->is_stop_asked) && !loop->conns.is_draining)
        begin_drain(loop);
}

bool hf_loop_is_alive(struct hf_loop *loop)
{
    bool has_answered = atomic_exchange(&loop->has_answered, false);
    (void)uv_async_send(&loop->wake);
    return has_answered;
}

void hf_loop_stop(struct hf_loop *loop)
{
    atomic_store(&loop->is_stop_asked, true);
    (void)uv_async_send(&loop->wake);
}

/* ---- from beginning to end --------------------------------------------------------------------- */

enum hf_err hf_loop_init_take(struct hf_loop *loop, int listener,
                              const struct hf_http_config *config, struct hf_why *why)
{
    memset(loop, 0, sizeof *loop);
    loop->listener = listener;
    loop->is_listening = true;
    atomic_init(&loop->has_answered, true); /* nothing was asked yet */
    loop->conns.on_free = on_conn_free;
    loop->conns.on_free_ctx = loop;
    hf_conns_init(&loop->conns, &loop->uv, config);
    int failed = uv_loop_init(&loop->uv);
    if (failed == 0)
        failed = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (failed == 0)
        failed = uv_timer_init(&loop->uv, &loop->sweep);
    loop->wake.data = loop->sweep.data = loop;
    if (failed == 0)
        failed = uv_timer_start(&loop->sweep, on_sweep, HF_HTTP_SWEEP_MS, HF_HTTP_SWEEP_MS);
    if (failed != 0)
        return hf_fail(why, HF_E_MEMORY, "an event loop cannot be made: %s", uv_strerror(failed));
    failed = uv_poll_init(&loop->uv, &loop->waiting, listener);
    if (failed != 0)
        return hf_fail(why, HF_E_NETWORK, "cannot wait for connections: %s", uv_strerror(failed));
    loop->waiting.data = loop;
    return wait_for_clients(loop, why);
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
    hf_conns_free(&loop->conns);
}
