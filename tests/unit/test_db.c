/* server/db: the connection, the SQLite driver, migrations, backup. */
#include "tests/support/check.h"
#include "tests/support/temp_dir.h"
#include "tests/support/whole_db.h"

#include "server/db/driver.h"
#include "server/db/migrate.h"
#include "server/db/sqlite_copy.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct hf_migration steps[] = {
    {1, "0001-first",
     "CREATE TABLE one (a BIGINT PRIMARY KEY, b TEXT NOT NULL CHECK (b <> ''));\n"
     "CREATE TABLE two (a BIGINT REFERENCES one (a));\n"},
    {2, "0002-second", "ALTER TABLE one ADD COLUMN c BLOB;\n"},
    {3, "0003-broken", "CREATE TABLE three (a TEXT);\nINSERT INTO nowhere VALUES (1);\n"},
};

static const struct hf_sql insert = {"insert", "INSERT INTO one (a, b, c) VALUES (:a, :b, :c)", ""};
static const struct hf_sql list = {"list", "SELECT a, b, c FROM one ORDER BY a", "itB"};
static const struct hf_sql list_wrong = {"list_wrong", "SELECT a, b FROM one", "tt"};
static const struct hf_sql count = {"count", "SELECT count(*) FROM one", "i"};

static struct hf_db *open_new(void **state)
{
    struct hf_why why = {0};
    struct hf_db *db = NULL;

    CHECK_OK(hf_db_connect(&hf_db_sqlite, temp_path(*state, "db"), HF_DB_CREATE, &db, &why));
    CHECK_OK(hf_db_migrate(db, steps, 2, &why));
    return db;
}

static enum hf_err add(struct hf_db *db, int64_t a, const char *b, struct hf_why *why)
{
    return hf_db_execute(db, &insert,
                         HF_PARAMS(hf_p_int("a", a), hf_p_text("b", b), hf_p_bytes("c", "\0x", 2)),
                         why);
}

static int64_t n_rows(struct hf_db *db)
{
    int64_t n = -1;
    CHECK_OK(hf_db_get_int(db, &count, HF_NO_PARAMS, &n, NULL));
    return n;
}

static void values_come_back_as_they_went_in(void **state)
{
    struct hf_db *db = open_new(state);
    struct hf_why why = {0};
    struct hf_rows rows;
    char text[8], bytes[2];

    CHECK_OK(add(db, INT64_MIN, "\xc3\xa4' OR 1=1 --", &why));
    CHECK_OK(hf_db_execute(db, &insert,
                           HF_PARAMS(hf_p_int("a", 2), hf_p_text("b", "b"), hf_p_text("c", NULL)),
                           &why));
    CHECK_OK(hf_db_run(db, &list, HF_NO_PARAMS, &rows, &why));
    CHECK_OK(hf_db_next(&rows, &why));
    assert_true(hf_col_int(&rows, 0) == INT64_MIN);
    assert_string_equal(hf_col_text(&rows, 1), "\xc3\xa4' OR 1=1 --");
    CHECK_REFUSED(hf_col_copy_text(&rows, 1, text, sizeof text, &why), HF_E_FORMAT, &why,
                  "damaged");
    CHECK_OK(hf_col_copy_bytes(&rows, 2, bytes, sizeof bytes, &why));
    assert_memory_equal(bytes, "\0x", 2);
    CHECK_REFUSED(hf_col_copy_bytes(&rows, 2, text, 3, &why), HF_E_FORMAT, &why, "has 2 bytes");
    CHECK_OK(hf_db_next(&rows, &why));
    assert_null(hf_col_bytes(&rows, 2).data);
    assert_int_equal(hf_db_next(&rows, &why), HF_E_NOT_FOUND);
    hf_db_end(&rows);
    hf_db_close(db);
}

static void parameters_are_given_by_name_each_once(void **state)
{
    struct hf_db *db = open_new(state);
    struct hf_why why = {0};

    CHECK_REFUSED(hf_db_execute(db, &insert, HF_PARAMS(hf_p_int("a", 1)), &why), HF_E_ARGUMENT,
                  &why, "statement insert: expected 3 parameters, found 1");
    CHECK_REFUSED(hf_db_execute(db, &insert,
                                HF_PARAMS(hf_p_int("a", 1), hf_p_text("b", "b"), hf_p_int("d", 1)),
                                &why),
                  HF_E_ARGUMENT, &why, "there is no parameter :d");
    assert_int_equal(n_rows(db), 0);
    hf_db_close(db);
}

