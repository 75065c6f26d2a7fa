/* A new certificate: under which CA, in which mode and status, and of which device. */
#include "server/fleet/credential_sql.h"

#include "common/json/json.h"
#include "server/fleet/audit_log.h"
#include "server/fleet/ca.h"
#include "server/fleet/device.h"
#include "server/fleet/events.h"
#include "server/fleet/names.h"

#include <string.h>

/* What the CA decides. */
struct terms {
    enum hf_cert_mode mode;
    enum hf_cert_status status;
};

enum hf_err hf_credential_note(struct hf_tx *tx, const struct hf_credential *row,
                               struct hf_why *why)
{
    struct hf_effect effect = {.kind = HF_EFFECT_CREDENTIAL,
                               .credential = hf_credential_registered(row),
                               .device_id = row->device_id};

    memcpy(effect.sha256, row->sha256, sizeof effect.sha256);
    return hf_effects_add(tx->effects, &effect, why);
}

static enum hf_err check_values(const struct hf_credential_new *wanted, struct hf_why *why)
{
    if (wanted->der.len == 0 || wanted->der.len > HF_FLEET_DER_MAX)
        return hf_fail(why, HF_E_LIMIT, "a certificate has at most %u bytes", HF_FLEET_DER_MAX);
    if (wanted->source != HF_SOURCE_AUTO && wanted->status != HF_CERT_ACTIVE &&
        wanted->status != HF_CERT_INACTIVE)
        return hf_fail(why, HF_E_ARGUMENT,
                       "a certificate is registered ACTIVE or INACTIVE (found %s)",
                       hf_cert_status_name(wanted->status));
    if (wanted->kind != HF_CERT_DEVICE && wanted->kind != HF_CERT_CLAIM)
        return hf_fail(why, HF_E_ARGUMENT, "a certificate is of kind device or claim");
    if (wanted->kind == HF_CERT_CLAIM && wanted->device != NULL)
        return hf_fail(why, HF_E_ARGUMENT, "a claim certificate belongs to no device");
    HF_TRY(hf_name_check_text("subject", wanted->subject, HF_FLEET_SUBJECT_MAX - 1, why));
    return hf_name_check_text("serial", wanted->serial, HF_FLEET_SERIAL_MAX - 1, why);
}

static enum hf_err find_terms(struct hf_tx *tx, const struct hf_credential_new *wanted,
                              struct terms *out, struct hf_why *why)
{
    struct terms terms = {HF_CERT_MODE_SNI_ONLY, wanted->status};
    struct hf_ca_row ca;

    if (wanted->ca_id == 0) {
        if (wanted->source != HF_SOURCE_REGISTERED)
            return hf_fail(why, HF_E_ARGUMENT, "only an operator registers without a CA");
        *out = terms;
        return HF_OK;
    }
    HF_TRY(hf_ca_get(tx->db, wanted->account_id, wanted->ca_id, &ca, why));
    if (!ca.is_active)
        return hf_fail(why, HF_E_POLICY, "the CA is INACTIVE. Set it ACTIVE to register with it");
    if (wanted->source == HF_SOURCE_ISSUED && ca.signer_name[0] == '\0')
        return hf_fail(why, HF_E_POLICY, "the CA is not one of the signer's");
    if (wanted->source == HF_SOURCE_AUTO) {
        if (ca.signer_name[0] != '\0' || ca.auto_registration == HF_AUTO_REGISTRATION_OFF)
            return hf_fail(why, HF_E_POLICY, "the CA does not register just in time");
        terms.status = ca.auto_registration == HF_AUTO_REGISTRATION_ACTIVE
                           ? HF_CERT_ACTIVE
                           : HF_CERT_PENDING_ACTIVATION;
    }
    terms.mode = ca.mode;
    *out = terms;
    return HF_OK;
}

enum hf_err hf_credential_check_lost(struct hf_tx *tx, int64_t account_id,
                                     const uint8_t sha256[HF_SHA256_LEN], struct hf_why *why)
{
    int64_t n_lost = 0;

    HF_TRY(hf_db_get_int(tx->db, &hf_credential_sql[HF_CRED_FIND_LOST],
                         HF_PARAMS(hf_p_bytes("sha256", sha256, HF_SHA256_LEN),
                                   hf_p_int("account", account_id)),
                         &n_lost, why));
    return n_lost == 0 ? HF_OK
                       : hf_fail(why, HF_E_STATE,
                                 "the certificate was revoked, before a backup was restored");
}

/* Mode DEFAULT means one account only: for this one and for those that have it already. */
static enum hf_err check_alone(struct hf_tx *tx, const struct hf_credential_new *wanted,
                               enum hf_cert_mode mode, struct hf_why *why)
{
    struct hf_credential here;
    int64_t n_others = 0;

