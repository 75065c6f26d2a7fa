/* Which devices count, and how: server/rollout/ledger.c and device_map.c. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "server/rollout/device_map.h"
#include "server/rollout/ledger.h"

#include <stdio.h>
#include <stdlib.h>

#define SEEN_S INT64_C(1793318400) /* 2026-10-30T00:00:00Z */
#define SILENT_S 6400              /* so a bucket is 100 seconds */
#define HOUR_S 3600
#define VERSION 3

static struct hf_rollout_plan plan;
static uint8_t sha256[HF_SHA256_LEN];
static char hex[HF_SHA256_HEX_LEN];
static struct hf_rollout_ledger *ledger;
static struct hf_rollout_member device;

static void make_ledger(void)
{
    const struct hf_rollout_subject subject = {.plan = &plan,
                                               .set = "amazon-iot",
                                               .profile = "full",
                                               .version = VERSION,
                                               .sha256 = sha256,
                                               .seen_s = SEEN_S};
    hf_rollout_ledger_free(ledger);
    CHECK_OK(hf_rollout_ledger_new(&subject, &ledger, NULL));
}

/* The laboratory is stage 0, half of the others stage 1. All devices are read, and there is one
 * that counts. */
static int setup(void **state)
{
    (void)state;
    plan = (struct hf_rollout_plan){.not_before_s = SEEN_S,
                                    .mandatory_from_s = SEEN_S + HF_DAY_S,
                                    .stages = {{.groups = {"lab"}, .n_groups = 1, .bake_s = HOUR_S},
                                               {.ppm = HF_ROLLOUT_PPM / 2, .bake_s = HOUR_S},
                                               {.ppm = HF_ROLLOUT_PPM}},
                                    .n_stages = 3,
                                    .pause = {.silent_after_s = SILENT_S}};
    memset(sha256, 7, sizeof sha256);
    hf_hex_encode(sha256, sizeof sha256, hex);
    make_ledger();
    device = (struct hf_rollout_member){.device_id = 1,
                                        .name = "pump-1",
                                        .group = "lab",
                                        .created_s = SEEN_S - 1,
                                        .is_trusted = true,
                                        .set = "amazon-iot",
                                        .profile = "full",
                                        .kind = "current",
                                        .active_version = 2,
                                        .active_sha256 = "",
                                        .result = "",
                                        .result_version = -1};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hf_rollout_ledger_free(ledger);
    ledger = NULL;
    return 0;
}

static void put(void)
{
    CHECK_OK(hf_rollout_ledger_put(ledger, &device, NULL));
}

static void report(const char *result, int64_t version, int64_t at_s)
{
    device.kind = device.result = result;
    device.result_version = version;
    device.result_s = at_s;
    put();
}

static void check_tally(int64_t now_s, int64_t waiting, int64_t on_trial, int64_t confirmed,
                        int64_t failed, int64_t silent)
{
    const struct hf_rollout_tally t = hf_rollout_ledger_tally(ledger, 2, now_s);

    assert_int_equal(t.waiting, waiting);
    assert_int_equal(t.on_trial, on_trial);
    assert_int_equal(t.confirmed, confirmed);
    assert_int_equal(t.failed, failed);
    assert_int_equal(t.silent, silent);
    assert_int_equal(t.devices, waiting + on_trial + confirmed + failed + silent);
}

static void check_counts(bool counts)
{
    put();
    check_tally(SEEN_S, counts ? 1 : 0, 0, 0, 0, 0);
}

/* In the list of exactly one result, as people read it. False: in none. */
static bool is_listed(int64_t id, int64_t now_s, struct hf_rollout_entry *out)
{
    struct hf_rollout_entry entry;
    int n = 0;

    for (int result = 0; result < HF_RESULT_COUNT; result++) {
        if (hf_rollout_ledger_list(ledger, (enum hf_rollout_result)result, HF_ROLLOUT_STAGES_MAX,
                                   id - 1, now_s, &entry, 1) == 0 ||
            entry.device_id != id)
            continue;
        assert_int_equal(entry.result, result);
        *out = entry;
        n++;
    }
    assert_in_range(n, 0, 1);
    return n == 1;
}

