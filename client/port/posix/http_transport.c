#include "client/port/posix/http.h"

#include "client/port/mbedtls/trust_store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hf_http_transport {
    struct hf_tls_client *tls;
    struct hf_tls_client *unvalidated; /* for requests that waive validation; shares nothing */
    struct hf_trust_store *server_ca;  /* owned; NULL for none */
    struct hf_timeouts timeouts;
    struct hf_redirect_targets redirect_targets;
    /* Connections that can carry another request, oldest first. */
    struct hf_http_conn *kept[HF_HTTP_KEPT_MAX];
    size_t n_kept;
};

/* ---- connections kept alive --------------------------------------------------------------------- */

static struct hf_http_conn *take_out(struct hf_http_transport *t, size_t i)
{
    struct hf_http_conn *conn = t->kept[i];

    t->n_kept--;
    memmove(&t->kept[i], &t->kept[i + 1], (t->n_kept - i) * sizeof t->kept[0]);
    return conn;
}

static bool is_kind_allowed(const struct hf_http_conn *conn, const enum hf_address_kind *also)
{
    enum hf_address_kind kind = hf_http_conn_kind(conn);

    return also == NULL || kind == HF_ADDRESS_PUBLIC || kind == *also;
}

/** A kept connection to where `url` goes, or NULL. Those that the server has closed are dropped. */
static struct hf_http_conn *take_kept(struct hf_http_transport *t, const struct hf_url *url,
                                      const struct hf_proxy *proxy,
                                      const enum hf_address_kind *also)
{
    for (size_t i = 0; i < t->n_kept;) {
        if (!hf_http_conn_serves(t->kept[i], url, proxy) || !is_kind_allowed(t->kept[i], also)) {
            i++;
            continue;
        }
        struct hf_http_conn *conn = take_out(t, i);
        if (hf_http_conn_is_quiet(conn))
            return conn;
        hf_http_conn_close(conn);
    }
    return NULL;
}

static void keep(struct hf_http_transport *t, struct hf_http_conn *conn)
{
    if (t->n_kept == HF_HTTP_KEPT_MAX)
        hf_http_conn_close(take_out(t, 0));
    t->kept[t->n_kept++] = conn;
}

void hf_http_transport_idle(struct hf_http_transport *transport)
{
    while (transport->n_kept > 0)
        hf_http_conn_close(take_out(transport, 0));
}

/* ---- one request -------------------------------------------------------------------------------- */

/* A GET on its way. */
struct get {
    struct hf_url asked;
    struct hf_url url; /* changes with redirects */
    int n_redirects;
    enum hf_address_kind
        asked_kind; /* of the server that was asked; known after the first answer */
    struct hf_proxy proxy;
    const struct hf_request *request;
    struct hf_deadline deadline;
    struct hf_answer answer;
    const char *tls_version; /* static */
};

static const char *env_lookup(const char *name)
{
    return getenv(name);
}

/* Which kind of address, besides the public ones, a connection may lead to; NULL for any. An address
 * that stands in the URL is named by the configuration, or it would not have got this far. */
static const enum hf_address_kind *kind_also_allowed(const struct get *get)
{
    bool is_free = get->n_redirects == 0 || hf_endpoint_is_address(&get->url.peer);

    return is_free ? NULL : &get->asked_kind;
}

/* An entity tag means something to the server that gave it, and tells it who asks. */
static bool is_at_origin(const struct get *get)
{
    return get->url.is_https == get->asked.is_https &&
           hf_endpoint_equal(&get->url.peer, &get->asked.peer);
}

static const char *etag_to_send(const struct get *get)
{
    return is_at_origin(get) ? get->request->etag : NULL;
}

/** Send over `conn`, which is consumed: kept for the next request or closed. */
static enum hf_err exchange_over(struct hf_http_transport *t, struct hf_http_conn *conn,
                                 struct get *get, struct hf_bytes request, struct hf_why *why)
{
    enum hf_err err;

    hf_answer_free(&get->answer);
    hf_answer_init(&get->answer, HF_ANSWER_TO_GET, get->request->max_bytes);
    if (get->n_redirects == 0)
        get->asked_kind = hf_http_conn_kind(conn);
    err = hf_http_conn_exchange(conn, request, &get->deadline, &get->answer, why);
    get->tls_version = hf_http_conn_tls_version(conn);
    if (err == HF_OK && get->answer.may_reuse && !get->request->waives_validation)
        keep(t, conn);
    else
        hf_http_conn_close(conn);
    return err;
}

static enum hf_err exchange_over_new(struct hf_http_transport *t, struct get *get,
                                     struct hf_bytes request, struct hf_why *why)
{
    bool is_waived = get->request->waives_validation;
    struct hf_deadline connect = hf_deadline_within(&get->deadline, t->timeouts.connect_ms);
    struct hf_http_conn *conn = NULL;

    HF_TRY(hf_http_conn_open(is_waived ? t->unvalidated : t->tls, &get->url, &get->proxy,
                             kind_also_allowed(get), &connect, &conn, why));
    return exchange_over(t, conn, get, request, why);
}

static enum hf_err exchange(struct hf_http_transport *t, struct get *get, struct hf_bytes request,
                            struct hf_why *why)
{
    bool is_waived = get->request->waives_validation;
    struct hf_http_conn *conn = is_waived
                                    ? NULL
                                    : take_kept(t, &get->url, &get->proxy, kind_also_allowed(get));
    struct hf_why kept = {0};

