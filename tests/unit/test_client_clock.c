/* client/core/clock: the clock floor, and clocks that are wrong. */
#include "tests/support/check.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "tests/support/device.h"

#include <stdlib.h>
#include <string.h>

#define YEAR_S (365 * HF_DAY_S)

static int64_t stored_floor(struct device *d)
{
    return strtoll(fake_store_value(&d->fake.store, "clock.floor"), NULL, 10);
}

static int64_t stored_targets_floor(struct device *d)
{
    const char *text = fake_store_value(&d->fake.store, "clock.targets");
    return text == NULL ? 0 : strtoll(text, NULL, 10);
}

static void test_signed_times_move_the_floor_and_nothing_else_does(void **state)
{
    struct device *d = *state;
    d->fake.now_s = DEVICE_NOW_S + HF_DAY_S;
    CHECK_OK(device_update(d));
    assert_int_equal(stored_floor(d), DEVICE_NOW_S - HF_DAY_S);

    d->repo.roles[HF_ROLE_TARGETS].signed_at_s = DEVICE_NOW_S;
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    assert_int_equal(stored_floor(d), DEVICE_NOW_S - HF_DAY_S);
    assert_int_equal(stored_targets_floor(d), DEVICE_NOW_S);
    assert_int_equal(d->fake.trust.clock_floor_s, DEVICE_NOW_S);
}

/* A publisher's clock that runs ahead does not take a device with it whose own clock is right. */
static void test_signed_time_ahead_is_believed_up_to_the_own_clock(void **state)
{
    struct device *d = *state;
    d->fake.now_s = DEVICE_NOW_S;
    d->repo.roles[HF_ROLE_TARGETS].signed_at_s = DEVICE_NOW_S + 300 * HF_DAY_S;
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    assert_int_equal(d->fake.trust.clock_floor_s, DEVICE_NOW_S);
}

/* A stolen targets key says it is 2050 to a device without a clock. A root that names other keys
 * takes that back, like everything else the key said. */
static void test_what_stolen_targets_keys_said_of_time_goes_with_them(void **state)
{
    struct device *d = *state;
    d->fake.now_s = 0;
    d->repo.roles[HF_ROLE_TARGETS].signed_at_s = DEVICE_NOW_S + 20 * YEAR_S;
    d->repo.roles[HF_ROLE_TARGETS].expires_s = DEVICE_NOW_S + 40 * YEAR_S;
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    assert_int_equal(d->fake.trust.clock_floor_s, DEVICE_NOW_S + 20 * YEAR_S);

    d->repo.roles[HF_ROLE_TARGETS].signed_at_s = DEVICE_NOW_S;
    tuf_repo_rotate(&d->repo, HF_ROLE_TARGETS);
    device_publish(d, 3);
    device_reboot(d);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 3);
    assert_int_equal(d->fake.trust.clock_floor_s, DEVICE_NOW_S);
}

static void test_verified_root_moves_the_floor_though_the_rest_fails(void **state)
{
    struct device *d = *state;
    d->repo.roles[HF_ROLE_ROOT].signed_at_s = DEVICE_NOW_S;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    fake_mirror_answer(&d->fake.transport.mirrors[0], "metadata/timestamp.json", 503, NULL);
    CHECK_REFUSED(device_update(d), HF_E_NETWORK, &d->why, "HTTP 503");
    assert_int_equal(stored_floor(d), DEVICE_NOW_S);
}

/* A mirror that withholds must not pass an old timestamp to a device whose clock stands still. */
static void test_time_of_a_new_root_counts_in_the_same_update(void **state)
{
    struct device *d = *state;
    d->fake.now_s = 0;
    d->repo.roles[HF_ROLE_TIMESTAMP].expires_s = DEVICE_NOW_S - 100;
    tuf_repo_publish_next(&d->repo);
    d->repo.roles[HF_ROLE_ROOT].signed_at_s = DEVICE_NOW_S;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_EXPIRED, &d->why, "timestamp version 3 expired");
    device_check_unchanged_from(d, "timestamp");
}

static void test_floor_never_falls(void **state)
{
    struct device *d = *state;
    d->repo.roles[HF_ROLE_TARGETS].signed_at_s = DEVICE_NOW_S - 30 * HF_DAY_S;
    d->repo.roles[HF_ROLE_ROOT].signed_at_s = DEVICE_NOW_S - 30 * HF_DAY_S;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    assert_int_equal(stored_floor(d), DEVICE_NOW_S - HF_DAY_S);
}

static void test_floor_after_the_year_9999_is_damage(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    fake_store_put_value(&d->fake.store, "clock.floor", "9223372036854775807");
    device_reboot(d);
    CHECK_OK(device_update(d));
    assert_int_equal(stored_floor(d), DEVICE_NOW_S - HF_DAY_S);
}

static void test_device_that_boots_in_1970(void **state)
{
    struct device *d = *state;
    struct hf_status status = {0};
    d->fake.now_s = 0;
    device_reboot(d);
    assert_int_equal(d->fake.trust.clock_floor_s, DEVICE_NOW_S - HF_DAY_S);
    CHECK_OK(device_update(d));
    CHECK_OK(hf_client_status(d->client, &status, &d->why));
    assert_int_equal(status.now_s, DEVICE_NOW_S - HF_DAY_S);
    assert_string_equal(status.active.anchors[0].state, "usable");
    hf_status_free(&status);
}

static void test_clock_far_ahead_is_named(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    d->fake.now_s = DEVICE_NOW_S + 20 * YEAR_S;
    device_publish(d, 2);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_EXPIRED, &d->why, "the clock may be wrong");
    device_check_unchanged_from(d, "root");
    assert_int_equal(stored_floor(d), DEVICE_NOW_S - HF_DAY_S);

    d->fake.now_s = DEVICE_NOW_S; /* set right again */
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
}

static void expire_timestamp_in_2031(void *ctx, const char *role, json_t *signed_part)
{
    (void)ctx;
    if (strcmp(role, "timestamp") == 0)
        json_object_set_new(signed_part, "expires", json_string("2031-01-01T00:00:00Z"));
}

static void test_abandoned_repository_is_not_blamed_on_the_clock(void **state)
{
    struct device *d = *state;
    d->repo.before_signing = expire_timestamp_in_2031;
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    d->fake.now_s = DEVICE_NOW_S + YEAR_S - 2 * HF_DAY_S;
    CHECK_REFUSED(device_update(d), HF_E_EXPIRED, &d->why, "timestamp version 3 expired");
    assert_null(strstr(d->why.text, "the clock may be wrong"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_signed_times_move_the_floor_and_nothing_else_does),
        TEST(test_signed_time_ahead_is_believed_up_to_the_own_clock),
        TEST(test_what_stolen_targets_keys_said_of_time_goes_with_them),
        TEST(test_verified_root_moves_the_floor_though_the_rest_fails),
        TEST(test_time_of_a_new_root_counts_in_the_same_update),
        TEST(test_floor_never_falls),
        TEST(test_floor_after_the_year_9999_is_damage),
        TEST(test_device_that_boots_in_1970),
        TEST(test_clock_far_ahead_is_named),
        TEST(test_abandoned_repository_is_not_blamed_on_the_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
