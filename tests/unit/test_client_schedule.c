/* client/core/schedule: when the next check is. */
#include "client/core/update.h"
#include "tests/support/check.h"

#include "tests/support/device.h"

#include <stdio.h>

#define HOUR_S INT64_C(3600)
#define CAP_S (6 * HOUR_S)
#define YEAR_S (365 * HF_DAY_S)
#define AT_ONCE_S 30

/* ---- helpers --------------------------------------------------------------------------------- */

static struct hf_next_check next(struct device *d)
{
    struct hf_next_check out = {0};
    hf_client_next_check(d->client, &out);
    assert_int_equal(out.at_s, hf_client_now_s(d->client) + out.wait_s);
    return out;
}

static void check_about(struct device *d, int64_t mean_s, const char *reason)
{
    struct hf_next_check n = next(d);
    if (strstr(n.reason, reason) == NULL)
        fail_msg("expected the reason \"%s\", found \"%s\"", reason, n.reason);
    if (n.wait_s < mean_s * 3 / 4 || n.wait_s >= mean_s * 5 / 4)
        fail_msg("expected about %lld s, found %lld", (long long)mean_s, (long long)n.wait_s);
}

static void check_at_once(struct device *d, const char *reason)
{
    struct hf_next_check n = next(d);
    if (strstr(n.reason, reason) == NULL)
        fail_msg("expected the reason \"%s\", found \"%s\"", reason, n.reason);
    assert_in_range(n.wait_s, 0, AT_ONCE_S);
}

/* As if the last check, some time before now, had ended like this; the process is another one. */
static void put_last(struct device *d, int64_t ago_s, const char *outcome, const char *failures)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)(d->fake.now_s - ago_s));
    fake_store_put_value(&d->fake.store, "check.time", text);
    fake_store_put_value(&d->fake.store, "check.outcome", outcome);
    fake_store_put_value(&d->fake.store, "check.failures", failures);
    device_reboot(d);
}

/* The device gets a bundle with these anchors; its trial is over. */
static void take_pem(struct device *d, struct hf_buf *pem)
{
    device_add_bundle(d, 2, pem);
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    CHECK_OK(hf_client_confirm(d->client, &d->why));
    hf_buf_free(pem);
}

static void take_anchor_that_ends_in(struct device *d, int64_t left_s)
{
    struct hf_buf pem = {0};
    device_make_dated_anchor("Ends", DEVICE_NOW_S - YEAR_S, DEVICE_NOW_S + left_s, &pem);
    device_make_anchor("Stays", &pem);
    take_pem(d, &pem);
}

/* ---- the interval ---------------------------------------------------------------------------- */

static void test_curve_at_its_corners(void **state)
{
    (void)state;
    assert_int_equal(hf_schedule_interval_s(INT64_MAX - 1), HF_DAY_S);
    assert_int_equal(hf_schedule_interval_s(64 * HF_DAY_S), HF_DAY_S);
    assert_int_equal(hf_schedule_interval_s(32 * HF_DAY_S), 12 * HOUR_S);
    assert_int_equal(hf_schedule_interval_s(16 * HF_DAY_S), 6 * HOUR_S);
    assert_int_equal(hf_schedule_interval_s(8 * HF_DAY_S), 3 * HOUR_S);
    assert_int_equal(hf_schedule_interval_s(64 * HOUR_S), HOUR_S);
    assert_int_equal(hf_schedule_interval_s(64 * HOUR_S - 64), HOUR_S);
    assert_int_equal(hf_schedule_interval_s(0), HOUR_S);
    assert_int_equal(hf_schedule_interval_s(-1), HF_DAY_S);
    assert_int_equal(hf_schedule_interval_s(-YEAR_S), HF_DAY_S);
}

static void test_a_device_that_never_checked_does_so_at_once(void **state)
{
    struct device *d = *state;
    struct hf_next_check first = next(d);
    check_at_once(d, "never checked");
    assert_int_equal(next(d).wait_s, first.wait_s);
    device_reboot(d);
    assert_int_equal(next(d).wait_s, first.wait_s);
    assert_int_equal(d->fake.store.writes.n, 0);
}

static void test_once_a_day_and_a_restart_changes_nothing(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    CHECK_OK(hf_client_confirm(d->client, &d->why));
    fake_store_forget_writes(&d->fake.store);
    check_about(d, HF_DAY_S, "once a day");

    struct hf_next_check before = next(d);
    d->fake.now_s += HOUR_S;
    d->fake.uptime_ms += HOUR_S * 1000;
    assert_int_equal(next(d).at_s, before.at_s);
    device_reboot(d);
    assert_int_equal(next(d).at_s, before.at_s);
    assert_int_equal(next(d).wait_s, before.wait_s - HOUR_S);
    assert_int_equal(d->fake.store.writes.n, 0);

    d->fake.now_s = before.at_s;
    check_at_once(d, "once a day");
}

