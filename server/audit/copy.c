#include "server/audit/copy.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define BASE64_MAX 96 /* 64 bytes are 88 characters, and a NUL */

/* ---- writing --------------------------------------------------------------------------------- */

enum hf_err hf_audit_entry_text(const json_t *entry, struct hf_buf *out, struct hf_why *why)
{
    const size_t start = out->len;
    enum hf_err err = hf_json_canonical(entry, out, why);

    if (err == HF_OK && out->len - start > HF_AUDIT_ENTRY_MAX)
        err = hf_fail(why, HF_E_LIMIT, "an entry of the log has %zu bytes (expected %u at most)",
                      out->len - start, HF_AUDIT_ENTRY_MAX);
    for (size_t i = start; err == HF_OK && i < out->len; i++)
        if (out->data[i] < 0x20)
            err = hf_fail(why, HF_E_FORMAT,
                          "an entry of the log would hold a control character. Remove it");
    if (err != HF_OK)
        out->len = start;
    return err;
}

enum hf_err hf_audit_entry_line(struct hf_bytes entry, const uint8_t hash[HF_AUDIT_HASH_LEN],
                                struct hf_buf *out, struct hf_why *why)
{
    char hex[HF_SHA256_HEX_LEN];

    hf_hex_encode(hash, HF_AUDIT_HASH_LEN, hex);
    if (hf_buf_append_text(out, "{\"entry\":") != HF_OK ||
        hf_buf_append(out, entry.data, entry.len) != HF_OK ||
        hf_buf_printf(out, ",\"hash\":\"%s\"}\n", hex) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a copy of the log");
    return HF_OK;
}

enum hf_err hf_audit_seal_line(int64_t sequence, int64_t sealed_s,
                               const uint8_t signature[HF_AUDIT_SIGNATURE_LEN], struct hf_buf *out,
                               struct hf_why *why)
{
    char base64[BASE64_MAX], time[HF_TIME_TEXT_MAX];

    hf_time_format(sealed_s, time);
    (void)sodium_bin2base64(base64, sizeof base64, signature, HF_AUDIT_SIGNATURE_LEN,
                            sodium_base64_VARIANT_ORIGINAL);
    if (hf_buf_printf(out,
                      "{\"seal\":{\"sequence\":%" PRId64
                      ",\"time\":\"%s\"},\"signature\":\"%s\"}\n",
                      sequence, time, base64) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a copy of the log");
    return HF_OK;
}

/* ---- verifying ------------------------------------------------------------------------------- */

/* Entries that were sealed are lost, and the signer has let the log go on. */
static enum hf_err check_restart(struct hf_audit_copy *copy, const json_t *entry, int64_t sequence,
                                 struct hf_why *why)
{
    struct hf_audit_head lost;
    const char *reason = NULL;

    HF_TRY(
        hf_audit_restart_verify(json_object_get(entry, "details"), copy->key, &lost, &reason, why));
    copy->n_restarts++;
    copy->restart_sequence = sequence;
    copy->restart_lost = lost.sequence;
    return HF_OK;
}

static enum hf_err check_entry(struct hf_audit_copy *copy, const json_t *line, const json_t *entry,
                               struct hf_why *why)
{
    struct hf_audit_head next = copy->head;
    uint8_t expected[HF_AUDIT_HASH_LEN];
    const char *hash = NULL;

    HF_TRY(hf_json_get_text(line, "hash", "line of the log", &hash, why));
    if (!hf_hex_decode(hash, expected, sizeof expected))
        return hf_fail(why, HF_E_FORMAT, "\"hash\" is not 64 hexadecimal digits");
    HF_TRY(hf_audit_extend(&next, entry, why));
    if (memcmp(next.hash, expected, sizeof expected) != 0)
        return hf_fail(why, HF_E_HASH,
                       "entry %" PRId64 " or its hash was changed: they do not belong together",
                       next.sequence);
    const char *action = json_string_value(json_object_get(entry, "action"));
    if (action != NULL && strcmp(action, HF_AUDIT_RESTART) == 0)
        HF_TRY(check_restart(copy, entry, next.sequence, why));
    copy->head = next;
    return HF_OK;
}

static enum hf_err check_seal(struct hf_audit_copy *copy, const json_t *line, const json_t *seal,
                              struct hf_why *why)
{
    uint8_t signature[HF_AUDIT_SIGNATURE_LEN];
    int64_t sequence = 0, sealed_s = 0;

    HF_TRY(
        hf_json_get_bytes(line, "signature", "line of the log", signature, sizeof signature, why));
    HF_TRY(hf_json_get_integer(seal, "sequence", "seal of the log", 1, &sequence, why));
    HF_TRY(hf_json_get_time(seal, "time", "seal of the log", &sealed_s, why));
    if (json_object_size(seal) != 2)
        return hf_fail(why, HF_E_FORMAT, "a seal is not a sequence and a time");
    if (sequence != copy->head.sequence)
        return hf_fail(why, HF_E_ROLLBACK,
                       "a seal does not stand behind its entry (expected a seal of entry %" PRId64
                       ", found one of %" PRId64 "); entries are missing or were changed",
                       copy->head.sequence, sequence);
    if (copy->key != NULL) {
        HF_TRY(hf_audit_seal_verify(&copy->head, sealed_s, signature, copy->key, why));
        copy->sealed_sequence = sequence;
    }
    copy->n_seals++;
    return HF_OK;
}

enum hf_err hf_audit_copy_line(struct hf_audit_copy *copy, struct hf_bytes line, struct hf_why *why)
{
    const json_t *entry, *seal;
    json_t *object = NULL;
    enum hf_err err;

    copy->n_lines++;
    if (line.len > HF_AUDIT_LINE_MAX)
        err = hf_fail(why, HF_E_LIMIT, "%zu bytes (expected %u at most)", line.len,
                      HF_AUDIT_LINE_MAX);
    else
        err = hf_json_parse_object(line, "line of the log", &object, why);
    if (err != HF_OK)
        return hf_fail_context(why, "line %" PRId64, copy->n_lines);
    entry = json_object_get(object, "entry");
    seal = json_object_get(object, "seal");
    if (json_object_size(object) != 2 || json_is_object(entry) == json_is_object(seal))
        err = hf_fail(why, HF_E_FORMAT,
                      "expected \"entry\" and \"hash\", or \"seal\" and \"signature\"");
    else if (entry != NULL)
        err = check_entry(copy, object, entry, why);
    else
        err = check_seal(copy, object, seal, why);
    json_decref(object);
    return err == HF_OK ? HF_OK : hf_fail_context(why, "line %" PRId64, copy->n_lines);
}
