#include "common/tls/endpoint.h"

#include <mbedtls/x509_crt.h>

#include <stdio.h>
#include <string.h>

#define IPV6_TEXT_MAX 45 /* the longest there is, with an IPv4 address at its end */

/* Bytes of the address that `host` is, in binary: 4, 16, or 0 for a name. */
static size_t address_len(const char *host)
{
    uint32_t ignored[4];

    return mbedtls_x509_crt_parse_cn_inet_pton(host, ignored);
}

/* ASCII only, whatever the locale says. */
static bool is_name_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

static char to_lower(uint8_t c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static enum hf_err parse_port(struct hf_bytes text, uint16_t *port, struct hf_why *why)
{
    unsigned value = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return hf_fail(why, HF_E_FORMAT, "the port is not a number from 1 to 65535");
        value = value * 10 + (unsigned)(text.data[i] - '0');
        if (value > UINT16_MAX)
            return hf_fail(why, HF_E_FORMAT, "the port is larger than 65535");
    }
    if (value == 0)
        return hf_fail(why, HF_E_FORMAT, "the port is not a number from 1 to 65535");
    *port = (uint16_t)value;
    return HF_OK;
}

static enum hf_err parse_name(struct hf_bytes text, struct hf_endpoint *e, struct hf_why *why)
{
    if (text.len == 0)
        return hf_fail(why, HF_E_FORMAT,
                       "the host name is empty (write an IPv6 address in brackets)");
    if (text.len > HF_HOST_MAX)
        return hf_fail(why, HF_E_FORMAT, "the host name is longer than %d bytes", HF_HOST_MAX);
    for (size_t i = 0; i < text.len; i++) {
        if (!is_name_char(text.data[i]))
            return hf_fail(
                why, HF_E_FORMAT,
                "the host name holds byte 0x%02x; letters, digits, \"-\", \".\" and \"_\" are "
                "expected (write an IPv6 address in brackets)",
                text.data[i]);
        e->host[i] = to_lower(text.data[i]);
    }
    e->host[text.len] = '\0';
    return HF_OK;
}

static enum hf_err parse_ipv6(struct hf_bytes text, struct hf_endpoint *e, struct hf_why *why)
{
    if (text.len <= IPV6_TEXT_MAX) {
        for (size_t i = 0; i < text.len; i++)
            e->host[i] = to_lower(text.data[i]);
        e->host[text.len] = '\0';
        e->is_ipv6 = memchr(e->host, '\0', text.len) == NULL && address_len(e->host) == 16;
    }
    if (!e->is_ipv6)
        return hf_fail(why, HF_E_FORMAT, "the text in brackets is not an IPv6 address");
    return HF_OK;
}

enum hf_err hf_endpoint_parse(struct hf_bytes text, uint16_t default_port, struct hf_endpoint *out,
                              struct hf_why *why)
{
    struct hf_endpoint e = {.port = default_port};
    struct hf_bytes host = text;
    const uint8_t *colon;

    if (text.len > 0 && text.data[0] == '[') {
        const uint8_t *end = memchr(text.data, ']', text.len);
        if (end == NULL)
            return hf_fail(why, HF_E_FORMAT, "the bracket before the IPv6 address is not closed");
        host = (struct hf_bytes){text.data + 1, (size_t)(end - text.data) - 1};
        HF_TRY(parse_ipv6(host, &e, why));
        colon = end + 1;
        if (colon < text.data + text.len && *colon != ':')
            return hf_fail(why, HF_E_FORMAT, "only a port may follow the address in brackets");
    } else {
        colon = text.len > 0 ? memchr(text.data, ':', text.len) : NULL;
        if (colon == NULL)
            colon = text.data + text.len;
        host.len = (size_t)(colon - text.data);
        HF_TRY(parse_name(host, &e, why));
    }

    /* "host:" means the default port too (RFC 3986, 3.2.3). */
    if (colon + 1 < text.data + text.len) {
        struct hf_bytes port = {colon + 1, (size_t)(text.data + text.len - (colon + 1))};
        HF_TRY(parse_port(port, &e.port, why));
    }
    *out = e;
    return HF_OK;
}

void hf_endpoint_drop_final_dot(struct hf_endpoint *endpoint)
{
    size_t len = strlen(endpoint->host);
    if (len > 1 && endpoint->host[len - 1] == '.' && endpoint->host[len - 2] != '.')
        endpoint->host[len - 1] = '\0';
}

void hf_endpoint_format(const struct hf_endpoint *endpoint, char out[HF_ENDPOINT_TEXT])
{
    (void)snprintf(out, HF_ENDPOINT_TEXT, endpoint->is_ipv6 ? "[%s]:%u" : "%s:%u", endpoint->host,
                   endpoint->port);
}

bool hf_endpoint_is_address(const struct hf_endpoint *endpoint)
{
    return endpoint->is_ipv6 || address_len(endpoint->host) != 0;
}

bool hf_endpoint_equal(const struct hf_endpoint *a, const struct hf_endpoint *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}