    if (conn == NULL)
        return exchange_over_new(t, get, request, why);
    enum hf_err err = exchange_over(t, conn, get, request, &kept);
    bool is_time_up = hf_deadline_check(&get->deadline, NULL) != HF_OK;
    if (err != HF_OK && (get->answer.has_begun || is_time_up))
        return hf_fail(why, err, "%s", kept.text);
    if (err == HF_OK)
        return HF_OK;
    /* The server may have closed it while the request was on its way. A GET can be repeated; over a
     * new connection, so there is no second time. */
    err = exchange_over_new(t, get, request, why);
    if (err != HF_OK)
        (void)hf_fail_context(why, "over a connection that was open: %.200s; over a new one",
                              kept.text);
    return err;
}

static enum hf_err get_once(struct hf_http_transport *t, struct get *get, struct hf_why *why)
{
    struct hf_buf request = {0};
    enum hf_err err;

    HF_TRY(hf_proxy_pick(&get->url, env_lookup, &get->proxy, why));
    err = hf_http_request_get(&get->url, &get->proxy, etag_to_send(get), &request, why);
    if (err == HF_OK)
        err = exchange(t, get, hf_buf_bytes(&request), why);
    hf_buf_free(&request);
    if (err == HF_OK && get->answer.status == 304 && etag_to_send(get) == NULL)
        return hf_fail(why, HF_E_NETWORK,
                       "the server says \"not modified\" (HTTP 304), but the request had no entity "
                       "tag");
    return err;
}

/* ---- redirects ---------------------------------------------------------------------------------- */

static bool is_redirect(const struct hf_answer *answer)
{
    switch (answer->status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return true;
    default:
        return false;
    }
}

static enum hf_err get_following(struct hf_http_transport *t, struct get *get, struct hf_why *why)
{
    for (;; get->n_redirects++) {
        HF_TRY(get_once(t, get, why));
        if (!is_redirect(&get->answer))
            return HF_OK;
        if (get->n_redirects == HF_REDIRECTS_MAX)
            return hf_fail(why, HF_E_NETWORK, "it redirects more than %d times", HF_REDIRECTS_MAX);
        HF_TRY(hf_redirect_resolve(&t->redirect_targets, &get->asked, &get->url,
                                   get->answer.location, get->request->waives_validation, &get->url,
                                   why));
    }
}

/* ---- the port ----------------------------------------------------------------------------------- */

/* The URL that was asked for. One that the answer named is the server's text, of which nothing is
 * quoted but a host that the configuration names too. */
static void name_in_failure(const struct get *get, struct hf_why *why)
{
    struct hf_buf text = {0};
    char host[HF_ENDPOINT_TEXT];

    hf_endpoint_format(&get->url.peer, host);
    enum hf_err err = hf_url_append(&get->asked, &text);
    if (err == HF_OK && get->n_redirects > 0)
        err = hf_buf_printf(&text, " (redirected to %s)", host);
    if (err == HF_OK)
        (void)hf_fail_context(why, "%.300s", (const char *)text.data);
    hf_buf_free(&text);
}

static enum hf_err fetch(void *ctx, const struct hf_request *request, struct hf_response *out,
                         struct hf_why *why)
{
    struct hf_http_transport *t = ctx;
    struct get get = {.request = request};
    enum hf_err err;

    HF_TRY(hf_url_parse(request->url, &get.asked, why));
    get.url = get.asked;
    get.deadline = hf_deadline_start(t->timeouts.total_ms, t->timeouts.idle_ms);
    err = get_following(t, &get, why);
    if (err == HF_OK) {
        *out = (struct hf_response){.status = get.answer.status, .body = get.answer.body};
        get.answer.body = (struct hf_buf){0};
        (void)snprintf(out->tls, sizeof out->tls, "%s", get.tls_version);
        if (out->status == 200 && is_at_origin(&get))
            memcpy(out->etag, get.answer.etag, sizeof out->etag);
    } else {
        name_in_failure(&get, why);
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

/* ---- making one --------------------------------------------------------------------------------- */

static enum hf_err load_server_ca(struct hf_http_transport *t, const char *pem, struct hf_why *why)
{
    enum hf_err err = hf_trust_store_new_from_pem(hf_bytes_of_text(pem), &t->server_ca, NULL, why);

    if (err != HF_OK)
        (void)hf_fail_context(why, "the update server's CA");
    return err;
}

enum hf_err hf_http_transport_new(struct hf_trust_store *store, const char *server_ca_pem,
                                  bool has_legacy_ciphers, struct hf_http_transport **out,
                                  struct hf_why *why)
{
    struct hf_http_transport *t = calloc(1, sizeof *t);
    enum hf_err err = HF_OK;

    if (t == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for the transport");
    t->timeouts = hf_timeouts_default();
    if (server_ca_pem != NULL)
        err = load_server_ca(t, server_ca_pem, why);
    if (err == HF_OK)
        err = hf_tls_client_new(store, t->server_ca, has_legacy_ciphers, &t->tls, why);
    if (err == HF_OK)
        err = hf_tls_client_new_unvalidated(has_legacy_ciphers, &t->unvalidated, why);
    if (err != HF_OK) {
        hf_http_transport_free(t);
        return err;
    }
    *out = t;
    return HF_OK;
}

void hf_http_transport_allow_redirects(struct hf_http_transport *transport,
                                       const struct hf_redirect_targets *targets)
{
    transport->redirect_targets = *targets;
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
