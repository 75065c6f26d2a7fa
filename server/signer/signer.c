#include "server/signer/signer.h"

#include "common/base/device_id.h"
#include "common/base/timetext.h"
#include "common/os/file_util.h"
#include "server/audit/chain.h"
#include "server/identity/client_cert.h"
#include "server/identity/csr.h"
#include "server/repository/keys/key_file.h"
#include "server/repository/online.h"
#include "server/signer/device_ca.h"
#include "server/signer/protocol.h"

#include <inttypes.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define REQUEST "a request to the signer"

/* ---- opening -------------------------------------------------------------------------------------- */

enum hf_err hf_signer_make(const struct hf_config *config, struct hf_why *why)
{
    struct hf_path path;
    struct hf_signing_key key = {0};
    const struct hf_kdf open = {.kind = HF_KDF_NONE};
    bool was_made = false;
    HF_TRY(hf_path_set(&path, why, "%s/log.key.json", config->signer.state));
    HF_TRY(hf_file_make_dir(config->signer.state, &was_made, why));
    HF_TRY(hf_signing_key_make(NULL, &key, why));
    enum hf_err err = hf_key_file_create(path.text, &key, &open, NULL, why);
    hf_signing_key_free(&key);
    return err;
}

enum hf_err hf_signer_open(const struct hf_config *config, struct hf_signer *out,
                           struct hf_why *why)
{
    struct hf_signer signer = {.config = config};
    struct hf_path path;
    struct hf_key_file file = {0};
    HF_TRY(hf_path_set(&path, why, "%s/log.key.json", config->signer.state));
    if (!hf_file_exists(path.text))
        return hf_fail(why, HF_E_NOT_FOUND,
                       "there is no log key %s; make the signer's state folder with "
                       "holdfast-signer init",
                       path.text);
    HF_TRY(hf_key_file_read(path.text, &file, why));
    enum hf_err err = hf_key_file_open(&file, NULL, &signer.log_key, why);
    hf_key_file_free(&file);
    if (err == HF_OK)
        err = hf_signer_state_open(config->signer.state, &signer.state, why);
    if (err == HF_OK)
        *out = signer;
    else
        hf_signing_key_free(&signer.log_key);
    return err;
}

void hf_signer_close(struct hf_signer *signer)
{
    hf_signer_state_close(&signer->state);
    hf_signing_key_free(&signer->log_key);
}

/* ---- the repository --------------------------------------------------------------------------------- */

static struct hf_publication_context context_of(const struct hf_signer *signer, int64_t now_s)
{
    return (struct hf_publication_context){
        .repo_dir = signer->config->repository.path,
        .keys_dir = signer->config->signer.keys,
        .passphrase_file = signer->config->signer.passphrase_file,
        .online_passphrase_file = signer->config->signer.passphrase_file,
        .now_s = now_s,
        .location = HF_KEYS_ONLINE,
    };
}

/* Note what devices find now of the two roles that this process signs. */
static enum hf_err note_published(struct hf_signer *signer, const struct hf_online_result *result,
                                  int64_t now_s, struct hf_why *why)
{
    static const struct {
        enum hf_top_role role;
        const char *kind;
        bool is_numbered;
    } roles[] = {{HF_ROLE_SNAPSHOT, "snapshot", true}, {HF_ROLE_TIMESTAMP, "timestamp", false}};
    const struct hf_repo repo = {.dir = signer->config->repository.path};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        int64_t version = result->versions[roles[i].role];
        struct hf_buf file = {0};
        char subject[32];
        (void)snprintf(subject, sizeof subject, "version %" PRId64, version);
        enum hf_err err = hf_repo_read_role(&repo, roles[i].role, version, roles[i].is_numbered,
                                            &file, why);
        const struct hf_signature_note note = {roles[i].kind, subject, version, hf_buf_bytes(&file),
                                               now_s};
        if (err == HF_OK)
            err = hf_signer_state_note_version(&signer->state, &note, why);
        hf_buf_free(&file);
        HF_TRY(err);
    }
    return HF_OK;
}

/* {"root": {"version": 1, "expires": "…", "signed_now": false}, …} */
static json_t *versions_object(const struct hf_online_result *result)
{
    static const char *const names[] = {[HF_ROLE_ROOT] = "root",
                                        [HF_ROLE_TARGETS] = "targets",
                                        [HF_ROLE_SNAPSHOT] = "snapshot",
                                        [HF_ROLE_TIMESTAMP] = "timestamp"};
    json_t *object = json_object();
    for (int role = 0; role < HF_TOP_ROLES; role++)
        object = hf_json_set_take(object, names[role],
                                  json_pack("{s:I, s:o, s:b}", "version",
                                            (json_int_t)result->versions[role], "expires",
                                            hf_json_time(result->expires_s[role]), "signed_now",
                                            result->signed_now[role] != 0));
    return object;
}

