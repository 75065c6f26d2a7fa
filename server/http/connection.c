#include "server/http/connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_ready(uv_poll_t *poll, int status, int events);
static void consume(struct hf_conn *c, const uint8_t *data, size_t len);

static void enter(struct hf_conn *c, enum hf_phase phase)
{
    TAILQ_REMOVE(&c->conns->phases[c->phase], c, link);
    c->phase = phase;
    c->since_ms = uv_now(c->conns->uv);
    c->moved = 0;
    TAILQ_INSERT_TAIL(&c->conns->phases[phase], c, link);
    /* The progress of a client is what it acknowledges: the socket's buffer accepts bytes in large
     * steps, and on a slow link with long pauses. */
    if (phase == HF_PHASE_WRITE)
        c->unacked = hf_stream_unacknowledged(&c->stream);
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
    if (c->request == NULL && c->conns->is_draining)
        hf_conn_close(c);
    else
        wait_for(c, UV_READABLE);
}

/* ---- closing ----------------------------------------------------------------------------------- */

static void release_request(struct hf_conn *c)
{
    if (c->request == NULL)
        return;
    hf_request_end(c->request);
    c->request->next_free = c->conns->spare_requests;
    c->conns->spare_requests = c->request;
    c->request = NULL;
}

static void on_closed(uv_handle_t *poll)
{
    struct hf_conn *c = poll->data;
    c->is_polled = false;
    if (!c->is_handled)
        c->conns->on_end(c);
}

static void close_conn(struct hf_conn *c, bool drops_unsent)
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
    hf_stream_close(&c->stream, drops_unsent);
    if (!c->is_polled && !c->is_handled)
        conns->on_end(c);
}

void hf_conn_close(struct hf_conn *c)
{
    close_conn(c, false);
}

