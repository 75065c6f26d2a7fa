/* common/os/service: lines on standard error. */
#include "common/os/service.h"

#include "tests/support/check.h"
#include "tests/support/temp_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A program is called what its caller likes. */
static void test_long_name_of_the_program_is_cut(void **state)
{
    const char *path = temp_path(*state, "stderr");
    char *const own_name = program_invocation_short_name;
    char long_name[5000];
    int own = dup(STDERR_FILENO);

    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    assert_non_null(freopen(path, "w", stderr));
    program_invocation_short_name = long_name;
    hf_service_log(HF_LOG_WARNING, "%s", "the sentence");
    program_invocation_short_name = own_name;
    assert_int_equal(dup2(own, STDERR_FILENO), STDERR_FILENO);
    (void)close(own);
    const char *line = temp_read(path);
    assert_non_null(strstr(line, "nnn warning: the sentence\n"));
    assert_true(strlen(line) < 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_long_name_of_the_program_is_cut, temp_dir_setup,
                                        temp_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
