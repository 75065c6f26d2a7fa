/* client/core/schedule: when to ask again. */
#include "tests/support/check.h"

#include "tests/support/device.h"

#define DAY_S 86400
#define CAP_S (6 * 3600)

static int64_t next_s(struct device *d, uint32_t random, unsigned failures)
{
    d->fake.random = random;
    return hf_client_next_check_s(d->client, failures);
}

static void test_once_a_day_spread_over_a_quarter_either_way(void **state)
{
    struct device *d = *state;
    assert_int_equal(next_s(d, 0, 0), DAY_S * 3 / 4);
    assert_int_equal(next_s(d, UINT32_C(0x80000000), 0), DAY_S);
    assert_int_equal(next_s(d, UINT32_MAX, 0), DAY_S * 5 / 4 - 1);
}

static void test_failures_double_the_wait_from_a_minute(void **state)
{
    struct device *d = *state;
    static const int64_t waits_s[] = {60, 120, 240, 480, 960, 1920, 3840, 7680, 15360, CAP_S};
    for (unsigned n = 0; n < sizeof waits_s / sizeof waits_s[0]; n++)
        assert_int_equal(next_s(d, UINT32_C(0x80000000), n + 1), waits_s[n]);
}

static void test_wait_is_capped_and_never_zero(void **state)
{
    struct device *d = *state;
    assert_int_equal(next_s(d, UINT32_C(0x80000000), UINT32_MAX), CAP_S);
    assert_int_equal(next_s(d, UINT32_MAX, UINT32_MAX), CAP_S * 5 / 4 - 1);
    assert_int_equal(next_s(d, 0, 1), 45);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_once_a_day_spread_over_a_quarter_either_way),
        TEST(test_failures_double_the_wait_from_a_minute),
        TEST(test_wait_is_capped_and_never_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
