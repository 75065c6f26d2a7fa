#include "client/port/posix/http_conn.h"

#include "client/port/mbedtls/trust_store_internal.h"

#include "common/chain/clock.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct hf_http_transport {
    struct hf_tls_client *tls;
    struct hf_tls_client *unvalidated; /* for requests that waive validation; shares nothing */
    struct hf_trust_store *store;
    struct hf_trust_store *server_ca; /* owned; NULL for none */
    bool has_legacy_ciphers;
    struct hf_shown_identity *identity; /* owned; NULL for none */
    struct hf_tls_client *identified;   /* shows it; NULL without one that can be used */
    bool asks_for_rotation; /* the last fetch ended at a server that was shown it, and did */
    bool signs_reports;
    uint8_t report_seed[HF_REPORT_KEY_LEN];
    struct hf_timeouts timeouts;
    struct hf_redirect_targets redirect_targets;
    /* Connections that can carry another request, oldest first. */
    struct hf_http_conn *kept[HF_HTTP_KEPT_MAX];
    size_t n_kept;
};

/* ---- connections kept alive ------------------------------------------------------------------ */

static struct hf_http_conn *take_out(struct hf_http_transport *t, size_t i)
{
    struct hf_http_conn *conn = t->kept[i];

    t->n_kept--;
    memmove(&t->kept[i], &t->kept[i + 1], (t->n_kept - i) * sizeof t->kept[0]);
    return conn;
}

/** A kept connection for that way, or NULL. Those that the server has closed, or over which
 *  something has come unasked, are dropped. */
static struct hf_http_conn *take_kept(struct hf_http_transport *t, const struct hf_http_way *way)
{
    for (size_t i = 0; i < t->n_kept;) {
        if (!hf_http_conn_serves(t->kept[i], way)) {
            i++;
            continue;
        }
        struct hf_http_conn *conn = take_out(t, i);
        if (conn->tls != NULL ? hf_tls_conn_is_quiet(conn->tls) : hf_net_is_quiet(conn->fd))
            return conn;
        hf_http_conn_close(conn);
    }
    return NULL;
}

void hf_http_transport_idle(struct hf_http_transport *transport)
{
    while (transport->n_kept > 0)
        hf_http_conn_close(take_out(transport, 0));
}

/* ---- one request ----------------------------------------------------------------------------- */

/* A request on its way. */
struct get {
    struct hf_url asked;
    struct hf_url url; /* changes with redirects */
    int n_redirects;
    enum hf_address_kind asked_kind; /* of the server asked; known after the first answer */
    struct hf_proxy proxy;
    const struct hf_request *request;
    enum hf_answer_kind kind;
    bool needs_new_connection;
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
static enum hf_err get_over(struct hf_http_transport *t, struct hf_http_conn *conn, struct get *get,
                            struct hf_bytes request, struct hf_why *why)
{
    hf_answer_free(&get->answer);
    hf_answer_init(&get->answer, get->kind, get->request->max_bytes);
    if (get->n_redirects == 0)
        get->asked_kind = hf_http_conn_kind(conn);
    enum hf_err err = hf_http_conn_exchange(conn, request, &get->deadline, &get->answer, why);
    get->tls_version = conn->tls != NULL ? hf_tls_conn_version(conn->tls) : "";
    t->asks_for_rotation = err == HF_OK && conn->is_identified && get->answer.asks_for_rotation;
    if (err != HF_OK || !get->answer.may_reuse || get->request->waives_validation) {
        hf_http_conn_close(conn);
        return err;
    }
    if (t->n_kept == HF_HTTP_KEPT_MAX)
        hf_http_conn_close(take_out(t, 0));
    t->kept[t->n_kept++] = conn;
    return HF_OK;
}

/* Over a connection that was kept or, if there is none or it fails without an answer, over a new
 * one. */
static enum hf_err exchange(struct hf_http_transport *t, struct get *get, struct hf_bytes request,
                            struct hf_why *why)
{
    /* Which kind of address, besides the public ones, a connection may lead to; NULL for any. An
     * address in the URL of a redirect is named by the configuration, or it would not have got this
     * far. */
    bool is_free = get->n_redirects == 0 || hf_endpoint_is_address(&get->url.peer);
    bool is_waived = get->request->waives_validation;
    const struct hf_http_way way = {
        .url = &get->url,
        .proxy = &get->proxy,
        .also = is_free ? NULL : &get->asked_kind,
        .is_identified = !is_waived && get->url.is_https && is_at_origin(get) &&
                         t->identified != NULL,
    };
    struct hf_tls_client *validating = way.is_identified ? t->identified : t->tls;
    struct hf_deadline connect;
    struct hf_why reason = {0};

