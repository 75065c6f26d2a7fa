#include "client/port/posix/probe.h"

#include "client/port/posix/tls_io.h"

#include <string.h>
#include <unistd.h>

/* One handshake in progress. */
struct session {
    mbedtls_ssl_config config;
    mbedtls_ssl_context ssl;
    struct hf_tls_wire wire;
    struct hf_chain chain;
    struct hf_why failure; /* of taking the chain down */
};

static int no_anchors(void *ctx, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    (void)ctx;
    (void)child;
    *out = NULL;
    return 0;
}

/** The verify callback; at depth 0 `crt` is the list of all that the server sent. */
static int take_down(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct session *s = ctx;

    (void)flags;
    for (; depth == 0 && crt != NULL; crt = crt->next)
        if (hf_chain_add(&s->chain, (struct hf_bytes){crt->raw.p, crt->raw.len}, &s->failure) !=
            HF_OK)
            return MBEDTLS_ERR_X509_FATAL_ERROR;
    return 0;
}

/**
 * A handshake that ended proves the key. In TLS 1.2 with an ephemeral exchange so does the signed
 * ServerKeyExchange, and what comes after it is about the client's certificate.
 */
static bool has_proved_key(mbedtls_ssl_context *ssl)
{
    const char *suite = hf_tls_io_cipher_suite(ssl);

    if (mbedtls_ssl_is_handshake_over(ssl))
        return true;
    return mbedtls_ssl_get_version_number(ssl) == MBEDTLS_SSL_VERSION_TLS1_2 &&
           (strncmp(suite, "TLS-ECDHE-", 10) == 0 || strncmp(suite, "TLS-DHE-", 8) == 0) &&
           ssl->MBEDTLS_PRIVATE(state) > MBEDTLS_SSL_SERVER_KEY_EXCHANGE;
}

static enum hf_err set_up(struct session *s, const struct hf_probe_request *request,
                          struct hf_why *why)
{
    HF_TRY(hf_tls_io_client_config(&s->config, false, why));
    mbedtls_ssl_conf_authmode(&s->config, MBEDTLS_SSL_VERIFY_OPTIONAL);
    mbedtls_ssl_conf_ca_cb(&s->config, no_anchors, NULL);
    if (request->is_tls12_only)
        mbedtls_ssl_conf_max_tls_version(&s->config, MBEDTLS_SSL_VERSION_TLS1_2);
    HF_TRY(hf_tls_io_setup(&s->ssl, &s->config, &s->wire,
                           request->server != NULL ? request->server : &request->peer, why));
    mbedtls_ssl_set_verify(&s->ssl, take_down, s);
    return HF_OK;
}

static enum hf_err shake_hands(struct session *s, struct hf_probe_result *out, struct hf_why *why)
{
    struct hf_why end = {0};
    enum hf_err err = hf_tls_io_handshake(&s->ssl, &s->wire, &end);

    if (s->failure.code != HF_OK)
        return hf_fail(why, s->failure.code, "%s", s->failure.text);
    if (!has_proved_key(&s->ssl))
        return hf_fail(why, err, "TLS handshake: %s", end.text);
    s->chain.key_usage = hf_tls_io_key_usage(&s->ssl);
    *out = (struct hf_probe_result){.chain = s->chain,
                                    .tls_version = mbedtls_ssl_get_version(&s->ssl),
                                    .cipher_suite = hf_tls_io_cipher_suite(&s->ssl)};
    memcpy(out->ending, end.text, sizeof out->ending);
    s->chain = (struct hf_chain){0};
    return HF_OK;
}

enum hf_err hf_probe(const struct hf_probe_request *request, struct hf_probe_result *out,
                     struct hf_why *why)
{
    struct session s = {.wire.fd = -1};
    struct hf_deadline total = hf_deadline_start(request->timeouts.total_ms,
                                                 request->timeouts.idle_ms);
    enum hf_err err;

    s.wire.deadline = hf_deadline_within(&total, request->timeouts.connect_ms);
    mbedtls_ssl_init(&s.ssl);
    mbedtls_ssl_config_init(&s.config);
    err = hf_net_connect(&request->peer, &s.wire.deadline, &s.wire.fd, why);
    if (err == HF_OK)
        err = set_up(&s, request, why);
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
