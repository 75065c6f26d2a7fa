/* client/port/posix/store_bundles, db_check: the list of revoked keys outlives rot, its database,
 * and its own row. */
#include "tests/support/check.h"
#include "tests/support/temp_dir.h"

#include "client/port/posix/bundle_files.h"
#include "client/port/posix/db.h"
#include "common/os/file_util.h"
#include "client/port/posix/sqlite_store.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *path_in(void **state, const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", ((const struct temp_dir *)*state)->path, name);
    return path;
}

static struct hf_sqlite_store *open_in(void **state)
{
    struct hf_sqlite_store *store = NULL;
    struct hf_why why = {0};
    if (hf_sqlite_store_open(((const struct temp_dir *)*state)->path, false, &store, &why) != HF_OK)
        fail_msg("%s", why.text);
    return store;
}

static uint8_t keys[HF_REVOKED_MAX * HF_SHA256_LEN];
static const struct hf_bytes all_keys = {keys, sizeof keys};

/* A state without a root: nothing here asks for one, so no copy of the database is made either. */
static struct hf_sqlite_store *make_state(void **state, struct hf_bytes revoked)
{
    struct hf_sqlite_store *store = NULL;

    for (size_t i = 0; i < sizeof keys; i++)
        keys[i] = (uint8_t)(i * 7 + i / HF_SHA256_LEN);
    CHECK_OK(hf_sqlite_store_open(((const struct temp_dir *)*state)->path, true, &store, NULL));
    hf_sqlite_store_close(store);
    store = open_in(state);
    CHECK_OK(hf_store_save_revoked(store, revoked, NULL));
    return store;
}

static void check_list(struct hf_sqlite_store *store, struct hf_bytes expected)
{
    struct hf_buf found = {0};
    struct hf_why why = {0};

    if (hf_store_load_revoked(store, &found, &why) != HF_OK)
        fail_msg("%s", why.text);
    assert_true(hf_bytes_equal(hf_buf_bytes(&found), expected));
    hf_buf_free(&found);
}

static void check_unreadable(struct hf_sqlite_store *store, const char *part)
{
    struct hf_buf found = {0};
    struct hf_why why = {0};

    CHECK_REFUSED(hf_store_load_revoked(store, &found, &why), HF_E_STORAGE, &why, part);
    assert_int_equal(found.len, 0);
    hf_buf_free(&found);
}

static void test_a_full_list_is_kept_and_replaced(void **state)
{
    struct hf_sqlite_store *store = make_state(state, all_keys);
    struct hf_why why = {0};
    uint8_t one_more[sizeof keys + HF_SHA256_LEN] = {0};

    check_list(store, all_keys);
    hf_sqlite_store_close(store);
    store = open_in(state);
    check_list(store, all_keys);
    CHECK_REFUSED(hf_store_save_revoked(store, (struct hf_bytes){one_more, sizeof one_more}, &why),
                  HF_E_LIMIT, &why, "at most 512");
    CHECK_REFUSED(hf_store_save_revoked(store, (struct hf_bytes){keys, 33}, &why), HF_E_LIMIT, &why,
                  "found 33 bytes");
    check_list(store, all_keys);
    CHECK_OK(hf_store_save_revoked(store, (struct hf_bytes){keys, 64}, NULL));
    check_list(store, (struct hf_bytes){keys, 64});
    CHECK_OK(hf_store_save_revoked(store, (struct hf_bytes){0}, NULL));
    check_list(store, (struct hf_bytes){0});
    hf_sqlite_store_close(store);
}

static void test_without_a_list_none_is_revoked(void **state)
{
    struct hf_sqlite_store *store = NULL;

    CHECK_OK(hf_sqlite_store_open(((const struct temp_dir *)*state)->path, true, &store, NULL));
    hf_sqlite_store_close(store);
    store = open_in(state);
    check_list(store, (struct hf_bytes){0});
    hf_sqlite_store_close(store);
}

static void test_it_is_part_of_the_transaction(void **state)
{
    struct hf_sqlite_store *store = make_state(state, (struct hf_bytes){0});
    const struct hf_store_port port = hf_sqlite_store_port(store);

    check_list(store, (struct hf_bytes){0});
    CHECK_OK(port.begin(port.ctx, NULL));
    CHECK_OK(port.save_revoked(port.ctx, all_keys, NULL));
    port.abort(port.ctx);
    check_list(store, (struct hf_bytes){0});
    CHECK_OK(port.begin(port.ctx, NULL));
    CHECK_OK(port.save_revoked(port.ctx, all_keys, NULL));
    CHECK_OK(port.commit(port.ctx, NULL));
    check_list(store, all_keys);
    hf_sqlite_store_close(store);
}

