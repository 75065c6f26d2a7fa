#include "server/fleet/series.h"

enum { COUNT, DROP_UNUSED, FIND, COUNT_UP, MAKE_ROOM, ADD, KEEP, DROP_HOURS };

const struct hf_sql hf_series_sql[] = {
    [COUNT] = {"version_count_add",
               "INSERT INTO version_count (account_id, set_name, version, devices) "
               "VALUES (:account, :set, :version, :by) ON CONFLICT (account_id, set_name, version) "
               "DO UPDATE SET devices = version_count.devices + excluded.devices",
               ""},
    [DROP_UNUSED] = {"version_count_drop_unused",
                     "DELETE FROM version_count WHERE account_id = :account AND set_name = :set "
                     "AND version = :version AND devices <= 0",
                     ""},
    [FIND] = {"series_find",
              "SELECT n FROM series WHERE account_id = :account AND hour_s = :hour "
              "AND set_name = :set AND version = :version AND what = :what",
              "i"},
    [COUNT_UP] = {"series_count_up",
                  "UPDATE series SET n = n + 1 WHERE account_id = :account AND hour_s = :hour "
                  "AND set_name = :set AND version = :version AND what = :what",
                  ""},
    /* The rarest goes: what one device makes up does not keep out what a fleet reports. */
    [MAKE_ROOM] = {"series_make_room",
                   "DELETE FROM series WHERE (account_id, hour_s, set_name, version, what) IN "
                   "(SELECT account_id, hour_s, set_name, version, what FROM series "
                   "WHERE account_id = :account AND hour_s = :hour AND what <> 'active' AND n = "
                   "(SELECT min(n) FROM series WHERE account_id = :account AND hour_s = :hour "
                   "AND what <> 'active' HAVING count(*) >= :most) LIMIT 1)",
                   ""},
    [ADD] = {"series_add",
             "INSERT INTO series (account_id, hour_s, set_name, version, what, n) "
             "VALUES (:account, :hour, :set, :version, :what, 1)",
             ""},
    /* The versions that most devices use. */
    [KEEP] = {"series_keep",
              "INSERT INTO series (account_id, hour_s, set_name, version, what, n) "
              "SELECT account_id, :hour, set_name, version, 'active', devices FROM "
              "(SELECT account_id, set_name, version, devices, row_number() OVER "
              "(PARTITION BY account_id ORDER BY devices DESC, set_name, version) AS place "
              "FROM version_count WHERE devices > 0) AS v WHERE place <= :most "
              "ON CONFLICT (account_id, hour_s, set_name, version, what) "
              "DO UPDATE SET n = excluded.n",
              ""},
    [DROP_HOURS] = {"series_drop_hours", "DELETE FROM series WHERE hour_s < :oldest", ""},
    {0},
};

static struct hf_param hour_of(const struct hf_tx *tx)
{
    return hf_p_int("hour", tx->now_s - tx->now_s % HF_SERIES_HOUR_S);
}

enum hf_err hf_version_count_add(struct hf_tx *tx, int64_t account_id, const char *set,
                                 int64_t version, int64_t by, struct hf_why *why)
{
    const struct hf_param account = hf_p_int("account", account_id);
    const struct hf_param of_set = hf_p_text("set", set), of_version = hf_p_int("version", version);

    HF_TRY(hf_db_execute(tx->db, &hf_series_sql[COUNT],
                         HF_PARAMS(account, of_set, of_version, hf_p_int("by", by)), why));
    return by > 0 ? HF_OK
                  : hf_db_execute(tx->db, &hf_series_sql[DROP_UNUSED],
                                  HF_PARAMS(account, of_set, of_version), why);
}

enum hf_err hf_series_add(struct hf_tx *tx, int64_t account_id, const char *set, int64_t version,
                          const char *what, struct hf_why *why)
{
    const struct hf_param account = hf_p_int("account", account_id), hour = hour_of(tx);
    const struct hf_param of_set = hf_p_text("set", set), of_version = hf_p_int("version", version);
    const struct hf_param of_what = hf_p_text("what", what);
    int64_t n = 0;

    /* Each report comes here. To ask first is cheaper than RETURNING, for which SQLite makes a
     * table. */
    enum hf_err err = hf_db_get_int(tx->db, &hf_series_sql[FIND],
                                    HF_PARAMS(account, hour, of_set, of_version, of_what), &n, why);
    if (err == HF_OK)
        return hf_db_execute(tx->db, &hf_series_sql[COUNT_UP],
                             HF_PARAMS(account, hour, of_set, of_version, of_what), why);
    if (err != HF_E_NOT_FOUND)
        return err;
    HF_TRY(hf_db_execute(tx->db, &hf_series_sql[MAKE_ROOM],
                         HF_PARAMS(account, hour, hf_p_int("most", HF_FLEET_SERIES_PER_HOUR_MAX)),
                         why));
    return hf_db_execute(tx->db, &hf_series_sql[ADD],
                         HF_PARAMS(account, hour, of_set, of_version, of_what), why);
}

enum hf_err hf_series_keep(struct hf_tx *tx, struct hf_why *why)
{
    HF_TRY(hf_db_execute(tx->db, &hf_series_sql[KEEP],
                         HF_PARAMS(hour_of(tx), hf_p_int("most", HF_FLEET_SERIES_PER_HOUR_MAX)),
                         why));
    return hf_db_execute(tx->db, &hf_series_sql[DROP_HOURS],
                         HF_PARAMS(hf_p_int("oldest", tx->now_s - HF_FLEET_SERIES_KEEP_S)), why);
}
