/*
 * How many connections an address has, over all loops: IPv4 addresses, also those that come through
 * an IPv6 socket, and IPv6 networks of 64 bits, which one host can fill alone.
 *
 * Two rows of counters; an address has one in each, found by a keyed hash, and its number is the
 * lower of the two. So another address can raise a number only where both counters meet by chance
 * (once in four billion pairs). An attacker cannot choose such an address without the key. Nothing is
 * allocated or locked.
 */
#ifndef HF_SERVE_ADDRESS_COUNT_H
#define HF_SERVE_ADDRESS_COUNT_H

#include "server/serve/access_log.h"
#include "server/serve/limits.h"

#include <sodium.h>
#include <stdatomic.h>

struct hf_address_count {
    unsigned max;
    unsigned char key[crypto_shorthash_KEYBYTES];
    atomic_uint cells[2][HF_SERVE_ADDRESS_CELLS];
};

/** NULL without memory; to be freed with free(3). */
struct hf_address_count *hf_address_count_new(unsigned max);

/** One connection more of `peer`; false, and nothing counted, if it has `max` already. */
bool hf_address_count_add(struct hf_address_count *count, const union hf_peer *peer);
/** One connection less of `peer`. */
void hf_address_count_drop(struct hf_address_count *count, const union hf_peer *peer);

#endif
