#include "server/findings/finding.h"

#include "common/json/json.h"
#include "server/fleet/audit_log.h"
#include "server/fleet/events.h"
#include "server/fleet/names.h"

#include <stdio.h>
#include <string.h>

enum {
    SEE,
    OPEN,
    COUNT_OPEN,
    IS_OPEN,
    CLOSE_UNSEEN,
    RUN_PUT,
    RUN_GET,
    MUTES_DUE,
    MUTES_END,
    PURGE,
    LIST,
    LIST_CLOSED,
    GET,
    COUNT,
    MUTE,
    UNMUTE,
    CHANGED,
    DUE,
    DELIVERED,
};

#define ROW                                                                                        \
    "f.id, a.name, f.check_name, f.subject_kind, f.subject, f.device_name, f.sentence, "           \
    "f.opened_s, f.seen_s, f.closed_s, f.version, m.reason, m.created_by, m.until_s, "             \
    "f.account_id "
#define ROW_TYPES "iTtttttiiIiTTIi"
#define FROM                                                                                       \
    "FROM finding f LEFT JOIN account a ON a.id = f.account_id "                                   \
    "LEFT JOIN mute m ON m.check_name = f.check_name AND m.account_id = f.account_id "             \
    "AND m.subject = f.subject AND m.until_s > :now "
#define WANTED                                                                                     \
    "AND (:account < 0 OR f.account_id = :account) "                                               \
    "AND (:check = '' OR f.check_name = :check) "

const struct hf_sql hf_finding_sql[] = {
    [SEE] = {"finding_see",
             "UPDATE finding SET seen_s = :now, run = :run, version = version + "
             "CASE WHEN sentence = :sentence THEN 0 ELSE 1 END, sentence = :sentence, "
             "device_name = :device WHERE check_name = :check AND account_id = :account "
             "AND subject = :subject AND closed_s IS NULL RETURNING id",
             "i"},
    [OPEN] = {"finding_open",
              "INSERT INTO finding (account_id, check_name, subject_kind, subject, device_name, "
              "sentence, opened_s, seen_s, run, version, notified_version) VALUES (:account, "
              ":check, :kind, :subject, :device, :sentence, :now, :now, :run, 1, 0) RETURNING id",
              "i"},
    [COUNT_OPEN] = {"finding_count_open",
                    "SELECT count(*) FROM finding WHERE check_name = :check "
                    "AND account_id = :account AND closed_s IS NULL",
                    "i"},
    [IS_OPEN] = {"finding_is_open",
                 "SELECT id FROM finding WHERE check_name = :check AND account_id = :account "
                 "AND subject = :subject AND closed_s IS NULL",
                 "i"},
    [CLOSE_UNSEEN] = {"finding_close_unseen",
                      "UPDATE finding SET closed_s = :now, version = version + 1 "
                      "WHERE check_name = :check AND closed_s IS NULL AND run <> :run "
                      "RETURNING id, account_id, subject_kind, subject, device_name, sentence",
                      "iitttt"},
    [RUN_PUT] = {"check_run_put",
                 "INSERT INTO check_run (check_name, run, started_s, ended_s, found, problem) "
                 "VALUES (:check, :run, :started, :now, :found, :problem) "
                 "ON CONFLICT (check_name) DO UPDATE SET run = excluded.run, "
                 "started_s = excluded.started_s, ended_s = excluded.ended_s, "
                 "found = excluded.found, problem = excluded.problem",
                 ""},
    [RUN_GET] = {"check_run_get",
                 "SELECT run, started_s, ended_s, found, problem FROM check_run "
                 "WHERE check_name = :check",
                 "iiiit"},
    [MUTES_DUE] = {"mutes_due",
                   "UPDATE finding SET version = version + 1 WHERE closed_s IS NULL AND EXISTS "
                   "(SELECT 1 FROM mute m WHERE m.check_name = finding.check_name AND "
                   "m.account_id = finding.account_id AND m.subject = finding.subject AND "
                   "m.until_s <= :now)",
                   ""},
    [MUTES_END] = {"mutes_end", "DELETE FROM mute WHERE until_s <= :now", ""},
    [PURGE] = {"finding_purge",
               "DELETE FROM finding WHERE id IN (SELECT id FROM finding "
               "WHERE closed_s <= :oldest ORDER BY closed_s LIMIT :limit)",
               ""},
    [LIST] = {"finding_list",
              "SELECT " ROW FROM "WHERE f.closed_s IS NULL AND f.id > :after " WANTED
              "AND (m.until_s IS NOT NULL) = (:muted = 1) ORDER BY f.id LIMIT :limit",
              ROW_TYPES},
    [LIST_CLOSED] = {"finding_list_closed",
                     "SELECT " ROW FROM "WHERE f.closed_s IS NOT NULL AND f.id > :after " WANTED
                     "ORDER BY f.id LIMIT :limit",
                     ROW_TYPES},
    [GET] = {"finding_get", "SELECT " ROW FROM "WHERE f.id = :id", ROW_TYPES},
    [COUNT] = {"finding_count",
               "SELECT f.check_name, count(*) - count(m.until_s), count(m.until_s) " FROM
               "WHERE f.closed_s IS NULL GROUP BY f.check_name",
               "tii"},
    [MUTE] = {"mute_put",
              "INSERT INTO mute (check_name, account_id, subject, reason, until_s, created_s, "
              "created_by) SELECT check_name, account_id, subject, :reason, :until, :now, :actor "
              "FROM finding WHERE id = :id "
              "ON CONFLICT (check_name, account_id, subject) DO UPDATE SET "
              "reason = excluded.reason, until_s = excluded.until_s, "
              "created_s = excluded.created_s, created_by = excluded.created_by",
              ""},
    [UNMUTE] = {"mute_end",
                "DELETE FROM mute WHERE EXISTS (SELECT 1 FROM finding f WHERE f.id = :id AND "
                "f.check_name = mute.check_name AND f.account_id = mute.account_id AND "
                "f.subject = mute.subject)",
                ""},
    [CHANGED] = {"finding_changed", "UPDATE finding SET version = version + 1 WHERE id = :id", ""},
    [DUE] = {"finding_due",
             "SELECT " ROW FROM "WHERE f.notified_version < f.version "
             "AND (f.notified_version > 0 OR f.closed_s IS NULL) AND f.id > :after "
             "ORDER BY f.id LIMIT 1",
             ROW_TYPES},
    [DELIVERED] = {"finding_delivered",
                   "UPDATE finding SET notified_version = :version WHERE id = :id "
                   "AND notified_version < :version",
                   ""},
    {0},
};

