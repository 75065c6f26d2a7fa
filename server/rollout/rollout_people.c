/* What people say about a rollout: approvals of its next step, and devices that do not count. */
#include "server/rollout/rollout_store.h"

#include "common/json/json.h"
#include "server/fleet/audit_log.h"

#include <string.h>

enum {
    APPROVAL_FORGET,
    APPROVAL_COUNT,
    APPROVAL_PUT,
    APPROVAL_LIST,
    EXCLUDED_COUNT,
    EXCLUDED_FIND,
    EXCLUDED_PUT,
    EXCLUDED_DELETE,
    EXCLUDED_LIST,
};

const struct hf_sql hf_rollout_people_sql[] = {
    [APPROVAL_FORGET] = {"rollout_approval_forget",
                         "DELETE FROM rollout_approval WHERE rollout_id = :id "
                         "AND since_s <> :since",
                         ""},
    [APPROVAL_COUNT] = {"rollout_approval_count",
                        "SELECT count(*) FROM rollout_approval WHERE rollout_id = :id", "i"},
    [APPROVAL_PUT] =
        {"rollout_approval_put",
         "INSERT INTO rollout_approval (rollout_id, since_s, stage, state, kind, "
         "approver, signature, reason, created_s) VALUES (:id, :since, :stage, :state, "
         ":kind, :approver, :signature, :reason, :now) "
         "ON CONFLICT (rollout_id, since_s, stage, state, kind, approver) "
         "DO UPDATE SET signature = excluded.signature, reason = excluded.reason, "
         "created_s = excluded.created_s",
         ""},
    [APPROVAL_LIST] = {"rollout_approval_list",
                       "SELECT since_s, stage, state, kind, approver, signature, reason, "
                       "created_s FROM rollout_approval WHERE rollout_id = :id "
                       "AND since_s = :since ORDER BY stage, state, kind, approver",
                       "iitttBti"},
    [EXCLUDED_COUNT] = {"rollout_excluded_count",
                        "SELECT count(*) FROM rollout_excluded WHERE rollout_id = :id", "i"},
    [EXCLUDED_FIND] = {"rollout_excluded_find",
                       "SELECT id FROM rollout_excluded WHERE rollout_id = :id "
                       "AND device_id = :device",
                       "i"},
    [EXCLUDED_PUT] = {"rollout_excluded_put",
                      "INSERT INTO rollout_excluded (rollout_id, account_id, device_id, "
                      "device_name, reason, actor, created_s) VALUES (:id, :account, :device, "
                      ":name, :reason, :actor, :now)",
                      ""},
    [EXCLUDED_DELETE] = {"rollout_excluded_delete",
                         "DELETE FROM rollout_excluded WHERE id = :entry AND rollout_id = :id "
                         "RETURNING account_id, device_name",
                         "it"},
    [EXCLUDED_LIST] = {"rollout_excluded_list",
                       "SELECT x.id, x.account_id, x.device_id, a.name, x.device_name, x.reason, "
                       "x.actor, x.created_s FROM rollout_excluded x "
                       "LEFT JOIN account a ON a.id = x.account_id WHERE x.rollout_id = :id "
                       "AND x.device_id > 0 ORDER BY x.device_id",
                       "iiiTttti"},
    {0},
};

/* ---- approvals ------------------------------------------------------------------------------- */

enum hf_err hf_rollout_approval_add(struct hf_tx *tx, const struct hf_rollout_row *row,
                                    const struct hf_rollout_approval_row *approval,
                                    struct hf_why *why)
{
    const struct hf_param id = hf_p_int("id", row->id),
                          since = hf_p_int("since", approval->since_s);
    const char *kind = approval->is_signed ? "signed" : "api";
    struct hf_rollout_row now = *row;
    int64_t n = 0;

