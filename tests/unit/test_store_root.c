/* client/port/posix/sqlite_store: root metadata that rotted comes back from the database's copy,
 * and nothing else is taken from there. */
#include "tests/support/check.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tuf_repo.h"

#include "client/port/posix/db.h"
#include "client/port/posix/system.h"
#include "common/os/file_util.h"
#include "client/port/posix/sqlite_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- helpers --------------------------------------------------------------------------------- */

static struct tuf_repo repo;

static int setup(void **state)
{
    tuf_repo_init(&repo, 1800000000);
    return temp_dir_setup(state);
}

static int teardown(void **state)
{
    tuf_repo_free(&repo);
    return temp_dir_teardown(state);
}

static struct hf_sqlite_store *open_in(void **state)
{
    struct hf_sqlite_store *store = NULL;
    struct hf_why why = {0};
    if (hf_sqlite_store_open(((const struct temp_dir *)*state)->path, false, &store, &why) != HF_OK)
        fail_msg("%s", why.text);
    return store;
}

static void build_root(int64_t version, struct hf_buf *out)
{
    repo.roles[HF_ROLE_ROOT].version = version;
    tuf_repo_build_root(&repo, out);
}

static void save_root(struct hf_sqlite_store *store, int64_t version)
{
    struct hf_buf root = {0};
    build_root(version, &root);
    CHECK_OK(hf_store_save_metadata(store, "root", version, hf_buf_bytes(&root), NULL));
    hf_buf_free(&root);
}

/* Root 2 and a floor, in the database and in its copy. Left open. */
static struct hf_sqlite_store *make_state(void **state)
{
    struct hf_sqlite_store *store = NULL;
    CHECK_OK(hf_sqlite_store_open(((const struct temp_dir *)*state)->path, true, &store, NULL));
    hf_sqlite_store_close(store);
    store = open_in(state);
    save_root(store, 2);
    CHECK_OK(hf_store_save_value(store, "bundle.rejected", "7", NULL));
    CHECK_OK(hf_sqlite_store_sync(store, NULL));
    return store;
}

/* One bit each time; it stays JSON. No trigger counts that. */
#define ROT                                                                                        \
    "UPDATE metadata SET bytes = CAST(replace(CAST(bytes AS TEXT), 'ed25519', 'ed25518') AS BLOB)"

static void rot_root(sqlite3 *db)
{
    CHECK_OK(hf_db_exec(db, ROT " WHERE role = 'root'", "rot", NULL));
}

static void rot_copy(void **state)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(temp_path(*state, "holdfast.db.backup"), &db), SQLITE_OK);
    rot_root(db);
    sqlite3_close(db);
}

static int64_t count(struct hf_sqlite_store *store, const char *sql)
{
    int64_t n = -1;
    CHECK_OK(hf_db_query_int64(store->db, sql, "count", &n, NULL));
    return n;
}

static int64_t times_restored(struct hf_sqlite_store *store)
{
    return count(store, "SELECT count(*) FROM event WHERE kind = 'restored' AND text LIKE "
                        "'the root metadata in %/holdfast.db is damaged (%); version 2 from its "
                        "copy has taken its place'");
}

static void assert_root(struct hf_sqlite_store *store, int64_t version)
{
    struct hf_buf wanted = {0}, found = {0};
    struct hf_why why = {0};

    build_root(version, &wanted);
    if (hf_store_load_metadata(store, "root", &found, &why) != HF_OK)
        fail_msg("%s", why.text);
    assert_true(hf_bytes_equal(hf_buf_bytes(&found), hf_buf_bytes(&wanted)));
    hf_buf_free(&found);
    hf_buf_free(&wanted);
}

static void assert_value(struct hf_sqlite_store *store, const char *name, const char *wanted)
{
    struct hf_buf value = {0};
    CHECK_OK(hf_store_load_value(store, name, &value, NULL));
    assert_string_equal((const char *)value.data, wanted);
    hf_buf_free(&value);
}

/* ---- what is damage -------------------------------------------------------------------------- */

