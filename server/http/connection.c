#include "server/http/connection_parts.h"

#include "server/http/feed.h"
#include "server/http/tls_conn.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(HF_STREAM_INPUT == UV_READABLE && HF_STREAM_OUTPUT == UV_WRITABLE,
               "what a stream waits for is what uv_poll takes");

static void on_ready(uv_poll_t *poll, int status, int events);
static void consume(struct hf_conn *c, const uint8_t *data, size_t len);

void hf_conn_enter(struct hf_conn *c, enum hf_phase phase)
{
    struct hf_conns *conns = c->conns;
    TAILQ_REMOVE(&conns->phases[c->phase], c, link);
    conns->n_handshakes -= c->phase == HF_PHASE_HANDSHAKE;
    conns->n_handshakes += phase == HF_PHASE_HANDSHAKE;
    c->phase = phase;
    c->since_ms = uv_now(conns->uv);
    c->moved = 0;
    TAILQ_INSERT_TAIL(&conns->phases[phase], c, link);
    /* The progress of a client is what it acknowledges: the socket's buffer accepts bytes in large
     * steps, and on a slow link with long pauses. */
    if (phase == HF_PHASE_WRITE) {
        (void)hf_stream_pushed(&c->stream, 0);
        c->unacked = hf_stream_unacknowledged(&c->stream);
    }
}

void hf_conn_wait_for(struct hf_conn *c, unsigned what)
{
    int events = (int)what;
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
        hf_conn_wait_for(c, hf_stream_waits_to_read(&c->stream));
}

/* ---- closing --------------------------------------------------------------------------------- */

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
    struct hf_feed *feed = c->feed;
    TAILQ_REMOVE(&conns->phases[c->phase], c, link);
    conns->n_handshakes -= c->phase == HF_PHASE_HANDSHAKE;
    c->is_closed = true;
    if (feed != NULL) {
        c->feed = NULL;
        feed->conn = NULL;
        feed->on_end(feed);
    }
    hf_pending_free(c->pending);
    free(c->proxy);
    if (!c->is_handled)
        release_request(c);
    if (c->is_counted)
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

void hf_conn_drop(struct hf_conn *c)
{
    close_conn(c, true);
}

/* Throw away what the client sends, until it has seen our end and closes. */
static void linger(struct hf_conn *c)
{
    struct hf_conns *conns = c->conns;
    for (;;) {
        size_t len = 0;
        enum hf_stream_result result = hf_stream_read_raw(&c->stream, conns->input,
                                                          sizeof conns->input, &len);
        c->moved += len;
        if (result == HF_STREAM_BLOCKED) {
            hf_conn_wait_for(c, HF_STREAM_INPUT);
            return;
        }
        if (len == 0 || c->moved > HF_HTTP_LINGER_BYTES_MAX) {
            hf_conn_close(c);
            return;
        }
    }
}

void hf_conn_finish(struct hf_conn *c)
{
    if (!c->must_linger || !hf_stream_end(&c->stream)) {
        hf_conn_close(c);
        return;
    }
    hf_conn_enter(c, HF_PHASE_LINGER);
    linger(c);
}

/* ---- answering ------------------------------------------------------------------------------- */

bool hf_conn_send(struct hf_conn *c, const uint8_t *rest, size_t rest_len)
{
    size_t sent = 0;
    bool is_closing = c->is_last && !c->must_linger && c->feed == NULL;
    enum hf_stream_result result = hf_output_send(&c->conns->output, &c->stream, is_closing, &sent);
    if (result == HF_STREAM_DONE) {
        hf_output_clear(&c->conns->output);
        return true;
    }
    /* The socket is full: keep what is left, and the requests behind it, and read no more. */
    if (result == HF_STREAM_BLOCKED)
        c->pending = hf_pending_new(&c->conns->output, sent, rest, c->is_last ? 0 : rest_len);
    hf_output_clear(&c->conns->output);
    if (c->pending == NULL) {
        hf_conn_close(c);
        return false;
    }
    hf_conn_enter(c, HF_PHASE_WRITE);
    hf_conn_wait_for(c, hf_stream_waits_to_write(&c->stream));
    return false;
}

