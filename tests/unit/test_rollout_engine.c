/* What is due in a rollout: server/rollout/engine.c. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "server/rollout/engine.h"

#define START_S INT64_C(1793318400) /* 2026-10-30T00:00:00Z */
#define HOUR_S 3600
#define MANDATORY_S (START_S + 30 * HF_DAY_S)

static struct hf_rollout_plan plan;
static struct hf_rollout_activation now;
static struct hf_rollout_situation at;

/* Three stages of a day, an hour and none. The first one was opened at the start, has baked, and
 * all is well. */
static int setup(void **state)
{
    (void)state;
    plan = (struct hf_rollout_plan){.not_before_s = START_S,
                                    .mandatory_from_s = MANDATORY_S,
                                    .stages = {{.ppm = 1000, .bake_s = HF_DAY_S},
                                               {.ppm = 50000, .bake_s = HOUR_S},
                                               {.ppm = HF_ROLLOUT_PPM}},
                                    .n_stages = 3,
                                    .pause = {.failed_ppm = 20000,
                                              .silent_ppm = 30000,
                                              .min_count = 50,
                                              .silent_after_s = 21600},
                                    .promote = {.confirmed_ppm = 500000, .min_count = 50}};
    now = (struct hf_rollout_activation){.stage = 0, .state = HF_ROLLOUT_OPEN, .since_s = START_S};
    at = (struct hf_rollout_situation){.plan = &plan,
                                       .now = &now,
                                       .counted = HF_COUNTED_ALL,
                                       .tally = {.devices = 1000, .waiting = 300, .confirmed = 700},
                                       .now_s = START_S + HF_DAY_S};
    return 0;
}

/* `waiting` is what the others leave. */
static void set_tally(int64_t devices, int64_t confirmed, int64_t failed, int64_t silent)
{
    at.tally = (struct hf_rollout_tally){.devices = devices,
                                         .waiting = devices - confirmed - failed - silent,
                                         .confirmed = confirmed,
                                         .failed = failed,
                                         .silent = silent};
}

static void check_due(enum hf_rollout_due due, int64_t stage)
{
    const struct hf_rollout_verdict v = hf_rollout_engine_decide(&at);

    assert_string_equal(hf_rollout_due_name(v.due), hf_rollout_due_name(due));
    assert_string_equal(hf_rollout_wait_name(v.wait), "none");
    assert_int_equal(v.stage, stage);
    assert_false(v.is_stalled);
}

static struct hf_rollout_verdict check_waits(enum hf_rollout_wait wait, int64_t next_s)
{
    const struct hf_rollout_verdict v = hf_rollout_engine_decide(&at);

    assert_string_equal(hf_rollout_due_name(v.due), "nothing");
    assert_string_equal(hf_rollout_wait_name(v.wait), hf_rollout_wait_name(wait));
    assert_int_equal(v.next_s, next_s);
    return v;
}

static void check_says(const char *sentence)
{
    const struct hf_rollout_verdict v = hf_rollout_engine_decide(&at);
    char text[HF_ROLLOUT_SENTENCE_MAX];

    hf_rollout_engine_explain(&at, &v, text);
    assert_string_equal(text, sentence);
}

/* ---- the first stage ------------------------------------------------------------------------- */

static void the_first_stage_opens_at_not_before(void **state)
{
    (void)state;
    at.now = NULL;
    at.now_s = START_S - 1;
    (void)check_waits(HF_WAIT_NOT_BEFORE, START_S);
    check_says("the plan begins at 2026-10-30T00:00:00Z");
    at.now_s = START_S;
    check_due(HF_DUE_OPEN, 0);
    check_says("stage 1 of 3 is due");
}

static void a_superseded_bundle_is_never_opened(void **state)
{
    (void)state;
    at.now = NULL;
    at.is_superseded = true;
    (void)check_waits(HF_WAIT_SUPERSEDED, 0);
}

/* ---- counting -------------------------------------------------------------------------------- */

static void nothing_is_due_before_all_devices_were_read(void **state)
{
    (void)state;
    at.counted = HF_COUNTED_PARTLY;
    (void)check_waits(HF_WAIT_COUNTING, 0);
    check_says("the devices are being counted");
    set_tally(50, 10, 40, 0); /* of the first few any share may have failed */
    (void)check_waits(HF_WAIT_COUNTING, 0);
    at.now = NULL;
    (void)check_waits(HF_WAIT_COUNTING, 0);
}

