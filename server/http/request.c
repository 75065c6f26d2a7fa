#include "server/http/request.h"

#include "common/base/percent.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* ---- where it goes: authority and path ------------------------------------------------------- */

/* unreserved or sub-delims (RFC 3986, 2). */
static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~!$&'()*+,;=", c) != NULL);
}

bool hf_authority_is_valid(const char *text, size_t len)
{
    size_t at = 0;
    if (len > 0 && text[0] == '[') {
        char address[INET6_ADDRSTRLEN];
        struct in6_addr parsed;
        const char *end = memchr(text, ']', len);
        size_t n = end != NULL ? (size_t)(end - text) - 1 : sizeof address;
        if (n >= sizeof address)
            return false;
        memcpy(address, text + 1, n);
        address[n] = '\0';
        if (strlen(address) != n || inet_pton(AF_INET6, address, &parsed) != 1)
            return false;
        at = n + 2;
    }
    while (at < len && text[at] != ':') {
        if (text[0] != '[' && is_name_char(text[at]))
            at++;
        else if (text[0] != '[' && hf_percent_byte(text + at, len - at) >= 0)
            at += 3;
        else
            return false;
    }
    unsigned port = 0;
    for (size_t i = at + 1; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = 10 * port + (unsigned)(text[i] - '0');
        if (port > 65535)
            return false;
    }
    return at > 0;
}

bool hf_request_path(const char *target, size_t len, char *out, size_t *out_len)
{
    size_t scheme = 0;
    if (len >= 7 && strncasecmp(target, "http://", 7) == 0)
        scheme = 7;
    else if (len >= 8 && strncasecmp(target, "https://", 8) == 0)
        scheme = 8; /* TLS ended before us */
    size_t at = scheme;
    while (scheme > 0 && at < len && target[at] != '/' && target[at] != '?')
        at++;
    if (memchr(target, '#', len) != NULL || at == len || target[at] != '/' ||
        (scheme > 0 && !hf_authority_is_valid(target + scheme, at - scheme)))
        return false;

    const char *query = memchr(target, '?', len);
    size_t end = query != NULL ? (size_t)(query - target) : len, n = 0;
    for (; at < end; at++) {
        int byte = target[at];
        if (byte == '%') {
            byte = hf_percent_byte(target + at, end - at);
            if (byte < 0)
                return false;
            at += 2;
        }
        out[n++] = (char)byte;
    }
    *out_len = n;
    return true;
}

/* ---- what llhttp calls; a value other than 0 ends the parsing -------------------------------- */

/* Append what there is room for. */
#define COLLECT(field, data, n)                                                                    \
    ((field)->is_cut |= collect((field)->text, sizeof(field)->text, &(field)->len, data, n))

#define CLEAR(field) ((field)->is_cut = false, (field)->len = 0)

static bool collect(char *text, size_t size, size_t *len, const char *data, size_t n)
{
    size_t room = size - *len;
    size_t take = n < room ? n : room;
    memcpy(text + *len, data, take);
    *len += take;
    return take < n;
}

static int refuse(struct hf_request *r, unsigned status)
{
    r->refused = status;
    return -1;
}

static int on_url(llhttp_t *parser, const char *data, size_t len)
{
    struct hf_request *r = parser->data;
    COLLECT(&r->target, data, len);
    return r->target.is_cut ? refuse(r, 414) : 0;
}

static int on_field(llhttp_t *parser, const char *data, size_t len)
{
    struct hf_request *r = parser->data;
    COLLECT(&r->header_name, data, len);
    return 0;
}