static void test_a_change_makes_the_copy_due(void **state)
{
    struct hf_sqlite_store *store = make_state(state, (struct hf_bytes){0});
    int64_t before = 0, after = 0;

    CHECK_OK(hf_db_changes(store->db, &before, NULL));
    CHECK_OK(hf_store_save_revoked(store, all_keys, NULL));
    CHECK_OK(hf_db_changes(store->db, &after, NULL));
    assert_true(after > before);
    hf_sqlite_store_close(store);
}

/* One bit within a key: still 64 hexadecimal digits. */
#define ROT "UPDATE revoked SET keys = replace(keys, 'e', 'f')"

static void test_a_row_that_rotted_is_noticed_and_mended_from_its_file(void **state)
{
    struct hf_sqlite_store *store = make_state(state, all_keys);

    CHECK_OK(hf_db_exec(store->db, ROT, "rot", NULL));
    check_list(store, all_keys); /* from the file */
    hf_sqlite_store_close(store);
    store = open_in(state);
    CHECK_OK(hf_db_revoked_check(store->db, NULL)); /* mended */
    check_list(store, all_keys);
    hf_sqlite_store_close(store);
}

static void test_a_row_that_rotted_without_its_file_is_an_error_and_no_empty_list(void **state)
{
    struct hf_sqlite_store *store = make_state(state, all_keys);

    CHECK_OK(hf_db_exec(store->db, ROT, "rot", NULL));
    assert_int_equal(unlink(path_in(state, "bundles/revoked")), 0);
    check_unreadable(store, "the list of revoked keys is damaged");
    hf_sqlite_store_close(store);
    store = open_in(state);
    check_unreadable(store, "the list of revoked keys is damaged");
    hf_sqlite_store_close(store);
}

static void damage_database(void **state)
{
    CHECK_OK(hf_file_replace(path_in(state, "holdfast.db"), hf_bytes_of_text("not a database"),
                             0600, NULL));
    (void)unlink(path_in(state, "holdfast.db-wal"));
    (void)unlink(path_in(state, "holdfast.db-shm"));
}

static void test_without_its_database_the_file_serves(void **state)
{
    struct hf_sqlite_store *store = make_state(state, all_keys);

    hf_sqlite_store_close(store);
    damage_database(state);
    store = open_in(state);
    check_list(store, all_keys);

    struct hf_buf file = {0};
    CHECK_OK(hf_file_read(path_in(state, "bundles/revoked"), 1u << 20, &file, NULL));
    file.data[200] = file.data[200] == '0' ? '1' : '0';
    CHECK_OK(hf_file_replace(path_in(state, "bundles/revoked"), hf_buf_bytes(&file), 0600, NULL));
    check_unreadable(store, "");
    file.len = 70; /* cut within a line */
    CHECK_OK(hf_file_replace(path_in(state, "bundles/revoked"), hf_buf_bytes(&file), 0600, NULL));
    check_unreadable(store, "");
    hf_buf_free(&file);
    hf_sqlite_store_close(store);
}

/* A running agent continues once its folder is safe again. */
static void test_a_store_that_was_made_safe_is_used_again(void **state)
{
    const char *folder = ((const struct temp_dir *)*state)->path;
    struct hf_sqlite_store *store = make_state(state, all_keys);
    struct hf_why why = {0};

    CHECK_OK(hf_sqlite_store_refresh(store, NULL));
    assert_int_equal(chmod(folder, 0707), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(hf_sqlite_store_refresh(store, NULL));
        CHECK_REFUSED(hf_store_check_writable(store, &why), HF_E_POLICY, &why,
                      "other users may write");
    }
    assert_int_equal(chmod(folder, 0700), 0);
    CHECK_OK(hf_sqlite_store_refresh(store, NULL));
    CHECK_OK(hf_store_check_writable(store, NULL));
    check_list(store, all_keys);
    hf_sqlite_store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_dir_setup, temp_dir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_full_list_is_kept_and_replaced),
        TEST(test_without_a_list_none_is_revoked),
        TEST(test_it_is_part_of_the_transaction),
        TEST(test_a_change_makes_the_copy_due),
        TEST(test_a_row_that_rotted_is_noticed_and_mended_from_its_file),
        TEST(test_a_row_that_rotted_without_its_file_is_an_error_and_no_empty_list),
        TEST(test_without_its_database_the_file_serves),
        TEST(test_a_store_that_was_made_safe_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
