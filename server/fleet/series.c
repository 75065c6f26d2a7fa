#include "server/fleet/series.h"

enum { COUNT, FIND, COUNT_UP, ADD, KEEP, DROP_HOURS, DROP_UNUSED };

const struct hf_sql hf_series_sql[] = {
    [COUNT] = {"version_count_add",
               "INSERT INTO version_count (account_id, set_name, version, devices) "
               "VALUES (:account, :set, :version, :by) ON CONFLICT (account_id, set_name, version) "
               "DO UPDATE SET devices = version_count.devices + excluded.devices",
               ""},
    [FIND] = {"series_find",
              "SELECT n FROM series WHERE account_id = :account AND hour_s = :hour "
              "AND set_name = :set AND version = :version AND what = :what",
              "i"},
    [COUNT_UP] = {"series_count_up",
                  "UPDATE series SET n = n + 1 WHERE account_id = :account AND hour_s = :hour "
                  "AND set_name = :set AND version = :version AND what = :what",
                  ""},
    [ADD] = {"series_add",
             "INSERT INTO series (account_id, hour_s, set_name, version, what, n) "
             "SELECT :account, :hour, :set, :version, :what, 1 WHERE (SELECT count(*) FROM series "
             "WHERE account_id = :account AND hour_s = :hour) < :most",
             ""},
    [KEEP] = {"series_keep",
              "INSERT INTO series (account_id, hour_s, set_name, version, what, n) "
              "SELECT account_id, :hour, set_name, version, 'active', devices FROM version_count "
              "WHERE devices > 0 ON CONFLICT (account_id, hour_s, set_name, version, what) "
              "DO UPDATE SET n = excluded.n",
              ""},
    [DROP_HOURS] = {"series_drop_hours", "DELETE FROM series WHERE hour_s < :oldest", ""},
    [DROP_UNUSED] = {"version_count_drop_unused", "DELETE FROM version_count WHERE devices <= 0",
                     ""},
    {0},
};

static struct hf_param hour_of(const struct hf_tx *tx)
{
    return hf_p_int("hour", tx->now_s - tx->now_s % HF_SERIES_HOUR_S);
}

enum hf_err hf_version_count_add(struct hf_tx *tx, int64_t account_id, const char *set,
                                 int64_t version, int64_t by, struct hf_why *why)
{
    return hf_db_execute(tx->db, &hf_series_sql[COUNT],
                         HF_PARAMS(hf_p_int("account", account_id), hf_p_text("set", set),
                                   hf_p_int("version", version), hf_p_int("by", by)),
                         why);
}

enum hf_err hf_series_add(struct hf_tx *tx, int64_t account_id, const char *set, int64_t version,
                          const char *what, struct hf_why *why)
{
    const struct hf_param account = hf_p_int("account", account_id), hour = hour_of(tx);
    const struct hf_param of_set = hf_p_text("set", set), of_version = hf_p_int("version", version);
    const struct hf_param of_what = hf_p_text("what", what);
    int64_t n = 0;

    /* Each report comes here. To ask first is cheaper than RETURNING, for which SQLite makes a table. */
    enum hf_err err = hf_db_get_int(tx->db, &hf_series_sql[FIND],
                                    HF_PARAMS(account, hour, of_set, of_version, of_what), &n, why);
    if (err == HF_OK)
        return hf_db_execute(tx->db, &hf_series_sql[COUNT_UP],
                             HF_PARAMS(account, hour, of_set, of_version, of_what), why);
    if (err != HF_E_NOT_FOUND)
        return err;
    return hf_db_execute(tx->db, &hf_series_sql[ADD],
                         HF_PARAMS(account, hour, of_set, of_version, of_what,
                                   hf_p_int("most", HF_FLEET_SERIES_PER_HOUR_MAX)),
                         why);
}

enum hf_err hf_series_keep(struct hf_tx *tx, struct hf_why *why)
{
    HF_TRY(hf_db_execute(tx->db, &hf_series_sql[DROP_UNUSED], HF_NO_PARAMS, why));
    HF_TRY(hf_db_execute(tx->db, &hf_series_sql[KEEP], HF_PARAMS(hour_of(tx)), why));
    return hf_db_execute(tx->db, &hf_series_sql[DROP_HOURS],
                         HF_PARAMS(hf_p_int("oldest", tx->now_s - HF_FLEET_SERIES_KEEP_S)), why);
}
