/* What OpenSSL asks in a handshake, and the server's rules answer. */
#include "server/http/tls_conn.h"
#include "server/http/tls_contexts.h"

#include <stdlib.h>
#include <string.h>

/* ---- alerts ---------------------------------------------------------------------------------- */

const char *hf_tls_alert_name(int alert)
{
    static const char *const names[] = {
        [SSL_AD_CLOSE_NOTIFY] = "close_notify",
        [SSL_AD_UNEXPECTED_MESSAGE] = "unexpected_message",
        [SSL_AD_BAD_RECORD_MAC] = "bad_record_mac",
        [SSL_AD_RECORD_OVERFLOW] = "record_overflow",
        [SSL_AD_HANDSHAKE_FAILURE] = "handshake_failure",
        [SSL_AD_BAD_CERTIFICATE] = "bad_certificate",
        [SSL_AD_UNSUPPORTED_CERTIFICATE] = "unsupported_certificate",
        [SSL_AD_CERTIFICATE_REVOKED] = "certificate_revoked",
        [SSL_AD_CERTIFICATE_EXPIRED] = "certificate_expired",
        [SSL_AD_CERTIFICATE_UNKNOWN] = "certificate_unknown",
        [SSL_AD_ILLEGAL_PARAMETER] = "illegal_parameter",
        [SSL_AD_UNKNOWN_CA] = "unknown_ca",
        [SSL_AD_ACCESS_DENIED] = "access_denied",
        [SSL_AD_DECODE_ERROR] = "decode_error",
        [SSL_AD_DECRYPT_ERROR] = "decrypt_error",
        [SSL_AD_PROTOCOL_VERSION] = "protocol_version",
        [SSL_AD_INSUFFICIENT_SECURITY] = "insufficient_security",
        [SSL_AD_INTERNAL_ERROR] = "internal_error",
        [SSL_AD_INAPPROPRIATE_FALLBACK] = "inappropriate_fallback",
        [SSL_AD_USER_CANCELLED] = "user_canceled",
        [SSL_AD_MISSING_EXTENSION] = "missing_extension",
        [SSL_AD_UNSUPPORTED_EXTENSION] = "unsupported_extension",
        [SSL_AD_UNRECOGNIZED_NAME] = "unrecognized_name",
        [SSL_AD_CERTIFICATE_REQUIRED] = "certificate_required",
        [SSL_AD_NO_APPLICATION_PROTOCOL] = "no_application_protocol",
    };
    bool is_known = alert >= 0 && (size_t)alert < sizeof names / sizeof names[0];
    return is_known && names[alert] != NULL ? names[alert] : "unknown";
}

void hf_tls_on_info(const SSL *ssl, int where, int value)
{
    struct hf_tls_conn *c = SSL_get_app_data(ssl);
    if ((where & SSL_CB_HANDSHAKE_START) != 0 && c->is_established &&
        SSL_version(ssl) == TLS1_2_VERSION)
        c->is_renegotiating = true;
    if ((where & SSL_CB_ALERT) == 0)
        return;
    if ((where & SSL_CB_WRITE) != 0)
        c->alert_sent = value & 0xff;
    else
        c->alert_received = value & 0xff;
}

/* ---- the client says hello ------------------------------------------------------------------- */

static bool is_dns_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/* server_name (RFC 6066, 3): a list of one host name. 0 with `*out` allocated, or NULL if the
 * client sent none; else the alert. */
static int read_sni(SSL *ssl, char **out)
{
    const unsigned char *data = NULL;
    size_t len = 0;
    *out = NULL;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &len) != 1)
        return 0;
    /* Two bytes for the list, one for the type, two for the name. */
    if (len < 6 || ((size_t)data[0] << 8 | data[1]) != len - 2 ||
        data[2] != TLSEXT_NAMETYPE_host_name || ((size_t)data[3] << 8 | data[4]) != len - 5)
        return SSL_AD_DECODE_ERROR;
    if (len - 5 > HF_TLS_SNI_BYTES_MAX)
        return SSL_AD_UNRECOGNIZED_NAME;
    char *name = malloc(len - 5 + 1);
    if (name == NULL)
        return SSL_AD_INTERNAL_ERROR;
    for (size_t i = 0; i < len - 5; i++) {
        char c = (char)data[5 + i];
        name[i] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
        if (!is_dns_char(name[i])) {
            free(name);
            return SSL_AD_UNRECOGNIZED_NAME;
        }
    }
    name[len - 5] = '\0';
    *out = name;
    return 0;
}

/* supported_versions (RFC 8446, 4.2.1): one byte for the list, two for each version. If the client
 * offers TLS 1.3, that is what is spoken. */
static bool offers_1_3(SSL *ssl)
{
    const unsigned char *data = NULL;
    size_t len = 0;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &data, &len) != 1)
        return false;
    for (size_t i = 1; i + 1 < len; i += 2)
        if (data[i] == TLS1_3_VERSION >> 8 && data[i + 1] == (TLS1_3_VERSION & 0xff))
            return true;
    return false;
}

static int verify_mode(enum hf_tls_ask ask)
{
    switch (ask) {
    case HF_TLS_ASK_OPTIONAL:
        return SSL_VERIFY_PEER;
    case HF_TLS_ASK_REQUIRED:
        return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    case HF_TLS_ASK_NOTHING:
        break;
    }
    return SSL_VERIFY_NONE;
}

