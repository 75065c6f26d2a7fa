#include "server/http/proxy.h"

#include <string.h>

#define SIGNATURE_LEN 12
static const uint8_t signature[SIGNATURE_LEN] = "\r\n\r\n\0\r\nQUIT\n";

enum { VERSION_2 = 0x20, COMMAND_LOCAL = 0, COMMAND_PROXY = 1 };
enum { FAMILY_NONE = 0, FAMILY_IPV4 = 1, FAMILY_IPV6 = 2, FAMILY_UNIX = 3 };
enum { TRANSPORT_NONE = 0, TRANSPORT_STREAM = 1 };

/* Source and destination, and their ports; two paths of 108 bytes. */
static const size_t address_bytes[] =
    {[FAMILY_NONE] = 0, [FAMILY_IPV4] = 12, [FAMILY_IPV6] = 36, [FAMILY_UNIX] = 216};

static size_t number_at(const uint8_t *at)
{
    return (size_t)at[0] << 8 | at[1];
}

/* A type, a length of two bytes, and as many bytes, again and again up to the end. */
static bool are_fields(const uint8_t *at, size_t len)
{
    while (len >= 3) {
        size_t field = 3 + number_at(at + 1);
        if (field > len)
            return false;
        at += field;
        len -= field;
    }
    return len == 0;
}

static void take_client(unsigned family, const uint8_t *at, struct hf_proxy *out)
{
    out->has_client = true;
    if (family == FAMILY_IPV4) {
        out->client.v4.sin_family = AF_INET;
        memcpy(&out->client.v4.sin_addr, at, 4);
        memcpy(&out->client.v4.sin_port, at + 8, 2); /* both are in network order */
    } else {
        out->client.v6.sin6_family = AF_INET6;
        memcpy(&out->client.v6.sin6_addr, at, 16);
        memcpy(&out->client.v6.sin6_port, at + 32, 2);
    }
}

enum hf_proxy_result hf_proxy_parse(struct hf_bytes data, size_t *needed, struct hf_proxy *out)
{
    size_t known = data.len < SIGNATURE_LEN ? data.len : SIGNATURE_LEN;
    if (known > 0 && memcmp(data.data, signature, known) != 0)
        return HF_PROXY_BAD;
    if (data.len < HF_PROXY_FIXED_BYTES) {
        *needed = HF_PROXY_FIXED_BYTES;
        return HF_PROXY_MORE;
    }
    unsigned command = data.data[12] & 0x0f;
    unsigned family = data.data[13] >> 4, transport = data.data[13] & 0x0f;
    size_t len = number_at(data.data + 14);
    if ((data.data[12] & 0xf0) != VERSION_2 || command > COMMAND_PROXY ||
        HF_PROXY_FIXED_BYTES + len > HF_PROXY_BYTES_MAX)
        return HF_PROXY_BAD;
    if (data.len < HF_PROXY_FIXED_BYTES + len) {
        *needed = HF_PROXY_FIXED_BYTES + len;
        return HF_PROXY_MORE;
    }

    const uint8_t *body = data.data + HF_PROXY_FIXED_BYTES;
    struct hf_proxy proxy = {0};
    /* Of a LOCAL connection family and addresses mean nothing and are skipped (2.2). */
    if (command == COMMAND_PROXY) {
        if (family > FAMILY_UNIX || (family == FAMILY_NONE) != (transport == TRANSPORT_NONE) ||
            transport > TRANSPORT_STREAM || len < address_bytes[family])
            return HF_PROXY_BAD;
        if (family != FAMILY_NONE && /* what follows no address has no form */
            !are_fields(body + address_bytes[family], len - address_bytes[family]))
            return HF_PROXY_BAD;
        if (family == FAMILY_IPV4 || family == FAMILY_IPV6)
            take_client(family, body, &proxy);
    }
    *needed = HF_PROXY_FIXED_BYTES + len;
    *out = proxy;
    return HF_PROXY_DONE;
}
