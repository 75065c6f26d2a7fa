/*
 * Server-sent events as they arrive (WHATWG HTML, 9.2.6), in whatever pieces. No I/O.
 */
#ifndef HF_ADMIN_EVENT_STREAM_H
#define HF_ADMIN_EVENT_STREAM_H

#include <holdfast/bytes.h>

/* A line, and the data of an event: sixteen times what the service sends. */
#define HF_EVENT_STREAM_BYTES_MAX 65536u
#define HF_EVENT_STREAM_WORD_MAX                                                                   \
    64u /* an id or a kind, with the NUL; those of the service have 40 */

/* Borrowed for the call. */
struct hf_stream_event {
    const char *kind; /* "message" where none was named */
    const char *id;   /* of the last event that had one; "" before */
    struct hf_bytes data;
};

struct hf_event_stream {
    enum hf_err (*take)(void *ctx, const struct hf_stream_event *event, struct hf_why *why);
    void *ctx;
    char id
        [HF_EVENT_STREAM_WORD_MAX]; /* where to go on (Last-Event-ID): kept from stream to stream */

    /* Of this stream. */
    char next_id[HF_EVENT_STREAM_WORD_MAX], kind[HF_EVENT_STREAM_WORD_MAX];
    struct hf_buf line, data;
    bool is_begun; /* a byte order mark could only be before */
    bool is_after_cr;
};

/** A new stream begins, perhaps after one that broke in the middle of an event. */
void hf_event_stream_begin(struct hf_event_stream *stream);
/** Give each whole event to `take`, whose error ends it. HF_E_LIMIT, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_event_stream_feed(struct hf_event_stream *stream, struct hf_bytes bytes,
                                             struct hf_why *why);
void hf_event_stream_free(struct hf_event_stream *stream);

#endif
