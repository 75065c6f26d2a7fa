/*
 * An answer that goes on, such as server-sent events: its body ends with the connection (RFC 9112,
 * 6.3), which its owner, the client, or the end of the server closes.
 *
 *     hf_feed_begin(request, "text/event-stream", &mine->feed);
 *
 *     on_room, and whenever there is something new:
 *         while (hf_feed_has_room(feed) && next(mine, &text))
 *             if (!hf_feed_append(feed, text))
 *                 return;
 *
 * Nothing is queued here. There is room only while the client's socket has taken all that was
 * appended before, so a client that reads slowly costs the rest of one append. It is cut off as any
 * slow reader of an answer (limits.h), and also when it has not taken within HF_HTTP_FEED_IDLE_MS
 * what came last. A client that sends anything more is closed.
 */
#ifndef HF_HTTP_FEED_H
#define HF_HTTP_FEED_H

#include "server/http/connection.h"

/** Part of a struct of its owner, who sets the three functions; they are called on the loop's
 *  thread. */
struct hf_feed {
    /* There is room again; the first time when the head of the answer is sent. */
    void (*on_room)(struct hf_feed *feed);
    /* Nothing was appended for HF_HTTP_FEED_IDLE_MS: append something, so that both sides see that
     * the other is there. */
    void (*on_idle)(struct hf_feed *feed);
    /* It has ended; the feed may be freed. Also called from within each function below. */
    void (*on_end)(struct hf_feed *feed);
    struct hf_conn *conn; /* NULL: it has not begun, or has ended */
};

/** As hf_answer_text, with status 200; not for HEAD. The client may be gone: then the feed ends at
 *  once. */
void hf_feed_begin(struct hf_request *request, const char *type, struct hf_feed *feed);

bool hf_feed_has_room(const struct hf_feed *feed);
/** Send `text`, at most HF_HTTP_OUTPUT_BYTES; only while there is room, and not while a handler
 *  works on a request. False: the feed has ended. */
HF_MUST_USE bool hf_feed_append(struct hf_feed *feed, struct hf_bytes text);
/** End it. What the client has not taken yet is dropped. */
void hf_feed_end(struct hf_feed *feed);

#endif
