#include "client/port/posix/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- requests -------------------------------------------------------------------------------- */

static enum hf_err append_proxy_authorization(const struct hf_proxy *proxy, struct hf_buf *out)
{
    if (proxy->authorization[0] == '\0')
        return HF_OK;
    return hf_buf_printf(out, "Proxy-Authorization: %s\r\n", proxy->authorization);
}

/**
 * One entity tag (RFC 9110, 8.8.3) and nothing else: it is sent back as it came, and there `*` or a
 * list would match whatever the server has. A weak one is as good: If-None-Match compares weakly
 * (13.1.2), caches that compress send no other, and that the metadata is genuine does not rest on
 * it. Asking without a tag costs a body, no more.
 */
static bool is_etag(const char *text)
{
    const char *c = strncmp(text, "W/", 2) == 0 ? text + 2 : text;

    if (*c++ != '"')
        return false;
    while (*c > ' ' && *c < 0x7f && *c != '"')
        c++;
    return c[0] == '"' && c[1] == '\0';
}

/* Up to the headers that not every request has. */
static enum hf_err append_start(const char *method, const struct hf_url *url,
                                const struct hf_proxy *proxy, const char *accepted,
                                struct hf_buf *out)
{
    char host[HF_ENDPOINT_TEXT];
    /* A proxy takes the whole URL (RFC 9112, 3.2.2); in a tunnel it is out of the way. */
    bool is_absolute = proxy->is_used && !url->is_https;

    hf_url_host_header(url, host);
    HF_TRY(hf_buf_printf(out, "%s ", method));
    HF_TRY(is_absolute ? hf_url_append(url, out) : hf_buf_append_text(out, url->target));
    HF_TRY(hf_buf_printf(out,
                         " HTTP/1.1\r\nHost: %s\r\nUser-Agent: holdfast/" HF_VERSION
                         "\r\nAccept: %s\r\nAccept-Encoding: identity\r\n",
                         host, accepted));
    return is_absolute ? append_proxy_authorization(proxy, out) : HF_OK;
}

enum hf_err hf_http_request_get(const struct hf_url *url, const struct hf_proxy *proxy,
                                const char *etag, struct hf_buf *out, struct hf_why *why)
{
    enum hf_err err = append_start("GET", url, proxy, "*/*", out);
    if (err == HF_OK && etag != NULL && etag[0] != '\0' && is_etag(etag))
        err = hf_buf_printf(out, "If-None-Match: %s\r\n", etag);
    if (err == HF_OK)
        err = hf_buf_append_text(out, "\r\n");
    return err == HF_OK ? HF_OK : hf_fail(why, HF_E_MEMORY, "no memory for a request");
}

enum hf_err hf_http_request_api(const struct hf_url *url, const char *method, struct hf_bytes json,
                                struct hf_buf *out, struct hf_why *why)
{
    char host[HF_ENDPOINT_TEXT];

    hf_url_host_header(url, host);
    enum hf_err err = hf_buf_printf(out,
                                    "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: holdfast/" HF_VERSION
                                    "\r\nAccept: application/json, application/problem+json\r\n"
                                    "Accept-Encoding: identity\r\nConnection: close\r\n",
                                    method, url->target, host);
    if (err == HF_OK && json.len > 0)
        err = hf_buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                            json.len);
    if (err == HF_OK)
        err = hf_buf_append_text(out, "\r\n");
    if (err == HF_OK)
        err = hf_buf_append(out, json.data, json.len);
    return err == HF_OK ? HF_OK : hf_fail(why, HF_E_MEMORY, "no memory for a request");
}

