#include "common/os/address.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct network {
    uint8_t prefix[16];
    unsigned bits;
    enum hf_address_kind kind;
};

/* The first that contains an address says what it is. */
static const struct network v4_networks[] = {
    {{0}, 8, HF_ADDRESS_LOOPBACK}, /* this host; Linux connects to itself */
    {{127}, 8, HF_ADDRESS_LOOPBACK},
    {{169, 254}, 16, HF_ADDRESS_LINK_LOCAL}, /* also where clouds serve credentials */
    {{10}, 8, HF_ADDRESS_PRIVATE},           /* RFC 1918 */
    {{172, 16}, 12, HF_ADDRESS_PRIVATE},     /* RFC 1918 */
    {{192, 168}, 16, HF_ADDRESS_PRIVATE},    /* RFC 1918 */
    {{100, 64}, 10, HF_ADDRESS_PRIVATE},     /* behind a carrier's NAT, RFC 6598 */
    {{192, 0, 0}, 24, HF_ADDRESS_PRIVATE},   /* protocol assignments, RFC 6890 */
    {{198, 18}, 15, HF_ADDRESS_PRIVATE},     /* benchmarks, RFC 2544 */
    {{224}, 4, HF_ADDRESS_PRIVATE},          /* multicast */
    {{240}, 4, HF_ADDRESS_PRIVATE},          /* reserved, and broadcast */
};

static const struct network v6_networks[] = {
    {{[15] = 1}, 128, HF_ADDRESS_LOOPBACK},                /* ::1 */
    {{0}, 128, HF_ADDRESS_LOOPBACK},                       /* :: */
    {{0xfe, 0x80}, 10, HF_ADDRESS_LINK_LOCAL},             /* RFC 4291 */
    {{0xfe, 0xc0}, 10, HF_ADDRESS_PRIVATE},                /* site-local, RFC 3879 */
    {{0xfc}, 7, HF_ADDRESS_PRIVATE},                       /* unique local, RFC 4193 */
    {{0xff}, 8, HF_ADDRESS_PRIVATE},                       /* multicast */
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 48, HF_ADDRESS_PRIVATE}, /* a network's own NAT64, RFC 8215 */
};

/* Where an IPv6 address of that network has an IPv4 address. */
static const struct {
    uint8_t prefix[16];
    unsigned bits;
    size_t offset; /* bytes */
} v4_inside[] = {
    {{[10] = 0xff, [11] = 0xff}, 96, 12}, /* mapped */
    {{0}, 96, 12},                        /* compatible */
    {{[8] = 0xff, [9] = 0xff}, 96, 12},   /* translated, RFC 2765 */
    {{0, 0x64, 0xff, 0x9b}, 96, 12},      /* NAT64 */
    {{0x20, 0x02}, 16, 2},                /* 6to4 */
};

static bool contains(const uint8_t *prefix, unsigned bits, const uint8_t *address)
{
    size_t bytes = bits / 8, rest = bits % 8;
    if (memcmp(prefix, address, bytes) != 0)
        return false;
    return rest == 0 || (prefix[bytes] ^ address[bytes]) >> (8 - rest) == 0;
}

static enum hf_address_kind kind_in(const struct network *networks, size_t n,
                                    const uint8_t *address)
{
    for (size_t i = 0; i < n; i++) {
        if (contains(networks[i].prefix, networks[i].bits, address))
            return networks[i].kind;
    }
    return HF_ADDRESS_PUBLIC;
}

enum hf_address_kind hf_address_kind(const struct sockaddr *address)
{
    const size_t n_v4 = sizeof v4_networks / sizeof v4_networks[0];
    const size_t n_v6 = sizeof v6_networks / sizeof v6_networks[0];
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof v4);
        return kind_in(v4_networks, n_v4, (const uint8_t *)&v4.sin_addr);
    }
    if (address->sa_family != AF_INET6)
        return HF_ADDRESS_LOOPBACK;
    memcpy(&v6, address, sizeof v6);
    const uint8_t *bytes = v6.sin6_addr.s6_addr;
    enum hf_address_kind kind = kind_in(v6_networks, n_v6, bytes);
    for (size_t i = 0; i < sizeof v4_inside / sizeof v4_inside[0]; i++) {
        if (kind == HF_ADDRESS_PUBLIC && contains(v4_inside[i].prefix, v4_inside[i].bits, bytes))
            return kind_in(v4_networks, n_v4, bytes + v4_inside[i].offset);
    }
    return kind;
}
