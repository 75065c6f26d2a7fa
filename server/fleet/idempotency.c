#include "server/fleet/idempotency.h"

#include "server/fleet/names.h"

#include <string.h>

enum { FIND, INSERT, PURGE };

const struct hf_sql hf_idempotency_sql[] = {
    [FIND] = {"idempotency_find",
              "SELECT request_sha256, status, answer FROM idempotency "
              "WHERE actor = :actor AND key = :key AND created_s > :oldest",
              "bit"},
    [INSERT] = {"idempotency_insert",
                "INSERT INTO idempotency (actor, key, request_sha256, status, answer, created_s) "
                "VALUES (:actor, :key, :request, :status, :answer, :now) "
                "ON CONFLICT (actor, key) DO UPDATE SET request_sha256 = excluded.request_sha256, "
                "status = excluded.status, answer = excluded.answer, "
                "created_s = excluded.created_s",
                ""},
    [PURGE] = {"idempotency_purge", "DELETE FROM idempotency WHERE created_s <= :oldest", ""},
    {0},
};

static struct hf_param oldest(const struct hf_tx *tx)
{
    return hf_p_int("oldest", tx->now_s - HF_FLEET_IDEMPOTENCY_LIFE_S);
}

enum hf_err hf_idempotency_find(struct hf_tx *tx, const char *key,
                                const uint8_t request_sha256[HF_SHA256_LEN], int64_t *status,
                                struct hf_buf *answer, struct hf_why *why)
{
    struct hf_rows rows;

    HF_TRY(hf_name_check_idempotency_key(key, why));
    HF_TRY(hf_db_run(tx->db, &hf_idempotency_sql[FIND],
                     HF_PARAMS(hf_p_text("actor", tx->actor), hf_p_text("key", key), oldest(tx)),
                     &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_OK) {
        struct hf_bytes found = hf_col_bytes(&rows, 0), text = hf_col_bytes(&rows, 2);
        if (!hf_bytes_equal(found, (struct hf_bytes){request_sha256, HF_SHA256_LEN}))
            err = hf_fail(why, HF_E_STATE,
                          "this Idempotency-Key was used for another request. Use a new one");
        else if (hf_buf_append(answer, text.data, text.len) != HF_OK)
            err = hf_fail(why, HF_E_MEMORY, "out of memory for an answer");
        else
            *status = hf_col_int(&rows, 1);
    }
    hf_db_end(&rows);
    return err;
}

enum hf_err hf_idempotency_save(struct hf_tx *tx, const char *key,
                                const uint8_t request_sha256[HF_SHA256_LEN], int64_t status,
                                const char *answer, struct hf_why *why)
{
    HF_TRY(hf_name_check_idempotency_key(key, why));
    if (strlen(answer) > HF_FLEET_ANSWER_MAX)
        return hf_fail(why, HF_E_LIMIT, "an answer has %zu bytes (expected %u at most)",
                       strlen(answer), HF_FLEET_ANSWER_MAX);
    return hf_db_execute(tx->db, &hf_idempotency_sql[INSERT],
                         HF_PARAMS(hf_p_text("actor", tx->actor), hf_p_text("key", key),
                                   hf_p_bytes("request", request_sha256, HF_SHA256_LEN),
                                   hf_p_int("status", status), hf_p_text("answer", answer),
                                   hf_p_int("now", tx->now_s)),
                         why);
}

enum hf_err hf_idempotency_purge(struct hf_tx *tx, struct hf_why *why)
{
    return hf_db_execute(tx->db, &hf_idempotency_sql[PURGE], HF_PARAMS(oldest(tx)), why);
}
