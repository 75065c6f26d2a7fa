#include "server/findings/keys.h"

#include "server/findings/key_quality.h"
#include "server/identity/client_cert.h"

#include <stdio.h>
#include <string.h>

enum { STEP, SAVE };

const struct hf_sql hf_key_sql[] = {
    [STEP] = {"key_step",
              "SELECT c.id, CASE WHEN k.mark = :mark THEN NULL ELSE (SELECT r.der "
              "FROM credential_der r WHERE r.credential_id = c.id) END "
              "FROM credential c LEFT JOIN credential_key k ON k.credential_id = c.id "
              "WHERE c.id > :after ORDER BY c.id LIMIT :limit",
              "iB"},
    [SAVE] = {"key_save",
              "INSERT INTO credential_key (credential_id, spki_sha256, fault, mark) "
              "VALUES (:id, :spki, :fault, :mark) ON CONFLICT (credential_id) DO UPDATE SET "
              "spki_sha256 = excluded.spki_sha256, fault = excluded.fault, mark = excluded.mark",
              ""},
    {0},
};

int64_t hf_keys_mark(const struct hf_weak_keys *list)
{
    uint8_t hash[HF_SHA256_LEN];
    uint64_t mark = 0;
    hf_sha256((struct hf_bytes){(const uint8_t *)list->keys, list->n * HF_WEAK_KEY_LEN}, hash);
    memcpy(&mark, hash, sizeof mark);
    return (int64_t)((mark >> 1) ^ HF_KEY_RULES);
}

/* A certificate that cannot be read any more has a fault, and a key of its own. */
static void judge(struct hf_bytes der, const struct hf_weak_keys *list, struct hf_key_row *out)
{
    struct hf_client_cert_text text;
    struct hf_why why = {0};
    X509 *cert = NULL;
    if (hf_client_cert_read_der(der, &cert, &why) == HF_OK &&
        hf_client_cert_describe_text(cert, &text, &why) == HF_OK) {
        memcpy(out->spki_sha256, text.spki_sha256, sizeof out->spki_sha256);
        hf_key_fault(cert, false, list, out->fault);
    } else {
        hf_sha256(der, out->spki_sha256);
        (void)snprintf(out->fault, sizeof out->fault, "it cannot be read: %.200s", why.text);
    }
    X509_free(cert);
}

enum hf_err hf_keys_step(struct hf_db *db, const struct hf_weak_keys *list, int64_t mark,
                         struct hf_key_step *step, struct hf_why *why)
{
    struct hf_rows rows;
    size_t n = 0;
    step->n_rows = 0;
    HF_TRY(hf_db_run(db, &hf_key_sql[STEP],
                     HF_PARAMS(hf_p_int("mark", mark), hf_p_int("after", step->after),
                               hf_p_int("limit", HF_CHECK_STEP_ROWS)),
                     &rows, why));
    enum hf_err err = HF_OK;
    for (; (err = hf_db_next(&rows, why)) == HF_OK; n++) {
        struct hf_bytes der = hf_col_bytes(&rows, 1);
        step->after = hf_col_int(&rows, 0);
        if (der.data == NULL)
            continue;
        struct hf_key_row *row = &step->rows[step->n_rows++];
        row->credential_id = step->after;
        judge(der, list, row);
    }
    hf_db_end(&rows);
    step->is_end = n < HF_CHECK_STEP_ROWS;
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

enum hf_err hf_key_save(struct hf_tx *tx, const struct hf_key_row *row, int64_t mark,
                        struct hf_why *why)
{
    return hf_db_execute(tx->db, &hf_key_sql[SAVE],
                         HF_PARAMS(hf_p_int("id", row->credential_id),
                                   hf_p_bytes("spki", row->spki_sha256, sizeof row->spki_sha256),
                                   hf_p_text("fault", row->fault), hf_p_int("mark", mark)),
                         why);
}