    HF_TRY(
        hf_db_execute(tx->db, &hf_rollout_people_sql[APPROVAL_FORGET], HF_PARAMS(id, since), why));
    HF_TRY(hf_db_get_int(tx->db, &hf_rollout_people_sql[APPROVAL_COUNT], HF_PARAMS(id), &n, why));
    if (n >= (int64_t)HF_ROLLOUT_APPROVALS_MAX)
        return hf_fail(why, HF_E_LIMIT, "this step has %u approvals, the most that are kept",
                       HF_ROLLOUT_APPROVALS_MAX);
    HF_TRY(
        hf_db_execute(tx->db, &hf_rollout_people_sql[APPROVAL_PUT],
                      HF_PARAMS(id, since, hf_p_int("stage", approval->stage),
                                hf_p_text("state", hf_rollout_state_name(approval->state)),
                                hf_p_text("kind", kind), hf_p_text("approver", approval->approver),
                                approval->is_signed ? hf_p_bytes("signature", approval->signature,
                                                                 sizeof approval->signature)
                                                    : (struct hf_param){.name = "signature"},
                                hf_p_text("reason", approval->reason), hf_p_int("now", tx->now_s)),
                      why));
    HF_TRY(hf_rollout_row_touch(tx, &now, why));
    return hf_audit_append_take(tx, "rollout.approve", 0,
                                json_pack("{s:s, s:s, s:I, s:o, s:I, s:s, s:s, s:s, s:o}", "set",
                                          row->set, "profile", row->profile, "version",
                                          (json_int_t)row->bundle_version, "since",
                                          hf_json_time(approval->since_s), "stage",
                                          (json_int_t)approval->stage, "state",
                                          hf_rollout_state_name(approval->state), "kind", kind,
                                          "approver", approval->approver, "reason",
                                          hf_json_plain(approval->reason)),
                                why);
}

static enum hf_err read_approval(const struct hf_rows *rows, void *data, struct hf_why *why)
{
    struct hf_rollout_approval_row *out = data;

    *out = (struct hf_rollout_approval_row){.since_s = hf_col_int(rows, 0),
                                            .stage = hf_col_int(rows, 1),
                                            .is_signed = strcmp(hf_col_text(rows, 3), "signed") ==
                                                         0,
                                            .created_s = hf_col_int(rows, 7)};
    if (!hf_rollout_state_parse(hf_col_text(rows, 2), &out->state))
        return hf_col_fail_word(rows, 2, why);
    HF_TRY(hf_col_copy_text(rows, 4, out->approver, sizeof out->approver, why));
    if (out->is_signed)
        HF_TRY(hf_col_copy_bytes(rows, 5, out->signature, sizeof out->signature, why));
    return hf_col_copy_text(rows, 6, out->reason, sizeof out->reason, why);
}

enum hf_err hf_rollout_approval_list(struct hf_db *db, int64_t rollout_id, int64_t since_s,
                                     hf_db_each *each, void *ctx, struct hf_why *why)
{
    struct hf_rollout_approval_row row;

    return hf_db_read_each(db, &hf_rollout_people_sql[APPROVAL_LIST],
                           HF_PARAMS(hf_p_int("id", rollout_id), hf_p_int("since", since_s)),
                           read_approval, &row, each, ctx, why);
}

struct gathering {
    const struct hf_rollout_intent *step;
    bool are_signed;
    struct hf_rollout_approval_rows *out;
};

static enum hf_err gather(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_rollout_approval_row *row = data;
    const struct gathering *g = ctx;

    (void)why;
    if (row->stage == g->step->stage && row->state == g->step->state &&
        row->is_signed == g->are_signed && g->out->n < HF_ROLLOUT_APPROVALS_MAX)
        g->out->rows[g->out->n++] = *row;
    return HF_OK;
}

enum hf_err hf_rollout_approvals_read(struct hf_db *db, int64_t rollout_id, int64_t since_s,
                                      const struct hf_rollout_intent *step, bool are_signed,
                                      struct hf_rollout_approval_rows *out, struct hf_why *why)
{
    struct gathering gathering = {step, are_signed, out};

    out->n = 0;
    return hf_rollout_approval_list(db, rollout_id, since_s, gather, &gathering, why);
}

/* ---- devices that do not count --------------------------------------------------------------- */

static json_t *device_json(const struct hf_rollout_row *row, const char *device)
{
    return json_pack("{s:s, s:s, s:I, s:s}", "set", row->set, "profile", row->profile, "version",
                     (json_int_t)row->bundle_version, "device", device);
}

