#include "server/audit/chain.h"

#include <inttypes.h>
#include <sodium.h>

enum hf_err hf_audit_extend(struct hf_audit_head *head, const json_t *entry, struct hf_why *why)
{
    int64_t sequence = 0;
    struct hf_buf text = {0};
    crypto_hash_sha256_state hash;
    HF_TRY(hf_json_get_integer(entry, "sequence", "an entry of the log", 1, &sequence, why));
    if (sequence != head->sequence + 1)
        return hf_fail(why, HF_E_ROLLBACK,
                       "the log: expected entry %" PRId64 ", found entry %" PRId64
                       "; entries are missing or were changed",
                       head->sequence + 1, sequence);
    enum hf_err err = hf_json_canonical(entry, &text, why);
    if (err == HF_OK) {
        crypto_hash_sha256_init(&hash);
        crypto_hash_sha256_update(&hash, head->hash, sizeof head->hash);
        crypto_hash_sha256_update(&hash, text.data, text.len);
        crypto_hash_sha256_final(&hash, head->hash);
        head->sequence = sequence;
    }
    hf_buf_free(&text);
    return err;
}

enum hf_err hf_audit_seal_text(const struct hf_audit_head *head, int64_t sealed_s,
                               struct hf_buf *out, struct hf_why *why)
{
    json_t *seal = json_pack("{s:o, s:I, s:o, s:s}", "hash", hf_json_sha256(head->hash), "sequence",
                             (json_int_t)head->sequence, "time", hf_json_time(sealed_s), "type",
                             "holdfast-seal");
    if (seal == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a seal");
    enum hf_err err = hf_json_canonical(seal, out, why);
    json_decref(seal);
    return err;
}

enum hf_err hf_audit_seal_verify(const struct hf_audit_head *head, int64_t sealed_s,
                                 const uint8_t signature[HF_AUDIT_SIGNATURE_LEN],
                                 const uint8_t public_key[32], struct hf_why *why)
{
    struct hf_buf text = {0};
    HF_TRY(hf_audit_seal_text(head, sealed_s, &text, why));
    int failed = crypto_sign_ed25519_verify_detached(signature, text.data, text.len, public_key);
    hf_buf_free(&text);
    if (failed != 0)
        return hf_fail(why, HF_E_SIGNATURE,
                       "the seal of entry %" PRId64 " is not signed by this log key over this log",
                       head->sequence);
    return HF_OK;
}

/* ---- a restart of the log -------------------------------------------------------------------- */

/* What is signed: the statement without its signature, and a type, so that it is no seal. */
static enum hf_err restart_text(const json_t *statement, struct hf_buf *out, struct hf_why *why)
{
    json_t *text = json_copy((json_t *)(uintptr_t)statement);
    if (text == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a restart of the log");
    (void)json_object_del(text, "signature");
    text = hf_json_set_take(text, "type", json_string("holdfast-log-restart"));
    enum hf_err err = text != NULL ? hf_json_canonical(text, out, why)
                                   : hf_fail(why, HF_E_MEMORY, "no memory for a restart");
    json_decref(text);
    return err;
}

json_t *hf_audit_restart_sign(const struct hf_audit_head *lost, int64_t now_s, const char *reason,
                              const uint8_t secret_key[64])
{
    uint8_t signature[HF_AUDIT_SIGNATURE_LEN];
    struct hf_buf text = {0};
    json_t *statement = json_pack("{s:o, s:s, s:I, s:o}", "hash", hf_json_sha256(lost->hash),
                                  "reason", reason, "sequence", (json_int_t)lost->sequence, "time",
                                  hf_json_time(now_s));
    if (statement == NULL || restart_text(statement, &text, NULL) != HF_OK) {
        json_decref(statement);
        return NULL;
    }
    crypto_sign_detached(signature, NULL, text.data, text.len, secret_key);
    hf_buf_free(&text);
    return hf_json_set_take(statement, "signature",
                            hf_json_base64((struct hf_bytes){signature, sizeof signature}));
}

enum hf_err hf_audit_restart_verify(const json_t *statement, const uint8_t *public_key,
                                    struct hf_audit_head *lost, const char **reason,
                                    struct hf_why *why)
{
    static const char what[] = "a restart of the log";
    struct hf_audit_head head;
    uint8_t signature[HF_AUDIT_SIGNATURE_LEN];
    const char *hash = NULL, *text_reason = NULL;
    struct hf_buf text = {0};
    int64_t time_s = 0;
    HF_TRY(hf_json_get_integer(statement, "sequence", what, 1, &head.sequence, why));
    HF_TRY(hf_json_get_text(statement, "hash", what, &hash, why));
    HF_TRY(hf_json_get_text(statement, "reason", what, &text_reason, why));
    HF_TRY(hf_json_get_time(statement, "time", what, &time_s, why));
    HF_TRY(hf_json_get_bytes(statement, "signature", what, signature, sizeof signature, why));
    if (!hf_hex_decode(hash, head.hash, sizeof head.hash) || json_object_size(statement) != 5)
        return hf_fail(why, HF_E_FORMAT, "%s: expected hash, reason, sequence, signature and time",
                       what);
    HF_TRY(restart_text(statement, &text, why));
    int failed = public_key == NULL ? 0
                                    : crypto_sign_ed25519_verify_detached(signature, text.data,
                                                                          text.len, public_key);
    hf_buf_free(&text);
    if (failed != 0)
        return hf_fail(why, HF_E_SIGNATURE, "%s is not signed by this log key", what);
    *lost = head;
    *reason = text_reason;
    return HF_OK;
}