static void a_column_of_another_type_is_damage(void **state)
{
    struct hf_db *db = open_new(state);
    struct hf_why why = {0};
    struct hf_rows rows;

    CHECK_OK(add(db, 1, "b", &why));
    CHECK_OK(hf_db_run(db, &list_wrong, HF_NO_PARAMS, &rows, &why));
    CHECK_REFUSED(hf_db_next(&rows, &why), HF_E_FORMAT, &why,
                  "damaged: column 1 of list_wrong has another type");
    hf_db_end(&rows);
    hf_db_close(db);
}

static void a_statement_under_way_cannot_be_run_again(void **state)
{
    struct hf_db *db = open_new(state);
    struct hf_why why = {0};
    struct hf_rows rows, second;

    CHECK_OK(hf_db_run(db, &list, HF_NO_PARAMS, &rows, &why));
    CHECK_REFUSED(hf_db_run(db, &list, HF_NO_PARAMS, &second, &why), HF_E_ARGUMENT, &why,
                  "under way already");
    hf_db_end(&rows);
    CHECK_OK(hf_db_run(db, &list, HF_NO_PARAMS, &rows, &why));
    hf_db_end(&rows);
    hf_db_close(db);
}

static void rules_of_the_schema_are_told_apart(void **state)
{
    static const struct hf_sql refer = {"refer", "INSERT INTO two (a) VALUES (:a)", ""};
    struct hf_db *db = open_new(state);
    struct hf_why why = {0};

    CHECK_OK(add(db, 1, "b", &why));
    CHECK_REFUSED(add(db, 1, "b", &why), HF_E_STATE, &why, "UNIQUE");
    CHECK_REFUSED(add(db, 2, "", &why), HF_E_ARGUMENT, &why, "CHECK");
    CHECK_REFUSED(add(db, 2, NULL, &why), HF_E_ARGUMENT, &why, "NOT NULL");
    CHECK_REFUSED(hf_db_execute(db, &refer, HF_PARAMS(hf_p_int("a", 7)), &why), HF_E_STATE, &why,
                  "FOREIGN KEY");
    assert_int_equal(n_rows(db), 1);
    hf_db_close(db);
}

static void transactions_nest(void **state)
{
    struct hf_db *db = open_new(state);
    struct hf_why why = {0};

    CHECK_OK(hf_db_begin(db, &why));
    CHECK_OK(add(db, 1, "kept", &why));
    CHECK_OK(hf_db_begin(db, &why));
    CHECK_OK(add(db, 2, "dropped", &why));
    hf_db_rollback(db);
    CHECK_OK(hf_db_begin(db, &why));
    CHECK_OK(add(db, 3, "kept", &why));
    CHECK_OK(hf_db_commit(db, &why));
    assert_int_equal(hf_db_depth(db), 1);
    CHECK_OK(hf_db_commit(db, &why));
    assert_int_equal(n_rows(db), 2);

    CHECK_OK(hf_db_begin(db, &why));
    CHECK_OK(add(db, 4, "dropped", &why));
    hf_db_rollback(db);
    assert_int_equal(n_rows(db), 2);
    CHECK_REFUSED(hf_db_commit(db, &why), HF_E_ARGUMENT, &why, "no transaction");
    hf_db_close(db);
}

static void a_savepoint_outside_of_a_lost_transaction_is_refused(void **state)
{
    struct hf_db *db = open_new(state);
    struct hf_why why = {0};

    CHECK_OK(hf_db_begin(db, &why));
    /* As SQLite does itself on a full disk. */
    CHECK_OK(hf_db_execute_text(db, "ROLLBACK", &why));
    CHECK_REFUSED(hf_db_begin(db, &why), HF_E_STORAGE, &why, "ended early");
    CHECK_REFUSED(hf_db_commit(db, &why), HF_E_STORAGE, &why, "ended early");
    assert_int_equal(hf_db_depth(db), 0);
    hf_db_close(db);
}

