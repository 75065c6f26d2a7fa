/* server/fleet/summary: the fleet of one account in numbers. */
#include "tests/support/check.h"
#include "tests/support/fleet_world.h"

#include "server/fleet/summary.h"

#include <stdio.h>
#include <string.h>

static int64_t pumps, valves;

static void run(struct fleet_world *w, const char *text)
{
    CHECK_OK(hf_db_execute_text(w->tx.db, text, &w->why));
}

/* Device `number` of the account, with its last result and when it reported. */
static void add_device(struct fleet_world *w, int64_t account, int number, const char *result,
                       int64_t seen_s)
{
    char text[512];

    (void)snprintf(text, sizeof text,
                   "INSERT INTO device (id, account_id, name, group_name, created_s, version) "
                   "VALUES (%d, %d, 'pump-%d', '', 1, 1)",
                   number, (int)account, number);
    run(w, text);
    (void)snprintf(text, sizeof text,
                   "INSERT INTO device_state (device_id, account_id, result, seen_s) "
                   "VALUES (%d, %d, '%s', %lld)",
                   number, (int)account, result, (long long)seen_s);
    run(w, text);
}

static int setup(void **state)
{
    int failed = fleet_world_setup(state);
    struct fleet_world *w = *state;

    pumps = fleet_account(w, "pumps");
    valves = fleet_account(w, "valves");
    return failed;
}

static void devices_are_counted_by_their_last_result(void **state)
{
    struct fleet_world *w = *state;
    struct hf_result_counts counts;

    CHECK_OK(hf_summary_results(w->tx.db, pumps, &counts, &w->why));
    assert_int_equal(counts.none, 0);
    add_device(w, pumps, 1, "refused", 5);
    add_device(w, pumps, 2, "refused", 5);
    add_device(w, pumps, 3, "confirmed", 5);
    add_device(w, pumps, 4, "", 0);
    add_device(w, pumps, 5, "made-up", 5);
    add_device(w, pumps, 6, "another", 5);
    add_device(w, valves, 7, "refused", 5);
    CHECK_OK(hf_summary_results(w->tx.db, pumps, &counts, &w->why));
    assert_int_equal(counts.none, 1);
    assert_int_equal(counts.of[HF_REPORT_REFUSED], 2);
    assert_int_equal(counts.of[HF_REPORT_CONFIRMED], 1);
    assert_int_equal(counts.of[HF_REPORT_OTHER], 2);
    assert_int_equal(counts.of[HF_REPORT_FAILED], 0);
}

static void silence_and_devices_that_never_reported_are_two_things(void **state)
{
    struct fleet_world *w = *state;
    struct hf_contact_count count;

    add_device(w, pumps, 1, "", 0);
    add_device(w, pumps, 2, "", 99);
    add_device(w, pumps, 3, "", 100);
    add_device(w, valves, 4, "", 0);
    CHECK_OK(hf_summary_contact(w->tx.db, pumps, 100, &count, &w->why));
    assert_int_equal(count.never, 1);
    assert_int_equal(count.silent, 1);
}

/* What a list gave, as text. */
static char given[1024];

static enum hf_err note(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_version_count *row = data;
    size_t len = strlen(given);

    (void)why;
    if (ctx != NULL)
        *(struct hf_version_count *)ctx = *row;
    (void)snprintf(given + len, sizeof given - len, "%lld:%s:%lld:%s=%lld ", (long long)row->hour_s,
                   row->set, (long long)row->version, row->what, (long long)row->n);
    return HF_OK;
}

static void versions_that_no_device_uses_are_left_out(void **state)
{
    struct fleet_world *w = *state;

    run(w, "INSERT INTO version_count (account_id, set_name, version, devices) VALUES "
           "(1, 'b', 1, 7), (1, 'a', 10, 5), (1, 'a', 9, 0), (2, 'a', 1, 3)");
    given[0] = '\0';
    CHECK_OK(hf_summary_versions(w->tx.db, pumps, note, NULL, &w->why));
    assert_string_equal(given, "0:a:10:=5 0:b:1:=7 ");
}

static void a_series_goes_on_behind_its_last_row(void **state)
{
    struct fleet_world *w = *state;
    struct hf_version_count from = {.hour_s = 3599};
    struct hf_series_filter filter = {.from = &from, .until_s = 10800, .limit = 2};
    struct hf_buf pages = {0};

    run(w, "INSERT INTO series (account_id, hour_s, set_name, version, what, n) VALUES "
           "(1, 0, 'a', 1, 'active', 1), (1, 3600, 'a', 1, 'active', 2), "
           "(1, 3600, 'a', 2, 'active', 3), (1, 3600, 'a', 2, 'failed', 4), "
           "(1, 7200, 'b', 1, 'active', 5), (1, 10800, 'a', 1, 'active', 6), "
           "(2, 3600, 'a', 1, 'active', 7)");
    do {
        given[0] = '\0';
        CHECK_OK(hf_summary_series(w->tx.db, pumps, &filter, note, &from, &w->why));
        CHECK_OK(hf_buf_printf(&pages, "%s/ ", given));
    } while (given[0] != '\0');
    assert_string_equal(pages.data, "3600:a:1:active=2 3600:a:2:active=3 / "
                                    "3600:a:2:failed=4 7200:b:1:active=5 / / ");
    hf_buf_free(&pages);
    from = (struct hf_version_count){.hour_s = -1};
    filter = (struct hf_series_filter){&from, 10800, "a", "active", 100};
    CHECK_OK(hf_summary_series(w->tx.db, pumps, &filter, note, NULL, &w->why));
    assert_string_equal(given, "0:a:1:active=1 3600:a:1:active=2 3600:a:2:active=3 ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fleet_world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(devices_are_counted_by_their_last_result),
        TEST(silence_and_devices_that_never_reported_are_two_things),
        TEST(versions_that_no_device_uses_are_left_out),
        TEST(a_series_goes_on_behind_its_last_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
