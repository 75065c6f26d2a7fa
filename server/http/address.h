/* Addresses of clients and of the server: as text, to listen on, and counted. */
#ifndef HF_HTTP_ADDRESS_H
#define HF_HTTP_ADDRESS_H

#include "server/http/limits.h"

#include <holdfast/bytes.h>

#include <netinet/in.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

/* A client on a Unix-domain socket, as the kernel knows it (SO_PEERCRED). */
struct hf_local_peer {
    sa_family_t family; /* AF_UNIX */
    uid_t uid;
    gid_t gid;
    pid_t pid;
};

union hf_peer {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct hf_local_peer local;
};

#define HF_ADDRESS_TEXT_MAX 64

/** "127.0.0.1:8080" or "[::1]:8080". HF_E_ARGUMENT in words. */
HF_MUST_USE enum hf_err hf_address_parse(const char *text, union hf_peer *out, struct hf_why *why);
/** The same in the other direction; "unix:uid=1000" for a local client. */
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
 * Listen on the Unix-domain socket `path`, which is made with exactly `mode`, and with the group
 * `gid` if it is not (gid_t)-1. A socket there on which no server listens any more is replaced.
 * HF_E_ARGUMENT for a path that is too long, HF_E_BUSY when a server listens there, HF_E_NETWORK,
 * in words.
 */
HF_MUST_USE enum hf_err hf_listen_local(const char *path, mode_t mode, gid_t gid, int *out,
                                        struct hf_why *why);
/** Who is at the other end of an accepted Unix-domain socket. False if the kernel does not say. */
bool hf_local_peer_of(int fd, union hf_peer *out);

/** A network: the first `bits` of an address. An IPv4 network is kept as its mapped IPv6 one. */
struct hf_network {
    uint8_t address[16];
    unsigned bits;
};
/** "192.0.2.0/24", "2001:db8::/32", or a single address. HF_E_ARGUMENT in words; bits behind the
 *  prefix must be zero, so that a typo in it is noticed. */
HF_MUST_USE enum hf_err hf_network_parse(const char *text, struct hf_network *out,
                                         struct hf_why *why);
/** Is the address in one of them? IPv4 through an IPv6 socket counts as IPv4; a local client is in
 *  none. */
bool hf_networks_contain(const struct hf_network *networks, size_t n, const union hf_peer *peer);

/** What one host can have, to count by: an IPv4 address, also one that comes through an IPv6 socket
 *  (4 bytes), or an IPv6 network of 64 bits (8 bytes). Borrowed from `peer`, which is no local
 *  client. */
struct hf_bytes hf_address_host(const union hf_peer *peer);

/**
 * How many connections an address has, over all loops: IPv4 addresses, also those that come through
 * an IPv6 socket, and IPv6 networks of 64 bits, which one host can fill alone.
 *
 * Two rows of counters; an address has one in each, found by a keyed hash, and its number is the
 * lower of the two. So another address can raise a number only where both counters meet by chance
 * (once in four billion pairs). An attacker cannot choose such an address without the key. Nothing
 * is allocated or locked.
 */
struct hf_address_count {
    atomic_uint max;
    unsigned char key[crypto_shorthash_KEYBYTES];
    atomic_uint cells[2][HF_HTTP_ADDRESS_CELLS];
};

/** NULL without memory; to be freed with free(3). */
struct hf_address_count *hf_address_count_new(unsigned max);
/** From now on; connections that are open stay. From any thread. */
void hf_address_count_set_max(struct hf_address_count *count, unsigned max);

/** One connection more of `peer`; false, and nothing counted, if it has `max` already. Local
 *  clients are not counted: the mode of their socket says who may connect. */
bool hf_address_count_add(struct hf_address_count *count, const union hf_peer *peer);
/** One connection less of `peer`. */
void hf_address_count_drop(struct hf_address_count *count, const union hf_peer *peer);

#endif