/* ---- audits ---------------------------------------------------------------------------------- */

static void tell(struct hf_tx *tx, const char *event, const struct hf_finding *row)
{
    hf_event_note_take(tx, event, row->account_id,
                       json_pack("{s:I, s:s, s:s, s:o, s:s, s:o}", "finding", (json_int_t)row->id,
                                 "check", row->check, "kind", row->kind, "subject",
                                 hf_json_plain(row->subject), "device", row->device, "sentence",
                                 hf_json_plain(row->sentence)));
}

enum hf_err hf_finding_note(struct hf_tx *tx, const struct hf_check_run *run, int64_t account_id,
                            const struct hf_found *found, bool may_open, bool *was_opened,
                            struct hf_why *why)
{
    struct hf_param params[] = {hf_p_int("account", account_id),
                                hf_p_text("check", run->check),
                                hf_p_text("subject", found->subject),
                                hf_p_text("device", found->device),
                                hf_p_text("sentence", found->sentence),
                                hf_p_int("now", tx->now_s),
                                hf_p_int("run", run->run),
                                hf_p_text("kind", found->kind)};
    size_t n = sizeof params / sizeof params[0];
    int64_t id = 0;
    *was_opened = false;
    enum hf_err err = hf_db_get_int(tx->db, &hf_finding_sql[SEE], params, n - 1, &id, why);
    if (err != HF_E_NOT_FOUND || !may_open)
        return err == HF_E_NOT_FOUND ? HF_OK : err;
    HF_TRY(hf_db_get_int(tx->db, &hf_finding_sql[OPEN], params, n, &id, why));
    tell(tx, "finding-opened",
         &(struct hf_finding){.id = id,
                              .account_id = account_id,
                              .check = run->check,
                              .kind = found->kind,
                              .subject = found->subject,
                              .device = found->device,
                              .sentence = found->sentence});
    *was_opened = true;
    return HF_OK;
}

