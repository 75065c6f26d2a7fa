/* When a certificate is rotated, and what is remembered of rotations that failed. */
#include "client/port/identity/rotation.h"

#include "client/port/identity/limits.h"
#include "common/base/timetext.h"
#include "tests/support/check.h"
#include "tests/support/fake_store.h"

#include <stdio.h>

#define START INT64_C(1800000000)
#define LIFE (300 * HF_DAY_S)

static struct hf_credential credential(const char *first_digits)
{
    struct hf_credential c = {.not_before_s = START, .not_after_s = START + LIFE};

    (void)snprintf(c.sha256, sizeof c.sha256, "%s%056d", first_digits, 0);
    return c;
}

static struct hf_rotation fresh(int64_t since_s)
{
    return (struct hf_rotation){.last_try_s = HF_TIME_NONE, .since_s = since_s};
}

static void it_is_due_at_two_thirds_of_the_life_and_a_little_more_on_each_device(void **state)
{
    const struct hf_credential first = credential("00000000"), last = credential("ffffffff");
    const struct hf_rotation rotation = fresh(START);
    (void)state;

    assert_int_equal(hf_rotation_due_s(&rotation, &first, false, START), START + LIFE / 3 * 2);
    int64_t due_s = hf_rotation_due_s(&rotation, &last, false, START);
    assert_true(due_s > START + LIFE / 3 * 2 + LIFE / 21);
    assert_true(due_s < START + LIFE / 3 * 2 + LIFE / 20);
}

static void what_is_requested_or_begun_is_due_at_once(void **state)
{
    const struct hf_credential c = credential("00000000");
    struct hf_rotation rotation = fresh(START);
    (void)state;

    assert_int_equal(hf_rotation_due_s(&rotation, &c, true, START + 5), START + 5);
    rotation.is_requested = true;
    assert_int_equal(hf_rotation_due_s(&rotation, &c, false, START + 5), START + 5);
}

static void a_clock_that_is_ahead_does_not_rotate_again_and_again(void **state)
{
    const struct hf_credential c = credential("00000000");
    int64_t ahead_s = START + LIFE - 10;
    const struct hf_rotation rotation = fresh(ahead_s);
    (void)state;

    assert_int_equal(hf_rotation_due_s(&rotation, &c, false, ahead_s), ahead_s + LIFE / 3);
}

static void a_clock_that_was_ahead_at_enrolment_does_not_put_the_rotation_off(void **state)
{
    const struct hf_credential c = credential("00000000");
    const struct hf_rotation rotation = fresh(START + 10 * LIFE);
    (void)state;

    assert_int_equal(hf_rotation_due_s(&rotation, &c, false, START), START + LIFE / 3 * 2);
}

static void failures_wait_longer_each_time_up_to_a_day(void **state)
{
    const struct hf_credential c = credential("00000000");
    struct hf_rotation rotation = fresh(START);
    int64_t now_s = START + LIFE * 9 / 10, before_s = 0;
    (void)state;

    for (int i = 1; i <= HF_ROTATION_FAILURES_MAX + 2; i++) {
        hf_rotation_count_failure(&rotation, now_s, -1, UINT32_MAX / 2, "why");
        assert_true(rotation.wait_s >= before_s);
        assert_true(rotation.wait_s <= HF_ROTATION_RETRY_MAX_S * 5 / 4);
        assert_int_equal(hf_rotation_due_s(&rotation, &c, false, now_s), now_s + rotation.wait_s);
        before_s = rotation.wait_s;
    }
    assert_int_equal(rotation.n_failures, HF_ROTATION_FAILURES_MAX);
    assert_true(before_s >= HF_ROTATION_RETRY_MAX_S - 1);
    assert_string_equal(rotation.error, "why");
}

static void the_service_says_how_long_to_wait_and_it_is_never_cut_short(void **state)
{
    struct hf_rotation rotation = fresh(START);
    (void)state;

    hf_rotation_count_failure(&rotation, START, 7200, 0, "busy");
    assert_int_equal(rotation.wait_s, 7200);
    hf_rotation_count_failure(&rotation, START, 7200, UINT32_MAX, "busy");
    assert_in_range(rotation.wait_s, 7200, 8100);
    hf_rotation_count_failure(&rotation, START, 0, 0,
                              "busy"); /* nor does it shorten the back-off */
    assert_int_equal(rotation.wait_s, HF_ROTATION_RETRY_FIRST_S * 4 * 3 / 4);
}

static void a_clock_that_was_put_back_does_not_wait(void **state)
{
    const struct hf_credential c = credential("00000000");
    struct hf_rotation rotation = fresh(START);
    (void)state;

    rotation.is_requested = true;
    hf_rotation_count_failure(&rotation, START + LIFE, -1, 0, "why");
    assert_int_equal(hf_rotation_due_s(&rotation, &c, false, START), START);
}

static void what_is_saved_is_loaded(void **state)
{
    struct fake_store fake = {0};
    const struct hf_store_port store = fake_store_port(&fake);
    struct hf_rotation rotation = fresh(START), loaded;
    (void)state;

    rotation.is_requested = true;
    hf_rotation_count_failure(&rotation, START + 5, -1, 7, "the service refuses");
    CHECK_OK(hf_rotation_save(&store, &rotation, NULL));
    hf_rotation_load(&store, &loaded);
    assert_true(loaded.is_requested);
    assert_int_equal(loaded.n_failures, 1);
    assert_int_equal(loaded.last_try_s, START + 5);
    assert_int_equal(loaded.wait_s, rotation.wait_s);
    assert_int_equal(loaded.since_s, START);
    assert_string_equal(loaded.error, "the service refuses");
    fake_store_free(&fake);
}

static void what_is_damaged_counts_as_nothing(void **state)
{
    static const char *const damaged[] = {
        "",
        "x",
        "2 0 0 0 0",
        "0 0 0 0",
        "0 17 0 0 0",
        "0 0 0 0 0 ",
        "0 0 -5 0 0",
        "0 0 0 -1 0",
        "0 0 0 99999999 0",
        "0 1 1 1 999999999999999999999",
    };
    struct fake_store fake = {0};
    const struct hf_store_port store = fake_store_port(&fake);
    struct hf_rotation loaded;
    (void)state;

    CHECK_OK(store.save_value(store.ctx, "identity.error", "old", NULL));
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        CHECK_OK(store.save_value(store.ctx, "identity.rotation", damaged[i], NULL));
        hf_rotation_load(&store, &loaded);
        assert_int_equal(loaded.n_failures, 0);
        assert_true(loaded.last_try_s == HF_TIME_NONE && loaded.since_s == HF_TIME_NONE);
        assert_string_equal(loaded.error, "");
    }
    fake_store_free(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_due_at_two_thirds_of_the_life_and_a_little_more_on_each_device),
        cmocka_unit_test(what_is_requested_or_begun_is_due_at_once),
        cmocka_unit_test(a_clock_that_is_ahead_does_not_rotate_again_and_again),
        cmocka_unit_test(a_clock_that_was_ahead_at_enrolment_does_not_put_the_rotation_off),
        cmocka_unit_test(failures_wait_longer_each_time_up_to_a_day),
        cmocka_unit_test(the_service_says_how_long_to_wait_and_it_is_never_cut_short),
        cmocka_unit_test(a_clock_that_was_put_back_does_not_wait),
        cmocka_unit_test(what_is_saved_is_loaded),
        cmocka_unit_test(what_is_damaged_counts_as_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