static void check_result(enum hf_rollout_result result)
{
    struct hf_rollout_entry entry = {0};

    assert_true(is_listed(1, SEEN_S + 1, &entry));
    assert_string_equal(hf_rollout_result_name(entry.result), hf_rollout_result_name(result));
}

/* ---- who counts ------------------------------------------------------------------------------ */

static void a_device_counts_if_it_was_there_before_the_bundle(void **state)
{
    (void)state;
    check_counts(true);
    device.created_s = SEEN_S; /* an attacker who can register devices adds none */
    check_counts(false);
}

static void a_device_counts_while_it_proves_who_it_is(void **state)
{
    (void)state;
    check_counts(true);
    device.is_trusted = false;
    check_counts(false);
    device.is_trusted = true;
    check_counts(true);
}

static void a_device_counts_if_it_uses_that_set_and_profile(void **state)
{
    (void)state;
    device.profile = "ecc";
    check_counts(false);
    device.profile = "full";
    check_counts(true);
    device.set = "web";
    check_counts(false);
    device.set = device.profile =
        ""; /* it has never reported: waited for where the plan names its group */
    check_counts(true);
    device.group = "field";
    check_counts(false);
    device.group = "";
    check_counts(false);
}

static void an_excluded_device_does_not_count(void **state)
{
    (void)state;
    report("failed", VERSION, SEEN_S);
    check_tally(SEEN_S, 0, 0, 0, 1, 0);
    device.is_excluded = true;
    check_counts(false);
}

static void a_deleted_device_does_not_count(void **state)
{
    (void)state;
    report("swapped", VERSION, SEEN_S);
    check_tally(SEEN_S + SILENT_S, 0, 0, 0, 0, 1);
    hf_rollout_ledger_remove(ledger, 1);
    hf_rollout_ledger_remove(ledger, 1);
    hf_rollout_ledger_remove(ledger, 99);
    check_tally(SEEN_S + SILENT_S, 0, 0, 0, 0, 0);
    check_tally(SEEN_S, 0, 0, 0, 0, 0);
    check_tally(SEEN_S + HF_DAY_S, 0, 0, 0, 0, 0);
}

static void its_stage_follows_from_the_registry(void **state)
{
    struct hf_rollout_entry entry = {0};

    (void)state;
    put();
    assert_true(is_listed(1, SEEN_S, &entry));
    assert_int_equal(entry.stage, 0);
    device.group = "";
    put();
    assert_true(is_listed(1, SEEN_S, &entry));
    assert_int_equal(entry.stage,
                     hf_rollout_position(sha256, "pump-1") < HF_ROLLOUT_PPM / 2 ? 1 : 2);
    assert_int_equal(hf_rollout_ledger_tally(ledger, 0, SEEN_S).devices, 0);
    assert_int_equal(hf_rollout_ledger_tally(ledger, 2, SEEN_S).devices, 1);
    assert_int_equal(hf_rollout_ledger_tally(ledger, 99, SEEN_S).devices, 1);
    assert_false(is_listed(2, SEEN_S, &entry));
}

/* ---- with which result ----------------------------------------------------------------------- */

static void a_device_counts_by_its_last_result(void **state)
{
    static const struct {
        const char *result;
        enum hf_rollout_result means;
    } rows[] = {{"announce", HF_RESULT_ON_TRIAL},
                {"swapped", HF_RESULT_ON_TRIAL},
                {"confirmed", HF_RESULT_CONFIRMED},
                {"rolled-back", HF_RESULT_FAILED},
                {"refused", HF_RESULT_FAILED},
                {"failed", HF_RESULT_FAILED},
                {"held", HF_RESULT_WAITING},
                {"recovered", HF_RESULT_WAITING},
                {"", HF_RESULT_WAITING},
                {"levitated", HF_RESULT_WAITING}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        report(rows[i].result, VERSION, SEEN_S);
        check_result(rows[i].means);
        assert_int_equal(hf_rollout_ledger_tally(ledger, 2, SEEN_S).devices, 1);
        report(rows[i].result, VERSION - 1, SEEN_S); /* about another version it says nothing */
        check_result(HF_RESULT_WAITING);
    }
}

static void a_thousand_reports_of_one_device_are_one_result(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        report(i % 2 == 0 ? "failed" : "rolled-back", VERSION, SEEN_S + i);
    check_tally(SEEN_S, 0, 0, 0, 1, 0);
}

