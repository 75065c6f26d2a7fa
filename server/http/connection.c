#include "server/http/connection.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void on_ready(uv_poll_t *poll, int status, int events);
static void consume(struct hf_conn *c, const uint8_t *data, size_t len);

/* ---- what they live on --------------------------------------------------------------------------- */

void hf_conns_init(struct hf_conns *conns, uv_loop_t *uv, const struct hf_http_config *config)
{
    conns->uv = uv;
    conns->config = *config;
    conns->timeout_ms[HF_PHASE_HEAD] = config->header_timeout_ms;
    conns->timeout_ms[HF_PHASE_IDLE] = config->idle_timeout_ms;
    conns->timeout_ms[HF_PHASE_ANSWER] = UINT64_MAX; /* the handler's own affair */
    conns->timeout_ms[HF_PHASE_WRITE] = HF_HTTP_WRITE_TIMEOUT_MS;
    conns->timeout_ms[HF_PHASE_LINGER] = HF_HTTP_LINGER_MS;
    hf_date_line(time(NULL), conns->date_line);
    for (int phase = 0; phase < HF_PHASES; phase++)
        TAILQ_INIT(&conns->phases[phase]);
    TAILQ_INIT(&conns->spare);
}

void hf_conns_free(struct hf_conns *conns)
{
    struct hf_conn *conn;
    while ((conn = TAILQ_FIRST(&conns->spare)) != NULL) {
        TAILQ_REMOVE(&conns->spare, conn, link);
        free(conn);
    }
    while (conns->spare_requests != NULL) {
        struct hf_request *request = conns->spare_requests;
        conns->spare_requests = request->next_free;
        free(request);
    }
}

struct hf_conn *hf_conn_take(struct hf_conns *conns)
{
    if (conns->n >= conns->config.connections_max)
        return NULL;
    struct hf_conn *conn = TAILQ_FIRST(&conns->spare);
    if (conn != NULL) {
        TAILQ_REMOVE(&conns->spare, conn, link);
        memset(conn, 0, sizeof *conn);
    } else {
        conn = calloc(1, sizeof *conn);
    }
    if (conn == NULL)
        return NULL;
    conn->conns = conns;
    conns->n++;
    return conn;
}

void hf_conn_release(struct hf_conn *conn)
{
    struct hf_conns *conns = conn->conns;
    TAILQ_INSERT_HEAD(&conns->spare, conn, link);
    conns->n--;
    conns->on_free(conns->on_free_ctx);
}

static void release_request(struct hf_conn *c)
{
    if (c->request == NULL)
        return;
    hf_request_end(c->request);
    c->request->next_free = c->conns->spare_requests;
    c->conns->spare_requests = c->request;
    c->request = NULL;
}

/* ---- phases ------------------------------------------------------------------------------------ */

static void enter(struct hf_conn *c, enum hf_phase phase)
{
    TAILQ_REMOVE(&c->conns->phases[c->phase], c, link);
    c->phase = phase;
    c->since_ms = uv_now(c->conns->uv);
    c->moved = 0;
    TAILQ_INSERT_TAIL(&c->conns->phases[phase], c, link);
}

