#include "common/tls/handshake.h"

#include "common/bundle/cert.h"
#include "common/chain/chain.h"
#include "common/tls/tls_offer.h"

#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/pk.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <mbedtls/x509.h>
#include <psa/crypto.h>

#include <stdio.h>
#include <string.h>

#define SUPPORTED                                                                                  \
    "supported are RSA, P-256, P-384 and P-521 keys, signed with RSA or ECDSA and SHA-2"

/* Errors of X.509, and of the keys in certificates, which Mbed TLS adds one of ASN.1 to. */
static bool is_about_certificate(int code)
{
    int high = -code & 0xFF80;
    return high != -MBEDTLS_ERR_X509_ALLOC_FAILED &&
           ((high >= -MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE &&
             high < -MBEDTLS_ERR_X509_FATAL_ERROR) ||
            (high >= -MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE && high < -MBEDTLS_ERR_PK_ALLOC_FAILED));
}

enum hf_err hf_handshake_fail(int code, struct hf_why *why)
{
    char reason[128];

    switch (code) {
    case MBEDTLS_ERR_SSL_CONN_EOF:
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return hf_fail(why, HF_E_NETWORK, "the server closed the connection");
    case MBEDTLS_ERR_NET_CONN_RESET:
    case MBEDTLS_ERR_NET_SEND_FAILED:
    case MBEDTLS_ERR_NET_RECV_FAILED:
        return hf_fail(why, HF_E_NETWORK, "the connection broke");
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
        return hf_fail(why, HF_E_TLS,
                       "what the server sent is not TLS; is TLS spoken on that port?");
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        return hf_fail(
            why, HF_E_TLS,
            "the server refused with a TLS alert; it may want another server name, "
            "another TLS version, a client certificate, or cipher suites with static "
            "RSA or CBC (offered with --legacy-ciphers), or have a key of a kind that is "
            "not supported here; " SUPPORTED);
    case MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL:
        return hf_fail(
            why, HF_E_TLS,
            "the server sends a longer message than is accepted: 64 KiB for its list of "
            "certificates, 16 KiB for any other; let it send only the intermediates that "
            "its certificate needs");
    case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
        return hf_fail(why, HF_E_TLS, "the server speaks neither TLS 1.2 nor TLS 1.3");
    case MBEDTLS_ERR_X509_FATAL_ERROR:
        return hf_fail(why, HF_E_UNTRUSTED,
                       "the server's chain cannot be followed to its end; is it longer than %d "
                       "intermediate certificates?",
                       MBEDTLS_X509_MAX_INTERMEDIATE_CA);
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
    case MBEDTLS_ERR_X509_ALLOC_FAILED:
        return hf_fail(why, HF_E_MEMORY, "no memory for TLS");
    case MBEDTLS_ERR_SSL_BAD_CERTIFICATE:
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
        return hf_fail(why, HF_E_TLS, "the server's certificate is not accepted");
    case MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE:
        return hf_fail(
            why, HF_E_TLS,
            "client and server have no cipher suite, group or signature algorithm in "
            "common, or the server has a key of a kind that is not supported here, or "
            "did not prove that it holds the key of its certificate; let the server "
            "offer ECDHE with AES-GCM or ChaCha20 and a certificate with an RSA, P-256 or "
            "P-384 key");
    case MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE:
    case MBEDTLS_ERR_SSL_DECODE_ERROR:
    case MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER:
    case MBEDTLS_ERR_SSL_UNSUPPORTED_EXTENSION:
    case MBEDTLS_ERR_SSL_INVALID_MAC:
        return hf_fail(why, HF_E_TLS,
                       "the server broke the TLS protocol, or something on the way to it changed "
                       "what it sent; try the server with `openssl s_client`");
    default:
        if (is_about_certificate(code))
            return hf_fail(why, HF_E_TLS,
                           "the server's certificate, or one that it sends with it, is damaged or "
                           "not supported here; " SUPPORTED
                           "; see them with `openssl s_client -showcerts`");
        mbedtls_strerror(code, reason, sizeof reason);
        return hf_fail(why, HF_E_TLS,
                       "the TLS handshake failed for a reason that only Mbed TLS names: %s",
                       reason);
    }
}

