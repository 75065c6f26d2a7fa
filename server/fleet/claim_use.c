#include "server/fleet/claim_use.h"

#include "common/base/timetext.h"

enum { TAKE };

#define IS_OPEN "claim_use.ends_s > :now AND claim_use.ends_s <= :end"

const struct hf_sql hf_claim_use_sql[] = {
    [TAKE] = {"claim_use_take",
              "INSERT INTO claim_use (credential_id, used, ends_s) VALUES (:id, 1, :end) "
              "ON CONFLICT (credential_id) DO UPDATE SET "
              "used = CASE WHEN " IS_OPEN " THEN claim_use.used + 1 ELSE 1 END, "
              "ends_s = CASE WHEN " IS_OPEN " THEN claim_use.ends_s ELSE :end END "
              "RETURNING used, ends_s",
              "ii"},
    {0},
};

enum hf_err hf_claim_use_take(struct hf_tx *tx, int64_t credential_id, int64_t *wait_s,
                              struct hf_why *why)
{
    int64_t used = 0, ends_s = 0;
    char ends[HF_TIME_TEXT_MAX];
    struct hf_rows rows;

    HF_TRY(hf_db_run(tx->db, &hf_claim_use_sql[TAKE],
                     HF_PARAMS(hf_p_int("id", credential_id), hf_p_int("now", tx->now_s),
                               hf_p_int("end", tx->now_s + HF_FLEET_ISSUE_WINDOW_S)),
                     &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_OK) {
        used = hf_col_int(&rows, 0);
        ends_s = hf_col_int(&rows, 1);
    }
    hf_db_end(&rows);
    HF_TRY(err);
    if (used <= HF_FLEET_CLAIM_USES_MAX)
        return HF_OK;
    *wait_s = ends_s - tx->now_s;
    hf_time_format(ends_s, ends);
    return hf_fail(why, HF_E_LIMIT,
                   "the claim certificate has enrolled %d devices within an hour, the most there "
                   "may be. Try again at %s, or use another claim certificate",
                   HF_FLEET_CLAIM_USES_MAX, ends);
}
