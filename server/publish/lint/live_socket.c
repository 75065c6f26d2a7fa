#include "server/publish/lint/live_socket.h"

#include "common/tls/handshake.h"

#include <mbedtls/net_sockets.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int64_t hf_live_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 0 when the time is up. */
static int left_ms(const struct hf_live_wire *wire)
{
    int64_t left = wire->end_ms - hf_live_now_ms();
    return left > 0 ? (int)left : 0;
}

static enum hf_err too_long(const struct hf_live_wire *wire, struct hf_why *why)
{
    return hf_fail(why, HF_E_NETWORK, "no answer within %g seconds; given up",
                   (double)wire->limit_ms / 1000.0);
}

/* ---- addresses -------------------------------------------------------------------------------- */

enum hf_err hf_live_route_find(const struct hf_endpoint *peer, struct hf_live_route *out,
                               struct hf_why *why)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct hf_live_route route = {0};
    char port[8];
    (void)snprintf(port, sizeof port, "%u", peer->port);
    int code = getaddrinfo(peer->host, port, &hints, &route.addresses);
    if (code != 0)
        return hf_fail(why, HF_E_NETWORK, "the address of %s could not be found: %s", peer->host,
                       code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code));
    *out = route;
    return HF_OK;
}

void hf_live_route_free(struct hf_live_route *route)
{
    if (route->addresses != NULL)
        freeaddrinfo(route->addresses);
    *route = (struct hf_live_route){0};
}

static int count_addresses(const struct hf_live_route *route)
{
    int n = 0;
    for (const struct addrinfo *a = route->addresses; a != NULL; a = a->ai_next)
        n++;
    return n;
}

/* ---- connecting ------------------------------------------------------------------------------- */

static enum hf_err wait_for(const struct hf_live_wire *wire, short events, struct hf_why *why)
{
    struct pollfd pfd = {.fd = wire->fd, .events = events};
    for (;;) {
        int left = left_ms(wire);
        int n = left > 0 ? poll(&pfd, 1, left) : 0;
        if (n > 0) /* errors and hang-ups too: the call that comes next says what it is */
            return HF_OK;
        if (n == 0)
            return too_long(wire, why);
        if (errno != EINTR)
            return hf_fail(why, HF_E_NETWORK, "waiting for the network failed: %s",
                           strerror(errno));
    }
}

/* 0, or an errno. */
static int finish_connecting(const struct hf_live_wire *wire)
{
    int failure = 0;
    socklen_t len = sizeof failure;
    if (wait_for(wire, POLLOUT, NULL) != HF_OK)
        return ETIMEDOUT;
    return getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &failure, &len) == 0 ? failure : errno;
}

/* 0, or the errno of the attempt; the wire is open on 0 only. */
static int connect_one(const struct addrinfo *address, struct hf_live_wire *wire)
{
    int failure = 0;
    wire->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                      address->ai_protocol);
    if (wire->fd < 0)
        return errno;
    if (connect(wire->fd, address->ai_addr, address->ai_addrlen) != 0)
        failure = errno == EINPROGRESS || errno == EINTR ? finish_connecting(wire) : errno;
    if (failure != 0)
        hf_live_close(wire);
    return failure;
}

/* A dead address, often the IPv6 one, must not use up what the others need. */
static int connect_any(struct hf_live_route *route, struct hf_live_wire *wire)
{
    const int64_t end_ms = wire->end_ms;
    int failure = ETIMEDOUT, n_left = count_addresses(route);
    for (const struct addrinfo *a = route->addresses; a != NULL && failure != 0; a = a->ai_next) {
        wire->end_ms = end_ms;
        wire->end_ms = hf_live_now_ms() + left_ms(wire) / n_left--;
        failure = connect_one(a, wire);
        if (failure == 0)
            route->works = a;
    }
    wire->end_ms = end_ms;
    return failure;
}

enum hf_err hf_live_connect(struct hf_live_route *route, int limit_ms, struct hf_live_wire *out,
                            struct hf_why *why)
{
    struct hf_live_wire wire = {-1, hf_live_now_ms() + limit_ms, limit_ms};
    int failure = route->works != NULL ? connect_one(route->works, &wire)
                                       : connect_any(route, &wire);
    if (failure != 0)
        return hf_fail(why, HF_E_NETWORK, "no connection: %s", strerror(failure));
    *out = wire;
    return HF_OK;
}

void hf_live_close(struct hf_live_wire *wire)
{
    if (wire->fd >= 0)
        (void)close(wire->fd);
    wire->fd = -1;
}

/* ---- as Mbed TLS wants it --------------------------------------------------------------------- */

static int failure_of(int otherwise)
{
    return errno == ECONNRESET || errno == EPIPE ? MBEDTLS_ERR_NET_CONN_RESET : otherwise;
}

static bool is_not_ready(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static int send_some(void *ctx, const unsigned char *data, size_t len)
{
    const struct hf_live_wire *wire = ctx;
    if (left_ms(wire) == 0)
        return MBEDTLS_ERR_SSL_TIMEOUT;
    ssize_t n = send(wire->fd, data, len, MSG_NOSIGNAL);
    if (n >= 0)
        return (int)n;
    return is_not_ready() ? MBEDTLS_ERR_SSL_WANT_WRITE : failure_of(MBEDTLS_ERR_NET_SEND_FAILED);
}

static int receive_some(void *ctx, unsigned char *data, size_t len)
{
    const struct hf_live_wire *wire = ctx;
    if (left_ms(wire) == 0)
        return MBEDTLS_ERR_SSL_TIMEOUT;
    ssize_t n = recv(wire->fd, data, len, 0);
    if (n >= 0)
        return (int)n;
    return is_not_ready() ? MBEDTLS_ERR_SSL_WANT_READ : failure_of(MBEDTLS_ERR_NET_RECV_FAILED);
}

static enum hf_err wait_on(void *ctx, int code, struct hf_why *why)
{
    const struct hf_live_wire *wire = ctx;
    switch (code) {
    case MBEDTLS_ERR_SSL_WANT_READ:
        return wait_for(wire, POLLIN, why);
    case MBEDTLS_ERR_SSL_WANT_WRITE:
        return wait_for(wire, POLLOUT, why);
    case MBEDTLS_ERR_SSL_TIMEOUT: /* send_some and receive_some */
        return too_long(wire, why);
    default:
        return hf_handshake_fail(code, why);
    }
}

struct hf_tls_carrier hf_live_carrier(struct hf_live_wire *wire)
{
    return (struct hf_tls_carrier){wire, send_some, receive_some, wait_on};
}
