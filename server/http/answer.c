/* The answers that a handler gives: heads around what it says. */
#include "server/http/connection_parts.h"

#include "server/http/tls_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void answer_text(struct hf_request *request, unsigned status, const char *type,
                        struct hf_bytes text, const char *header)
{
    char head[HF_HTTP_ANSWER_HEAD_MAX];
    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 %u %s\r\nServer: holdfastd\r\nContent-Type: %s\r\n"
                   "Content-Length: %zu\r\nCache-Control: no-store\r\n%s",
                   status, hf_status_phrase(status), type, text.len, header);
    hf_conn_answer(request, status, hf_bytes_of_text(head), text, NULL);
}

void hf_answer_text(struct hf_request *request, unsigned status, const char *type, const char *text,
                    size_t len)
{
    answer_text(request, status, type, (struct hf_bytes){(const uint8_t *)text, len}, "");
}

void hf_answer_refusal(struct hf_request *request, unsigned status)
{
    const struct hf_http_config *config = &request->conn->conns->config;
    const struct hf_refusal *refusal = NULL;
    const char *type = NULL;
    struct hf_buf own = {0};
    char text[256];
    for (size_t i = 0; i < config->n_refusals && refusal == NULL; i++)
        if (config->refusals[i].status == status)
            refusal = &config->refusals[i];
    const char *sentence = refusal != NULL ? refusal->sentence : "";
    const char *header = refusal != NULL && refusal->header != NULL ? refusal->header : "";
    if (config->refusal_format != NULL)
        type = config->refusal_format(request, status, sentence, &own);
    (void)snprintf(text, sizeof text, "%u %s%s%s\n", status, hf_status_phrase(status),
                   sentence[0] != '\0' ? ": " : "", sentence);
    answer_text(request, status, type != NULL ? type : "text/plain",
                type != NULL ? hf_buf_bytes(&own) : hf_bytes_of_text(text), header);
    hf_buf_free(&own);
}

void hf_answer_body(struct hf_request *request, unsigned status, struct hf_bytes head,
                    struct hf_body *body)
{
    hf_conn_answer(request, status, head, hf_bytes_of_text(""), body);
}

/* A buffer that answers share as any other body. */
struct owned_body {
    struct hf_body body;
    struct hf_buf bytes;
};

static void free_owned(struct hf_body *body)
{
    struct owned_body *owned = (struct owned_body *)body;
    hf_buf_free(&owned->bytes);
    free(owned);
}

/* A long body stays where it is. */
static void answer_long(struct hf_request *request, unsigned status, const char *head,
                        struct hf_buf *bytes)
{
    struct owned_body *owned = calloc(1, sizeof *owned);
    if (owned == NULL) {
        hf_buf_free(bytes);
        hf_answer_refusal(request, 503);
        return;
    }
    atomic_init(&owned->body.references, 1);
    owned->bytes = *bytes;
    owned->body.bytes = hf_buf_bytes(bytes);
    owned->body.free = free_owned;
    *bytes = (struct hf_buf){0};
    hf_conn_answer(request, status, hf_bytes_of_text(head), hf_bytes_of_text(""), &owned->body);
    hf_body_unref(&owned->body);
}

void hf_answer_take(struct hf_request *request, unsigned status, const char *type,
                    const char *headers, struct hf_buf *body)
{
    char head[HF_HTTP_ANSWER_HEAD_MAX];
    char about_body[128] = "Content-Length: 0\r\n";
    bool has_body = type != NULL && status != 204 && status != 304;
    if (has_body)
        (void)snprintf(about_body, sizeof about_body, "Content-Type: %s\r\nContent-Length: %zu\r\n",
                       type, body->len);
    else if (status == 204 || status == 304)
        about_body[0] = '\0';
    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 %u %s\r\nServer: holdfastd\r\n%sCache-Control: no-store\r\n%s", status,
                   hf_status_phrase(status), about_body, headers != NULL ? headers : "");
    if (has_body && body->len > HF_HTTP_COPY_BYTES_MAX) {
        answer_long(request, status, head, body);
        return;
    }
    hf_conn_answer(request, status, hf_bytes_of_text(head),
                   has_body && body->len > 0 ? hf_buf_bytes(body) : hf_bytes_of_text(""), NULL);
    hf_buf_free(body);
}

uv_loop_t *hf_request_loop(const struct hf_request *request)
{
    return request->conn->conns->uv;
}

struct hf_request_peer hf_request_peer(const struct hf_request *request)
{
    const struct hf_conn *c = request->conn;
    return (struct hf_request_peer){.address = &c->peer,
                                    .tls = c->stream.tls != NULL ? &c->stream.tls->peer : NULL};
}
