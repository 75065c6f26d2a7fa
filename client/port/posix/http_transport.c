#include "client/port/posix/http.h"

#include "client/port/mbedtls/trust_store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One connection that carries HTTP requests, one after the other: to the server or to a proxy, plain or in
 * TLS, through a CONNECT tunnel where both are wanted. */
struct conn {
    int fd;
    struct hf_tls_conn *tls; /* NULL for plain HTTP */
    bool is_https;
    struct hf_endpoint peer; /* of the URL, not of the proxy */
    struct hf_proxy proxy;
};

struct hf_http_transport {
    struct hf_tls_client *tls;
    struct hf_tls_client *unvalidated; /* for requests that waive validation; shares nothing */
    struct hf_trust_store *server_ca;  /* owned; NULL for none */
    struct hf_timeouts timeouts;
    struct hf_redirect_targets redirect_targets;
    /* Connections that can carry another request, oldest first. */
    struct conn *kept[HF_HTTP_KEPT_MAX];
    size_t n_kept;
};

/* ---- one connection ------------------------------------------------------------------------------ */

static void close_conn(struct conn *conn)
{
    hf_tls_conn_close(conn->tls);
    if (conn->fd >= 0)
        (void)close(conn->fd);
    free(conn);
}

/* Send `request` and read into `answer`, which was initialised for it, until it is complete. After an error,
 * or where the answer says so (may_reuse), the connection is of no more use. */
static enum hf_err exchange_over(struct conn *conn, struct hf_bytes request,
                                 const struct hf_deadline *deadline, struct hf_answer *answer,
                                 struct hf_why *why)
{
    uint8_t data[16 * 1024]; /* a whole TLS record */
    size_t len;

    HF_TRY(conn->tls != NULL ? hf_tls_conn_send(conn->tls, request, deadline, why)
                             : hf_net_send(conn->fd, request, deadline, why));
    while (!answer->is_complete) {
        HF_TRY(conn->tls != NULL
                   ? hf_tls_conn_receive(conn->tls, data, sizeof data, deadline, &len, why)
                   : hf_net_receive(conn->fd, data, sizeof data, deadline, &len, why));
        if (len == 0)
            return hf_answer_end(answer, why);
        HF_TRY(hf_answer_feed(answer, (struct hf_bytes){data, len}, why));
    }
    return HF_OK;
}

static enum hf_err open_tunnel(struct conn *conn, const struct hf_deadline *deadline,
                               struct hf_why *why)
{
    struct hf_buf request = {0};
    struct hf_answer answer;

    hf_answer_init(&answer, HF_ANSWER_TO_CONNECT, 0);
    enum hf_err err = hf_http_request_connect(&conn->peer, &conn->proxy, &request, why);
    if (err == HF_OK)
        err = exchange_over(conn, hf_buf_bytes(&request), deadline, &answer, why);
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

/**
 * Connect for requests to `url`'s server by way of `proxy`. `also` NULL: wherever its name leads; else
 * only to public addresses and those of that kind. A proxy looks the name up itself, so that `also`
 * does not matter there. HF_E_NETWORK, and as hf_tls_conn_open.
 */
static enum hf_err open_conn(struct hf_tls_client *tls, const struct hf_url *url,
                             const struct hf_proxy *proxy, const enum hf_address_kind *also,
                             const struct hf_deadline *deadline, struct conn **out,
                             struct hf_why *why)
{
    char name[HF_ENDPOINT_TEXT];

    struct conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a connection");
    *conn = (struct conn){.fd = -1, .is_https = url->is_https, .peer = url->peer, .proxy = *proxy};
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
    if (err == HF_OK)
        *out = conn;
    else
        close_conn(conn);
    return err;
}

/* The kind of the server's address; HF_ADDRESS_PUBLIC where only a proxy knows it. */
static enum hf_address_kind kind_of(const struct conn *conn)
{
    return conn->proxy.is_used ? HF_ADDRESS_PUBLIC : hf_net_peer_kind(conn->fd);
}

/* Could a request to `url` by way of `proxy`, to an address of that kind, go over this connection? */
static bool serves(const struct conn *conn, const struct hf_url *url, const struct hf_proxy *proxy,
                   const enum hf_address_kind *also)
{
    if (conn->is_https != url->is_https || !hf_endpoint_equal(&conn->peer, &url->peer) ||
        conn->proxy.is_used != proxy->is_used)
        return false;
    if (proxy->is_used && (!hf_endpoint_equal(&conn->proxy.peer, &proxy->peer) ||
                           strcmp(conn->proxy.authorization, proxy->authorization) != 0))
        return false;
    return also == NULL || kind_of(conn) == HF_ADDRESS_PUBLIC || kind_of(conn) == *also;
}

/* ---- connections kept alive --------------------------------------------------------------------- */

static struct conn *take_out(struct hf_http_transport *t, size_t i)
{
    struct conn *conn = t->kept[i];