static enum hf_err answer_published(struct hf_signer *signer, const struct hf_online_result *result,
                                    int64_t now_s, json_t **answer, struct hf_why *why)
{
    signer->refreshed_s = now_s;
    HF_TRY(note_published(signer, result, now_s, why));
    *answer = json_pack("{s:o, s:I}", "versions", versions_object(result), "waiting",
                        (json_int_t)result->waiting);
    return HF_OK;
}

static enum hf_err refresh(struct hf_signer *signer, const json_t *request, int fd, int64_t now_s,
                           json_t **answer, struct hf_why *why)
{
    const struct hf_publication_context at = context_of(signer, now_s);
    struct hf_online_result result = {0};
    (void)request, (void)fd;
    if (signer->refreshed_s != 0 && now_s - signer->refreshed_s < HF_REFRESH_EVERY_S)
        return hf_fail(why, HF_E_LIMIT,
                       "a timestamp was signed %" PRId64 " seconds ago; one a minute is allowed",
                       now_s - signer->refreshed_s);
    HF_TRY(hf_online_refresh(&at, &result, why));
    return answer_published(signer, &result, now_s, answer, why);
}

/* The folder is read through the descriptor, so that a name cannot be exchanged under us, and with the rights
 * of this process. */
static enum hf_err publish(struct hf_signer *signer, const json_t *request, int fd, int64_t now_s,
                           json_t **answer, struct hf_why *why)
{
    const struct hf_publication_context at = context_of(signer, now_s);
    struct hf_online_result result = {0};
    char from[64];
    struct stat status;
    (void)request;
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISDIR(status.st_mode))
        return hf_fail(why, HF_E_ARGUMENT,
                       "publish: expected the descriptor of a folder with the request, found none");
    (void)snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    HF_TRY(hf_online_publish(&at, from, &result, why));
    return answer_published(signer, &result, now_s, answer, why);
}

enum hf_err hf_signer_keep_fresh(struct hf_signer *signer, int64_t now_s, int64_t *next_s,
                                 struct hf_why *why)
{
    const struct hf_publication_context at = context_of(signer, now_s);
    int64_t every_s = signer->config->signer.timestamp_every_s;
    struct hf_publication p;
    struct hf_online_result result = {0};
    int64_t new_end_s = 0;
    bool is_half_over = false;
    *next_s = now_s + HF_REFRESH_RETRY_S;
    HF_TRY(hf_publication_open(&at, &p, why));
    int64_t end_s = p.set.timestamp->env.expires_s;
    enum hf_err err = hf_publication_expiry(&p, HF_ROLE_TIMESTAMP, &new_end_s, why);
    if (err == HF_OK)
        err = hf_publication_is_due(&p, HF_ROLE_TIMESTAMP, &p.set.timestamp->env, &is_half_over,
                                    why);
    hf_publication_close(&p);
    if (err != HF_OK)
        return err;
    /* A new one would end at new_end_s, so this one is as old as it ends earlier. */
    int64_t age_s = new_end_s - end_s;
    if (is_half_over || age_s >= every_s) {
        HF_TRY(hf_online_refresh(&at, &result, why));
        signer->refreshed_s = now_s;
        HF_TRY(note_published(signer, &result, now_s, why));
        age_s = 0;
    }
    int64_t half_s = (new_end_s - now_s) / 2, wait_s = every_s - age_s;
    if (half_s - age_s < wait_s)
        wait_s = half_s - age_s;
    *next_s = now_s + (wait_s > 1 ? wait_s : 1);
    return HF_OK;
}

/* ---- certificates -------------------------------------------------------------------------------------- */

