/* Certificates of devices: issued within the quotas, renewed by the old key; and the CAs that issue
 * them. */
#include "server/signer/verbs.h"

#include "common/base/limits.h"
#include "common/base/names.h"
#include "server/identity/csr.h"
#include "server/identity/registration.h"
#include "server/signer/device_ca.h"
#include "server/signer/quota.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What `issue` and `renew` share: a checked request, and the CA of the account that it is for. */
struct order {
    const char *id; /* of the device, borrowed from the request */
    struct hf_device_ca ca;
    struct hf_csr csr;
};

static void order_free(struct order *order)
{
    hf_device_ca_free(&order->ca);
    hf_csr_free(&order->csr);
}

static enum hf_err order_read(struct hf_signer *signer, const json_t *request, struct order *out,
                              struct hf_why *why)
{
    struct order order = {0};
    const char *ca = NULL, *account = NULL;
    struct hf_buf csr = {0};
    HF_TRY(hf_json_get_text(request, "ca", HF_SIGNER_REQUEST, &ca, why));
    HF_TRY(hf_json_get_text(request, "account", HF_SIGNER_REQUEST, &account, why));
    HF_TRY(hf_json_get_text(request, "device", HF_SIGNER_REQUEST, &order.id, why));
    if (!hf_device_id_is_valid(order.id))
        return hf_fail(why, HF_E_ARGUMENT,
                       HF_SIGNER_REQUEST ": \"device\": expected 1 to %d of A-Z a-z 0-9 . _ : -",
                       HF_DEVICE_ID_MAX);
    enum hf_err err = hf_json_get_base64(request, "csr", HF_SIGNER_REQUEST, HF_CSR_BYTES_MAX, &csr,
                                         why);
    if (err == HF_OK)
        err = hf_csr_check(hf_buf_bytes(&csr), &order.csr, why);
    hf_buf_free(&csr);
    if (err == HF_OK)
        err = hf_device_ca_read(signer->config->signer.state, ca, true, &order.ca, why);
    if (err == HF_OK && strcmp(order.ca.account, account) != 0)
        err = hf_fail(why, HF_E_POLICY, "the device CA %s is for account \"%s\", not for \"%.64s\"",
                      ca, order.ca.account, account);
    if (err == HF_OK)
        *out = order;
    else
        order_free(&order);
    return err;
}

static enum hf_err make_certificate(const struct order *order, int64_t now_s, struct hf_buf *der,
                                    struct hf_why *why)
{
    const unsigned char *spki = order->csr.spki.data;
    X509 *made = NULL;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &spki, (long)order->csr.spki.len);
    enum hf_err err = key != NULL ? HF_OK
                                  : hf_fail(why, HF_E_FORMAT, "the key of a request is unreadable");
    if (err == HF_OK)
        err = hf_device_ca_issue(&order->ca, key, order->id, now_s, &made, why);
    if (err == HF_OK)
        err = hf_client_cert_der(made, der, why);
    X509_free(made);
    EVP_PKEY_free(key);
    return err;
}

/* Count it first, so that nothing is signed that a quota refuses; then sign, note and answer. */
static enum hf_err fill_order(struct hf_signer *signer, const struct order *order, bool is_renewal,
                              const struct hf_moment *now, json_t **answer, struct hf_why *why)
{
    char device[HF_ACCOUNT_NAME_MAX + HF_DEVICE_ID_MAX + 2];
    struct hf_buf der = {0};
    (void)snprintf(device, sizeof device, "%s/%s", order->ca.account, order->id);
    const struct hf_quota renewals = {HF_QUOTA_RENEWAL, device, HF_RENEWALS_PER_HOUR};
    const struct hf_quota issues[] = {
        {HF_QUOTA_ISSUE, device, HF_ISSUES_PER_HOUR},
        {HF_QUOTA_CA, order->ca.name, signer->rates.issue_per_day_per_ca},
        {HF_QUOTA_SIGNER, "", signer->rates.issue_per_day},
    };
    HF_TRY(hf_quota_take(&signer->state, is_renewal ? &renewals : issues,
                         is_renewal ? 1 : sizeof issues / sizeof issues[0], now, why));
    enum hf_err err = make_certificate(order, now->wall_s, &der, why);
    const struct hf_signature_note note = {is_renewal ? "renewal" : "certificate", device, 0,
                                           hf_buf_bytes(&der), now->wall_s};
    err = hf_quota_commit(&signer->state, err, &note, why);
    if (err == HF_OK)
        *answer = json_pack("{s:o}", "certificate", hf_json_base64(hf_buf_bytes(&der)));
    hf_buf_free(&der);
    return err;
}

enum hf_err hf_verb_issue(struct hf_signer *signer, const json_t *request, int fd,
                          const struct hf_moment *now, json_t **answer, struct hf_why *why)
{
    struct order order;
    (void)fd;
    HF_TRY(order_read(signer, request, &order, why));
    enum hf_err err = fill_order(signer, &order, false, now, answer, why);
    order_free(&order);
    return err;
}

/* The old certificate is of this very CA, still valid, and of this device; and its key signed the
 * request: so a stolen holdfastd cannot renew what it has no key of. */
