#include "common/os/net.h"

#include "common/base/limits.h"
#include "common/os/clock.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
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

struct hf_deadline hf_deadline_start(int limit_ms, int idle_ms)
{
    return (struct hf_deadline){.end_ms = hf_monotonic_ms() + limit_ms,
                                .idle_ms = idle_ms,
                                .limit_ms = limit_ms};
}

struct hf_deadline hf_deadline_within(const struct hf_deadline *outer, int limit_ms)
{
    struct hf_deadline inner = hf_deadline_start(limit_ms, outer->idle_ms);

    return inner.end_ms < outer->end_ms ? inner : *outer;
}

static enum hf_err fail_too_long(const struct hf_deadline *deadline, struct hf_why *why)
{
    return hf_fail(why, HF_E_NETWORK, "it took longer than %g seconds; given up",
                   deadline->limit_ms / 1000.0);
}

enum hf_err hf_deadline_check(const struct hf_deadline *deadline, struct hf_why *why)
{
    return hf_monotonic_ms() < deadline->end_ms ? HF_OK : fail_too_long(deadline, why);
}

enum hf_err hf_net_wait(int fd, short events, const struct hf_deadline *deadline,
                        struct hf_why *why)
{
    struct pollfd pfd = {.fd = fd, .events = events};
    int64_t idle_end_ms = hf_monotonic_ms() + deadline->idle_ms;
    bool is_idle_limit = idle_end_ms < deadline->end_ms;
    int64_t end_ms = is_idle_limit ? idle_end_ms : deadline->end_ms;

    for (;;) {
        int64_t left_ms = end_ms - hf_monotonic_ms();
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
                       deadline->idle_ms / 1000.0);
    return fail_too_long(deadline, why);
}

/* ---- looking a name up ----------------------------------------------------------------------- */

/* Shared by the caller and the thread: the one that finishes last frees it. */
struct look_up {
    char host[HF_HOST_MAX + 1];
    char port[8];
    pthread_mutex_t mutex;
    pthread_cond_t ended;

    /* Under the mutex. */
    bool has_ended;
    bool is_abandoned;
    struct answer {
        int code;  /* getaddrinfo's */
        int error; /* errno with EAI_SYSTEM */
        struct addrinfo *addresses;
    } answer;
};

static atomic_uint n_running;

static struct answer ask(const char *host, const char *port, int flags)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    struct answer answer = {0};

    answer.code = getaddrinfo(host, port, &hints, &answer.addresses);
    answer.error = errno;
    return answer;
}

static void free_look_up(struct look_up *l)
{
    (void)pthread_cond_destroy(&l->ended);
    (void)pthread_mutex_destroy(&l->mutex);
    free(l);
}

static void *look_up_in_thread(void *arg)
{
    struct look_up *l = arg;
    struct answer answer = ask(l->host, l->port, 0);

    atomic_fetch_sub(&n_running, 1);
    (void)pthread_mutex_lock(&l->mutex);
    bool is_abandoned = l->is_abandoned;
    l->has_ended = true;
    l->answer = answer;
    (void)pthread_cond_signal(&l->ended);
    (void)pthread_mutex_unlock(&l->mutex);
    if (is_abandoned) {
        if (answer.code == 0)
            freeaddrinfo(answer.addresses);
        free_look_up(l);
    }
    return NULL;
}

static struct look_up *new_look_up(const struct hf_endpoint *peer)
{
    pthread_condattr_t attributes;
    struct look_up *l = calloc(1, sizeof *l);
    if (l == NULL || pthread_condattr_init(&attributes) != 0) {
        free(l);
        return NULL;
    }
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* as hf_monotonic_ms */
    (void)pthread_cond_init(&l->ended, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&l->mutex, NULL);
    memcpy(l->host, peer->host, sizeof l->host);
    (void)snprintf(l->port, sizeof l->port, "%u", peer->port);
    return l;
}

/* Signals are for the program's own threads: none of them is to be handled in this one. */
static enum hf_err start(struct look_up *l, struct hf_why *why)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    if (atomic_fetch_add(&n_running, 1) >= HF_LOOK_UPS_MAX) {
        atomic_fetch_sub(&n_running, 1);
        return hf_fail(why, HF_E_NETWORK,
                       "the address of \"%s\" is not looked up: the resolver has not answered %d "
                       "earlier look-ups yet; check the name servers of this device",
                       l->host, HF_LOOK_UPS_MAX);
    }
    int error = pthread_attr_init(&attributes);
    if (error == 0) {
        (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        error = pthread_create(&thread, &attributes, look_up_in_thread, l);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        (void)pthread_attr_destroy(&attributes);
    }
    if (error == 0)
        return HF_OK;
    atomic_fetch_sub(&n_running, 1);
    return hf_fail(why, HF_E_MEMORY, "no thread to look up \"%s\" in: %s", l->host,
                   strerror(error));
}

