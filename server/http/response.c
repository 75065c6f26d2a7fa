#include "server/http/response.h"

#include <stdio.h>
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

/* ---- collected --------------------------------------------------------------------------------- */

void hf_output_clear(struct hf_output *out)
{
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
        out->body = body;
}

enum hf_moved hf_output_send(const struct hf_output *out, struct hf_stream *stream, bool is_closing,
                             size_t *sent)
{
    const struct hf_bytes bytes = {out->bytes, out->len};
    *sent = 0;
    if (out->len == 0)
        return HF_MOVED_ALL;
    return hf_stream_write(stream, bytes,
                           out->body != NULL ? out->body->bytes : (struct hf_bytes){0}, is_closing,
                           sent);
}

/* ---- heads ------------------------------------------------------------------------------------- */

static const char *phrase_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {431, "Request Header Fields Too Large"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return ""; /* RFC 9112, 4: it may be empty */
}

static void append_text(struct hf_output *out, const char *text)
{
    hf_output_append(out, text, strlen(text));
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

void hf_output_begin_text(struct hf_output *out, unsigned status, const char *type, size_t body_len,
                          const char *header)
{
    char head[512];
    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 %u %s\r\nServer: holdfastd\r\nContent-Type: %s\r\n"
                   "Content-Length: %zu\r\nCache-Control: no-store\r\n%s",
                   status, phrase_of(status), type, body_len, header != NULL ? header : "");
    append_text(out, head);
}

void hf_output_end_head(struct hf_output *out, enum hf_persistence persistence,
                        const char *date_line)
{
    append_text(out, date_line);
    if (persistence == HF_PERSIST_NOT)
        append_text(out, "Connection: close\r\n");
    else if (persistence == HF_PERSIST_SAY_SO)
        append_text(out, "Connection: keep-alive\r\n");
    append_text(out, "\r\n");
}

size_t hf_refusal_text(const struct hf_refusal *refusals, size_t n_refusals, unsigned status,
                       char out[HF_REFUSAL_TEXT_MAX], const char **header)
{
    const struct hf_refusal *refusal = NULL;
    for (size_t i = 0; i < n_refusals && refusal == NULL; i++)
        if (refusals[i].status == status)
            refusal = &refusals[i];
    *header = refusal != NULL ? refusal->header : NULL;
    int n = snprintf(out, HF_REFUSAL_TEXT_MAX, "%u %s%s%s\n", status, phrase_of(status),
                     refusal != NULL ? ": " : "", refusal != NULL ? refusal->sentence : "");
    return n < 0 ? 0 : n < HF_REFUSAL_TEXT_MAX ? (size_t)n : HF_REFUSAL_TEXT_MAX - 1;
}

/* ---- what is left ------------------------------------------------------------------------------ */

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
    if (out->body != NULL)
        p->body = hf_body_ref(out->body);
    memcpy(p->data, out->bytes + bytes_sent, bytes_len);
    if (input_len > 0)
        memcpy(p->data + bytes_len, input, input_len);
    return p;
}

enum hf_moved hf_pending_send(struct hf_pending *p, struct hf_stream *stream, size_t *sent)
{
    const struct hf_bytes bytes = {p->data + p->bytes_at, p->bytes_len - p->bytes_at};
    struct hf_bytes body = {0};
    if (p->body != NULL)
        body = (struct hf_bytes){p->body->bytes.data + p->body_at, p->body->bytes.len - p->body_at};
    enum hf_moved result = hf_stream_write(stream, bytes, body, false, sent);
    size_t of_bytes = *sent < bytes.len ? *sent : bytes.len;
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
    hf_body_unref(p->body);
    free(p);
}