/* The handler answers later. What was answered before is sent; what the stream does not accept, and
 * the input behind, is kept, and nothing is read meanwhile. The kernel goes on watching the socket:
 * most clients send nothing until they have their answer, and to stop and start again would be
 * three system calls. */
static void wait_for_answer(struct hf_conn *c, const uint8_t *rest, size_t rest_len)
{
    size_t sent = 0;
    hf_conn_enter(c, HF_PHASE_ANSWER);
    if (hf_output_send(&c->conns->output, &c->stream, false, &sent) != HF_STREAM_BROKEN)
        c->pending = hf_pending_new(&c->conns->output, sent, rest, rest_len);
    if (c->pending == NULL)
        hf_conn_close(c);
}

/* What was kept is sent, or its answer is there: go on with the requests behind it. */
static void resume(struct hf_conn *c)
{
    struct hf_pending *kept = c->pending;
    c->pending = NULL;
    consume(c, kept->input, kept->input_len);
    hf_pending_free(kept);
}

void hf_conn_answer(struct hf_request *request, unsigned status, struct hf_bytes head,
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
    c->is_last = c->must_linger || !request->is_keep_alive || conns->is_draining || c->feed != NULL;
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
    if (status / 100 < sizeof conns->counters.answers / sizeof conns->counters.answers[0])
        hf_count(&conns->counters.answers[status / 100], 1);
    hf_count(&conns->counters.body_bytes, body_len);
    if (conns->config.access_log != NULL)
        hf_access_log_add(conns->config.access_log, &c->peer, request, status, body_len);
    release_request(c);
    if (is_late) {
        hf_conn_enter(c, HF_PHASE_IDLE);
        resume(c);
    }
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

/* ---- reading --------------------------------------------------------------------------------- */

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
    c->request->body_rules = conns->config.body_rules;
    c->request->n_body_rules = conns->config.n_body_rules;
    c->request->conn = c;
    hf_conn_enter(c, HF_PHASE_HEAD);
    return true;
}

/* The request is not whole. If that is for its body, it has its own time, and the client may wait
 * to be told to send it (RFC 9110, 10.1.1). */
static void await_body(struct hf_conn *c)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!c->request->is_head_whole)
        return;
    if (c->phase != HF_PHASE_BODY)
        hf_conn_enter(c, HF_PHASE_BODY);
    if (c->request->must_continue && c->request->body.len == 0)
        hf_output_append(&c->conns->output, go_on, sizeof go_on - 1);
    c->request->must_continue = false;
}

/* Answer every whole request in `data`, in order, behind what the output holds; remember the
 * beginning of the last. */
static void consume(struct hf_conn *c, const uint8_t *data, size_t len)
{
    struct hf_output *out = &c->conns->output;
    while (len > 0 && !c->is_last) {
        size_t used = 0;
        if (hf_output_is_full(out) && !hf_conn_send(c, data, len))
            return;
        if (!begin_request(c)) {
            hf_conn_close(c);
            return;
        }
        if (!hf_request_feed(c->request, &c->parser, data, len, &used)) {
            await_body(c);
            break;
        }
        if (c->stream.tls != NULL && !hf_tls_is_allowed(c->stream.tls)) {
            hf_conn_close(c);
            return;
        }
        data += used;
        len -= used;
        handle(c);
        if (c->is_handled) {
            wait_for_answer(c, data, len);
            return;
        }
    }
    if (!hf_conn_send(c, NULL, 0))
        return;
    if (c->feed != NULL) {
        hf_feed_go_on(c);
        return;
    }
    if (c->is_last) {
        hf_conn_finish(c);
        return;
    }
    if (c->request == NULL)
        hf_conn_enter(c, HF_PHASE_IDLE);
    else if (c->phase != HF_PHASE_HEAD && c->phase != HF_PHASE_BODY)
        /* Its time has begun, unless it waited behind a write. */
        hf_conn_enter(c, c->request->is_head_whole ? HF_PHASE_BODY : HF_PHASE_HEAD);
    wait_for_request(c);
}

