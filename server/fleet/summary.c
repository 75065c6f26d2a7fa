#include "server/fleet/summary.h"

#include <string.h>

enum { RESULTS, NEVER, SILENT, VERSIONS, VERSION, SERIES };

const struct hf_sql hf_summary_sql[] = {
    [RESULTS] = {"summary_results",
                 "SELECT result, count(*) FROM device_state WHERE account_id = :account "
                 "GROUP BY result ORDER BY result",
                 "ti"},
    [NEVER] = {"summary_never",
               "SELECT count(*) FROM device_state WHERE account_id = :account AND seen_s = 0", "i"},
    [SILENT] = {"summary_silent",
                "SELECT count(*) FROM device_state WHERE account_id = :account AND seen_s > 0 "
                "AND seen_s < :since",
                "i"},
    [VERSIONS] = {"summary_versions",
                  "SELECT set_name, version, devices FROM version_count "
                  "WHERE account_id = :account AND devices > 0 ORDER BY set_name, version "
                  "LIMIT :limit",
                  "tii"},
    [VERSION] = {"summary_version",
                 "SELECT devices FROM version_count WHERE account_id = :account "
                 "AND set_name = :set AND version = :version",
                 "i"},
    [SERIES] = {"summary_series",
                "SELECT set_name, version, n, hour_s, what FROM series "
                "WHERE account_id = :account AND hour_s < :until "
                "AND (hour_s, set_name, version, what) > (:hour, :from_set, :from_version, "
                ":from_what) AND (:set = '' OR set_name = :set) AND (:what = '' OR what = :what) "
                "ORDER BY hour_s, set_name, version, what LIMIT :limit",
                "tiiit"},
    {0},
};

static enum hf_report_kind kind_of(const char *name)
{
    for (int kind = HF_REPORT_OTHER + 1; kind < HF_REPORT_KIND_COUNT; kind++)
        if (strcmp(hf_report_kind_name((enum hf_report_kind)kind), name) == 0)
            return (enum hf_report_kind)kind;
    return HF_REPORT_OTHER;
}

enum hf_err hf_summary_results(struct hf_db *db, int64_t account_id, struct hf_result_counts *out,
                               struct hf_why *why)
{
    struct hf_result_counts counts = {0};
    struct hf_rows rows;
    enum hf_err err;

    HF_TRY(hf_db_run(db, &hf_summary_sql[RESULTS], HF_PARAMS(hf_p_int("account", account_id)),
                     &rows, why));
    while ((err = hf_db_next(&rows, why)) == HF_OK) {
        const char *result = hf_col_text(&rows, 0);
        *(result[0] == '\0' ? &counts.none : &counts.of[kind_of(result)]) += hf_col_int(&rows, 1);
    }
    hf_db_end(&rows);
    if (err != HF_E_NOT_FOUND)
        return err;
    *out = counts;
    return HF_OK;
}

enum hf_err hf_summary_contact(struct hf_db *db, int64_t account_id, int64_t since_s,
                               struct hf_contact_count *out, struct hf_why *why)
{
    const struct hf_param account = hf_p_int("account", account_id);

    HF_TRY(hf_db_get_int(db, &hf_summary_sql[NEVER], HF_PARAMS(account), &out->never, why));
    return hf_db_get_int(db, &hf_summary_sql[SILENT],
                         HF_PARAMS(account, hf_p_int("since", since_s)), &out->silent, why);
}

static enum hf_err read_version(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct hf_version_count *count = out;

    count->version = hf_col_int(rows, 1);
    count->n = hf_col_int(rows, 2);
    return hf_col_copy_text(rows, 0, count->set, sizeof count->set, why);
}

static enum hf_err read_series(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct hf_version_count *count = out;

    count->hour_s = hf_col_int(rows, 3);
    HF_TRY(hf_col_copy_text(rows, 4, count->what, sizeof count->what, why));
    return read_version(rows, out, why);
}

enum hf_err hf_summary_versions(struct hf_db *db, int64_t account_id, hf_db_each *each, void *ctx,
                                struct hf_why *why)
{
    struct hf_version_count row = {0};

    return hf_db_read_each(db, &hf_summary_sql[VERSIONS],
                           HF_PARAMS(hf_p_int("account", account_id),
                                     hf_p_int("limit", HF_FLEET_PAGE_MAX)),
                           read_version, &row, each, ctx, why);
}

enum hf_err hf_summary_version(struct hf_db *db, int64_t account_id, const char *set,
                               int64_t version, int64_t *out, struct hf_why *why)
{
    enum hf_err err = hf_db_get_int(db, &hf_summary_sql[VERSION],
                                    HF_PARAMS(hf_p_int("account", account_id),
                                              hf_p_text("set", set), hf_p_int("version", version)),
                                    out, why);

    if (err == HF_E_NOT_FOUND)
        *out = 0;
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

enum hf_err hf_summary_series(struct hf_db *db, int64_t account_id,
                              const struct hf_series_filter *filter, hf_db_each *each, void *ctx,
                              struct hf_why *why)
{
    const struct hf_version_count *from = filter->from;
    struct hf_version_count row;

    return hf_db_read_each(db, &hf_summary_sql[SERIES],
                           HF_PARAMS(hf_p_int("account", account_id),
                                     hf_p_int("hour", from->hour_s),
                                     hf_p_text("from_set", from->set),
                                     hf_p_int("from_version", from->version),
                                     hf_p_text("from_what", from->what),
                                     hf_p_int("until", filter->until_s),
                                     hf_p_text("set", filter->set != NULL ? filter->set : ""),
                                     hf_p_text("what", filter->what != NULL ? filter->what : ""),
                                     hf_p_int("limit", (int64_t)filter->limit)),
                           read_series, &row, each, ctx, why);
}
