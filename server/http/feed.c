#include "server/http/feed.h"

#include "server/http/connection_parts.h"

#include <stdio.h>

void hf_feed_begin(struct hf_request *request, const char *type, struct hf_feed *feed)
{
    struct hf_conn *c = request->conn;
    char head[HF_HTTP_ANSWER_HEAD_MAX];
    bool is_gone = c->is_closed;

    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 200 OK\r\nServer: holdfastd\r\nContent-Type: %s\r\n"
                   "Cache-Control: no-store\r\n",
                   type);
    if (!is_gone) {
        feed->conn = c;
        c->feed = feed;
    }
    hf_conn_answer(request, 200, hf_bytes_of_text(head), hf_bytes_of_text(""), NULL);
    if (is_gone)
        feed->on_end(feed);
}

bool hf_feed_has_room(const struct hf_feed *feed)
{
    return feed->conn != NULL && feed->conn->phase == HF_PHASE_FEED;
}

/* All is sent: wait for the client's end, and for more to send. */
static void wait_for_more(struct hf_conn *c)
{
    hf_conn_enter(c, HF_PHASE_FEED);
    hf_conn_wait_for(c, hf_stream_waits_to_read(&c->stream));
}

bool hf_feed_append(struct hf_feed *feed, struct hf_bytes text)
{
    struct hf_conn *c = feed->conn;
    struct hf_output *out = &c->conns->output;

    hf_output_clear(out);
    hf_output_append(out, text.data, text.len);
    hf_count(&c->conns->counters.body_bytes, text.len);
    if (hf_conn_send(c, NULL, 0))
        wait_for_more(c);
    return !c->is_closed;
}

void hf_feed_end(struct hf_feed *feed)
{
    if (hf_feed_has_room(feed))
        hf_conn_close(feed->conn);
    else if (feed->conn != NULL)
        hf_conn_drop(feed->conn);
}

/* ---- for the connection ---------------------------------------------------------------------- */

void hf_feed_go_on(struct hf_conn *c)
{
    if (c->conns->is_draining) {
        hf_conn_close(c);
        return;
    }
    wait_for_more(c);
    if (!c->is_closed)
        c->feed->on_room(c->feed);
}

void hf_feed_time_out(struct hf_conn *c)
{
    if (hf_stream_unacknowledged(&c->stream) > 0) {
        hf_conn_drop(c);
        return;
    }
    hf_conn_enter(c, HF_PHASE_FEED); /* its time begins again, whatever the owner does */
    c->feed->on_idle(c->feed);
}
