/* Addresses of clients and of the server: as text, to listen on, and counted. */
#ifndef HF_HTTP_ADDRESS_H
#define HF_HTTP_ADDRESS_H

#include "server/http/limits.h"

#include <holdfast/error.h>

#include <netinet/in.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>

union hf_peer {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

#define HF_ADDRESS_TEXT_MAX 64

/** "127.0.0.1:8080" or "[::1]:8080". HF_E_ARGUMENT in words. */
HF_MUST_USE enum hf_err hf_address_parse(const char *text, union hf_peer *out, struct hf_why *why);
void hf_address_format(const union hf_peer *address, char out[HF_ADDRESS_TEXT_MAX]);

/**
 * Bind and listen. Every loop has a socket of its own on the same address (SO_REUSEPORT), and the
 * kernel spreads connections over them. `*address` with port 0 gets the port that the kernel chose,
 * so that the next socket can share it. `is_first` makes sure that no other server is there: with
 * SO_REUSEPORT the kernel would give us half of its connections. HF_E_NETWORK in words.
 */
HF_MUST_USE enum hf_err hf_listen(union hf_peer *address, bool is_first, int *out,
                                  struct hf_why *why);

/**
 * How many connections an address has, over all loops: IPv4 addresses, also those that come through
 * an IPv6 socket, and IPv6 networks of 64 bits, which one host can fill alone.
 *
 * Two rows of counters; an address has one in each, found by a keyed hash, and its number is the
 * lower of the two. So another address can raise a number only where both counters meet by chance
 * (once in four billion pairs). An attacker cannot choose such an address without the key. Nothing is
 * allocated or locked.
 */
struct hf_address_count {
    unsigned max;
    unsigned char key[crypto_shorthash_KEYBYTES];
    atomic_uint cells[2][HF_HTTP_ADDRESS_CELLS];
};

/** NULL without memory; to be freed with free(3). */
struct hf_address_count *hf_address_count_new(unsigned max);

/** One connection more of `peer`; false, and nothing counted, if it has `max` already. */
bool hf_address_count_add(struct hf_address_count *count, const union hf_peer *peer);
/** One connection less of `peer`. */
void hf_address_count_drop(struct hf_address_count *count, const union hf_peer *peer);

#endif
