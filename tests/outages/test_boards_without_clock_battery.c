/*
 * Boards without a battery for their clock boot in 1970, where every certificate is "not yet
 * valid". They need TLS to ask for the time, and the time for TLS.
 */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "tests/support/replay.h"

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
    return cast;
}

/* It has never seen a right clock: what it knows of time is when its root metadata was signed. */
static void it_connects_and_updates_from_the_first_boot_on(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    replay_publish_roots(r, 1, REPLAY_CAS(cast.root));
    r->d->fake.now_s = 0;
    replay_ship_roots(r, REPLAY_CAS(cast.root));
    assert_int_equal(replay_connect(r, cast.home), 0);
    CHECK_OK(replay_update(r));
    assert_int_equal(r->d->result.to_version, 1);
    assert_int_equal(r->n_waived, 0);
}

/* Below the floor the clock says nothing, also hours after the boot; and what expired by the floor
 * has expired. */
static void each_boot_begins_no_earlier_than_the_last_signature(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);
    struct replay_ca *gone = replay_ca(r, "CN=Gone", DEVICE_NOW_S - 10 * HF_DAY_S);

    replay_publish_roots(r, 1, REPLAY_CAS(cast.root, gone));
    r->d->fake.now_s = 0;
    replay_ship_roots(r, REPLAY_CAS(cast.root));
    CHECK_OK(replay_update(r));
    replay_pass(r, 6 * 3600);
    r->d->fake.now_s = 0;
    replay_reboot(r);
    assert_int_equal(replay_connect(r, cast.home), 0);
    CHECK_OK(replay_update(r));
    assert_false(r->d->result.is_changed);
    assert_int_equal(r->n_waived, 0);
    replay_serve(r, cast.home, gone, DEVICE_NOW_S - 30 * HF_DAY_S);
    assert_int_equal(replay_connect(r, cast.home), MBEDTLS_X509_BADCERT_NOT_TRUSTED);
}

/* By a clock in 1970 no anchor is valid yet: a device that believed it would have nothing to
 * lose. */
static void a_bundle_that_would_cut_it_off_is_refused_in_1970_too(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);
    struct replay_ca *other = replay_ca(r, "CN=Other", DEVICE_NOW_S + 8 * REPLAY_YEAR_S);

    replay_publish_roots(r, 1, REPLAY_CAS(other));
    r->d->fake.now_s = 0;
    replay_ship_roots(r, REPLAY_CAS(cast.root));
    device_remember(r->d);
    CHECK_REFUSED(replay_update(r), HF_E_POLICY, &r->d->why, "the anchor \"CN=Root\" is missing");
    assert_true(fake_state_same_bundles(&r->d->before, &r->d->fake.store.state));
    assert_int_equal(replay_connect(r, cast.home), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(it_connects_and_updates_from_the_first_boot_on),
        REPLAY_TEST(each_boot_begins_no_earlier_than_the_last_signature),
        REPLAY_TEST(a_bundle_that_would_cut_it_off_is_refused_in_1970_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