static void wait_for(struct hf_conn *c, int events)
{
    if (!c->is_polled) {
        if (uv_poll_init(c->conns->uv, &c->poll, c->stream.fd) != 0) {
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
    if (c->request == NULL && c->conns->is_draining) {
        hf_conn_close(c);
        return;
    }
    wait_for(c, UV_READABLE);
}

/* ---- closing ----------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *poll)
{
    struct hf_conn *c = poll->data;
    c->is_polled = false;
    if (!c->is_handled)
        hf_conn_release(c);
}

void hf_conn_close(struct hf_conn *c)
{
    struct hf_conns *conns = c->conns;
    TAILQ_REMOVE(&conns->phases[c->phase], c, link);
    c->is_closed = true;
    hf_pending_free(c->pending);
    if (!c->is_handled)
        release_request(c);
    hf_address_count_drop(conns->config.addresses, &c->peer);
    if (c->is_polled)
        uv_close((uv_handle_t *)&c->poll, on_closed); /* libuv forgets the descriptor here */
    hf_stream_close(&c->stream);
    if (!c->is_polled && !c->is_handled)
        hf_conn_release(c);
}

/* Throw away what the client sends, until it has seen our end and closes. */
static void linger(struct hf_conn *c)
{
    struct hf_conns *conns = c->conns;
    for (;;) {
        size_t len = 0;
        enum hf_moved result = hf_stream_read(&c->stream, conns->input, sizeof conns->input, &len);
        c->moved += len;
        if (result == HF_MOVED_PART) {
            wait_for(c, UV_READABLE);
            return;
        }
        if (len == 0 || c->moved > HF_HTTP_LINGER_BYTES_MAX) {
            hf_conn_close(c);
            return;
        }
    }
}

static void finish(struct hf_conn *c)
{
    if (!c->must_linger || !hf_stream_end(&c->stream)) {
        hf_conn_close(c);
        return;
    }
    enter(c, HF_PHASE_LINGER);
    linger(c);
}

/* ---- writing ----------------------------------------------------------------------------------- */

/* What the client acknowledges is its progress: the socket's buffer takes bytes in large steps, and
 * on a slow link long after each other. */
static void begin_write(struct hf_conn *c)
{
    enter(c, HF_PHASE_WRITE);
    c->unacked = hf_stream_unacknowledged(&c->stream);
}

/* Send the collected answers. False when the connection has to wait, or is closed. */
static bool send_answers(struct hf_conn *c, const uint8_t *rest, size_t rest_len)
{
    size_t sent = 0;
    bool is_closing = c->is_last && !c->must_linger;
    enum hf_moved result = hf_output_send(&c->conns->output, &c->stream, is_closing, &sent);
    if (result == HF_MOVED_ALL) {
        hf_output_clear(&c->conns->output);
        return true;
    }
    /* The socket is full: keep what is left, and the requests behind it, and read no more. */
    if (result == HF_MOVED_PART)
        c->pending = hf_pending_new(&c->conns->output, sent, rest, c->is_last ? 0 : rest_len);
    if (c->pending == NULL) {
        hf_conn_close(c);
        return false;
    }
    begin_write(c);
    wait_for(c, UV_WRITABLE);
    return false;
}

static void on_writable(struct hf_conn *c)
{
    size_t sent = 0;
    enum hf_moved result = hf_pending_send(c->pending, &c->stream, &sent);
    if (result == HF_MOVED_BROKEN) {
        hf_conn_close(c);
        return;
    }
    if (result == HF_MOVED_PART) {
        c->moved += sent;
        return;
    }
    struct hf_pending *done = c->pending;
    c->pending = NULL;
    hf_output_clear(&c->conns->output);
    consume(c, hf_pending_input(done), done->input_len);
    hf_pending_free(done);
}

/* ---- answering --------------------------------------------------------------------------------- */

/* The handler answers later. What was answered before goes out; what the stream does not take, and the
 * input behind, is kept, and nothing is read meanwhile. */
static void wait_for_answer(struct hf_conn *c, const uint8_t *rest, size_t rest_len)
{
    size_t sent = 0;
    enter(c, HF_PHASE_ANSWER);
    if (hf_output_send(&c->conns->output, &c->stream, false, &sent) != HF_MOVED_BROKEN)
        c->pending = hf_pending_new(&c->conns->output, sent, rest, rest_len);
    if (c->pending == NULL) {
        hf_conn_close(c);
        return;
    }
    if (c->is_polled)
        (void)uv_poll_stop(&c->poll);
    c->polled_events = 0;
}

/* Room for an answer to the request. NULL: its client is gone, and the request with it. */
static struct hf_output *begin_answer(struct hf_request *request)
{
    struct hf_conn *c = request->conn;
    struct hf_output *out = &c->conns->output;
    if (c->is_closed) {
        c->is_handled = false;
        release_request(c);
        if (!c->is_polled)
            hf_conn_release(c);
        return NULL;
    }
    if (c->phase == HF_PHASE_ANSWER) {
        /* There was room for one more answer, or it would have been sent first. */
        hf_output_clear(out);
        hf_output_append(out, c->pending->data, c->pending->bytes_len);
    }
    return out;
}

static enum hf_persistence persistence_of(const struct hf_request *r, unsigned status)
{
    if (!r->is_keep_alive || r->refused != 0 || status == 400 || r->conn->conns->is_draining)
        return HF_PERSIST_NOT;
    return r->is_http_1_0 ? HF_PERSIST_SAY_SO : HF_PERSIST;
}

static void log_answer(const struct hf_request *r, unsigned status, size_t body_len)
{
    const struct hf_access_entry entry = {
        .peer = &r->conn->peer,
        .method = llhttp_method_name((llhttp_method_t)r->method),
        .target = r->target.text,
        .target_len = r->target.len,
        .status = status,
        .bytes = body_len,
        .agent = r->agent.text,
        .agent_len = r->agent.len,
    };
    hf_access_log_add(r->conn->conns->config.access_log, &entry);
}

/* The request is done with. After an answer that came later, the connection goes on. */
static void end_answer(struct hf_conn *c, unsigned status, size_t body_len)
{
    c->is_last = persistence_of(c->request, status) == HF_PERSIST_NOT;
    c->must_linger = c->request->refused != 0 || status == 400;
    if (c->conns->config.access_log != NULL)
        log_answer(c->request, status, body_len);
    release_request(c);
    c->is_handled = false;
    if (c->phase != HF_PHASE_ANSWER)
        return;
    struct hf_pending *kept = c->pending;
    c->pending = NULL;
    enter(c, HF_PHASE_IDLE);
    consume(c, hf_pending_input(kept), kept->input_len);
    hf_pending_free(kept);
}

static void answer_text(struct hf_request *request, unsigned status, const char *type,
                        const char *text, size_t len, const char *header)
{
    struct hf_output *out = begin_answer(request);
    if (out == NULL)
        return;
    struct hf_conn *c = request->conn;
    size_t body_len = request->method == HTTP_HEAD ? 0 : len;
    hf_output_begin_text(out, status, type, len, header);
    hf_output_end_head(out, persistence_of(request, status), c->conns->date_line);
    hf_output_append(out, text, body_len);
    end_answer(c, status, body_len);
}

void hf_answer_text(struct hf_request *request, unsigned status, const char *type, const char *text,
                    size_t len)
{
    answer_text(request, status, type, text, len, NULL);
}

void hf_answer_refusal(struct hf_request *request, unsigned status)
{
    const struct hf_http_config *config = &request->conn->conns->config;
    char text[HF_REFUSAL_TEXT_MAX];
    const char *header = NULL;
    size_t len = hf_refusal_text(config->refusals, config->n_refusals, status, text, &header);
    answer_text(request, status, "text/plain", text, len, header);
}

void hf_answer_body(struct hf_request *request, unsigned status, const char *head, size_t head_len,
                    struct hf_body *body)
{
    struct hf_output *out = begin_answer(request);
    if (out == NULL)
        return;
    struct hf_conn *c = request->conn;
    bool has_body = body != NULL && request->method != HTTP_HEAD;
    hf_output_append(out, head, head_len);
    hf_output_end_head(out, persistence_of(request, status), c->conns->date_line);
    if (has_body)
        hf_output_append_body(out, body);
    end_answer(c, status, has_body ? body->bytes.len : 0);
}

uv_loop_t *hf_request_loop(const struct hf_request *request)
{
    return request->conn->conns->uv;
}

static void answer(struct hf_conn *c)
{
    const struct hf_http_config *config = &c->conns->config;
    c->is_handled = true;
    if (c->request->refused != 0)
        hf_answer_refusal(c->request, c->request->refused);
    else
        config->handler(config->handler_ctx, c->request);
}

/* ---- reading ----------------------------------------------------------------------------------- */

static bool begin_request(struct hf_conn *c)
{
    struct hf_conns *conns = c->conns;
    if (c->request != NULL)
        return true;
    c->request = conns->spare_requests;
    if (c->request != NULL)
        conns->spare_requests = c->request->next_free;
    else
        c->request = malloc(sizeof *c->request);
    if (c->request == NULL)
        return false;
    c->request->conn = c;
    hf_request_begin(c->request, &c->parser, conns->config.body_max);
    enter(c, HF_PHASE_HEAD);
    return true;
}

/* Answer every whole request in `data`, in order, behind what the output holds; remember the beginning
 * of the last. */
static void consume(struct hf_conn *c, const uint8_t *data, size_t len)
{
    struct hf_output *out = &c->conns->output;
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
        data += used;
        len -= used;
        answer(c);
        if (c->is_handled) {
            wait_for_answer(c, data, len);
            return;
        }
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
    struct hf_conns *conns = c->conns;
    size_t len = 0;
    enum hf_moved result = hf_stream_read(&c->stream, conns->input, sizeof conns->input, &len);
    hf_output_clear(&conns->output);
    if (len > 0)
        consume(c, conns->input, len);
    else if (result == HF_MOVED_PART)
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

void hf_conn_begin_take(struct hf_conn *c, int fd, const union hf_peer *peer)
{
    c->stream.fd = fd;
    c->peer = *peer;
    c->phase = HF_PHASE_HEAD;
    c->since_ms = uv_now(c->conns->uv);
    TAILQ_INSERT_TAIL(&c->conns->phases[HF_PHASE_HEAD], c, link);
    hf_request_parser_init(&c->parser);
    on_readable(c); /* with TCP_DEFER_ACCEPT its request is there already */
}

void hf_conn_time_out(struct hf_conn *c)
{
    if (c->phase == HF_PHASE_WRITE) {
        size_t unacked = hf_stream_unacknowledged(&c->stream);
        if (c->unacked + c->moved >= unacked + HF_HTTP_PROGRESS_BYTES) {
            begin_write(c);
            return;
        }
        hf_stream_drop_unsent(&c->stream);
    }
    if (c->phase != HF_PHASE_HEAD || c->request == NULL) {
        hf_conn_close(c); /* nothing was asked, or nothing is taken any more */
        return;
    }
    hf_output_clear(&c->conns->output);
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
