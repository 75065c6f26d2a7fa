#include "server/http/loop.h"

#include "common/os/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WARN_EVERY_MS 60000u /* the same warning */

/* True, and remembered in `*warned_ms`, at most once a minute. */
static bool may_warn(const struct hf_loop *loop, uint64_t *warned_ms)
{
    uint64_t now_ms = uv_now(&loop->uv);
    if (*warned_ms != 0 && now_ms - *warned_ms < WARN_EVERY_MS)
        return false;
    *warned_ms = now_ms;
    return true;
}

static void pause_accepting(struct hf_loop *loop, const char *reason)
{
    (void)uv_poll_stop(&loop->waiting);
    loop->is_paused = true;
    if (may_warn(loop, &loop->paused_warned_ms))
        hf_service_log(HF_LOG_WARNING,
                       "accepting pauses with %u connections open on this loop: %s; it resumes "
                       "when one closes",
                       loop->n_conns, reason);
}

/* A zeroed connection; NULL when as many as allowed are open, or without memory. */
static struct hf_conn *take_conn(struct hf_loop *loop)
{
    if (loop->n_conns >= loop->conns.config.connections_max)
        return NULL;
    struct hf_conn *conn = TAILQ_FIRST(&loop->spare);
    if (conn != NULL) {
        TAILQ_REMOVE(&loop->spare, conn, link);
        memset(conn, 0, sizeof *conn);
    } else if ((conn = calloc(1, sizeof *conn)) == NULL) {
        return NULL;
    }
    conn->conns = &loop->conns;
    loop->n_conns++;
    return conn;
}

static void put_back(struct hf_loop *loop, struct hf_conn *conn)
{
    TAILQ_INSERT_HEAD(&loop->spare, conn, link);
    loop->n_conns--;
}

static void warn_too_many(struct hf_conn *conn)
{
    struct hf_loop *loop = conn->conns->on_end_ctx;
    char address[HF_ADDRESS_TEXT_MAX];
    hf_count(&loop->conns.counters.turned_away, 1);
    if (!may_warn(loop, &loop->full_warned_ms))
        return;
    hf_address_format(&conn->peer, address);
    hf_service_log(HF_LOG_WARNING,
                   "the client %s has %u connections open, the most that --max-per-address "
                   "allows: further ones are closed",
                   address, atomic_load(&loop->conns.config.addresses->max));
}

