#include "server/http/stream.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum hf_stream_result hf_stream_read(struct hf_stream *s, void *data, size_t size, size_t *len)
{
    ssize_t n = read(s->fd, data, size);
    *len = n > 0 ? (size_t)n : 0;
    if (n >= 0)
        return HF_STREAM_DONE;
    return errno == EAGAIN || errno == EINTR ? HF_STREAM_BLOCKED : HF_STREAM_BROKEN;
}

enum hf_stream_result hf_stream_write(struct hf_stream *s, struct hf_bytes first,
                                      struct hf_bytes second, bool has_end, size_t *sent)
{
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

size_t hf_stream_unacknowledged(const struct hf_stream *s)
{
    int n = 0;
    return ioctl(s->fd, SIOCOUTQ, &n) == 0 && n > 0 ? (size_t)n : 0;
}

bool hf_stream_end(struct hf_stream *s)
{
    return shutdown(s->fd, SHUT_WR) == 0;
}

void hf_stream_close(struct hf_stream *s, bool drops_unsent)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (drops_unsent)
        (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(s->fd);
}
