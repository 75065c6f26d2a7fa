/* cmocka with the headers it wants before it, and the two checks that every test of ours makes. */
#ifndef HF_TESTS_SUPPORT_CHECK_H
#define HF_TESTS_SUPPORT_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <holdfast/error.h>

#include <string.h>

/** `expr` succeeds. */
#define CHECK_OK(expr) assert_string_equal(hf_err_name(expr), hf_err_name(HF_OK))

/** `expr` fails with exactly `wanted`, and the sentence in `why` says so and contains `part`. */
#define CHECK_REFUSED(expr, wanted, why, part)                                                     \
    do {                                                                                           \
        assert_string_equal(hf_err_name(expr), hf_err_name(wanted));                               \
        assert_int_equal((why)->code, wanted);                                                     \
        if (strstr((why)->text, part) == NULL)                                                     \
            fail_msg("the sentence lacks \"%s\": %s", part, (why)->text);                          \
    } while (0)

#endif
