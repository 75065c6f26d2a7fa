/* The proof that a client's configuration verifies, and verifies against this store: handshakes in
 * memory with servers that it must refuse. The verdicts are those of the handshakes. What the
 * configuration says of itself is looked at for the sentence only. */
#include "client/port/mbedtls/trust_store_internal.h"
#include "client/port/mbedtls/test_server.h"

/* For whom the throw-away server has no certificate (RFC 2606). */
#define OTHER_HOST "other.invalid"

struct trial {
    struct hf_trust_store *store;
    const mbedtls_ssl_config *config;
    struct hf_test_server server;
    mbedtls_ssl_protocol_version version; /* of the handshakes that run */
    const char *protocol;                 /* the same, for people */
    bool is_tried;                        /* with any version */
    struct hf_self_test seen;             /* in the last handshake */
    struct hf_memory_handshake end;       /* of the last handshake */
};

/** One handshake in which this thread, and no other, finds `extra` in the store. */
static enum hf_err handshake(struct trial *t, const struct hf_anchors *extra, const char *host,
                             struct hf_why *why)
{
    enum hf_err err;

    mbedtls_ssl_conf_min_tls_version(&t->server.config, t->version);
    mbedtls_ssl_conf_max_tls_version(&t->server.config, t->version);
    t->seen = (struct hf_self_test){.store = t->store, .extra = extra};
    hf_self_test_set(&t->seen);
    err = hf_memory_handshake(t->config, &t->server.config, host, &t->end, why);
    hf_self_test_set(NULL);
    return err;
}

static bool is_accepted(const struct trial *t)
{
    return t->end.code == 0;
}

/** Did the client look at the server's certificate, and find this fault? Without flags it did if it
 *  asked for anchors: a verify callback that ends the handshake itself leaves none. */
static bool is_refused_for(const struct trial *t, uint32_t flag)
{
    if (t->end.code == 0)
        return false;
    return t->end.flags == HF_FLAGS_UNKNOWN ? t->seen.was_asked : (t->end.flags & flag) != 0;
}

/* ---- sentences ------------------------------------------------------------------------------------ */

/** Why was a server accepted whose CA is in no store? */
static const char *what_is_off(const struct trial *t)
{
    int authmode = t->config->MBEDTLS_PRIVATE(authmode); /* 3.6 has no function that tells */

    if (authmode == MBEDTLS_SSL_VERIFY_NONE)
        return "the configuration has MBEDTLS_SSL_VERIFY_NONE, so no certificate is looked at; "
               "call hf_trust_store_bind and leave the authmode as it is";
    if (authmode == MBEDTLS_SSL_VERIFY_OPTIONAL)
        return "the configuration has MBEDTLS_SSL_VERIFY_OPTIONAL, so a bad certificate does not "
               "end the handshake; call hf_trust_store_bind and leave the authmode as it is";
    if (!t->seen.was_asked)
        return "its CA callback is not the trust store's and accepts every chain; call "
               "hf_trust_store_bind, and mbedtls_ssl_conf_ca_cb no more after it";
    return "its verify callback clears the faults that were found, or its CA callback adds an "
           "anchor that is not in the store; keep the flags that Mbed TLS and "
           "hf_trust_store_verify "
           "set, "
           "and offer no more than hf_trust_store_candidates does";
}

static enum hf_err fail_unknown_ca(const struct trial *t, struct hf_why *why)
{
    return hf_fail(why, HF_E_POLICY,
                   "certificates are not verified: a server was accepted (%s) whose CA was made a "
                   "moment ago and is in no store; %s",
                   t->protocol, what_is_off(t));
}

static enum hf_err fail_not_reached(const struct trial *t, struct hf_why *why)
{
    return hf_fail(why, HF_E_TLS,
                   "whether certificates are verified could not be tried (%s): the handshake in "
                   "memory ended before a certificate was judged, with any kind of key (Mbed TLS "
                   "error -0x%04x, the server's -0x%04x); allow cipher suites and signature "
                   "algorithms with ECDSA or RSA certificates",
                   t->protocol, (unsigned)-t->end.code, (unsigned)-t->end.server_code);
}

static enum hf_err fail_other_store(const struct trial *t, struct hf_why *why)
{
    return hf_fail(why, HF_E_POLICY,
                   "certificates are not verified against this trust store (%s): the configuration "
                   "never asked it for an anchor; call hf_trust_store_bind, and neither "
                   "mbedtls_ssl_conf_ca_cb nor mbedtls_ssl_conf_ca_chain after it",
                   t->protocol);
}

