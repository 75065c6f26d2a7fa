/*
 * Earthquake sensors that were off for three years: when they woke the overlap was over. Every key
 * that signs had been replaced, every root metadata on the way had expired, the servers stood under
 * another CA, and some had lost the time as well.
 */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "tests/support/replay.h"

struct cast {
    struct replay_ca *old_root, *new_root;
    struct replay_server *home;
};

/* Twice a year the publisher replaces the keys of root and those of another role, each of which has
 * its turn twice. A root metadata lasts for a year. */
static void rotate_for_three_years(struct replay *r)
{
    struct tuf_role *roles = r->d->repo.roles;

    for (int month = 6; month <= 36; month += 6) {
        int64_t now_s = DEVICE_NOW_S + month * REPLAY_YEAR_S / 12;
        roles[HF_ROLE_ROOT].signed_at_s = roles[HF_ROLE_TARGETS].signed_at_s = now_s - HF_DAY_S;
        roles[HF_ROLE_ROOT].expires_s = now_s + REPLAY_YEAR_S;
        tuf_repo_rotate(&r->d->repo, HF_ROLE_ROOT);
        tuf_repo_rotate(&r->d->repo, (enum hf_top_role)(1 + month / 6 % 3));
    }
}

static struct cast sleep_for_three_years(struct replay *r)
{
    struct cast cast = {
        .old_root = replay_ca(r, "CN=Old Root", DEVICE_NOW_S + 2 * REPLAY_YEAR_S),
        .new_root = replay_ca(r, "CN=New Root", DEVICE_NOW_S + 20 * REPLAY_YEAR_S),
        .home = replay_add_home(r, "mqtts://device.example:8883"),
    };
    replay_ship(r, NULL); /* no endpoint is asked about the first bundle */
    replay_publish_roots(r, 1, REPLAY_CAS(cast.old_root));
    CHECK_OK(replay_update(r));
    device_off(r->d);
    rotate_for_three_years(r);
    r->d->fake.now_s += 3 * REPLAY_YEAR_S;
    replay_publish_roots(r, 2, REPLAY_CAS(cast.old_root, cast.new_root));
    replay_publish_roots(r, 3, REPLAY_CAS(cast.new_root));
    replay_serve(r, cast.home, cast.new_root, r->d->fake.now_s - 30 * HF_DAY_S);
    replay_serve(r, &r->update, cast.new_root, r->d->fake.now_s - 30 * HF_DAY_S);
    return cast;
}

static void check_is_home(struct replay *r, const struct cast *cast)
{
    assert_true(r->d->result.is_recovered);
    assert_int_equal(r->d->result.to_version, 3);
    assert_int_equal(fake_store_count_events(&r->d->fake.store, "root"), 12);
    assert_int_equal(replay_connect(r, cast->home), 0);
    CHECK_OK(replay_update(r));
    assert_true(r->n_validated > 0);
    assert_int_equal(r->n_waived, 0);
}

/* This test is first, because the learnt time is global to the program. By the time that the device
 * knows when it wakes, its anchor is still valid, so it needs a day to be sure that no chain
 * validates. */
static void a_sensor_that_lost_the_time_as_well_gets_home_after_a_day(void **state)
{
    struct replay *r = *state;
    struct cast cast = sleep_for_three_years(r);

    r->d->fake.now_s = 0;
    replay_reboot(r);
    assert_int_not_equal(replay_connect(r, cast.home), 0);
    replay_fail_for_a_day(r, HF_E_UNTRUSTED);
    CHECK_OK(replay_update(r));
    check_is_home(r, &cast);
}

static void a_sensor_gets_home_at_once_where_its_clock_is_right(void **state)
{
    struct replay *r = *state;
    struct cast cast = sleep_for_three_years(r);

    replay_reboot(r);
    assert_int_equal(replay_connect(r, cast.home), MBEDTLS_X509_BADCERT_NOT_TRUSTED);
    CHECK_OK(replay_update(r));
    check_is_home(r, &cast);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(a_sensor_that_lost_the_time_as_well_gets_home_after_a_day),
        REPLAY_TEST(a_sensor_gets_home_at_once_where_its_clock_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