static void test_jitter_is_another_one_on_every_device_and_day(void **state)
{
    struct device *d = *state;
    int64_t sum_s = 0, least_s = INT64_MAX, most_s = 0;
    put_last(d, 0, "ok", "");
    for (unsigned i = 0; i < 400; i++) {
        snprintf(d->instance, sizeof d->instance, "%u", i);
        device_reboot(d);
        check_about(d, HF_DAY_S, "once a day");
        int64_t wait_s = next(d).wait_s;
        sum_s += wait_s;
        least_s = wait_s < least_s ? wait_s : least_s;
        most_s = wait_s > most_s ? wait_s : most_s;
    }
    assert_in_range(sum_s / 400, HF_DAY_S * 97 / 100, HF_DAY_S * 103 / 100);
    assert_true(least_s < HF_DAY_S * 77 / 100);
    assert_true(most_s > HF_DAY_S * 123 / 100);

    int64_t today_s = next(d).wait_s;
    d->fake.now_s += HF_DAY_S;
    put_last(d, 0, "ok", "");
    assert_int_not_equal(next(d).wait_s, today_s);
}

/* ---- failures -------------------------------------------------------------------------------- */

static void test_failures_double_the_wait_from_a_minute_to_six_hours(void **state)
{
    struct device *d = *state;
    static const int64_t waits_s[] = {60,   120,  240,   480,   960,  1920,
                                      3840, 7680, 15360, CAP_S, CAP_S};
    char failures[8];
    for (unsigned n = 0; n < sizeof waits_s / sizeof waits_s[0]; n++) {
        snprintf(failures, sizeof failures, "%u", n + 1);
        put_last(d, 0, "network", failures);
        check_about(d, waits_s[n], "failed");
    }
    put_last(d, 0, "network", "9223372036854775807");
    check_about(d, CAP_S, "failed");
    put_last(d, 0, "network", "-3");
    check_about(d, HF_DAY_S, "once a day");
    put_last(d, 0, "network", "many");
    check_about(d, HF_DAY_S, "once a day");
}

static void test_failures_are_counted_and_kept_until_a_success(void **state)
{
    struct device *d = *state;
    struct fake_mirror *mirror = &d->fake.transport.mirrors[0];
    fake_mirror_answer(mirror, "*", 0, NULL);
    for (int i = 0; i < 3; i++)
        CHECK_REFUSED(device_update(d), HF_E_NETWORK, &d->why, "connection refused");
    assert_string_equal(fake_store_value(&d->fake.store, "check.failures"), "3");
    check_about(d, 240, "the last 3 checks failed");
    device_reboot(d);
    check_about(d, 240, "the last 3 checks failed");

    for (int i = 3; i < 20; i++)
        CHECK_REFUSED(device_update(d), HF_E_NETWORK, &d->why, "connection refused");
    assert_string_equal(fake_store_value(&d->fake.store, "check.failures"), "16");
    assert_false(fake_store_has_written(&d->fake.store, "value check.failures"));
    check_about(d, CAP_S, "16 or more");

    fake_mirror_reset(mirror);
    CHECK_OK(device_update(d));
    assert_string_equal(fake_store_value(&d->fake.store, "check.failures"), "");
    CHECK_OK(hf_client_confirm(d->client, &d->why));
    check_about(d, HF_DAY_S, "once a day");
}

static void test_what_cannot_be_written_is_known_to_the_process(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    d->fake.store.refuse_writes = HF_E_STORAGE;
    for (int i = 0; i < 3; i++)
        CHECK_REFUSED(device_update(d), HF_E_STORAGE, &d->why, "refuses to write");
    check_about(d, 240, "the last 3 checks failed");
}

static void test_a_postponed_bundle_is_tried_again_within_the_hour(void **state)
{
    struct device *d = *state;
    put_last(d, 0, "postponed", "1");
    check_about(d, 60, "waits for endpoint checks");
    put_last(d, 0, "postponed", "16");
    check_about(d, 48 * 60, "waits for endpoint checks");
    assert_true(next(d).wait_s <= HOUR_S);
}

static void test_a_trial_is_looked_at_every_quarter_of_an_hour(void **state)
{
    struct device *d = *state;
    put_last(d, 0, "ok", "");
    fake_store_put_value(&d->fake.store, "trial", "7 86399 0");
    check_about(d, 12 * 60, "version 7 is on trial");
    assert_true(next(d).wait_s <= 15 * 60);
    put_last(d, 0, "network", "16");
    check_about(d, 12 * 60, "version 7 is on trial");
    fake_store_put_value(&d->fake.store, "trial", "7 86400 0");
    check_about(d, 48 * 60, "version 7 is on trial");
}

/* ---- eagerness ------------------------------------------------------------------------------- */

static void test_the_nearer_the_first_end_the_more_often(void **state)
{
    struct device *d = *state;
    take_anchor_that_ends_in(d, 16 * HF_DAY_S);
    check_about(d, 6 * HOUR_S, "\"CN=Ends\" ends on 2030-04-02");
    put_last(d, 0, "network", "10");
    d->fake.now_s += 13 * HF_DAY_S;
    put_last(d, 0, "network", "10");
    check_about(d, 72 * HF_DAY_S / 64 / 24, "\"CN=Ends\"");

    d->fake.now_s = DEVICE_NOW_S + 16 * HF_DAY_S;
    put_last(d, 0, "ok", "");
    check_about(d, HOUR_S, "\"CN=Ends\"");
    d->fake.now_s++;
    put_last(d, 0, "ok", "");
    check_about(d, HF_DAY_S, "once a day");
}

