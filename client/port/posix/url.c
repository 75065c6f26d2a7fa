#include "client/port/posix/url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static enum hf_err check_bytes(const char *text, struct hf_why *why)
{
    size_t len = strlen(text);

    if (len > HF_URL_MAX)
        return hf_fail(why, HF_E_LIMIT, "the URL is %zu bytes long, %d are allowed", len,
                       HF_URL_MAX);
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c <= ' ' || c >= 0x7f)
            return hf_fail(why, HF_E_FORMAT,
                           "the URL holds byte 0x%02x, which must be percent-encoded", c);
    }
    return HF_OK;
}

static bool has_scheme(const char *text, const char *scheme)
{
    return strncasecmp(text, scheme, strlen(scheme)) == 0;
}

/** `text` (without fragment) becomes path and query; an empty path is "/". */
static enum hf_err set_target(struct hf_url *url, const char *text, size_t len, struct hf_why *why)
{
    size_t slash = len == 0 || text[0] != '/' ? 1 : 0;

    if (len + slash > HF_URL_MAX)
        return hf_fail(why, HF_E_LIMIT, "the URL is longer than %d bytes", HF_URL_MAX);
    url->target[0] = '/';
    memcpy(url->target + slash, text, len);
    url->target[len + slash] = '\0';
    return HF_OK;
}

enum hf_err hf_url_parse(const char *text, struct hf_url *out, struct hf_why *why)
{
    struct hf_url url = {0};
    const char *authority;
    size_t len;

    HF_TRY(check_bytes(text, why));
    if (has_scheme(text, "https://"))
        url.is_https = true;
    else if (!has_scheme(text, "http://"))
        return hf_fail(why, HF_E_FORMAT, "the URL does not begin with http:// or https://");

    authority = strstr(text, "//") + 2;
    len = strcspn(authority, "/?#");
    if (memchr(authority, '@', len) != NULL)
        return hf_fail(why, HF_E_FORMAT,
                       "the URL holds a user name or password before '@', which is not supported; "
                       "take it out");
    HF_TRY(hf_endpoint_parse((struct hf_bytes){(const uint8_t *)authority, len},
                             url.is_https ? 443 : 80, &url.peer, why));
    text = authority + len;
    HF_TRY(set_target(&url, text, strcspn(text, "#"), why));
    *out = url;
    return HF_OK;
}

/** Take "." and ".." out of the path, in place (RFC 3986, 5.2.4). */
static void remove_dot_segments(char *target)
{
    char *query = target + strcspn(target, "?");
    char *in = target, *out = target;

    while (in < query) {
        size_t len = 1 + strcspn(in + 1, "/?"); /* "/segment" */
        bool is_last = in + len == query;
        if (len == 2 && in[1] == '.') {
            if (is_last)
                *out++ = '/';
        } else if (len == 3 && in[1] == '.' && in[2] == '.') {
            while (out > target && *--out != '/')
                continue;
            if (is_last)
                *out++ = '/';
        } else {
            memmove(out, in, len);
            out += len;
        }
        in += len;
    }
    memmove(out, query, strlen(query) + 1);
}

/** How much of the base's target stays in front of a relative reference (RFC 3986, 5.2.2). */
static size_t kept_of_base(const char *base, const char *reference)
{
    size_t path_len = strcspn(base, "?");

    switch (reference[0]) {
    case '\0':
    case '#':
        return strlen(base);
    case '?':
        return path_len;
    case '/':
        return 0;
    default:
        while (base[path_len - 1] != '/') /* its first byte is one */
            path_len--;
        return path_len;
    }
}

static enum hf_err resolve_path(const struct hf_url *base, const char *reference,
                                struct hf_url *out, struct hf_why *why)
{
    char joined[2 * HF_URL_MAX + 1];
    size_t kept = kept_of_base(base->target, reference);
    size_t len = strcspn(reference, "#");
    struct hf_url url = *base;

    memcpy(joined, base->target, kept);
    memcpy(joined + kept, reference, len);
    joined[kept + len] = '\0';
    remove_dot_segments(joined);
    HF_TRY(set_target(&url, joined, strlen(joined), why));
    *out = url;
    return HF_OK;
}

enum hf_err hf_url_resolve(const struct hf_url *base, const char *reference, struct hf_url *out,
                           struct hf_why *why)
{
    char absolute[HF_URL_MAX + sizeof "https:"];
    size_t before_path = strcspn(reference, "/?#");

    HF_TRY(check_bytes(reference, why));
    if (strncmp(reference, "//", 2) == 0) {
        (void)snprintf(absolute, sizeof absolute, "%s:%s", base->is_https ? "https" : "http",
                       reference);
        return hf_url_parse(absolute, out, why);
    }
    if (memchr(reference, ':', before_path) != NULL) /* a scheme, any */
        return hf_url_parse(reference, out, why);
    return resolve_path(base, reference, out, why);
}

void hf_url_host_header(const struct hf_url *url, char out[HF_ENDPOINT_TEXT])
{
    hf_endpoint_format(&url->peer, out);
    if (url->peer.port == (url->is_https ? 443 : 80))
        *strrchr(out, ':') = '\0';
}

enum hf_err hf_url_append(const struct hf_url *url, struct hf_buf *out)
{
    char host[HF_ENDPOINT_TEXT];

    hf_url_host_header(url, host);
    return hf_buf_printf(out, "%s://%s%s", url->is_https ? "https" : "http", host, url->target);
}

/* ---- redirects ------------------------------------------------------------------------------- */

static uint16_t default_port(const struct hf_url *url)
{
    return url->is_https ? 443 : 80;
}

static bool is_same_server(const struct hf_url *asked, const struct hf_url *next)
{
    if (strcmp(asked->peer.host, next->peer.host) != 0)
        return false;
    return asked->peer.port == next->peer.port ||
           (asked->peer.port == default_port(asked) && next->peer.port == default_port(next));
}

static bool is_configured(const struct hf_redirect_targets *targets, const struct hf_url *next)
{
    for (size_t i = 0; i < targets->n; i++) {
        const struct hf_endpoint *host = &targets->hosts[i];
        uint16_t port = host->port != 0 ? host->port : default_port(next);
        if (strcmp(host->host, next->peer.host) == 0 && port == next->peer.port)
            return true;
    }
    return false;
}

enum hf_err hf_redirect_resolve(const struct hf_redirect_targets *targets,
                                const struct hf_url *asked, const struct hf_url *from,
                                const char *location, bool waives_validation, struct hf_url *out,
                                struct hf_why *why)
{
    struct hf_url next;
    struct hf_why wrong;

    if (location[0] == '\0')
        return hf_fail(why, HF_E_NETWORK, "it redirects, but does not say where to");
    if (hf_url_resolve(from, location, &next, &wrong) != HF_OK)
        return hf_fail(why, HF_E_NETWORK, "it redirects to where Holdfast does not follow: %s",
                       wrong.text);
    if (from->is_https && !next.is_https)
        return hf_fail(why, HF_E_NETWORK,
                       "it redirects from https down to http, which is not followed");
    if (!is_same_server(asked, &next) && waives_validation)
        return hf_fail(why, HF_E_NETWORK,
                       "it redirects to another server, which is not followed while the server's "
                       "chain is not validated (recovery)");
    if (!is_same_server(asked, &next) && !is_configured(targets, &next))
        return hf_fail(why, HF_E_NETWORK,
                       "it redirects to a server that is neither a mirror nor a redirect host of "
                       "this device; if that is right, allow the server with --redirect-host");
    *out = next;
    return HF_OK;
}
