/*
 * Baltimore CyberTrust to DigiCert Global Root G2, 2023 to 2025: devices had one root pinned. The
 * root was still valid when the servers left it; what lay on a shelf meanwhile missed the overlap.
 */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "tests/support/replay.h"

struct cast {
    struct replay_ca *baltimore, *g2;
    struct replay_server *home;
};

static struct cast set_the_stage(struct replay *r)
{
    const int64_t far_s = DEVICE_NOW_S + 8 * REPLAY_YEAR_S;
    struct cast cast = {
        .baltimore = replay_ca(r, "CN=Baltimore CyberTrust Root", far_s),
        .g2 = replay_ca(r, "CN=DigiCert Global Root G2", far_s),
        .home = replay_add_home(r, "mqtts://device.example:8883"),
    };
    replay_serve(r, cast.home, cast.baltimore, DEVICE_NOW_S - 30 * HF_DAY_S);
    replay_serve(r, &r->update, cast.baltimore, DEVICE_NOW_S - 30 * HF_DAY_S);
    replay_ship_roots(r, REPLAY_CAS(cast.baltimore));
    return cast;
}

static void move_servers(struct replay *r, const struct cast *cast)
{
    replay_serve(r, cast->home, cast->g2, r->d->fake.now_s - HF_DAY_S);
    replay_serve(r, &r->update, cast->g2, r->d->fake.now_s - HF_DAY_S);
}

static void a_device_that_is_awake_moves_along(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    replay_publish_roots(r, 1, REPLAY_CAS(cast.baltimore, cast.g2));
    CHECK_OK(replay_update(r));
    assert_int_equal(r->n_waived, 0);
    replay_pass(r, 100 * HF_DAY_S);
    move_servers(r, &cast);
    assert_int_equal(replay_connect(r, cast.home), 0);
    replay_publish_roots(r, 2, REPLAY_CAS(cast.g2));
    CHECK_OK(replay_update(r));
    assert_int_equal(r->n_waived, 0);
    assert_int_equal(r->d->result.to_version, 2);
    assert_int_equal(replay_connect(r, cast.home), 0);
}

static void a_publisher_in_a_hurry_cuts_nobody_off(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    replay_publish_roots(r, 1, REPLAY_CAS(cast.g2));
    device_remember(r->d);
    CHECK_REFUSED(replay_update(r), HF_E_POLICY, &r->d->why,
                  "the anchor \"CN=Baltimore CyberTrust Root\" is missing");
    assert_true(fake_state_same_bundles(&r->d->before, &r->d->fake.store.state));
    assert_int_equal(replay_connect(r, cast.home), 0);
}

static void a_device_from_the_shelf_gets_home_by_the_signatures_of_the_metadata(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    replay_publish_roots(r, 1, REPLAY_CAS(cast.baltimore, cast.g2));
    device_off(r->d);
    r->d->fake.now_s += 300 * HF_DAY_S; /* the overlap */
    move_servers(r, &cast);
    replay_publish_roots(r, 2, REPLAY_CAS(cast.g2));
    replay_reboot(r);
    assert_int_equal(replay_connect(r, cast.home), MBEDTLS_X509_BADCERT_NOT_TRUSTED);

    replay_fail_for_a_day(r, HF_E_UNTRUSTED);
    /* What it holds validates nothing, so it has nothing to lose and does not wait for
     * endpoints. */
    CHECK_OK(replay_update(r));
    assert_true(r->d->result.is_recovered);
    assert_int_equal(r->d->result.to_version, 2);
    assert_int_equal(replay_connect(r, cast.home), 0);
    CHECK_OK(replay_update(r));
    assert_int_equal(r->n_waived, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(a_device_that_is_awake_moves_along),
        REPLAY_TEST(a_publisher_in_a_hurry_cuts_nobody_off),
        REPLAY_TEST(a_device_from_the_shelf_gets_home_by_the_signatures_of_the_metadata),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
