/* client/port/posix/owner: which paths only this user and root can exchange. Those of other users
 * are in tests/attack/test_foreign_state.py. */
#include "client/port/posix/owner.h"

#include "tests/support/check.h"
#include "tests/support/temp_dir.h"

#include <limits.h>
#include <stdio.h>

/* Some file systems have such names; what cannot be looked at is not safe. */
static void test_name_that_is_too_long_to_be_looked_at_is_refused(void **state)
{
    char path[PATH_MAX];
    struct hf_why why = {0};

    CHECK_OK(hf_owner_check_path(temp_path(*state, "file"), &why));
    (void)snprintf(path, sizeof path, "%s/%0*d/file", temp_path(*state, "."), NAME_MAX + 1, 0);
    CHECK_REFUSED(hf_owner_check_path(path, &why), HF_E_STORAGE, &why, "File name too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_name_that_is_too_long_to_be_looked_at_is_refused,
                                        temp_dir_setup, temp_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
