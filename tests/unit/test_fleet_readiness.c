/* server/fleet/census and readiness: what devices hold, and by which day all hold a successor of
 * each root. */
#include "tests/support/check.h"
#include "tests/support/fleet_world.h"
#include "tests/support/published.h"

#include "common/base/timetext.h"
#include "server/fleet/census.h"
#include "server/fleet/readiness.h"

#include <stdio.h>
#include <string.h>

#define NOW_S INT64_C(1800000000) /* 2027-01-15 08:00 */
#define SOON (NOW_S + 30 * HF_DAY_S)
#define LATER (NOW_S + 400 * HF_DAY_S)
#define LAST (NOW_S + 4000 * HF_DAY_S)

/* ---- a census -------------------------------------------------------------------------------- */

static void add(struct hf_census *census, const char *profile, int64_t version, int64_t devices)
{
    struct hf_why why = {.text = ""};

    for (int64_t i = 0; i < devices; i++)
        CHECK_OK(hf_census_add(census, "iot", profile, version, &why));
}

static void devices_are_counted_by_set_profile_and_version(void **state)
{
    struct hf_census census = {0};

    (void)state;
    add(&census, "full", 1, 3);
    add(&census, "small", 1, 1);
    add(&census, "full", 2, 2);
    add(&census, "", -1, 5);
    assert_int_equal(census.n_versions, 3);
    assert_int_equal(census.versions[0].devices, 3);
    assert_string_equal(census.versions[1].profile, "small");
    assert_int_equal(census.unknown, 5);
    hf_census_free(&census);
}

static void versions_that_devices_make_up_take_bounded_memory(void **state)
{
    struct hf_census census = {0};

    (void)state;
    for (int64_t version = 0; version < HF_FLEET_CENSUS_MAX + 7; version++)
        add(&census, "full", version, 1);
    assert_int_equal(census.n_versions, HF_FLEET_CENSUS_MAX);
    assert_int_equal(census.unknown, 7);
    add(&census, "full", 5, 1); /* one that is known is counted still */
    assert_int_equal(census.versions[5].devices, 2);
    hf_census_free(&census);
}

static void put(struct fleet_world *w, int64_t account, int64_t counted_s, int64_t devices)
{
    struct hf_census census = {.counted_s = counted_s, .unknown = 4, .shut_out = 2};

    add(&census, "full", 1, devices);
    CHECK_OK(hf_census_put(&w->tx, account, &census, &w->why));
    hf_census_free(&census);
}

static void the_last_census_of_each_day_is_kept_for_two_weeks(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps"), b = fleet_account(w, "valves");
    struct hf_census_days days;

    CHECK_OK(hf_census_read(w->tx.db, a, NOW_S, &days, &w->why));
    assert_int_equal(days.n, 0);
    for (int64_t day = 20; day >= 0; day--)
        put(w, a, NOW_S - day * HF_DAY_S, day + 1);
    put(w, b, NOW_S, 100);
    put(w, a, NOW_S + 3600, 9); /* later on the same day */
    CHECK_OK(hf_census_read(w->tx.db, a, NOW_S + 3600, &days, &w->why));
    assert_int_equal(days.n, HF_FLEET_CENSUS_DAYS);
    assert_int_equal(days.days[0].counted_s, NOW_S - 14 * HF_DAY_S);
    assert_int_equal(days.days[0].versions[0].devices, 15);
    assert_int_equal(days.days[14].counted_s, NOW_S + 3600);
    assert_int_equal(days.days[14].n_versions, 1);
    assert_int_equal(days.days[14].versions[0].devices, 9);
    assert_int_equal(days.days[14].unknown, 4);
    assert_int_equal(days.days[14].shut_out, 2);
    hf_census_days_free(&days);
    /* An account that is deleted takes its counts with it. */
    CHECK_OK(hf_account_delete(&w->tx, a, 0, &w->why));
    CHECK_OK(hf_census_read(w->tx.db, a, NOW_S, &days, &w->why));
    assert_int_equal(days.n, 0);
}

/* ---- readiness ------------------------------------------------------------------------------- */

/* Version 1 has a root that ends soon and one that ends later; version 2 has also one that
 * lasts. */
static struct hf_published *two_versions(void)
{
    struct hf_published *published = published_new(3);

    published_add(published, "iot", "full", 1, 2,
                  (struct published_root[]){{'a', SOON}, {'b', LATER}});
    published_add(published, "iot", "full", 2, 3,
                  (struct published_root[]){{'a', SOON}, {'b', LATER}, {'c', LAST}});
    hf_published_sort(published);
    return published;
}