static enum hf_header header_of(const char *name, size_t len)
{
    static const struct {
        const char *name;
        size_t len;
    } names[HF_HEADERS] = {
#define NAME(text) {text, sizeof text - 1}
        [HF_HEADER_HOST] = NAME("host"),
        [HF_HEADER_IF_NONE_MATCH] = NAME("if-none-match"),
        [HF_HEADER_TRANSFER_ENCODING] = NAME("transfer-encoding"),
        [HF_HEADER_USER_AGENT] = NAME("user-agent"),
        [HF_HEADER_ACCEPT] = NAME("accept"),
        [HF_HEADER_AUTHORIZATION] = NAME("authorization"),
        [HF_HEADER_CONTENT_DIGEST] = NAME("content-digest"),
        [HF_HEADER_CONTENT_TYPE] = NAME("content-type"),
        [HF_HEADER_EXPECT] = NAME("expect"),
        [HF_HEADER_IDEMPOTENCY_KEY] = NAME("idempotency-key"),
        [HF_HEADER_IF_MATCH] = NAME("if-match"),
        [HF_HEADER_LAST_EVENT_ID] = NAME("last-event-id"),
        [HF_HEADER_SIGNATURE] = NAME("signature"),
        [HF_HEADER_SIGNATURE_INPUT] = NAME("signature-input"),
#undef NAME
    };
    for (enum hf_header h = HF_HEADER_HOST; h < HF_HEADERS; h++)
        if (names[h].len == len && strncasecmp(name, names[h].name, len) == 0)
            return h;
    return HF_HEADER_OTHER;
}

/* A kept header begins. False: it repeats, and clients and proxies disagree which one counts. */
static bool begin_value(struct hf_request *r)
{
    struct hf_header_value *value = &r->kept[r->header - HF_HEADER_KEPT];
    if (value->is_there && r->header == HF_HEADER_ACCEPT)
        r->header = HF_HEADER_OTHER;
    else if (value->is_there)
        return false;
    else
        *value = (struct hf_header_value){.at = (uint16_t)r->values_len, .is_there = true};
    return true;
}

static int on_field_complete(llhttp_t *parser)
{
    struct hf_request *r = parser->data;
    size_t len = r->header_name.len;
    if (len == 0) /* RFC 9110, 5.1: a name has a character at least */
        return refuse(r, 400);
    r->header = r->header_name.is_cut ? HF_HEADER_OTHER : header_of(r->header_name.text, len);
    r->n_hosts += r->header == HF_HEADER_HOST;
    r->has_encoding |= r->header == HF_HEADER_TRANSFER_ENCODING;
    if (r->header == HF_HEADER_IF_NONE_MATCH && r->if_none_match.len != 0)
        COLLECT(&r->if_none_match, ",", 1);
    if (r->header >= HF_HEADER_KEPT && !begin_value(r))
        return refuse(r, 400);
    CLEAR(&r->header_name);
    return 0;
}

/* Of a kept header. It is not cut: half a token must not look like a wrong one. */
static int keep_value(struct hf_request *r, const char *data, size_t len)
{
    if (len > sizeof r->values - r->values_len)
        return refuse(r, 431);
    memcpy(r->values + r->values_len, data, len);
    r->values_len += len;
    struct hf_header_value *value = &r->kept[r->header - HF_HEADER_KEPT];
    value->len = (uint16_t)(value->len + len);
    return 0;
}

static int on_value(llhttp_t *parser, const char *data, size_t len)
{
    struct hf_request *r = parser->data;
    if (r->header >= HF_HEADER_KEPT)
        return keep_value(r, data, len);
    if (r->header == HF_HEADER_IF_NONE_MATCH)
        COLLECT(&r->if_none_match, data, len);
    else if (r->header == HF_HEADER_USER_AGENT)
        COLLECT(&r->agent, data, len);
    else if (r->header == HF_HEADER_HOST)
        COLLECT(&r->host, data, len);
    return 0;
}

static struct hf_bytes trimmed(const char *text, size_t len)
{
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    while (len > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        len--;
    }
    return (struct hf_bytes){(const uint8_t *)text, len};
}

/* RFC 9112, 3.2: exactly one Host, which 1.0 did not know, and that a valid one. It is kept without
 * the blanks after it; the parser skips those before it. */
static bool read_host(struct hf_request *r)
{
    if (r->n_hosts != 1)
        return r->n_hosts == 0 && r->is_http_1_0;
    r->host.len = trimmed(r->host.text, r->host.len).len;
    return !r->host.is_cut && hf_authority_is_valid(r->host.text, r->host.len);
}

