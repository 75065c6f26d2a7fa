#include "server/http/address.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

enum hf_err hf_address_parse(const char *text, union hf_peer *out, struct hf_why *why)
{
    char host[HF_ADDRESS_TEXT_MAX];
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : sizeof host;
    size_t digits = colon != NULL ? strspn(colon + 1, "0123456789") : 0;
    if (len < sizeof host && digits > 0 && digits <= 5 && colon[1 + digits] == '\0') {
        long port = strtol(colon + 1, NULL, 10);
        bool is_v6 = len >= 2 && text[0] == '[' && text[len - 1] == ']';
        (void)snprintf(host, sizeof host, "%.*s", (int)len - 2 * is_v6, text + is_v6);
        union hf_peer peer = {0};
        if (port <= 65535 && (is_v6 ? uv_ip6_addr(host, (int)port, &peer.v6)
                                    : uv_ip4_addr(host, (int)port, &peer.v4)) == 0) {
            *out = peer;
            return HF_OK;
        }
    }
    return hf_fail(why, HF_E_ARGUMENT,
                   "expected ADDRESS:PORT in numbers, such as 127.0.0.1:8080, "
                   "0.0.0.0:80 or [::]:80, found \"%s\"",
                   text);
}

void hf_address_format(const union hf_peer *address, char out[HF_ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->any.sa_family == AF_UNIX) {
        (void)snprintf(out, HF_ADDRESS_TEXT_MAX, "unix:uid=%u", address->local.uid);
        return;
    }
    bool is_v6 = address->any.sa_family == AF_INET6;
    if (is_v6)
        (void)uv_ip6_name(&address->v6, host, sizeof host);
    else
        (void)uv_ip4_name(&address->v4, host, sizeof host);
    /* The port is at the same place in both. */
    (void)snprintf(out, HF_ADDRESS_TEXT_MAX, is_v6 ? "[%s]:%u" : "%s:%u", host,
                   ntohs(address->v4.sin_port));
}

static bool set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/* -1 with errno. */
static int bound_socket(const union hf_peer *address, bool is_shared)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
        (!is_shared || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
        bind(fd, &address->any,
             address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

enum hf_err hf_listen(union hf_peer *address, bool is_first, int *out, struct hf_why *why)
{
    char text[HF_ADDRESS_TEXT_MAX];
    socklen_t len = sizeof *address;
    hf_address_format(address, text);
    /* Is the address free? Bound without sharing, and closed again. */
    int fd = is_first ? bound_socket(address, false) : -1;
    if (fd >= 0)
        close(fd);
    fd = !is_first || fd >= 0 ? bound_socket(address, true) : -1;
    if (fd >= 0) {
        /* Accepted sockets inherit all of these. Answers are written whole, so waiting for more to
         * send (Nagle) only costs time. Without the second, everything works as well, a little
         * slower. The others bound what the kernel holds for a client that does not read. */
        (void)set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        (void)set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, HF_HTTP_DEFER_ACCEPT_S);
        (void)set_option(fd, SOL_SOCKET, SO_SNDBUF, (int)HF_HTTP_SEND_BUFFER_BYTES);
        (void)set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)HF_HTTP_UNSENT_BYTES);
        if (listen(fd, HF_HTTP_BACKLOG) == 0 && getsockname(fd, &address->any, &len) == 0) {
            *out = fd;
            return HF_OK;
        }
    }
    int failed = errno;
    if (fd >= 0)
        close(fd);
    return hf_fail(why, HF_E_NETWORK, "cannot listen on %s: %s", text, strerror(failed));
}

/* ---- Unix-domain sockets --------------------------------------------------------------------- */

/* Nothing listens on a socket that refuses, but files refuse as well: they stay, and bind(2) says
 * so. */
static enum hf_err remove_stale(const struct sockaddr_un *name, struct hf_why *why)
{
    struct stat st;
    if (lstat(name->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return HF_OK;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return hf_fail(why, HF_E_NETWORK, "cannot listen on %s: %s", name->sun_path,
                       strerror(errno));
    int failed = connect(fd, (const struct sockaddr *)name, sizeof *name) == 0 ? 0 : errno;
    close(fd);
    if (failed == 0)
        return hf_fail(why, HF_E_BUSY,
                       "cannot listen on %s: another server listens there; stop it, or name "
                       "another path",
                       name->sun_path);
    if (failed == ECONNREFUSED)
        (void)unlink(name->sun_path);
    return HF_OK;
}

enum hf_err hf_listen_local(const char *path, mode_t mode, gid_t gid, int *out, struct hf_why *why)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof name.sun_path)
        return hf_fail(why, HF_E_ARGUMENT,
                       "\"%s\" cannot name a socket: expected a path of 1 to %zu bytes, found %zu",
                       path, sizeof name.sun_path - 1, len);
    memcpy(name.sun_path, path, len);
    HF_TRY(remove_stale(&name, why));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* The mode of the socket before bind(2) is that of the file, less the umask: so no other user
     * can connect before group and mode are set. */
    if (fd >= 0 && fchmod(fd, 0600) == 0 &&
        bind(fd, (const struct sockaddr *)&name, sizeof name) == 0) {
        if ((gid == (gid_t)-1 || chown(path, (uid_t)-1, gid) == 0) && chmod(path, mode) == 0 &&
            listen(fd, HF_HTTP_BACKLOG) == 0) {
            *out = fd;
            return HF_OK;
        }
        int failed = errno;
        (void)unlink(path);
        errno = failed;
    }
    int failed = errno;
    if (fd >= 0)
        close(fd);
    return hf_fail(why, HF_E_NETWORK, "cannot listen on %s: %s", path, strerror(failed));
}

