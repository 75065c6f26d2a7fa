#include "server/fleet/signature.h"

#include "common/json/json.h"
#include "server/fleet/audit_log.h"

enum { LAST, SAVE };

const struct hf_sql hf_signature_sql[] = {
    [LAST] = {"signature_last", "SELECT signature FROM signer_position WHERE id = 1", "i"},
    [SAVE] = {"signature_save",
              "INSERT INTO signer_position (id, signature) VALUES (1, :signature)"
              " ON CONFLICT (id) DO UPDATE SET signature = excluded.signature",
              ""},
    {0},
};

enum hf_err hf_signature_last(struct hf_db *db, int64_t *out, struct hf_why *why)
{
    int64_t last = 0;
    enum hf_err err = hf_db_get_int(db, &hf_signature_sql[LAST], HF_NO_PARAMS, &last, why);
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        return err;
    *out = last;
    return HF_OK;
}

enum hf_err hf_signature_set_last(struct hf_db *db, int64_t last, struct hf_why *why)
{
    int64_t before = 0;
    HF_TRY(hf_signature_last(db, &before, why));
    if (last <= before)
        return HF_OK;
    return hf_db_execute(db, &hf_signature_sql[SAVE], HF_PARAMS(hf_p_int("signature", last)), why);
}

enum hf_err hf_signature_log(struct hf_tx *tx, const json_t *signatures, struct hf_why *why)
{
    int64_t last = 0, id = 0;
    HF_TRY(hf_signature_last(tx->db, &last, why));
    for (size_t i = 0; i < json_array_size(signatures); i++) {
        json_t *one = json_array_get(signatures, i);
        HF_TRY(hf_json_get_integer(one, "id", "a signature of the signer", 1, &id, why));
        if (id <= last)
            continue;
        HF_TRY(hf_audit_append_take(tx, "signer.signature", 0, json_incref(one), why));
        last = id;
    }
    return hf_signature_set_last(tx->db, last, why);
}