enum hf_err hf_finding_is_open(struct hf_db *db, const char *check, int64_t account_id,
                               const char *subject, bool *out, struct hf_why *why)
{
    int64_t id = 0;
    enum hf_err err = hf_db_get_int(db, &hf_finding_sql[IS_OPEN],
                                    HF_PARAMS(hf_p_text("check", check),
                                              hf_p_int("account", account_id),
                                              hf_p_text("subject", subject)),
                                    &id, why);
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        return err;
    *out = err == HF_OK;
    return HF_OK;
}

enum hf_err hf_finding_count_open(struct hf_db *db, const char *check, int64_t account_id,
                                  int64_t *out, struct hf_why *why)
{
    return hf_db_get_int(db, &hf_finding_sql[COUNT_OPEN],
                         HF_PARAMS(hf_p_text("check", check), hf_p_int("account", account_id)), out,
                         why);
}

static enum hf_err read_closed(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    (void)why;
    *(struct hf_finding *)out = (struct hf_finding){.id = hf_col_int(rows, 0),
                                                    .account_id = hf_col_int(rows, 1),
                                                    .kind = hf_col_text(rows, 2),
                                                    .subject = hf_col_text(rows, 3),
                                                    .device = hf_col_text(rows, 4),
                                                    .sentence = hf_col_text(rows, 5)};
    return HF_OK;
}

struct closing {
    struct hf_tx *tx;
    const char *check;
};

static enum hf_err tell_closed(void *ctx, const void *data, struct hf_why *why)
{
    const struct closing *closing = ctx;
    struct hf_finding row = *(const struct hf_finding *)data;

    (void)why;
    row.check = closing->check;
    tell(closing->tx, "finding-closed", &row);
    return HF_OK;
}

enum hf_err hf_check_run_end(struct hf_tx *tx, const struct hf_check_run *run, bool must_keep,
                             struct hf_why *why)
{
    HF_TRY(
        hf_db_execute(tx->db, &hf_finding_sql[RUN_PUT],
                      HF_PARAMS(hf_p_text("check", run->check), hf_p_int("run", run->run),
                                hf_p_int("started", run->started_s), hf_p_int("now", tx->now_s),
                                hf_p_int("found", run->found), hf_p_text("problem", run->problem)),
                      why));
    if (must_keep)
        return HF_OK;
    struct closing closing = {tx, run->check};
    struct hf_finding row;
    return hf_db_read_each(tx->db, &hf_finding_sql[CLOSE_UNSEEN],
                           HF_PARAMS(hf_p_text("check", run->check), hf_p_int("run", run->run),
                                     hf_p_int("now", tx->now_s)),
                           read_closed, &row, tell_closed, &closing, why);
}

static enum hf_err read_run(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct hf_check_run row = {.run = hf_col_int(rows, 0),
                               .started_s = hf_col_int(rows, 1),
                               .ended_s = hf_col_int(rows, 2),
                               .found = hf_col_int(rows, 3)};
    HF_TRY(hf_col_copy_text(rows, 4, row.problem, sizeof row.problem, why));
    *(struct hf_check_run *)out = row;
    return HF_OK;
}

enum hf_err hf_check_run_get(struct hf_db *db, const char *check, struct hf_check_run *out,
                             struct hf_why *why)
{
    struct hf_check_run row = {0};
    enum hf_err err = hf_db_read_one(db, &hf_finding_sql[RUN_GET],
                                     HF_PARAMS(hf_p_text("check", check)), read_run, &row,
                                     "this check has not run yet", why);
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        return err;
    row.check = check;
    *out = row;
    return HF_OK;
}

enum hf_err hf_finding_tidy(struct hf_tx *tx, struct hf_why *why)
{
    HF_TRY(hf_db_execute(tx->db, &hf_finding_sql[MUTES_DUE], HF_PARAMS(hf_p_int("now", tx->now_s)),
                         why));
    HF_TRY(hf_db_execute(tx->db, &hf_finding_sql[MUTES_END], HF_PARAMS(hf_p_int("now", tx->now_s)),
                         why));
    return hf_db_execute(tx->db, &hf_finding_sql[PURGE],
                         HF_PARAMS(hf_p_int("oldest", tx->now_s - HF_FINDING_KEEP_S),
                                   hf_p_int("limit", HF_FINDINGS_PURGED_AT_ONCE)),
                         why);
}

