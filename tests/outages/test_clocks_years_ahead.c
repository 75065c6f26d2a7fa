/*
 * Clocks that jump years ahead, by a GPS week number that rolls over or a bad time server: every
 * certificate is "expired", and so is all metadata. What a device throws away or learns on such a
 * day must not be missed, or believed, on the day after.
 */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "tests/support/replay.h"

#define ROLLOVER_S (INT64_C(1024) * 7 * HF_DAY_S)

struct cast {
    struct replay_ca *root;
    struct replay_server *home;
};

static struct cast set_the_stage(struct replay *r)
{
    struct cast cast = {
        .root = replay_ca(r, "CN=Root", DEVICE_NOW_S + 8 * REPLAY_YEAR_S),
        .home = replay_add_home(r, "mqtts://device.example:8883"),
    };
    replay_serve(r, cast.home, cast.root, DEVICE_NOW_S - 30 * HF_DAY_S);
    replay_serve(r, &r->update, cast.root, DEVICE_NOW_S - 30 * HF_DAY_S);
    replay_ship_roots(r, REPLAY_CAS(cast.root));
    replay_publish_roots(r, 1, REPLAY_CAS(cast.root));
    CHECK_OK(replay_update(r));
    return cast;
}

static void check_all_is_well(struct replay *r, const struct cast *cast)
{
    assert_int_equal(replay_connect(r, cast->home), 0);
    replay_publish_roots(r, 2, REPLAY_CAS(cast->root));
    CHECK_OK(replay_update(r));
    assert_int_equal(r->d->result.to_version, 2);
    assert_int_equal(r->n_waived, 0);
}

static void it_is_told_in_words_and_over_when_the_clock_is_right_again(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    device_remember(r->d);
    r->d->fake.now_s += ROLLOVER_S;
    for (int i = 0; i < 10; i++) { /* for weeks */
        CHECK_REFUSED(replay_update(r), HF_E_EXPIRED, &r->d->why, "expired");
        assert_non_null(strstr(r->d->why.text, "far ahead of the newest signed time it has seen "
                                               "(2030-03-16), so the clock may be wrong"));
        device_check_unchanged_from(r->d, "root");
        replay_pass(r, 3 * HF_DAY_S);
    }
    r->d->fake.now_s -= ROLLOVER_S;
    check_all_is_well(r, &cast);
}

/* The time server is wrong while the device boots, and right afterwards. */
static void a_wrong_clock_at_boot_leaves_no_trace(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    r->d->fake.now_s += ROLLOVER_S;
    replay_reboot(r);
    CHECK_REFUSED(replay_update(r), HF_E_EXPIRED, &r->d->why, "the clock may be wrong");
    r->d->fake.now_s -= ROLLOVER_S;
    check_all_is_well(r, &cast);
    replay_reboot(r);
    assert_int_equal(replay_connect(r, cast.home), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(it_is_told_in_words_and_over_when_the_clock_is_right_again),
        REPLAY_TEST(a_wrong_clock_at_boot_leaves_no_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
