#include "common/tls/tls_probe.h"

#include "common/bundle/certificate.h"
#include "common/tls/handshake.h"

#include <string.h>

/* One handshake in progress. */
struct session {
    const struct hf_tls_probe_request *request;
    const struct hf_tls_transport *transport;
    const char *alpn[2]; /* as Mbed TLS wants it, and keeps */
    mbedtls_ssl_config config;
    mbedtls_ssl_context ssl;
    struct hf_chain chain;
    struct hf_why failure; /* of taking the chain down */
    bool is_refused;       /* by the client */
    bool is_unusable;      /* a certificate cannot be read, or is not supported */
};

static int no_anchors(void *ctx, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    (void)ctx;
    (void)child;
    *out = hf_x509_new();
    return 0;
}

/* A verify callback; at depth 0 `crt` is the list of all that the server sent, which is taken
 * down. */
static int verify(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct session *s = ctx;
    const struct hf_tls_probe_client *client = s->request->client;

    if (client != NULL) {
        int code = client->verify(client->ctx, crt, depth, flags);
        s->is_refused = s->is_refused || code != 0 || *flags != 0;
        if (code != 0)
            return code;
    }
    if (depth != 0)
        return 0;
    if (!hf_handshake_has_leaf(&s->ssl, crt)) {
        s->is_unusable = hf_handshake_name_certificate(&s->ssl, &s->failure);
        return MBEDTLS_ERR_X509_FATAL_ERROR;
    }
    for (const mbedtls_x509_crt *sent = crt; sent != NULL; sent = sent->next)
        if (hf_chain_add(&s->chain, (struct hf_bytes){sent->raw.p, sent->raw.len}, &s->failure) !=
            HF_OK)
            return MBEDTLS_ERR_X509_FATAL_ERROR;
    return 0;
}

static enum hf_err set_up(struct session *s, struct hf_why *why)
{
    const struct hf_tls_probe_request *request = s->request;
    const struct hf_tls_probe_client *client = request->client;
    int code = 0;

    HF_TRY(hf_handshake_config(&s->config, why));
    if (client != NULL) {
        HF_TRY(client->configure(client->ctx, &s->config, why));
    } else {
        mbedtls_ssl_conf_authmode(&s->config, MBEDTLS_SSL_VERIFY_OPTIONAL);
        mbedtls_ssl_conf_ca_cb(&s->config, no_anchors, NULL);
    }
    hf_tls_offer_set(&s->config, request->offer);
    s->alpn[0] = request->alpn;
    if (request->alpn != NULL)
        code = mbedtls_ssl_conf_alpn_protocols(&s->config, s->alpn);
    if (code != 0)
        return hf_handshake_fail(code, why);
    HF_TRY(hf_handshake_setup(&s->ssl, &s->config, request->server, why));
    mbedtls_ssl_set_bio(&s->ssl, s->transport->ctx, s->transport->send, s->transport->receive,
                        NULL);
    mbedtls_ssl_set_verify(&s->ssl, verify, s);
    return HF_OK;
}

static enum hf_err shake_hands(struct session *s, struct hf_tls_probe_result *out,
                               struct hf_why *why)
{
    enum hf_err err = HF_OK;
    struct hf_why end = {0};
    int code;

    while (err == HF_OK && (code = mbedtls_ssl_handshake(&s->ssl)) != 0) {
        err = s->transport->wait(s->transport->ctx, code, &end);
        if (err == HF_E_TLS)
            s->is_unusable = s->is_unusable || hf_handshake_name_certificate(&s->ssl, &end);
    }
    out->is_unusable = s->is_unusable;
    if (s->failure.code != HF_OK)
        return hf_fail(why, s->failure.code, "%s", s->failure.text);
    if (s->is_refused)
        return hf_fail(why, HF_E_UNTRUSTED,
                       "the server's chain is not valid, so it is shown no certificate");
    if (!hf_handshake_has_proved_key(&s->ssl))
        return hf_fail(why, err, "TLS handshake: %s", end.text);
    s->chain.key_usage = hf_handshake_key_usage(&s->ssl);
    *out = (struct hf_tls_probe_result){.chain = s->chain,
                                        .tls_version = mbedtls_ssl_get_version(&s->ssl),
                                        .cipher_suite = hf_handshake_cipher_suite(&s->ssl),
                                        .has_chain_proof = hf_handshake_has_proved_chain(&s->ssl)};
    memcpy(out->ending, end.text, sizeof out->ending);
    s->chain = (struct hf_chain){0};
    return HF_OK;
}

enum hf_err hf_tls_probe(const struct hf_tls_probe_request *request,
                         const struct hf_tls_transport *transport, struct hf_tls_probe_result *out,
                         struct hf_why *why)
{
    struct session s = {.request = request, .transport = transport};

    mbedtls_ssl_init(&s.ssl);
    mbedtls_ssl_config_init(&s.config);
    enum hf_err err = set_up(&s, why);
    if (err == HF_OK)
        err = shake_hands(&s, out, why);
    (void)mbedtls_ssl_close_notify(&s.ssl); /* where there is a session */
    mbedtls_ssl_free(&s.ssl);
    mbedtls_ssl_config_free(&s.config);
    hf_chain_free(&s.chain);
    return err;
}
