#include "server/api/route.h"

#include "common/base/percent.h"
#include "common/base/plaintext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- paths ----------------------------------------------------------------------------------- */

/* Decode one segment or query value. False for a bad escape, a NUL or one that is too long. */
static bool decode(const char *text, size_t len, char out[HF_API_PARAM_MAX + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < len; n++) {
        int byte = text[i] == '%' ? hf_percent_byte(text + i, len - i) : (unsigned char)text[i];
        if (byte <= 0 || n == HF_API_PARAM_MAX)
            return false;
        out[n] = (char)byte;
        i += text[i] == '%' ? 3 : 1;
    }
    out[n] = '\0';
    return true;
}

/* Does the path fit the pattern, segment by segment? A parameter is one segment that is not
 * empty. */
static bool matches(const char *pattern, const char *path, size_t path_len,
                    struct hf_api_match *out)
{
    size_t at = 0, n_params = 0;
    while (*pattern != '\0') {
        if (*pattern != '{') {
            if (at == path_len || path[at] != *pattern)
                return false;
            pattern++;
            at++;
            continue;
        }
        const char *end = memchr(path + at, '/', path_len - at);
        size_t len = end != NULL ? (size_t)(end - path) - at : path_len - at;
        if (len == 0 || n_params == HF_API_PARAMS_MAX ||
            !decode(path + at, len, out->params[n_params++]))
            return false;
        at += len;
        pattern = strchr(pattern, '}') + 1;
    }
    return at == path_len;
}

static const struct hf_api_route *find(const struct hf_api_route *const *tables,
                                       llhttp_method_t method, const char *path, size_t path_len,
                                       struct hf_api_match *out)
{
    size_t at = 0;
    for (; *tables != NULL; tables++)
        for (const struct hf_api_route *route = *tables; route->pattern != NULL; route++) {
            struct hf_api_match match = {0};
            if (!matches(route->pattern, path, path_len, &match))
                continue;
            if (route->method == method) {
                memcpy(out->params, match.params, sizeof match.params);
                return route;
            }
            int n = snprintf(out->allow + at, sizeof out->allow - at, "%s%s", at == 0 ? "" : ", ",
                             llhttp_method_name(route->method));
            at += (size_t)n < sizeof out->allow - at ? (size_t)n : 0;
        }
    return NULL;
}

/* ---- queries --------------------------------------------------------------------------------- */

/* 1 to the largest page; 0 for anything else. */
static size_t parse_limit(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long value = digits > 0 && digits <= 6 && text[digits] == '\0'
                              ? strtoul(text, NULL, 10)
                              : 0;
    return value <= HF_FLEET_PAGE_MAX ? value : 0;
}

/* -1 for what is no number of a row. */
static int64_t parse_after(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    bool is_number = digits > 0 && digits <= 18 && text[digits] == '\0';
    return is_number ? strtoll(text, NULL, 10) : -1;
}

static unsigned take_parameter(struct hf_api_match *match, const char *name, const char *value,
                               struct hf_why *why)
{
    const struct hf_api_route *route = match->route;
    if (route->is_list && strcmp(name, "limit") == 0) {
        match->limit = parse_limit(value);
        if (match->limit != 0)
            return 0;
        (void)hf_fail(why, HF_E_ARGUMENT, "query: limit: expected a number from 1 to %u",
                      HF_FLEET_PAGE_MAX);
        return 400;
    }
    if (route->has_text_after && strcmp(name, "after") == 0) {
        (void)snprintf(match->after_text, sizeof match->after_text, "%s", value);
        return 0;
    }
    if (route->is_list && strcmp(name, "after") == 0) {
        match->after = parse_after(value);
        if (match->after >= 0)
            return 0;
        (void)hf_fail(why, HF_E_ARGUMENT,
                      "query: after: expected the number of a row, as in the link "
                      "to the next page");
        return 400;
    }
    for (size_t i = 0; i < HF_API_FILTERS_MAX; i++)
        if (route->filters[i] != NULL && strcmp(name, route->filters[i]) == 0 &&
            !match->has_filter[i]) {
            match->has_filter[i] = true;
            (void)snprintf(match->filters[i], sizeof match->filters[i], "%s", value);
            return 0;
        }
    char shown[HF_API_PARAM_MAX + 1];
    (void)snprintf(shown, sizeof shown, "%s", name);
    hf_text_sanitize(shown);
    (void)hf_fail(why, HF_E_ARGUMENT, "query: unknown or repeated parameter \"%s\"", shown);
    return 400;
}

static unsigned take_query(struct hf_api_match *match, const char *query, size_t len,
                           struct hf_why *why)
{
    const char *end = query + len;
    while (query < end) {
        char name[HF_API_PARAM_MAX + 1], value[HF_API_PARAM_MAX + 1] = "";
        const char *stop = memchr(query, '&', (size_t)(end - query));
        stop = stop != NULL ? stop : end;
        const char *equals = memchr(query, '=', (size_t)(stop - query));
        const char *name_end = equals != NULL ? equals : stop;
        if (!decode(query, (size_t)(name_end - query), name) ||
            (equals != NULL && !decode(equals + 1, (size_t)(stop - equals - 1), value))) {
            (void)hf_fail(why, HF_E_ARGUMENT,
                          "query: it is not well-formed, or a value is too long");
            return 400;
        }
        unsigned status = take_parameter(match, name, value, why);
        if (status != 0)
            return status;
        query = stop < end ? stop + 1 : end;
    }
    return 0;
}

unsigned hf_api_route_find(const struct hf_api_route *const *tables, llhttp_method_t method,
                           const char *target, size_t target_len, struct hf_api_match *out,
                           struct hf_why *why)
{
    const char *question = memchr(target, '?', target_len);
    size_t path_len = question != NULL ? (size_t)(question - target) : target_len;

    memset(out, 0, sizeof *out);
    out->limit = HF_API_PAGE_DEFAULT;
    out->route = find(tables, method, target, path_len, out);
    if (out->route == NULL && out->allow[0] != '\0') {
        (void)hf_fail(why, HF_E_ARGUMENT, "this path takes %s", out->allow);
        return 405;
    }
    if (out->route == NULL) {
        (void)hf_fail(why, HF_E_NOT_FOUND,
                      "the API has no such path; schema/openapi.yaml lists them");
        return 404;
    }
    if (question == NULL)
        return 0;
    return take_query(out, question + 1, target_len - path_len - 1, why);
}
