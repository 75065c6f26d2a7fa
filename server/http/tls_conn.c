#include "server/http/tls_conn.h"

#include "server/http/tls_contexts.h"

#include <openssl/err.h>

#include <stdlib.h>
#include <string.h>

struct hf_tls_conn *hf_tls_conn_new(struct hf_tls_server *server, const struct hf_tls_rules *rules,
                                    int fd)
{
    struct hf_tls_conn *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->rules = rules;
    c->alert_sent = c->alert_received = -1;
    c->waits_to_read = HF_STREAM_INPUT;
    c->waits_to_write = HF_STREAM_OUTPUT;
    c->contexts = hf_tls_server_contexts(server);
    ERR_clear_error();
    c->ssl = SSL_new(hf_tls_contexts_choose(c->contexts, NULL));
    if (c->ssl == NULL || SSL_set_fd(c->ssl, fd) != 1 || SSL_set_app_data(c->ssl, c) != 1) {
        hf_tls_conn_free(c);
        return NULL;
    }
    SSL_set_accept_state(c->ssl);
    return c;
}

void hf_tls_conn_free(struct hf_tls_conn *c)
{
    if (c == NULL)
        return;
    SSL_free(c->ssl);
    hf_tls_contexts_unref(c->contexts);
    free(c->sni);
    free(c);
}

void hf_tls_set_leaf(struct hf_tls_peer *peer, X509 *leaf)
{
    peer->leaf = leaf;
    memset(peer->sha256, 0, sizeof peer->sha256);
    /* If it fails, which needs exhausted memory, the hash is of nothing and matches nothing. */
    if (leaf != NULL)
        (void)X509_digest(leaf, EVP_sha256(), peer->sha256, NULL);
}

/* What an unsuccessful call of OpenSSL means; `*waits` is written where it has to wait. */
static enum hf_stream_result failed(struct hf_tls_conn *c, int result, unsigned *waits)
{
    switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        *waits = HF_STREAM_INPUT;
        return HF_STREAM_BLOCKED;
    case SSL_ERROR_WANT_WRITE:
        *waits = HF_STREAM_OUTPUT;
        return HF_STREAM_BLOCKED;
    default:
        c->is_broken = true;
        return HF_STREAM_BROKEN;
    }
}

enum hf_stream_result hf_tls_handshake(struct hf_tls_conn *c)
{
    ERR_clear_error();
    int result = SSL_accept(c->ssl);
    if (result != 1) {
        enum hf_stream_result why = failed(c, result, &c->waits_to_read);
        if (why == HF_STREAM_BLOCKED &&
            BIO_number_read(SSL_get_rbio(c->ssl)) > HF_TLS_HANDSHAKE_BYTES_MAX) {
            c->is_broken = true;
            return HF_STREAM_BROKEN;
        }
        return why;
    }
    c->is_established = true;
    c->has_input = SSL_has_pending(c->ssl) == 1;
    c->peer.is_resumed = SSL_session_reused(c->ssl) == 1;
    hf_tls_set_leaf(&c->peer, SSL_get0_peer_certificate(c->ssl));
    bool is_accepted = c->rules == NULL || c->rules->established == NULL ||
                       c->rules->established(c->rules->ctx, &c->peer);
    return is_accepted ? HF_STREAM_DONE : HF_STREAM_BROKEN;
}

enum hf_stream_result hf_tls_read(struct hf_tls_conn *c, void *data, size_t size, size_t *len)
{
    *len = 0;
    c->has_input = false;
    c->waits_to_read = HF_STREAM_INPUT;
    ERR_clear_error();
    int result = SSL_read_ex(c->ssl, data, size, len);
    /* OpenSSL refuses it, but first takes a hello of up to 128 KiB, and keeps the memory. */
    if (c->is_renegotiating) {
        c->is_broken = true;
        return HF_STREAM_BROKEN;
    }
    if (result == 1) {
        c->has_input = SSL_has_pending(c->ssl) == 1;
        return HF_STREAM_DONE;
    }
    if (SSL_get_error(c->ssl, result) == SSL_ERROR_ZERO_RETURN)
        return HF_STREAM_DONE; /* close_notify; without it the client is gone, whatever it sent */
    return failed(c, result, &c->waits_to_read);
}

enum hf_stream_result hf_tls_write(struct hf_tls_conn *c, struct hf_bytes data, size_t *sent)
{
    c->waits_to_write = HF_STREAM_OUTPUT;
    for (*sent = 0; *sent < data.len;) {
        size_t n = 0;
        ERR_clear_error();
        int result = SSL_write_ex(c->ssl, data.data + *sent, data.len - *sent, &n);
        c->is_writing = result != 1;
        if (result != 1)
            return failed(c, result, &c->waits_to_write);
        *sent += n;
    }
    return HF_STREAM_DONE;
}

size_t hf_tls_pushed(struct hf_tls_conn *c)
{
    uint64_t before = c->pushed;
    c->pushed = BIO_number_written(SSL_get_wbio(c->ssl));
    return (size_t)(c->pushed - before);
}

void hf_tls_end(struct hf_tls_conn *c)
{
    /* Within a record that is half sent, an alert would be taken for its rest. */
    if (!c->is_established || c->is_broken || c->is_writing ||
        (SSL_get_shutdown(c->ssl) & SSL_SENT_SHUTDOWN) != 0)
        return;
    ERR_clear_error();
    (void)SSL_shutdown(c->ssl);
}

bool hf_tls_is_allowed(const struct hf_tls_conn *c)
{
    return c->rules == NULL || c->rules->still_allowed(c->rules->ctx, &c->peer);
}
