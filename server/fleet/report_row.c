#include "server/fleet/report_row.h"

#include "common/base/timetext.h"

#define COLUMNS                                                                                    \
    "number, received_s, clock_s, kind, set_name, profile, from_version, to_version, sha256, "     \
    "outcome, reason, endpoint, root, root_name, agent"
#define VALUES                                                                                     \
    ":number, :now, :clock, :kind, :set, :profile, :from, :to, :sha256, :outcome, :reason, "       \
    ":endpoint, :root, :root_name, :agent"
#define TYPES "iiItttIIttttttt"

enum {
    ADD,
    FORGET,
    LIST,
    PURGE,
    ADD_UNVERIFIED,
    FORGET_UNVERIFIED,
    LIST_UNVERIFIED,
    PURGE_UNVERIFIED
};

const struct hf_sql hf_report_row_sql[] = {
    [ADD] = {"report_add",
             "INSERT INTO report (device_id, " COLUMNS ") VALUES (:device, " VALUES ")", ""},
    [FORGET] = {"report_forget",
                "DELETE FROM report WHERE device_id = :device AND number <= :oldest", ""},
    [LIST] = {"report_list",
              "SELECT " COLUMNS " FROM report WHERE device_id = :of AND number < :before "
              "ORDER BY number DESC LIMIT :limit",
              TYPES},
    /* Numbers rise with time, so the oldest come first, and no index over times is needed. */
    [PURGE] = {"report_purge",
               "DELETE FROM report WHERE id IN (SELECT o.id FROM "
               "(SELECT id, received_s FROM report ORDER BY id LIMIT :limit) AS o "
               "WHERE o.received_s <= :oldest)",
               ""},
    [ADD_UNVERIFIED] = {"unverified_report_add",
                        "INSERT INTO unverified_report (account_id, device_name, installation, "
                        "sequence, " COLUMNS ") SELECT :account, :device, :installation, :seq, "
                        "COALESCE((SELECT max(number) FROM unverified_report "
                        "WHERE account_id = :account), 0) + 1, :now, :clock, :kind, :set, "
                        ":profile, :from, :to, :sha256, :outcome, :reason, :endpoint, :root, "
                        ":root_name, :agent WHERE NOT EXISTS (SELECT 1 FROM unverified_report "
                        "WHERE account_id = :account AND installation = :installation "
                        "AND sequence = :seq) RETURNING number",
                        "i"},
    [FORGET_UNVERIFIED] = {"unverified_report_forget",
                           "DELETE FROM unverified_report WHERE account_id = :account "
                           "AND number <= :oldest",
                           ""},
    [LIST_UNVERIFIED] = {"unverified_report_list",
                         "SELECT " COLUMNS ", device_name, installation, sequence "
                         "FROM unverified_report WHERE account_id = :of AND number < :before "
                         "ORDER BY number DESC LIMIT :limit",
                         TYPES "tti"},
    [PURGE_UNVERIFIED] = {"unverified_report_purge",
                          "DELETE FROM unverified_report WHERE received_s <= :oldest", ""},
    {0},
};

/* What both tables have. */
#define PARAMS_OF(report)                                                                          \
    hf_p_int("now", tx->now_s), hf_p_int_or_null("clock", (report)->clock_s, HF_TIME_NONE),        \
        hf_p_text("kind", (report)->kind_name), hf_p_text("set", (report)->set),                   \
        hf_p_text("profile", (report)->profile), hf_p_int_or_null("from", (report)->from, -1),     \
        hf_p_int_or_null("to", (report)->to, -1), hf_p_text("sha256", (report)->sha256),           \
        hf_p_text("outcome", (report)->outcome), hf_p_text("reason", (report)->text),              \
        hf_p_text("endpoint", (report)->endpoint), hf_p_text("root", (report)->root),              \
        hf_p_text("root_name", (report)->root_name), hf_p_text("agent", (report)->agent)

enum hf_err hf_report_row_add(struct hf_tx *tx, int64_t device_id, int64_t number,
                              const struct hf_report *report, struct hf_why *why)
{
    HF_TRY(hf_db_execute(tx->db, &hf_report_row_sql[ADD],
                         HF_PARAMS(hf_p_int("device", device_id), hf_p_int("number", number),
                                   PARAMS_OF(report)),
                         why));
    if (number <= HF_FLEET_REPORTS_PER_DEVICE_MAX)
        return HF_OK;
    return hf_db_execute(tx->db, &hf_report_row_sql[FORGET],
                         HF_PARAMS(hf_p_int("device", device_id),
                                   hf_p_int("oldest", number - HF_FLEET_REPORTS_PER_DEVICE_MAX)),
                         why);
}

