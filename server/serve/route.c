#include "server/serve/route.h"

#include "common/base/percent.h"
#include "server/serve/authority.h"

#include <string.h>
#include <strings.h>

static bool decode(const char *text, size_t len, char *out, size_t *out_len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int byte = text[i];
        if (byte == '%') {
            byte = hf_percent_byte(text + i, len - i);
            if (byte < 0)
                return false;
            i += 2;
        }
        out[n++] = (char)byte;
    }
    *out_len = n;
    return true;
}

/* The length of what is before the path: 0 for origin-form. Returns false for an absolute-form with
 * an authority that is none. */
static bool skip_authority(const char *target, size_t len, size_t *out)
{
    size_t scheme = 0;
    if (len >= 7 && strncasecmp(target, "http://", 7) == 0)
        scheme = 7;
    else if (len >= 8 && strncasecmp(target, "https://", 8) == 0)
        scheme = 8; /* TLS ended before us */
    size_t end = scheme;
    while (scheme > 0 && end < len && target[end] != '/' && target[end] != '?')
        end++;
    *out = end;
    return scheme == 0 || hf_authority_is_valid(target + scheme, end - scheme);
}

bool hf_route_path(const char *target, size_t len, char *out, size_t *out_len)
{
    size_t before = 0;
    if (memchr(target, '#', len) != NULL || !skip_authority(target, len, &before))
        return false;
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
    answer.status = 200;
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
