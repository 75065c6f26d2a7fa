#include "client/port/posix/http.h"

#include "common/base/hex.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* curl's, which people know from there. */
#define DEFAULT_PORT 1080

/* ---- no_proxy ----------------------------------------------------------------------------------- */

static bool network_contains(const uint8_t *network, const uint8_t *address, size_t bits)
{
    size_t bytes = bits / 8, rest = bits % 8;

    if (memcmp(network, address, bytes) != 0)
        return false;
    return rest == 0 || (network[bytes] ^ address[bytes]) >> (8 - rest) == 0;
}

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
    return inet_pton(family, text, network) == 1 && inet_pton(family, peer->host, address) == 1 &&
           network_contains(network, address, bits);
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

/* ---- the proxy's own URL ------------------------------------------------------------------------ */

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

/** Undo percent-encoding; false for a broken escape or too long a text. */
static bool percent_decode(const char *text, size_t len, char *out, size_t cap, size_t *out_len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; n++) {
        if (n == cap)
            return false;
        if (text[i] != '%') {
            out[n] = text[i++];
            continue;
        }
        char digits[3] = {0};
        if (len - i < 3)
            return false;
        memcpy(digits, text + i + 1, 2);
        if (!hf_hex_decode(digits, (uint8_t *)out + n, 1))
            return false;
        i += 3;
    }
    *out_len = n;
    return true;
}

/** Basic authentication (RFC 7617). */
static bool set_authorization(struct hf_proxy *proxy, const char *userinfo, size_t len)
{
    static const char scheme[] = "Basic ";
    char plain[HF_PROXY_CREDENTIALS_MAX];
    size_t plain_len;

    _Static_assert(sizeof proxy->authorization >=
                       sizeof scheme + sodium_base64_ENCODED_LEN(HF_PROXY_CREDENTIALS_MAX,
                                                                 sodium_base64_VARIANT_ORIGINAL),
                   "credentials fit");
    if (!percent_decode(userinfo, len, plain, sizeof plain, &plain_len))
        return false;
    memcpy(proxy->authorization, scheme, sizeof scheme);
    (void)sodium_bin2base64(proxy->authorization + sizeof scheme - 1,
                            sizeof proxy->authorization - (sizeof scheme - 1),
                            (const unsigned char *)plain, plain_len,
                            sodium_base64_VARIANT_ORIGINAL);
    sodium_memzero(plain, sizeof plain);
    return true;
}

static enum hf_err parse_proxy(const char *value, const char *name, struct hf_proxy *out,
                               struct hf_why *why)
{
    struct hf_proxy proxy = {.is_used = true};
    const char *scheme_end = strstr(value, "://");
    const char *rest = value, *at;
    enum hf_err err;
    size_t len;

    if (scheme_end != NULL) {
        rest = scheme_end + 3;
        if (strncasecmp(value, "http://", 7) != 0)
            return hf_fail(why, HF_E_FORMAT,
                           "%s names a proxy of a kind that is not supported; "
                           "http://[user:password@]host:port is",
                           name);
    }
    len = strcspn(rest, "/?#");
    at = memrchr(rest, '@', len);
    if (at != NULL) {
        if (!set_authorization(&proxy, rest, (size_t)(at - rest)))
            return hf_fail(why, HF_E_FORMAT,
                           "%s holds a user name and password that are longer than %d bytes or "
                           "wrongly percent-encoded",
                           name, HF_PROXY_CREDENTIALS_MAX);
        len -= (size_t)(at + 1 - rest);
        rest = at + 1;
    }
    err = hf_endpoint_parse((struct hf_bytes){(const uint8_t *)rest, len}, DEFAULT_PORT,
                            &proxy.peer, why);
    if (err != HF_OK) {
        (void)hf_fail_context(why, "%s", name);
        return err;
    }
    *out = proxy;
    return HF_OK;
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
