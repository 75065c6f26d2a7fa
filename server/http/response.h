/*
 * Responses on their way to a client. Heads and small bodies of all requests that came in one read
 * are collected in the loop's one output and leave in one write; at most one large body follows
 * from where it lies. What the stream does not take becomes the connection's own `hf_pending`,
 * together with the requests that were read behind it.
 */
#ifndef HF_HTTP_RESPONSE_H
#define HF_HTTP_RESPONSE_H

#include "server/http/limits.h"
#include "server/http/stream.h"

#include <stdatomic.h>

/**
 * A body that is counted, so that answers on several threads share it and a slow client keeps only what
 * it is reading. Immutable. Part of a struct of its owner's, who makes it with one reference.
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
    struct hf_body *body; /* borrowed; it follows the bytes; or NULL */
    size_t len;
    uint8_t bytes[HF_HTTP_OUTPUT_BYTES];
};

void hf_output_clear(struct hf_output *out);
/** The next answer may not fit: send first. */
bool hf_output_is_full(const struct hf_output *out);
/** There is room for HF_HTTP_ANSWER_BYTES_MAX bytes after hf_output_is_full said no. */
void hf_output_append(struct hf_output *out, const void *data, size_t len);
/** A body, copied or by reference. Nothing may be appended after it until it is sent when the output
 *  is then full. */
void hf_output_append_body(struct hf_output *out, struct hf_body *body);
/** One write. `*sent` is how much of bytes and body together is on its way. `is_closing`: the end of
 *  the connection follows. */
enum hf_moved hf_output_send(const struct hf_output *out, struct hf_stream *stream, bool is_closing,
                             size_t *sent);

/* ---- heads ------------------------------------------------------------------------------------- */

/** What a server says to a request that it does not serve: "STATUS PHRASE: SENTENCE" as plain text. */
struct hf_refusal {
    unsigned status;
    const char *sentence;
    const char *header; /* one more, with its line end; NULL: none */
};

/** What the connection will do after this answer. */
enum hf_persistence {
    HF_PERSIST,        /* stay open, as HTTP/1.1 does without a word */
    HF_PERSIST_SAY_SO, /* stay open, to an HTTP/1.0 client that asked */
    HF_PERSIST_NOT,    /* close */
};

#define HF_DATE_LINE_MAX 40 /* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" and its NUL */
/** The Date header of this second (RFC 9110, 6.6.1). */
void hf_date_line(int64_t now_s, char out[HF_DATE_LINE_MAX]);

/** The head of a text that must not be kept, from the status line on; `header` may be NULL. */
void hf_output_begin_text(struct hf_output *out, unsigned status, const char *type, size_t body_len,
                          const char *header);
/** The last lines of a head. */
void hf_output_end_head(struct hf_output *out, enum hf_persistence persistence,
                        const char *date_line);

/** "404 Not Found: SENTENCE" for `status`, of which `refusals` should have one. Returns the length;
 *  `*header` as in hf_refusal. */
#define HF_REFUSAL_TEXT_MAX 256
size_t hf_refusal_text(const struct hf_refusal *refusals, size_t n_refusals, unsigned status,
                       char out[HF_REFUSAL_TEXT_MAX], const char **header);

/* ---- what is left ------------------------------------------------------------------------------ */

struct hf_pending {
    struct hf_body *body; /* a reference of its own, or NULL */
    size_t body_at;       /* how much of it is sent */
    size_t bytes_len;     /* before the body */
    size_t bytes_at;
    size_t input_len; /* requests read and not yet looked at */
    uint8_t data[];   /* bytes, then input */
};

/** What is left of `out` after `sent`, and `input` (may be empty). NULL without memory. */
struct hf_pending *hf_pending_new(const struct hf_output *out, size_t sent, const uint8_t *input,
                                  size_t input_len);
/** One write; `*sent` is how much it took. */
enum hf_moved hf_pending_send(struct hf_pending *p, struct hf_stream *stream, size_t *sent);
const uint8_t *hf_pending_input(const struct hf_pending *p);
void hf_pending_free(struct hf_pending *p);

#endif