static void what_was_not_committed_is_gone_after_the_end(void **state)
{
    struct hf_db *db = open_new(state);
    struct hf_why why = {0};

    CHECK_OK(hf_db_begin(db, &why));
    CHECK_OK(add(db, 1, "b", &why));
    hf_db_close(db);
    db = open_new(state);
    assert_int_equal(n_rows(db), 0);
    hf_db_close(db);
}

static void a_reader_changes_nothing_and_sees_what_is_committed(void **state)
{
    struct hf_db *db = open_new(state), *reader = NULL;
    struct hf_why why = {0};

    CHECK_OK(hf_db_connect(&hf_db_sqlite, temp_path(*state, "db"), HF_DB_READ, &reader, &why));
    CHECK_REFUSED(add(reader, 1, "b", &why), HF_E_STORAGE, &why, "read-only");
    CHECK_OK(hf_db_begin(reader, &why));
    assert_int_equal(n_rows(reader), 0);
    CHECK_OK(add(db, 1, "b", &why));
    assert_int_equal(n_rows(reader), 0);
    hf_db_rollback(reader);
    assert_int_equal(n_rows(reader), 1);
    hf_db_close(reader);
    hf_db_close(db);
}

static void the_database_is_private_synced_and_has_a_log(void **state)
{
    static const struct hf_sql sync = {"sync", "PRAGMA synchronous", "i"};
    static const struct hf_sql mode = {"mode", "PRAGMA journal_mode", "t"};
    struct hf_db *db = open_new(state);
    struct hf_rows rows;
    int64_t found = 0;

    assert_int_equal(temp_mode(temp_path(*state, "db")), 0600);
    assert_int_equal(temp_mode(temp_path(*state, "db-wal")), 0600);
    CHECK_OK(hf_db_get_int(db, &sync, HF_NO_PARAMS, &found, NULL));
    assert_int_equal(found, 2); /* FULL */
    CHECK_OK(hf_db_run(db, &mode, HF_NO_PARAMS, &rows, NULL));
    CHECK_OK(hf_db_next(&rows, NULL));
    assert_string_equal(hf_col_text(&rows, 0), "wal");
    hf_db_end(&rows);
    hf_db_close(db);
}

static void only_our_own_databases_are_opened(void **state)
{
    const char *path = temp_path(*state, "other");
    struct hf_db *db = NULL;
    struct hf_why why = {0};
    sqlite3 *other = NULL;

    CHECK_REFUSED(hf_db_connect(&hf_db_sqlite, path, HF_DB_WRITE, &db, &why), HF_E_NOT_FOUND, &why,
                  "there is no database");
    assert_false(temp_exists(path));
    assert_int_equal(symlink("loop", temp_path(*state, "loop")), 0);
    CHECK_REFUSED(hf_db_connect(&hf_db_sqlite, temp_path(*state, "loop/x"), HF_DB_WRITE, &db, &why),
                  HF_E_STORAGE, &why, "cannot open the database");
    temp_write(path, "not a database, but long enough to be taken for one without a look at it: "
                     "a header has a hundred bytes");
    CHECK_REFUSED(hf_db_connect(&hf_db_sqlite, path, HF_DB_CREATE, &db, &why), HF_E_FORMAT, &why,
                  "not a database");
    assert_int_equal(remove(path), 0);
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "CREATE TABLE theirs (a)", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    CHECK_REFUSED(hf_db_connect(&hf_db_sqlite, path, HF_DB_CREATE, &db, &why), HF_E_FORMAT, &why,
                  "not a database of the fleet service");
    assert_null(db);
}

static void one_process_holds_a_lock(void **state)
{
    struct hf_db *db = open_new(state), *second = NULL;
    struct hf_why why = {0};

    CHECK_OK(hf_db_connect(&hf_db_sqlite, temp_path(*state, "db"), HF_DB_WRITE, &second, &why));
    CHECK_OK(hf_db_lock(db, "writer", &why));
    assert_string_equal(hf_err_name(hf_db_lock(second, "writer", &why)), hf_err_name(HF_E_BUSY));
    CHECK_OK(hf_db_lock(second, "engine", &why));
    hf_db_close(db);
    CHECK_OK(hf_db_lock(second, "writer", &why));
    hf_db_close(second);
}