/* ---- operators ------------------------------------------------------------------------------- */

static const char *const state_names[] =
    {[HF_FINDING_OPEN] = "open", [HF_FINDING_MUTED] = "muted", [HF_FINDING_CLOSED] = "closed"};

const char *hf_finding_state_name(enum hf_finding_state state)
{
    return state_names[state];
}

bool hf_finding_state_parse(const char *name, enum hf_finding_state *out)
{
    for (size_t i = 0; i < sizeof state_names / sizeof state_names[0]; i++)
        if (strcmp(state_names[i], name) == 0) {
            *out = (enum hf_finding_state)i;
            return true;
        }
    return false;
}

static enum hf_err read_finding(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    (void)why;
    struct hf_finding row = {.id = hf_col_int(rows, 0),
                             .account = hf_col_text(rows, 1),
                             .check = hf_col_text(rows, 2),
                             .kind = hf_col_text(rows, 3),
                             .subject = hf_col_text(rows, 4),
                             .device = hf_col_text(rows, 5),
                             .sentence = hf_col_text(rows, 6),
                             .opened_s = hf_col_int(rows, 7),
                             .seen_s = hf_col_int(rows, 8),
                             .closed_s = hf_col_int_or(rows, 9, 0),
                             .version = hf_col_int(rows, 10),
                             .mute_reason = hf_col_text(rows, 11),
                             .muted_by = hf_col_text(rows, 12),
                             .muted_until_s = hf_col_int_or(rows, 13, 0),
                             .account_id = hf_col_int(rows, 14)};
    row.state = row.closed_s != 0         ? HF_FINDING_CLOSED
                : row.mute_reason != NULL ? HF_FINDING_MUTED
                                          : HF_FINDING_OPEN;
    *(struct hf_finding *)out = row;
    return HF_OK;
}

enum hf_err hf_finding_list(struct hf_db *db, const struct hf_finding_filter *filter, int64_t now_s,
                            int64_t after, size_t limit, hf_db_each *each, void *ctx,
                            struct hf_why *why)
{
    struct hf_finding row;
    struct hf_param params[] = {hf_p_int("account", filter->account_id),
                                hf_p_text("check", filter->check),
                                hf_p_int("now", now_s),
                                hf_p_int("after", after),
                                hf_p_int("limit", (int64_t)limit),
                                hf_p_int("muted", filter->state == HF_FINDING_MUTED)};
    size_t n = sizeof params / sizeof params[0];
    bool is_closed = filter->state == HF_FINDING_CLOSED;
    return hf_db_read_each(db, &hf_finding_sql[is_closed ? LIST_CLOSED : LIST], params,
                           is_closed ? n - 1 : n, read_finding, &row, each, ctx, why);
}

enum hf_err hf_finding_get(struct hf_db *db, int64_t id, int64_t now_s, hf_db_each *each, void *ctx,
                           struct hf_why *why)
{
    struct hf_finding row = {0};
    HF_TRY(hf_db_read_each(db, &hf_finding_sql[GET],
                           HF_PARAMS(hf_p_int("id", id), hf_p_int("now", now_s)), read_finding,
                           &row, each, ctx, why));
    return row.id != 0 ? HF_OK : hf_fail(why, HF_E_NOT_FOUND, "there is no finding of this number");
}

struct counting {
    hf_db_each *each;
    void *ctx;
};

static enum hf_err read_counts(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct hf_finding_count *pair = out;
    (void)why;
    for (unsigned i = 0; i < 2; i++)
        pair[i] = (struct hf_finding_count){hf_col_text(rows, 0), i == 1, hf_col_int(rows, 1 + i)};
    return HF_OK;
}

static enum hf_err give_counts(void *ctx, const void *row, struct hf_why *why)
{
    const struct counting *counting = ctx;
    const struct hf_finding_count *pair = row;
    HF_TRY(counting->each(counting->ctx, &pair[0], why));
    return counting->each(counting->ctx, &pair[1], why);
}

enum hf_err hf_finding_count(struct hf_db *db, int64_t now_s, hf_db_each *each, void *ctx,
                             struct hf_why *why)
{
    struct counting counting = {each, ctx};
    struct hf_finding_count pair[2];
    return hf_db_read_each(db, &hf_finding_sql[COUNT], HF_PARAMS(hf_p_int("now", now_s)),
                           read_counts, pair, give_counts, &counting, why);
}

