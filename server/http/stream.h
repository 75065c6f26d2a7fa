/*
 * What carries the bytes between a client and its connection: a socket that never blocks, with or
 * without TLS. Nothing else reads or writes it.
 */
#ifndef HF_HTTP_STREAM_H
#define HF_HTTP_STREAM_H

#include <holdfast/bytes.h>

struct hf_tls_conn;

struct hf_stream {
    int fd;
    struct hf_tls_conn *tls; /* owned; NULL: plain, or not yet */
};

/* What a blocked step waits for; the numbers are those of uv_poll. */
#define HF_STREAM_INPUT 1u
#define HF_STREAM_OUTPUT 2u

enum hf_stream_result {
    HF_STREAM_DONE,
    HF_STREAM_BLOCKED, /* the stream takes or has no more now: wait for it */
    HF_STREAM_BROKEN,  /* the client is gone */
};

/** Read once. HF_STREAM_DONE with `*len` bytes, 0 when the client has ended; HF_STREAM_BLOCKED if
 *  nothing has arrived. */
enum hf_stream_result hf_stream_read(struct hf_stream *s, void *data, size_t size, size_t *len);

/**
 * Write two pieces, the second may be empty, in one step. `*sent` counts the bytes of both that
 * were accepted; HF_STREAM_BLOCKED if that is not all. `has_end`: hf_stream_end follows when all is
 * sent, so that both share a packet.
 */
enum hf_stream_result hf_stream_write(struct hf_stream *s, struct hf_bytes first,
                                      struct hf_bytes second, bool has_end, size_t *sent);

/** What to wait for before the next read or write: TLS may have to write before it can read, and it
 *  may hold input that the socket does not show any more; then a socket that takes output wakes at
 *  once. */
unsigned hf_stream_waits_to_read(const struct hf_stream *s);
unsigned hf_stream_waits_to_write(const struct hf_stream *s);

/** The socket's bytes themselves, also where there is TLS: the first one, which stays, as
 *  hf_stream_read … */
enum hf_stream_result hf_stream_peek(struct hf_stream *s, uint8_t *byte, size_t *len);
/** … read, to be thrown away or before TLS begins … */
enum hf_stream_result hf_stream_read_raw(struct hf_stream *s, void *data, size_t size, size_t *len);
/** … and sent in one step, or not at all: for the last words before a close. */
void hf_stream_send_raw(struct hf_stream *s, struct hf_bytes data);

/** Bytes that went to the socket since the last call, of which a write just accepted `sent`. */
size_t hf_stream_pushed(struct hf_stream *s, size_t sent);

/** Bytes that were sent and that the client has not acknowledged. */
size_t hf_stream_unacknowledged(const struct hf_stream *s);

/** Tell the client, by close_notify too, that nothing more is written. False when the connection is
 *  broken. */
bool hf_stream_end(struct hf_stream *s);

/** TLS ends, with close_notify where its handshake was complete, and its memory is free; the socket
 *  stays. */
void hf_stream_end_tls(struct hf_stream *s);

/** Close, with close_notify, and free. The kernel still delivers what was sent, unless
 *  `drops_unsent`: a client that accepts nothing any more would keep its bytes in the kernel for
 *  minutes. */
void hf_stream_close(struct hf_stream *s, bool drops_unsent);

#endif