enum hf_err hf_http_request_post(const struct hf_url *url, const struct hf_proxy *proxy,
                                 struct hf_bytes json, const struct hf_report_headers *signature,
                                 struct hf_buf *out, struct hf_why *why)
{
    enum hf_err err = append_start("POST", url, proxy, "application/json, application/problem+json",
                                   out);
    if (err == HF_OK)
        err = hf_buf_printf(out,
                            "Content-Type: " HF_REPORT_CONTENT_TYPE "\r\nContent-Length: %zu\r\n",
                            json.len);
    if (err == HF_OK && signature != NULL)
        err = hf_buf_printf(out, "Content-Digest: %s\r\nSignature-Input: %s\r\nSignature: %s\r\n",
                            signature->content_digest, signature->signature_input,
                            signature->signature);
    if (err == HF_OK)
        err = hf_buf_append_text(out, "\r\n");
    if (err == HF_OK)
        err = hf_buf_append(out, json.data, json.len);
    return err == HF_OK ? HF_OK : hf_fail(why, HF_E_MEMORY, "no memory for a request");
}

enum hf_err hf_http_request_connect(const struct hf_endpoint *peer, const struct hf_proxy *proxy,
                                    struct hf_buf *out, struct hf_why *why)
{
    char text[HF_ENDPOINT_TEXT];

    hf_endpoint_format(peer, text);
    enum hf_err err = hf_buf_printf(out,
                                    "CONNECT %s HTTP/1.1\r\nHost: %s\r\n"
                                    "User-Agent: holdfast/" HF_VERSION "\r\n",
                                    text, text);
    if (err == HF_OK)
        err = append_proxy_authorization(proxy, out);
    if (err == HF_OK)
        err = hf_buf_append_text(out, "\r\n");
    return err == HF_OK ? HF_OK : hf_fail(why, HF_E_MEMORY, "no memory for a request");
}

/* ---- what llhttp calls: 0 to go on, -1 when refused, HPE_PAUSED at the end ------------------- */

static int refuse(struct hf_answer *a, enum hf_err code, const char *text)
{
    (void)hf_fail(&a->failure, code, "%s", text);
    return -1;
}

/** Keep what fits and count what came, so that something too long is never taken for shorter. */
static void collect(char *text, size_t cap, size_t *len, const char *at, size_t n)
{
    if (*len < cap - 1) {
        size_t room = cap - 1 - *len;
        memcpy(text + *len, at, n < room ? n : room);
        text[*len + (n < room ? n : room)] = '\0';
    }
    *len += n;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t n)
{
    struct hf_answer *a = parser->data;

    collect(a->name, sizeof a->name, &a->name_len, at, n);
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t n)
{
    struct hf_answer *a = parser->data;

    collect(a->value, sizeof a->value, &a->value_len, at, n);
    return 0;
}

static bool is_named(const struct hf_answer *a, const char *name)
{
    return a->name_len == strlen(name) && strcasecmp(a->name, name) == 0;
}

/* A number of seconds. The other form, a date, depends on a clock that may be wrong. */
static int64_t retry_after_s(const char *value)
{
    int64_t s = 0;

    if (*value == '\0')
        return HF_RETRY_AFTER_NONE;
    for (; *value >= '0' && *value <= '9'; value++)
        s = s > HF_RETRY_AFTER_MAX_S ? s : s * 10 + (*value - '0');
    if (*value != '\0')
        return HF_RETRY_AFTER_NONE;
    return s < HF_RETRY_AFTER_MAX_S ? s : HF_RETRY_AFTER_MAX_S;
}

/* RFC 9457; parameters of the type say nothing more. */
static bool is_problem_type(const char *value)
{
    static const char type[] = "application/problem+json";
    const char *rest = value + sizeof type - 1;

    return strncasecmp(value, type, sizeof type - 1) == 0 &&
           (*rest == '\0' || *rest == ';' || *rest == ' ');
}