    struct hf_http_conn *conn = is_waived || get->needs_new_connection ? NULL : take_kept(t, &way);
    bool was_kept = conn != NULL;
    if (was_kept) {
        enum hf_err err = get_over(t, conn, get, request, &reason);
        if (err == HF_OK)
            return HF_OK;
        if (get->answer.has_begun || hf_deadline_check(&get->deadline, NULL) != HF_OK)
            return hf_fail(why, err, "%s", reason.text);
        /* The server may have closed it while the request was on its way. A GET can be repeated,
         * and so can reports, by their numbers; over a new connection, so there is no second
         * time. */
    }
    connect = hf_deadline_within(&get->deadline, t->timeouts.connect_ms);
    enum hf_err err = hf_http_conn_open(is_waived ? t->unvalidated : validating, &way, &connect,
                                        &conn, why);
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

/* ---- the client certificate ------------------------------------------------------------------ */

/* A client that shows `auth`; `auth` outlives it. */
static enum hf_err make_identified(const struct hf_http_transport *t, struct hf_client_auth *auth,
                                   struct hf_tls_client **out, struct hf_why *why)
{
    struct hf_tls_client *client = NULL;

    HF_TRY(hf_tls_client_new(t->store, t->server_ca, t->has_legacy_ciphers, &client, why));
    enum hf_err err = auth != NULL ? hf_tls_client_show(client, auth, why) : HF_OK;
    if (err == HF_OK)
        *out = client;
    else
        hf_tls_client_free(client);
    return err;
}

static void drop_identified(struct hf_http_transport *t)
{
    if (t->identified == NULL)
        return;
    hf_http_transport_idle(t);
    hf_tls_client_free(t->identified);
    t->identified = NULL;
}

/* Before each request: a rotation may have replaced it. Its saved sessions go with the old one. */
static enum hf_err follow_identity(struct hf_http_transport *t, struct hf_why *why)
{
    if (t->identity == NULL)
        return HF_OK;
    if (hf_shown_identity_is_stale(t->identity)) {
        drop_identified(t);
        hf_shown_identity_load(t->identity);
    }
    if (hf_shown_identity_has_expired(t->identity, hf_chain_clock_now_s())) {
        drop_identified(t);
        return HF_OK;
    }
    /* Also where it looked expired before: the clock may have been wrong. */
    struct hf_client_auth *auth = hf_shown_identity_get(t->identity);
    if (auth == NULL || t->identified != NULL)
        return HF_OK;
    hf_http_transport_idle(t);
    return make_identified(t, auth, &t->identified, why);
}

void hf_http_transport_identify_take(struct hf_http_transport *transport,
                                     struct hf_shown_identity *identity)
{
    drop_identified(transport);
    hf_shown_identity_free(transport->identity);
    transport->identity = identity;
}

void hf_http_transport_forget_identity(struct hf_http_transport *transport)
{
    if (transport->identity != NULL)
        hf_shown_identity_forget(transport->identity);
}

bool hf_http_transport_asks_for_rotation(const struct hf_http_transport *transport)
{
    return transport->asks_for_rotation;
}

/* ---- the API of the fleet service ------------------------------------------------------------ */

/* Over a connection of its own, which shows what this request is to show. */
static enum hf_err call_over(struct hf_http_transport *t, const struct hf_http_way *way,
                             struct hf_client_auth *auth, struct hf_bytes request,
                             struct hf_answer *answer, struct hf_why *why)
{
    struct hf_deadline deadline = hf_deadline_start(t->timeouts.total_ms, t->timeouts.idle_ms);
    struct hf_deadline connect = hf_deadline_within(&deadline, t->timeouts.connect_ms);
    struct hf_tls_client *client = NULL;
    struct hf_http_conn *conn = NULL;

