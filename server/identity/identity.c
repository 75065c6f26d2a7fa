#include "server/identity/identity.h"

#include "server/identity/registration.h"

#include <string.h>

/* ---- ClientHello ----------------------------------------------------------------------------- */

static const char no_sni[] =
    "the client sent no server name (SNI), and this service needs one to find the "
    "account. Let the client send the endpoint's name";

static void refuse_hello(struct hf_hello *out, enum hf_alert alert, const char *sentence)
{
    *out = (struct hf_hello){HF_HELLO_REFUSE, alert, 0, sentence};
}

void hf_identity_hello(const struct hf_identity_view *view, const char *sni, bool is_tls13,
                       struct hf_hello *out)
{
    if (sni == NULL) {
        if (hf_directory_is_sni_optional(view->directory))
            *out = (struct hf_hello){HF_HELLO_REQUIRE, HF_ALERT_NONE, 0, ""};
        else
            refuse_hello(out, is_tls13 ? HF_ALERT_MISSING_EXTENSION : HF_ALERT_HANDSHAKE_FAILURE,
                         no_sni);
        return;
    }
    const struct hf_account *account = hf_directory_by_sni(view->directory, sni, strlen(sni));
    if (account == NULL) {
        refuse_hello(out, HF_ALERT_UNRECOGNIZED_NAME,
                     "the server name (SNI) that the client sent belongs to no account. Check the "
                     "endpoint on the device, or add the name to an account");
        return;
    }
    bool is_required = account->anonymous == HF_ANONYMOUS_NONE;
    *out = (struct hf_hello){is_required ? HF_HELLO_REQUIRE : HF_HELLO_OPTIONAL, HF_ALERT_NONE,
                             account->id, ""};
}

/* ---- the rows -------------------------------------------------------------------------------- */

/* The decision on its way: each row returns true when it decides. */
struct decision {
    const struct hf_identity_view *view;
    const struct hf_identity_question *question;
    struct hf_identity *out;
};

static bool refuse(struct decision *d, unsigned row, enum hf_alert alert, const char *sentence)
{
    d->out->admission = HF_REFUSED;
    d->out->row = row;
    d->out->alert = alert;
    d->out->sentence = sentence;
    return true;
}

static bool is_tls13(const struct decision *d)
{
    return d->question->tls_version >= HF_TLS_1_3;
}

/* The account that SNI named is there still, or SNI is optional and a certificate speaks for
 * itself. */
static bool row1_account(struct decision *d)
{
    uint32_t account = d->question->account;
    if (account == 0) {
        if (hf_directory_is_sni_optional(d->view->directory) && d->question->cert != NULL)
            return false;
        return refuse(d, 1, is_tls13(d) ? HF_ALERT_MISSING_EXTENSION : HF_ALERT_HANDSHAKE_FAILURE,
                      no_sni);
    }
    if (hf_directory_account(d->view->directory, account) == NULL)
        return refuse(
            d, 1, HF_ALERT_UNRECOGNIZED_NAME,
            "the account of this server name was removed. Check the endpoint on the device");
    d->out->account = account;
    return false;
}

static bool row2_no_certificate(struct decision *d)
{
    if (d->question->cert != NULL)
        return false;
    const struct hf_account *account = hf_directory_account(d->view->directory,
                                                            d->question->account);
    if (account->anonymous == HF_ANONYMOUS_NONE)
        return refuse(d, 2,
                      is_tls13(d) ? HF_ALERT_CERTIFICATE_REQUIRED : HF_ALERT_HANDSHAKE_FAILURE,
                      "the account admits no client without a certificate. Give the device one, or "
                      "change the account's policy");
    d->out->anonymous = account->anonymous;
    d->out->admission = HF_ADMITTED;
    d->out->row = 2;
    return true;
}

/* Is it registered where this connection may use it? Rows 3 to 5 are about one that is not. */
static bool is_registered(struct decision *d)
{
    const uint8_t *sha256 = d->question->cert->sha256;
    struct hf_registered *entry = &d->out->registered;
    if (d->question->account != 0)
        return hf_registry_find(d->view->registry, sha256, d->question->account, entry);
    return hf_registry_find_default(d->view->registry, sha256, entry);
}

/* May certificates of `ca` register themselves here? */
static bool registers(const struct decision *d, const struct hf_ca *ca)
{
    if (!ca->is_active || ca->auto_registration == HF_AUTO_REGISTRATION_OFF)
        return false;
    if (d->question->account != 0)
        return ca->account == d->question->account;
    return ca->mode == HF_CERT_MODE_DEFAULT;
}