/* Bytes in base64 under `key`, at most `max`. */
static enum hf_err get_bytes(const json_t *request, const char *key, size_t max, struct hf_buf *out,
                             struct hf_why *why)
{
    const char *text = NULL;
    size_t len = 0;
    HF_TRY(hf_json_get_text(request, key, REQUEST, &text, why));
    if (strlen(text) > max / 3 * 4 + 4)
        return hf_fail(why, HF_E_LIMIT, REQUEST ": \"%s\": expected at most %zu bytes", key, max);
    if (hf_buf_reserve(out, max + 3) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "no memory for \"%s\"", key);
    if (sodium_base642bin(out->data, max + 3, text, strlen(text), NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return hf_fail(why, HF_E_FORMAT, REQUEST ": \"%s\" is no base64", key);
    out->len = len;
    return HF_OK;
}

static json_t *base64_of(struct hf_bytes bytes)
{
    size_t size = sodium_base64_ENCODED_LEN(bytes.len, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(size);
    json_t *value = NULL;
    if (text != NULL)
        value = json_string(
            sodium_bin2base64(text, size, bytes.data, bytes.len, sodium_base64_VARIANT_ORIGINAL));
    free(text);
    return value;
}

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
    HF_TRY(hf_json_get_text(request, "ca", REQUEST, &ca, why));
    HF_TRY(hf_json_get_text(request, "account", REQUEST, &account, why));
    HF_TRY(hf_json_get_text(request, "device", REQUEST, &order.id, why));
    if (!hf_device_id_is_valid(order.id))
        return hf_fail(why, HF_E_ARGUMENT,
                       REQUEST ": \"device\": expected 1 to %d of A-Z a-z 0-9 . _ : -",
                       HF_DEVICE_ID_MAX);
    enum hf_err err = get_bytes(request, "csr", HF_SIGNER_CSR_BYTES_MAX, &csr, why);
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

/* Issue, count by `count`, and answer. */
static enum hf_err fill_order(struct hf_signer *signer, const struct order *order,
                              const uint8_t *renewed_sha256, int64_t now_s, json_t **answer,
                              struct hf_why *why)
{
    char subject[HF_CA_NAME_MAX + HF_DEVICE_ID_MAX + 2];
    const unsigned char *spki = order->csr.spki.data;
    X509 *made = NULL;
    struct hf_buf der = {0};
    EVP_PKEY *key = d2i_PUBKEY(NULL, &spki, (long)order->csr.spki.len);
    enum hf_err err = key != NULL ? HF_OK
                                  : hf_fail(why, HF_E_FORMAT, "the key of a request is unreadable");
    if (err == HF_OK)
        err = hf_device_ca_issue(&order->ca, key, order->id, now_s, &made, why);
    if (err == HF_OK)
        err = hf_certificate_der(made, &der, why);
    (void)snprintf(subject, sizeof subject, "%s/%s", order->ca.account, order->id);
    const struct hf_signature_note note = {renewed_sha256 != NULL ? "renewal" : "certificate",
                                           subject, 0, hf_buf_bytes(&der), now_s};
    if (err == HF_OK && renewed_sha256 != NULL)
        err = hf_signer_state_renew(&signer->state, renewed_sha256, &note, why);
    else if (err == HF_OK)
        err = hf_signer_state_issue(&signer->state, signer->config->signer.issue_per_day, &note,
                                    why);
    if (err == HF_OK)
        *answer = json_pack("{s:o}", "certificate", base64_of(hf_buf_bytes(&der)));
    hf_buf_free(&der);
    X509_free(made);
    EVP_PKEY_free(key);
    return err;
}

static enum hf_err issue(struct hf_signer *signer, const json_t *request, int fd, int64_t now_s,
                         json_t **answer, struct hf_why *why)
{
    struct order order;
    (void)fd;
    HF_TRY(order_read(signer, request, &order, why));
    enum hf_err err = fill_order(signer, &order, NULL, now_s, answer, why);
    order_free(&order);
    return err;
}

/* The old certificate is of this very CA, still valid, and of this device; and its key signed the request: so a
 * stolen holdfastd cannot renew what it has no key of. */
static enum hf_err check_old(const struct order *order, X509 *old, struct hf_bytes signature,
                             int64_t now_s, struct hf_why *why)
{
    static const char prefix[] = "holdfast renew"; /* and its NUL */
    struct hf_client_cert cert;
    struct hf_client_cert_text text;
    struct hf_buf message = {0};
    HF_TRY(hf_client_cert_describe(old, &cert, why));
    HF_TRY(hf_client_cert_describe_text(old, &text, why));
    HF_TRY(hf_client_cert_check_dates(&cert, now_s, why));
    if (X509_check_issued(order->ca.certificate, old) != X509_V_OK ||
        X509_verify(old, X509_get0_pubkey(order->ca.certificate)) != 1)
        return hf_fail(why, HF_E_POLICY,
                       "the old certificate was not issued by the device CA %s; renew it there, or "
                       "enrol the device again",
                       order->ca.name);
    if (!hf_device_ca_is_of(old, order->id))
        return hf_fail(why, HF_E_POLICY,
                       "the old certificate is of device \"%.80s\", not of \"%s\"",
                       text.common_name, order->id);
    HF_TRY(hf_buf_append(&message, prefix, sizeof prefix));
    enum hf_err err = hf_buf_append(&message, order->csr.der.data, order->csr.der.len);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool is_signed = err == HF_OK && ctx != NULL &&
                     EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, X509_get0_pubkey(old)) ==
                         1 &&
                     EVP_DigestVerify(ctx, signature.data, signature.len, message.data,
                                      message.len) == 1;
    EVP_MD_CTX_free(ctx);
    hf_buf_free(&message);
    return is_signed ? HF_OK
                     : hf_fail(why, HF_E_SIGNATURE,
                               "the key of the old certificate did not sign this request");
}

static enum hf_err renew(struct hf_signer *signer, const json_t *request, int fd, int64_t now_s,
                         json_t **answer, struct hf_why *why)
{
    struct order order;
    struct hf_buf old_der = {0}, signature = {0};
    X509 *old = NULL;
    uint8_t sha256[HF_SHA256_LEN];
    (void)fd;
    HF_TRY(order_read(signer, request, &order, why));
    enum hf_err err = get_bytes(request, "old", HF_SIGNER_CSR_BYTES_MAX, &old_der, why);
    if (err == HF_OK)
        err = get_bytes(request, "signature", HF_SIGNER_CSR_BYTES_MAX, &signature, why);
    if (err == HF_OK)
        err = hf_client_cert_read_der(hf_buf_bytes(&old_der), &old, why);
    if (err == HF_OK)
        err = check_old(&order, old, hf_buf_bytes(&signature), now_s, why);
    if (err == HF_OK) {
        /* Once an hour a device, not a certificate: a chain of renewals has a new certificate each time. */
        char device[HF_CA_NAME_MAX + HF_DEVICE_ID_MAX + 2];
        (void)snprintf(device, sizeof device, "%s/%s", order.ca.account, order.id);
        hf_sha256(hf_bytes_of_text(device), sha256);
        err = fill_order(signer, &order, sha256, now_s, answer, why);
    }
    X509_free(old);
    hf_buf_free(&old_der);
    hf_buf_free(&signature);
    order_free(&order);
    return err;
}

static enum hf_err list_cas(struct hf_signer *signer, json_t **out, struct hf_why *why)
{
    const char *dir = signer->config->signer.state;
    char(*names)[HF_CA_NAME_MAX + 1] = NULL;
    size_t n = 0;
    HF_TRY(hf_device_ca_list(dir, &names, &n, why));
    enum hf_err err = HF_OK;
    json_t *list = json_array();
    for (size_t i = 0; i < n && err == HF_OK; i++) {
        struct hf_device_ca ca;
        struct hf_buf der = {0};
        err = hf_device_ca_read(dir, names[i], false, &ca, why);
        if (err != HF_OK)
            break;
        err = hf_certificate_der(ca.certificate, &der, why);
        list = hf_json_append_take(list, json_pack("{s:s, s:s, s:o}", "name", ca.name, "account",
                                                   ca.account, "certificate",
                                                   base64_of(hf_buf_bytes(&der))));
        hf_buf_free(&der);
        hf_device_ca_free(&ca);
    }
    free(names);
    if (err == HF_OK)
        *out = list;
    else
        json_decref(list);
    return err;
}

static enum hf_err cas(struct hf_signer *signer, const json_t *request, int fd, int64_t now_s,
                       json_t **answer, struct hf_why *why)
{
    json_t *list = NULL;
    (void)request, (void)fd, (void)now_s;
    HF_TRY(list_cas(signer, &list, why));
    *answer = json_pack("{s:o}", "cas", list);
    return HF_OK;
}

/* ---- the log --------------------------------------------------------------------------------------------- */

static enum hf_err seal(struct hf_signer *signer, const json_t *request, int fd, int64_t now_s,
                        json_t **answer, struct hf_why *why)
{
    struct hf_seal_head last;
    struct hf_buf text = {0};
    uint8_t signature[HF_AUDIT_SIGNATURE_LEN];
    json_t *entries = NULL;
    char subject[32];
    (void)fd;
    HF_TRY(hf_json_get_array(request, "entries", REQUEST, &entries, why));
    size_t n = json_array_size(entries);
    if (n == 0 || n > HF_SEAL_ENTRIES_MAX)
        return hf_fail(why, HF_E_LIMIT, REQUEST ": \"entries\": expected 1 to %u, found %zu",
                       HF_SEAL_ENTRIES_MAX, n);
    HF_TRY(hf_signer_state_seal_head(&signer->state, &last, why));
    struct hf_audit_head head = {.sequence = last.sequence};
    memcpy(head.hash, last.hash, sizeof head.hash);
    for (size_t i = 0; i < n; i++)
        HF_TRY(hf_audit_extend(&head, json_array_get(entries, i), why));

    HF_TRY(hf_audit_seal_text(&head, now_s, &text, why));
    (void)snprintf(subject, sizeof subject, "entry %" PRId64, head.sequence);
    struct hf_seal_head next = {.sequence = head.sequence, .sealed_s = now_s};
    memcpy(next.hash, head.hash, sizeof next.hash);
    const struct hf_signature_note note = {"seal", subject, 0, hf_buf_bytes(&text), now_s};
    enum hf_err err = hf_signer_state_set_seal_head(&signer->state, &next, &note, why);
    if (err == HF_OK) {
        crypto_sign_detached(signature, NULL, text.data, text.len, signer->log_key.secret_key);
        *answer = json_pack("{s:I, s:o, s:o, s:o}", "sequence", (json_int_t)head.sequence, "hash",
                            hf_json_sha256(head.hash), "time", hf_json_time(now_s), "signature",
                            base64_of((struct hf_bytes){signature, sizeof signature}));
    }
    hf_buf_free(&text);
    return err;
}

static enum hf_err signatures(struct hf_signer *signer, const json_t *request, int fd,
                              int64_t now_s, json_t **answer, struct hf_why *why)
{
    int64_t after = 0, newest = 0;
    json_t *list = NULL;
    (void)fd, (void)now_s;
    HF_TRY(hf_json_get_integer(request, "after", REQUEST, 0, &after, why));
    HF_TRY(hf_signer_state_newest(&signer->state, &newest, why));
    HF_TRY(hf_signer_state_signatures(&signer->state, after, &list, why));
    *answer = json_pack("{s:o, s:I}", "signatures", list, "newest", (json_int_t)newest);
    return HF_OK;
}

/* ---- status, and the table ----------------------------------------------------------------------------------- */

static enum hf_err status(struct hf_signer *signer, const json_t *request, int fd, int64_t now_s,
                          json_t **answer, struct hf_why *why)
{
    struct hf_seal_head head;
    int64_t issued = 0;
    json_t *list = NULL;
    (void)request, (void)fd;
    HF_TRY(hf_signer_state_issued(&signer->state, now_s, &issued, why));
    HF_TRY(hf_signer_state_seal_head(&signer->state, &head, why));
    HF_TRY(list_cas(signer, &list, why));
    *answer = json_pack("{s:o, s:o, s:{s:I, s:I}, s:{s:I, s:o, s:o}, s:o}", "log_key",
                        json_incref(signer->log_key.public_key), "cas", list, "quota", "per_day",
                        (json_int_t)signer->config->signer.issue_per_day, "issued_today",
                        (json_int_t)issued, "seal", "sequence", (json_int_t)head.sequence, "hash",
                        hf_json_sha256(head.hash), "time",
                        hf_json_time(head.sequence > 0 ? head.sealed_s : HF_TIME_NONE), "refreshed",
                        hf_json_time(signer->refreshed_s > 0 ? signer->refreshed_s : HF_TIME_NONE));
    return HF_OK;
}

json_t *hf_signer_answer(struct hf_signer *signer, const json_t *request, int fd, int64_t now_s)
{
    static const struct {
        const char *verb;
        enum hf_err (*run)(struct hf_signer *signer, const json_t *request, int fd, int64_t now_s,
                           json_t **answer, struct hf_why *why);
    } verbs[] = {
        {"status", status}, {"refresh", refresh}, {"publish", publish}, {"issue", issue},
        {"renew", renew},   {"cas", cas},         {"seal", seal},       {"signatures", signatures},
    };
    struct hf_why why = {0};
    const char *verb = NULL;
    json_t *answer = NULL;
    enum hf_err err = hf_json_get_text(request, "verb", REQUEST, &verb, &why);
    if (err == HF_OK)
        err = hf_fail(&why, HF_E_ARGUMENT, REQUEST ": there is no verb \"%.32s\"", verb);
    for (size_t i = 0; verb != NULL && i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].verb, verb) == 0)
            err = verbs[i].run(signer, request, fd, now_s, &answer, &why);
    if (err != HF_OK)
        return hf_signer_refusal(&why);
    return hf_json_set_take(answer, "ok", json_true());
}
