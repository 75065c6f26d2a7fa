/* client/port/posix/db_check: numbered steps forward. */
#include "tests/support/check.h"

#include "client/port/posix/db.h"

#include <stdlib.h>

#define FIRST                                                                                      \
    {                                                                                              \
        1, "0001-first", "CREATE TABLE one (a TEXT);"                                              \
    }
#define SECOND                                                                                     \
    {                                                                                              \
        2, "0002-second", "ALTER TABLE one ADD COLUMN b; INSERT INTO one VALUES (1, 2);"           \
    }
#define BROKEN                                                                                     \
    {                                                                                              \
        3, "0003-broken", "CREATE TABLE three (a); INSERT INTO nowhere VALUES (1);"                \
    }

static int setup(void **state)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    *state = db;
    return 0;
}

static int teardown(void **state)
{
    return sqlite3_close(*state);
}

static int64_t count(sqlite3 *db, const char *sql)
{
    int64_t n = -1;
    CHECK_OK(hf_db_query_int64(db, sql, "count", &n, NULL));
    return n;
}

static void steps_run_once_each_and_in_order(void **state)
{
    const struct hf_migration steps[] = {FIRST, SECOND};
    struct hf_why why = {0};
    int64_t version = 0;

    CHECK_OK(hf_schema_migrate(*state, steps, 1, &why));
    CHECK_OK(hf_schema_check(*state, 1, &version, &why));
    assert_int_equal(version, 1);
    CHECK_OK(hf_schema_migrate(*state, steps, 2, &why));
    CHECK_OK(hf_schema_migrate(*state, steps, 2, &why));
    CHECK_OK(hf_schema_check(*state, 2, &version, &why));
    assert_int_equal(version, 2);
    assert_int_equal(count(*state, "SELECT count(*) FROM one"), 1);
}

static void a_step_that_fails_is_taken_back_and_those_before_it_stay(void **state)
{
    const struct hf_migration steps[] = {FIRST, SECOND, BROKEN};
    struct hf_why why = {0};
    int64_t version = 0;

    CHECK_REFUSED(hf_schema_migrate(*state, steps, 3, &why), HF_E_STORAGE, &why, "nowhere");
    CHECK_OK(hf_schema_check(*state, 3, &version, &why));
    assert_int_equal(version, 2);
    assert_int_equal(count(*state, "SELECT count(*) FROM sqlite_schema WHERE name = 'three'"), 0);
    assert_int_equal(sqlite3_get_autocommit(*state), 1);
}

static void a_newer_schema_is_refused(void **state)
{
    const struct hf_migration steps[] = {FIRST, SECOND};
    struct hf_why why = {0};
    int64_t version = -5;

    CHECK_OK(hf_schema_migrate(*state, steps, 2, &why));
    CHECK_REFUSED(hf_schema_check(*state, 1, &version, &why), HF_E_SCHEMA, &why,
                  "its schema is 2, this one writes 1");
    assert_int_equal(version, -5);
}

static void a_database_of_something_else_is_refused(void **state)
{
    struct hf_why why = {0};
    int64_t version = -5;

    CHECK_OK(hf_db_exec(*state, "CREATE TABLE theirs (a); PRAGMA user_version = 1", "test", &why));
    CHECK_REFUSED(hf_schema_check(*state, 1, &version, &why), HF_E_FORMAT, &why,
                  "not a database of holdfast");
    assert_int_equal(version, -5);
}

static void the_steps_that_are_compiled_in_are_numbered_without_gaps(void **state)
{
    (void)state;
    assert_true(hf_client_migrations_len >= 1);
    for (size_t i = 0; i < hf_client_migrations_len; i++) {
        assert_int_equal(hf_client_migrations[i].number, i + 1);
        assert_int_equal(strtol(hf_client_migrations[i].name, NULL, 10), i + 1);
    }
}

/* Its text would differ from one SQLite to the next, and be taken for damage. */
static void no_step_renames(void **state)
{
    (void)state;
    for (size_t i = 0; i < hf_client_migrations_len; i++)
        assert_null(strcasestr(hf_client_migrations[i].sql, "RENAME"));
}

static void a_schema_is_told_from_one_that_rotted(void **state)
{
    const int64_t newest = (int64_t)hf_client_migrations_len;
    struct hf_why why = {0};

    CHECK_OK(hf_schema_migrate(*state, hf_client_migrations, hf_client_migrations_len, &why));
    CHECK_OK(hf_schema_compare(*state, hf_client_migrations, newest, &why));
    CHECK_REFUSED(hf_schema_compare(*state, hf_client_migrations, newest - 1, &why), HF_E_FORMAT,
                  &why, "its schema is not that of version");
    CHECK_REFUSED(hf_schema_compare(*state, hf_client_migrations, -1, &why), HF_E_FORMAT, &why,
                  "its schema is not that of version -1");
    CHECK_OK(
        hf_db_exec(*state, "ALTER TABLE config RENAME COLUMN on_swap TO on_swbp", "test", &why));
    CHECK_REFUSED(hf_schema_compare(*state, hf_client_migrations, newest, &why), HF_E_FORMAT, &why,
                  "its schema is not that of version");
}

/* Else every start would build a database in memory to compare. */
static void the_hash_of_the_newest_schema_is_compiled_in(void **state)
{
    struct hf_buf schema = {0};
    struct hf_why why = {0};
    char found[HF_SCHEMA_HASH_HEX_LEN];

    CHECK_OK(hf_schema_migrate(*state, hf_client_migrations, hf_client_migrations_len, &why));
    CHECK_OK(hf_schema_describe(*state, &schema, &why));
    hf_schema_hash(hf_buf_bytes(&schema), found);
    assert_string_equal(hf_client_schema_hash, found);
    hf_buf_free(&schema);
}

int main(void)
{
#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_MEMORY(steps_run_once_each_and_in_order),
        IN_MEMORY(a_step_that_fails_is_taken_back_and_those_before_it_stay),
        IN_MEMORY(a_newer_schema_is_refused),
        IN_MEMORY(a_database_of_something_else_is_refused),
        cmocka_unit_test(no_step_renames),
        IN_MEMORY(the_hash_of_the_newest_schema_is_compiled_in),
        IN_MEMORY(a_schema_is_told_from_one_that_rotted),
        cmocka_unit_test(the_steps_that_are_compiled_in_are_numbered_without_gaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
