#include "client/port/posix/probe.h"

#include "client/port/posix/tls_io.h"

#include <string.h>
#include <unistd.h>

/* One handshake in progress. */
struct session {
    const struct hf_probe_request *request;
    const struct hf_endpoint *server; /* who it should be */
    const char *alpn[2];              /* as Mbed TLS wants it, and keeps */
    mbedtls_ssl_config config;
    mbedtls_ssl_context ssl;
    struct hf_tls_wire wire;
    struct hf_chain chain;
    struct hf_why failure; /* of taking the chain down */
    bool is_refused;       /* by the client's store */
};

static int no_anchors(void *ctx, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    (void)ctx;
    (void)child;
    *out = NULL;
    return 0;
}

static int take_down(struct session *s, const mbedtls_x509_crt *sent)
{
    for (; sent != NULL; sent = sent->next)
        if (hf_chain_add(&s->chain, (struct hf_bytes){sent->raw.p, sent->raw.len}, &s->failure) !=
            HF_OK)
            return MBEDTLS_ERR_X509_FATAL_ERROR;
    return 0;
}

/* Verify callbacks; at depth 0 `crt` is the list of all that the server sent. */

static int judge_nothing(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    (void)flags;
    return depth == 0 ? take_down(ctx, crt) : 0;
}

static int judge(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct session *s = ctx;
    int code = hf_trust_store_verify(s->request->client->store, crt, depth, flags);

    /* Mbed TLS was told no name where the host is an address, so that none goes out as SNI. */
    if (depth == 0 && hf_endpoint_is_address(s->server) &&
        !hf_verify_has_address(crt, s->server->host))
        *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    s->is_refused = s->is_refused || code != 0 || *flags != 0;
    return code == 0 && depth == 0 ? take_down(s, crt) : code;
}

/** In TLS 1.2 with an ephemeral exchange the ServerKeyExchange is signed. */
static bool has_proved_key_12(const mbedtls_ssl_context *ssl)
{
    const char *suite = hf_tls_io_cipher_suite(ssl);

    return (strncmp(suite, "TLS-ECDHE-", 10) == 0 || strncmp(suite, "TLS-DHE-", 8) == 0) &&
           ssl->MBEDTLS_PRIVATE(state) > MBEDTLS_SSL_SERVER_KEY_EXCHANGE;
}

/** In TLS 1.3 the server's Finished comes behind its signature, and before anything of the client's. */
static bool has_proved_key_13(const mbedtls_ssl_context *ssl)
{
    switch (ssl->MBEDTLS_PRIVATE(state)) {
    case MBEDTLS_SSL_CLIENT_CCS_AFTER_SERVER_FINISHED:
    case MBEDTLS_SSL_CLIENT_CERTIFICATE:
    case MBEDTLS_SSL_CLIENT_CERTIFICATE_VERIFY:
    case MBEDTLS_SSL_CLIENT_FINISHED:
    case MBEDTLS_SSL_FLUSH_BUFFERS:
    case MBEDTLS_SSL_HANDSHAKE_WRAPUP:
        return true;
    default:
        return false;
    }
}

/** A handshake that ended proves the server's key, and so does one that ended only over the client's
 *  certificate, or the lack of it. */
static bool has_proved_key(mbedtls_ssl_context *ssl)
{
    if (mbedtls_ssl_is_handshake_over(ssl))
        return true;
    return mbedtls_ssl_get_version_number(ssl) == MBEDTLS_SSL_VERSION_TLS1_2
               ? has_proved_key_12(ssl)
               : has_proved_key_13(ssl);
}

/** What TLS 1.2 signs on the way says nothing of the certificates; only its Finished does. */
static bool has_proved_chain(mbedtls_ssl_context *ssl)
{
    return mbedtls_ssl_is_handshake_over(ssl) ||
           mbedtls_ssl_get_version_number(ssl) == MBEDTLS_SSL_VERSION_TLS1_3;
}

/** Whom to believe, and what to show him. */
static enum hf_err configure(mbedtls_ssl_config *config, const struct hf_probe_client *client,
                             struct hf_why *why)
{
    int code = 0;