static void whole_root_metadata_is_left_alone(void **state)
{
    hf_sqlite_store_close(make_state(state));
    struct hf_sqlite_store *store = open_in(state);
    assert_root(store, 2);
    assert_int_equal(count(store, "SELECT count(*) FROM event"), 0);
    hf_sqlite_store_close(store);
}

static void a_store_without_root_metadata_or_a_copy_is_only_new(void **state)
{
    struct hf_sqlite_store *store = NULL;
    struct hf_buf out = {0};
    struct hf_why why = {0};
    CHECK_OK(hf_sqlite_store_open(((const struct temp_dir *)*state)->path, true, &store, NULL));
    hf_sqlite_store_close(store);
    store = open_in(state);
    CHECK_REFUSED(hf_store_load_metadata(store, "root", &out, &why), HF_E_NOT_FOUND, &why,
                  "no metadata \"root\" is stored");
    hf_sqlite_store_close(store);
}

static void each_kind_of_damage_is_told_in_words(void **state)
{
    static const char *const rots[][2] = {
        {"UPDATE metadata SET bytes = substr(bytes, 1, 100)", "root is not valid JSON"},
        {"UPDATE metadata SET bytes = x'7b7d'", "\"signed\""},
        {"UPDATE metadata SET bytes = zeroblob(length(bytes))", "root is not valid JSON"},
        {ROT, "its own signatures do not verify"},
    };
    struct hf_sqlite_store *store = make_state(state);
    struct hf_why why = {0};

    for (size_t i = 0; i < sizeof rots / sizeof rots[0]; i++) {
        CHECK_OK(hf_db_exec(store->db, rots[i][0], "rot", NULL));
        CHECK_REFUSED(hf_db_root_check(store->db, NULL, &why), HF_E_STORAGE, &why, rots[i][1]);
        save_root(store, 2);
    }
    CHECK_OK(hf_db_root_check(store->db, NULL, &why));
    hf_sqlite_store_close(store);
}

/* ---- healed ---------------------------------------------------------------------------------- */

static void it_comes_back_from_the_copy_once_and_the_journal_says_so(void **state)
{
    struct hf_sqlite_store *store = make_state(state);
    rot_root(store->db);
    hf_sqlite_store_close(store);
    for (int i = 0; i < 3; i++) {
        store = open_in(state);
        assert_root(store, 2);
        assert_int_equal(times_restored(store), 1);
        hf_sqlite_store_close(store);
    }
    assert_false(temp_exists(temp_path(*state, "holdfast.db.damaged")));
}

static void a_row_that_is_gone_comes_back_too(void **state)
{
    struct hf_sqlite_store *store = make_state(state);
    CHECK_OK(hf_db_exec(store->db, "UPDATE metadata SET role = 'rooT'", "rot", NULL));
    hf_sqlite_store_close(store);
    store = open_in(state);
    assert_root(store, 2);
    hf_sqlite_store_close(store);
}

/* The copy may be behind, after a power cut or on a full disk. What it says of floors is not
 * asked. */
static void floors_newer_than_the_copy_stay(void **state)
{
    struct hf_sqlite_store *store = make_state(state);
    CHECK_OK(hf_store_save_value(store, "bundle.rejected", "7 8", NULL));
    CHECK_OK(hf_store_save_value(store, "bundle.floor", "9", NULL));
    CHECK_OK(hf_store_save_value(store, "clock.floor", "1900000000", NULL));
    CHECK_OK(hf_store_save_metadata(store, "timestamp", 5, hf_bytes_of_text("{}"), NULL));
    rot_root(store->db);
    hf_sqlite_store_close(store);

    store = open_in(state);
    assert_root(store, 2);
    assert_value(store, "bundle.rejected", "7 8");
    assert_value(store, "bundle.floor", "9");
    assert_value(store, "clock.floor", "1900000000");
    assert_int_equal(count(store, "SELECT version FROM metadata WHERE role = 'timestamp'"), 5);
    hf_sqlite_store_close(store);
}