/* How long the body of a request with this target may be. */
static size_t body_max_of(const struct hf_request *r)
{
    char path[HF_HTTP_TARGET_BYTES_MAX];
    size_t len = 0;
    if (r->n_body_rules == 0 || !hf_request_path(r->target.text, r->target.len, path, &len))
        return r->body_max;
    for (size_t i = 0; i < r->n_body_rules; i++) {
        size_t prefix = strlen(r->body_rules[i].prefix);
        if (len >= prefix && memcmp(path, r->body_rules[i].prefix, prefix) == 0)
            return r->body_rules[i].max;
    }
    return r->body_max;
}

/* RFC 9110, 10.1.1: there is one expectation, and HTTP/1.0 has none. False for another. */
static bool read_expectation(struct hf_request *r, bool has_body)
{
    struct hf_bytes value;
    if (r->is_http_1_0 || !hf_request_header(r, HF_HEADER_EXPECT, &value))
        return true;
    r->must_continue = has_body;
    return value.len == 12 && strncasecmp((const char *)value.data, "100-continue", 12) == 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct hf_request *r = parser->data;
    bool is_chunked = (parser->flags & F_TRANSFER_ENCODING) != 0;
    bool has_body = parser->content_length != 0 || is_chunked;
    bool is_read = parser->method == HTTP_GET || parser->method == HTTP_HEAD;
    r->is_head_whole = true;
    r->is_http_1_0 = parser->http_minor == 0;
    parser->upgrade = 0; /* an offer to speak something else is declined by answering */
    if (parser->http_major != 1 || parser->http_minor > 1)
        return refuse(r, 505);
    /* One that names no encoding could hide a body from another reader (RFC 9112, 6.1). */
    if (!read_host(r) || (r->has_encoding && !is_chunked))
        return refuse(r, 400);
    if (has_body)
        r->body_max = body_max_of(r);
    if (has_body && r->body_max == 0)
        return refuse(r, is_read ? 413 : 405);
    if (is_chunked)
        return refuse(r, 411);
    if (parser->content_length > r->body_max)
        return refuse(r, 413);
    if (parser->method == HTTP_CONNECT)
        return refuse(r, 405); /* what follows would not be HTTP */
    if (!read_expectation(r, has_body))
        return refuse(r, 417);
    return has_body ? HPE_PAUSED : 0;
}

static int on_body(llhttp_t *parser, const char *data, size_t len)
{
    struct hf_request *r = parser->data;
    return hf_buf_append(&r->body, data, len) == HF_OK ? 0 : refuse(r, 503);
}

static int on_message_complete(llhttp_t *parser)
{
    struct hf_request *r = parser->data;
    r->is_whole = true;
    r->is_keep_alive = llhttp_should_keep_alive(parser) != 0;
    return HPE_PAUSED; /* one request at a time */
}

void hf_request_parser_init(llhttp_t *parser)
{
    static const llhttp_settings_t settings = {
        .on_url = on_url,
        .on_header_field = on_field,
        .on_header_field_complete = on_field_complete,
        .on_header_value = on_value,
        .on_headers_complete = on_headers_complete,
        .on_body = on_body,
        .on_message_complete = on_message_complete,
    };
    llhttp_init(parser, HTTP_REQUEST, &settings);
}

/* ---- for the connection ---------------------------------------------------------------------- */

void hf_request_begin(struct hf_request *request, llhttp_t *parser, size_t body_max)
{
    memset(request, 0, offsetof(struct hf_request, target));
    CLEAR(&request->target);
    CLEAR(&request->if_none_match);
    CLEAR(&request->agent);
    CLEAR(&request->host);
    request->method = HTTP_GET;
    request->body_max = body_max;
    parser->data = request;
}

void hf_request_end(struct hf_request *request)
{
    hf_buf_free(&request->body);
}

