/* client/core in 1970, past 2^31 seconds (2038-01-19) and past 2^32 (2106-02-07): a clock that is
 * wrong does no permanent harm, and a right one keeps working. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "tests/support/debian_roots.h"
#include "tests/support/device.h"

#include <stdio.h>
#include <string.h>

#define YEAR_S (365 * HF_DAY_S)
#define PAST_31_BITS INT64_C(2147483648) /* 2038-01-19T03:14:08Z */
#define PAST_32_BITS INT64_C(4294967296) /* 2106-02-07T06:28:16Z */

static int64_t at(const char *text)
{
    int64_t time_s = 0;
    assert_true(hf_time_parse_lenient(text, &time_s));
    return time_s;
}

/* ---- a clock that is wrong ------------------------------------------------------------------- */

/* Amazon 1 to 4 and Starfield, as the publisher would. */
static void publish_real_roots(struct device *d, int64_t version)
{
    struct hf_buf pem = {0};
    for (size_t i = 0; i < DEBIAN_ROOTS; i++)
        debian_root_load(&debian_roots[i], &pem);
    device_add_bundle(d, version, &pem);
    tuf_repo_publish_next(&d->repo);
    hf_buf_free(&pem);
}

static void check_states(struct device *d, int64_t now_s, const char *const states[DEBIAN_ROOTS])
{
    struct hf_status status = {0};
    CHECK_OK(hf_client_status(d->client, &status, &d->why));
    assert_int_equal(status.now_s, now_s);
    assert_int_equal(status.active.n_anchors, DEBIAN_ROOTS);
    for (size_t i = 0; i < DEBIAN_ROOTS; i++)
        assert_string_equal(status.active.anchors[i].state, states[i]);
    assert_true(status.next_check.wait_s <= 2 * HF_DAY_S);
    hf_status_free(&status);
}

static const char *const all_usable[DEBIAN_ROOTS] = {"usable", "usable", "usable", "usable",
                                                     "usable"};

/* Where a time server, or a week counter that started again, may send a device of 2030. */
static const struct {
    const char *clock;
    const char *day;                  /* as the sentence has it */
    const char *states[DEBIAN_ROOTS]; /* Amazon 1 to 4, Starfield */
} jumps[] = {
    {"2038-01-17T00:00:00Z", "2038-01-17", {"usable", "usable", "usable", "usable", "expired"}},
    {"2038-01-17T00:00:01Z", "2038-01-17", {"expired", "usable", "usable", "usable", "expired"}},
    {"2038-01-19T03:14:08Z", "2038-01-19", {"expired", "usable", "usable", "usable", "expired"}},
    {"2040-05-26T00:00:00Z", "2040-05-26", {"expired", "usable", "usable", "usable", "expired"}},
    {"2040-05-26T00:00:01Z", "2040-05-26", {"expired", "expired", "expired", "expired", "expired"}},
    {"2106-02-07T06:28:16Z", "2106-02-07", {"expired", "expired", "expired", "expired", "expired"}},
    {"9999-12-31T23:59:59Z", "9999-12-31", {"expired", "expired", "expired", "expired", "expired"}},
};

/* Refused in words, and nothing is lost: neither metadata nor bundles nor anchors, and the floor
 * stays where it was. */
static void check_far_ahead(struct device *d, size_t i)
{
    char floor[32], sentence[64];
    (void)snprintf(floor, sizeof floor, "%s", fake_store_value(&d->fake.store, "clock.floor"));
    (void)snprintf(sentence, sizeof sentence, "this device's clock says %s", jumps[i].day);

    d->fake.now_s = at(jumps[i].clock);
    device_reboot(d);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_EXPIRED, &d->why, sentence);
    assert_non_null(strstr(d->why.text, "the clock may be wrong"));
    device_check_unchanged_from(d, "root");
    assert_string_equal(fake_store_value(&d->fake.store, "clock.floor"), floor);
    assert_int_equal(d->fake.trust.n_anchors, DEBIAN_ROOTS);
    check_states(d, d->fake.now_s, jumps[i].states);
}

static void test_one_bad_time_server_bricks_nothing(void **state)
{
    struct device *d = *state;
    publish_real_roots(d, 2);
    CHECK_OK(device_update(d));
    for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        int64_t version = 3 + (int64_t)i;
        publish_real_roots(d, version);
        check_far_ahead(d, i);
        d->fake.now_s = DEVICE_NOW_S; /* the time server is right again, or another one is asked */
        CHECK_OK(device_update(d));
        assert_int_equal(d->result.to_version, version);
        assert_int_equal(d->fake.trust.n_anchors, DEBIAN_ROOTS);
        check_states(d, DEVICE_NOW_S, all_usable);
    }
}