static int take_header(struct hf_answer *a)
{
    if (is_named(a, "content-length")) {
        a->has_length = true;
    } else if (is_named(a, "transfer-encoding")) {
        if (a->has_encoding || strcasecmp(a->value, "chunked") != 0)
            return refuse(a, HF_E_NETWORK, "the answer has a transfer encoding other than chunked");
        a->has_encoding = true;
    } else if (is_named(a, "content-encoding")) {
        /* A compressed body could unpack to anything; none was asked for. */
        if (strcasecmp(a->value, "identity") != 0)
            return refuse(a, HF_E_NETWORK,
                          "the answer has a content encoding although none was accepted");
    } else if (is_named(a, "location")) {
        if (a->value_len > HF_URL_MAX)
            return refuse(a, HF_E_LIMIT, "the answer redirects to a URL that is too long");
        memcpy(a->location, a->value, a->value_len + 1);
    } else if (is_named(a, "etag")) {
        /* Of several, it is unknown which one an honest server would mean. */
        bool is_usable = !a->has_etag && a->value_len < sizeof a->etag && is_etag(a->value);
        memcpy(a->etag, is_usable ? a->value : "", is_usable ? a->value_len + 1 : 1);
        a->has_etag = true;
    } else if (is_named(a, "retry-after")) {
        a->retry_after_s = retry_after_s(a->value);
    } else if (is_named(a, "holdfast-rotate")) {
        a->asks_for_rotation = strcmp(a->value, "requested") == 0;
    } else if (is_named(a, "content-type")) {
        a->is_problem = is_problem_type(a->value);
    }
    return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
    struct hf_answer *a = parser->data;

    /* Blanks at the end are no part of a value (RFC 9110, 5.5); llhttp leaves them to us. */
    while (a->value_len > 0 && a->value_len < sizeof a->value &&
           (a->value[a->value_len - 1] == ' ' || a->value[a->value_len - 1] == '\t'))
        a->value[--a->value_len] = '\0';
    int result = a->is_trailer ? 0 : take_header(a);
    a->name_len = a->value_len = 0;
    a->name[0] = a->value[0] = '\0';
    return result;
}

static bool is_interim(const struct hf_answer *a)
{
    return a->status >= 100 && a->status < 200;
}

static bool keeps_body(const struct hf_answer *a)
{
    return a->status == 200 || a->kind == HF_ANSWER_TO_API;
}

/** 1: there is no body, whatever the headers say (RFC 9112, 6.3). */
static int on_headers_complete(llhttp_t *parser)
{
    struct hf_answer *a = parser->data;

    a->status = llhttp_get_status_code(parser);
    a->is_trailer = true;
    if (llhttp_get_http_major(parser) != 1)
        return refuse(a, HF_E_NETWORK,
                      "the answer is of another version than HTTP/1.1 or HTTP/1.0");
    if (a->status < 100 || a->status > 599)
        return refuse(a, HF_E_NETWORK, "the answer has a status that HTTP does not know");
    if (a->has_length && a->has_encoding)
        return refuse(a, HF_E_NETWORK,
                      "the answer has both Content-Length and Transfer-Encoding, so where it ends "
                      "is open to doubt");
    if (a->has_encoding && (parser->flags & F_CHUNKED) == 0)
        return refuse(a, HF_E_NETWORK, "the answer has a transfer encoding other than chunked");
    if (a->status == 101)
        return refuse(a, HF_E_NETWORK, "the answer changes the protocol, which was not asked for");
    if (is_interim(a) || a->status == 204 || a->status == 304 ||
        (a->kind == HF_ANSWER_TO_CONNECT && a->status / 100 == 2))
        return 1;
    if (keeps_body(a) && a->has_length && parser->content_length > a->max_bytes) {
        (void)hf_fail(&a->failure, HF_E_LIMIT,
                      "the answer announces %llu bytes, at most %zu are allowed",
                      (unsigned long long)parser->content_length, a->max_bytes);
        return -1;
    }
    return 0;
}

/** An answer whose body is not needed has gone on for too long: its status is all that counts. */
static bool is_long_enough(const struct hf_answer *a)
{
    return a->discarded > HF_HTTP_DISCARD_BYTES_MAX;
}