/* ---- mutes ----------------------------------------------------------------------------------- */

/* What an act needs to know of the finding. */
struct subject {
    int64_t account_id, version;
    enum hf_finding_state state;
    char check[64];
    char name[HF_FINDING_SUBJECT_MAX];
};

static enum hf_err keep_subject(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_finding *row = data;
    struct subject *subject = ctx;
    (void)why;
    subject->account_id = row->account_id;
    subject->version = row->version;
    subject->state = row->state;
    (void)snprintf(subject->check, sizeof subject->check, "%s", row->check);
    (void)snprintf(subject->name, sizeof subject->name, "%s", row->subject);
    return HF_OK;
}

enum hf_err hf_finding_mute(struct hf_tx *tx, int64_t id, const char *reason, int64_t until_s,
                            struct hf_why *why)
{
    struct subject subject;
    HF_TRY(hf_name_check_text("reason", reason, HF_FLEET_REASON_MAX, why));
    if (reason[0] == '\0')
        return hf_fail(why, HF_E_ARGUMENT, "a mute needs a reason");
    if (until_s <= tx->now_s || until_s > tx->now_s + HF_MUTE_LIFE_MAX_S)
        return hf_fail(why, HF_E_ARGUMENT, "a mute ends within the next %d days",
                       (int)(HF_MUTE_LIFE_MAX_S / 86400));
    HF_TRY(hf_finding_get(tx->db, id, tx->now_s, keep_subject, &subject, why));
    if (subject.state == HF_FINDING_CLOSED)
        return hf_fail(why, HF_E_STATE, "this finding is closed: there is nothing to mute");
    HF_TRY(hf_db_execute(tx->db, &hf_finding_sql[MUTE],
                         HF_PARAMS(hf_p_int("id", id), hf_p_text("reason", reason),
                                   hf_p_int("until", until_s), hf_p_int("now", tx->now_s),
                                   hf_p_text("actor", tx->actor)),
                         why));
    HF_TRY(hf_db_execute(tx->db, &hf_finding_sql[CHANGED], HF_PARAMS(hf_p_int("id", id)), why));
    return hf_audit_append_take(tx, "finding.mute", subject.account_id,
                                json_pack("{s:s, s:s, s:s, s:o}", "check", subject.check, "subject",
                                          subject.name, "reason", reason, "until",
                                          hf_json_time(until_s)),
                                why);
}

enum hf_err hf_finding_unmute(struct hf_tx *tx, int64_t id, int64_t if_version, struct hf_why *why)
{
    struct subject subject;
    HF_TRY(hf_finding_get(tx->db, id, tx->now_s, keep_subject, &subject, why));
    HF_TRY(hf_tx_check_version(if_version, subject.version, why));
    if (subject.state != HF_FINDING_MUTED)
        return hf_fail(why, HF_E_STATE, "this finding is not muted");
    HF_TRY(hf_db_execute(tx->db, &hf_finding_sql[UNMUTE], HF_PARAMS(hf_p_int("id", id)), why));
    HF_TRY(hf_db_execute(tx->db, &hf_finding_sql[CHANGED], HF_PARAMS(hf_p_int("id", id)), why));
    return hf_audit_append_take(tx, "finding.unmute", subject.account_id,
                                json_pack("{s:s, s:s}", "check", subject.check, "subject",
                                          subject.name),
                                why);
}

/* ---- delivery -------------------------------------------------------------------------------- */

enum hf_err hf_finding_give_due(struct hf_db *db, int64_t now_s, int64_t after, hf_db_each *each,
                                void *ctx, struct hf_why *why)
{
    struct hf_finding row;
    return hf_db_read_each(db, &hf_finding_sql[DUE],
                           HF_PARAMS(hf_p_int("now", now_s), hf_p_int("after", after)),
                           read_finding, &row, each, ctx, why);
}

enum hf_err hf_finding_note_delivered(struct hf_tx *tx, int64_t id, int64_t version,
                                      struct hf_why *why)
{
    return hf_db_execute(tx->db, &hf_finding_sql[DELIVERED],
                         HF_PARAMS(hf_p_int("id", id), hf_p_int("version", version)), why);
}
