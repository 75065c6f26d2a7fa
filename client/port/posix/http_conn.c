#include "client/port/posix/http_conn.h"

#include "common/base/limits.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void hf_http_conn_close(struct hf_http_conn *conn)
{
    hf_tls_conn_close(conn->tls);
    if (conn->fd >= 0)
        (void)close(conn->fd);
    free(conn);
}

/* The time for an answer that has come so far. What a report waits for has no more time. */
static struct hf_deadline extended(const struct hf_deadline *start, const struct hf_answer *answer)
{
    const int64_t most_ms = (int64_t)start->limit_ms * (HF_TIMEOUT_STEADY_FACTOR - 1);
    int64_t more_ms = (int64_t)(answer->body.len / HF_TIMEOUT_STEADY_BYTES) * HF_TIMEOUT_STEADY_MS;

    if (answer->kind != HF_ANSWER_TO_GET)
        more_ms = 0;
    else if (more_ms > most_ms)
        more_ms = most_ms;
    return (struct hf_deadline){.end_ms = start->end_ms + more_ms,
                                .idle_ms = start->idle_ms,
                                .limit_ms = start->limit_ms + (int)more_ms};
}

enum hf_err hf_http_conn_exchange(struct hf_http_conn *conn, struct hf_bytes request,
                                  const struct hf_deadline *deadline, struct hf_answer *answer,
                                  struct hf_why *why)
{
    uint8_t data[16 * 1024]; /* a whole TLS record */
    size_t len;

    HF_TRY(conn->tls != NULL ? hf_tls_conn_send(conn->tls, request, deadline, why)
                             : hf_net_send(conn->fd, request, deadline, why));
    while (!answer->is_complete) {
        const struct hf_deadline end = extended(deadline, answer);
        HF_TRY(conn->tls != NULL
                   ? hf_tls_conn_receive(conn->tls, data, sizeof data, &end, &len, why)
                   : hf_net_receive(conn->fd, data, sizeof data, &end, &len, why));
        if (len == 0)
            return hf_answer_end(answer, why);
        HF_TRY(hf_answer_feed(answer, (struct hf_bytes){data, len}, why));
    }
    return HF_OK;
}

static enum hf_err open_tunnel(struct hf_http_conn *conn, const struct hf_deadline *deadline,
                               struct hf_why *why)
{
    struct hf_buf request = {0};
    struct hf_answer answer;

    hf_answer_init(&answer, HF_ANSWER_TO_CONNECT, 0);
    enum hf_err err = hf_http_request_connect(&conn->peer, &conn->proxy, &request, why);
    if (err == HF_OK)
        err = hf_http_conn_exchange(conn, hf_buf_bytes(&request), deadline, &answer, why);
    if (err == HF_OK && answer.status == 407)
        err = hf_fail(why, HF_E_NETWORK,
                      "it wants a user name and password (407), or other ones than the proxy "
                      "variable holds: http://USER:PASSWORD@HOST:PORT");
    else if (err == HF_OK && answer.status / 100 != 2)
        err = hf_fail(why, HF_E_NETWORK, "it refused a tunnel to the server with status %d",
                      answer.status);
    hf_answer_free(&answer);
    hf_buf_free(&request);
    return err;
}

enum hf_err hf_http_conn_open(struct hf_tls_client *tls, const struct hf_http_way *way,
                              const struct hf_deadline *deadline, struct hf_http_conn **out,
                              struct hf_why *why)
{
    const struct hf_proxy *proxy = way->proxy;
    char name[HF_ENDPOINT_TEXT];

    struct hf_http_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a connection");
    *conn = (struct hf_http_conn){.fd = -1,
                                  .is_https = way->url->is_https,
                                  .is_identified = way->is_identified,
                                  .peer = way->url->peer,
                                  .proxy = *proxy};
    enum hf_err err = proxy->is_used
                          ? hf_net_connect(&proxy->peer, NULL, deadline, &conn->fd, why)
                          : hf_net_connect(&conn->peer, way->also, deadline, &conn->fd, why);
    if (err == HF_OK && proxy->is_used && conn->is_https)
        err = open_tunnel(conn, deadline, why);
    if (err != HF_OK && proxy->is_used) {
        hf_endpoint_format(&proxy->peer, name);
        (void)hf_fail_context(why, "proxy %s", name);
    }
    if (err == HF_OK && conn->is_https)
        err = hf_tls_conn_open(tls, conn->fd, &conn->peer, deadline, &conn->tls, why);
    if (err == HF_OK)
        *out = conn;
    else
        hf_http_conn_close(conn);
    return err;
}

enum hf_address_kind hf_http_conn_kind(const struct hf_http_conn *conn)
{
    return conn->proxy.is_used ? HF_ADDRESS_PUBLIC : hf_net_peer_kind(conn->fd);
}

bool hf_http_conn_serves(const struct hf_http_conn *conn, const struct hf_http_way *way)
{
    const struct hf_proxy *proxy = way->proxy;
    const enum hf_address_kind *also = way->also;

    if (conn->is_https != way->url->is_https || !hf_endpoint_equal(&conn->peer, &way->url->peer) ||
        conn->is_identified != way->is_identified || conn->proxy.is_used != proxy->is_used)
        return false;
    if (proxy->is_used && (!hf_endpoint_equal(&conn->proxy.peer, &proxy->peer) ||
                           strcmp(conn->proxy.authorization, proxy->authorization) != 0))
        return false;
    return also == NULL || hf_http_conn_kind(conn) == HF_ADDRESS_PUBLIC ||
           hf_http_conn_kind(conn) == *also;
}
