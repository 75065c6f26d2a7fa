#include "client/port/posix/url.h"

#include "common/base/percent.h"

#include <arpa/inet.h>
#include <sodium.h>
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

static uint16_t default_port(const struct hf_url *url)
{
    return url->is_https ? 443 : 80;
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
    if (strncasecmp(text, "https://", 8) == 0)
        url.is_https = true;
    else if (strncasecmp(text, "http://", 7) != 0)
        return hf_fail(why, HF_E_FORMAT, "the URL does not begin with http:// or https://");

    authority = strstr(text, "//") + 2;
    len = strcspn(authority, "/?#");
    if (memchr(authority, '@', len) != NULL)
        return hf_fail(why, HF_E_FORMAT,
                       "the URL holds a user name or password before '@', which is not supported; "
                       "take it out");
    HF_TRY(hf_endpoint_parse((struct hf_bytes){(const uint8_t *)authority, len}, default_port(&url),
                             &url.peer, why));
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

/** A relative reference that is a path, a query, a fragment or nothing (RFC 3986, 5.2.2). */
static enum hf_err resolve_path(const struct hf_url *base, const char *reference,
                                struct hf_url *out, struct hf_why *why)
{
    char joined[2 * HF_URL_MAX + 1];
    size_t path_len = strcspn(base->target, "?");
    size_t len = strcspn(reference, "#");
    size_t kept = path_len; /* of the base's target */
    struct hf_url url = *base;

    if (reference[0] == '\0' || reference[0] == '#')
        kept = strlen(base->target);
    else if (reference[0] == '/')
        kept = 0;
    else if (reference[0] != '?')
        while (base->target[kept - 1] != '/') /* its first byte is one */
            kept--;
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
    if (url->peer.port == default_port(url))
        *strrchr(out, ':') = '\0';
}

enum hf_err hf_url_append(const struct hf_url *url, struct hf_buf *out)
{
    char host[HF_ENDPOINT_TEXT];

    hf_url_host_header(url, host);
    return hf_buf_printf(out, "%s://%s%s", url->is_https ? "https" : "http", host, url->target);
}

/* ---- redirects ------------------------------------------------------------------------------- */

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
        return hf_fail(
            why, HF_E_NETWORK,
            "it redirects to a server that is neither a mirror nor a redirect host of "
            "this device; if that is right, add it: `holdfast config set redirect-hosts`");
    *out = next;
    return HF_OK;
}

/* ---- proxies: no_proxy ----------------------------------------------------------------------- */

/** "192.0.2.0/24", "2001:db8::/32", "[::1]", "127.0.0.1" */
static bool address_matches(const char *token, size_t len, const struct hf_endpoint *peer)
{
    int family = peer->is_ipv6 ? AF_INET6 : AF_INET;
    size_t most_bits = peer->is_ipv6 ? 128 : 32, bits = most_bits;
    char text[INET6_ADDRSTRLEN];
    uint8_t network[16], address[16];
    const char *slash = memchr(token, '/', len);

    if (slash != NULL) {
        bits = 0;
        for (const char *p = slash + 1; p < token + len; p++) {
            if (*p < '0' || *p > '9' || bits > most_bits)
                return false;
            bits = bits * 10 + (size_t)(*p - '0');
        }
        if (slash + 1 == token + len || bits > most_bits)
            return false;
        len = (size_t)(slash - token);
    }
    if (len >= 2 && token[0] == '[' && token[len - 1] == ']') {
        token++;
        len -= 2;
    }
    if (len >= sizeof text)
        return false;
    memcpy(text, token, len);
    text[len] = '\0';
    if (inet_pton(family, text, network) != 1 || inet_pton(family, peer->host, address) != 1 ||
        memcmp(network, address, bits / 8) != 0)
        return false;
    return bits % 8 == 0 || (network[bits / 8] ^ address[bits / 8]) >> (8 - bits % 8) == 0;
}

/** The name itself or one below it; dots at either end say nothing. */
static bool name_matches(const char *token, size_t len, const char *host)
{
    size_t host_len = strlen(host);

    if (host_len > 0 && host[host_len - 1] == '.')
        host_len--;
    if (len > 0 && token[len - 1] == '.')
        len--;
    if (len > 0 && token[0] == '.') {
        token++;
        len--;
    }
    if (len == 0 || len > host_len || strncasecmp(token, host + host_len - len, len) != 0)
        return false;
    return len == host_len || host[host_len - len - 1] == '.';
}

