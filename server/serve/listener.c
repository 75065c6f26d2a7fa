#include "server/serve/listener.h"

#include "server/serve/log.h"
#include "server/serve/loop.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- addresses --------------------------------------------------------------------------------- */

static bool parse_port(const char *text, int *out)
{
    size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len)
        return false;
    long port = strtol(text, NULL, 10);
    *out = (int)port;
    return port <= 65535;
}

static bool parse_address(const char *text, union hf_peer *out)
{
    char host[HF_ADDRESS_TEXT_MAX];
    int port = 0;
    const char *colon = strrchr(text, ':');
    if (colon == NULL || !parse_port(colon + 1, &port))
        return false;
    size_t len = (size_t)(colon - text);
    if (len >= sizeof host)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    *out = (union hf_peer){0};
    if (len < 2 || host[0] != '[' || host[len - 1] != ']')
        return uv_ip4_addr(host, port, &out->v4) == 0;
    host[len - 1] = '\0';
    return uv_ip6_addr(host + 1, port, &out->v6) == 0;
}

enum hf_err hf_address_parse(const char *text, union hf_peer *out, struct hf_why *why)
{
    if (parse_address(text, out))
        return HF_OK;
    return hf_fail(why, HF_E_ARGUMENT,
                   "--listen: expected ADDRESS:PORT in numbers, such as 127.0.0.1:8080, "
                   "0.0.0.0:80 or [::]:80, found \"%s\"",
                   text);
}

void hf_address_format(const union hf_peer *address, char out[HF_ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    bool is_v6 = address->any.sa_family == AF_INET6;
    if (is_v6)
        (void)uv_ip6_name(&address->v6, host, sizeof host);
    else
        (void)uv_ip4_name(&address->v4, host, sizeof host);
    /* The port is at the same place in both. */
    (void)snprintf(out, HF_ADDRESS_TEXT_MAX, is_v6 ? "[%s]:%u" : "%s:%u", host,
                   ntohs(address->v4.sin_port));
}

static socklen_t address_len(const union hf_peer *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

/* ---- opening ----------------------------------------------------------------------------------- */

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
        bind(fd, &address->any, address_len(address)) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static bool is_free(const union hf_peer *address)
{
    int fd = bound_socket(address, false);
    if (fd < 0)
        return false;
    close(fd);
    return true;
}

static bool start_listening(int fd, union hf_peer *address)
{
    socklen_t len = sizeof *address;
    /* Accepted sockets inherit all of these. Answers are written whole, so waiting for more to send
     * (Nagle) only costs time. Without the second, everything works as well, a little slower. The
     * others bound what the kernel holds for a client that does not read. */
    (void)set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, HF_SERVE_DEFER_ACCEPT_S);
    (void)set_option(fd, SOL_SOCKET, SO_SNDBUF, (int)HF_SERVE_SEND_BUFFER_BYTES);
    (void)set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)HF_SERVE_UNSENT_BYTES);
    return listen(fd, HF_SERVE_BACKLOG) == 0 && getsockname(fd, &address->any, &len) == 0;
}

enum hf_err hf_listener_open(struct hf_listener *l, union hf_peer *address, bool is_first,
                             struct hf_why *why)
{
    char text[HF_ADDRESS_TEXT_MAX];
    hf_address_format(address, text);
    *l = (struct hf_listener){.fd = -1};
    if (!is_first || is_free(address))
        l->fd = bound_socket(address, true);
    if (l->fd < 0 || !start_listening(l->fd, address)) {
        int failed = errno;
        if (l->fd >= 0)
            close(l->fd);
        return hf_fail(why, HF_E_NETWORK, "cannot listen on %s: %s", text, strerror(failed));
    }
    l->is_open = true;
    return HF_OK;
}

/* ---- accepting --------------------------------------------------------------------------------- */

static void pause_accepting(struct hf_listener *l, const char *reason)
{
    (void)uv_poll_stop(&l->poll);
    l->is_paused = true;
    hf_loop_say_paused(l->loop, reason);
}

/* False when there is no more to accept for now. */
static bool accept_one(struct hf_listener *l)
{
    union hf_peer peer;
    socklen_t len = sizeof peer;
    struct hf_conn *conn = hf_loop_take_conn(l->loop);
    if (conn == NULL) {
        pause_accepting(l, "as many connections as --max-connections allows are open");
        return false;
    }
    int fd = accept4(l->fd, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int failed = errno;
    if (fd >= 0 && !hf_address_count_add(l->loop->addresses, &peer)) {
        hf_loop_say_full(l->loop, &peer);
        close(fd);
        hf_loop_release_conn(l->loop, conn);
        return true;
    }
    if (fd >= 0) {
        hf_conn_begin_take(conn, l->loop, fd, &peer);
        return true;
    }
    hf_loop_release_conn(l->loop, conn);
    if (failed == EMFILE || failed == ENFILE || failed == ENOBUFS || failed == ENOMEM)
        pause_accepting(l, strerror(failed));
    /* A client that gave up while it was waiting is no reason to stop. */
    return failed == ECONNABORTED || failed == EINTR;
}

static void on_waiting(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    for (int i = 0; i < HF_SERVE_ACCEPTS_AT_ONCE; i++)
        if (!accept_one(poll->data))
            return;
}

static enum hf_err wait_for_clients(struct hf_listener *l, struct hf_why *why)
{
    int failed = uv_poll_start(&l->poll, UV_READABLE, on_waiting);
    if (failed != 0)
        return hf_fail(why, HF_E_NETWORK, "cannot wait for connections: %s", uv_strerror(failed));
    l->is_paused = false;
    return HF_OK;
}

enum hf_err hf_listener_start(struct hf_listener *l, struct hf_loop *loop, struct hf_why *why)
{
    l->loop = loop;
    int failed = uv_poll_init(&loop->uv, &l->poll, l->fd);
    if (failed != 0)
        return hf_fail(why, HF_E_NETWORK, "cannot wait for connections: %s", uv_strerror(failed));
    l->poll.data = l;
    return wait_for_clients(l, why);
}

void hf_listener_resume(struct hf_listener *l)
{
    struct hf_why why;
    if (l->is_open && l->is_paused && wait_for_clients(l, &why) != HF_OK)
        hf_serve_log(HF_LOG_ERROR, "%s", why.text);
}

void hf_listener_close(struct hf_listener *l)
{
    if (!l->is_open)
        return;
    for (int i = 0; i < HF_SERVE_BACKLOG && !l->is_paused && accept_one(l); i++)
        ;
    l->is_open = false;
    uv_close((uv_handle_t *)&l->poll, NULL);
    close(l->fd);
}