enum hf_err hf_handshake_fail_alert(const mbedtls_ssl_context *ssl, struct hf_why *why)
{
    /* RFC 8446, 6.2 */
    static const struct {
        uint8_t alert;
        const char *name, *sentence;
    } alerts[] = {
        {42, "bad_certificate", "this client's certificate is not active there"},
        {43, "unsupported_certificate",
         "the key or the signature of this client's certificate is of a kind that it does not "
         "take"},
        {44, "certificate_revoked", "this client's certificate was revoked there; get a new one"},
        {45, "certificate_expired",
         "this client's certificate is outside its dates; check the clock"},
        {48, "unknown_ca", "this client's certificate is not registered there"},
        {112, "unrecognized_name", "it does not know the server name that was asked for"},
        {116, "certificate_required", "it wants a client certificate"},
    };
    /* Mbed TLS keeps the alert where it read it. */
    const uint8_t *message = ssl != NULL &&
                                     ssl->MBEDTLS_PRIVATE(in_msgtype) == MBEDTLS_SSL_MSG_ALERT
                                 ? ssl->MBEDTLS_PRIVATE(in_msg)
                                 : NULL;
    for (size_t i = 0; i < sizeof alerts / sizeof alerts[0] && message != NULL; i++)
        if (message[1] == alerts[i].alert)
            return hf_fail(why, HF_E_TLS, "the server refused with the TLS alert %s: %s",
                           alerts[i].name, alerts[i].sentence);
    return hf_handshake_fail(MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE, why);
}

/* A length of `n_octets` and as many bytes. */
static bool take(struct hf_bytes *in, size_t n_octets, struct hf_bytes *out)
{
    size_t len = 0;

    if (in->len < n_octets)
        return false;
    for (size_t i = 0; i < n_octets; i++)
        len = len << 8 | in->data[i];
    if (len > in->len - n_octets)
        return false;
    *out = (struct hf_bytes){in->data + n_octets, len};
    *in = (struct hf_bytes){out->data + len, in->len - n_octets - len};
    return true;
}

/* The list of the server's Certificate message (RFC 5246, 7.4.2; RFC 8446, 4.4.2), if all of the
 * message has come. Mbed TLS frees the certificates that it refuses, and keeps the message. */
static bool find_list(const mbedtls_ssl_context *ssl, struct hf_bytes *out)
{
    struct hf_bytes in = {ssl->MBEDTLS_PRIVATE(in_msg), ssl->MBEDTLS_PRIVATE(in_hslen)};
    struct hf_bytes body, context;

    if (ssl->MBEDTLS_PRIVATE(state) != MBEDTLS_SSL_SERVER_CERTIFICATE || in.len == 0 ||
        in.len > ssl->MBEDTLS_PRIVATE(in_msglen) || in.data[0] != MBEDTLS_SSL_HS_CERTIFICATE)
        return false;
    in = (struct hf_bytes){in.data + 1, in.len - 1};
    if (!take(&in, 3, &body))
        return false;
    if (mbedtls_ssl_get_version_number(ssl) == MBEDTLS_SSL_VERSION_TLS1_3 &&
        !take(&body, 1, &context))
        return false;
    return take(&body, 3, out);
}

bool hf_handshake_name_certificate(const mbedtls_ssl_context *ssl, struct hf_why *why)
{
    bool is_13 = mbedtls_ssl_get_version_number(ssl) == MBEDTLS_SSL_VERSION_TLS1_3;
    char which[64] = "the server's certificate";
    struct hf_bytes list, der, extensions;
    struct hf_why reason = {0};
    struct hf_cert cert;

    if (!find_list(ssl, &list))
        return false;
    for (size_t i = 0; i < HF_CHAIN_CERTS_MAX && take(&list, 3, &der); i++) {
        enum hf_err err = hf_cert_parse(der, &cert, &reason);
        if (err == HF_E_MEMORY || (is_13 && !take(&list, 2, &extensions)))
            return false;
        /* Only the server's own must be supported. */
        if (err == HF_OK || (err == HF_E_POLICY && i > 0))
            continue;
        if (i > 0)
            (void)snprintf(which, sizeof which, "certificate %zu of the server's chain", i);
        (void)hf_fail(why, HF_E_TLS, "%s cannot be used: %s; " SUPPORTED, which, reason.text);
        return true;
    }
    return false;
}