/* No arithmetic on a time goes over its end. */
static void test_clock_at_the_end_of_all_numbers_is_no_more_than_wrong(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    d->fake.now_s = INT64_MAX;
    device_reboot(d);
    CHECK_REFUSED(device_update(d), HF_E_EXPIRED, &d->why, "this device's clock says 9999-12-31");
    CHECK_REFUSED(device_update(d), HF_E_EXPIRED, &d->why, "the clock may be wrong");
    struct hf_status status = {0};
    CHECK_OK(hf_client_status(d->client, &status, &d->why));
    assert_string_equal(status.active.anchors[0].state, "expired");
    hf_status_free(&status);
    d->fake.now_s = DEVICE_NOW_S;
    device_reboot(d);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
}

static void test_clock_in_1970_is_the_floor(void **state)
{
    struct device *d = *state;
    static const int64_t clocks[] = {0, -HF_DAY_S, INT64_MIN};
    for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
        int64_t version = 2 + (int64_t)i;
        d->fake.now_s = clocks[i];
        device_reboot(d);
        publish_real_roots(d, version);
        CHECK_OK(device_update(d));
        assert_int_equal(d->result.to_version, version);
        assert_true(fake_log_has(&d->fake, "updated " DEVICE_SET "/" DEVICE_PROFILE));
        check_states(d, DEVICE_NOW_S - HF_DAY_S, all_usable);
    }
}

/* ---- a clock that is right ------------------------------------------------------------------- */

/* The publisher works at `now_s`: keys, metadata and the bundle's root are of that time. */
static void publish_at(struct device *d, int64_t now_s, int64_t version)
{
    struct hf_buf pem = {0};
    for (int role = 0; role < HF_TOP_ROLES; role++)
        d->repo.roles[role].expires_s = now_s + YEAR_S;
    d->repo.roles[HF_ROLE_ROOT].signed_at_s = now_s;
    d->repo.roles[HF_ROLE_TARGETS].signed_at_s = now_s;
    device_make_dated_anchor("Root", now_s - YEAR_S, now_s + YEAR_S, &pem);
    device_add_bundle(d, version, &pem);
    hf_buf_free(&pem);
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    tuf_repo_publish_next(&d->repo);
}

/* It has slept since 2030, updates, and remembers the time without a clock. */
static void check_update_at(struct device *d, int64_t now_s, int64_t version)
{
    struct hf_status status = {0};
    publish_at(d, now_s, version);
    d->fake.now_s = now_s;
    device_reboot(d);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, version);

    d->fake.now_s = 0;
    device_reboot(d);
    assert_int_equal(d->fake.trust.clock_floor_s, now_s);
    CHECK_OK(hf_client_status(d->client, &status, &d->why));
    assert_int_equal(status.now_s, now_s);
    assert_int_equal(status.last_check_s, now_s);
    assert_int_equal(status.timestamp.expires_s, now_s + YEAR_S);
    assert_string_equal(status.active.anchors[0].state, "usable");
    hf_status_free(&status);
}

static void test_life_goes_on_past_31_and_32_bits(void **state)
{
    struct device *d = *state;
    const int64_t times[] = {at("2038-01-17"), PAST_31_BITS - 1, PAST_31_BITS,    at("2040-05-26"),
                             PAST_32_BITS - 1, PAST_32_BITS,     at("2106-12-31")};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        check_update_at(d, times[i], 2 + (int64_t)i);
}

/* To the second, on both sides of both edges (TUF 5.4.4: what expires now has expired). */
static void test_metadata_expires_to_the_second_past_31_and_32_bits(void **state)
{
    struct device *d = *state;
    static const int64_t ends[] = {PAST_31_BITS - 1, PAST_31_BITS, PAST_31_BITS + 1,
                                   PAST_32_BITS - 1, PAST_32_BITS, PAST_32_BITS + 1};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        publish_at(d, ends[i] - HF_DAY_S, 2 + (int64_t)i);
        d->repo.roles[HF_ROLE_TIMESTAMP].expires_s = ends[i];
        tuf_repo_publish_next(&d->repo);
        d->fake.now_s = ends[i] - 1;
        CHECK_OK(device_update(d));
        d->fake.now_s = ends[i];
        CHECK_REFUSED(device_update(d), HF_E_EXPIRED, &d->why, "timestamp version");
        assert_null(strstr(d->why.text, "the clock may be wrong"));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_bad_time_server_bricks_nothing),
        TEST(test_clock_at_the_end_of_all_numbers_is_no_more_than_wrong),
        TEST(test_clock_in_1970_is_the_floor),
        TEST(test_life_goes_on_past_31_and_32_bits),
        TEST(test_metadata_expires_to_the_second_past_31_and_32_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