    t->n_kept--;
    memmove(&t->kept[i], &t->kept[i + 1], (t->n_kept - i) * sizeof t->kept[0]);
    return conn;
}

/** A kept connection to where `url` goes, or NULL. Those that the server has closed, or over which
 *  something has come unasked, are dropped. */
static struct conn *take_kept(struct hf_http_transport *t, const struct hf_url *url,
                              const struct hf_proxy *proxy, const enum hf_address_kind *also)
{
    for (size_t i = 0; i < t->n_kept;) {
        if (!serves(t->kept[i], url, proxy, also)) {
            i++;
            continue;
        }
        struct conn *conn = take_out(t, i);
        if (conn->tls != NULL ? hf_tls_conn_is_quiet(conn->tls) : hf_net_is_quiet(conn->fd))
            return conn;
        close_conn(conn);
    }
    return NULL;
}

void hf_http_transport_idle(struct hf_http_transport *transport)
{
    while (transport->n_kept > 0)
        close_conn(take_out(transport, 0));
}

/* ---- one request -------------------------------------------------------------------------------- */

/* A GET on its way. */
struct get {
    struct hf_url asked;
    struct hf_url url; /* changes with redirects */
    int n_redirects;
    enum hf_address_kind asked_kind; /* of the server asked; known after the first answer */
    struct hf_proxy proxy;
    const struct hf_request *request;
    struct hf_deadline deadline;
    struct hf_answer answer;
    const char *tls_version; /* "TLSv1.3"; empty without TLS; static */
};

/* An entity tag means something to the server that gave it, and tells it who asks. */
static bool is_at_origin(const struct get *get)
{
    return get->url.is_https == get->asked.is_https &&
           hf_endpoint_equal(&get->url.peer, &get->asked.peer);
}

/** Send over `conn`, which is consumed: kept for the next request or closed. */
static enum hf_err get_over(struct hf_http_transport *t, struct conn *conn, struct get *get,
                            struct hf_bytes request, struct hf_why *why)
{
    hf_answer_free(&get->answer);
    hf_answer_init(&get->answer, HF_ANSWER_TO_GET, get->request->max_bytes);
    if (get->n_redirects == 0)
        get->asked_kind = kind_of(conn);
    enum hf_err err = exchange_over(conn, request, &get->deadline, &get->answer, why);
    get->tls_version = conn->tls != NULL ? hf_tls_conn_version(conn->tls) : "";
    if (err != HF_OK || !get->answer.may_reuse || get->request->waives_validation) {
        close_conn(conn);
        return err;
    }
    if (t->n_kept == HF_HTTP_KEPT_MAX)
        close_conn(take_out(t, 0));
    t->kept[t->n_kept++] = conn;
    return HF_OK;
}

/* Over a connection that was kept or, if there is none or it fails without an answer, over a new one. */
static enum hf_err exchange(struct hf_http_transport *t, struct get *get, struct hf_bytes request,
                            struct hf_why *why)
{
    /* Which kind of address, besides the public ones, a connection may lead to; NULL for any. An address
     * in the URL of a redirect is named by the configuration, or it would not have got this far. */
    bool is_free = get->n_redirects == 0 || hf_endpoint_is_address(&get->url.peer);
    const enum hf_address_kind *also = is_free ? NULL : &get->asked_kind;
    bool is_waived = get->request->waives_validation;
    struct hf_deadline connect;
    struct hf_why reason = {0};

    struct conn *conn = is_waived ? NULL : take_kept(t, &get->url, &get->proxy, also);
    bool was_kept = conn != NULL;
    if (was_kept) {
        enum hf_err err = get_over(t, conn, get, request, &reason);
        if (err == HF_OK)
            return HF_OK;
        if (get->answer.has_begun || hf_deadline_check(&get->deadline, NULL) != HF_OK)
            return hf_fail(why, err, "%s", reason.text);
        /* The server may have closed it while the request was on its way. A GET can be repeated; over a
         * new connection, so there is no second time. */
    }
    connect = hf_deadline_within(&get->deadline, t->timeouts.connect_ms);
    enum hf_err err = open_conn(is_waived ? t->unvalidated : t->tls, &get->url, &get->proxy, also,
                                &connect, &conn, why);
    if (err == HF_OK)
        err = get_over(t, conn, get, request, why);
    if (err != HF_OK && was_kept)
        (void)hf_fail_context(why, "over a connection that was open: %.200s; over a new one",
                              reason.text);
    return err;
}

static const char *env_lookup(const char *name)
{
    return getenv(name);
}

static enum hf_err get_following(struct hf_http_transport *t, struct get *get, struct hf_why *why)
{
    for (;; get->n_redirects++) {
        const char *etag = is_at_origin(get) ? get->request->etag : NULL;
        struct hf_buf request = {0};
        HF_TRY(hf_proxy_pick(&get->url, env_lookup, &get->proxy, why));
        enum hf_err err = hf_http_request_get(&get->url, &get->proxy, etag, &request, why);
        if (err == HF_OK)
            err = exchange(t, get, hf_buf_bytes(&request), why);
        hf_buf_free(&request);
        HF_TRY(err);
        const int status = get->answer.status;
        if (status == 304 && etag == NULL)
            return hf_fail(why, HF_E_NETWORK,
                           "the server says \"not modified\" (HTTP 304), but the request had no "
                           "entity tag");
        if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308)
            return HF_OK;
        if (get->n_redirects == HF_REDIRECTS_MAX)
            return hf_fail(why, HF_E_NETWORK, "it redirects more than %d times", HF_REDIRECTS_MAX);
        HF_TRY(hf_redirect_resolve(&t->redirect_targets, &get->asked, &get->url,
                                   get->answer.location, get->request->waives_validation, &get->url,
                                   why));
    }
}