static enum hf_err fail_host(const struct trial *t, struct hf_why *why)
{
    return hf_fail(why, HF_E_POLICY,
                   "the host name is not verified: a server that is not called %s %s (%s); the "
                   "verify callback clears MBEDTLS_X509_BADCERT_CN_MISMATCH, so keep that flag",
                   OTHER_HOST,
                   is_accepted(t) ? "was accepted under that name"
                                  : "was refused, but not for its name",
                   t->protocol);
}

static enum hf_err fail_no_verify(const struct trial *t, struct hf_why *why)
{
    return hf_fail(why, HF_E_POLICY,
                   "distrust dates are not enforced (%s): the verify callback is not the trust "
                   "store's; call hf_trust_store_verify in yours and keep the flags it adds",
                   t->protocol);
}

/* ---- the two servers ------------------------------------------------------------------------------- */

/** A server whose CA is in no store. `*is_refused` stays false where the handshake did not get as far
 *  as its certificate: then another kind of key is wanted. */
static enum hf_err meet_unknown_ca(struct trial *t, bool *is_refused, struct hf_why *why)
{
    HF_TRY(handshake(t, NULL, HF_TEST_SERVER_HOST, why));
    if (is_accepted(t))
        return fail_unknown_ca(t, why);
    *is_refused = is_refused_for(t, MBEDTLS_X509_BADCERT_NOT_TRUSTED);
    return HF_OK;
}

/** The same with servers of all kinds, until one's certificate is looked at. It stays in `t`. */
static enum hf_err meet_unknown_cas(struct trial *t, struct hf_why *why)
{
    bool is_refused = false;

    if (t->server.is_made) /* for the version before, and made to measure */
        HF_TRY(meet_unknown_ca(t, &is_refused, why));
    for (int kind = 0; !is_refused && kind < HF_TEST_SERVER_KINDS; kind++) {
        hf_test_server_free(&t->server);
        HF_TRY(hf_test_server_make((enum hf_test_server_kind)kind, &t->server, why));
        HF_TRY(meet_unknown_ca(t, &is_refused, why));
    }
    return is_refused ? HF_OK : fail_not_reached(t, why);
}

/** The same server, now under a trusted CA, but with another name than the one asked for. */
static enum hf_err meet_wrong_host(struct trial *t, struct hf_why *why)
{
    HF_TRY(handshake(t, t->server.anchors, OTHER_HOST, why));
    if (!t->seen.was_asked)
        return fail_other_store(t, why);
    if (!is_refused_for(t, MBEDTLS_X509_BADCERT_CN_MISMATCH))
        return fail_host(t, why);
    if (!t->seen.was_consulted)
        return fail_no_verify(t, why);
    return HF_OK;
}

/** Nothing to check in a version that the configuration does not speak. */
static enum hf_err check_version(struct trial *t, mbedtls_ssl_protocol_version version,
                                 struct hf_why *why)
{
    const mbedtls_ssl_config *config = t->config; /* 3.6 has no functions that tell */

    if (version < config->MBEDTLS_PRIVATE(min_tls_version) ||
        version > config->MBEDTLS_PRIVATE(max_tls_version))
        return HF_OK;
    t->version = version;
    t->protocol = version == MBEDTLS_SSL_VERSION_TLS1_3 ? "TLS 1.3" : "TLS 1.2";
    t->is_tried = true;
    HF_TRY(meet_unknown_cas(t, why));
    return meet_wrong_host(t, why);
}

static enum hf_err check_role(const mbedtls_ssl_config *config, struct hf_why *why)
{
    if (mbedtls_ssl_conf_get_endpoint(config) == MBEDTLS_SSL_IS_CLIENT &&
        config->MBEDTLS_PRIVATE(transport) == MBEDTLS_SSL_TRANSPORT_STREAM)
        return HF_OK;
    return hf_fail(why, HF_E_ARGUMENT,
                   "only the TLS configuration of a client over a stream can be checked; this one "
                   "is a server's, or for DTLS");
}

enum hf_err hf_trust_store_check_config_checked(struct hf_trust_store *store,
                                                const mbedtls_ssl_config *config,
                                                struct hf_trust_store_abi abi, struct hf_why *why)
{
    struct trial t = {.store = store, .config = config};
    enum hf_err err;

    HF_TRY(hf_abi_check(abi, why));
    HF_TRY(check_role(config, why));
    err = check_version(&t, MBEDTLS_SSL_VERSION_TLS1_3, why);
    if (err == HF_OK)
        err = check_version(&t, MBEDTLS_SSL_VERSION_TLS1_2, why);
    hf_test_server_free(&t.server);
    if (err == HF_OK && !t.is_tried)
        return hf_fail(why, HF_E_ARGUMENT,
                       "this TLS configuration allows neither TLS 1.3 nor TLS 1.2; begin it with "
                       "mbedtls_ssl_config_defaults");
    return err;
}
