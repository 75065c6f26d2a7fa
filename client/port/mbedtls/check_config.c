/* The proof that a client's configuration verifies, and verifies against this store: handshakes in
 * memory with servers that it must refuse. The verdicts are those of the handshakes. What the
 * configuration says of itself is looked at for the sentence only. */
#include "client/port/mbedtls/test_server.h"
#include "client/port/mbedtls/trust_store_internal.h"

/* For whom the test server has no certificate (RFC 2606). */
#define OTHER_HOST "other.invalid"

struct check {
    struct hf_trust_store *store;
    const mbedtls_ssl_config *config;
    struct hf_test_server server;
    mbedtls_ssl_protocol_version version; /* of the handshakes that run */
    const char *protocol;                 /* the same, for people */
    struct hf_self_test seen;             /* in the last handshake */
    struct hf_memory_handshake end;       /* of the last handshake */
};

/** One handshake in which this thread, and no other, finds `extra` in the store. */
static enum hf_err handshake(struct check *c, const struct hf_anchors *extra, const char *host,
                             struct hf_why *why)
{
    mbedtls_ssl_conf_min_tls_version(&c->server.config, c->version);
    mbedtls_ssl_conf_max_tls_version(&c->server.config, c->version);
    c->seen = (struct hf_self_test){.store = c->store, .extra = extra};
    hf_self_test_set(&c->seen);
    enum hf_err err = hf_memory_handshake(c->config, &c->server.config, host, &c->end, why);
    hf_self_test_set(NULL);
    return err;
}

/** Did the client look at the server's certificate, and find this fault? Without flags it did if it
 *  asked for anchors: a verify callback that ends the handshake itself leaves none. */
static bool is_refused_for(const struct check *c, uint32_t flag)
{
    if (c->end.code == 0)
        return false;
    return c->end.flags == HF_FLAGS_UNKNOWN ? c->seen.was_asked : (c->end.flags & flag) != 0;
}

/** Why was a server accepted whose CA is in no store? */
static const char *what_is_off(const struct check *c)
{
    int authmode = c->config->MBEDTLS_PRIVATE(authmode); /* 3.6 has no function that tells */

    if (authmode == MBEDTLS_SSL_VERIFY_NONE)
        return "the configuration has MBEDTLS_SSL_VERIFY_NONE, so no certificate is looked at; "
               "call hf_trust_store_bind and leave the authmode as it is";
    if (authmode == MBEDTLS_SSL_VERIFY_OPTIONAL)
        return "the configuration has MBEDTLS_SSL_VERIFY_OPTIONAL, so a bad certificate does not "
               "end the handshake; call hf_trust_store_bind and leave the authmode as it is";
    if (!c->seen.was_asked)
        return "its CA callback is not the trust store's and accepts every chain; call "
               "hf_trust_store_bind, and mbedtls_ssl_conf_ca_cb no more after it";
    return "its verify callback clears the faults that were found, or its CA callback adds an "
           "anchor that is not in the store; keep the flags that Mbed TLS and "
           "hf_trust_store_verify set, and offer no more than hf_trust_store_candidates does";
}

/** A server whose CA is in no store. `*is_refused` stays false where the handshake did not get as
 *  far as its certificate: then another kind of key is wanted. */
static enum hf_err meet_unknown_ca(struct check *c, bool *is_refused, struct hf_why *why)
{
    HF_TRY(handshake(c, NULL, HF_TEST_SERVER_HOST, why));
    if (c->end.code == 0)
        return hf_fail(why, HF_E_POLICY,
                       "certificates are not verified: a server was accepted (%s) whose CA was "
                       "made a moment ago and is in no store; %s",
                       c->protocol, what_is_off(c));
    *is_refused = is_refused_for(c, MBEDTLS_X509_BADCERT_NOT_TRUSTED);
    return HF_OK;
}

/** The same with servers of all kinds, until one's certificate is looked at. It stays in `c`. */
static enum hf_err meet_unknown_cas(struct check *c, struct hf_why *why)
{
    bool is_refused = false;

