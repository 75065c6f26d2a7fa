#include "server/fleet/census.h"

#include "common/base/timetext.h"

#include <stdlib.h>
#include <string.h>

enum { PUT, PUT_VERSION, DROP_VERSIONS, DROP_OLD, DROP_OLD_VERSIONS, DAYS, VERSIONS };

const struct hf_sql hf_census_sql[] = {
    [PUT] = {"census_put",
             "INSERT INTO census (account_id, day_s, counted_s, unknown, shut_out) "
             "VALUES (:account, :day, :counted, :unknown, :shut_out) "
             "ON CONFLICT (account_id, day_s) DO UPDATE SET counted_s = excluded.counted_s, "
             "unknown = excluded.unknown, shut_out = excluded.shut_out",
             ""},
    [PUT_VERSION] = {"census_put_version",
                     "INSERT INTO census_version (account_id, day_s, set_name, profile, version, "
                     "devices) VALUES (:account, :day, :set, :profile, :version, :devices)",
                     ""},
    [DROP_VERSIONS] = {"census_drop_versions",
                       "DELETE FROM census_version WHERE account_id = :account AND day_s = :day",
                       ""},
    [DROP_OLD] = {"census_drop_old",
                  "DELETE FROM census WHERE account_id = :account AND day_s < :oldest", ""},
    [DROP_OLD_VERSIONS] = {"census_drop_old_versions",
                           "DELETE FROM census_version WHERE account_id = :account "
                           "AND day_s < :oldest",
                           ""},
    [DAYS] = {"census_days",
              "SELECT day_s, counted_s, unknown, shut_out FROM census WHERE account_id = :account "
              "AND day_s >= :oldest AND day_s <= :day ORDER BY day_s LIMIT :limit",
              "iiii"},
    [VERSIONS] = {"census_versions",
                  "SELECT set_name, profile, version, devices FROM census_version "
                  "WHERE account_id = :account AND day_s = :day "
                  "ORDER BY set_name, profile, version",
                  "ttii"},
    {0},
};

static int64_t day_of(int64_t time_s)
{
    return time_s - time_s % HF_DAY_S;
}

void hf_census_free(struct hf_census *census)
{
    free(census->versions);
    *census = (struct hf_census){0};
}

void hf_census_days_free(struct hf_census_days *days)
{
    for (size_t i = 0; i < days->n; i++)
        hf_census_free(&days->days[i]);
    days->n = 0;
}

/* ---- counting -------------------------------------------------------------------------------- */

static struct hf_census_version *find(const struct hf_census *census, const char *set,
                                      const char *profile, int64_t version)
{
    for (size_t i = 0; i < census->n_versions; i++) {
        struct hf_census_version *v = &census->versions[i];
        if (v->version == version && strcmp(v->set, set) == 0 && strcmp(v->profile, profile) == 0)
            return v;
    }
    return NULL;
}

static struct hf_census_version *append(struct hf_census *census)
{
    if (census->n_versions == census->room) {
        size_t room = census->room == 0 ? 16 : 2 * census->room;
        void *grown = realloc(census->versions, room * sizeof census->versions[0]);
        if (grown == NULL)
            return NULL;
        census->versions = grown;
        census->room = room;
    }
    struct hf_census_version *added = &census->versions[census->n_versions++];
    *added = (struct hf_census_version){0};
    return added;
}

enum hf_err hf_census_add(struct hf_census *census, const char *set, const char *profile,
                          int64_t version, struct hf_why *why)
{
    struct hf_census_version *v = version >= 0 ? find(census, set, profile, version) : NULL;

    if (v == NULL && (version < 0 || census->n_versions == HF_FLEET_CENSUS_MAX ||
                      strlen(set) >= sizeof v->set || strlen(profile) >= sizeof v->profile)) {
        census->unknown++;
        return HF_OK;
    }
    if (v == NULL) {
        v = append(census);
        if (v == NULL)
            return hf_fail(why, HF_E_MEMORY, "no memory for a census");
        memcpy(v->set, set, strlen(set) + 1);
        memcpy(v->profile, profile, strlen(profile) + 1);
        v->version = version;
    }
    v->devices++;
    return HF_OK;
}

/* ---- in the database ------------------------------------------------------------------------- */