    HF_TRY(make_identified(t, auth, &client, why));
    enum hf_err err = hf_http_conn_open(client, way, &connect, &conn, why);
    if (err == HF_OK) {
        err = hf_http_conn_exchange(conn, request, &deadline, answer, why);
        hf_http_conn_close(conn);
    }
    hf_tls_client_free(client);
    return err;
}

enum hf_err hf_http_transport_call(struct hf_http_transport *t,
                                   const struct hf_api_request *request,
                                   struct hf_api_response *out, struct hf_why *why)
{
    struct hf_url url;
    struct hf_proxy proxy = {0};
    const struct hf_http_way way = {&url, &proxy, NULL, request->auth != NULL};
    struct hf_answer answer;
    struct hf_buf bytes = {0};

    HF_TRY(hf_url_parse(request->url, &url, why));
    if (!url.is_https)
        return hf_fail(why, HF_E_ARGUMENT, "%.300s: expected https", request->url);
    hf_answer_init(&answer, HF_ANSWER_TO_API, HF_ANSWER_BYTES_MAX);
    enum hf_err err = hf_proxy_pick(&url, env_lookup, &proxy, why);
    if (err == HF_OK)
        err = hf_http_request_api(&url, request->method, request->json, &bytes, why);
    if (err == HF_OK)
        err = call_over(t, &way, request->auth, hf_buf_bytes(&bytes), &answer, why);
    if (err == HF_OK) {
        *out = (struct hf_api_response){answer.status, answer.body, answer.retry_after_s,
                                        answer.is_problem};
        answer.body = (struct hf_buf){0};
    } else {
        (void)hf_fail_context(why, "%s %.300s", request->method, request->url);
    }
    if (bytes.data != NULL)
        sodium_memzero(bytes.data, bytes.len); /* a token may be in it */
    hf_buf_free(&bytes);
    hf_answer_free(&answer);
    return err;
}

/* ---- the port -------------------------------------------------------------------------------- */

static void describe_way(const struct get *get, char out[HF_RESPONSE_WAY_MAX])
{
    char host[HF_ENDPOINT_TEXT];
    int len = 0;

    if (get->proxy.is_used) {
        hf_endpoint_format(&get->proxy.peer, host);
        len = snprintf(out, HF_RESPONSE_WAY_MAX, ", proxy %.70s", host);
    }
    if (get->n_redirects > 0) {
        hf_endpoint_format(&get->url.peer, host);
        (void)snprintf(out + len, HF_RESPONSE_WAY_MAX - (size_t)len, ", redirected to %.70s", host);
    }
}

static enum hf_err fetch(void *ctx, const struct hf_request *request, struct hf_response *out,
                         struct hf_why *why)
{
    struct hf_http_transport *t = ctx;
    struct get get = {.request = request};