    HF_TRY(hf_tls_io_client_config(config, false, why));
    if (client == NULL) {
        mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_OPTIONAL);
        mbedtls_ssl_conf_ca_cb(config, no_anchors, NULL);
        return HF_OK;
    }
    HF_TRY(hf_trust_store_bind(client->store, config, why));
    if (client->auth != NULL)
        code = mbedtls_ssl_conf_own_cert(config, &client->auth->chain, &client->auth->key);
    return code == 0 ? HF_OK : hf_tls_io_fail(code, why);
}

static enum hf_err set_up(struct session *s, struct hf_why *why)
{
    const struct hf_probe_request *request = s->request;
    int code = 0;

    HF_TRY(configure(&s->config, request->client, why));
    hf_tls_offer_set(&s->config, request->offer);
    s->alpn[0] = request->alpn;
    if (request->alpn != NULL)
        code = mbedtls_ssl_conf_alpn_protocols(&s->config, s->alpn);
    if (code != 0)
        return hf_tls_io_fail(code, why);
    HF_TRY(hf_tls_io_setup(&s->ssl, &s->config, &s->wire, s->server, why));
    mbedtls_ssl_set_verify(&s->ssl, request->client != NULL ? judge : judge_nothing, s);
    return HF_OK;
}

static enum hf_err shake_hands(struct session *s, struct hf_probe_result *out, struct hf_why *why)
{
    struct hf_why end = {0};
    enum hf_err err = hf_tls_io_handshake(&s->ssl, &s->wire, &end);

    if (s->failure.code != HF_OK)
        return hf_fail(why, s->failure.code, "%s", s->failure.text);
    if (s->is_refused)
        return hf_fail(why, HF_E_UNTRUSTED,
                       "the server's chain is not valid, so it is shown no certificate");
    if (!has_proved_key(&s->ssl))
        return hf_fail(why, err, "TLS handshake: %s", end.text);
    s->chain.key_usage = hf_tls_io_key_usage(&s->ssl);
    *out = (struct hf_probe_result){.chain = s->chain,
                                    .tls_version = mbedtls_ssl_get_version(&s->ssl),
                                    .cipher_suite = hf_tls_io_cipher_suite(&s->ssl),
                                    .has_chain_proof = has_proved_chain(&s->ssl)};
    memcpy(out->ending, end.text, sizeof out->ending);
    s->chain = (struct hf_chain){0};
    return HF_OK;
}

enum hf_err hf_probe(const struct hf_probe_request *request, struct hf_probe_result *out,
                     struct hf_why *why)
{
    struct session s = {.request = request,
                        .server = request->server != NULL ? request->server : &request->peer,
                        .wire.fd = -1};
    struct hf_deadline total = hf_deadline_start(request->timeouts.total_ms,
                                                 request->timeouts.idle_ms);
    enum hf_err err;

    s.wire.deadline = hf_deadline_within(&total, request->timeouts.connect_ms);
    mbedtls_ssl_init(&s.ssl);
    mbedtls_ssl_config_init(&s.config);
    err = hf_net_connect(&request->peer, &s.wire.deadline, &s.wire.fd, why);
    if (err == HF_OK)
        err = set_up(&s, why);
    if (err == HF_OK)
        err = shake_hands(&s, out, why);
    if (s.wire.fd >= 0) {
        (void)mbedtls_ssl_close_notify(&s.ssl);
        (void)close(s.wire.fd);
    }
    mbedtls_ssl_free(&s.ssl);
    mbedtls_ssl_config_free(&s.config);
    hf_chain_free(&s.chain);
    return err;
}

enum hf_err hf_probe_check_client(const struct hf_probe_client *client, struct hf_why *why)
{
    mbedtls_ssl_config config;

    enum hf_err err = configure(&config, client, why);
    if (err == HF_OK)
        err = hf_trust_store_check_config(client->store, &config, why);
    mbedtls_ssl_config_free(&config);
    return err;
}