/* ---- the port ----------------------------------------------------------------------------------- */

static enum hf_err fetch(void *ctx, const struct hf_request *request, struct hf_response *out,
                         struct hf_why *why)
{
    struct hf_http_transport *t = ctx;
    struct get get = {.request = request};

    HF_TRY(hf_url_parse(request->url, &get.asked, why));
    get.url = get.asked;
    get.deadline = hf_deadline_start(t->timeouts.total_ms, t->timeouts.idle_ms);
    enum hf_err err = get_following(t, &get, why);
    if (err == HF_OK) {
        *out = (struct hf_response){.status = get.answer.status, .body = get.answer.body};
        get.answer.body = (struct hf_buf){0};
        (void)snprintf(out->tls, sizeof out->tls, "%s", get.tls_version);
        if (out->status == 200 && is_at_origin(&get))
            memcpy(out->etag, get.answer.etag, sizeof out->etag);
    } else {
        /* The URL that was asked for. One that the answer named is the server's text, of which nothing
         * is quoted but a host that the configuration names too. */
        struct hf_buf text = {0};
        char host[HF_ENDPOINT_TEXT];
        hf_endpoint_format(&get.url.peer, host);
        if (hf_url_append(&get.asked, &text) == HF_OK &&
            (get.n_redirects == 0 || hf_buf_printf(&text, " (redirected to %s)", host) == HF_OK))
            (void)hf_fail_context(why, "%.300s", (const char *)text.data);
        hf_buf_free(&text);
    }
    hf_answer_free(&get.answer);
    return err;
}

static bool has_anchor(void *ctx)
{
    const struct hf_http_transport *t = ctx;

    return t->server_ca != NULL && hf_trust_store_has_usable(t->server_ca);
}

struct hf_transport_port hf_http_transport_port(struct hf_http_transport *transport)
{
    return (struct hf_transport_port){.ctx = transport, .fetch = fetch, .has_anchor = has_anchor};
}

void hf_http_transport_set_timeouts(struct hf_http_transport *transport,
                                    struct hf_timeouts timeouts)
{
    transport->timeouts = timeouts;
}

void hf_http_transport_allow_redirects(struct hf_http_transport *transport,
                                       const struct hf_redirect_targets *targets)
{
    transport->redirect_targets = *targets;
}

enum hf_err hf_http_transport_new(struct hf_trust_store *store, const char *server_ca_pem,
                                  bool has_legacy_ciphers, struct hf_http_transport **out,
                                  struct hf_why *why)
{
    enum hf_err err = HF_OK;

    struct hf_http_transport *t = calloc(1, sizeof *t);
    if (t == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for the transport");
    t->timeouts = hf_timeouts_default();
    if (server_ca_pem != NULL) {
        err = hf_trust_store_new_from_pem(hf_bytes_of_text(server_ca_pem), &t->server_ca, NULL,
                                          why);
        if (err != HF_OK)
            (void)hf_fail_context(why, "the update server's CA");
    }
    if (err == HF_OK)
        err = hf_tls_client_new(store, t->server_ca, has_legacy_ciphers, &t->tls, why);
    if (err == HF_OK)
        err = hf_tls_client_new(NULL, NULL, has_legacy_ciphers, &t->unvalidated, why);
    if (err == HF_OK)
        *out = t;
    else
        hf_http_transport_free(t);
    return err;
}

void hf_http_transport_free(struct hf_http_transport *transport)
{
    if (transport == NULL)
        return;
    hf_http_transport_idle(transport);
    hf_tls_client_free(transport->tls);
    hf_tls_client_free(transport->unvalidated);
    hf_trust_store_free(transport->server_ca);
    free(transport);
}