static void a_device_that_uses_the_bundle_without_a_result_has_to_say_so(void **state)
{
    (void)state;
    device.active_version = VERSION;
    put();
    check_result(HF_RESULT_WAITING); /* of which bundle with that number? */
    device.active_sha256 = hex;
    put();
    check_result(HF_RESULT_CONFIRMED);
    device.kind = "failed"; /* its last check was not good */
    put();
    check_result(HF_RESULT_WAITING);
    device.kind = "current";
    device.active_version = VERSION - 1;
    put();
    check_result(HF_RESULT_WAITING);
}

static void a_rollback_outlasts_the_daily_report(void **state)
{
    (void)state;
    report("rolled-back", VERSION, SEEN_S);
    device.kind = "current";
    device.active_version = VERSION;
    device.active_sha256 = hex;
    put();
    check_result(HF_RESULT_FAILED);
}

/* ---- silence --------------------------------------------------------------------------------- */

static void silence_is_a_matter_of_time_alone(void **state)
{
    (void)state;
    report("swapped", VERSION, SEEN_S + 1000);
    check_tally(SEEN_S + 1000 + SILENT_S - 1, 0, 1, 0, 0, 0);
    check_tally(SEEN_S + 1000 + SILENT_S, 0, 0, 0, 0, 1);
    report("confirmed", VERSION, SEEN_S + HF_DAY_S);
    check_tally(SEEN_S + HF_DAY_S, 0, 0, 1, 0, 0);
}

/* The time at which the bundle was seen is the server's; that of the plan is signed. */
static void a_clock_that_was_wrong_when_the_bundle_was_seen_hides_nothing(void **state)
{
    (void)state;
    const struct hf_rollout_subject ahead = {&plan,   "amazon-iot", "full",
                                             VERSION, sha256,       SEEN_S + 300 * HF_DAY_S};
    const struct hf_rollout_subject behind = {&plan, "amazon-iot", "full", VERSION, sha256, 0};

    hf_rollout_ledger_free(ledger);
    CHECK_OK(hf_rollout_ledger_new(&ahead, &ledger, NULL));
    report("announce", VERSION, SEEN_S + 100);
    check_tally(SEEN_S + 100 + SILENT_S + 100, 0, 0, 0, 0, 1);
    hf_rollout_ledger_free(ledger);
    CHECK_OK(hf_rollout_ledger_new(&behind, &ledger, NULL));
    report("refused", VERSION, SEEN_S + 100);
    check_tally(SEEN_S + 100, 0, 0, 0, 1, 0);
}

static void a_clock_that_goes_back_brings_a_device_back_on_trial(void **state)
{
    (void)state;
    report("swapped", VERSION, SEEN_S + 1000);
    check_tally(SEEN_S + 10 * HF_DAY_S, 0, 0, 0, 0, 1);
    check_tally(SEEN_S - 10 * HF_DAY_S, 0, 1, 0, 0, 0);
    check_tally(SEEN_S + 10 * HF_DAY_S, 0, 0, 0, 0, 1);
}

static void a_device_that_comes_late_is_silent_at_once_if_its_report_is_old(void **state)
{
    (void)state;
    check_tally(SEEN_S + 2 * HF_DAY_S, 0, 0, 0, 0, 0);
    report("swapped", VERSION, SEEN_S + HF_DAY_S);
    check_tally(SEEN_S + 2 * HF_DAY_S, 0, 0, 0, 0, 1);
    report("swapped", VERSION, SEEN_S + 2 * HF_DAY_S);
    check_tally(SEEN_S + 2 * HF_DAY_S, 0, 1, 0, 0, 0);
    report("swapped", VERSION,
           SEEN_S - HF_DAY_S); /* before the bundle was there: its clock begins there */
    check_tally(SEEN_S + 2 * HF_DAY_S, 0, 0, 0, 0, 1);
}

static void an_announcement_that_is_repeated_does_not_begin_again(void **state)
{
    (void)state;
    report("announce", VERSION, SEEN_S);
    for (int64_t s = 0; s <= SILENT_S; s += 100)
        report("announce", VERSION, SEEN_S + s);
    check_tally(SEEN_S + SILENT_S, 0, 0, 0, 0, 1);
    report("swapped", VERSION, SEEN_S + SILENT_S); /* that is progress */
    check_tally(SEEN_S + SILENT_S, 0, 1, 0, 0, 0);
    report("failed", VERSION, SEEN_S + SILENT_S + 1);
    report("announce", VERSION, SEEN_S + SILENT_S + 2); /* and this another attempt */
    check_tally(SEEN_S + SILENT_S + 2, 0, 1, 0, 0, 0);
}