bool hf_handshake_has_leaf(const mbedtls_ssl_context *ssl, const mbedtls_x509_crt *crt)
{
    struct hf_bytes list, der;

    /* One that Mbed TLS has read may have bytes behind it. */
    return !find_list(ssl, &list) || !take(&list, 3, &der) ||
           (crt->raw.len > 0 && der.len >= crt->raw.len &&
            memcmp(der.data, crt->raw.p, crt->raw.len) == 0);
}

enum hf_err hf_handshake_config(mbedtls_ssl_config *config, struct hf_why *why)
{
    int code;

    mbedtls_ssl_config_init(config);
    if (psa_crypto_init() != PSA_SUCCESS)
        return hf_fail(why, HF_E_TLS, "the system's random source does not work");
    code = mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                       MBEDTLS_SSL_PRESET_DEFAULT);
    if (code != 0)
        return hf_handshake_fail(code, why);
    mbedtls_ssl_conf_rng(config, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    mbedtls_ssl_conf_min_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_max_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_3);
    hf_tls_offer_set(config, (struct hf_tls_offer){0});
    return HF_OK;
}

enum hf_err hf_handshake_setup(mbedtls_ssl_context *ssl, const mbedtls_ssl_config *config,
                               const struct hf_endpoint *peer, struct hf_why *why)
{
    int code = mbedtls_ssl_setup(ssl, config);

    if (code == 0)
        code = mbedtls_ssl_set_hostname(ssl, hf_endpoint_is_address(peer) ? NULL : peer->host);
    return code == 0 ? HF_OK : hf_handshake_fail(code, why);
}

const char *hf_handshake_cipher_suite(const mbedtls_ssl_context *ssl)
{
    /* Moved at the end of a handshake. Mbed TLS has no getter for one that did not get there. */
    const mbedtls_ssl_session *session = ssl->MBEDTLS_PRIVATE(session_negotiate) != NULL
                                             ? ssl->MBEDTLS_PRIVATE(session_negotiate)
                                             : ssl->MBEDTLS_PRIVATE(session);

    return session == NULL
               ? "unknown"
               : mbedtls_ssl_get_ciphersuite_name(session->MBEDTLS_PRIVATE(ciphersuite));
}

unsigned hf_handshake_key_usage(const mbedtls_ssl_context *ssl)
{
    const char *suite = hf_handshake_cipher_suite(ssl);

    if (strncmp(suite, "TLS-RSA-", strlen("TLS-RSA-")) == 0)
        return MBEDTLS_X509_KU_KEY_ENCIPHERMENT;
    if (strncmp(suite, "TLS-ECDH-", strlen("TLS-ECDH-")) == 0)
        return MBEDTLS_X509_KU_KEY_AGREEMENT;
    return MBEDTLS_X509_KU_DIGITAL_SIGNATURE; /* all others sign, in TLS 1.3 too */
}

bool hf_handshake_has_proved_key(mbedtls_ssl_context *ssl)
{
    const char *suite = hf_handshake_cipher_suite(ssl);
    int state = ssl->MBEDTLS_PRIVATE(state);

    if (mbedtls_ssl_is_handshake_over(ssl))
        return true;
    /* In TLS 1.2 with an ephemeral exchange the ServerKeyExchange is signed. */
    if (mbedtls_ssl_get_version_number(ssl) == MBEDTLS_SSL_VERSION_TLS1_2)
        return (strncmp(suite, "TLS-ECDHE-", 10) == 0 || strncmp(suite, "TLS-DHE-", 8) == 0) &&
               state > MBEDTLS_SSL_SERVER_KEY_EXCHANGE;
    /* In TLS 1.3 the server's Finished comes behind its signature, and before anything of the
     * client's. */
    switch (state) {
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

bool hf_handshake_has_proved_chain(mbedtls_ssl_context *ssl)
{
    return mbedtls_ssl_is_handshake_over(ssl) ||
           mbedtls_ssl_get_version_number(ssl) == MBEDTLS_SSL_VERSION_TLS1_3;
}
