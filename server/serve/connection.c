#include "server/serve/connection.h"

#include "server/serve/loop.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void on_ready(uv_poll_t *poll, int status, int events);
static void consume(struct hf_conn *c, const uint8_t *data, size_t len);

/* ---- phases ------------------------------------------------------------------------------------ */

static void enter(struct hf_conn *c, enum hf_phase phase)
{
    TAILQ_REMOVE(&c->loop->phases[c->phase], c, link);
    c->phase = phase;
    c->since_ms = uv_now(&c->loop->uv);
    c->moved = 0;
    TAILQ_INSERT_TAIL(&c->loop->phases[phase], c, link);
}

static void wait_for(struct hf_conn *c, int events)
{
    if (!c->is_polled) {
        if (uv_poll_init(&c->loop->uv, &c->poll, c->fd) != 0) {
            hf_conn_close(c);
            return;
        }
        c->poll.data = c;
        c->is_polled = true;
    }
    if (c->polled_events == events)
        return;
    c->polled_events = events;
    if (uv_poll_start(&c->poll, events, on_ready) != 0)
        hf_conn_close(c);
}

static void wait_for_request(struct hf_conn *c)
{
    if (c->request == NULL && c->loop->is_draining) {
        hf_conn_close(c);
        return;
    }
    wait_for(c, UV_READABLE);
}

/* ---- closing ----------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *poll)
{
    struct hf_conn *c = poll->data;
    hf_loop_release_conn(c->loop, c);
}

void hf_conn_close(struct hf_conn *c)
{
    struct hf_loop *loop = c->loop;
    TAILQ_REMOVE(&loop->phases[c->phase], c, link);
    hf_loop_release_request(loop, c->request);
    hf_pending_free(c->pending);
    hf_address_count_drop(loop->addresses, &c->peer);
    if (c->is_polled)
        uv_close((uv_handle_t *)&c->poll, on_closed); /* libuv forgets the descriptor here */
    close(c->fd);
    if (!c->is_polled)
        hf_loop_release_conn(loop, c);
}

/* A client that takes nothing any more would keep what it was sent in the kernel for minutes. */
static void reset(struct hf_conn *c)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    hf_conn_close(c);
}

/* Throw away what the client sends, until it has seen our end and closes. */
static void linger(struct hf_conn *c)
{
    for (;;) {
        ssize_t n = read(c->fd, c->loop->input, sizeof c->loop->input);
        if (n < 0 && errno == EAGAIN) {
            wait_for(c, UV_READABLE);
            return;
        }
        if (n > 0)
            c->moved += (size_t)n;
        bool is_over = n == 0 || (n < 0 && errno != EINTR); /* errno says nothing of an end */
        if (is_over || c->moved > HF_SERVE_LINGER_BYTES_MAX) {
            hf_conn_close(c);
            return;
        }
    }
}

static void finish(struct hf_conn *c)
{
    if (!c->must_linger || shutdown(c->fd, SHUT_WR) != 0) {
        hf_conn_close(c);
        return;
    }
    enter(c, HF_PHASE_LINGER);
    linger(c);
}

/* ---- writing ----------------------------------------------------------------------------------- */

/* Bytes that were sent and that the client has not acknowledged. */
static size_t unacknowledged(const struct hf_conn *c)
{
    int n = 0;
    return ioctl(c->fd, SIOCOUTQ, &n) == 0 && n > 0 ? (size_t)n : 0;
}

/* What the client acknowledges is its progress: the socket's buffer takes bytes in large steps, and
 * on a slow link long after each other. */
static void begin_write(struct hf_conn *c)
{
    enter(c, HF_PHASE_WRITE);
    c->unacked = unacknowledged(c);
}

static bool has_progressed(const struct hf_conn *c)
{
    return c->unacked + c->moved >= unacknowledged(c) + HF_SERVE_PROGRESS_BYTES;
}

/* The socket is full: keep what is left, and the requests behind it, and read no more. */
static void park(struct hf_conn *c, size_t sent, const uint8_t *rest, size_t rest_len)
{
    c->pending = hf_pending_new(&c->loop->output, sent, rest, c->is_last ? 0 : rest_len);
    if (c->pending == NULL) {
        hf_conn_close(c);
        return;
    }
    begin_write(c);
    wait_for(c, UV_WRITABLE);
}

/* Send the collected answers. False when the connection has to wait, or is closed. */
static bool send_answers(struct hf_conn *c, const uint8_t *rest, size_t rest_len)
{
    size_t sent = 0;
    bool is_closing = c->is_last && !c->must_linger;
    enum hf_sent result = hf_output_send(&c->loop->output, c->fd, is_closing, &sent);
    if (result == HF_SENT_ALL) {
        hf_output_clear(&c->loop->output);
        return true;
    }
    if (result == HF_SENT_PART)
        park(c, sent, rest, rest_len);
    else
        hf_conn_close(c);
    return false;
}

static void on_writable(struct hf_conn *c)
{
    size_t sent = 0;
    enum hf_sent result = hf_pending_send(c->pending, c->fd, &sent);
    if (result == HF_SENT_BROKEN) {
        hf_conn_close(c);
        return;
    }
    if (result == HF_SENT_PART) {
        c->moved += sent;
        return;
    }
    struct hf_pending *done = c->pending;
    c->pending = NULL;
    consume(c, hf_pending_input(done), done->input_len);
    hf_pending_free(done);
}