static void missed_changes_may_pause_but_open_nothing(void **state)
{
    (void)state;
    at.counted = HF_COUNTED_STALE;
    (void)check_waits(HF_WAIT_COUNTING, 0);
    set_tally(1000, 900, 100, 0);
    check_due(HF_DUE_PAUSE, 0);
    now.stage = 2;
    set_tally(1000, 1000, 0, 0);
    (void)check_waits(HF_WAIT_COUNTING, 0);
}

/* ---- going on -------------------------------------------------------------------------------- */

static void the_next_stage_waits_for_the_bake_time_and_the_calendar(void **state)
{
    (void)state;
    at.now_s = START_S + HF_DAY_S - 1;
    (void)check_waits(HF_WAIT_BAKING, START_S + HF_DAY_S);
    check_says("stage 1 of 3 bakes until 2026-10-31T00:00:00Z");
    const struct hf_rollout_tally tally = at.tally;
    set_tally(0, 0, 0, 0); /* a group that has no device, or of which none has reported */
    check_says(
        "stage 1 of 3 bakes until 2026-10-31T00:00:00Z; no device that counts is in it, so nothing "
        "is tried before the next one opens");
    at.tally = tally;
    at.now_s++;
    check_due(HF_DUE_OPEN, 1);
    now.since_s = START_S + HOUR_S; /* opened late, or resumed: it bakes from then on */
    (void)check_waits(HF_WAIT_BAKING, START_S + HF_DAY_S + HOUR_S);
    now.since_s = START_S -
                  5 * HF_DAY_S; /* signed by a clock that was behind: the calendar holds */
    at.now_s = START_S + HF_DAY_S - 1;
    (void)check_waits(HF_WAIT_BAKING, START_S + HF_DAY_S);
}

/* They may use the bundle or not. */
static void devices_that_never_reported_are_waited_for(void **state)
{
    (void)state;
    at.tally = (struct hf_rollout_tally){.unreported = 12};
    const struct hf_rollout_verdict v = hf_rollout_engine_decide(&at);
    assert_true(v.due == HF_DUE_NOTHING && v.wait == HF_WAIT_JUDGED && !v.is_stalled);
    check_says(
        "none of 12 registered devices has ever reported, so it is not known whether one has "
        "tried the bundle; let them report, or promote it by hand");
    at.now_s += 8 * HF_DAY_S;
    assert_true(check_waits(HF_WAIT_JUDGED, 0).is_stalled);
    now.stage = (int64_t)plan.n_stages - 1; /* nor is it complete */
    assert_int_equal(hf_rollout_engine_decide(&at).wait, HF_WAIT_JUDGED);
    at.tally.unreported = 0;
    check_due(HF_DUE_COMPLETE, now.stage);
}

static void a_clock_that_goes_back_opens_nothing(void **state)
{
    (void)state;
    at.now_s = START_S - 3 * HF_DAY_S;
    (void)check_waits(HF_WAIT_BAKING, START_S + HF_DAY_S);
    set_tally(1000, 900, 100, 0);
    check_due(HF_DUE_PAUSE, 0);
}

static void enough_devices_must_be_judged(void **state)
{
    (void)state;
    plan.promote.confirmed_ppm = 0;
    set_tally(1000, 49, 0, 0);
    (void)check_waits(HF_WAIT_JUDGED, START_S + 8 * HF_DAY_S);
    check_says("49 of 1000 devices up to stage 1 have a result (expected at least 50)");
    set_tally(1000, 48, 1, 1); /* failed and silent ones are judged, too */
    check_due(HF_DUE_OPEN, 1);
    plan.stages[0].min_count = 60; /* its own counts */
    (void)check_waits(HF_WAIT_JUDGED, START_S + 8 * HF_DAY_S);
    set_tally(1000, 60, 0, 0);
    check_due(HF_DUE_OPEN, 1);
}

static void enough_devices_must_have_confirmed(void **state)
{
    (void)state;
    set_tally(1001, 500, 0, 0); /* half of them are 500.5 */
    (void)check_waits(HF_WAIT_CONFIRMED, START_S + 8 * HF_DAY_S);
    check_says(
        "500 of 1001 devices up to stage 1 have confirmed the bundle (expected at least 501)");
    set_tally(1001, 501, 0, 0);
    check_due(HF_DUE_OPEN, 1);
}