static void changes_of_others_are_noticed(void **state)
{
    struct hf_db *db = open_new(state), *second = NULL;
    struct hf_why why = {0};
    bool has_changed = false;

    CHECK_OK(hf_db_connect(&hf_db_sqlite, temp_path(*state, "db"), HF_DB_WRITE, &second, &why));
    CHECK_OK(hf_db_listen(db, &has_changed, &why));
    assert_true(has_changed);
    CHECK_OK(add(db, 1, "own", &why));
    CHECK_OK(hf_db_listen(db, &has_changed, &why));
    assert_false(has_changed);
    CHECK_OK(add(second, 2, "another's", &why));
    CHECK_OK(hf_db_listen(db, &has_changed, &why));
    assert_true(has_changed);
    hf_db_close(second);
    hf_db_close(db);
}

/* ---- migrations ------------------------------------------------------------------------------ */

static void a_step_that_fails_is_taken_back_and_those_before_it_stay(void **state)
{
    static const struct hf_sql tables = {"tables",
                                         "SELECT count(*) FROM sqlite_schema WHERE name = 'three'",
                                         "i"};
    static const struct hf_sql seen = {"seen", "SELECT count(*) FROM migration", "i"};
    struct hf_db *db = open_new(state);
    struct hf_why why = {0};
    int64_t n = -1;

    CHECK_REFUSED(hf_db_migrate(db, steps, 3, &why), HF_E_STORAGE, &why, "step 0003-broken");
    assert_int_equal(hf_db_depth(db), 0);
    CHECK_OK(hf_db_get_int(db, &tables, HF_NO_PARAMS, &n, &why));
    assert_int_equal(n, 0);
    CHECK_OK(hf_db_get_int(db, &seen, HF_NO_PARAMS, &n, &why));
    assert_int_equal(n, 2);
    hf_db_close(db);
}

static void a_newer_schema_is_refused(void **state)
{
    struct hf_db *db = open_new(state);
    struct hf_why why = {0};

    CHECK_REFUSED(hf_db_migrate(db, steps, 1, &why), HF_E_SCHEMA, &why,
                  "written by a newer Holdfast (expected schema 1 at most, found 2)");
    hf_db_close(db);
}

static void another_lineage_of_steps_is_refused(void **state)
{
    const struct hf_migration others[] = {{1, "0001-else", "CREATE TABLE x (a TEXT);\n"}};
    struct hf_db *db = open_new(state);
    struct hf_why why = {0};

    CHECK_REFUSED(hf_db_migrate(db, others, 1, &why), HF_E_FORMAT, &why,
                  "expected step \"0001-else\", found \"0001-first\"");
    hf_db_close(db);
}

static void the_steps_of_both_databases_are_the_same(void **state)
{
    (void)state;
    assert_true(hf_fleet_migrations_len >= 1);
    assert_int_equal(hf_fleet_migrations_len, hf_fleet_pg_migrations_len);
    for (size_t i = 0; i < hf_fleet_migrations_len; i++) {
        assert_int_equal(hf_fleet_migrations[i].number, i + 1);
        assert_string_equal(hf_fleet_migrations[i].name, hf_fleet_pg_migrations[i].name);
        assert_null(strchr(hf_fleet_migrations[i].sql, '@'));
        assert_null(strchr(hf_fleet_pg_migrations[i].sql, '@'));
    }
}

/* ---- backup ---------------------------------------------------------------------------------- */