/* ---- answering --------------------------------------------------------------------------------- */

static void log_answer(const struct hf_conn *c, unsigned status, size_t body_len)
{
    const struct hf_request *r = c->request;
    struct hf_access_entry entry = {
        .peer = &c->peer,
        .method = llhttp_method_name((llhttp_method_t)r->method),
        .target = r->target.text,
        .target_len = r->target.len,
        .status = status,
        .bytes = body_len,
        .agent = r->agent.text,
        .agent_len = r->agent.len,
    };
    hf_access_log_add(c->loop->access_log, &entry);
}

static enum hf_persistence persistence_of(const struct hf_conn *c, const struct hf_answer *a)
{
    const struct hf_request *r = c->request;
    if (!r->is_keep_alive || r->refused != 0 || a->status == 400 || c->loop->is_draining)
        return HF_PERSIST_NOT;
    return r->is_http_1_0 ? HF_PERSIST_SAY_SO : HF_PERSIST;
}

/* Route and respond; the request is done with. */
static void answer(struct hf_conn *c)
{
    struct hf_loop *loop = c->loop;
    struct hf_answer a = hf_route(c->request, loop->edition);
    enum hf_persistence persistence = persistence_of(c, &a);
    unsigned status = 0;
    size_t body_len = hf_respond(&loop->output, &a, persistence, loop->date_line, loop->repository,
                                 &status);
    c->is_last = persistence == HF_PERSIST_NOT;
    c->must_linger = c->request->refused != 0 || a.status == 400;
    if (loop->access_log != NULL)
        log_answer(c, status, body_len);
    hf_loop_release_request(loop, c->request);
    c->request = NULL;
}

/* ---- reading ----------------------------------------------------------------------------------- */

static bool begin_request(struct hf_conn *c)
{
    if (c->request != NULL)
        return true;
    c->request = hf_loop_take_request(c->loop);
    if (c->request == NULL)
        return false;
    hf_request_begin(c->request, &c->parser);
    enter(c, HF_PHASE_HEAD);
    return true;
}

/* Answer every whole request in `data`, in order; remember the beginning of the last. */
static void consume(struct hf_conn *c, const uint8_t *data, size_t len)
{
    struct hf_output *out = &c->loop->output;
    hf_output_clear(out);
    while (len > 0 && !c->is_last) {
        size_t used = 0;
        if (hf_output_is_full(out) && !send_answers(c, data, len))
            return;
        if (!begin_request(c)) {
            hf_conn_close(c);
            return;
        }
        if (hf_request_feed(c->request, &c->parser, data, len, &used) == HF_FED_MORE)
            break;
        answer(c);
        data += used;
        len -= used;
    }
    if (!send_answers(c, NULL, 0))
        return;
    if (c->is_last) {
        finish(c);
        return;
    }
    if (c->request == NULL)
        enter(c, HF_PHASE_IDLE);
    else if (c->phase != HF_PHASE_HEAD) /* its time has begun, unless it waited behind a write */
        enter(c, HF_PHASE_HEAD);
    wait_for_request(c);
}

static void on_readable(struct hf_conn *c)
{
    struct hf_loop *loop = c->loop;
    ssize_t n = read(c->fd, loop->input, sizeof loop->input);
    if (n > 0)
        consume(c, loop->input, (size_t)n);
    else if (n < 0 && (errno == EAGAIN || errno == EINTR))
        wait_for_request(c);
    else
        hf_conn_close(c); /* the client is done, or gone */
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct hf_conn *c = poll->data;
    (void)events; /* an error is reported as whatever is waited for */
    if (status != 0)
        hf_conn_close(c);
    else if (c->phase == HF_PHASE_WRITE)
        on_writable(c);
    else if (c->phase == HF_PHASE_LINGER)
        linger(c);
    else
        on_readable(c);
}

/* ---- for the loop ------------------------------------------------------------------------------ */

void hf_conn_begin_take(struct hf_conn *c, struct hf_loop *loop, int fd, const union hf_peer *peer)
{
    c->loop = loop;
    c->fd = fd;
    c->peer = *peer;
    c->phase = HF_PHASE_HEAD;
    c->since_ms = uv_now(&loop->uv);
    TAILQ_INSERT_TAIL(&loop->phases[HF_PHASE_HEAD], c, link);
    hf_request_parser_init(&c->parser);
    on_readable(c); /* with TCP_DEFER_ACCEPT its request is there already */
}

void hf_conn_time_out(struct hf_conn *c)
{
    if (c->phase == HF_PHASE_WRITE && has_progressed(c)) {
        begin_write(c);
        return;
    }
    if (c->phase == HF_PHASE_WRITE) {
        reset(c);
        return;
    }
    if (c->phase != HF_PHASE_HEAD || c->request == NULL) {
        hf_conn_close(c); /* nothing was asked */
        return;
    }
    hf_output_clear(&c->loop->output);
    c->request->refused = 408;
    answer(c);
    if (send_answers(c, NULL, 0))
        finish(c);
}

void hf_conn_drain(struct hf_conn *c)
{
    if (c->phase == HF_PHASE_IDLE || (c->phase == HF_PHASE_HEAD && c->request == NULL))
        on_readable(c);
}