/* One of a few devices may be off for weeks. */
static void of_a_small_stage_three_quarters_must_be_judged(void **state)
{
    static const struct {
        int64_t devices, min;
    } rows[] = {{1, 1}, {2, 1}, {3, 2}, {4, 3}, {50, 37}, {66, 49}, {67, 50}, {1000, 50}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set_tally(rows[i].devices, 0, 0, 0);
        assert_int_equal(hf_rollout_engine_bounds(&plan, 0, &at.tally).judged_min, rows[i].min);
    }
    set_tally(50, 36, 0, 0);
    (void)check_waits(HF_WAIT_JUDGED, START_S + 8 * HF_DAY_S);
    set_tally(50, 37, 0, 0);
    check_due(HF_DUE_OPEN, 1);
}

static void a_stage_may_ask_for_all_of_its_devices(void **state)
{
    (void)state;
    plan.stages[0].min_count = 3;
    set_tally(3, 2, 0, 0);
    (void)check_waits(HF_WAIT_JUDGED, START_S + 8 * HF_DAY_S);
    check_says("2 of 3 devices up to stage 1 have a result (expected at least 3)");
    set_tally(3, 3, 0, 0);
    check_due(HF_DUE_OPEN, 1);
    set_tally(2, 2, 0, 0); /* and for no more than it has */
    check_due(HF_DUE_OPEN, 1);
}

static void an_empty_stage_passes_after_its_bake_time(void **state)
{
    (void)state;
    set_tally(0, 0, 0, 0);
    at.now_s = START_S + HF_DAY_S - 1;
    (void)check_waits(HF_WAIT_BAKING, START_S + HF_DAY_S);
    at.now_s++;
    check_due(HF_DUE_OPEN, 1);
}

static void the_last_stage_becomes_complete_by_the_same_rules(void **state)
{
    (void)state;
    now.stage = 2;
    set_tally(1000, 499, 0, 0);
    (void)check_waits(HF_WAIT_CONFIRMED, START_S + 7 * HF_DAY_S);
    set_tally(1000, 500, 0, 0);
    check_due(HF_DUE_COMPLETE, 2);
    check_says("500 of 1000 devices have confirmed the bundle");
    plan.approval = HF_ROLLOUT_API; /* nothing more opens, so there is nothing to approve */
    plan.approvals = 2;
    check_due(HF_DUE_COMPLETE, 2);
}

static void a_stage_beyond_the_plan_is_the_last_one(void **state)
{
    (void)state;
    now.stage = 15;
    assert_int_equal(hf_rollout_engine_stage(&plan, &now), 2);
    check_due(HF_DUE_COMPLETE, 2);
}

static void people_approve_each_stage_but_the_first(void **state)
{
    (void)state;
    for (enum hf_rollout_approval a = HF_ROLLOUT_API; a <= HF_ROLLOUT_SIGNED; a++) {
        plan.approval = a;
        plan.approvals = 2;
        at.approvals = 1;
        at.now = &now;
        (void)check_waits(HF_WAIT_APPROVAL, 0);
        check_says("1 of 2 approvals of stage 2 are given");
        at.approvals = 2;
        check_due(HF_DUE_OPEN, 1);
        at.approvals = 0;
        at.now = NULL;
        check_due(HF_DUE_OPEN, 0);
    }
}

static void approvals_replace_no_result(void **state)
{
    (void)state;
    plan.approval = HF_ROLLOUT_SIGNED;
    plan.approvals = 1;
    at.approvals = 1;
    set_tally(1000, 10, 0, 0);
    (void)check_waits(HF_WAIT_JUDGED, START_S + 8 * HF_DAY_S);
    set_tally(1000, 900, 100, 0);
    check_due(HF_DUE_PAUSE, 0);
}

/* ---- stopping -------------------------------------------------------------------------------- */

static void more_failures_than_the_plan_allows_pause_it(void **state)
{
    (void)state;
    set_tally(1900, 980, 20, 0); /* 2 % of 1000 judged */
    check_due(HF_DUE_OPEN, 1);
    set_tally(1900, 979, 21, 0);
    check_due(HF_DUE_PAUSE, 0);
    check_says("21 of 1000 devices that began to install the bundle failed (the plan allows 20)");
}

/* A refusal is known at once, a confirmation after an hour. */
static void devices_on_trial_are_among_those_that_may_fail(void **state)
{
    (void)state;
    at.now_s = START_S;
    at.tally = (struct hf_rollout_tally){.devices = 10000,
                                         .waiting = 9000,
                                         .on_trial = 980,
                                         .failed = 20};
    (void)check_waits(HF_WAIT_BAKING, START_S + HF_DAY_S);
    at.tally.failed++;
    check_due(HF_DUE_PAUSE, 0);
    check_says("21 of 1001 devices that began to install the bundle failed (the plan allows 20)");
    at.tally = (struct hf_rollout_tally){/* silence is a share of what is known */
                                         .devices = 10000,
                                         .waiting = 8000,
                                         .on_trial = 1900,
                                         .confirmed = 96,
                                         .silent = 4};
    check_due(HF_DUE_PAUSE, 0);
}