    t->asks_for_rotation = false;
    HF_TRY(hf_url_parse(request->url, &get.asked, why));
    HF_TRY(follow_identity(t, why));
    get.url = get.asked;
    get.deadline = hf_deadline_start(t->timeouts.total_ms, t->timeouts.idle_ms);
    enum hf_err err = get_following(t, &get, why);
    if (err == HF_OK) {
        *out = (struct hf_response){.status = get.answer.status, .body = get.answer.body};
        get.answer.body = (struct hf_buf){0};
        (void)snprintf(out->tls, sizeof out->tls, "%s", get.tls_version);
        describe_way(&get, out->way);
        if (out->status == 200 && is_at_origin(&get))
            memcpy(out->etag, get.answer.etag, sizeof out->etag);
    } else {
        /* The URL that was asked for. One that the answer named is the server's text, of which
         * nothing is quoted but a host that the configuration names too. */
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

static enum hf_err sign(const struct hf_http_transport *t, const struct hf_url *url,
                        const struct hf_post *post, struct hf_report_headers *out,
                        struct hf_why *why)
{
    char host[HF_ENDPOINT_TEXT], path[HF_URL_MAX + 1];
    const struct hf_report_message message = {"POST", host, path, HF_REPORT_CONTENT_TYPE,
                                              post->body};

    hf_url_host_header(url, host);
    (void)snprintf(path, sizeof path, "%.*s", (int)strcspn(url->target, "?"), url->target);
    return hf_report_sign(&message, post->created_s, t->report_seed, out, why);
}

static enum hf_err post_over(struct hf_http_transport *t, struct get *get,
                             const struct hf_post *post, struct hf_why *why)
{
    struct hf_report_headers signature;
    struct hf_buf bytes = {0};

    HF_TRY(hf_proxy_pick(&get->url, env_lookup, &get->proxy, why));
    enum hf_err err = t->signs_reports ? sign(t, &get->url, post, &signature, why) : HF_OK;
    if (err == HF_OK)
        err = hf_http_request_post(&get->url, &get->proxy, post->body,
                                   t->signs_reports ? &signature : NULL, &bytes, why);
    if (err == HF_OK)
        err = exchange(t, get, hf_buf_bytes(&bytes), why);
    hf_buf_free(&bytes);
    return err;
}

static enum hf_err post(void *ctx, const struct hf_post *post, struct hf_post_answer *out,
                        struct hf_why *why)
{
    struct hf_http_transport *t = ctx;
    const struct hf_request request = {.url = post->url, .max_bytes = post->max_bytes};
    struct get get = {.request = &request,
                      .kind = HF_ANSWER_TO_API,
                      .needs_new_connection = post->needs_new_connection};
    int total_ms = post->timeout_ms < t->timeouts.total_ms ? post->timeout_ms
                                                           : t->timeouts.total_ms;

    HF_TRY(hf_url_parse(request.url, &get.asked, why));
    HF_TRY(follow_identity(t, why));
    get.url = get.asked;
    get.deadline = hf_deadline_start(total_ms, t->timeouts.idle_ms);
    enum hf_err err = post_over(t, &get, post, why);
    if (err == HF_OK) {
        *out = (struct hf_post_answer){get.answer.status, get.answer.body,
                                       get.answer.retry_after_s};
        get.answer.body = (struct hf_buf){0};
    } else {
        (void)hf_fail_context(why, "POST %.300s", post->url);
    }
    hf_answer_free(&get.answer);
    return err;
}

void hf_http_transport_sign_reports(struct hf_http_transport *transport,
                                    const uint8_t seed[HF_REPORT_KEY_LEN])
{
    transport->signs_reports = seed != NULL;
    if (seed != NULL)
        memcpy(transport->report_seed, seed, sizeof transport->report_seed);
    else
        sodium_memzero(transport->report_seed, sizeof transport->report_seed);
}

static bool has_anchor(void *ctx)
{
    const struct hf_http_transport *t = ctx;

    return t->server_ca != NULL && hf_trust_store_has_usable(t->server_ca);
}

struct hf_transport_port hf_http_transport_port(struct hf_http_transport *transport)
{
    return (struct hf_transport_port){.ctx = transport,
                                      .fetch = fetch,
                                      .has_anchor = has_anchor,
                                      .post = post};
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
    t->store = store;
    t->has_legacy_ciphers = has_legacy_ciphers;
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
    sodium_memzero(transport->report_seed, sizeof transport->report_seed);
    hf_tls_client_free(transport->identified);
    hf_shown_identity_free(transport->identity);
    hf_tls_client_free(transport->tls);
    hf_tls_client_free(transport->unvalidated);
    hf_trust_store_free(transport->server_ca);
    free(transport);
}