enum hf_err hf_rollout_exclude(struct hf_tx *tx, struct hf_rollout_row *row,
                               const struct hf_rollout_excluded *device, struct hf_why *why)
{
    const struct hf_param id = hf_p_int("id", row->id);
    const struct hf_param device_id = hf_p_int("device", device->device_id);
    int64_t n = 0;

    enum hf_err err = hf_db_get_int(tx->db, &hf_rollout_people_sql[EXCLUDED_FIND],
                                    HF_PARAMS(id, device_id), &n, why);
    if (err == HF_OK)
        return hf_fail(why, HF_E_STATE, "the device \"%s\" is excluded already", device->device);
    if (err != HF_E_NOT_FOUND)
        return err;
    HF_TRY(hf_db_get_int(tx->db, &hf_rollout_people_sql[EXCLUDED_COUNT], HF_PARAMS(id), &n, why));
    if (n >= HF_ROLLOUT_EXCLUDED_MAX)
        return hf_fail(
            why, HF_E_LIMIT,
            "%d devices are excluded, the most that can be. If so many are broken, abort "
            "the rollout",
            HF_ROLLOUT_EXCLUDED_MAX);
    HF_TRY(hf_db_execute(tx->db, &hf_rollout_people_sql[EXCLUDED_PUT],
                         HF_PARAMS(id, hf_p_int("account", device->account_id), device_id,
                                   hf_p_text("name", device->device),
                                   hf_p_text("reason", device->reason),
                                   hf_p_text("actor", tx->actor), hf_p_int("now", tx->now_s)),
                         why));
    json_t *details = hf_json_set_take(device_json(row, device->device), "reason",
                                       hf_json_plain(device->reason));
    HF_TRY(hf_audit_append_take(tx, "rollout.exclude", device->account_id, details, why));
    return hf_rollout_row_touch(tx, row, why);
}

struct removed {
    int64_t account_id;
    char device[HF_DEVICE_ID_MAX + 1];
};

static enum hf_err read_removed(const struct hf_rows *rows, void *data, struct hf_why *why)
{
    struct removed *out = data;

    out->account_id = hf_col_int(rows, 0);
    return hf_col_copy_text(rows, 1, out->device, sizeof out->device, why);
}

enum hf_err hf_rollout_include(struct hf_tx *tx, struct hf_rollout_row *row, int64_t id,
                               struct hf_why *why)
{
    const struct hf_param rollout = hf_p_int("id", row->id);
    struct removed removed;

    HF_TRY(hf_db_read_one(tx->db, &hf_rollout_people_sql[EXCLUDED_DELETE],
                          HF_PARAMS(rollout, hf_p_int("entry", id)), read_removed, &removed,
                          "no device of that number is excluded from this rollout", why));
    HF_TRY(hf_audit_append_take(tx, "rollout.include", removed.account_id,
                                device_json(row, removed.device), why));
    return hf_rollout_row_touch(tx, row, why);
}

static enum hf_err read_excluded(const struct hf_rows *rows, void *data, struct hf_why *why)
{
    struct hf_rollout_excluded *out = data;

    *out = (struct hf_rollout_excluded){.id = hf_col_int(rows, 0),
                                        .account_id = hf_col_int(rows, 1),
                                        .device_id = hf_col_int(rows, 2),
                                        .account = hf_col_text(rows, 3),
                                        .created_s = hf_col_int(rows, 7)};
    HF_TRY(hf_col_copy_text(rows, 4, out->device, sizeof out->device, why));
    HF_TRY(hf_col_copy_text(rows, 5, out->reason, sizeof out->reason, why));
    return hf_col_copy_text(rows, 6, out->actor, sizeof out->actor, why);
}

enum hf_err hf_rollout_excluded_list(struct hf_db *db, int64_t rollout_id, hf_db_each *each,
                                     void *ctx, struct hf_why *why)
{
    struct hf_rollout_excluded row;

    return hf_db_read_each(db, &hf_rollout_people_sql[EXCLUDED_LIST],
                           HF_PARAMS(hf_p_int("id", rollout_id)), read_excluded, &row, each, ctx,
                           why);
}
