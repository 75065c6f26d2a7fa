#include "server/http/stream.h"

#include "server/http/tls_conn.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static enum hf_stream_result result_of(ssize_t n, size_t *len)
{
    *len = n > 0 ? (size_t)n : 0;
    if (n >= 0)
        return HF_STREAM_DONE;
    return errno == EAGAIN || errno == EINTR ? HF_STREAM_BLOCKED : HF_STREAM_BROKEN;
}

enum hf_stream_result hf_stream_read_raw(struct hf_stream *s, void *data, size_t size, size_t *len)
{
    return result_of(read(s->fd, data, size), len);
}

enum hf_stream_result hf_stream_peek(struct hf_stream *s, uint8_t *byte, size_t *len)
{
    return result_of(recv(s->fd, byte, 1, MSG_PEEK), len);
}

void hf_stream_send_raw(struct hf_stream *s, struct hf_bytes data)
{
    (void)!send(s->fd, data.data, data.len, MSG_NOSIGNAL);
}

enum hf_stream_result hf_stream_read(struct hf_stream *s, void *data, size_t size, size_t *len)
{
    if (s->tls != NULL)
        return hf_tls_read(s->tls, data, size, len);
    return hf_stream_read_raw(s, data, size, len);
}

static enum hf_stream_result write_tls(struct hf_stream *s, struct hf_bytes first,
                                       struct hf_bytes second, size_t *sent)
{
    size_t of_second = 0;
    enum hf_stream_result result = hf_tls_write(s->tls, first, sent);
    if (result == HF_STREAM_DONE)
        result = hf_tls_write(s->tls, second, &of_second);
    *sent += of_second;
    return result;
}

enum hf_stream_result hf_stream_write(struct hf_stream *s, struct hf_bytes first,
                                      struct hf_bytes second, bool has_end, size_t *sent)
{
    if (s->tls != NULL)
        return write_tls(s, first, second, sent);
    /* sendmsg(2) only reads. */
    struct iovec parts[2] = {{(void *)(uintptr_t)first.data, first.len},
                             {(void *)(uintptr_t)second.data, second.len}};
    struct msghdr both = {.msg_iov = parts, .msg_iovlen = 2};
    int flags = MSG_NOSIGNAL | (has_end ? MSG_MORE : 0);
    ssize_t n = second.len > 0 ? sendmsg(s->fd, &both, flags)
                               : send(s->fd, first.data, first.len, flags);
    *sent = n > 0 ? (size_t)n : 0;
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return HF_STREAM_BROKEN;
    return *sent == first.len + second.len ? HF_STREAM_DONE : HF_STREAM_BLOCKED;
}

unsigned hf_stream_waits_to_read(const struct hf_stream *s)
{
    if (s->tls == NULL)
        return HF_STREAM_INPUT;
    return s->tls->has_input ? HF_STREAM_INPUT | HF_STREAM_OUTPUT : s->tls->waits_to_read;
}

unsigned hf_stream_waits_to_write(const struct hf_stream *s)
{
    return s->tls == NULL ? HF_STREAM_OUTPUT : s->tls->waits_to_write;
}

size_t hf_stream_pushed(struct hf_stream *s, size_t sent)
{
    return s->tls == NULL ? sent : hf_tls_pushed(s->tls);
}

size_t hf_stream_unacknowledged(const struct hf_stream *s)
{
    int n = 0;
    return ioctl(s->fd, SIOCOUTQ, &n) == 0 && n > 0 ? (size_t)n : 0;
}

bool hf_stream_end(struct hf_stream *s)
{
    if (s->tls != NULL)
        hf_tls_end(s->tls);
    return shutdown(s->fd, SHUT_WR) == 0;
}

void hf_stream_end_tls(struct hf_stream *s)
{
    if (s->tls == NULL)
        return;
    hf_tls_end(s->tls);
    hf_tls_conn_free(s->tls);
    s->tls = NULL;
}

void hf_stream_close(struct hf_stream *s, bool drops_unsent)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (drops_unsent)
        (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    hf_stream_end_tls(s);
    close(s->fd);
}
