/*
 * Responses on their way to a client. Heads and small bodies of all requests that came in one read
 * are collected in the loop's one output and leave in one write; at most one large body follows
 * from where it lies. What the stream does not accept becomes the connection's own `hf_pending`,
 * together with the requests that were read behind it.
 */
#ifndef HF_HTTP_RESPONSE_H
#define HF_HTTP_RESPONSE_H

#include "server/http/limits.h"
#include "server/http/stream.h"

#include <stdatomic.h>

/**
 * An immutable body with a reference count: answers on several threads share it, and a slow client
 * keeps only what it is reading. Embedded in a struct of its owner, which makes it with one
 * reference.
 */
struct hf_body {
    atomic_uint references;
    struct hf_bytes bytes;
    void (*free)(struct hf_body *body); /* the last reference is gone */
};
/** One more reference; returns `body`. From any thread, as the next. */
struct hf_body *hf_body_ref(struct hf_body *body);
/** NULL is fine. */
void hf_body_unref(struct hf_body *body);

struct hf_output {
    struct hf_body *body; /* a reference of its own; it follows the bytes; or NULL */
    size_t len;
    uint8_t bytes[HF_HTTP_OUTPUT_BYTES];
};

void hf_output_clear(struct hf_output *out);
/** The next answer may not fit: send first. */
bool hf_output_is_full(const struct hf_output *out);
/** There is room for HF_HTTP_ANSWER_BYTES_MAX bytes after hf_output_is_full said no. */
void hf_output_append(struct hf_output *out, const void *data, size_t len);
/** A body, copied or by reference. If the output is full then, nothing may be appended before it is
 *  sent. */
void hf_output_append_body(struct hf_output *out, struct hf_body *body);
/** One write. `*sent` counts the bytes of head and body that were accepted. `is_closing`: the end
 *  of the connection follows. */
enum hf_stream_result hf_output_send(const struct hf_output *out, struct hf_stream *stream,
                                     bool is_closing, size_t *sent);

struct hf_pending {
    struct hf_body *body; /* a reference of its own, or NULL */
    size_t body_at;       /* how much of it is sent */
    size_t bytes_len;     /* before the body */
    size_t bytes_at;
    const uint8_t *input; /* requests that were read and not yet parsed; in `data` */
    size_t input_len;
    uint8_t data[]; /* bytes, then input */
};

/** What is left of `out` after `sent`, and `input` (may be empty). NULL without memory. */
struct hf_pending *hf_pending_new(const struct hf_output *out, size_t sent, const uint8_t *input,
                                  size_t input_len);
/** One write; `*sent` counts the bytes that were accepted. */
enum hf_stream_result hf_pending_send(struct hf_pending *p, struct hf_stream *stream, size_t *sent);
void hf_pending_free(struct hf_pending *p);

/** "Not Found" for 404; "" for a status that no server here uses (RFC 9112, 4: it may be empty). */
const char *hf_status_phrase(unsigned status);

#define HF_DATE_LINE_MAX 40 /* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" and its NUL */
/** The Date header of this second (RFC 9110, 6.6.1). */
void hf_date_line(int64_t now_s, char out[HF_DATE_LINE_MAX]);

#endif
