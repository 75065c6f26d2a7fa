/*
 * Answers on their way to a socket. Heads and small bodies of all requests that came in one read
 * are collected in the loop's one output and leave in one write; at most one large body follows
 * from where it lies. What the socket does not take becomes the connection's own `hf_pending`,
 * together with the requests that were read behind it.
 */
#ifndef HF_SERVE_OUTPUT_H
#define HF_SERVE_OUTPUT_H

#include "server/serve/limits.h"
#include "server/serve/served_file.h"

enum hf_sent {
    HF_SENT_ALL,
    HF_SENT_PART,   /* the socket takes no more now */
    HF_SENT_BROKEN, /* the client is gone */
};

struct hf_output {
    struct hf_served_file *file; /* borrowed; its body follows the bytes; or NULL */
    size_t len;
    uint8_t bytes[HF_SERVE_OUTPUT_BYTES];
};

void hf_output_clear(struct hf_output *out);
/** The next answer may not fit: send first. */
bool hf_output_is_full(const struct hf_output *out);
/** There is room for HF_SERVE_ANSWER_BYTES_MAX bytes after hf_output_is_full said no. */
void hf_output_append(struct hf_output *out, const void *data, size_t len);
/** The body of a file, copied or by reference. Nothing may be appended after it until it is sent
 *  when the output is then full. */
void hf_output_append_body(struct hf_output *out, struct hf_served_file *file);
/** One write. `*sent` is how much of bytes and body together is on its way. `is_closing`: close(2)
 *  follows when all is sent, so that the end of the answer and of the connection share a packet. */
enum hf_sent hf_output_send(const struct hf_output *out, int fd, bool is_closing, size_t *sent);

struct hf_pending {
    struct hf_served_file *file; /* a reference of its own, or NULL */
    size_t body_at;              /* how much of its body is sent */
    size_t bytes_len;            /* before the body */
    size_t bytes_at;
    size_t input_len; /* requests read and not yet looked at */
    uint8_t data[];   /* bytes, then input */
};

/** What is left of `out` after `sent`, and `input` (may be empty). NULL without memory. */
struct hf_pending *hf_pending_new(const struct hf_output *out, size_t sent, const uint8_t *input,
                                  size_t input_len);
/** One write; `*sent` is how much it took. */
enum hf_sent hf_pending_send(struct hf_pending *p, int fd, size_t *sent);
const uint8_t *hf_pending_input(const struct hf_pending *p);
void hf_pending_free(struct hf_pending *p);

#endif