static int judge_hello(struct hf_tls_conn *c)
{
    char *sni = NULL;
    int alert = read_sni(c->ssl, &sni);
    free(c->sni); /* of the hello before, if there was one */
    c->sni = sni;
    c->peer = (struct hf_tls_peer){.sni = sni,
                                   .version = offers_1_3(c->ssl) ? TLS1_3_VERSION : TLS1_2_VERSION};
    c->ask = HF_TLS_ASK_NOTHING;
    if (alert == 0 && c->rules != NULL)
        alert = c->rules->hello(c->rules->ctx, &c->peer, &c->ask);
    if (alert != 0)
        return alert;
    SSL_CTX *ctx = hf_tls_contexts_choose(c->contexts, sni);
    if (SSL_set_SSL_CTX(c->ssl, ctx) != ctx ||
        SSL_set_session_id_context(c->ssl, (const unsigned char *)&c->peer.tag,
                                   sizeof c->peer.tag) != 1)
        return SSL_AD_INTERNAL_ERROR;
    SSL_set_verify(c->ssl, verify_mode(c->ask), NULL);
    return 0;
}

int hf_tls_on_hello(SSL *ssl, int *alert, void *unused)
{
    struct hf_tls_conn *c = SSL_get_app_data(ssl);
    (void)alert;
    (void)unused;
    c->refusal = judge_hello(c);
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* Called with or without a name. By now the version is negotiated: before, OpenSSL would send
 * handshake_failure in place of the alerts that only TLS 1.3 has. */
int hf_tls_on_name(SSL *ssl, int *alert, void *unused)
{
    const struct hf_tls_conn *c = SSL_get_app_data(ssl);
    (void)unused;
    *alert = c->refusal;
    return c->refusal == 0 ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int hf_tls_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *offer, unsigned int offer_len, void *unused)
{
    static const unsigned char http_1_1[] = "\x8http/1.1";
    (void)ssl;
    (void)unused;
    for (unsigned int at = 0; at < offer_len; at += 1u + offer[at]) {
        if (offer_len - at >= sizeof http_1_1 - 1 &&
            memcmp(offer + at, http_1_1, sizeof http_1_1 - 1) == 0) {
            *out = offer + at + 1;
            *out_len = offer[at];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol (RFC 7301, 3.2) */
}

/* ---- the client's certificate ---------------------------------------------------------------- */

/* OpenSSL makes the alert from the error of the verification. */
static int error_of_alert(int alert)
{
    switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
        return X509_V_ERR_CERT_REJECTED;
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
        return X509_V_ERR_INVALID_PURPOSE;
    case SSL_AD_CERTIFICATE_REVOKED:
        return X509_V_ERR_CERT_REVOKED;
    case SSL_AD_CERTIFICATE_EXPIRED:
        return X509_V_ERR_CERT_HAS_EXPIRED;
    case SSL_AD_UNKNOWN_CA:
        return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    case SSL_AD_DECRYPT_ERROR:
        return X509_V_ERR_CERT_SIGNATURE_FAILURE;
    case SSL_AD_INTERNAL_ERROR:
        return X509_V_ERR_UNSPECIFIED;
    default:
        return X509_V_ERR_APPLICATION_VERIFICATION; /* handshake_failure */
    }
}

int hf_tls_on_certificate(X509_STORE_CTX *store, void *unused)
{
    (void)unused;
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct hf_tls_conn *c = SSL_get_app_data(ssl);
    int alert = SSL_AD_UNKNOWN_CA; /* without rules no certificate is asked for */
    hf_tls_set_leaf(&c->peer, X509_STORE_CTX_get0_cert(store));
    if (c->rules != NULL)
        alert = c->rules->certificate(c->rules->ctx, &c->peer,
                                      X509_STORE_CTX_get0_untrusted(store));
    X509_STORE_CTX_set_error(store, alert == 0 ? X509_V_OK : error_of_alert(alert));
    return alert == 0;
}

/* ---- tickets --------------------------------------------------------------------------------- */

int hf_tls_on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                         EVP_MAC_CTX *mac, int is_new)
{
    const struct hf_tls_conn *c = SSL_get_app_data(ssl);
    /* In TLS 1.3 each connection gets a new ticket: a ticket that is used twice lets an observer
     * link connections (RFC 8446, C.4). */
    bool must_renew = c->peer.version == TLS1_3_VERSION;
    return hf_tls_tickets_use(c->contexts->tickets, must_renew, name, iv, cipher, mac, is_new);
}

/* Does the ticket fit what this handshake would ask, and do the rules accept its certificate? */
static bool may_resume(struct hf_tls_conn *c, SSL_SESSION *session)
{
    X509 *leaf = SSL_SESSION_get0_peer(session);
    if (c->refusal != 0)
        return false;
    if ((leaf == NULL && c->ask == HF_TLS_ASK_REQUIRED) ||
        (leaf != NULL && c->ask == HF_TLS_ASK_NOTHING))
        return false;
    if (c->rules == NULL)
        return true;
    hf_tls_set_leaf(&c->peer, leaf);
    bool may = c->rules->resume(c->rules->ctx, &c->peer);
    hf_tls_set_leaf(&c->peer, NULL); /* OpenSSL may still drop the session */
    return may;
}

SSL_TICKET_RETURN hf_tls_on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                   size_t name_len, SSL_TICKET_STATUS status, void *unused)
{
    (void)name;
    (void)name_len;
    (void)unused;
    switch (status) {
    case SSL_TICKET_SUCCESS:
    case SSL_TICKET_SUCCESS_RENEW:
        if (!may_resume(SSL_get_app_data(ssl), session))
            return SSL_TICKET_RETURN_IGNORE_RENEW;
        return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
    default:
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
}
