#include "client/port/posix/endpoint_probe.h"

#include "client/port/mbedtls/trust_store_internal.h"

#include "common/base/limits.h"
#include "common/os/clock.h"
#include "common/os/tls_io.h"
#include "common/tls/endpoint_url.h"
#include "common/tls/handshake.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- one handshake --------------------------------------------------------------------------- */

struct showing {
    const struct hf_probe_client *client;
    const struct hf_endpoint *server; /* who it should be */
};

/** The anchors to trust, and the client certificate to show. */
static enum hf_err configure(void *ctx, mbedtls_ssl_config *config, struct hf_why *why)
{
    const struct showing *showing = ctx;
    struct hf_client_auth *auth = showing->client->auth;

    HF_TRY(hf_trust_store_bind(showing->client->store, config, why));
    return auth == NULL ? HF_OK : hf_client_auth_show(auth, config, why);
}

static int verify(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    const struct showing *showing = ctx;
    int code = hf_trust_store_verify(showing->client->store, crt, depth, flags);
    struct hf_certificate cert;

    /* Mbed TLS was told no name where the host is an address, so that none goes out as SNI. */
    if (depth == 0 &&
        (!hf_certificate_parse((struct hf_bytes){crt->raw.p, crt->raw.len}, &cert) ||
         !hf_certificate_is_for(&cert, showing->server->host, hf_common_names_are_accepted())))
        *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    return code;
}

enum hf_err hf_probe(const struct hf_probe_request *request, struct hf_tls_probe_result *out,
                     struct hf_why *why)
{
    const struct hf_endpoint *server = request->server != NULL ? request->server : &request->peer;
    struct showing showing = {request->client, server};
    const struct hf_tls_probe_client client = {&showing, configure, verify};
    const struct hf_tls_probe_request probe = {.server = server,
                                               .offer = request->offer,
                                               .alpn = request->alpn,
                                               .client = request->client != NULL ? &client : NULL};
    struct hf_deadline total = hf_deadline_start(request->timeouts.total_ms,
                                                 request->timeouts.idle_ms);
    struct hf_tls_socket socket = {-1, hf_deadline_within(&total, request->timeouts.connect_ms)};
    const struct hf_tls_transport transport = hf_tls_io_transport(&socket);

    HF_TRY(hf_net_connect(&request->peer, NULL, &socket.deadline, &socket.fd, why));
    enum hf_err err = hf_tls_probe(&probe, &transport, out, why);
    (void)close(socket.fd);
    return err;
}

/* ---- the endpoint port ----------------------------------------------------------------------- */

struct server {
    struct hf_endpoint peer;
    char name[HF_ENDPOINT_URL_TEXT];
    char alpn[HF_ALPN_MAX + 1]; /* empty for none */
};

struct hf_endpoint_probe {
    struct server servers[HF_ENDPOINTS_MAX];
    size_t n_servers;
    char *cert_file; /* NULL for none */
    char *key_file;
    const struct hf_device_key *const *key; /* *key: that of the port, or NULL */
    struct hf_log_port log;
    struct hf_trust_store *store; /* of the anchors of a probe */
    bool is_proved;               /* verification is on */
    bool has_legacy_ciphers;      /* offered, too */
    bool has_warned;              /* of a client certificate that cannot be used */
};

static void warn(const struct hf_endpoint_probe *p, const struct hf_why *why)
{
    if (p->log.write != NULL)
        p->log.write(p->log.ctx, HF_LEVEL_WARNING, why->text);
}

/* Without it the evidence is the same: a probe must not fail for it. */
static bool load_auth(struct hf_endpoint_probe *p, struct hf_client_auth *out)
{
    struct hf_why why = {0};

    if (p->cert_file == NULL)
        return false;
    const struct hf_client_auth_source source = {p->cert_file, p->key_file,
                                                 p->key != NULL ? *p->key : NULL};
    enum hf_err err = hf_client_auth_load(&source, out, &why);
    if (err != HF_OK && !p->has_warned) {
        (void)hf_fail_context(&why, "the endpoints are shown no client certificate");
        warn(p, &why);
    }
    p->has_warned = err != HF_OK;
    return err == HF_OK;
}

/* Once, by handshakes in memory with the very configuration that would show a certificate: a probe
 * ends at a chain that is not valid. */