static void test_what_no_endpoint_needs_is_no_hurry(void **state)
{
    struct device *d = *state;
    struct hf_status status = {0};
    char memory[128];

    (void)fake_endpoint_add(&d->fake.endpoints, "mqtts://a.test:8883");
    device_reboot(d);
    put_last(d, 0, "ok", "");
    take_anchor_that_ends_in(d, 16 * HF_DAY_S);
    fake_store_put_value(&d->fake.store, "trial", "");
    fake_store_put_value(&d->fake.store, "check.failures", "");
    device_reboot(d);
    check_about(d, 6 * HOUR_S, "\"CN=Ends\""); /* never seen: who knows what it needs */

    CHECK_OK(hf_client_status(d->client, &status, &d->why));
    for (size_t i = 0; i < 2; i++) {
        snprintf(memory, sizeof memory, "mqtts://a.test:8883 1 2 3 %s",
                 status.active.anchors[i].spki_sha256);
        fake_store_put_value(&d->fake.store, "endpoint.0.ecc", memory);
        if (i == 0)
            check_about(d, 6 * HOUR_S, "\"CN=Ends\"");
        else
            check_about(d, HF_DAY_S, "once a day");
    }
    hf_status_free(&status);
}

/* ---- clocks ---------------------------------------------------------------------------------- */

static void test_a_clock_that_jumps_ahead_and_back_stops_nothing(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    CHECK_OK(hf_client_confirm(d->client, &d->why));
    device_reboot(d);
    d->fake.now_s = INT64_C(4294967296); /* 2106-02-07 */
    check_at_once(d, "once a day");
    CHECK_REFUSED(device_update(d), HF_E_EXPIRED, &d->why, "clock");
    check_about(d, 60, "failed");
    d->fake.now_s = DEVICE_NOW_S + 60;
    check_about(d, 60, "failed"); /* this process knows when it was */
    device_reboot(d);
    check_at_once(d, "the clock cannot tell");
}

static void test_a_clock_that_is_put_right_by_minutes_is_believed(void **state)
{
    struct device *d = *state;
    put_last(d, 0, "ok", "");
    d->fake.now_s -= HOUR_S;
    check_about(d, HF_DAY_S, "once a day");
    d->fake.now_s--;
    check_at_once(d, "the clock cannot tell");
}

/* Without a battery every boot is in 1970; the floor stands still, the uptime does not. */
static void test_a_clock_in_1970_checks_at_each_boot_and_then_by_uptime(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    CHECK_OK(hf_client_confirm(d->client, &d->why));
    d->fake.now_s = 0;
    device_reboot(d);
    check_at_once(d, "the clock cannot tell");
    CHECK_OK(device_update(d));
    check_about(d, HF_DAY_S, "once a day");
    int64_t wait_s = next(d).wait_s;
    d->fake.uptime_ms += HOUR_S * 1000;
    assert_int_equal(next(d).wait_s, wait_s - HOUR_S);
    d->fake.uptime_ms += 2 * HF_DAY_S * 1000;
    check_at_once(d, "once a day");
    device_reboot(d); /* no time has passed since, by such a clock */
    check_at_once(d, "the clock cannot tell");
}

/* ---- clones ---------------------------------------------------------------------------------- */

static void test_a_copy_of_the_store_on_another_device_draws_other_moments(void **state)
{
    struct device *d = *state;
    put_last(d, 0, "ok", "");
    device_reboot(d);
    int64_t wait_s = next(d).wait_s;
    (void)snprintf(d->instance, sizeof d->instance, "clone");
    device_reboot(d);
    assert_int_not_equal(next(d).wait_s, wait_s);
    d->instance[0] = '\0';
    device_reboot(d);
    assert_int_equal(next(d).wait_s, wait_s);
    assert_false(fake_store_has_written(&d->fake.store, "value schedule.seed"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_curve_at_its_corners),
        TEST(test_a_device_that_never_checked_does_so_at_once),
        TEST(test_once_a_day_and_a_restart_changes_nothing),
        TEST(test_jitter_is_another_one_on_every_device_and_day),
        TEST(test_failures_double_the_wait_from_a_minute_to_six_hours),
        TEST(test_failures_are_counted_and_kept_until_a_success),
        TEST(test_what_cannot_be_written_is_known_to_the_process),
        TEST(test_a_postponed_bundle_is_tried_again_within_the_hour),
        TEST(test_a_trial_is_looked_at_every_quarter_of_an_hour),
        TEST(test_the_nearer_the_first_end_the_more_often),
        TEST(test_what_no_endpoint_needs_is_no_hurry),
        TEST(test_a_clock_that_jumps_ahead_and_back_stops_nothing),
        TEST(test_a_clock_that_is_put_right_by_minutes_is_believed),
        TEST(test_a_clock_in_1970_checks_at_each_boot_and_then_by_uptime),
        TEST(test_a_copy_of_the_store_on_another_device_draws_other_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
