/* What comes before HTTP: a balancer's header, and the TLS handshake. */
#include "server/http/connection_parts.h"

#include "server/http/tls_conn.h"

#include <stdio.h>
#include <stdlib.h>

#define TLS_HANDSHAKE_RECORD 22 /* the first byte of every client that speaks TLS (RFC 8446, 5.1) */

struct hf_proxy_input {
    size_t len;
    uint8_t bytes[HF_PROXY_BYTES_MAX];
};

/* ---- a balancer's header --------------------------------------------------------------------- */

/* From now on the client behind the balancer is the peer, also where connections are counted. */
static bool become_client(struct hf_conn *c, const struct hf_proxy *proxy)
{
    if (!proxy->has_client)
        return true;
    c->peer = proxy->client;
    c->is_counted = hf_address_count_add(c->conns->config.addresses, &c->peer);
    if (!c->is_counted)
        c->conns->on_too_many(c);
    return c->is_counted;
}

/* Read the header and not a byte more: what follows may be TLS, which reads the socket itself.
 * False: it is not there yet, or the connection is closed. */
static bool read_proxy(struct hf_conn *c)
{
    struct hf_proxy_input *in = c->proxy;
    struct hf_proxy proxy;
    size_t needed = 0;
    for (;;) {
        size_t len = 0;
        enum hf_proxy_result parsed = hf_proxy_parse((struct hf_bytes){in->bytes, in->len}, &needed,
                                                     &proxy);
        if (parsed == HF_PROXY_DONE)
            break;
        enum hf_stream_result result = HF_STREAM_BROKEN;
        if (parsed == HF_PROXY_MORE)
            result = hf_stream_read_raw(&c->stream, in->bytes + in->len, needed - in->len, &len);
        if (result == HF_STREAM_BLOCKED) {
            hf_conn_wait_for(c, HF_STREAM_INPUT);
            return false;
        }
        if (len == 0) {
            hf_conn_close(c);
            return false;
        }
        in->len += len;
    }
    free(c->proxy);
    c->proxy = NULL;
    if (become_client(c, &proxy))
        return true;
    hf_conn_close(c);
    return false;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

/* What does not speak TLS gets one answer that it may understand: of HTTP, or an alert,
 * unexpected_message. */
static void refuse_stranger(struct hf_conn *c, uint8_t first)
{
    static const char text[] = "400 Bad Request: this port speaks TLS; begin the URL with https\n";
    static const uint8_t alert[] = {21, 3, 1, 0, 2, 2, SSL_AD_UNEXPECTED_MESSAGE};
    char http[HF_HTTP_ANSWER_HEAD_MAX];
    (void)snprintf(http, sizeof http,
                   "HTTP/1.1 400 Bad Request\r\nServer: holdfastd\r\nContent-Type: text/plain\r\n"
                   "Content-Length: %zu\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n%s",
                   sizeof text - 1, text);
    if (first >= 'A' && first <= 'Z')
        hf_stream_send_raw(&c->stream, hf_bytes_of_text(http));
    else
        hf_stream_send_raw(&c->stream, (struct hf_bytes){alert, sizeof alert});
    c->must_linger = true;
    hf_conn_finish(c);
}

/* OpenSSL gets memory for a connection only once the client has begun to speak TLS, and not for
 * more handshakes than may be under way: the oldest makes room, since it has had the most time. */
static bool begin_tls(struct hf_conn *c)
{
    struct hf_conns *conns = c->conns;
    uint8_t first = 0;
    size_t len = 0;
    enum hf_stream_result result = hf_stream_peek(&c->stream, &first, &len);
    if (result == HF_STREAM_BLOCKED) {
        hf_conn_wait_for(c, HF_STREAM_INPUT);
        return false;
    }
    if (len == 0) {
        hf_conn_close(c);
        return false;
    }
    if (first != TLS_HANDSHAKE_RECORD) {
        refuse_stranger(c, first);
        return false;
    }
    if (conns->n_handshakes >= conns->config.handshakes_max)
        hf_conn_close(TAILQ_FIRST(&conns->phases[HF_PHASE_HANDSHAKE]));
    c->stream.tls = hf_tls_conn_new(conns->config.tls, conns->config.tls_rules, c->stream.fd);
    if (c->stream.tls == NULL) {
        hf_conn_close(c);
        return false;
    }
    hf_conn_enter(c, HF_PHASE_HANDSHAKE);
    return true;
}

/* An alert that was sent must reach the client, although more of it may be on its way to us:
 * closing at once would destroy it (as an answer, RFC 9112, 9.6). */
static void end_handshake(struct hf_conn *c)
{
    const struct hf_tls_conn *tls = c->stream.tls;
    struct hf_access_log *log = c->conns->config.access_log;
    struct hf_http_counters *counters = &c->conns->counters;
    hf_count(&counters->failed_handshakes, 1);
    if (tls->alert_sent >= 0 && tls->alert_sent < (int)HF_HTTP_ALERTS)
        hf_count(&counters->alerts[tls->alert_sent], 1);
    if (log != NULL && (tls->alert_sent > 0 || tls->alert_received > 0))
        hf_access_log_add_handshake(log, &c->peer, &tls->peer, tls->alert_sent,
                                    tls->alert_received);
    c->must_linger = tls->alert_sent > 0;
    hf_stream_end_tls(&c->stream);
    hf_conn_finish(c);
}

static bool shake_hands(struct hf_conn *c)
{
    if (c->stream.tls == NULL && !begin_tls(c))
        return false;
    switch (hf_tls_handshake(c->stream.tls)) {
    case HF_STREAM_DONE:
        hf_count(c->stream.tls->peer.is_resumed ? &c->conns->counters.resumed_handshakes
                                                : &c->conns->counters.full_handshakes,
                 1);
        return true;
    case HF_STREAM_BLOCKED:
        hf_conn_wait_for(c, c->stream.tls->waits_to_read);
        return false;
    case HF_STREAM_BROKEN:
        break;
    }
    end_handshake(c);
    return false;
}

bool hf_conn_expect_proxy(struct hf_conn *c)
{
    c->proxy = calloc(1, sizeof *c->proxy);
    return c->proxy != NULL;
}

bool hf_conn_open(struct hf_conn *c)
{
    return (c->proxy == NULL || read_proxy(c)) && (c->conns->config.tls == NULL || shake_hands(c));
}