/* False when there is no more to accept for now. */
static bool accept_one(struct hf_loop *loop)
{
    union hf_peer peer;
    socklen_t len = sizeof peer;
    struct hf_conn *conn = take_conn(loop);
    if (conn == NULL) {
        pause_accepting(loop, "as many connections as --max-connections allows are open");
        return false;
    }
    int fd = accept4(loop->listener, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int failed = errno;
    if (fd < 0) {
        put_back(loop, conn);
        if (failed == EMFILE || failed == ENFILE || failed == ENOBUFS || failed == ENOMEM)
            pause_accepting(loop, strerror(failed));
        /* A client that gave up while it was waiting is no reason to stop. */
        return failed == ECONNABORTED || failed == EINTR;
    }
    if (peer.any.sa_family == AF_UNIX && !hf_local_peer_of(fd, &peer)) {
        close(fd);
        put_back(loop, conn);
        return true;
    }
    const struct hf_http_config *config = &loop->conns.config;
    conn->is_balanced = hf_networks_contain(config->balancers, config->n_balancers, &peer);
    conn->is_counted = !conn->is_balanced && hf_address_count_add(config->addresses, &peer);
    if (conn->is_balanced || conn->is_counted) {
        hf_count(&loop->conns.counters.opened, 1);
        hf_conn_begin_take(conn, fd, &peer);
        return true;
    }
    conn->peer = peer;
    warn_too_many(conn);
    close(fd);
    put_back(loop, conn);
    return true;
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

/* A connection has closed, or some time has passed. */
static void resume_accepting(struct hf_loop *loop)
{
    struct hf_why why;
    if (loop->is_listening && loop->is_paused && wait_for_clients(loop, &why) != HF_OK)
        hf_service_log(HF_LOG_ERROR, "%s", why.text);
}

static void end_if_drained(struct hf_loop *loop)
{
    if (!loop->conns.is_draining || loop->n_conns > 0 || loop->is_ended)
        return;
    loop->is_ended = true;
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->sweep, NULL);
    uv_close((uv_handle_t *)&loop->recheck, NULL);
}

static void on_conn_end(struct hf_conn *conn)
{
    struct hf_loop *loop = conn->conns->on_end_ctx;
    hf_count(&loop->conns.counters.closed, 1);
    put_back(loop, conn);
    resume_accepting(loop);
    end_if_drained(loop);
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

/* Clients that are waiting for accept are still served. */
static void begin_drain(struct hf_loop *loop)
{
    loop->conns.is_draining = true;
    loop->drain_until_ms = uv_now(&loop->uv) + HF_HTTP_GRACE_MS;
    for (int i = 0; i < HF_HTTP_BACKLOG && !loop->is_paused && accept_one(loop); i++)
        ;
    loop->is_listening = false;
    uv_close((uv_handle_t *)&loop->waiting, NULL);
    close(loop->listener);
    for_each_in(loop, HF_PHASE_OPEN, hf_conn_close);
    for_each_in(loop, HF_PHASE_HANDSHAKE, hf_conn_close);
    for_each_in(loop, HF_PHASE_IDLE, hf_conn_drain);
    for_each_in(loop, HF_PHASE_HEAD, hf_conn_drain);
    for_each_in(loop, HF_PHASE_FEED, hf_conn_close);
    end_if_drained(loop);
}

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

/* Certificates may have lost their right, or expired. */
static void on_recheck(uv_timer_t *timer)
{
    struct hf_loop *loop = timer->data;
    const struct hf_tls_rules *rules = loop->conns.config.tls_rules;
    uint64_t generation = atomic_load_explicit(rules->generation, memory_order_acquire);
    uint64_t now_ms = uv_now(&loop->uv);
    if (generation == loop->generation && now_ms - loop->checked_ms < HF_TLS_RECHECK_ALL_MS)
        return;
    loop->generation = generation;
    loop->checked_ms = now_ms;
    for (int phase = 0; phase < HF_PHASES; phase++)
        for_each_in(loop, (enum hf_phase)phase, hf_conn_recheck);
}

static void set_timeouts(struct hf_conns *conns)
{
    const struct hf_http_config *config = &conns->config;
    const uint64_t handshake_ms = config->handshake_timeout_ms;
    const uint64_t timeouts_ms[HF_PHASES] = {
        [HF_PHASE_OPEN] = config->header_timeout_ms,
        [HF_PHASE_HANDSHAKE] = handshake_ms != 0 ? handshake_ms : HF_TLS_HANDSHAKE_TIMEOUT_MS,
        [HF_PHASE_HEAD] = config->header_timeout_ms,
        [HF_PHASE_BODY] = HF_HTTP_BODY_TIMEOUT_MS,
        [HF_PHASE_IDLE] = config->idle_timeout_ms,
        [HF_PHASE_ANSWER] = UINT64_MAX, /* the handler decides */
        [HF_PHASE_WRITE] = HF_HTTP_WRITE_TIMEOUT_MS,
        [HF_PHASE_FEED] = HF_HTTP_FEED_IDLE_MS,
        [HF_PHASE_LINGER] = HF_HTTP_LINGER_MS,
    };
    memcpy(conns->timeout_ms, timeouts_ms, sizeof timeouts_ms);
}

static void take_settings(struct hf_loop *loop)
{
    struct hf_http_config *config = &loop->conns.config;
    struct hf_http_settings *fresh = atomic_exchange(&loop->offered, NULL);
    if (fresh == NULL)
        return;
    config->connections_max = fresh->connections_max;
    config->header_timeout_ms = fresh->header_timeout_ms;
    config->idle_timeout_ms = fresh->idle_timeout_ms;
    config->balancers = fresh->balancers;
    config->n_balancers = fresh->n_balancers;
    hf_http_settings_unref(loop->settings);
    loop->settings = fresh;
    set_timeouts(&loop->conns);
    resume_accepting(loop);
}

void hf_loop_offer(struct hf_loop *loop, struct hf_http_settings *settings)
{
    hf_http_settings_unref(atomic_exchange(&loop->offered, hf_http_settings_ref(settings)));
    (void)uv_async_send(&loop->wake);
}

static void on_wake(uv_async_t *wake)
{
    struct hf_loop *loop = wake->data;
    atomic_store(&loop->has_answered, true);
    take_settings(loop);
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

enum hf_err hf_loop_init_take(struct hf_loop *loop, int listener,
                              const struct hf_http_config *config, struct hf_why *why)
{
    memset(loop, 0, sizeof *loop);
    loop->listener = listener;
    loop->is_listening = true;
    loop->wake.data = loop->sweep.data = loop->recheck.data = loop->waiting.data = loop;
    atomic_init(&loop->has_answered, true); /* nothing was asked yet */
    TAILQ_INIT(&loop->spare);

    struct hf_conns *conns = &loop->conns;
    conns->uv = &loop->uv;
    conns->config = *config;
    conns->on_end = on_conn_end;
    conns->on_end_ctx = loop;
    conns->on_too_many = warn_too_many;
    set_timeouts(conns);
    if (conns->config.handshakes_max == 0)
        conns->config.handshakes_max = HF_TLS_HANDSHAKES_MAX;
    hf_date_line(time(NULL), conns->date_line);
    for (int phase = 0; phase < HF_PHASES; phase++)
        TAILQ_INIT(&conns->phases[phase]);

    int failed = uv_loop_init(&loop->uv);
    if (failed == 0)
        failed = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (failed == 0)
        failed = uv_timer_init(&loop->uv, &loop->sweep);
    if (failed == 0)
        failed = uv_timer_start(&loop->sweep, on_sweep, HF_HTTP_SWEEP_MS, HF_HTTP_SWEEP_MS);
    if (failed == 0)
        failed = uv_timer_init(&loop->uv, &loop->recheck);
    if (failed == 0 && config->tls != NULL && config->tls_rules != NULL)
        failed = uv_timer_start(&loop->recheck, on_recheck, HF_TLS_RECHECK_MS, HF_TLS_RECHECK_MS);
    if (failed != 0)
        return hf_fail(why, HF_E_MEMORY, "an event loop cannot be made: %s", uv_strerror(failed));
    failed = uv_poll_init(&loop->uv, &loop->waiting, listener);
    if (failed != 0)
        return hf_fail(why, HF_E_NETWORK, "cannot wait for connections: %s", uv_strerror(failed));
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
    struct hf_conn *conn;
    (void)uv_thread_join(&loop->thread);
    (void)uv_loop_close(&loop->uv);
    hf_output_clear(&loop->conns.output);
    hf_http_settings_unref(atomic_exchange(&loop->offered, NULL));
    hf_http_settings_unref(loop->settings);
    while ((conn = TAILQ_FIRST(&loop->spare)) != NULL) {
        TAILQ_REMOVE(&loop->spare, conn, link);
        free(conn);
    }
    while (loop->conns.spare_requests != NULL) {
        struct hf_request *request = loop->conns.spare_requests;
        loop->conns.spare_requests = request->next_free;
        free(request);
    }
}