/* Did it end in time? If not, the thread owns it from here on. */
static bool wait_until(struct look_up *l, const struct hf_deadline *deadline)
{
    const struct timespec end = {.tv_sec = (time_t)(deadline->end_ms / 1000),
                                 .tv_nsec = (long)(deadline->end_ms % 1000) * 1000000};
    int error = 0;
    (void)pthread_mutex_lock(&l->mutex);
    while (!l->has_ended && error == 0)
        error = pthread_cond_timedwait(&l->ended, &l->mutex, &end);
    bool has_ended = l->has_ended;
    l->is_abandoned = !has_ended;
    (void)pthread_mutex_unlock(&l->mutex);
    return has_ended;
}

enum hf_err hf_route_find(const struct hf_endpoint *peer, const struct hf_deadline *deadline,
                          struct hf_route *out, struct hf_why *why)
{
    struct look_up *l = new_look_up(peer);
    if (l == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a look-up");
    enum hf_err err = HF_OK;
    if (hf_endpoint_is_address(peer)) {
        l->answer = ask(l->host, l->port, AI_NUMERICHOST);
    } else {
        err = start(l, why);
        if (err == HF_OK && !wait_until(l, deadline))
            return hf_fail(
                why, HF_E_NETWORK,
                "the address of \"%s\" could not be found: the resolver did not answer within "
                "%g seconds; check the name servers of this device",
                peer->host, deadline->limit_ms / 1000.0);
    }
    const struct answer *answer = &l->answer;
    if (err == HF_OK && answer->code != 0)
        err = hf_fail(why, HF_E_NETWORK, "the address of \"%s\" could not be found: %s", l->host,
                      answer->code == EAI_SYSTEM ? strerror(answer->error)
                                                 : gai_strerror(answer->code));
    else if (err == HF_OK)
        *out = (struct hf_route){.addresses = answer->addresses};
    free_look_up(l);
    return err;
}

void hf_route_free(struct hf_route *route)
{
    if (route->addresses != NULL)
        freeaddrinfo(route->addresses);
    *route = (struct hf_route){0};
}

/* ---- connecting ------------------------------------------------------------------------------ */

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

enum hf_err hf_route_connect(struct hf_route *route, const enum hf_address_kind *also,
                             const struct hf_deadline *deadline, int *out_fd, struct hf_why *why)
{
    int n_addresses = 0, tried = 0, failure = ETIMEDOUT;

    for (const struct addrinfo *a = route->addresses; a != NULL; a = a->ai_next)
        n_addresses += is_wanted(a, also);
    if (n_addresses == 0)
        return hf_fail(
            why, HF_E_NETWORK,
            "the name leads to a loopback, link-local or private address, and a redirect "
            "is not followed there");
    for (const struct addrinfo *a = route->addresses; a != NULL && failure != 0; a = a->ai_next) {
        if (!is_wanted(a, also) || (route->works != NULL && route->works != a))
            continue;
        int64_t left_ms = deadline->end_ms - hf_monotonic_ms();
        if (left_ms <= 0)
            break;
        /* A dead address, often the IPv6 one, must not use up what the others need. */
        int shares = route->works != NULL ? 1 : n_addresses - tried;
        struct hf_deadline share = hf_deadline_within(deadline, (int)left_ms / shares);
        share.idle_ms = deadline->limit_ms;
        failure = connect_one(a, &share, out_fd);
        tried++;
        if (failure == 0)
            route->works = a;
    }
    if (failure == 0)
        return HF_OK;
    return hf_fail(why, HF_E_NETWORK, "no connection: %s%s", strerror(failure),
                   tried > 1 ? " (the last of several addresses tried)" : "");
}

enum hf_err hf_net_connect(const struct hf_endpoint *peer, const enum hf_address_kind *also,
                           const struct hf_deadline *deadline, int *out_fd, struct hf_why *why)
{
    struct hf_route route = {0};

    HF_TRY(hf_route_find(peer, deadline, &route, why));
    enum hf_err err = hf_route_connect(&route, also, deadline, out_fd, why);
    hf_route_free(&route);
    return err;
}

enum hf_address_kind hf_net_peer_kind(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;

    if (getpeername(fd, (struct sockaddr *)&address, &len) != 0)
        return HF_ADDRESS_PUBLIC;
    return hf_address_kind((const struct sockaddr *)&address);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

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