bool hf_request_header(const struct hf_request *request, enum hf_header header,
                       struct hf_bytes *out)
{
    const struct hf_header_value *value = &request->kept[header - HF_HEADER_KEPT];
    if (value->is_there)
        *out = trimmed(request->values + value->at, value->len);
    return value->is_there;
}

/* Is more than one space between the words of the request line, or is its version another
 * protocol's ("RTSP/1.0")? The parser lets both through, and other readers do not (RFC 9112, 2.3
 * and 3). */
static bool has_bad_request_line(struct hf_request *r, const char *data, size_t len)
{
    for (size_t i = 0; i < len && !r->is_line_read; i++) {
        const bool is_space = data[i] == ' ';
        if (is_space ? r->is_space_last : r->is_space_last && r->n_spaces == 2 && data[i] != 'H')
            return true;
        r->is_space_last = is_space;
        r->n_spaces += is_space;
        r->is_line_read = data[i] == '\n' && r->n_spaces > 0; /* empty lines may come before it */
    }
    return false;
}

/* Does a line begin with a blank? It would continue the one before (obs-fold), which proxies read
 * in different ways; a server refuses it (RFC 9112, 2.2 and 5.2). */
static bool has_folded_line(struct hf_request *r, const char *data, size_t len)
{
    const char *const end = data + len;
    for (const char *line = data; line < end; r->is_line_new = true) {
        if (r->is_line_new && (*line == ' ' || *line == '\t'))
            return true;
        line = memchr(line, '\n', (size_t)(end - line));
        r->is_line_new = false;
        if (line == NULL)
            return false;
        line++;
    }
    return false;
}

bool hf_request_feed(struct hf_request *r, llhttp_t *parser, const uint8_t *data, size_t len,
                     size_t *used)
{
    size_t at = 0;
    while (at < len) {
        /* One step ends with the data, with the head before a body, or with the request. */
        const char *text = (const char *)data + at;
        bool is_head = !r->is_head_whole;
        llhttp_errno_t err = llhttp_execute(parser, text, len - at);
        size_t read = err == HPE_OK ? len - at : (size_t)(llhttp_get_error_pos(parser) - text);
        size_t taken = err == HPE_PAUSED ? read : len - at;
        if (err == HPE_PAUSED)
            llhttp_resume(parser);
        else if (err != HPE_OK && r->refused == 0)
            r->refused = err == HPE_INVALID_VERSION || err == HPE_PAUSED_H2_UPGRADE ? 505 : 400;
        r->method = parser->method;
        if (is_head) {
            r->head_len += taken;
            if (has_bad_request_line(r, text, read) || has_folded_line(r, text, read))
                r->refused = 400;
            if (r->refused == 0 && r->head_len > HF_HTTP_HEAD_BYTES_MAX)
                r->refused = 431;
        }
        at += taken;
        if (r->is_whole || r->refused != 0) {
            *used = at;
            return true;
        }
    }
    return false;
}

/* ---- If-None-Match --------------------------------------------------------------------------- */

static size_t skip(const char *list, size_t len, size_t at, const char *any_of)
{
    while (at < len && strchr(any_of, list[at]) != NULL && list[at] != '\0')
        at++;
    return at;
}

bool hf_etag_list_matches(const char *list, size_t len, const char *etag)
{
    size_t etag_len = strlen(etag);
    size_t at = skip(list, len, 0, " \t");
    if (at < len && list[at] == '*')
        return skip(list, len, at + 1, " \t") == len;
    while ((at = skip(list, len, at, " \t,")) < len) {
        if (len - at >= 2 && memcmp(list + at, "W/", 2) == 0)
            at += 2;
        const char *end = NULL;
        if (len - at >= 2 && list[at] == '"')
            end = memchr(list + at + 1, '"', len - at - 1);
        if (end == NULL)
            return false;
        size_t tag_len = (size_t)(end - (list + at)) + 1;
        if (tag_len == etag_len && memcmp(list + at, etag, etag_len) == 0)
            return true;
        at = skip(list, len, at + tag_len, " \t");
        if (at < len && list[at] != ',')
            return false;
    }
    return false;
}
