#include "server/serve/authority.h"

#include "common/base/percent.h"

#include <arpa/inet.h>
#include <string.h>

/* ":" and digits, or nothing. */
static bool is_port(const char *text, size_t len)
{
    unsigned port = 0;
    if (len > 0 && text[0] != ':')
        return false;
    for (size_t i = 1; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = 10 * port + (unsigned)(text[i] - '0');
        if (port > 65535)
            return false;
    }
    return true;
}

static bool is_ipv6(const char *text, size_t len)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr parsed;
    if (len >= sizeof address)
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    return strlen(address) == len && inet_pton(AF_INET6, address, &parsed) == 1;
}

/* unreserved or sub-delims (RFC 3986, 2). */
static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~!$&'()*+,;=", c) != NULL);
}

/* The length of the name that `text` begins with; 0 for none, or one with a bad escape. */
static size_t name_len(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len && text[at] != ':') {
        if (is_name_char(text[at]))
            at++;
        else if (hf_percent_byte(text + at, len - at) >= 0)
            at += 3;
        else
            return 0;
    }
    return at;
}

bool hf_authority_is_valid(const char *text, size_t len)
{
    size_t host_len = 0;
    if (len > 0 && text[0] == '[') {
        const char *end = memchr(text, ']', len);
        if (end == NULL || !is_ipv6(text + 1, (size_t)(end - text) - 1))
            return false;
        host_len = (size_t)(end - text) + 1;
    } else {
        host_len = name_len(text, len);
    }
    return host_len > 0 && is_port(text + host_len, len - host_len);
}