/* A census `ago_s` ago: devices with version 1 and with version 2. */
static void day(struct hf_census_days *days, int64_t ago_s, int64_t ones, int64_t twos)
{
    struct hf_census *census = &days->days[days->n++];

    *census = (struct hf_census){.counted_s = NOW_S - ago_s};
    add(census, "full", 1, ones);
    add(census, "full", 2, twos);
}

/* Each entry as "root holding/lacking verdict day", and the sentence of the first one. */
static char text[HF_READINESS_TEXT_MAX];

static void assert_readiness(const struct hf_published *published, struct hf_census_days *days,
                             const char *wanted)
{
    struct hf_why why = {.text = ""};
    struct hf_readiness *list = NULL;
    struct hf_buf got = {0};
    size_t n = 0;

    CHECK_OK(hf_readiness_of(published, days, &list, &n, &why));
    CHECK_OK(hf_buf_append_text(&got, ""));
    for (size_t i = 0; i < n; i++) {
        char ready[HF_TIME_TEXT_MAX] = "-";
        if (list[i].ready_s != 0)
            hf_time_format_day(list[i].ready_s, ready);
        CHECK_OK(hf_buf_printf(&got, "%s%s %lld/%lld %s %s", i > 0 ? ", " : "",
                               list[i].anchor->subject, (long long)list[i].holding,
                               (long long)list[i].lacking,
                               hf_readiness_verdict_name(list[i].verdict), ready));
    }
    if (n > 0)
        hf_readiness_text(&list[0], text);
    assert_string_equal(got.data != NULL ? (const char *)got.data : "", wanted);
    hf_buf_free(&got);
    free(list);
    hf_census_days_free(days);
}

static void without_devices_there_is_nothing_to_say(void **state)
{
    struct hf_published *published = two_versions();
    struct hf_census_days days = {.n = 0};

    (void)state;
    assert_readiness(published, &days, "");
    day(&days, 0, 0, 0);
    assert_readiness(published, &days, "");
    hf_published_unref(published);
}

static void all_hold_a_successor(void **state)
{
    struct hf_published *published = two_versions();
    struct hf_census_days days = {.n = 0};

    (void)state;
    day(&days, 0, 0, 1234);
    assert_readiness(published, &days,
                     "a 1234/0 ready -, b 1234/0 ready -, c 0/1234 no-successor -");
    assert_string_equal(text, "ready: all devices (about 1200) hold a successor; it expires on "
                              "2027-02-14");
    hf_published_unref(published);
}

static void without_a_pace_there_is_no_forecast(void **state)
{
    struct hf_published *published = published_new(3);
    struct hf_census_days days = {.n = 0};

    (void)state;
    published_add(published, "iot", "full", 1, 1, (struct published_root[]){{'a', SOON}});
    published_add(published, "iot", "full", 2, 1, (struct published_root[]){{'c', LAST}});
    hf_published_sort(published);
    day(&days, 0, 250, 750); /* counted once */
    assert_readiness(published, &days, "a 750/250 no-pace -, c 0/1000 no-successor -");
    day(&days, 23 * 3600, 300, 700); /* within a day */
    day(&days, 0, 250, 750);
    assert_readiness(published, &days, "a 750/250 no-pace -, c 0/1000 no-successor -");
    day(&days, 14 * HF_DAY_S, 240, 760); /* the wrong way */
    day(&days, 0, 250, 750);
    assert_readiness(published, &days, "a 750/250 no-pace -, c 0/1000 no-successor -");
    hf_published_unref(published);
}

static void a_pace_says_when_all_will_be_ready(void **state)
{
    struct hf_published *published = published_new(3);
    struct hf_census_days days = {.n = 0};

    (void)state;
    published_add(published, "iot", "full", 1, 1, (struct published_root[]){{'a', SOON}});
    published_add(published, "iot", "full", 2, 1, (struct published_root[]){{'a', SOON - 1}});
    published_add(published, "iot", "full", 3, 1, (struct published_root[]){{'c', LAST}});
    hf_published_sort(published);
    /* 50 a day, and 250 to go: in five days. Days without any before that do not count. */
    for (int64_t ago = 14; ago >= 0; ago--) {
        day(&days, ago * HF_DAY_S, ago >= 5 ? 500 : 250 + 50 * ago, 0);
        add(&days.days[days.n - 1], "full", 3, ago >= 5 ? 0 : 250 - 50 * ago);
    }
    assert_readiness(published, &days, "a 250/250 in-time 2027-01-20, c 0/500 no-successor -");
    /* One a day: 249 days, and it ends in 30. */
    day(&days, HF_DAY_S, 250, 0);
    day(&days, 0, 249, 0);
    add(&days.days[1], "full", 3, 1);
    assert_readiness(published, &days, "a 1/249 late 2027-09-21, c 0/250 no-successor -");
    hf_published_unref(published);
}

