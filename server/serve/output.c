#include "server/serve/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void hf_output_clear(struct hf_output *out)
{
    out->file = NULL;
    out->len = 0;
}

bool hf_output_is_full(const struct hf_output *out)
{
    return out->file != NULL || sizeof out->bytes - out->len < HF_SERVE_ANSWER_BYTES_MAX;
}

void hf_output_append(struct hf_output *out, const void *data, size_t len)
{
    memcpy(out->bytes + out->len, data, len);
    out->len += len;
}

void hf_output_append_body(struct hf_output *out, struct hf_served_file *file)
{
    if (file->body_len <= HF_SERVE_COPY_BYTES_MAX)
        hf_output_append(out, file->body, file->body_len);
    else
        out->file = file;
}

/* Bytes and what is left of the body, in one write. */
static enum hf_sent send_both(int fd, const uint8_t *bytes, size_t len,
                              const struct hf_served_file *file, size_t body_at, int flags,
                              size_t *sent)
{
    size_t body_len = file != NULL ? file->body_len - body_at : 0;
    /* sendmsg(2) only reads. */
    struct iovec parts[2] = {{.iov_base = (void *)(uintptr_t)bytes, .iov_len = len}};
    struct msghdr both = {.msg_iov = parts, .msg_iovlen = 2};
    if (body_len > 0)
        parts[1] = (struct iovec){file->body + body_at, body_len};
    ssize_t n = body_len > 0 ? sendmsg(fd, &both, MSG_NOSIGNAL | flags)
                             : send(fd, bytes, len, MSG_NOSIGNAL | flags);
    *sent = n > 0 ? (size_t)n : 0;
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return HF_SENT_BROKEN;
    return *sent == len + body_len ? HF_SENT_ALL : HF_SENT_PART;
}

enum hf_sent hf_output_send(const struct hf_output *out, int fd, bool is_closing, size_t *sent)
{
    *sent = 0;
    if (out->len == 0)
        return HF_SENT_ALL;
    return send_both(fd, out->bytes, out->len, out->file, 0, is_closing ? MSG_MORE : 0, sent);
}

struct hf_pending *hf_pending_new(const struct hf_output *out, size_t sent, const uint8_t *input,
                                  size_t input_len)
{
    size_t bytes_sent = sent < out->len ? sent : out->len;
    size_t bytes_len = out->len - bytes_sent;
    struct hf_pending *p = malloc(sizeof *p + bytes_len + input_len);
    if (p == NULL)
        return NULL;
    *p = (struct hf_pending){.body_at = sent - bytes_sent,
                             .bytes_len = bytes_len,
                             .input_len = input_len};
    if (out->file != NULL)
        p->file = hf_served_file_ref(out->file);
    memcpy(p->data, out->bytes + bytes_sent, bytes_len);
    if (input_len > 0)
        memcpy(p->data + bytes_len, input, input_len);
    return p;
}

enum hf_sent hf_pending_send(struct hf_pending *p, int fd, size_t *sent)
{
    size_t left = p->bytes_len - p->bytes_at;
    enum hf_sent result = send_both(fd, p->data + p->bytes_at, left, p->file, p->body_at, 0, sent);
    size_t of_bytes = *sent < left ? *sent : left;
    p->bytes_at += of_bytes;
    p->body_at += *sent - of_bytes;
    return result;
}

const uint8_t *hf_pending_input(const struct hf_pending *p)
{
    return p->data + p->bytes_len;
}

void hf_pending_free(struct hf_pending *p)
{
    if (p == NULL)
        return;
    hf_served_file_unref(p->file);
    free(p);
}
