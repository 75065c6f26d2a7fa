#include "client/port/posix/http.h"

#include "client/port/mbedtls/sessions.h"
#include "client/port/mbedtls/trust_store_internal.h"
#include "common/os/tls_io.h"
#include "common/base/limits.h"
#include "common/tls/handshake.h"
#include "common/tls/tls_offer.h"

#include <stdio.h>
#include <stdlib.h>

/* A server sends two or so after a handshake; one that sends nothing else would keep us busy. */
#define TICKETS_AT_ONCE_MAX 64

/* For what is done in passing and never waits: a look for tickets, a good-bye. */
#define ASIDE_MS 100

struct hf_tls_client {
    mbedtls_ssl_config config;
    struct hf_trust_store *device;    /* NULL: it does not judge chains, and keeps no session */
    struct hf_trust_store *server_ca; /* NULL for none */
    /* Not those of the device's store: that one does not vouch for what only `server_ca` does, and
     * an application that resumes out of it relies on that. */
    struct hf_sessions sessions;
};

struct hf_tls_conn {
    struct hf_tls_client *client;
    mbedtls_ssl_context ssl;
    struct hf_tls_socket socket;
    struct hf_endpoint peer;
    char session_name[HF_ENDPOINT_TEXT];
    struct hf_trust_resumption resumption; /* by the device's store, before the handshake */
    bool is_judged;                        /* the verdict on the server's list is: */
    uint32_t flags;                        /* MBEDTLS_X509_BADCERT_…; 0: it is valid */
    char faults[HF_WHY_MAX];               /* in words */
};

/* The connection whose handshake runs on this thread: the CA callback belongs to a configuration,
 * which connections share. */
static _Thread_local struct hf_tls_conn *in_handshake;

/** The CA callback: what the server sent is judged when Mbed TLS asks for the issuer of the first.
 *  A Mbed TLS without the patches asks on where the list is not valid, and no anchor would help. */
static int judge_list(void *ctx, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    struct hf_tls_conn *conn = in_handshake;
    const struct hf_tls_client *client = conn->client;
    struct hf_trust_store *const stores[] = {client->device, client->server_ca};
    const struct hf_chain_context context = {.host = conn->peer.host,
                                             .key_usage = hf_handshake_key_usage(&conn->ssl)};
    struct hf_received_verdict verdict = {0};

    (void)ctx;
    *out = NULL;
    if (conn->is_judged)
        return 0;
    if (hf_trust_stores_judge(stores, client->server_ca != NULL ? 2 : 1, child, context,
                              conn->faults, &verdict) != HF_OK)
        return MBEDTLS_ERR_X509_ALLOC_FAILED;
    conn->is_judged = true;
    conn->flags = verdict.flags;
    *out = verdict.is_valid ? verdict.issuer : hf_x509_new();
    return 0;
}

/** The verify callback, called for each certificate down to the server's own (depth 0). */
static int judge_certificate(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct hf_tls_conn *conn = ctx;
    struct hf_why why = {0};

    hf_received_take_over(flags);
    if (depth != 0)
        return 0;
    if (!hf_handshake_has_leaf(&conn->ssl, crt)) {
        (void)hf_handshake_name_certificate(&conn->ssl, &why);
        (void)snprintf(conn->faults, sizeof conn->faults, "%s", why.text);
        return MBEDTLS_ERR_X509_FATAL_ERROR;
    }
    *flags |= conn->is_judged ? conn->flags : MBEDTLS_X509_BADCERT_NOT_TRUSTED;
    return 0;
}

enum hf_err hf_tls_client_new(struct hf_trust_store *device, struct hf_trust_store *server_ca,
                              bool has_legacy_ciphers, struct hf_tls_client **out,
                              struct hf_why *why)
{
    static const char *http_only[] = {"http/1.1", NULL};

    struct hf_tls_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for TLS");
    enum hf_err err = hf_sessions_init(&client->sessions, why);
    if (err != HF_OK) {
        free(client);
        return err;
    }
    client->device = device;
    client->server_ca = server_ca;
    err = hf_handshake_config(&client->config, why);
    if (err == HF_OK) {
        hf_tls_offer_set(&client->config,
                         (struct hf_tls_offer){.has_legacy_ciphers = has_legacy_ciphers});
        int code = mbedtls_ssl_conf_alpn_protocols(&client->config, http_only);
        err = code == 0 ? HF_OK : hf_handshake_fail(code, why);
    }
    if (err != HF_OK) {
        hf_tls_client_free(client);
        return err;
    }
    if (device != NULL) {
        mbedtls_ssl_conf_authmode(&client->config, MBEDTLS_SSL_VERIFY_REQUIRED);
        mbedtls_ssl_conf_ca_cb(&client->config, judge_list, NULL);
        /* Without it Mbed TLS drops the tickets of TLS 1.3. */
        mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
            &client->config, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
    } else {
        mbedtls_ssl_conf_authmode(&client->config, MBEDTLS_SSL_VERIFY_NONE);
        mbedtls_ssl_conf_session_tickets(&client->config, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
    }
    *out = client;
    return HF_OK;
}

enum hf_err hf_tls_client_show(struct hf_tls_client *client, struct hf_client_auth *auth,
                               struct hf_why *why)
{
    if (client->device == NULL)
        return hf_fail(why, HF_E_STATE, "a client that does not judge chains shows no certificate");
    return hf_client_auth_show(auth, &client->config, why);
}

void hf_tls_client_free(struct hf_tls_client *client)
{
    if (client == NULL)
        return;
    hf_sessions_free(&client->sessions);
    mbedtls_ssl_config_free(&client->config);
    free(client);
}

static void save_session(struct hf_tls_conn *conn)
{
    hf_sessions_keep(&conn->client->sessions, conn->session_name, conn->resumption, &conn->ssl);
}

static enum hf_err handshake(struct hf_tls_conn *conn, struct hf_why *why)
{
    struct hf_tls_client *client = conn->client;
    bool is_judge = client->device != NULL;