static void the_words_name_days_and_about_how_many(void **state)
{
    struct hf_published *published = published_new(3);
    struct hf_census_days days = {.n = 0};
    static const struct {
        int64_t before, after;
        const char *verdict, *text;
    } rows[] = {
        {0, 20000, "a 20000/11111 in-time 2027-01-16, c 0/31111 no-successor -",
         "will be ready on 2027-01-16; it expires on 2027-02-14; now about 11000 of about 31000 "
         "devices hold no successor"},
        {0, 100, "a 100/31011 late 2027-11-22, c 0/31111 no-successor -",
         "not ready in time: it expires on 2027-02-14, and about 31000 of about 31000 devices hold "
         "no successor; at the pace of the last days all hold one in 2027-11"},
        {100, 100, "a 100/31011 no-pace -, c 0/31111 no-successor -",
         "no forecast: it expires on 2027-02-14, and about 31000 of about 31000 devices hold no "
         "successor; none has taken one up in the last 14 days"},
        {31111, 31111, "a 31111/0 ready -, c 0/31111 no-successor -",
         "ready: all devices (about 31000) hold a successor; it expires on 2027-02-14"},
    };

    (void)state;
    published_add(published, "iot", "full", 1, 1, (struct published_root[]){{'a', SOON}});
    published_add(published, "iot", "full", 2, 2,
                  (struct published_root[]){{'a', SOON}, {'c', LAST}});
    hf_published_sort(published);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        day(&days, HF_DAY_S, 31111 - rows[i].before, rows[i].before);
        day(&days, 0, 31111 - rows[i].after, rows[i].after);
        assert_readiness(published, &days, rows[i].verdict);
        assert_string_equal(text, rows[i].text);
    }
    hf_published_unref(published);
}

static void what_is_not_published_counts_as_no_successor(void **state)
{
    struct hf_published *published = two_versions();
    struct hf_census_days days = {.n = 0};

    (void)state;
    day(&days, 0, 1, 1);
    add(&days.days[0], "full", 0, 10);  /* the factory's */
    add(&days.days[0], "full", 9, 100); /* taken back, or of another repository */
    add(&days.days[0], "small", 1, 50); /* another profile */
    assert_readiness(published, &days,
                     "a 2/110 no-pace -, b 1/111 no-pace -, c 0/112 no-successor -");
    hf_published_unref(published);
}

static void a_signed_date_comes_before_the_expiry(void **state)
{
    struct hf_anchor anchor = {.cert = {.not_after_s = LATER},
                               .distrust_after_s = SOON,
                               .remove_after_s = SOON + 1};
    const struct hf_bundle bundle = {.anchors = &anchor, .n_anchors = 1};
    struct hf_published_bundle made = {.n_anchors = 0};

    (void)state;
    CHECK_OK(hf_published_set_anchors(&made, &bundle));
    assert_int_equal(made.anchors[0].end.end_s, SOON);
    assert_int_equal(made.anchors[0].end.reason, HF_END_DISTRUSTED);
    free(made.anchors);
}

/* "b" was good for long when version 1 was published; its publisher knows better since. */
static void the_newest_version_says_when_a_root_ends(void **state)
{
    struct hf_published *published = published_new(3);
    struct hf_census_days days = {.n = 0};

    (void)state;
    published_add(published, "iot", "full", 1, 2,
                  (struct published_root[]){{'a', SOON}, {'b', LAST}});
    published_add(published, "iot", "full", 2, 2,
                  (struct published_root[]){{'c', LAST}, {'a', SOON}});
    published_add(published, "iot", "full", 3, 2,
                  (struct published_root[]){{'b', SOON - 1}, {'c', LATER}});
    hf_published_sort(published);
    day(&days, 0, 3, 0);
    assert_readiness(published, &days, "b 3/0 ready -, a 0/3 no-pace -");
    day(&days, 0, 3, 1);
    assert_readiness(published, &days, "b 4/0 ready -, a 1/3 no-pace -, c 0/4 no-successor -");
    hf_published_unref(published);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_counted_by_set_profile_and_version),
        cmocka_unit_test(versions_that_devices_make_up_take_bounded_memory),
        cmocka_unit_test_setup_teardown(the_last_census_of_each_day_is_kept_for_two_weeks,
                                        fleet_world_setup, fleet_world_teardown),
        cmocka_unit_test(without_devices_there_is_nothing_to_say),
        cmocka_unit_test(all_hold_a_successor),
        cmocka_unit_test(without_a_pace_there_is_no_forecast),
        cmocka_unit_test(a_pace_says_when_all_will_be_ready),
        cmocka_unit_test(the_words_name_days_and_about_how_many),
        cmocka_unit_test(what_is_not_published_counts_as_no_successor),
        cmocka_unit_test(a_signed_date_comes_before_the_expiry),
        cmocka_unit_test(the_newest_version_says_when_a_root_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
