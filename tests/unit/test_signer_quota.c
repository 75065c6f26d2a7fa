/* server/signer/quota: what is bounded, by which clock, and that a refusal counts nothing. */
#include "tests/support/check.h"
#include "tests/support/temp_dir.h"

#include "common/base/timetext.h"
#include "server/signer/limits.h"
#include "server/signer/quota.h"

#define WALL_S INT64_C(1800000000) /* 2027-01-15T08:00:00Z */

struct world {
    struct temp_dir *dir;
    struct hf_signer_state state;
    struct hf_moment now;
    struct hf_why why;
};
static struct world w;

static int setup(void **state)
{
    w = (struct world){.now = {WALL_S, 1000, "first"}};
    if (temp_dir_setup((void **)&w.dir) != 0)
        return -1;
    *state = w.dir;
    CHECK_OK(hf_signer_state_open(w.dir->path, &w.state, &w.why));
    return 0;
}

static int teardown(void **state)
{
    hf_signer_state_close(&w.state);
    return temp_dir_teardown(state);
}

static enum hf_err sign(const struct hf_quota *quotas, size_t n)
{
    const struct hf_signature_note note = {"certificate", "pumps/x", 0, hf_bytes_of_text("x"),
                                           w.now.wall_s};
    HF_TRY(hf_quota_take(&w.state, quotas, n, &w.now, &w.why));
    return hf_quota_commit(&w.state, HF_OK, &note, &w.why);
}

/* As `issue` counts it: two a day for a CA, three for the signer, for a device that has no limit of
 * its own. */
static enum hf_err issue(const char *ca)
{
    const struct hf_quota quotas[] = {{HF_QUOTA_CA, ca, 2}, {HF_QUOTA_SIGNER, "", 3}};
    return sign(quotas, 2);
}

static enum hf_err renew(const char *device)
{
    const struct hf_quota quota = {HF_QUOTA_RENEWAL, device, 1};
    return sign(&quota, 1);
}

static int64_t used(enum hf_quota_kind kind, const char *of)
{
    struct hf_quota_use use;
    CHECK_OK(hf_quota_look(&w.state, kind, of, &w.now, &use, &w.why));
    return use.used;
}

static int64_t signatures(void)
{
    int64_t newest = 0;
    CHECK_OK(hf_signer_state_newest(&w.state, &newest, &w.why));
    return newest;
}

static void pass(int64_t seconds)
{
    w.now.wall_s += seconds;
    w.now.up_s += seconds;
}

static void restart_machine(const char *boot, int64_t wall_s)
{
    w.now = (struct hf_moment){.wall_s = wall_s, .up_s = 5};
    (void)snprintf(w.now.boot, sizeof w.now.boot, "%s", boot);
    hf_signer_state_close(&w.state);
    CHECK_OK(hf_signer_state_open(w.dir->path, &w.state, &w.why));
    CHECK_OK(hf_quota_keep_time(&w.state, &w.now, &w.why)); /* as the signer does when it starts */
}

static void use_up(void)
{
    CHECK_OK(issue("one"));
    CHECK_OK(issue("one"));
    CHECK_OK(issue("two"));
    CHECK_REFUSED(issue("two"), HF_E_LIMIT, &w.why, "the quota of the signer is used up");
}

static void a_ca_that_is_used_up_leaves_the_rest_to_the_others(void **state)
{
    (void)state;
    CHECK_OK(issue("one"));
    pass(60);
    CHECK_OK(issue("one"));
    CHECK_REFUSED(issue("one"), HF_E_LIMIT, &w.why,
                  "the quota of the device CA one is used up (2 a day, [signer] "
                  "issue_per_day_per_ca). It opens again at 2027-01-16T08:00:00Z");
    CHECK_OK(issue("two"));
    CHECK_REFUSED(issue("two"), HF_E_LIMIT, &w.why,
                  "the quota of the signer is used up (3 a day, [signer] issue_per_day). It opens "
                  "again at 2027-01-16T08:00:00Z");
    assert_int_equal(used(HF_QUOTA_CA, "one"), 2);
    assert_int_equal(used(HF_QUOTA_CA, "two"), 1);
    assert_int_equal(used(HF_QUOTA_SIGNER, ""), 3);
    assert_int_equal(signatures(), 3);
}

static void a_quota_of_none_says_so(void **state)
{
    const struct hf_quota none = {HF_QUOTA_SIGNER, "", 0};
    (void)state;
    CHECK_REFUSED(sign(&none, 1), HF_E_LIMIT, &w.why,
                  "the quota of the signer allows no certificates (0 a day, [signer] "
                  "issue_per_day)");
    assert_int_equal(used(HF_QUOTA_SIGNER, ""), 0);
}

static void what_fails_after_it_was_counted_does_not_count(void **state)
{
    const struct hf_quota quota = {HF_QUOTA_SIGNER, "", 3};
    (void)state;
    CHECK_OK(hf_quota_take(&w.state, &quota, 1, &w.now, &w.why));
    assert_int_equal(hf_quota_commit(&w.state, HF_E_KEY, NULL, &w.why), HF_E_KEY);
    assert_int_equal(used(HF_QUOTA_SIGNER, ""), 0);
    assert_int_equal(signatures(), 0);
    CHECK_OK(issue("one"));
}

static void it_opens_a_day_after_its_first_use(void **state)
{
    (void)state;
    use_up();
    pass(HF_DAY_S - 1);
    CHECK_REFUSED(issue("one"), HF_E_LIMIT, &w.why, "is used up");
    pass(1);
    assert_int_equal(used(HF_QUOTA_SIGNER, ""), 0);
    use_up();
}