static void silence_is_failure(void **state)
{
    (void)state;
    set_tally(1900, 970, 0, 30); /* 3 % of 1000 judged */
    check_due(HF_DUE_OPEN, 1);
    set_tally(1900, 969, 0, 31);
    check_due(HF_DUE_PAUSE, 0);
    check_says("31 of 1000 judged devices fell silent (the plan allows 30)");
}

static void few_judged_devices_count_as_min_count(void **state)
{
    (void)state;
    at.now_s = START_S; /* a pause waits for no bake time */
    set_tally(2000, 0, 1, 0);
    (void)check_waits(HF_WAIT_BAKING, START_S + HF_DAY_S);
    set_tally(2000, 0, 2, 0); /* 2 % of 50 is one */
    check_due(HF_DUE_PAUSE, 0);
}

static void in_a_small_stage_a_fifth_may_fail_at_most(void **state)
{
    static const struct {
        int64_t devices, max;
    } rows[] = {{1, 0}, {4, 0}, {5, 1}, {9, 1}, {10, 2}, {29, 5}, {30, 6}, {10000, 6}};

    (void)state;
    plan.pause.min_count = 300; /* 2 % of them are 6 */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set_tally(rows[i].devices, 0, 0, 0);
        assert_int_equal(hf_rollout_engine_bounds(&plan, 0, &at.tally).failed_max, rows[i].max);
    }
}

static void one_device_alone_pauses_only_a_stage_of_less_than_five(void **state)
{
    (void)state;
    at.now_s = START_S;
    set_tally(4, 3, 0, 1);
    check_due(HF_DUE_PAUSE, 0);
    check_says("1 of 4 judged devices fell silent (the plan allows 0)");
    set_tally(5, 4, 0, 1);
    (void)check_waits(HF_WAIT_BAKING, START_S + HF_DAY_S);
    plan.pause.silent_ppm = 0; /* unless the plan allows none */
    check_due(HF_DUE_PAUSE, 0);
}

static void a_plan_that_allows_more_than_a_fifth_does_so_in_small_stages_too(void **state)
{
    (void)state;
    plan.pause.failed_ppm = 500000;
    set_tally(4, 2, 2, 0);
    check_due(HF_DUE_OPEN, 1);
    set_tally(4, 1, 3, 0);
    check_due(HF_DUE_PAUSE, 0);
}

static void a_threshold_of_nothing_allows_nothing_and_of_all_everything(void **state)
{
    (void)state;
    plan.pause.failed_ppm = 0;
    set_tally(10000000, 9999999, 1, 0);
    check_due(HF_DUE_PAUSE, 0);
    plan.pause.failed_ppm = HF_ROLLOUT_PPM;
    plan.promote.confirmed_ppm = 0;
    set_tally(10000000, 0, 10000000, 0);
    check_due(HF_DUE_OPEN, 1);
}

static void a_paused_rollout_waits_for_a_person(void **state)
{
    (void)state;
    now.state = HF_ROLLOUT_PAUSED;
    set_tally(1000, 1000, 0, 0);
    at.now_s = MANDATORY_S + 365 * HF_DAY_S;
    (void)check_waits(HF_WAIT_PAUSED, 0);
    check_says("the rollout is paused; only a person resumes it");
    set_tally(1000, 0, 1000, 0);
    (void)check_waits(HF_WAIT_PAUSED, 0);
}

static void an_aborted_rollout_stays_aborted(void **state)
{
    (void)state;
    now.state = HF_ROLLOUT_ABORTED;
    for (int i = 0; i < 4; i++) {
        at.is_superseded = i % 2 == 1;
        set_tally(1000, i < 2 ? 1000 : 0, i < 2 ? 0 : 1000, 0);
        (void)check_waits(at.is_superseded ? HF_WAIT_SUPERSEDED : HF_WAIT_OVER, 0);
        assert_true(hf_rollout_engine_is_over(&plan, &now, at.is_superseded, at.now_s));
    }
}

static void a_higher_version_aborts_what_is_open_or_paused(void **state)
{
    (void)state;
    at.is_superseded = true;
    at.counted = HF_COUNTED_PARTLY; /* results have no part in it */
    check_due(HF_DUE_ABORT, 0);
    check_says("a higher version is published");
    now.state = HF_ROLLOUT_PAUSED;
    now.stage = 1;
    check_due(HF_DUE_ABORT, 1);
    now.state = HF_ROLLOUT_COMPLETE; /* devices may still go on to it */
    (void)check_waits(HF_WAIT_SUPERSEDED, 0);
}

