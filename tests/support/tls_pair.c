#include "tests/support/tls_pair.h"

#include "common/bundle/certificate.h"
#include "tests/support/check.h"

#include <psa/crypto.h>

#define TICKET_LIFETIME_S 86400

/* ---- both ends ------------------------------------------------------------------------------- */

static void make_config(mbedtls_ssl_config *config, int endpoint,
                        mbedtls_ssl_protocol_version version)
{
    assert_int_equal(psa_crypto_init(), PSA_SUCCESS);
    mbedtls_ssl_config_init(config);
    assert_int_equal(mbedtls_ssl_config_defaults(config, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM,
                                                 MBEDTLS_SSL_PRESET_DEFAULT),
                     0);
    mbedtls_ssl_conf_rng(config, pki_random, NULL);
    mbedtls_ssl_conf_min_tls_version(config, version);
    mbedtls_ssl_conf_max_tls_version(config, version);
}

void tls_server_make(struct tls_server *server, mbedtls_ssl_protocol_version version,
                     struct pki_key *key, const struct hf_buf *chain, size_t n)
{
    make_config(&server->config, MBEDTLS_SSL_IS_SERVER, version);
    mbedtls_x509_crt_init(&server->chain);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(hf_x509_parse(&server->chain, hf_buf_bytes(&chain[i]), true), 0);
    assert_int_equal(mbedtls_ssl_conf_own_cert(&server->config, &server->chain, &key->pk), 0);
    mbedtls_ssl_ticket_init(&server->tickets);
    assert_int_equal(mbedtls_ssl_ticket_setup(&server->tickets, pki_random, NULL,
                                              MBEDTLS_CIPHER_AES_256_GCM, TICKET_LIFETIME_S),
                     0);
    mbedtls_ssl_conf_session_tickets_cb(&server->config, mbedtls_ssl_ticket_write,
                                        mbedtls_ssl_ticket_parse, &server->tickets);
}

void tls_server_free(struct tls_server *server)
{
    mbedtls_ssl_config_free(&server->config);
    mbedtls_ssl_ticket_free(&server->tickets);
    mbedtls_x509_crt_free(&server->chain);
}

void tls_client_make(mbedtls_ssl_config *config, mbedtls_ssl_protocol_version version)
{
    make_config(config, MBEDTLS_SSL_IS_CLIENT, version);
    mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
        config, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
}

/* ---- the wire -------------------------------------------------------------------------------- */

int tls_pipe_put(struct tls_pipe *pipe, const unsigned char *data, size_t len)
{
    if (pipe->begin == pipe->end)
        pipe->begin = pipe->end = 0;
    assert_true(len <= sizeof pipe->data - pipe->end);
    memcpy(pipe->data + pipe->end, data, len);
    pipe->end += len;
    return (int)len;
}

static int take(struct tls_pipe *pipe, unsigned char *data, size_t len)
{
    size_t there = pipe->end - pipe->begin;
    if (there == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    size_t n = there < len ? there : len;
    memcpy(data, pipe->data + pipe->begin, n);
    pipe->begin += n;
    return (int)n;
}

static int client_sends(void *pair, const unsigned char *data, size_t len)
{
    return tls_pipe_put(&((struct tls_pair *)pair)->to_server, data, len);
}

static int client_receives(void *pair, unsigned char *data, size_t len)
{
    return take(&((struct tls_pair *)pair)->to_client, data, len);
}

static int server_sends(void *pair, const unsigned char *data, size_t len)
{
    return tls_pipe_put(&((struct tls_pair *)pair)->to_client, data, len);
}

static int server_receives(void *pair, unsigned char *data, size_t len)
{
    return take(&((struct tls_pair *)pair)->to_server, data, len);
}

/* ---- a connection ---------------------------------------------------------------------------- */

void tls_prepare(struct tls_pair *pair, const mbedtls_ssl_config *client,
                 const struct tls_server *server)
{
    pair->to_client.begin = pair->to_client.end = 0;
    pair->to_server.begin = pair->to_server.end = 0;
    mbedtls_ssl_init(&pair->client);
    mbedtls_ssl_init(&pair->server);
    assert_int_equal(mbedtls_ssl_setup(&pair->client, client), 0);
    assert_int_equal(mbedtls_ssl_setup(&pair->server, &server->config), 0);
    assert_int_equal(mbedtls_ssl_set_hostname(&pair->client, TLS_HOST), 0);
    mbedtls_ssl_set_bio(&pair->client, pair, client_sends, client_receives, NULL);
    mbedtls_ssl_set_bio(&pair->server, pair, server_sends, server_receives, NULL);
}

/* Whether the handshake goes on; TLS 1.3 tickets are no end of it. */
static bool wants_more(int ret)
{
    return ret == MBEDTLS_ERR_SSL_WANT_READ || ret == MBEDTLS_ERR_SSL_WANT_WRITE ||
           ret == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET;
}

int tls_handshake(struct tls_pair *pair)
{
    int client = MBEDTLS_ERR_SSL_WANT_READ;
    int server = MBEDTLS_ERR_SSL_WANT_READ;
    for (int round = 0; round < 20; round++) {
        if (wants_more(client))
            client = mbedtls_ssl_handshake(&pair->client);
        if (wants_more(server))
            server = mbedtls_ssl_handshake(&pair->server);
        if (!wants_more(client) && (client != 0 || !wants_more(server)))
            return client != 0 ? client : server;
    }
    fail_msg("the handshake stands still: client -0x%04x, server -0x%04x", (unsigned)-client,
             (unsigned)-server);
    return -1;
}

int tls_connect(struct tls_pair *pair, const mbedtls_ssl_config *client,
                const struct tls_server *server)
{
    tls_prepare(pair, client, server);
    return tls_handshake(pair);
}

static int read_byte(mbedtls_ssl_context *ssl, unsigned char *byte)
{
    int ret;
    do {
        ret = mbedtls_ssl_read(ssl, byte, 1);
    } while (ret == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET ||
             (ret == MBEDTLS_ERR_SSL_WANT_READ && mbedtls_ssl_check_pending(ssl)));
    return ret;
}

bool tls_echo(struct tls_pair *pair)
{
    unsigned char sent = 'h', heard = 0;
    return mbedtls_ssl_write(&pair->client, &sent, 1) == 1 &&
           read_byte(&pair->server, &heard) == 1 &&
           mbedtls_ssl_write(&pair->server, &heard, 1) == 1 &&
           read_byte(&pair->client, &sent) == 1 && sent == 'h';
}

void tls_close(struct tls_pair *pair)
{
    mbedtls_ssl_free(&pair->client);
    mbedtls_ssl_free(&pair->server);
}