    enum hf_err err = hf_credential_find(tx->db, wanted->account_id, wanted->sha256, &here, why);
    if (err == HF_OK)
        return hf_fail(why, HF_E_STATE, "this account has the certificate already (%s)",
                       hf_cert_status_name(here.status));
    if (err != HF_E_NOT_FOUND)
        return err;
    HF_TRY(hf_credential_check_lost(tx, wanted->account_id, wanted->sha256, why));
    HF_TRY(hf_db_get_int(tx->db, &hf_credential_sql[HF_CRED_FIND_OTHER],
                         HF_PARAMS(hf_p_bytes("sha256", wanted->sha256, HF_SHA256_LEN),
                                   hf_p_int("account", wanted->account_id),
                                   hf_p_text("mode", hf_cert_mode_name(mode))),
                         &n_others, why));
    if (n_others > 0)
        return hf_fail(why, HF_E_STATE,
                       "the certificate is registered in another account, and mode DEFAULT means "
                       "one account only");
    return HF_OK;
}

static enum hf_err log_new(struct hf_tx *tx, const struct hf_credential *row, const char *device,
                           struct hf_why *why)
{
    json_t *details = json_pack("{s:o,s:s,s:s,s:s,s:s,s:s,s:s,s:o}", "credential",
                                hf_json_sha256(row->sha256), "subject", row->subject, "serial",
                                row->serial, "kind", hf_cert_kind_name(row->kind), "mode",
                                hf_cert_mode_name(row->mode), "status",
                                hf_cert_status_name(row->status), "source",
                                hf_credential_source_name(row->source), "expires",
                                hf_json_time(row->not_after_s));

    if (details != NULL && device != NULL)
        details = hf_json_set_take(details, "device", json_string(device));
    if (details != NULL && row->replaces_id != 0)
        details = hf_json_set_take(details, "replaces", json_integer(row->replaces_id));
    return hf_audit_append_take(tx, "credential.register", row->account_id, details, why);
}

enum hf_err hf_credential_tell(struct hf_tx *tx, const struct hf_credential *row,
                               const struct hf_credential *old, const char *reason,
                               struct hf_why *why)
{
    struct hf_device device = {.name = ""};
    bool is_first = old == NULL && row->replaces_id == 0 && row->source == HF_SOURCE_ISSUED &&
                    row->device_id != 0;

    if (row->device_id != 0)
        HF_TRY(hf_device_get(tx->db, row->account_id, row->device_id, &device, why));
    hf_event_note_take(tx, is_first ? "enrolled" : "certificate", row->account_id,
                       json_pack("{s:s, s:o, s:o, s:s, s:s}", "device", device.name, "credential",
                                 hf_json_sha256(row->sha256), "from",
                                 old != NULL ? json_string(hf_cert_status_name(old->status))
                                             : json_null(),
                                 "status", hf_cert_status_name(row->status), "reason", reason));
    return HF_OK;
}

enum hf_err hf_credential_insert(struct hf_tx *tx, const struct hf_credential_new *wanted,
                                 const struct hf_credential *old, struct hf_credential *out,
                                 struct hf_why *why)
{
    int64_t device_id = old != NULL ? old->device_id : 0;
    struct hf_credential row;
    struct hf_device device;
    struct terms terms = {HF_CERT_MODE_SNI_ONLY, HF_CERT_INACTIVE};

    HF_TRY(check_values(wanted, why));
    HF_TRY(find_terms(tx, wanted, &terms, why));
    HF_TRY(check_alone(tx, wanted, terms.mode, why));
    if (old == NULL && wanted->device != NULL) {
        HF_TRY(hf_device_ensure(tx, wanted->account_id, wanted->device,
                                wanted->group != NULL ? wanted->group : "", &device, why));
        device_id = device.id;
    }
    HF_TRY(
        hf_credential_one(tx->db, &hf_credential_sql[HF_CRED_INSERT],
                          HF_PARAMS(hf_p_int("account", wanted->account_id),
                                    hf_p_bytes("sha256", wanted->sha256, HF_SHA256_LEN),
                                    hf_p_text("subject", wanted->subject),
                                    hf_p_text("serial", wanted->serial),
                                    hf_p_text("kind", hf_cert_kind_name(wanted->kind)),
                                    hf_p_text("mode", hf_cert_mode_name(terms.mode)),
                                    hf_p_text("status", hf_cert_status_name(terms.status)),
                                    hf_p_text("source", hf_credential_source_name(wanted->source)),
                                    hf_p_int_or_null("ca", wanted->ca_id, 0),
                                    hf_p_int_or_null("device", device_id, 0),
                                    hf_p_int("not_before", wanted->not_before_s),
                                    hf_p_int("not_after", wanted->not_after_s),
                                    hf_p_int("now", tx->now_s),
                                    hf_p_int_or_null("replaces", old != NULL ? old->id : 0, 0),
                                    hf_p_int("confirmed", old == NULL)),
                          &row, why));
    HF_TRY(hf_db_execute(tx->db, &hf_credential_sql[HF_CRED_DER_INSERT],
                         HF_PARAMS(hf_p_int("id", row.id),
                                   hf_p_bytes("der", wanted->der.data, wanted->der.len)),
                         why));
    HF_TRY(log_new(tx, &row, wanted->device, why));
    HF_TRY(hf_credential_tell(tx, &row, NULL, "", why));
    HF_TRY(hf_credential_note(tx, &row, why));
    *out = row;
    return HF_OK;
}

enum hf_err hf_credential_register(struct hf_tx *tx, const struct hf_credential_new *wanted,
                                   struct hf_credential *out, struct hf_why *why)
{
    return hf_credential_insert(tx, wanted, NULL, out, why);
}