enum hf_err hf_report_row_add_unverified(struct hf_tx *tx, int64_t account_id, int64_t max,
                                         const struct hf_report *report, bool *is_new,
                                         struct hf_why *why)
{
    const struct hf_param account = hf_p_int("account", account_id);
    int64_t number = 0;

    enum hf_err err = hf_db_get_int(tx->db, &hf_report_row_sql[ADD_UNVERIFIED],
                                    HF_PARAMS(account, hf_p_text("device", report->device),
                                              hf_p_text("installation", report->installation),
                                              hf_p_int("seq", report->seq), PARAMS_OF(report)),
                                    &number, why);
    *is_new = err == HF_OK;
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    if (err != HF_OK || number <= max)
        return err;
    return hf_db_execute(tx->db, &hf_report_row_sql[FORGET_UNVERIFIED],
                         HF_PARAMS(account, hf_p_int("oldest", number - max)), why);
}

enum hf_err hf_report_row_purge(struct hf_tx *tx, int64_t keep_s, struct hf_why *why)
{
    return hf_db_execute(tx->db, &hf_report_row_sql[PURGE],
                         HF_PARAMS(hf_p_int("oldest", tx->now_s - keep_s),
                                   hf_p_int("limit", HF_FLEET_PURGE_AT_ONCE)),
                         why);
}

enum hf_err hf_report_row_purge_unverified(struct hf_tx *tx, int64_t keep_s, struct hf_why *why)
{
    return hf_db_execute(tx->db, &hf_report_row_sql[PURGE_UNVERIFIED],
                         HF_PARAMS(hf_p_int("oldest", tx->now_s - keep_s)), why);
}

static enum hf_err read_row(const struct hf_rows *rows, void *data, struct hf_why *why)
{
    struct hf_report_row *out = data;
    struct hf_report *r = &out->report;
    const struct {
        char *out;
        size_t size;
    } texts[] = {
        [3] = {r->kind_name, sizeof r->kind_name},  [4] = {r->set, sizeof r->set},
        [5] = {r->profile, sizeof r->profile},      [8] = {r->sha256, sizeof r->sha256},
        [9] = {r->outcome, sizeof r->outcome},      [10] = {r->text, sizeof r->text},
        [11] = {r->endpoint, sizeof r->endpoint},   [12] = {r->root, sizeof r->root},
        [13] = {r->root_name, sizeof r->root_name}, [14] = {r->agent, sizeof r->agent},
    };

    *out = (struct hf_report_row){hf_col_int(rows, 0), hf_col_int(rows, 1), HF_REPORT_NOTHING};
    r->clock_s = hf_col_int_or(rows, 2, HF_TIME_NONE);
    r->from = hf_col_int_or(rows, 6, -1);
    r->to = hf_col_int_or(rows, 7, -1);
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].out != NULL)
            HF_TRY(hf_col_copy_text(rows, i, texts[i].out, texts[i].size, why));
    return HF_OK;
}

static enum hf_err read_unverified(const struct hf_rows *rows, void *data, struct hf_why *why)
{
    struct hf_report *r = &((struct hf_report_row *)data)->report;

    HF_TRY(read_row(rows, data, why));
    r->seq = hf_col_int(rows, 17);
    HF_TRY(hf_col_copy_text(rows, 15, r->device, sizeof r->device, why));
    return hf_col_copy_text(rows, 16, r->installation, sizeof r->installation, why);
}

static enum hf_err list(struct hf_db *db, int statement, int64_t of, int64_t before, size_t limit,
                        hf_db_each *each, void *ctx, struct hf_why *why)
{
    struct hf_report_row row;

    return hf_db_read_each(db, &hf_report_row_sql[statement],
                           HF_PARAMS(hf_p_int("of", of),
                                     hf_p_int("before", before != 0 ? before : INT64_MAX),
                                     hf_p_int("limit", (int64_t)limit)),
                           statement == LIST ? read_row : read_unverified, &row, each, ctx, why);
}

enum hf_err hf_report_row_list(struct hf_db *db, int64_t device_id, int64_t before, size_t limit,
                               hf_db_each *each, void *ctx, struct hf_why *why)
{
    return list(db, LIST, device_id, before, limit, each, ctx, why);
}

enum hf_err hf_report_row_list_unverified(struct hf_db *db, int64_t account_id, int64_t before,
                                          size_t limit, hf_db_each *each, void *ctx,
                                          struct hf_why *why)
{
    return list(db, LIST_UNVERIFIED, account_id, before, limit, each, ctx, why);
}