static int on_body(llhttp_t *parser, const char *at, size_t n)
{
    struct hf_answer *a = parser->data;

    a->body_end = at + n;
    a->n_body += n;
    if (!keeps_body(a)) {
        a->discarded += n;
        return is_long_enough(a) ? -1 : 0;
    }
    if (n > a->max_bytes - a->body.len) {
        (void)hf_fail(&a->failure, HF_E_LIMIT, "the answer is longer than the %zu bytes allowed",
                      a->max_bytes);
        return -1;
    }
    if (hf_buf_append(&a->body, at, n) != HF_OK)
        return refuse(a, HF_E_LIMIT, "the answer does not fit into the memory of this device");
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct hf_answer *a = parser->data;

    if (is_interim(a)) { /* the answer itself is still to come (RFC 9110, 15.2) */
        a->has_length = a->has_encoding = a->has_etag = a->is_trailer = false;
        a->etag[0] = a->location[0] = '\0';
        a->retry_after_s = HF_RETRY_AFTER_NONE;
        a->asks_for_rotation = a->is_problem = false;
        return 0;
    }
    a->is_complete = true;
    a->may_reuse = llhttp_should_keep_alive(parser) != 0;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- feeding it ------------------------------------------------------------------------------ */

void hf_answer_init(struct hf_answer *answer, enum hf_answer_kind kind, size_t max_bytes)
{
    *answer = (struct hf_answer){.kind = kind,
                                 .max_bytes = max_bytes,
                                 .retry_after_s = HF_RETRY_AFTER_NONE};
    llhttp_init(&answer->parser, HTTP_RESPONSE, &settings);
    answer->parser.data = answer;
}

void hf_answer_free(struct hf_answer *answer)
{
    hf_buf_free(&answer->body);
}

enum hf_err hf_answer_feed(struct hf_answer *a, struct hf_bytes data, struct hf_why *why)
{
    const char *at = (const char *)data.data, *end = at + data.len;

    a->has_begun = a->has_begun || data.len > 0;
    while (at < end && !a->is_complete) {
        size_t room = HF_HTTP_HEADER_BYTES_MAX - a->since_body;
        size_t n = (size_t)(end - at) < room ? (size_t)(end - at) : room;
        if (n == 0)
            return hf_fail(why, HF_E_LIMIT, "the answer's headers are longer than %u bytes",
                           HF_HTTP_HEADER_BYTES_MAX);
        uint64_t n_body = a->n_body;
        a->body_end = NULL;
        llhttp_errno_t code = llhttp_execute(&a->parser, at, n);
        const char *next = code == HPE_PAUSED ? llhttp_get_error_pos(&a->parser) : at + n;
        a->since_body = a->body_end != NULL ? (size_t)(next - a->body_end)
                                            : a->since_body + (size_t)(next - at);
        a->framing += (uint64_t)(next - at) - (a->n_body - n_body);
        if (a->framing > HF_HTTP_FRAMING_BYTES_MAX)
            return hf_fail(why, HF_E_LIMIT, "more than %u bytes of the answer are not its body",
                           HF_HTTP_FRAMING_BYTES_MAX);
        if (!a->is_complete && is_long_enough(a)) {
            a->is_complete = true;
            a->may_reuse = false;
            return HF_OK;
        }
        if (!a->is_complete && code != HPE_OK)
            return a->failure.code != HF_OK
                       ? hf_fail(why, a->failure.code, "%s", a->failure.text)
                       : hf_fail(why, HF_E_NETWORK, "the answer is not proper HTTP/1.1 (%s)",
                                 llhttp_get_error_reason(&a->parser));
        at = next;
    }
    if (at < end)
        return hf_fail(why, HF_E_NETWORK, "%zu bytes follow the end of the answer",
                       (size_t)(end - at));
    return HF_OK;
}

enum hf_err hf_answer_end(struct hf_answer *a, struct hf_why *why)
{
    if (!a->has_begun)
        return hf_fail(why, HF_E_NETWORK, "the server closed the connection without an answer");
    if (llhttp_finish(&a->parser) != HPE_OK && !a->is_complete && a->failure.code != HF_OK)
        return hf_fail(why, a->failure.code, "%s", a->failure.text);
    if (!a->is_complete)
        return hf_fail(why, HF_E_NETWORK,
                       "the server closed the connection in the middle of its "
                       "answer");
    a->may_reuse = false;
    return HF_OK;
}