    if (c->server.is_made) /* for the version before, with a kind of key that is wanted */
        HF_TRY(meet_unknown_ca(c, &is_refused, why));
    for (int kind = 0; !is_refused && kind < HF_TEST_SERVER_KINDS; kind++) {
        hf_test_server_free(&c->server);
        HF_TRY(hf_test_server_make((enum hf_test_server_kind)kind, &c->server, why));
        HF_TRY(meet_unknown_ca(c, &is_refused, why));
    }
    if (is_refused)
        return HF_OK;
    return hf_fail(why, HF_E_TLS,
                   "whether certificates are verified could not be tried (%s): the handshake in "
                   "memory ended before a certificate was judged, with any kind of key (Mbed TLS "
                   "error -0x%04x, the server's -0x%04x); allow cipher suites and signature "
                   "algorithms with ECDSA or RSA certificates",
                   c->protocol, (unsigned)-c->end.code, (unsigned)-c->end.server_code);
}

/** The same server, now under a trusted CA, but with another name than the one asked for. */
static enum hf_err meet_wrong_host(struct check *c, struct hf_why *why)
{
    HF_TRY(handshake(c, c->server.anchors, OTHER_HOST, why));
    if (!c->seen.was_asked)
        return hf_fail(why, HF_E_POLICY,
                       "certificates are not verified against this trust store (%s): the "
                       "configuration never asked it for an anchor; call hf_trust_store_bind, and "
                       "neither mbedtls_ssl_conf_ca_cb nor mbedtls_ssl_conf_ca_chain after it",
                       c->protocol);
    if (!is_refused_for(c, MBEDTLS_X509_BADCERT_CN_MISMATCH))
        return hf_fail(why, HF_E_POLICY,
                       "the host name is not verified: a server that is not called %s %s (%s); the "
                       "verify callback clears MBEDTLS_X509_BADCERT_CN_MISMATCH, so keep that flag",
                       OTHER_HOST,
                       c->end.code == 0 ? "was accepted under that name"
                                        : "was refused, but not for its name",
                       c->protocol);
    if (!c->seen.was_consulted)
        return hf_fail(why, HF_E_POLICY,
                       "distrust dates are not enforced (%s): the verify callback is not the trust "
                       "store's; call hf_trust_store_verify in yours and keep the flags it adds",
                       c->protocol);
    return HF_OK;
}

enum hf_err hf_trust_store_check_config_checked(struct hf_trust_store *store,
                                                const mbedtls_ssl_config *config,
                                                struct hf_trust_store_abi abi, struct hf_why *why)
{
    static const struct {
        mbedtls_ssl_protocol_version version;
        const char *protocol;
    } versions[] = {{MBEDTLS_SSL_VERSION_TLS1_3, "TLS 1.3"},
                    {MBEDTLS_SSL_VERSION_TLS1_2, "TLS 1.2"}};
    struct check c = {.store = store, .config = config};
    enum hf_err err = HF_OK;

    HF_TRY(hf_abi_check(abi, why));
    /* 3.6 has no functions that tell the members of a configuration. */
    if (mbedtls_ssl_conf_get_endpoint(config) != MBEDTLS_SSL_IS_CLIENT ||
        config->MBEDTLS_PRIVATE(transport) != MBEDTLS_SSL_TRANSPORT_STREAM)
        return hf_fail(why, HF_E_ARGUMENT,
                       "only the TLS configuration of a client over a stream can be checked; this "
                       "one is a server's, or for DTLS");
    for (size_t i = 0; err == HF_OK && i < sizeof versions / sizeof versions[0]; i++) {
        if (versions[i].version < config->MBEDTLS_PRIVATE(min_tls_version) ||
            versions[i].version > config->MBEDTLS_PRIVATE(max_tls_version))
            continue; /* nothing to check in a version that the configuration does not speak */
        c.version = versions[i].version;
        c.protocol = versions[i].protocol;
        err = meet_unknown_cas(&c, why);
        if (err == HF_OK)
            err = meet_wrong_host(&c, why);
    }
    hf_test_server_free(&c.server);
    if (err == HF_OK && c.protocol == NULL)
        return hf_fail(why, HF_E_ARGUMENT,
                       "this TLS configuration allows neither TLS 1.3 nor TLS 1.2; begin it with "
                       "mbedtls_ssl_config_defaults");
    return err;
}
