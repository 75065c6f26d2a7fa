#include "server/serve/route.h"

#include <string.h>
#include <strings.h>

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool decode(const char *text, size_t len, char *out, size_t *out_len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '%') {
            out[n++] = text[i];
            continue;
        }
        if (len - i < 3 || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0)
            return false;
        out[n++] = (char)(digit(text[i + 1]) * 16 + digit(text[i + 2]));
        i += 2;
    }
    *out_len = n;
    return true;
}

/* What is before the path in an absolute-form target; 0 for origin-form. */
static size_t authority_len(const char *target, size_t len)
{
    size_t scheme = 0;
    if (len >= 7 && strncasecmp(target, "http://", 7) == 0)
        scheme = 7;
    else if (len >= 8 && strncasecmp(target, "https://", 8) == 0)
        scheme = 8; /* TLS ended before us */
    if (scheme == 0)
        return 0;
    const char *slash = memchr(target + scheme, '/', len - scheme);
    return slash != NULL ? (size_t)(slash - target) : len;
}

bool hf_route_path(const char *target, size_t len, char *out, size_t *out_len)
{
    size_t before = authority_len(target, len);
    target += before;
    len -= before;
    if (len == 0 || target[0] != '/')
        return false;
    const char *query = memchr(target, '?', len);
    return decode(target, query != NULL ? (size_t)(query - target) : len, out, out_len);
}

static bool is_health(const char *path, size_t len)
{
    return len == 8 && memcmp(path, "/healthz", 8) == 0;
}

static bool has_it_already(const struct hf_request *request, const struct hf_served_file *file)
{
    return request->if_none_match.len != 0 && !request->if_none_match.is_cut &&
           hf_etag_list_matches(request->if_none_match.text, request->if_none_match.len,
                                file->etag);
}

struct hf_answer hf_route(const struct hf_request *request, const struct hf_edition *g)
{
    struct hf_answer answer = {.is_head = request->method == HTTP_HEAD};
    char path[HF_SERVE_TARGET_BYTES_MAX];
    size_t path_len = 0;

    answer.status = request->refused;
    if (answer.status != 0)
        return answer;
    answer.status = 405;
    if (request->method != HTTP_GET && request->method != HTTP_HEAD)
        return answer;
    answer.status = 400;
    if (!hf_route_path(request->target.text, request->target.len, path, &path_len))
        return answer;
    answer.is_health = is_health(path, path_len);
    if (answer.is_health)
        return answer;
    answer.status = 503;
    if (g == NULL)
        return answer;
    answer.status = 404;
    answer.file = hf_edition_find(g, path, path_len);
    if (answer.file != NULL)
        answer.status = has_it_already(request, answer.file) ? 304 : 200;
    return answer;
}
