#include "server/serve/address_count.h"

#include <stdlib.h>
#include <string.h>

struct hf_address_count *hf_address_count_new(unsigned max)
{
    struct hf_address_count *count = calloc(1, sizeof *count);
    if (count == NULL)
        return NULL;
    count->max = max;
    randombytes_buf(count->key, sizeof count->key);
    return count;
}

/* The counters of an address. */
static void find(struct hf_address_count *count, const union hf_peer *peer, atomic_uint *out[2])
{
    /* An IPv4 address cannot be mistaken for a network: it is shorter. */
    const uint8_t *address = (const uint8_t *)&peer->v4.sin_addr;
    size_t len = sizeof peer->v4.sin_addr;
    if (peer->any.sa_family == AF_INET6) {
        address = peer->v6.sin6_addr.s6_addr;
        len = 8;
        if (IN6_IS_ADDR_V4MAPPED(&peer->v6.sin6_addr)) {
            address += 12;
            len = 4;
        }
    }
    uint32_t hash[2];
    _Static_assert(sizeof hash == crypto_shorthash_BYTES, "one hash, two places");
    crypto_shorthash((unsigned char *)hash, address, len, count->key);
    for (int row = 0; row < 2; row++)
        out[row] = &count->cells[row][hash[row] % HF_SERVE_ADDRESS_CELLS];
}

bool hf_address_count_add(struct hf_address_count *count, const union hf_peer *peer)
{
    atomic_uint *cells[2];
    find(count, peer, cells);
    unsigned a = atomic_fetch_add_explicit(cells[0], 1, memory_order_relaxed);
    unsigned b = atomic_fetch_add_explicit(cells[1], 1, memory_order_relaxed);
    if (a < count->max || b < count->max)
        return true;
    hf_address_count_drop(count, peer);
    return false;
}

void hf_address_count_drop(struct hf_address_count *count, const union hf_peer *peer)
{
    atomic_uint *cells[2];
    find(count, peer, cells);
    for (int row = 0; row < 2; row++)
        atomic_fetch_sub_explicit(cells[row], 1, memory_order_relaxed);
}
