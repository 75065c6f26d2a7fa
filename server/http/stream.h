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

enum hf_stream_result {
    HF_STREAM_DONE,
    HF_STREAM_BLOCKED, /* the stream takes or has no more now: wait for it */
    HF_STREAM_BROKEN,  /* the client is gone */
};

/** Read once. HF_STREAM_DONE with `*len` bytes, 0 when the client has ended; HF_STREAM_BLOCKED if
 *  nothing has arrived. */
enum hf_stream_result hf_stream_read(struct hf_stream *s, void *data, size_t size, size_t *len);

/**
 * Write two pieces, the second may be empty, in one step. `*sent` counts the bytes of both that were
 * accepted; HF_STREAM_BLOCKED if that is not all. `has_end`: hf_stream_end follows when all is sent, so
 * that both share a packet.
 */
enum hf_stream_result hf_stream_write(struct hf_stream *s, struct hf_bytes first,
                                      struct hf_bytes second, bool has_end, size_t *sent);

/** Bytes that were sent and that the client has not acknowledged. */
size_t hf_stream_unacknowledged(const struct hf_stream *s);

/** Tell the client that nothing more is written. False when the connection is broken. */
bool hf_stream_end(struct hf_stream *s);

/** Close. The kernel still delivers what was sent, unless `drops_unsent`: a client that accepts nothing
 *  any more would keep its bytes in the kernel for minutes. */
void hf_stream_close(struct hf_stream *s, bool drops_unsent);

#endif