enum hf_err hf_census_put(struct hf_tx *tx, int64_t account_id, const struct hf_census *census,
                          struct hf_why *why)
{
    const struct hf_param account = hf_p_int("account", account_id);
    const struct hf_param day = hf_p_int("day", day_of(census->counted_s));
    const struct hf_param oldest = hf_p_int("oldest", day_of(census->counted_s) -
                                                          HF_FLEET_CENSUS_DAYS * HF_DAY_S);

    HF_TRY(hf_db_execute(tx->db, &hf_census_sql[DROP_OLD], HF_PARAMS(account, oldest), why));
    HF_TRY(
        hf_db_execute(tx->db, &hf_census_sql[DROP_OLD_VERSIONS], HF_PARAMS(account, oldest), why));
    HF_TRY(hf_db_execute(tx->db, &hf_census_sql[DROP_VERSIONS], HF_PARAMS(account, day), why));
    HF_TRY(hf_db_execute(tx->db, &hf_census_sql[PUT],
                         HF_PARAMS(account, day, hf_p_int("counted", census->counted_s),
                                   hf_p_int("unknown", census->unknown),
                                   hf_p_int("shut_out", census->shut_out)),
                         why));
    for (size_t i = 0; i < census->n_versions; i++) {
        const struct hf_census_version *v = &census->versions[i];
        HF_TRY(hf_db_execute(tx->db, &hf_census_sql[PUT_VERSION],
                             HF_PARAMS(account, day, hf_p_text("set", v->set),
                                       hf_p_text("profile", v->profile),
                                       hf_p_int("version", v->version),
                                       hf_p_int("devices", v->devices)),
                             why));
    }
    return HF_OK;
}

static enum hf_err read_version(const struct hf_rows *rows, void *data, struct hf_why *why)
{
    struct hf_census_version *out = data;

    out->version = hf_col_int(rows, 2);
    out->devices = hf_col_int(rows, 3);
    HF_TRY(hf_col_copy_text(rows, 0, out->set, sizeof out->set, why));
    return hf_col_copy_text(rows, 1, out->profile, sizeof out->profile, why);
}

static enum hf_err keep_version(void *ctx, const void *data, struct hf_why *why)
{
    struct hf_census_version *added = append(ctx);

    if (added == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a census");
    *added = *(const struct hf_census_version *)data;
    return HF_OK;
}

static enum hf_err read_day(const struct hf_rows *rows, void *data, struct hf_why *why)
{
    struct hf_census *out = data;

    (void)why;
    *out = (struct hf_census){.counted_s = hf_col_int(rows, 1),
                              .unknown = hf_col_int(rows, 2),
                              .shut_out = hf_col_int(rows, 3)};
    return HF_OK;
}

static enum hf_err keep_day(void *ctx, const void *data, struct hf_why *why)
{
    struct hf_census_days *days = ctx;

    (void)why;
    if (days->n < HF_FLEET_CENSUS_DAYS)
        days->days[days->n++] = *(const struct hf_census *)data;
    return HF_OK;
}

enum hf_err hf_census_read(struct hf_db *db, int64_t account_id, int64_t now_s,
                           struct hf_census_days *out, struct hf_why *why)
{
    const struct hf_param account = hf_p_int("account", account_id);
    const int64_t oldest_s = day_of(now_s) - (HF_FLEET_CENSUS_DAYS - 1) * HF_DAY_S;
    struct hf_census_days found = {.n = 0};
    struct hf_census day;
    struct hf_census_version row;

    enum hf_err err = hf_db_read_each(db, &hf_census_sql[DAYS],
                                      HF_PARAMS(account, hf_p_int("oldest", oldest_s),
                                                hf_p_int("day", day_of(now_s)),
                                                hf_p_int("limit", HF_FLEET_CENSUS_DAYS)),
                                      read_day, &day, keep_day, &found, why);
    for (size_t i = 0; i < found.n && err == HF_OK; i++)
        err = hf_db_read_each(db, &hf_census_sql[VERSIONS],
                              HF_PARAMS(account, hf_p_int("day", day_of(found.days[i].counted_s))),
                              read_version, &row, keep_version, &found.days[i], why);
    if (err == HF_OK)
        *out = found;
    else
        hf_census_days_free(&found);
    return err;
}
