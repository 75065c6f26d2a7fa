#include "client/port/posix/probe.h"

#include "common/os/tls_io.h"
#include "common/tls/handshake.h"

#include <unistd.h>

/* ---- a client that has a certificate ------------------------------------------------------------ */

struct showing {
    const struct hf_probe_client *client;
    const struct hf_endpoint *server; /* who it should be */
};

/** Whom to believe, and what to show him. */
static enum hf_err configure(void *ctx, mbedtls_ssl_config *config, struct hf_why *why)
{
    const struct showing *showing = ctx;
    struct hf_client_auth *auth = showing->client->auth;

    HF_TRY(hf_trust_store_bind(showing->client->store, config, why));
    int code = auth == NULL ? 0 : mbedtls_ssl_conf_own_cert(config, &auth->chain, &auth->key);
    return code == 0 ? HF_OK : hf_handshake_fail(code, why);
}

static int verify(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    const struct showing *showing = ctx;
    int code = hf_trust_store_verify(showing->client->store, crt, depth, flags);

    /* Mbed TLS was told no name where the host is an address, so that none goes out as SNI. */
    if (depth == 0 && hf_endpoint_is_address(showing->server) &&
        !hf_verify_has_address(crt, showing->server->host))
        *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    return code;
}

enum hf_err hf_probe_check_client(const struct hf_probe_client *client, struct hf_why *why)
{
    struct showing showing = {.client = client};
    mbedtls_ssl_config config;

    enum hf_err err = hf_handshake_config(&config, why);
    if (err == HF_OK)
        err = configure(&showing, &config, why);
    if (err == HF_OK)
        err = hf_trust_store_check_config(client->store, &config, why);
    mbedtls_ssl_config_free(&config);
    return err;
}

/* ---- the look ----------------------------------------------------------------------------------- */

enum hf_err hf_probe(const struct hf_probe_request *request, struct hf_tls_look_result *out,
                     struct hf_why *why)
{
    const struct hf_endpoint *server = request->server != NULL ? request->server : &request->peer;
    struct showing showing = {request->client, server};
    const struct hf_tls_look_client client = {&showing, configure, verify};
    const struct hf_tls_look_request look = {.server = server,
                                             .offer = request->offer,
                                             .alpn = request->alpn,
                                             .client = request->client != NULL ? &client : NULL};
    struct hf_deadline total = hf_deadline_start(request->timeouts.total_ms,
                                                 request->timeouts.idle_ms);
    struct hf_tls_wire wire = {-1, hf_deadline_within(&total, request->timeouts.connect_ms)};
    const struct hf_tls_carrier carrier = hf_tls_io_carrier(&wire);

    HF_TRY(hf_net_connect(&request->peer, NULL, &wire.deadline, &wire.fd, why));
    enum hf_err err = hf_tls_look(&look, &carrier, out, why);
    (void)close(wire.fd);
    return err;
}
