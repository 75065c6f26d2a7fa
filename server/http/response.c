#include "server/http/response.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct hf_body *hf_body_ref(struct hf_body *body)
{
    atomic_fetch_add_explicit(&body->references, 1, memory_order_relaxed);
    return body;
}

void hf_body_unref(struct hf_body *body)
{
    if (body != NULL && atomic_fetch_sub_explicit(&body->references, 1, memory_order_acq_rel) == 1)
        body->free(body);
}

void hf_output_clear(struct hf_output *out)
{
    hf_body_unref(out->body);
    out->body = NULL;
    out->len = 0;
}

bool hf_output_is_full(const struct hf_output *out)
{
    return out->body != NULL || sizeof out->bytes - out->len < HF_HTTP_ANSWER_BYTES_MAX;
}

void hf_output_append(struct hf_output *out, const void *data, size_t len)
{
    memcpy(out->bytes + out->len, data, len);
    out->len += len;
}

void hf_output_append_body(struct hf_output *out, struct hf_body *body)
{
    if (body->bytes.len <= HF_HTTP_COPY_BYTES_MAX)
        hf_output_append(out, body->bytes.data, body->bytes.len);
    else
        out->body = hf_body_ref(body);
}

enum hf_stream_result hf_output_send(const struct hf_output *out, struct hf_stream *stream,
                                     bool is_closing, size_t *sent)
{
    const struct hf_bytes bytes = {out->bytes, out->len};
    *sent = 0;
    if (out->len == 0)
        return HF_STREAM_DONE;
    return hf_stream_write(stream, bytes,
                           out->body != NULL ? out->body->bytes : (struct hf_bytes){0}, is_closing,
                           sent);
}

struct hf_pending *hf_pending_new(const struct hf_output *out, size_t sent, const uint8_t *input,
                                  size_t input_len)
{
    size_t bytes_sent = sent < out->len ? sent : out->len;
    size_t bytes_len = out->len - bytes_sent;
    struct hf_pending *p = malloc(sizeof *p + bytes_len + input_len);
    if (p == NULL)
        return NULL;
    *p = (struct hf_pending){.body = out->body != NULL ? hf_body_ref(out->body) : NULL,
                             .body_at = sent - bytes_sent,
                             .bytes_len = bytes_len,
                             .input = p->data + bytes_len,
                             .input_len = input_len};
    memcpy(p->data, out->bytes + bytes_sent, bytes_len);
    if (input_len > 0)
        memcpy(p->data + bytes_len, input, input_len);
    return p;
}

enum hf_stream_result hf_pending_send(struct hf_pending *p, struct hf_stream *stream, size_t *sent)
{
    const struct hf_bytes bytes = {p->data + p->bytes_at, p->bytes_len - p->bytes_at};
    struct hf_bytes body = {0};
    if (p->body != NULL)
        body = (struct hf_bytes){p->body->bytes.data + p->body_at, p->body->bytes.len - p->body_at};
    enum hf_stream_result result = hf_stream_write(stream, bytes, body, false, sent);
    size_t of_bytes = *sent < bytes.len ? *sent : bytes.len;
    p->bytes_at += of_bytes;
    p->body_at += *sent - of_bytes;
    return result;
}

void hf_pending_free(struct hf_pending *p)
{
    if (p != NULL)
        hf_body_unref(p->body);
    free(p);
}

const char *hf_status_phrase(unsigned status)
{
    static const struct {
        unsigned status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "";
}

void hf_date_line(int64_t now_s, char out[HF_DATE_LINE_MAX])
{
    time_t now = (time_t)now_s;
    struct tm utc;
    (void)gmtime_r(&now, &utc);
    /* The program never sets a locale, so the names are English. */
    if (strftime(out, HF_DATE_LINE_MAX, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc) == 0)
        out[0] = '\0';
}
