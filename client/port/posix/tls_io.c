#include "client/port/posix/tls_io.h"

#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <psa/crypto.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
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
    case MBEDTLS_ERR_X509_FATAL_ERROR:
        return hf_fail(why, HF_E_UNTRUSTED,
                       "the server's chain cannot be followed to its end; is it longer than %d "
                       "intermediate certificates?",
                       MBEDTLS_X509_MAX_INTERMEDIATE_CA);
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
    const struct hf_tls_wire *wire = ctx;

    if (hf_deadline_check(&wire->deadline, NULL) != HF_OK)
        return MBEDTLS_ERR_SSL_TIMEOUT;
    ssize_t n = send(wire->fd, data, len, MSG_NOSIGNAL);
    if (n >= 0)
        return (int)n;
    return is_not_ready() ? MBEDTLS_ERR_SSL_WANT_WRITE : io_failure(MBEDTLS_ERR_NET_SEND_FAILED);
}

static int receive_some(void *ctx, unsigned char *data, size_t len)
{
    const struct hf_tls_wire *wire = ctx;

    if (hf_deadline_check(&wire->deadline, NULL) != HF_OK)
        return MBEDTLS_ERR_SSL_TIMEOUT;
    ssize_t n = recv(wire->fd, data, len, 0);
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

enum hf_err hf_tls_io_setup(mbedtls_ssl_context *ssl, const mbedtls_ssl_config *config,
                            struct hf_tls_wire *wire, const struct hf_endpoint *peer,
                            struct hf_why *why)
{
    int code = mbedtls_ssl_setup(ssl, config);

    if (code == 0)
        code = mbedtls_ssl_set_hostname(ssl, hf_endpoint_is_address(peer) ? NULL : peer->host);
    if (code != 0)
        return hf_tls_io_fail(code, why);
    mbedtls_ssl_set_bio(ssl, wire, send_some, receive_some, NULL);
    return HF_OK;
}

/* ---- waiting ------------------------------------------------------------------------------------ */

enum hf_err hf_tls_io_wait(int code, const struct hf_tls_wire *wire, struct hf_why *why)
{
    switch (code) {
    case MBEDTLS_ERR_SSL_WANT_READ:
        return hf_net_wait(wire->fd, POLLIN, &wire->deadline, why);
    case MBEDTLS_ERR_SSL_WANT_WRITE:
        return hf_net_wait(wire->fd, POLLOUT, &wire->deadline, why);
    case MBEDTLS_ERR_SSL_TIMEOUT: /* send_some and receive_some; time does not go back */
        return hf_deadline_check(&wire->deadline, why);
    default:
        return hf_tls_io_fail(code, why);
    }
}

enum hf_err hf_tls_io_handshake(mbedtls_ssl_context *ssl, const struct hf_tls_wire *wire,
                                struct hf_why *why)
{
    for (;;) {
        HF_TRY(hf_deadline_check(&wire->deadline, why));
        int code = mbedtls_ssl_handshake(ssl);
        if (code == 0)
            return HF_OK;
        HF_TRY(hf_tls_io_wait(code, wire, why));
    }
}

/* ---- what was agreed on ------------------------------------------------------------------------- */

const char *hf_tls_io_cipher_suite(const mbedtls_ssl_context *ssl)
{
    /* Moved at the end of a handshake. Mbed TLS has no getter for one that did not get there. */
    const mbedtls_ssl_session *session = ssl->MBEDTLS_PRIVATE(session_negotiate) != NULL
                                             ? ssl->MBEDTLS_PRIVATE(session_negotiate)
                                             : ssl->MBEDTLS_PRIVATE(session);

    return session == NULL
               ? "unknown"
               : mbedtls_ssl_get_ciphersuite_name(session->MBEDTLS_PRIVATE(ciphersuite));
}

unsigned hf_tls_io_key_usage(const mbedtls_ssl_context *ssl)
{
    const char *suite = hf_tls_io_cipher_suite(ssl);

    if (strncmp(suite, "TLS-RSA-", strlen("TLS-RSA-")) == 0)
        return MBEDTLS_X509_KU_KEY_ENCIPHERMENT;
    if (strncmp(suite, "TLS-ECDH-", strlen("TLS-ECDH-")) == 0)
        return MBEDTLS_X509_KU_KEY_AGREEMENT;
    return MBEDTLS_X509_KU_DIGITAL_SIGNATURE; /* all others sign, in TLS 1.3 too */
}
