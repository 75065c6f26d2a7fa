/* The audit log: seals over what was computed here, and a restart after entries were lost. */
#include "server/signer/quota.h"
#include "server/signer/verbs.h"

#include "common/base/timetext.h"
#include "common/os/service.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

/* ---- sealing --------------------------------------------------------------------------------- */

/* After a restart the new log begins at an entry that this log key sealed once, as `base` shows, or
 * at nothing: never at a hash that was just handed over. */
static enum hf_err read_base(const struct hf_signer *signer, const json_t *base,
                             struct hf_audit_head *out, struct hf_why *why)
{
    static const char what[] = HF_SIGNER_REQUEST ": \"base\"";
    struct hf_audit_head head = {0};
    uint8_t signature[HF_AUDIT_SIGNATURE_LEN], key[crypto_sign_PUBLICKEYBYTES];
    const char *hash = NULL;
    int64_t sealed_s = 0;
    HF_TRY(hf_json_get_integer(base, "sequence", what, 0, &head.sequence, why));
    if (head.sequence > 0) {
        HF_TRY(hf_json_get_text(base, "hash", what, &hash, why));
        if (!hf_hex_decode(hash, head.hash, sizeof head.hash))
            return hf_fail(why, HF_E_FORMAT, "%s: \"hash\" is not 64 hexadecimal digits", what);
        HF_TRY(hf_json_get_time(base, "time", what, &sealed_s, why));
        HF_TRY(hf_json_get_bytes(base, "signature", what, signature, sizeof signature, why));
        (void)crypto_sign_ed25519_sk_to_pk(key, signer->log_key.secret_key);
        HF_TRY(hf_audit_seal_verify(&head, sealed_s, signature, key, why));
    }
    *out = head;
    return HF_OK;
}

/* Does the request go on behind entries that were read before? Their hash was computed here, from
 * the last seal. */
static bool goes_on(const struct hf_signer *signer, const json_t *request,
                    const struct hf_seal_head *sealed)
{
    const json_t *first = json_array_get(json_object_get(request, "entries"), 0);
    return signer->read.sequence > sealed->head.sequence &&
           json_integer_value(json_object_get(first, "sequence")) == signer->read.sequence + 1;
}

/* Where the entries of this request begin. */
static enum hf_err find_head(struct hf_signer *signer, const json_t *request,
                             const struct hf_log_restart *restart, struct hf_audit_head *out,
                             struct hf_why *why)
{
    const json_t *base = json_object_get(request, "base");
    struct hf_seal_head sealed;
    if (restart->statement == NULL && base != NULL)
        return hf_fail(why, HF_E_POLICY,
                       HF_SIGNER_REQUEST ": \"base\" is for a log that was restarted. Run "
                                         "`holdfast-signer log restart` first");
    if (restart->statement == NULL) {
        HF_TRY(hf_signer_state_seal_head(&signer->state, &sealed, why));
        *out = goes_on(signer, request, &sealed) ? signer->read : sealed.head;
        return HF_OK;
    }
    if (base == NULL && restart->read.sequence < 0)
        return hf_fail(why, HF_E_POLICY,
                       "the log was restarted: expected the seal that it goes on from (\"base\")");
    if (base != NULL)
        return read_base(signer, base, out, why);
    *out = restart->read;
    return HF_OK;
}

static bool is_restart(const json_t *entry, const json_t *statement)
{
    const char *action = json_string_value(json_object_get(entry, "action"));
    return statement != NULL && action != NULL && strcmp(action, HF_AUDIT_RESTART) == 0 &&
           json_equal(json_object_get(entry, "details"), statement) == 1;
}

static enum hf_err sign_seal(struct hf_signer *signer, const struct hf_seal_head *next,
                             const struct hf_moment *now, json_t **answer, struct hf_why *why)
{
    uint8_t signature[HF_AUDIT_SIGNATURE_LEN];
    struct hf_buf text = {0};
    char subject[32];
    HF_TRY(hf_audit_seal_text(&next->head, next->sealed_s, &text, why));
    (void)snprintf(subject, sizeof subject, "entry %" PRId64, next->head.sequence);
    const struct hf_signature_note note = {"seal", subject, 0, hf_buf_bytes(&text), next->sealed_s};
    const struct hf_quota quota = {HF_QUOTA_SEAL, "", HF_SEALS_PER_HOUR};
    enum hf_err err = hf_quota_take(&signer->state, &quota, 1, now, why);
    if (err == HF_OK) {
        err = hf_signer_state_set_seal_head(&signer->state, next, &note, why);
        err = hf_quota_commit(&signer->state, err, NULL, why);
    }
    if (err == HF_OK) {
        signer->read = (struct hf_audit_head){0};
        /* Out of holdfastd's reach: it shows that a copy of the log was cut short. */
        hf_service_log(HF_LOG_INFO, "sealed the audit log up to entry %" PRId64,
                       next->head.sequence);
        crypto_sign_detached(signature, NULL, text.data, text.len, signer->log_key.secret_key);
        *answer = json_pack("{s:I, s:o, s:o, s:o}", "sequence", (json_int_t)next->head.sequence,
                            "hash", hf_json_sha256(next->head.hash), "time",
                            hf_json_time(next->sealed_s), "signature",
                            hf_json_base64((struct hf_bytes){signature, sizeof signature}));
    }
    hf_buf_free(&text);
    return err;
}