/* Throw away what the client sends, until it has seen our end and closes. */
static void linger(struct hf_conn *c)
{
    struct hf_conns *conns = c->conns;
    for (;;) {
        size_t len = 0;
        enum hf_stream_result result = hf_stream_read(&c->stream, conns->input, sizeof conns->input,
                                                      &len);
        c->moved += len;
        if (result == HF_STREAM_BLOCKED) {
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

/* ---- answering --------------------------------------------------------------------------------- */

/* Send the collected answers. False when the connection has to wait, or is closed. */
static bool send_answers(struct hf_conn *c, const uint8_t *rest, size_t rest_len)
{
    size_t sent = 0;
    bool is_closing = c->is_last && !c->must_linger;
    enum hf_stream_result result = hf_output_send(&c->conns->output, &c->stream, is_closing, &sent);
    if (result == HF_STREAM_DONE) {
        hf_output_clear(&c->conns->output);
        return true;
    }
    /* The socket is full: keep what is left, and the requests behind it, and read no more. */
    if (result == HF_STREAM_BLOCKED)
        c->pending = hf_pending_new(&c->conns->output, sent, rest, c->is_last ? 0 : rest_len);
    if (c->pending == NULL) {
        hf_conn_close(c);
        return false;
    }
    enter(c, HF_PHASE_WRITE);
    wait_for(c, UV_WRITABLE);
    return false;
}

/* The handler answers later. What was answered before is sent; what the stream does not accept, and
 * the input behind, is kept, and nothing is read meanwhile. */
static void wait_for_answer(struct hf_conn *c, const uint8_t *rest, size_t rest_len)
{
    size_t sent = 0;
    enter(c, HF_PHASE_ANSWER);
    if (hf_output_send(&c->conns->output, &c->stream, false, &sent) != HF_STREAM_BROKEN)
        c->pending = hf_pending_new(&c->conns->output, sent, rest, rest_len);
    if (c->pending == NULL) {
        hf_conn_close(c);
        return;
    }
    if (c->is_polled)
        (void)uv_poll_stop(&c->poll);
    c->polled_events = 0;
}

/* What was kept is sent, or its answer is there: go on with the requests behind it. */
static void resume(struct hf_conn *c)
{
    struct hf_pending *kept = c->pending;
    c->pending = NULL;
    consume(c, kept->input, kept->input_len);
    hf_pending_free(kept);
}

/* The one way to an answer: `head`, then `text` or `body`, neither after HEAD. */
static void answer(struct hf_request *request, unsigned status, struct hf_bytes head,
                   struct hf_bytes text, struct hf_body *body)
{
    struct hf_conn *c = request->conn;
    struct hf_conns *conns = c->conns;
    struct hf_output *out = &conns->output;
    bool is_late = c->phase == HF_PHASE_ANSWER;
    bool has_body = request->method != HTTP_HEAD;

    c->is_handled = false;
    if (c->is_closed) {
        release_request(c);
        if (!c->is_polled)
            conns->on_end(c);
        return;
    }
    if (is_late) { /* there was room for one more answer, or it would have been sent first */
        hf_output_clear(out);
        hf_output_append(out, c->pending->data, c->pending->bytes_len);
    }
    c->must_linger = request->refused != 0 || status == 400;
    c->is_last = c->must_linger || !request->is_keep_alive || conns->is_draining;
    const char *connection = c->is_last             ? "Connection: close\r\n\r\n"
                             : request->is_http_1_0 ? "Connection: keep-alive\r\n\r\n"
                                                    : "\r\n";
    hf_output_append(out, head.data, head.len);
    hf_output_append(out, conns->date_line, strlen(conns->date_line));
    hf_output_append(out, connection, strlen(connection));
    size_t body_len = 0;
    if (has_body && body != NULL) {
        hf_output_append_body(out, body);
        body_len = body->bytes.len;
    } else if (has_body) {
        hf_output_append(out, text.data, text.len);
        body_len = text.len;
    }
    if (conns->config.access_log != NULL)
        hf_access_log_add(conns->config.access_log, &c->peer, request, status, body_len);
    release_request(c);
    if (is_late) {
        enter(c, HF_PHASE_IDLE);
        resume(c);
    }
}

static void answer_text(struct hf_request *request, unsigned status, const char *type,
                        struct hf_bytes text, const char *header)
{
    char head[HF_HTTP_ANSWER_HEAD_MAX];
    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 %u %s\r\nServer: holdfastd\r\nContent-Type: %s\r\n"
                   "Content-Length: %zu\r\nCache-Control: no-store\r\n%s",
                   status, hf_status_phrase(status), type, text.len, header);
    answer(request, status, hf_bytes_of_text(head), text, NULL);
}

void hf_answer_text(struct hf_request *request, unsigned status, const char *type, const char *text,
                    size_t len)
{
    answer_text(request, status, type, (struct hf_bytes){(const uint8_t *)text, len}, "");
}

void hf_answer_refusal(struct hf_request *request, unsigned status)
{
    const struct hf_http_config *config = &request->conn->conns->config;
    const struct hf_refusal *refusal = NULL;
    char text[256];
    for (size_t i = 0; i < config->n_refusals && refusal == NULL; i++)
        if (config->refusals[i].status == status)
            refusal = &config->refusals[i];
    (void)snprintf(text, sizeof text, "%u %s%s%s\n", status, hf_status_phrase(status),
                   refusal != NULL ? ": " : "", refusal != NULL ? refusal->sentence : "");
    answer_text(request, status, "text/plain", hf_bytes_of_text(text),
                refusal != NULL && refusal->header != NULL ? refusal->header : "");
}

void hf_answer_body(struct hf_request *request, unsigned status, struct hf_bytes head,
                    struct hf_body *body)
{
    answer(request, status, head, hf_bytes_of_text(""), body);
}

uv_loop_t *hf_request_loop(const struct hf_request *request)
{
    return request->conn->conns->uv;
}

static void handle(struct hf_conn *c)
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
    else if ((c->request = malloc(sizeof *c->request)) == NULL)
        return false;
    hf_request_begin(c->request, &c->parser, conns->config.body_max);
    c->request->conn = c;
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
        if (!hf_request_feed(c->request, &c->parser, data, len, &used))
            break;
        data += used;
        len -= used;
        handle(c);
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
    enum hf_stream_result result = hf_stream_read(&c->stream, conns->input, sizeof conns->input,
                                                  &len);
    hf_output_clear(&conns->output);
    if (len > 0)
        consume(c, conns->input, len);
    else if (result == HF_STREAM_BLOCKED)
        wait_for_request(c);
    else
        hf_conn_close(c); /* the client is done, or gone */
}

static void on_writable(struct hf_conn *c)
{
    size_t sent = 0;
    switch (hf_pending_send(c->pending, &c->stream, &sent)) {
    case HF_STREAM_BROKEN:
        hf_conn_close(c);
        break;
    case HF_STREAM_BLOCKED:
        c->moved += sent;
        break;
    case HF_STREAM_DONE:
        hf_output_clear(&c->conns->output);
        resume(c);
        break;
    }
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
    if (c->phase == HF_PHASE_WRITE &&
        c->unacked + c->moved >= hf_stream_unacknowledged(&c->stream) + HF_HTTP_PROGRESS_BYTES) {
        enter(c, HF_PHASE_WRITE);
    } else if (c->phase != HF_PHASE_HEAD || c->request == NULL) {
        close_conn(c, c->phase == HF_PHASE_WRITE);
    } else {
        hf_output_clear(&c->conns->output);
        c->request->refused = 408;
        handle(c);
        if (send_answers(c, NULL, 0))
            finish(c);
    }
}

void hf_conn_drain(struct hf_conn *c)
{
    if (c->phase == HF_PHASE_IDLE || (c->phase == HF_PHASE_HEAD && c->request == NULL))
        on_readable(c);
}
