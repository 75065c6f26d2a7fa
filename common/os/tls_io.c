#include "common/os/tls_io.h"

#include "common/tls/handshake.h"

#include <mbedtls/net_sockets.h>

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

static int io_failure(int otherwise)
{
    if (errno == ECONNRESET || errno == EPIPE)
        return MBEDTLS_ERR_NET_CONN_RESET;
    return otherwise;
}

static bool is_not_ready(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static int send_some(void *ctx, const unsigned char *data, size_t len)
{
    const struct hf_tls_socket *socket = ctx;

    if (hf_deadline_check(&socket->deadline, NULL) != HF_OK)
        return MBEDTLS_ERR_SSL_TIMEOUT;
    ssize_t n = send(socket->fd, data, len, MSG_NOSIGNAL);
    if (n >= 0)
        return (int)n;
    return is_not_ready() ? MBEDTLS_ERR_SSL_WANT_WRITE : io_failure(MBEDTLS_ERR_NET_SEND_FAILED);
}

static int receive_some(void *ctx, unsigned char *data, size_t len)
{
    const struct hf_tls_socket *socket = ctx;

    if (hf_deadline_check(&socket->deadline, NULL) != HF_OK)
        return MBEDTLS_ERR_SSL_TIMEOUT;
    ssize_t n = recv(socket->fd, data, len, 0);
    if (n >= 0)
        return (int)n;
    return is_not_ready() ? MBEDTLS_ERR_SSL_WANT_READ : io_failure(MBEDTLS_ERR_NET_RECV_FAILED);
}

enum hf_err hf_tls_io_setup(mbedtls_ssl_context *ssl, const mbedtls_ssl_config *config,
                            struct hf_tls_socket *socket, const struct hf_endpoint *peer,
                            struct hf_why *why)
{
    HF_TRY(hf_handshake_setup(ssl, config, peer, why));
    mbedtls_ssl_set_bio(ssl, socket, send_some, receive_some, NULL);
    return HF_OK;
}

enum hf_err hf_tls_io_wait(const mbedtls_ssl_context *ssl, int code,
                           const struct hf_tls_socket *socket, struct hf_why *why)
{
    switch (code) {
    case MBEDTLS_ERR_SSL_WANT_READ:
        return hf_net_wait(socket->fd, POLLIN, &socket->deadline, why);
    case MBEDTLS_ERR_SSL_WANT_WRITE:
        return hf_net_wait(socket->fd, POLLOUT, &socket->deadline, why);
    case MBEDTLS_ERR_SSL_TIMEOUT: /* send_some and receive_some; time does not go back */
        return hf_deadline_check(&socket->deadline, why);
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        return hf_handshake_fail_alert(ssl, why);
    default:
        return hf_handshake_fail(code, why);
    }
}

enum hf_err hf_tls_io_handshake(mbedtls_ssl_context *ssl, const struct hf_tls_socket *socket,
                                struct hf_why *why)
{
    for (;;) {
        HF_TRY(hf_deadline_check(&socket->deadline, why));
        int code = mbedtls_ssl_handshake(ssl);
        if (code == 0)
            return HF_OK;
        enum hf_err err = hf_tls_io_wait(ssl, code, socket, why);
        if (err == HF_E_TLS)
            (void)hf_handshake_name_certificate(ssl, why);
        HF_TRY(err);
    }
}

static enum hf_err wait_for(void *ctx, int code, struct hf_why *why)
{
    return hf_tls_io_wait(NULL, code, ctx, why);
}

struct hf_tls_transport hf_tls_io_transport(struct hf_tls_socket *socket)
{
    return (struct hf_tls_transport){socket, send_some, receive_some, wait_for};
}