static void a_backup_is_what_was_committed_when_it_was_made(void **state)
{
    const char *path = temp_path(*state, "backup");
    struct hf_db *db = open_new(state), *own = NULL, *backup = NULL;
    struct hf_why why = {0};

    CHECK_OK(add(db, 1, "b", &why));
    CHECK_OK(hf_db_begin(db, &why));
    CHECK_OK(add(db, 2, "not committed", &why));
    CHECK_OK(hf_db_connect(&hf_db_sqlite, temp_path(*state, "db"), HF_DB_READ, &own, &why));
    CHECK_OK(hf_db_backup(own, path, &why));
    CHECK_OK(hf_db_commit(db, &why));
    assert_int_equal(temp_mode(path), 0600);
    CHECK_REFUSED(hf_db_backup(own, path, &why), HF_E_STATE, &why, "the file exists");
    hf_db_close(own);

    CHECK_OK(hf_db_connect(&hf_db_sqlite, path, HF_DB_READ, &backup, &why));
    check_db_is_whole(backup);
    assert_int_equal(n_rows(backup), 1);
    CHECK_OK(hf_db_replace(db, backup, &why));
    assert_int_equal(n_rows(db), 1);
    hf_db_close(backup);
    hf_db_close(db);
    db = open_new(state);
    assert_int_equal(n_rows(db), 1);
    hf_db_close(db);
}

static void a_reader_sees_the_old_state_until_the_database_is_replaced(void **state)
{
    struct hf_db *db = open_new(state), *reader = NULL, *backup = NULL;
    struct hf_why why = {0};

    CHECK_OK(hf_db_backup(db, temp_path(*state, "backup"), &why));
    CHECK_OK(add(db, 1, "b", &why));
    CHECK_OK(hf_db_connect(&hf_db_sqlite, temp_path(*state, "db"), HF_DB_READ, &reader, &why));
    CHECK_OK(hf_db_begin(reader, &why));
    assert_int_equal(n_rows(reader), 1);
    CHECK_OK(hf_db_connect(&hf_db_sqlite, temp_path(*state, "backup"), HF_DB_READ, &backup, &why));
    CHECK_OK(hf_db_replace(db, backup, &why));
    assert_int_equal(n_rows(reader), 1);
    hf_db_rollback(reader);
    assert_int_equal(n_rows(reader), 0);
    hf_db_close(backup);
    hf_db_close(reader);
    hf_db_close(db);
}

static void a_damaged_database_does_not_become_a_backup(void **state)
{
    const char *path = temp_path(*state, "db");
    struct hf_db *db = open_new(state);
    struct hf_why why = {0};
    char text[3000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 20; i++)
        CHECK_OK(add(db, i, text, &why));
    hf_db_close(db);
    temp_overwrite(path, 6 * 4096, "rotten rotten rotten", 20);
    db = open_new(state);
    assert_int_not_equal(hf_db_backup(db, temp_path(*state, "backup"), &why), HF_OK);
    assert_non_null(strstr(why.text, "damaged"));
    assert_false(temp_exists(temp_path(*state, "backup")));
    assert_false(temp_exists(temp_path(*state, "backup.unfinished")));
    hf_db_close(db);
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_dir_setup, temp_dir_teardown)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(values_come_back_as_they_went_in),
        IN_A_FOLDER(parameters_are_given_by_name_each_once),
        IN_A_FOLDER(a_column_of_another_type_is_damage),
        IN_A_FOLDER(a_statement_under_way_cannot_be_run_again),
        IN_A_FOLDER(rules_of_the_schema_are_told_apart),
        IN_A_FOLDER(transactions_nest),
        IN_A_FOLDER(a_savepoint_outside_of_a_lost_transaction_is_refused),
        IN_A_FOLDER(what_was_not_committed_is_gone_after_the_end),
        IN_A_FOLDER(a_reader_changes_nothing_and_sees_what_is_committed),
        IN_A_FOLDER(the_database_is_private_synced_and_has_a_log),
        IN_A_FOLDER(only_our_own_databases_are_opened),
        IN_A_FOLDER(one_process_holds_a_lock),
        IN_A_FOLDER(changes_of_others_are_noticed),
        IN_A_FOLDER(a_step_that_fails_is_taken_back_and_those_before_it_stay),
        IN_A_FOLDER(a_newer_schema_is_refused),
        IN_A_FOLDER(another_lineage_of_steps_is_refused),
        cmocka_unit_test(the_steps_of_both_databases_are_the_same),
        IN_A_FOLDER(a_backup_is_what_was_committed_when_it_was_made),
        IN_A_FOLDER(a_reader_sees_the_old_state_until_the_database_is_replaced),
        IN_A_FOLDER(a_damaged_database_does_not_become_a_backup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