bool hf_local_peer_of(int fd, union hf_peer *out)
{
    struct ucred who;
    socklen_t len = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0)
        return false;
    *out = (union hf_peer){.local = {AF_UNIX, who.uid, who.gid, who.pid}};
    return true;
}

/* ---- networks -------------------------------------------------------------------------------- */

/* As an IPv6 address, IPv4 ones mapped. False for neither. */
static bool address_bytes(const union hf_peer *peer, uint8_t out[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (peer->any.sa_family == AF_INET6) {
        memcpy(out, peer->v6.sin6_addr.s6_addr, 16);
        return true;
    }
    memcpy(out, mapped, sizeof mapped);
    memcpy(out + sizeof mapped, &peer->v4.sin_addr, 4);
    return peer->any.sa_family == AF_INET;
}

static bool has_prefix(const uint8_t address[16], const uint8_t prefix[16], unsigned bits)
{
    unsigned rest = bits % 8;
    return memcmp(address, prefix, bits / 8) == 0 &&
           (rest == 0 || (address[bits / 8] ^ prefix[bits / 8]) >> (8 - rest) == 0);
}

enum hf_err hf_network_parse(const char *text, struct hf_network *out, struct hf_why *why)
{
    char host[HF_ADDRESS_TEXT_MAX];
    struct hf_network network = {0};
    union hf_peer peer = {0};
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    size_t digits = slash != NULL ? strspn(slash + 1, "0123456789") : 0;
    bool is_read = false, is_v6 = memchr(text, ':', len) != NULL;
    if (len < sizeof host &&
        (slash == NULL || (digits > 0 && digits <= 3 && slash[1 + digits] == '\0'))) {
        (void)snprintf(host, sizeof host, "%.*s", (int)len, text);
        is_read = (is_v6 ? uv_ip6_addr(host, 0, &peer.v6) : uv_ip4_addr(host, 0, &peer.v4)) == 0;
    }
    unsigned all = is_v6 ? 128 : 32;
    unsigned bits = slash != NULL ? (unsigned)strtoul(slash + 1, NULL, 10) : all;
    if (is_read && bits <= all && address_bytes(&peer, network.address)) {
        uint8_t prefix[16] = {0};
        network.bits = bits + (128 - all);
        for (unsigned i = 0; i < network.bits; i++)
            prefix[i / 8] = (uint8_t)(prefix[i / 8] | (network.address[i / 8] & 0x80 >> i % 8));
        if (memcmp(prefix, network.address, sizeof prefix) == 0) {
            *out = network;
            return HF_OK;
        }
    }
    return hf_fail(why, HF_E_ARGUMENT,
                   "\"%s\" is no network: expected one such as 192.0.2.0/24, 2001:db8::/32 or "
                   "192.0.2.7, with zeros behind the prefix",
                   text);
}

bool hf_networks_contain(const struct hf_network *networks, size_t n, const union hf_peer *peer)
{
    uint8_t address[16];
    if (n == 0 || !address_bytes(peer, address))
        return false;
    for (size_t i = 0; i < n; i++)
        if (has_prefix(address, networks[i].address, networks[i].bits))
            return true;
    return false;
}

/* ---- counting -------------------------------------------------------------------------------- */

struct hf_address_count *hf_address_count_new(unsigned max)
{
    struct hf_address_count *count = calloc(1, sizeof *count);
    if (count == NULL)
        return NULL;
    atomic_init(&count->max, max);
    randombytes_buf(count->key, sizeof count->key);
    return count;
}

struct hf_bytes hf_address_host(const union hf_peer *peer)
{
    const uint8_t *address = peer->v6.sin6_addr.s6_addr;
    if (peer->any.sa_family != AF_INET6)
        return (struct hf_bytes){(const uint8_t *)&peer->v4.sin_addr, 4};
    if (IN6_IS_ADDR_V4MAPPED(&peer->v6.sin6_addr))
        return (struct hf_bytes){address + 12, 4};
    return (struct hf_bytes){address, 8};
}

void hf_address_count_set_max(struct hf_address_count *count, unsigned max)
{
    atomic_store_explicit(&count->max, max, memory_order_relaxed);
}

/* The counters of an address. */
static void find(struct hf_address_count *count, const union hf_peer *peer, atomic_uint *out[2])
{
    const struct hf_bytes host = hf_address_host(peer);
    uint32_t hash[2];
    _Static_assert(sizeof hash == crypto_shorthash_BYTES, "one hash, two places");
    crypto_shorthash((unsigned char *)hash, host.data, host.len, count->key);
    for (int row = 0; row < 2; row++)
        out[row] = &count->cells[row][hash[row] % HF_HTTP_ADDRESS_CELLS];
}

bool hf_address_count_add(struct hf_address_count *count, const union hf_peer *peer)
{
    atomic_uint *cells[2];
    if (peer->any.sa_family == AF_UNIX)
        return true;
    find(count, peer, cells);
    unsigned a = atomic_fetch_add_explicit(cells[0], 1, memory_order_relaxed);
    unsigned b = atomic_fetch_add_explicit(cells[1], 1, memory_order_relaxed);
    unsigned max = atomic_load_explicit(&count->max, memory_order_relaxed);
    if (a < max || b < max)
        return true;
    hf_address_count_drop(count, peer);
    return false;
}

void hf_address_count_drop(struct hf_address_count *count, const union hf_peer *peer)
{
    atomic_uint *cells[2];
    if (peer->any.sa_family == AF_UNIX)
        return;
    find(count, peer, cells);
    for (int row = 0; row < 2; row++)
        atomic_fetch_sub_explicit(cells[row], 1, memory_order_relaxed);
}
