/*
 * What carries the bytes between a client and its connection: a TCP socket that never blocks. Nothing
 * else reads or writes it, so that TLS can go in between here.
 */
#ifndef HF_HTTP_STREAM_H
#define HF_HTTP_STREAM_H

#include <holdfast/bytes.h>

struct hf_stream {
    int fd;
};

enum hf_moved {
    HF_MOVED_ALL,
    HF_MOVED_PART,   /* the stream takes or has no more now: wait for it */
    HF_MOVED_BROKEN, /* the client is gone */
};

/** Read once. HF_MOVED_ALL with `*len` bytes, 0 at the client's end; HF_MOVED_PART for nothing now. */
enum hf_moved hf_stream_read(struct hf_stream *s, void *data, size_t size, size_t *len);

/**
 * Write two pieces, the second may be empty, in one step. `*sent` is how much of both together is on its
 * way. `has_end`: the end follows when all is sent, so that both share a packet.
 */
enum hf_moved hf_stream_write(struct hf_stream *s, struct hf_bytes first, struct hf_bytes second,
                              bool has_end, size_t *sent);

/** Bytes that were sent and that the client has not acknowledged. */
size_t hf_stream_unacknowledged(const struct hf_stream *s);

/** Nothing more is written. False when that cannot be said any more. */
bool hf_stream_end(struct hf_stream *s);

/** Close; what was sent goes on its way. */
void hf_stream_close(struct hf_stream *s);

/** Before closing: what the client has not taken is dropped, and it is told so. A client that takes
 *  nothing any more would keep what it was sent in the kernel for minutes. */
void hf_stream_drop_unsent(struct hf_stream *s);

#endif
