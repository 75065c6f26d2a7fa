#include "tests/support/tls_by_hand.h"

#include "tests/support/check.h"

/* Of library/ssl_misc.h, which is not installed: encrypt and send what `out_msg` holds. */
int mbedtls_ssl_write_record(mbedtls_ssl_context *ssl, int force_flush);

static void put(struct hf_buf *out, const void *data, size_t len)
{
    assert_int_equal(hf_buf_append(out, data, len), HF_OK);
}

static void put_length(struct hf_buf *out, size_t len, size_t n_octets)
{
    while (n_octets-- > 0)
        put(out, &(uint8_t){(uint8_t)(len >> 8 * n_octets)}, 1);
}

/* RFC 5246, 7.4.2; RFC 8446, 4.4.2: there with a context, and extensions of each certificate. */
void tls_by_hand_certificate(mbedtls_ssl_protocol_version version, const struct hf_bytes *certs,
                             size_t n, struct hf_buf *out)
{
    const bool is_13 = version == MBEDTLS_SSL_VERSION_TLS1_3;
    size_t len = 0;

    for (size_t i = 0; i < n; i++)
        len += 3 + certs[i].len + (is_13 ? 2 : 0);
    put_length(out, MBEDTLS_SSL_HS_CERTIFICATE, 1);
    put_length(out, 3 + len + (is_13 ? 1 : 0), 3);
    put_length(out, 0, is_13 ? 1 : 0);
    put_length(out, len, 3);
    for (size_t i = 0; i < n; i++) {
        put_length(out, certs[i].len, 3);
        put(out, certs[i].data, certs[i].len);
        put_length(out, 0, is_13 ? 2 : 0);
    }
}

static void send_record(struct tls_by_hand *h, const uint8_t *data, size_t len)
{
    mbedtls_ssl_context *server = &h->pair.server;

    if (h->version == MBEDTLS_SSL_VERSION_TLS1_2) {
        const uint8_t head[] = {MBEDTLS_SSL_MSG_HANDSHAKE, 3, 3, (uint8_t)(len >> 8), (uint8_t)len};
        tls_pipe_put(&h->pair.to_client, head, sizeof head);
        tls_pipe_put(&h->pair.to_client, data, len);
        return;
    }
    server->MBEDTLS_PRIVATE(out_msgtype) = MBEDTLS_SSL_MSG_HANDSHAKE;
    server->MBEDTLS_PRIVATE(out_msglen) = len;
    memcpy(server->MBEDTLS_PRIVATE(out_msg), data, len);
    assert_int_equal(mbedtls_ssl_write_record(server, 1), 0);
}

int tls_by_hand_send(struct tls_by_hand *h, struct hf_bytes data, size_t record_len)
{
    int code = MBEDTLS_ERR_SSL_WANT_READ;

    for (size_t at = 0, n; at < data.len && code == MBEDTLS_ERR_SSL_WANT_READ; at += n) {
        n = data.len - at < record_len ? data.len - at : record_len;
        send_record(h, data.data + at, n);
        code = mbedtls_ssl_handshake(&h->pair.client);
    }
    return code;
}

/* ECDHE with AES128-GCM-SHA256, no session. */
static void send_hello_12(struct tls_by_hand *h, bool has_rsa_leaf)
{
    const uint8_t head[] = {MBEDTLS_SSL_HS_SERVER_HELLO, 0, 0, 45, 3, 3};
    const uint8_t random[32] = {1, 2, 3};
    const uint8_t rest[] =
        {0, 0xc0, has_rsa_leaf ? 0x2f : 0x2b, 0, /* renegotiation_info: */ 0, 5, 0xff, 1, 0, 1, 0};
    struct hf_buf hello = {0};

    put(&hello, head, sizeof head);
    put(&hello, random, sizeof random);
    put(&hello, rest, sizeof rest);
    assert_int_equal(tls_by_hand_send(h, hf_buf_bytes(&hello), TLS_RECORD_MAX),
                     MBEDTLS_ERR_SSL_WANT_READ);
    hf_buf_free(&hello);
}

void tls_by_hand_begin(struct tls_by_hand *h, const mbedtls_ssl_config *client,
                       mbedtls_ssl_protocol_version version, const char *host, bool has_rsa_leaf)
{
    static struct pki_key key; /* of a server of TLS 1.3, which sends no certificate of its own */
    static struct hf_buf root;

    if (root.len == 0) {
        pki_key_make(&key, PKI_P256);
        pki_root("CN=By Hand", &key, &root);
    }
    h->version = version;
    tls_server_make(&h->server, version, &key, &root, 1);
    tls_prepare(&h->pair, client, &h->server);
    assert_int_equal(mbedtls_ssl_set_hostname(&h->pair.client, host), 0);
    assert_int_equal(mbedtls_ssl_handshake(&h->pair.client), MBEDTLS_ERR_SSL_WANT_READ);
    if (version == MBEDTLS_SSL_VERSION_TLS1_2) {
        send_hello_12(h, has_rsa_leaf);
        return;
    }
    while (h->pair.server.MBEDTLS_PRIVATE(state) != MBEDTLS_SSL_SERVER_CERTIFICATE)
        assert_int_equal(mbedtls_ssl_handshake_step(&h->pair.server), 0);
}

void tls_by_hand_end(struct tls_by_hand *h)
{
    tls_close(&h->pair);
    tls_server_free(&h->server);
}