static void a_renewal_an_hour_a_device(void **state)
{
    (void)state;
    CHECK_OK(renew("pumps/1"));
    CHECK_OK(renew("pumps/2"));
    pass(HF_HOUR_S - 1);
    CHECK_REFUSED(renew("pumps/1"), HF_E_LIMIT, &w.why,
                  "the quota of renewals of the device pumps/1 is used up (1 an hour). It opens "
                  "again at 2027-01-15T09:00:00Z");
    pass(1);
    CHECK_OK(renew("pumps/1"));
}

/* ---- clocks ---------------------------------------------------------------------------------- */

static void a_clock_put_ahead_or_back_while_the_machine_runs_changes_nothing(void **state)
{
    static const int64_t walls[] = {0, WALL_S + 40 * 365 * HF_DAY_S, WALL_S - HF_DAY_S, WALL_S};
    (void)state;
    use_up();
    CHECK_OK(renew("pumps/1"));
    for (size_t i = 0; i < sizeof walls / sizeof walls[0]; i++) {
        w.now.wall_s = walls[i];
        w.now.up_s++;
        CHECK_REFUSED(issue("one"), HF_E_LIMIT, &w.why, "is used up");
        CHECK_REFUSED(renew("pumps/1"), HF_E_LIMIT, &w.why, "is used up");
    }
    pass(HF_DAY_S);
    CHECK_OK(issue("one"));
    CHECK_OK(renew("pumps/1"));
}

/* What a clock that was far ahead counted ends a day later at the latest. */
static void a_quota_that_was_begun_far_ahead_opens_after_a_day(void **state)
{
    (void)state;
    w.now.wall_s += 40 * 365 * HF_DAY_S;
    use_up();
    CHECK_OK(renew("pumps/1"));
    restart_machine("second", WALL_S);
    CHECK_REFUSED(issue("one"), HF_E_LIMIT, &w.why, "It opens again at 2027-01-16T08:00:00Z");
    CHECK_REFUSED(renew("pumps/1"), HF_E_LIMIT, &w.why, "It opens again at 2027-01-15T09:00:00Z");
    pass(HF_HOUR_S);
    CHECK_OK(renew("pumps/1"));
    pass(HF_DAY_S);
    use_up();
}

/* Each restart of the machine with a clock put ahead gives one day's quota, however far it is
 * put. */
static void a_restart_gives_at_most_a_day(void **state)
{
    (void)state;
    use_up();
    restart_machine("second", WALL_S + HF_DAY_S / 2);
    CHECK_REFUSED(issue("one"), HF_E_LIMIT, &w.why, "is used up");
    restart_machine("third", WALL_S + 400 * HF_DAY_S);
    use_up();
    restart_machine("fourth", WALL_S + 400 * HF_DAY_S + 60);
    CHECK_REFUSED(issue("one"), HF_E_LIMIT, &w.why, "is used up");
}

/* Such a machine has no clock that runs without power; it comes up at the same time of day again
 * and again. */
static void a_machine_that_restarts_often_gets_on(void **state)
{
    char boot[HF_BOOT_ID_MAX + 1];
    int opened_after = 0;
    (void)state;
    restart_machine("0", WALL_S);
    use_up();
    for (int i = 1; opened_after == 0 && i < 100; i++) {
        (void)snprintf(boot, sizeof boot, "%d", i);
        restart_machine(boot, WALL_S);
        pass(HF_HOUR_S);
        if (issue("one") == HF_OK)
            opened_after = i;
    }
    assert_in_range(opened_after, 24, 25);
}

static void a_machine_that_does_not_tell_its_starts_counts_less_and_never_more(void **state)
{
    (void)state;
    w.now.boot[0] = '\0';
    use_up();
    restart_machine("", WALL_S + 60); /* uptime went back: it has restarted */
    CHECK_REFUSED(issue("one"), HF_E_LIMIT, &w.why, "is used up");
    pass(HF_DAY_S);
    CHECK_OK(issue("one"));
}

static void it_goes_on_after_a_restart_of_the_signer(void **state)
{
    (void)state;
    use_up();
    hf_signer_state_close(&w.state);
    CHECK_OK(hf_signer_state_open(w.dir->path, &w.state, &w.why));
    pass(HF_DAY_S - 1);
    CHECK_REFUSED(issue("one"), HF_E_LIMIT, &w.why, "is used up");
    pass(1);
    CHECK_OK(issue("one"));
}

static void the_clocks_of_this_machine_run(void **state)
{
    const struct hf_moment first = hf_moment_read(), second = hf_moment_read();
    (void)state;
    assert_true(first.wall_s > WALL_S / 2);
    assert_true(first.up_s > 0 && second.up_s >= first.up_s);
    assert_string_equal(first.boot, second.boot);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_ca_that_is_used_up_leaves_the_rest_to_the_others),
        IN_WORLD(a_quota_of_none_says_so),
        IN_WORLD(what_fails_after_it_was_counted_does_not_count),
        IN_WORLD(it_opens_a_day_after_its_first_use),
        IN_WORLD(a_renewal_an_hour_a_device),
        IN_WORLD(a_clock_put_ahead_or_back_while_the_machine_runs_changes_nothing),
        IN_WORLD(a_quota_that_was_begun_far_ahead_opens_after_a_day),
        IN_WORLD(a_restart_gives_at_most_a_day),
        IN_WORLD(a_machine_that_restarts_often_gets_on),
        IN_WORLD(a_machine_that_does_not_tell_its_starts_counts_less_and_never_more),
        IN_WORLD(it_goes_on_after_a_restart_of_the_signer),
        cmocka_unit_test(the_clocks_of_this_machine_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
