#include "client/port/posix/net.h"

#include "client/port/posix/look_up.h"
#include "common/base/limits.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct hf_timeouts hf_timeouts_default(void)
{
    return (struct hf_timeouts){.connect_ms = HF_TIMEOUT_CONNECT_MS,
                                .idle_ms = HF_TIMEOUT_IDLE_MS,
                                .total_ms = HF_TIMEOUT_TOTAL_MS};
}

int64_t hf_net_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct hf_deadline hf_deadline_start(int limit_ms, int idle_ms)
{
    return (struct hf_deadline){.end_ms = hf_net_now_ms() + limit_ms,
                                .idle_ms = idle_ms,
                                .limit_ms = limit_ms};
}

struct hf_deadline hf_deadline_within(const struct hf_deadline *outer, int limit_ms)
{
    struct hf_deadline inner = hf_deadline_start(limit_ms, outer->idle_ms);

    return inner.end_ms < outer->end_ms ? inner : *outer;
}

static double seconds(int ms)
{
    return (double)ms / 1000.0;
}

static enum hf_err too_long(const struct hf_deadline *deadline, struct hf_why *why)
{
    return hf_fail(why, HF_E_NETWORK, "it took longer than %g seconds; given up",
                   seconds(deadline->limit_ms));
}

enum hf_err hf_deadline_check(const struct hf_deadline *deadline, struct hf_why *why)
{
    return hf_net_now_ms() < deadline->end_ms ? HF_OK : too_long(deadline, why);
}

enum hf_err hf_net_wait(int fd, short events, const struct hf_deadline *deadline,
                        struct hf_why *why)
{
    struct pollfd pfd = {.fd = fd, .events = events};
    int64_t idle_end_ms = hf_net_now_ms() + deadline->idle_ms;
    bool is_idle_limit = idle_end_ms < deadline->end_ms;
    int64_t end_ms = is_idle_limit ? idle_end_ms : deadline->end_ms;

    for (;;) {
        int64_t left_ms = end_ms - hf_net_now_ms();
        if (left_ms <= 0)
            break;
        int n = poll(&pfd, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
        if (n > 0) /* errors and hang-ups too: the call that comes next says what it is */
            return HF_OK;
        if (n < 0 && errno != EINTR)
            return hf_fail(why, HF_E_NETWORK, "waiting for the network failed: %s",
                           strerror(errno));
    }
    if (is_idle_limit)
        return hf_fail(why, HF_E_NETWORK, "nothing came for %g seconds; given up",
                       seconds(deadline->idle_ms));
    return too_long(deadline, why);
}

/* ---- connecting --------------------------------------------------------------------------------- */

/** 0, or the errno of the connection attempt; *out_fd is open on 0 only. */
static int connect_one(const struct addrinfo *address, const struct hf_deadline *deadline,
                       int *out_fd)
{
    int failure = 0, one = 1;
    socklen_t len = sizeof failure;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    address->ai_protocol);

    if (fd < 0)
        return errno;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        if (errno != EINPROGRESS && errno != EINTR)
            failure = errno;
        else if (hf_net_wait(fd, POLLOUT, deadline, NULL) != HF_OK)
            failure = ETIMEDOUT;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) != 0)
            failure = errno;
    }
    if (failure != 0) {
        (void)close(fd);
        return failure;
    }
    /* A request is one small packet and a handshake a few: none should wait for the next. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *out_fd = fd;
    return 0;
}

/* `also` NULL: an address of any kind. */
static bool is_wanted(const struct addrinfo *address, const enum hf_address_kind *also)
{
    enum hf_address_kind kind = hf_address_kind(address->ai_addr);

    return also == NULL || kind == HF_ADDRESS_PUBLIC || kind == *also;
}

static enum hf_err connect_to(const struct hf_endpoint *peer, const enum hf_address_kind *also,
                              const struct hf_deadline *deadline, int *out_fd, struct hf_why *why)
{
    struct addrinfo *addresses = NULL;
    int n_addresses = 0, tried = 0, failure = ETIMEDOUT;

    HF_TRY(hf_look_up(peer, deadline, &addresses, why));
    for (const struct addrinfo *a = addresses; a != NULL; a = a->ai_next)
        n_addresses += is_wanted(a, also);
    if (n_addresses == 0) {
        freeaddrinfo(addresses);
        return hf_fail(
            why, HF_E_NETWORK,
            "the name leads to a loopback, link-local or private address, and a redirect "
            "is not followed there");
    }

    for (const struct addrinfo *a = addresses; a != NULL && failure != 0; a = a->ai_next) {
        if (!is_wanted(a, also))
            continue;
        int64_t left_ms = deadline->end_ms - hf_net_now_ms();
        if (left_ms <= 0)
            break;
        /* A dead address, often the IPv6 one, must not use up what the others need. */
        struct hf_deadline share = hf_deadline_within(deadline,
                                                      (int)left_ms / (n_addresses - tried));
        share.idle_ms = deadline->limit_ms;
        failure = connect_one(a, &share, out_fd);
        tried++;
    }
    freeaddrinfo(addresses);
    if (failure == 0)
        return HF_OK;
    return hf_fail(why, HF_E_NETWORK, "no connection: %s%s", strerror(failure),
                   tried > 1 ? " (the last of several addresses tried)" : "");
}

enum hf_err hf_net_connect(const struct hf_endpoint *peer, const struct hf_deadline *deadline,
                           int *out_fd, struct hf_why *why)
{
    return connect_to(peer, NULL, deadline, out_fd, why);
}

enum hf_err hf_net_connect_to_kind(const struct hf_endpoint *peer, enum hf_address_kind also,
                                   const struct hf_deadline *deadline, int *out_fd,
                                   struct hf_why *why)
{
    return connect_to(peer, &also, deadline, out_fd, why);
}

enum hf_address_kind hf_net_peer_kind(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;

    if (getpeername(fd, (struct sockaddr *)&address, &len) != 0)
        return HF_ADDRESS_PUBLIC;
    return hf_address_kind((const struct sockaddr *)&address);
}

/* ---- bytes -------------------------------------------------------------------------------------- */

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static enum hf_err broken(struct hf_why *why)
{
    return hf_fail(why, HF_E_NETWORK, "the connection broke: %s", strerror(errno));
}

enum hf_err hf_net_send(int fd, struct hf_bytes data, const struct hf_deadline *deadline,
                        struct hf_why *why)
{
    while (data.len > 0) {
        ssize_t n = send(fd, data.data, data.len, MSG_NOSIGNAL);
        if (n >= 0) {
            data.data += n;
            data.len -= (size_t)n;
        } else if (would_block()) {
            HF_TRY(hf_net_wait(fd, POLLOUT, deadline, why));
        } else {
            return broken(why);
        }
    }
    return HF_OK;
}

enum hf_err hf_net_receive(int fd, void *data, size_t cap, const struct hf_deadline *deadline,
                           size_t *out_len, struct hf_why *why)
{
    for (;;) {
        /* A peer that sends without pause must not outrun the deadline. */
        HF_TRY(hf_net_wait(fd, POLLIN, deadline, why));
        ssize_t n = recv(fd, data, cap, 0);
        if (n >= 0) {
            *out_len = (size_t)n;
            return HF_OK;
        }
        if (!would_block())
            return broken(why);
    }
}

bool hf_net_is_quiet(int fd)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};

    return poll(&pfd, 1, 0) == 0;
}