static void a_complete_rollout_pauses_until_all_devices_have_to_take_it(void **state)
{
    (void)state;
    now.state = HF_ROLLOUT_COMPLETE;
    now.stage = 2;
    (void)check_waits(HF_WAIT_OVER, MANDATORY_S);
    assert_false(hf_rollout_engine_is_over(&plan, &now, false, MANDATORY_S - 1));
    set_tally(1000, 900, 100, 0);
    check_due(HF_DUE_PAUSE, 2);
    at.now_s = MANDATORY_S;
    (void)check_waits(HF_WAIT_OVER, 0);
    assert_true(hf_rollout_engine_is_over(&plan, &now, false, MANDATORY_S));
}

/* ---- stalled --------------------------------------------------------------------------------- */

static void check_stalls_at(int64_t stalled_s)
{
    at.now_s = stalled_s - 1;
    assert_false(check_waits(HF_WAIT_CONFIRMED, stalled_s).is_stalled);
    at.now_s = stalled_s;
    assert_true(check_waits(HF_WAIT_CONFIRMED, 0).is_stalled);
}

static void a_stage_is_stalled_after_a_week_or_half_of_the_time_left(void **state)
{
    const int64_t ready_s = START_S + HF_DAY_S;

    (void)state;
    set_tally(1000, 100, 0, 0);
    check_stalls_at(ready_s + HF_ROLLOUT_PATIENCE_S);
    plan.mandatory_from_s = ready_s + 4 * HF_DAY_S;
    check_stalls_at(ready_s + 2 * HF_DAY_S);
    plan.pause.silent_after_s = 3 * HF_DAY_S; /* silence is judged first */
    check_stalls_at(ready_s + 3 * HF_DAY_S);
    plan.mandatory_from_s = ready_s - HF_DAY_S;
    check_stalls_at(ready_s + 3 * HF_DAY_S);
}

static void who_waits_for_a_person_is_not_stalled(void **state)
{
    (void)state;
    at.now_s = START_S + 29 * HF_DAY_S;
    plan.approval = HF_ROLLOUT_API;
    plan.approvals = 1;
    assert_false(check_waits(HF_WAIT_APPROVAL, 0).is_stalled);
    now.state = HF_ROLLOUT_PAUSED;
    assert_false(check_waits(HF_WAIT_PAUSED, 0).is_stalled);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_stage_opens_at_not_before),
        TEST(a_superseded_bundle_is_never_opened),
        TEST(nothing_is_due_before_all_devices_were_read),
        TEST(missed_changes_may_pause_but_open_nothing),
        TEST(the_next_stage_waits_for_the_bake_time_and_the_calendar),
        TEST(devices_that_never_reported_are_waited_for),
        TEST(a_clock_that_goes_back_opens_nothing),
        TEST(enough_devices_must_be_judged),
        TEST(enough_devices_must_have_confirmed),
        TEST(of_a_small_stage_three_quarters_must_be_judged),
        TEST(a_stage_may_ask_for_all_of_its_devices),
        TEST(an_empty_stage_passes_after_its_bake_time),
        TEST(the_last_stage_becomes_complete_by_the_same_rules),
        TEST(a_stage_beyond_the_plan_is_the_last_one),
        TEST(people_approve_each_stage_but_the_first),
        TEST(approvals_replace_no_result),
        TEST(more_failures_than_the_plan_allows_pause_it),
        TEST(devices_on_trial_are_among_those_that_may_fail),
        TEST(silence_is_failure),
        TEST(few_judged_devices_count_as_min_count),
        TEST(in_a_small_stage_a_fifth_may_fail_at_most),
        TEST(one_device_alone_pauses_only_a_stage_of_less_than_five),
        TEST(a_plan_that_allows_more_than_a_fifth_does_so_in_small_stages_too),
        TEST(a_threshold_of_nothing_allows_nothing_and_of_all_everything),
        TEST(a_paused_rollout_waits_for_a_person),
        TEST(an_aborted_rollout_stays_aborted),
        TEST(a_higher_version_aborts_what_is_open_or_paused),
        TEST(a_complete_rollout_pauses_until_all_devices_have_to_take_it),
        TEST(a_stage_is_stalled_after_a_week_or_half_of_the_time_left),
        TEST(who_waits_for_a_person_is_not_stalled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