static bool row3_auto_registration(struct decision *d)
{
    const struct hf_client_cert *cert = d->question->cert;
    const struct hf_ca *ca = NULL;
    struct hf_registered elsewhere;
    unsigned n_tried = 0;

    if (d->question->x509 == NULL ||
        hf_client_cert_check_dates(cert, d->view->now_s, NULL) != HF_OK ||
        hf_client_cert_check_algorithms(cert, d->question->tls_version, NULL) != HF_OK ||
        hf_registry_find_default(d->view->registry, cert->sha256, &elsewhere))
        return false;
    while ((ca = hf_directory_next_issuer(d->view->directory, d->question->x509, ca)) != NULL) {
        if (!registers(d, ca) ||
            hf_client_cert_check_dates(&ca->cert, d->view->now_s, NULL) != HF_OK)
            continue;
        if (n_tried++ == HF_DIRECTORY_SAME_SUBJECT_MAX)
            return false;
        if (hf_ca_check_signed(ca->x509, d->question->x509, NULL) == HF_OK) {
            d->out->admission = HF_MUST_REGISTER;
            d->out->row = 3;
            d->out->account = ca->account;
            d->out->ca = ca;
            return true;
        }
    }
    return false;
}

/* A certificate of mode DEFAULT belongs to one account; one of SNI_ONLY is used where it is
 * registered. */
static bool rows4_and_5_unknown(struct decision *d)
{
    struct hf_registered elsewhere;
    if (hf_registry_find_default(d->view->registry, d->question->cert->sha256, &elsewhere))
        return refuse(
            d, 5, HF_ALERT_UNKNOWN_CA,
            "the certificate is registered in another account. Check the server name (SNI) "
            "that the device uses");
    return refuse(
        d, 4, HF_ALERT_UNKNOWN_CA,
        "the certificate is not registered. Register it, or turn on auto-registration for its "
        "CA");
}

static bool row6_status(struct decision *d)
{
    switch (d->out->registered.status) {
    case HF_CERT_ACTIVE:
        return false;
    case HF_CERT_REVOKED:
        return refuse(d, 6, HF_ALERT_CERTIFICATE_REVOKED, "the certificate is REVOKED");
    case HF_CERT_INACTIVE:
        return refuse(d, 6, HF_ALERT_BAD_CERTIFICATE,
                      "the certificate is INACTIVE. Set it to ACTIVE if the device may connect");
    case HF_CERT_PENDING_TRANSFER:
        return refuse(d, 6, HF_ALERT_BAD_CERTIFICATE,
                      "the certificate is PENDING_TRANSFER. Accept or cancel the transfer");
    case HF_CERT_PENDING_ACTIVATION:
        return refuse(d, 6, HF_ALERT_BAD_CERTIFICATE,
                      "the certificate is PENDING_ACTIVATION. Set it to ACTIVE if the device may "
                      "connect");
    case HF_CERT_NONE:
        break;
    }
    return refuse(d, 6, HF_ALERT_BAD_CERTIFICATE, "the certificate has no status");
}

static bool row7_dates(struct decision *d)
{
    if (hf_client_cert_check_dates(d->question->cert, d->view->now_s, NULL) == HF_OK)
        return false;
    return refuse(
        d, 7, HF_ALERT_CERTIFICATE_EXPIRED,
        d->view->now_s < d->question->cert->not_before_s
            ? "the certificate is not valid yet. Check the clocks of its CA and of this server"
            : "the certificate has expired. Give the device a new one");
}

static bool row8_algorithms(struct decision *d)
{
    if (hf_client_cert_check_algorithms(d->question->cert, d->question->tls_version, NULL) == HF_OK)
        return false;
    bool is_pss = d->question->cert->key.kind == HF_CLIENT_KEY_RSA_PSS && !is_tls13(d);
    return refuse(d, 8, HF_ALERT_UNSUPPORTED_CERTIFICATE,
                  is_pss
                      ? "the certificate has an RSA-PSS key, which is supported in TLS 1.3 only"
                      : "the key or the signature algorithm of the certificate is not supported. "
                        "Give the device another certificate");
}

void hf_identity_decide(const struct hf_identity_view *view,
                        const struct hf_identity_question *question, struct hf_identity *out)
{
    struct decision d = {view, question, out};
    *out = (struct hf_identity){.sentence = "", .has_certificate = question->cert != NULL};

    if (row1_account(&d) || row2_no_certificate(&d))
        return;
    if (!is_registered(&d)) {
        (void)(row3_auto_registration(&d) || rows4_and_5_unknown(&d));
        return;
    }
    out->account = out->registered.account;
    if (row6_status(&d) || row7_dates(&d) || row8_algorithms(&d))
        return;
    out->admission = HF_ADMITTED;
}

void hf_identity_resume(const struct hf_identity_view *view,
                        const struct hf_identity_question *question, struct hf_identity *out)
{
    struct hf_identity_question again = *question;
    again.x509 = NULL; /* only a whole handshake registers a certificate */
    hf_identity_decide(view, &again, out);
}

unsigned hf_identity_request(const struct hf_identity_view *view,
                             const struct hf_identity_question *question, const char *host,
                             size_t host_len, struct hf_identity *out)
{
    hf_identity_decide(view, question, out);
    if (out->admission != HF_ADMITTED)
        return 403;
    const struct hf_account *named = hf_directory_by_host(view->directory, host, host_len);
    return named != NULL && named->id != out->account ? 421 : 0;
}