static void the_copy_is_not_spoiled_and_can_be_used_again(void **state)
{
    struct hf_sqlite_store *store = make_state(state);
    struct hf_why why = {0};

    CHECK_OK(hf_store_save_value(store, "bundle.floor", "9", NULL));
    rot_root(store->db);
    CHECK_REFUSED(hf_sqlite_store_sync(store, &why), HF_E_STORAGE, &why, "is damaged");
    hf_sqlite_store_close(store);

    for (int i = 1; i <= 3; i++) {
        store = open_in(state);
        assert_root(store, 2);
        assert_int_equal(times_restored(store), i);
        CHECK_OK(hf_sqlite_store_sync(store, NULL));
        rot_root(store->db);
        hf_sqlite_store_close(store);
    }
}

static void a_program_that_runs_for_long_heals_before_its_next_update(void **state)
{
    struct hf_sqlite_store *store = make_state(state);
    CHECK_OK(hf_sqlite_store_refresh(store, NULL));
    rot_root(store->db);
    CHECK_OK(hf_sqlite_store_refresh(store, NULL));
    assert_root(store, 2);
    hf_sqlite_store_close(store);
}

/* ---- not healed ------------------------------------------------------------------------------ */

/* It is read where it can be, and says what to do; nothing has changed. */
static void assert_not_healed(void **state, const char *reason)
{
    struct hf_sqlite_store *store = open_in(state);
    struct hf_buf out = {0};
    struct hf_why why = {0};

    CHECK_REFUSED(hf_store_load_metadata(store, "root", &out, &why), HF_E_STORAGE, &why, reason);
    CHECK_REFUSED(hf_store_load_metadata(store, "root", &out, &why), HF_E_STORAGE, &why,
                  "holdfast.db is damaged (its own signatures do not verify)");
    CHECK_REFUSED(hf_store_load_metadata(store, "root", &out, &why), HF_E_STORAGE, &why,
                  "away and run holdfast init");
    assert_value(store, "bundle.rejected", "7");
    CHECK_OK(hf_store_check_writable(store, NULL));
    assert_int_equal(count(store, "SELECT count(*) FROM event"), 0);
    hf_sqlite_store_close(store);
}

static void without_a_copy_it_is_told_what_to_do(void **state)
{
    struct hf_sqlite_store *store = make_state(state);
    rot_root(store->db);
    hf_sqlite_store_close(store);
    assert_int_equal(unlink(temp_path(*state, "holdfast.db.backup")), 0);
    assert_not_healed(state, "there is no copy");
}

static void where_the_copy_has_rotted_too_nothing_is_taken_from_it(void **state)
{
    struct hf_sqlite_store *store = make_state(state);
    rot_root(store->db);
    hf_sqlite_store_close(store);
    rot_copy(state);
    assert_not_healed(state, "holdfast.db.backup is damaged (its own signatures do not verify)");
}

static void whoever_holds_the_lock_may_be_healing(void **state)
{
    struct hf_sqlite_store *store = make_state(state);
    int lock = -1;
    rot_root(store->db);
    hf_sqlite_store_close(store);
    CHECK_OK(hf_lock_take(((const struct temp_dir *)*state)->path, 0, &lock, NULL));
    assert_not_healed(state, "another process");
    store = open_in(state);
    hf_file_unlock(lock);

    /* The program that found it so comes to it before its first update. */
    CHECK_OK(hf_sqlite_store_refresh(store, NULL));
    assert_root(store, 2);
    hf_sqlite_store_close(store);
}

int main(void)
{
#define IN_STATE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_STATE(whole_root_metadata_is_left_alone),
        IN_STATE(a_store_without_root_metadata_or_a_copy_is_only_new),
        IN_STATE(each_kind_of_damage_is_told_in_words),
        IN_STATE(it_comes_back_from_the_copy_once_and_the_journal_says_so),
        IN_STATE(a_row_that_is_gone_comes_back_too),
        IN_STATE(floors_newer_than_the_copy_stay),
        IN_STATE(the_copy_is_not_spoiled_and_can_be_used_again),
        IN_STATE(a_program_that_runs_for_long_heals_before_its_next_update),
        IN_STATE(without_a_copy_it_is_told_what_to_do),
        IN_STATE(where_the_copy_has_rotted_too_nothing_is_taken_from_it),
        IN_STATE(whoever_holds_the_lock_may_be_healing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