static enum hf_err check_old(const struct order *order, X509 *old, struct hf_bytes signature,
                             int64_t now_s, struct hf_why *why)
{
    struct hf_client_cert cert;
    HF_TRY(hf_client_cert_describe(old, &cert, why));
    HF_TRY(hf_client_cert_check_dates(&cert, now_s, why));
    if (hf_ca_check_signed(order->ca.certificate, old, why) != HF_OK)
        return hf_fail(why, HF_E_POLICY,
                       "the old certificate was not issued by the device CA %s; renew it there, or "
                       "enrol the device again",
                       order->ca.name);
    if (!hf_device_ca_is_of(old, order->id))
        return hf_fail(why, HF_E_POLICY, "the old certificate is not of device \"%s\"", order->id);
    return hf_csr_check_renewal(&order->csr, old, signature, why);
}

enum hf_err hf_verb_renew(struct hf_signer *signer, const json_t *request, int fd,
                          const struct hf_moment *now, json_t **answer, struct hf_why *why)
{
    struct order order;
    struct hf_buf old_der = {0}, signature = {0};
    X509 *old = NULL;
    (void)fd;
    HF_TRY(order_read(signer, request, &order, why));
    enum hf_err err = hf_json_get_base64(request, "old", HF_SIGNER_REQUEST, HF_CERT_DER_MAX,
                                         &old_der, why);
    if (err == HF_OK)
        err = hf_json_get_base64(request, "signature", HF_SIGNER_REQUEST, HF_CSR_BYTES_MAX,
                                 &signature, why);
    if (err == HF_OK)
        err = hf_client_cert_read_der(hf_buf_bytes(&old_der), &old, why);
    if (err == HF_OK)
        err = check_old(&order, old, hf_buf_bytes(&signature), now->wall_s, why);
    if (err == HF_OK)
        err = fill_order(signer, &order, true, now, answer, why);
    X509_free(old);
    hf_buf_free(&old_der);
    hf_buf_free(&signature);
    order_free(&order);
    return err;
}

static enum hf_err describe_ca(struct hf_signer *signer, const char *name,
                               const struct hf_moment *now, json_t **out, struct hf_why *why)
{
    struct hf_device_ca ca;
    struct hf_buf der = {0};
    struct hf_quota_use use = {.used = 0};
    HF_TRY(hf_device_ca_read(signer->config->signer.state, name, false, &ca, why));
    enum hf_err err = now != NULL ? hf_quota_look(&signer->state, HF_QUOTA_CA, name, now, &use, why)
                                  : hf_client_cert_der(ca.certificate, &der, why);
    if (err == HF_OK && now != NULL)
        *out = json_pack("{s:s, s:s, s:I, s:o}", "name", ca.name, "account", ca.account, "issued",
                         (json_int_t)use.used, "opens", hf_json_time(use.opens_s));
    else if (err == HF_OK)
        *out = json_pack("{s:s, s:s, s:o}", "name", ca.name, "account", ca.account, "certificate",
                         hf_json_base64(hf_buf_bytes(&der)));
    hf_buf_free(&der);
    hf_device_ca_free(&ca);
    return err;
}

enum hf_err hf_signer_list_cas(struct hf_signer *signer, const struct hf_moment *now, json_t **out,
                               struct hf_why *why)
{
    char(*names)[HF_ACCOUNT_NAME_MAX + 1] = NULL;
    size_t n = 0;
    HF_TRY(hf_device_ca_list(signer->config->signer.state, &names, &n, why));
    enum hf_err err = HF_OK;
    json_t *list = json_array(), *one = NULL;
    for (size_t i = 0; i < n && err == HF_OK; i++) {
        err = describe_ca(signer, names[i], now, &one, why);
        if (err == HF_OK)
            list = hf_json_append_take(list, one);
    }
    free(names);
    if (err == HF_OK)
        *out = list;
    else
        json_decref(list);
    return err;
}

enum hf_err hf_verb_cas(struct hf_signer *signer, const json_t *request, int fd,
                        const struct hf_moment *now, json_t **answer, struct hf_why *why)
{
    json_t *list = NULL;
    (void)request, (void)fd, (void)now;
    HF_TRY(hf_signer_list_cas(signer, NULL, &list, why));
    *answer = json_pack("{s:o}", "cas", list);
    return HF_OK;
}

/* The note comes before the files: a power cut in between leaves a note of a CA that no one has. */
enum hf_err hf_signer_make_ca(const struct hf_config *config, const char *name, const char *account,
                              int64_t days, int64_t now_s, struct hf_why *why)
{
    char subject[2 * HF_ACCOUNT_NAME_MAX + 2];
    struct hf_device_ca ca;
    struct hf_buf der = {0};
    HF_TRY(hf_device_ca_make(config->signer.state, name, account, days, now_s, &ca, why));
    enum hf_err err = hf_client_cert_der(ca.certificate, &der, why);
    (void)snprintf(subject, sizeof subject, "%s/%s", account, name);
    const struct hf_signature_note note = {"device-ca", subject, 0, hf_buf_bytes(&der), now_s};
    if (err == HF_OK)
        err = hf_signer_state_note_beside(config->signer.state, &note, why);
    if (err == HF_OK)
        err = hf_device_ca_save(config->signer.state, &ca, why);
    hf_buf_free(&der);
    hf_device_ca_free(&ca);
    return err;
}