static void a_device_that_is_up_once_a_day_is_silent_when_a_day_is_missing(void **state)
{
    (void)state;
    report("swapped", VERSION, SEEN_S);
    check_tally(SEEN_S + SILENT_S, 0, 0, 0, 0, 1);
    device.kind = "current"; /* over the new bundle; the trial goes on */
    device.seen_s = SEEN_S + HF_DAY_S;
    device.active_version = VERSION;
    device.active_sha256 = hex;
    put();
    check_tally(SEEN_S + HF_DAY_S + HF_ROLLOUT_DAILY_S - 1, 0, 1, 0, 0, 0);
    check_tally(SEEN_S + HF_DAY_S + HF_ROLLOUT_DAILY_S + 100, 0, 0, 0, 0, 1);
    device.active_version = VERSION - 1; /* it announced, and uses the old one */
    put();
    check_tally(SEEN_S + HF_DAY_S, 0, 0, 0, 0, 1);
}

/* Never too early, and late by a 64th at most, or by what a plan of ten years asks for. */
static void silence_is_seen_soon_in_any_plan(void **state)
{
    static const struct {
        int64_t silent_after_s, span_s, late_s;
    } rows[] = {{60, HF_DAY_S, 61},
                {1800, 3 * HF_DAY_S, 61},
                {21600, 60 * HF_DAY_S, 338},
                {60, 3650 * HF_DAY_S, 662},
                {21600, -HF_DAY_S, 338}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        plan.pause.silent_after_s = rows[i].silent_after_s;
        plan.mandatory_from_s = SEEN_S + rows[i].span_s;
        make_ledger();
        const int64_t since_s = SEEN_S + 1234567;
        report("swapped", VERSION, since_s);
        check_tally(since_s + rows[i].silent_after_s - 1, 0, 1, 0, 0, 0);
        check_tally(since_s + rows[i].silent_after_s + rows[i].late_s, 0, 0, 0, 0, 1);
        report("swapped", VERSION,
               SEEN_S + 10000 * HF_DAY_S); /* a clock that jumped: memory is bounded */
        assert_true(hf_rollout_ledger_bytes(ledger) < 8u << 20);
    }
}

/* ---- scans ----------------------------------------------------------------------------------- */

static void only_a_whole_scan_counts_all(void **state)
{
    (void)state;
    assert_int_equal(hf_rollout_ledger_counted(ledger), HF_COUNTED_PARTLY);
    hf_rollout_ledger_begin_scan(ledger);
    put();
    assert_int_equal(hf_rollout_ledger_counted(ledger), HF_COUNTED_PARTLY);
    hf_rollout_ledger_end_scan(ledger);
    assert_int_equal(hf_rollout_ledger_counted(ledger), HF_COUNTED_ALL);
    hf_rollout_ledger_begin_scan(ledger);
    assert_int_equal(hf_rollout_ledger_counted(ledger), HF_COUNTED_ALL);
    hf_rollout_ledger_mark_stale(ledger); /* while it runs: it may have read too early */
    hf_rollout_ledger_end_scan(ledger);
    assert_int_equal(hf_rollout_ledger_counted(ledger), HF_COUNTED_STALE);
    hf_rollout_ledger_begin_scan(ledger);
    hf_rollout_ledger_end_scan(ledger);
    assert_int_equal(hf_rollout_ledger_counted(ledger), HF_COUNTED_ALL);
}

static void changes_missed_in_the_first_scan_leave_it_stale(void **state)
{
    (void)state;
    hf_rollout_ledger_begin_scan(ledger);
    hf_rollout_ledger_mark_stale(ledger);
    assert_int_equal(hf_rollout_ledger_counted(ledger), HF_COUNTED_PARTLY);
    hf_rollout_ledger_end_scan(ledger);
    assert_int_equal(hf_rollout_ledger_counted(ledger), HF_COUNTED_STALE);
}