static void on_readable(struct hf_conn *c)
{
    struct hf_conns *conns = c->conns;
    size_t len = 0;
    enum hf_stream_result result = hf_stream_read(&c->stream, conns->input, sizeof conns->input,
                                                  &len);
    hf_output_clear(&conns->output);
    if (len > 0 && c->feed == NULL)
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
        c->moved += hf_stream_pushed(&c->stream, sent);
        hf_conn_wait_for(c, hf_stream_waits_to_write(&c->stream));
        break;
    case HF_STREAM_DONE:
        hf_output_clear(&c->conns->output);
        resume(c);
        break;
    }
}

static void open_conn(struct hf_conn *c)
{
    if (!hf_conn_open(c))
        return;
    hf_conn_enter(c, HF_PHASE_HEAD);
    on_readable(c);
}

/* The client sends more before it has its answer, or is gone: that is seen after the answer. */
static void look_away(struct hf_conn *c)
{
    (void)uv_poll_stop(&c->poll);
    c->polled_events = 0;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct hf_conn *c = poll->data;
    (void)events; /* an error is reported as whatever is waited for */
    if (c->phase == HF_PHASE_ANSWER)
        look_away(c);
    else if (status != 0)
        hf_conn_close(c);
    else if (c->phase == HF_PHASE_WRITE)
        on_writable(c);
    else if (c->phase == HF_PHASE_LINGER)
        linger(c);
    else if (c->phase <= HF_PHASE_HANDSHAKE)
        open_conn(c);
    else
        on_readable(c);
}

/* ---- for the loop ---------------------------------------------------------------------------- */

void hf_conn_begin_take(struct hf_conn *c, int fd, const union hf_peer *peer)
{
    const struct hf_http_config *config = &c->conns->config;
    c->stream.fd = fd;
    c->peer = *peer;
    bool is_plain = config->tls == NULL && !c->is_balanced;
    c->phase = is_plain ? HF_PHASE_HEAD : HF_PHASE_OPEN;
    c->since_ms = uv_now(c->conns->uv);
    TAILQ_INSERT_TAIL(&c->conns->phases[c->phase], c, link);
    hf_request_parser_init(&c->parser);
    if (is_plain)
        on_readable(c); /* with TCP_DEFER_ACCEPT its request is there already */
    else if (c->is_balanced && !hf_conn_expect_proxy(c))
        hf_conn_close(c);
    else
        open_conn(c);
}

void hf_conn_time_out(struct hf_conn *c)
{
    if (c->phase == HF_PHASE_WRITE &&
        c->unacked + c->moved >= hf_stream_unacknowledged(&c->stream) + HF_HTTP_PROGRESS_BYTES) {
        hf_conn_enter(c, HF_PHASE_WRITE);
    } else if (c->phase == HF_PHASE_FEED) {
        hf_feed_time_out(c);
    } else if ((c->phase != HF_PHASE_HEAD && c->phase != HF_PHASE_BODY) || c->request == NULL) {
        close_conn(c, c->phase == HF_PHASE_WRITE);
    } else {
        hf_output_clear(&c->conns->output);
        c->request->refused = 408;
        handle(c);
        if (hf_conn_send(c, NULL, 0))
            hf_conn_finish(c);
    }
}

void hf_conn_drain(struct hf_conn *c)
{
    if (c->phase == HF_PHASE_IDLE || (c->phase == HF_PHASE_HEAD && c->request == NULL))
        on_readable(c);
}

void hf_conn_recheck(struct hf_conn *c)
{
    if (c->stream.tls != NULL && c->stream.tls->is_established && !hf_tls_is_allowed(c->stream.tls))
        close_conn(c, c->phase == HF_PHASE_WRITE);
}