/* Entries that are not to be sealed yet, because more follow ("more"), are only read. A restarted
 * log is read until the entry that states the restart, and sealed there. */
static enum hf_err extend(struct hf_signer *signer, const json_t *request,
                          const struct hf_log_restart *restart, const struct hf_moment *now,
                          json_t **answer, struct hf_why *why)
{
    struct hf_seal_head next = {.sealed_s = now->wall_s};
    json_t *entries = NULL;
    bool has_restarted = restart->statement != NULL;
    bool must_seal = !has_restarted && !json_is_true(json_object_get(request, "more"));
    HF_TRY(hf_json_get_array(request, "entries", HF_SIGNER_REQUEST, &entries, why));
    size_t n = json_array_size(entries);
    if (n == 0 || n > HF_SEAL_ENTRIES_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       HF_SIGNER_REQUEST ": \"entries\": expected 1 to %u, found %zu",
                       HF_SEAL_ENTRIES_MAX, n);
    HF_TRY(find_head(signer, request, restart, &next.head, why));
    for (size_t i = 0; i < n; i++) {
        HF_TRY(hf_audit_extend(&next.head, json_array_get(entries, i), why));
        must_seal |= is_restart(json_array_get(entries, i), restart->statement);
    }
    if (must_seal)
        return sign_seal(signer, &next, now, answer, why);
    if (has_restarted)
        HF_TRY(hf_signer_state_set_restart_read(&signer->state, &next.head, why));
    else
        signer->read = next.head;
    *answer = json_pack("{s:I, s:o}", "sequence", (json_int_t)next.head.sequence, "hash",
                        hf_json_sha256(next.head.hash));
    return HF_OK;
}

enum hf_err hf_verb_seal(struct hf_signer *signer, const json_t *request, int fd,
                         const struct hf_moment *now, json_t **answer, struct hf_why *why)
{
    struct hf_log_restart restart;
    (void)fd;
    HF_TRY(hf_signer_state_restart(&signer->state, &restart, why));
    enum hf_err err = extend(signer, request, &restart, now, answer, why);
    json_decref(restart.statement);
    return err;
}

/* ---- the restart ----------------------------------------------------------------------------- */

enum hf_err hf_signer_restart_log(struct hf_signer *signer, const char *reason, int64_t now_s,
                                  struct hf_audit_head *lost, struct hf_why *why)
{
    struct hf_seal_head sealed;
    struct hf_buf text = {0};
    size_t len = strlen(reason);
    if (len == 0 || len > HF_RESTART_REASON_MAX)
        return hf_fail(why, HF_E_ARGUMENT, "--reason: expected 1 to %u bytes, found %zu",
                       HF_RESTART_REASON_MAX, len);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)reason[i] < ' ' || (unsigned char)reason[i] > '~')
            return hf_fail(why, HF_E_ARGUMENT, "--reason: expected plain ASCII text on one line");
    HF_TRY(hf_signer_state_seal_head(&signer->state, &sealed, why));
    if (sealed.head.sequence == 0)
        return hf_fail(why, HF_E_STATE,
                       "this signer has sealed nothing yet, so no entry of the log can be missing");
    json_t *statement = hf_audit_restart_sign(&sealed.head, now_s, reason,
                                              signer->log_key.secret_key);
    enum hf_err err = statement != NULL ? hf_json_canonical(statement, &text, why)
                                        : hf_fail(why, HF_E_MEMORY, "no memory for a restart");
    const struct hf_signature_note note = {"log-restart", reason, 0, hf_buf_bytes(&text), now_s};
    if (err == HF_OK)
        err = hf_signer_state_begin_restart(&signer->state, statement, &note, why);
    if (err == HF_OK)
        *lost = sealed.head;
    json_decref(statement);
    hf_buf_free(&text);
    return err;
}
