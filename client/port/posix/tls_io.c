#include "client/port/posix/tls_io.h"

#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/psa_util.h>
#include <psa/crypto.h>

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

/* ---- words -------------------------------------------------------------------------------------- */

enum hf_err hf_tls_io_fail(int code, struct hf_why *why)
{
    char reason[128];

    switch (code) {
    case MBEDTLS_ERR_SSL_CONN_EOF:
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return hf_fail(why, HF_E_NETWORK, "the server closed the connection");
    case MBEDTLS_ERR_NET_CONN_RESET:
    case MBEDTLS_ERR_NET_SEND_FAILED:
    case MBEDTLS_ERR_NET_RECV_FAILED:
        return hf_fail(why, HF_E_NETWORK, "the connection broke");
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
        return hf_fail(why, HF_E_TLS,
                       "what the server sent is not TLS; is TLS spoken on that port?");
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        return hf_fail(why, HF_E_TLS,
                       "the server refused with a TLS alert; it may want another server name, "
                       "another TLS version or a client certificate");
    case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
        return hf_fail(why, HF_E_TLS, "the server speaks neither TLS 1.2 nor TLS 1.3");
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
        return hf_fail(why, HF_E_MEMORY, "no memory for TLS");
    default:
        mbedtls_strerror(code, reason, sizeof reason);
        return hf_fail(why, HF_E_TLS, "TLS failed: %s", reason);
    }
}

/* ---- the socket as Mbed TLS wants it ------------------------------------------------------------ */

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
    ssize_t n = send(*(const int *)ctx, data, len, MSG_NOSIGNAL);

    if (n >= 0)
        return (int)n;
    return is_not_ready() ? MBEDTLS_ERR_SSL_WANT_WRITE : io_failure(MBEDTLS_ERR_NET_SEND_FAILED);
}

static int receive_some(void *ctx, unsigned char *data, size_t len)
{
    ssize_t n = recv(*(const int *)ctx, data, len, 0);

    if (n >= 0)
        return (int)n;
    return is_not_ready() ? MBEDTLS_ERR_SSL_WANT_READ : io_failure(MBEDTLS_ERR_NET_RECV_FAILED);
}

/* ---- setting up --------------------------------------------------------------------------------- */

enum hf_err hf_tls_io_client_config(mbedtls_ssl_config *config, bool is_http, struct hf_why *why)
{
    static const char *http_only[] = {"http/1.1", NULL};
    int code;

    mbedtls_ssl_config_init(config);
    if (psa_crypto_init() != PSA_SUCCESS)
        return hf_fail(why, HF_E_TLS, "the system's random source does not work");
    code = mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                       MBEDTLS_SSL_PRESET_DEFAULT);
    if (code == 0 && is_http)
        code = mbedtls_ssl_conf_alpn_protocols(config, http_only);
    if (code != 0)
        return hf_tls_io_fail(code, why);
    mbedtls_ssl_conf_rng(config, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    mbedtls_ssl_conf_min_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_max_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_3);
    return HF_OK;
}

enum hf_err hf_tls_io_setup(mbedtls_ssl_context *ssl, const mbedtls_ssl_config *config, int *fd,
                            const struct hf_endpoint *peer, struct hf_why *why)
{
    int code = mbedtls_ssl_setup(ssl, config);

    if (code == 0)
        code = mbedtls_ssl_set_hostname(ssl, hf_endpoint_is_address(peer) ? NULL : peer->host);
    if (code != 0)
        return hf_tls_io_fail(code, why);
    mbedtls_ssl_set_bio(ssl, fd, send_some, receive_some, NULL);
    return HF_OK;
}

/* ---- waiting ------------------------------------------------------------------------------------ */

bool hf_tls_io_would_block(int code)
{
    return code == MBEDTLS_ERR_SSL_WANT_READ || code == MBEDTLS_ERR_SSL_WANT_WRITE;
}

enum hf_err hf_tls_io_wait(int code, int fd, const struct hf_deadline *deadline, struct hf_why *why)
{
    return hf_net_wait(fd, code == MBEDTLS_ERR_SSL_WANT_WRITE ? POLLOUT : POLLIN, deadline, why);
}

enum hf_err hf_tls_io_handshake(mbedtls_ssl_context *ssl, int fd,
                                const struct hf_deadline *deadline, struct hf_why *why)
{
    for (;;) {
        int code = mbedtls_ssl_handshake(ssl);
        if (code == 0)
            return HF_OK;
        if (!hf_tls_io_would_block(code))
            return hf_tls_io_fail(code, why);
        HF_TRY(hf_tls_io_wait(code, fd, deadline, why));
    }
}