static void what_a_scan_does_not_find_is_removed(void **state)
{
    (void)state;
    for (device.device_id = 1; device.device_id <= 3000; device.device_id++)
        report(device.device_id % 2 == 0 ? "swapped" : "confirmed", VERSION, SEEN_S);
    hf_rollout_ledger_begin_scan(ledger);
    for (device.device_id = 1; device.device_id <= 3000; device.device_id += 3)
        report("failed", VERSION, SEEN_S);
    check_tally(SEEN_S, 0, 1000, 1000, 1000, 0); /* until its end all count */
    hf_rollout_ledger_begin_scan(ledger);        /* that one failed: nothing of it is kept */
    for (device.device_id = 2; device.device_id <= 3000; device.device_id += 3)
        put();
    hf_rollout_ledger_end_scan(ledger);
    check_tally(SEEN_S, 0, 0, 0, 1000, 0);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void devices_are_listed_by_result_in_pages(void **state)
{
    struct hf_rollout_entry page[7];
    int64_t after = 0;
    size_t n = 0, sum = 0;

    (void)state;
    for (device.device_id = 1; device.device_id <= 5000; device.device_id++)
        report(device.device_id % 100 == 0 ? "failed" : "swapped", VERSION, SEEN_S);
    while ((n = hf_rollout_ledger_list(ledger, HF_RESULT_FAILED, 0, after, SEEN_S, page, 7)) > 0) {
        for (size_t i = 0; i < n; i++)
            assert_int_equal(page[i].device_id, (int64_t)(sum + i + 1) * 100);
        sum += n;
        after = page[n - 1].device_id;
    }
    assert_int_equal(sum, 50);
    assert_int_equal(hf_rollout_ledger_list(ledger, HF_RESULT_SILENT, 0, 0, SEEN_S + SILENT_S, page,
                                            7),
                     7);
    assert_int_equal(hf_rollout_ledger_list(ledger, HF_RESULT_SILENT, 0, 0, SEEN_S, page, 7), 0);
    assert_int_equal(hf_rollout_ledger_list(ledger, HF_RESULT_FAILED, 0, 0, SEEN_S, page, 0), 0);
}

/* ---- memory and speed ------------------------------------------------------------------------ */

static void a_device_takes_five_bytes_at_most(void **state)
{
    const int64_t n = 100000;

    (void)state;
    for (device.device_id = 1; device.device_id <= n; device.device_id++)
        put();
    assert_true(hf_rollout_ledger_bytes(ledger) < (size_t)n * 5);
}

/* The map against a plain array, in an order without any order. */
static void the_map_holds_what_an_array_holds(void **state)
{
    enum { ROWS = 5000, STEPS = 200000 };
    static uint32_t wanted[ROWS];
    struct hf_device_map map = {0};
    uint64_t seed = 42;

    (void)state;
    for (int i = 0; i < STEPS; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const size_t row = 1 + (seed >> 33) % (ROWS - 1);
        wanted[row] = seed >> 62 == 0 ? 0 : (uint32_t)(seed >> 20) | 1;
        if (wanted[row] == 0)
            hf_device_map_remove(&map, (int64_t)row);
        else
            CHECK_OK(hf_device_map_put(&map, (int64_t)row, wanted[row]));
    }
    for (size_t row = 1; row < ROWS; row++) {
        const uint32_t *value = hf_device_map_find(&map, (int64_t)row);
        assert_int_equal(value == NULL ? 0 : *value, wanted[row]);
    }
    hf_device_map_free(&map);
}

/* The device is in the last stage, which opens after two hours. */
static void what_is_said_ahead_of_the_turn_is_not_heard(void **state)
{
    static const char *const unheard[] = {"announce", "swapped", "rolled-back", "refused",
                                          "failed"};
    char name[] = "a-pump";
    (void)state;
    device.name = name;
    device.group = "";
    const struct hf_rollout_device last = {.id = name, .active = -1};
    while (hf_rollout_stage_of(&plan, sha256, &last) != 2)
        name[0]++;
    for (size_t i = 0; i < sizeof unheard / sizeof unheard[0]; i++) {
        report(unheard[i], VERSION, SEEN_S + 2 * HOUR_S - 1);
        check_tally(SEEN_S + 9 * HF_DAY_S, 1, 0, 0, 0, 0);
    }
    /* In its turn it is. */
    report("rolled-back", VERSION, SEEN_S + 2 * HOUR_S);
    check_tally(SEEN_S + 9 * HF_DAY_S, 0, 0, 0, 1, 0);
    report("swapped", VERSION, SEEN_S + 2 * HOUR_S);
    check_tally(SEEN_S + 9 * HF_DAY_S, 0, 0, 0, 0, 1);
    /* Its clock was ahead, and the bundle is good. */
    report("confirmed", VERSION, SEEN_S + 1);
    check_tally(SEEN_S + 9 * HF_DAY_S, 0, 0, 1, 0, 0);
    /* It waits for no stage. */
    plan.min_version = 3;
    make_ledger();
    report("rolled-back", VERSION, SEEN_S + 1);
    check_tally(SEEN_S + 9 * HF_DAY_S, 0, 0, 0, 1, 0);
}

static int64_t unreported(void)
{
    return hf_rollout_ledger_tally(ledger, 2, SEEN_S).unreported;
}

/* It is in no stage, and only numbered, until any device uses the bundle. */
static void a_device_that_never_reported_is_numbered(void **state)
{
    struct hf_rollout_entry entry;
    (void)state;
    device.set = device.profile = device.kind = "";
    device.group = "";
    put();
    put();
    check_tally(SEEN_S, 0, 0, 0, 0, 0);
    assert_int_equal(unreported(), 1);
    assert_false(is_listed(1, SEEN_S, &entry));
    assert_int_equal(hf_rollout_ledger_list(ledger, HF_RESULT_WAITING, 2, 0, SEEN_S, &entry, 1), 0);
    device.is_excluded = true;
    put();
    assert_int_equal(unreported(), 0);
    device.is_excluded = false;
    device.created_s = SEEN_S; /* it came later */
    put();
    assert_int_equal(unreported(), 0);
    device.created_s = SEEN_S - 1;
    put();
    assert_int_equal(unreported(), 1);
    hf_rollout_ledger_begin_scan(ledger); /* it was deleted */
    hf_rollout_ledger_end_scan(ledger);
    assert_int_equal(unreported(), 0);
    put();
    device.device_id = 2;
    device.set = "amazon-iot";
    device.profile = "full";
    put();
    assert_int_equal(unreported(), 0);
    check_tally(SEEN_S, 1, 0, 0, 0, 0);
    device.set = "azure"; /* of another set */
    put();
    assert_int_equal(unreported(), 1);
    device.device_id = 1;
    put();
    assert_int_equal(unreported(), 0);
    check_tally(SEEN_S, 0, 0, 0, 0, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_device_counts_if_it_was_there_before_the_bundle),
        TEST(a_device_counts_while_it_proves_who_it_is),
        TEST(a_device_counts_if_it_uses_that_set_and_profile),
        TEST(an_excluded_device_does_not_count),
        TEST(a_deleted_device_does_not_count),
        TEST(its_stage_follows_from_the_registry),
        TEST(a_device_counts_by_its_last_result),
        TEST(a_thousand_reports_of_one_device_are_one_result),
        TEST(a_device_that_uses_the_bundle_without_a_result_has_to_say_so),
        TEST(a_rollback_outlasts_the_daily_report),
        TEST(silence_is_a_matter_of_time_alone),
        TEST(a_clock_that_was_wrong_when_the_bundle_was_seen_hides_nothing),
        TEST(a_clock_that_goes_back_brings_a_device_back_on_trial),
        TEST(a_device_that_comes_late_is_silent_at_once_if_its_report_is_old),
        TEST(an_announcement_that_is_repeated_does_not_begin_again),
        TEST(a_device_that_is_up_once_a_day_is_silent_when_a_day_is_missing),
        TEST(silence_is_seen_soon_in_any_plan),
        TEST(only_a_whole_scan_counts_all),
        TEST(changes_missed_in_the_first_scan_leave_it_stale),
        TEST(what_a_scan_does_not_find_is_removed),
        TEST(devices_are_listed_by_result_in_pages),
        TEST(a_device_takes_five_bytes_at_most),
        TEST(the_map_holds_what_an_array_holds),
        TEST(what_is_said_ahead_of_the_turn_is_not_heard),
        TEST(a_device_that_never_reported_is_numbered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