static enum hf_err prove_verification(struct hf_endpoint_probe *p, struct hf_client_auth *auth,
                                      struct hf_why *why)
{
    const struct hf_probe_client client = {p->store, auth};
    struct showing showing = {.client = &client};
    mbedtls_ssl_config config;

    if (p->is_proved)
        return HF_OK;
    enum hf_err err = hf_handshake_config(&config, why);
    if (err == HF_OK)
        err = configure(&showing, &config, why);
    if (err == HF_OK)
        err = hf_trust_store_check_config(p->store, &config, why);
    mbedtls_ssl_config_free(&config);
    p->is_proved = err == HF_OK;
    return err;
}

/* The store becomes the anchors of all sets together: the chain that would be lost must be proved
 * as well as the one that is kept. What the publisher revokes is in none of these. */
static enum hf_err fill_with_all(struct hf_endpoint_probe *p, const struct hf_anchor_set *sets,
                                 size_t n_sets, struct hf_why *why)
{
    size_t n = 0;

    for (size_t i = 0; i < n_sets; i++)
        n += sets[i].n_anchors;
    struct hf_trust_anchor *all = calloc(n + 1, sizeof *all);
    if (all == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the trust anchors of a probe");
    n = 0;
    for (size_t i = 0; i < n_sets; i++) {
        for (size_t k = 0; k < sets[i].n_anchors && !sets[i].is_judged_only; k++)
            all[n++] = sets[i].anchors[k];
    }
    enum hf_err err = hf_trust_store_swap(p->store, all, n, why);
    free(all);
    return err;
}

struct hf_tls_offer hf_probe_offer(enum hf_offer offer, bool has_legacy_ciphers)
{
    static const struct hf_tls_offer offers[] = {
        [HF_OFFER_TLS13_RSA] = {HF_TLS_13, HF_TLS_KEYS_RSA, false},
        [HF_OFFER_TLS13_ECC] = {HF_TLS_13, HF_TLS_KEYS_ECC, false},
        [HF_OFFER_TLS13_ANY] = {HF_TLS_13, HF_TLS_KEYS_ANY, false},
        [HF_OFFER_TLS12_RSA] = {HF_TLS_12, HF_TLS_KEYS_RSA, false},
        [HF_OFFER_TLS12_ECC] = {HF_TLS_12, HF_TLS_KEYS_ECC, false},
        [HF_OFFER_TLS12_ANY] = {HF_TLS_12, HF_TLS_KEYS_ANY, false},
    };
    struct hf_tls_offer out = offers[offer];

    out.has_legacy_ciphers = has_legacy_ciphers;
    return out;
}

/* With a certificate the handshake may end at the server's chain, or over the certificate itself,
 * before the server has proved anything; then once more without. Both together have the time of
 * one. */
static enum hf_err shake_hands(const struct server *server, struct hf_tls_offer offer,
                               const struct hf_probe_client *client,
                               struct hf_tls_probe_result *out, struct hf_why *why)
{
    const int64_t end_ms = hf_monotonic_ms() + HF_TIMEOUT_PROBE_MS;
    struct hf_probe_request request = {
        .peer = server->peer,
        .offer = offer,
        .alpn = server->alpn[0] != '\0' ? server->alpn : NULL,
        .client = client,
        .timeouts = {HF_TIMEOUT_PROBE_MS, HF_TIMEOUT_PROBE_MS, HF_TIMEOUT_PROBE_MS},
    };

    if (client != NULL) {
        enum hf_err err = hf_probe(&request, out, why);
        int left_ms = (int)(end_ms - hf_monotonic_ms());
        if ((err != HF_E_UNTRUSTED && err != HF_E_TLS) || left_ms <= 0)
            return err;
        request.client = NULL;
        request.timeouts = (struct hf_timeouts){left_ms, left_ms, left_ms};
    }
    return hf_probe(&request, out, why);
}

static const char *name(void *ctx, size_t endpoint)
{
    const struct hf_endpoint_probe *p = ctx;

    return p->servers[endpoint].name;
}

static enum hf_err probe(void *ctx, size_t endpoint, enum hf_offer offer,
                         const struct hf_anchor_set *sets, size_t n_sets, bool *is_valid,
                         struct hf_chain_observation *out, struct hf_why *why)
{
    struct hf_endpoint_probe *p = ctx;
    const struct server *server = &p->servers[endpoint];
    const struct hf_tls_offer tls_offer = hf_probe_offer(offer, p->has_legacy_ciphers);
    struct hf_tls_probe_result seen = {0};
    struct hf_client_auth auth;
    const struct hf_probe_client client = {p->store, &auth};
    struct hf_why silence = {0};

    bool has_auth = load_auth(p, &auth);
    bool is_shown = has_auth && n_sets > 0;
    enum hf_err err = prove_verification(p, has_auth ? &auth : NULL, why);
    if (err == HF_OK && is_shown)
        err = fill_with_all(p, sets, n_sets, why);
    enum hf_err answered = HF_E_STATE;
    if (err == HF_OK)
        answered = shake_hands(server, tls_offer, is_shown ? &client : NULL, &seen, &silence);
    if (has_auth)
        hf_client_auth_free(&auth);
    HF_TRY(err);
    for (size_t i = 0; i < n_sets; i++)
        is_valid[i] = false;
    if (answered != HF_OK) {
        *out = (struct hf_chain_observation){0};
        memcpy(out->text, silence.text, sizeof out->text);
        return HF_OK;
    }
    err = hf_chain_observe(&seen.chain, server->peer.host, sets, n_sets, is_valid, out, why);
    hf_chain_free(&seen.chain);
    if (err == HF_OK)
        out->has_chain_proof = out->has_proof && seen.has_chain_proof;
    return err;
}

struct hf_endpoint_port hf_endpoint_probe_port(struct hf_endpoint_probe *p)
{
    if (p->n_servers == 0)
        return (struct hf_endpoint_port){0};
    return (struct hf_endpoint_port){p, p->n_servers, name, probe};
}

static enum hf_err fill_server(struct server *server, const struct hf_posix_endpoint *endpoint,
                               struct hf_why *why)
{
    struct hf_endpoint_url url;

    HF_TRY(hf_endpoint_url_parse(endpoint->url, &url, why));
    const char *alpn = endpoint->alpn != NULL ? endpoint->alpn : hf_endpoint_url_default_alpn(&url);
    if (alpn != NULL) {
        HF_TRY(hf_alpn_check(alpn, why));
        memcpy(server->alpn, alpn, strlen(alpn) + 1);
    }
    hf_endpoint_url_format(&url, server->name);
    server->peer = url.peer;
    return HF_OK;
}

enum hf_err hf_endpoint_probe_new(const struct hf_posix_config *config,
                                  const struct hf_device_key *const *key, struct hf_log_port log,
                                  struct hf_endpoint_probe **out, struct hf_why *why)
{
    if (config->n_endpoints > HF_ENDPOINTS_MAX)
        return hf_fail(why, HF_E_ARGUMENT, "at most %d endpoints are expected, found %zu",
                       HF_ENDPOINTS_MAX, config->n_endpoints);
    struct hf_endpoint_probe *p = calloc(1, sizeof *p);
    if (p == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the endpoints");
    p->log = log;
    p->key = key;
    p->has_legacy_ciphers = config->has_legacy_ciphers;
    /* They were checked before they were stored. A device whose disk has rotted goes on with the
     * rest. */
    for (size_t i = 0; i < config->n_endpoints; i++) {
        struct server *server = &p->servers[p->n_servers];
        struct hf_why reason = {0};
        if (fill_server(server, &config->endpoints[i], &reason) == HF_OK) {
            p->n_servers++;
            continue;
        }
        *server = (struct server){0};
        (void)hf_fail_context(&reason, "an endpoint is left out");
        warn(p, &reason);
    }
    enum hf_err err = hf_trust_store_new(&p->store, why);
    if (err == HF_OK && config->client_cert_file != NULL && config->client_key_file != NULL) {
        p->cert_file = strdup(config->client_cert_file);
        p->key_file = strdup(config->client_key_file);
        if (p->cert_file == NULL || p->key_file == NULL)
            err = hf_fail(why, HF_E_MEMORY, "out of memory for a path");
    }
    if (err == HF_OK)
        *out = p;
    else
        hf_endpoint_probe_free(p);
    return err;
}

void hf_endpoint_probe_free(struct hf_endpoint_probe *p)
{
    if (p == NULL)
        return;
    hf_trust_store_free(p->store);
    free(p->cert_file);
    free(p->key_file);
    free(p);
}
