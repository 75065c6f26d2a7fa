#include "server/audit/chain.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

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
