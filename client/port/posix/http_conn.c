#include "client/port/posix/http.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct hf_http_conn {
    int fd;
    struct hf_tls_conn *tls; /* NULL for plain HTTP */
    bool is_https;
    struct hf_endpoint peer; /* of the URL, not of the proxy */
    struct hf_proxy proxy;
};

static enum hf_err send_all(struct hf_http_conn *conn, struct hf_bytes data,
                            const struct hf_deadline *deadline, struct hf_why *why)
{
    return conn->tls != NULL ? hf_tls_conn_send(conn->tls, data, deadline, why)
                             : hf_net_send(conn->fd, data, deadline, why);
}

static enum hf_err receive(struct hf_http_conn *conn, void *data, size_t cap,
                           const struct hf_deadline *deadline, size_t *out_len, struct hf_why *why)
{
    return conn->tls != NULL ? hf_tls_conn_receive(conn->tls, data, cap, deadline, out_len, why)
                             : hf_net_receive(conn->fd, data, cap, deadline, out_len, why);
}

enum hf_err hf_http_conn_exchange(struct hf_http_conn *conn, struct hf_bytes request,
                                  const struct hf_deadline *deadline, struct hf_answer *answer,
                                  struct hf_why *why)
{
    uint8_t data[16 * 1024]; /* a whole TLS record */
    size_t len;

    HF_TRY(send_all(conn, request, deadline, why));
    while (!answer->is_complete) {
        HF_TRY(receive(conn, data, sizeof data, deadline, &len, why));
        if (len == 0)
            return hf_answer_end(answer, why);
        HF_TRY(hf_answer_feed(answer, (struct hf_bytes){data, len}, why));
    }
    return HF_OK;
}

/* ---- opening ------------------------------------------------------------------------------------ */

static enum hf_err check_tunnel(const struct hf_answer *answer, struct hf_why *why)
{
    if (answer->status / 100 == 2)
        return HF_OK;
    if (answer->status == 407)
        return hf_fail(why, HF_E_NETWORK,
                       "it wants a user name and password (407), or other ones than the proxy "
                       "variable holds: http://USER:PASSWORD@HOST:PORT");
    return hf_fail(why, HF_E_NETWORK, "it refused a tunnel to the server with status %d",
                   answer->status);
}

static enum hf_err open_tunnel(struct hf_http_conn *conn, const struct hf_deadline *deadline,
                               struct hf_why *why)
{
    struct hf_buf request = {0};
    struct hf_answer answer;
    enum hf_err err = hf_http_request_connect(&conn->peer, &conn->proxy, &request, why);

    if (err != HF_OK)
        return err;
    hf_answer_init(&answer, HF_ANSWER_TO_CONNECT, 0);
    err = hf_http_conn_exchange(conn, hf_buf_bytes(&request), deadline, &answer, why);
    if (err == HF_OK)
        err = check_tunnel(&answer, why);
    hf_answer_free(&answer);
    hf_buf_free(&request);
    return err;
}

/** Everything up to the first request: TCP, tunnel, TLS. */
static enum hf_err establish(struct hf_http_conn *conn, struct hf_tls_client *tls,
                             const enum hf_address_kind *also, const struct hf_deadline *deadline,
                             struct hf_why *why)
{
    const struct hf_proxy *proxy = &conn->proxy;
    char name[HF_ENDPOINT_TEXT];
    enum hf_err err = proxy->is_used ? hf_net_connect(&proxy->peer, NULL, deadline, &conn->fd, why)
                                     : hf_net_connect(&conn->peer, also, deadline, &conn->fd, why);

    if (err == HF_OK && proxy->is_used && conn->is_https)
        err = open_tunnel(conn, deadline, why);
    if (err != HF_OK && proxy->is_used) {
        hf_endpoint_format(&proxy->peer, name);
        (void)hf_fail_context(why, "proxy %s", name);
    }
    if (err == HF_OK && conn->is_https)
        err = hf_tls_conn_open(tls, conn->fd, &conn->peer, deadline, &conn->tls, why);
    return err;
}

enum hf_err hf_http_conn_open(struct hf_tls_client *tls, const struct hf_url *url,
                              const struct hf_proxy *proxy, const enum hf_address_kind *also,
                              const struct hf_deadline *deadline, struct hf_http_conn **out,
                              struct hf_why *why)
{
    struct hf_http_conn *conn = calloc(1, sizeof *conn);
    enum hf_err err;

    if (conn == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a connection");
    conn->fd = -1;
    conn->is_https = url->is_https;
    conn->peer = url->peer;
    conn->proxy = *proxy;
    err = establish(conn, tls, also, deadline, why);
    if (err != HF_OK) {
        hf_http_conn_close(conn);
        return err;
    }
    *out = conn;
    return HF_OK;
}

const char *hf_http_conn_tls_version(const struct hf_http_conn *conn)
{
    return conn->tls != NULL ? hf_tls_conn_version(conn->tls) : "";
}

void hf_http_conn_close(struct hf_http_conn *conn)
{
    if (conn == NULL)
        return;
    hf_tls_conn_close(conn->tls);
    if (conn->fd >= 0)
        (void)close(conn->fd);
    free(conn);
}

/* ---- using it again ----------------------------------------------------------------------------- */

enum hf_address_kind hf_http_conn_kind(const struct hf_http_conn *conn)
{
    return conn->proxy.is_used ? HF_ADDRESS_PUBLIC : hf_net_peer_kind(conn->fd);
}

bool hf_http_conn_serves(const struct hf_http_conn *conn, const struct hf_url *url,
                         const struct hf_proxy *proxy)
{
    if (conn->is_https != url->is_https || !hf_endpoint_equal(&conn->peer, &url->peer) ||
        conn->proxy.is_used != proxy->is_used)
        return false;
    return !proxy->is_used || (hf_endpoint_equal(&conn->proxy.peer, &proxy->peer) &&
                               strcmp(conn->proxy.authorization, proxy->authorization) == 0);
}

bool hf_http_conn_is_quiet(struct hf_http_conn *conn)
{
    return conn->tls != NULL ? hf_tls_conn_is_quiet(conn->tls) : hf_net_is_quiet(conn->fd);
}