    HF_TRY(hf_tls_io_setup(&conn->ssl, &client->config, &conn->socket, &conn->peer, why));
    mbedtls_ssl_set_verify(&conn->ssl, judge_certificate, conn);
    if (is_judge) {
        /* A session of an earlier connection, unless anything has changed about whom to trust. */
        int64_t last_end_s = hf_trust_store_last_end(client->device);
        if (client->server_ca != NULL && hf_trust_store_last_end(client->server_ca) > last_end_s)
            last_end_s = hf_trust_store_last_end(client->server_ca);
        hf_sessions_begin(&client->sessions, hf_trust_store_generation(client->device));
        conn->resumption = hf_sessions_offer(&client->sessions, conn->session_name, last_end_s,
                                             &conn->ssl);
    }
    in_handshake = conn;
    enum hf_err err = hf_tls_io_handshake(&conn->ssl, &conn->socket, why);
    in_handshake = NULL;
    if (conn->faults[0] != '\0')
        return hf_fail(why, HF_E_UNTRUSTED, "the server is not trusted: %s", conn->faults);
    if (err != HF_OK) {
        (void)hf_fail_context(why, "TLS handshake");
        return err;
    }
    if (is_judge && mbedtls_ssl_get_verify_result(&conn->ssl) != 0)
        return hf_fail(why, HF_E_UNTRUSTED, "the server's certificate was not verified");
    /* With TLS 1.2 the ticket has come by now; those of TLS 1.3 come later. */
    if (is_judge && mbedtls_ssl_get_version_number(&conn->ssl) == MBEDTLS_SSL_VERSION_TLS1_2)
        save_session(conn);
    return HF_OK;
}

enum hf_err hf_tls_conn_open(struct hf_tls_client *client, int fd, const struct hf_endpoint *peer,
                             const struct hf_deadline *deadline, struct hf_tls_conn **out,
                             struct hf_why *why)
{
    struct hf_tls_conn *conn = calloc(1, sizeof *conn);
    enum hf_err err;

    if (conn == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a connection");
    conn->client = client;
    conn->socket = (struct hf_tls_socket){.fd = fd, .deadline = *deadline};
    conn->peer = *peer;
    hf_endpoint_format(peer, conn->session_name);
    mbedtls_ssl_init(&conn->ssl);
    err = handshake(conn, why);
    if (err != HF_OK) {
        mbedtls_ssl_free(&conn->ssl);
        free(conn);
        return err;
    }
    *out = conn;
    return HF_OK;
}

const char *hf_tls_conn_version(const struct hf_tls_conn *conn)
{
    return mbedtls_ssl_get_version(&conn->ssl);
}

void hf_tls_conn_close(struct hf_tls_conn *conn)
{
    if (conn == NULL)
        return;
    conn->socket.deadline = hf_deadline_start(ASIDE_MS, ASIDE_MS);
    (void)mbedtls_ssl_close_notify(&conn->ssl); /* a courtesy: its result does not matter */
    mbedtls_ssl_free(&conn->ssl);
    free(conn);
}

enum hf_err hf_tls_conn_send(struct hf_tls_conn *conn, struct hf_bytes data,
                             const struct hf_deadline *deadline, struct hf_why *why)
{
    conn->socket.deadline = *deadline;
    while (data.len > 0) {
        int n = mbedtls_ssl_write(&conn->ssl, data.data, data.len);
        if (n < 0) {
            HF_TRY(hf_tls_io_wait(&conn->ssl, n, &conn->socket, why));
            continue;
        }
        data.data += n;
        data.len -= (size_t)n;
    }
    return HF_OK;
}

/** mbedtls_ssl_read, with session tickets taken out of the way. */
static int read_some(struct hf_tls_conn *conn, void *data, size_t cap)
{
    for (int round = 0; round < TICKETS_AT_ONCE_MAX; round++) {
        /* What is buffered already comes without a look at the socket. */
        if (hf_deadline_check(&conn->socket.deadline, NULL) != HF_OK)
            return MBEDTLS_ERR_SSL_TIMEOUT;
        int n = mbedtls_ssl_read(&conn->ssl, data, cap);
        if (n == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
            save_session(conn);
        /* After a ticket it may say WANT_READ although the next record is in its buffer already,
         * and then the socket would stay silent. */
        else if (n != MBEDTLS_ERR_SSL_WANT_READ || mbedtls_ssl_check_pending(&conn->ssl) == 0)
            return n;
    }
    return MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE;
}

enum hf_err hf_tls_conn_receive(struct hf_tls_conn *conn, void *data, size_t cap,
                                const struct hf_deadline *deadline, size_t *out_len,
                                struct hf_why *why)
{
    conn->socket.deadline = *deadline;
    for (;;) {
        int n = read_some(conn, data, cap);
        if (n > 0 || n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
            *out_len = n > 0 ? (size_t)n : 0;
            return HF_OK;
        }
        /* 0 is the socket's end without TLS's own. */
        HF_TRY(
            hf_tls_io_wait(&conn->ssl, n == 0 ? MBEDTLS_ERR_SSL_CONN_EOF : n, &conn->socket, why));
    }
}

bool hf_tls_conn_is_quiet(struct hf_tls_conn *conn)
{
    unsigned char byte;

    conn->socket.deadline = hf_deadline_start(ASIDE_MS, ASIDE_MS);
    return read_some(conn, &byte, sizeof byte) == MBEDTLS_ERR_SSL_WANT_READ;
}
