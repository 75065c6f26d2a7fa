/* client/port/posix/state: an open state folder follows the configuration in its database. */
#include "tests/support/check.h"
#include "tests/support/state_folder.h"
#include "tests/support/temp_dir.h"

#include <holdfast/posix.h>

#include "common/chain/general_name.h"

#include <sqlite3.h>

/* As another process does it. */
static void change(const char *path, const char *sql)
{
    char file[512];
    sqlite3 *db = NULL;
    (void)snprintf(file, sizeof file, "%s/holdfast.db", path);
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* The switch is the process's, and the configuration is taken as a whole or not at all. */
static void test_configuration_that_is_refused_accepts_no_common_names(void **state)
{
    const char *path = temp_path(*state, "device");
    struct hf_posix *posix = NULL;
    struct hf_update_result result;
    struct hf_why why = {0};

    CHECK_OK(state_folder_make(path, &why));
    CHECK_OK(hf_posix_open(path, (struct hf_log_port){0}, &posix, &why));
    change(path, "UPDATE config SET accepts_common_names = 1;"
                 "UPDATE mirror SET url = 'ftp://127.0.0.1'");
    CHECK_REFUSED(hf_posix_update(posix, &result, &why), HF_E_ARGUMENT, &why,
                  "to begin with http://");
    assert_false(hf_common_names_are_accepted());

    change(path, "UPDATE mirror SET url = 'http://127.0.0.1:1'");
    assert_int_equal(hf_posix_update(posix, &result, &why), HF_E_NETWORK);
    assert_true(hf_common_names_are_accepted());
    change(path, "UPDATE config SET accepts_common_names = 0");
    assert_int_equal(hf_posix_update(posix, &result, &why), HF_E_NETWORK);
    assert_false(hf_common_names_are_accepted());
    hf_posix_close(posix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_configuration_that_is_refused_accepts_no_common_names,
                                        temp_dir_setup, temp_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