bool hf_no_proxy_matches(const char *no_proxy, const struct hf_endpoint *peer)
{
    static const char separators[] = ", \t";
    bool is_address = hf_endpoint_is_address(peer);

    for (const char *token = no_proxy; *token != '\0';) {
        size_t len = strcspn(token, separators);
        if (len == 1 && token[0] == '*')
            return true;
        if (len > 0 &&
            (is_address ? address_matches(token, len, peer) : name_matches(token, len, peer->host)))
            return true;
        token += len;
        token += strspn(token, separators);
    }
    return false;
}

/* ---- proxies: the URL of one ----------------------------------------------------------------- */

#define DEFAULT_PROXY_PORT 1080 /* curl's, which people know */

/** The first of `names` that is set and not empty; `*name` is which. */
static const char *first_set(hf_env_fn env, const char *const *names, const char **name)
{
    for (; *names != NULL; names++) {
        const char *value = env(*names);
        if (value != NULL && value[0] != '\0') {
            *name = *names;
            return value;
        }
    }
    return NULL;
}

/** Basic authentication (RFC 7617). False for a broken percent-encoding or too long a text. */
static bool set_authorization(struct hf_proxy *proxy, const char *userinfo, size_t len)
{
    static const char scheme[] = "Basic ";
    char plain[HF_PROXY_CREDENTIALS_MAX];
    size_t n = 0;

    _Static_assert(sizeof proxy->authorization >=
                       sizeof scheme + sodium_base64_ENCODED_LEN(HF_PROXY_CREDENTIALS_MAX,
                                                                 sodium_base64_VARIANT_ORIGINAL),
                   "credentials fit");
    for (size_t i = 0; i < len; n++) {
        bool is_escape = userinfo[i] == '%';
        int byte = is_escape ? hf_percent_byte(userinfo + i, len - i) : userinfo[i];
        if (n == sizeof plain || (is_escape && byte < 0))
            return false;
        plain[n] = (char)byte;
        i += is_escape ? 3 : 1;
    }
    memcpy(proxy->authorization, scheme, sizeof scheme);
    (void)sodium_bin2base64(proxy->authorization + sizeof scheme - 1,
                            sizeof proxy->authorization - (sizeof scheme - 1),
                            (const unsigned char *)plain, n, sodium_base64_VARIANT_ORIGINAL);
    sodium_memzero(plain, sizeof plain);
    return true;
}

static enum hf_err parse_proxy(const char *value, const char *name, struct hf_proxy *out,
                               struct hf_why *why)
{
    struct hf_proxy proxy = {.is_used = true};
    const char *scheme_end = strstr(value, "://");
    const char *rest = scheme_end != NULL ? scheme_end + 3 : value;

    if (scheme_end != NULL && strncasecmp(value, "http://", 7) != 0)
        return hf_fail(why, HF_E_FORMAT,
                       "%s names a proxy of a kind that is not supported; "
                       "http://[user:password@]host:port is",
                       name);
    size_t len = strcspn(rest, "/?#");
    const char *at = memrchr(rest, '@', len);
    if (at != NULL) {
        if (!set_authorization(&proxy, rest, (size_t)(at - rest)))
            return hf_fail(why, HF_E_FORMAT,
                           "%s holds a user name and password that are longer than %d bytes or "
                           "wrongly percent-encoded",
                           name, HF_PROXY_CREDENTIALS_MAX);
        len -= (size_t)(at + 1 - rest);
        rest = at + 1;
    }
    enum hf_err err = hf_endpoint_parse((struct hf_bytes){(const uint8_t *)rest, len},
                                        DEFAULT_PROXY_PORT, &proxy.peer, why);
    if (err == HF_OK)
        *out = proxy;
    else
        (void)hf_fail_context(why, "%s", name);
    return err;
}

enum hf_err hf_proxy_pick(const struct hf_url *url, hf_env_fn env, struct hf_proxy *out,
                          struct hf_why *why)
{
    static const char *const for_http[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
    static const char *const for_https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                                            NULL};
    static const char *const exceptions[] = {"no_proxy", "NO_PROXY", NULL};
    const char *name = NULL, *exceptions_name = NULL;
    const char *value = first_set(env, url->is_https ? for_https : for_http, &name);
    const char *no_proxy = first_set(env, exceptions, &exceptions_name);

    if (value == NULL || (no_proxy != NULL && hf_no_proxy_matches(no_proxy, &url->peer))) {
        *out = (struct hf_proxy){0};
        return HF_OK;
    }
    return parse_proxy(value, name, out, why);
}
