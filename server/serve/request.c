#include "server/serve/request.h"

#include "server/serve/authority.h"

#include <string.h>
#include <strings.h>

/* Append what there is room for. */
#define COLLECT(field, data, n)                                                                    \
    ((field)->is_cut |= collect((field)->text, sizeof(field)->text, &(field)->len, data, n))

static bool collect(char *text, size_t size, size_t *len, const char *data, size_t n)
{
    size_t room = size - *len;
    size_t take = n < room ? n : room;
    memcpy(text + *len, data, take);
    *len += take;
    return take < n;
}

/* ---- what llhttp calls; a value other than 0 ends the parsing ------------------------------------ */

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

static bool is_named(const struct hf_request *r, const char *name)
{
    return !r->header_name.is_cut && r->header_name.len == strlen(name) &&
           strncasecmp(r->header_name.text, name, r->header_name.len) == 0;
}

static int on_field_complete(llhttp_t *parser)
{
    struct hf_request *r = parser->data;
    if (r->header_name.len == 0) /* RFC 9110, 5.1: a name has a character at least */
        return refuse(r, 400);
    r->header = HF_HEADER_OTHER;
    if (is_named(r, "host")) {
        r->header = HF_HEADER_HOST;
        r->n_hosts++;
    } else if (is_named(r, "if-none-match")) {
        r->header = HF_HEADER_IF_NONE_MATCH;
        if (r->if_none_match.len != 0)
            COLLECT(&r->if_none_match, ",", 1);
    } else if (is_named(r, "user-agent")) {
        r->header = HF_HEADER_USER_AGENT;
    }
    r->header_name.len = 0;
    r->header_name.is_cut = false;
    return 0;
}

static int on_value(llhttp_t *parser, const char *data, size_t len)
{
    struct hf_request *r = parser->data;
    if (r->header == HF_HEADER_IF_NONE_MATCH)
        COLLECT(&r->if_none_match, data, len);
    else if (r->header == HF_HEADER_USER_AGENT)
        COLLECT(&r->agent, data, len);
    else if (r->header == HF_HEADER_HOST)
        COLLECT(&r->host, data, len);
    return 0;
}

static bool has_body(const llhttp_t *parser)
{
    return parser->content_length > 0 || (parser->flags & F_TRANSFER_ENCODING) != 0;
}

/* RFC 9112, 3.2: exactly one Host, which 1.0 did not know, and that a valid one. */
static bool has_valid_host(const struct hf_request *r)
{
    if (r->n_hosts != 1)
        return r->n_hosts == 0 && r->is_http_1_0;
    size_t len = r->host.len;
    while (len > 0 && (r->host.text[len - 1] == ' ' || r->host.text[len - 1] == '\t'))
        len--;
    return !r->host.is_cut && hf_authority_is_valid(r->host.text, len);
}

static int on_headers_complete(llhttp_t *parser)
{
    struct hf_request *r = parser->data;
    if (parser->http_major != 1 || parser->http_minor > 1)
        return refuse(r, 505);
    r->is_http_1_0 = parser->http_minor == 0;
    if (!has_valid_host(r))
        return refuse(r, 400);
    bool is_known = parser->method == HTTP_GET || parser->method == HTTP_HEAD;
    if (has_body(parser))
        return refuse(r, is_known ? 413 : 405);
    if (parser->method == HTTP_CONNECT)
        return refuse(r, 405); /* what follows would not be HTTP */
    parser->upgrade = 0;       /* an offer to speak something else is declined by answering */
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct hf_request *r = parser->data;
    r->is_keep_alive = llhttp_should_keep_alive(parser) != 0;
    return HPE_PAUSED; /* one request at a time */
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_field_complete = on_field_complete,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
    .on_message_complete = on_message_complete,
};

/* ---- for the connection ------------------------------------------------------------------------ */

void hf_request_parser_init(llhttp_t *parser)
{
    llhttp_init(parser, HTTP_REQUEST, &settings);
}

void hf_request_begin(struct hf_request *request, llhttp_t *parser)
{
    /* The texts are bounded by their lengths: no need to clear them. */
    request->method = HTTP_GET;
    request->is_http_1_0 = false;
    request->is_keep_alive = false;
    request->refused = 0;
    request->target.len = request->if_none_match.len = request->agent.len = request->host.len = 0;
    request->target.is_cut = request->if_none_match.is_cut = request->agent.is_cut = false;
    request->host.is_cut = false;
    request->head_len = 0;
    request->n_hosts = 0;
    request->is_line_new = false;
    request->header = HF_HEADER_OTHER;
    request->header_name.len = 0;
    request->header_name.is_cut = false;
    parser->data = request;
}

/* Does a line begin with a blank? It would continue the one before (obs-fold), which proxies read in
 * different ways; a server refuses it (RFC 9112, 2.2 and 5.2). */
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

enum hf_fed hf_request_feed(struct hf_request *request, llhttp_t *parser, const uint8_t *data,
                            size_t len, size_t *used)
{
    const char *text = (const char *)data;
    llhttp_errno_t err = llhttp_execute(parser, text, len);
    size_t read = err == HPE_OK ? len : (size_t)(llhttp_get_error_pos(parser) - text);
    size_t took = err == HPE_PAUSED ? read : len;
    if (err == HPE_PAUSED)
        llhttp_resume(parser);
    request->method = parser->method;
    request->head_len += took;
    if (request->refused == 0 && err != HPE_OK && err != HPE_PAUSED)
        request->refused = err == HPE_INVALID_VERSION || err == HPE_PAUSED_H2_UPGRADE ? 505 : 400;
    if (has_folded_line(request, text, read))
        request->refused = 400;
    if (request->refused == 0 && request->head_len > HF_SERVE_HEAD_BYTES_MAX)
        request->refused = 431;
    if (err == HPE_OK && request->refused == 0)
        return HF_FED_MORE;
    *used = took;
    return HF_FED_WHOLE;
}

/* ---- If-None-Match ----------------------------------------------------------------------------- */

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
