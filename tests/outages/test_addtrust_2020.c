/*
 * AddTrust, 2020-05-30: a root expired. Servers went on sending the cross-sign that leads up to it,
 * and devices that held no other root went dark; their updater with them, since it spoke TLS
 * through the same store.
 */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "tests/support/replay.h"

#define END_S (DEVICE_NOW_S + 30 * HF_DAY_S) /* of the old root and of what it signed */

struct cast {
    struct replay_ca *old_root, *new_root;
    struct replay_server *home;
};

/* Both servers stand under the new root and send its cross-sign by the old one along. */
static struct cast set_the_stage(struct replay *r)
{
    struct cast cast = {
        .old_root = replay_ca(r, "CN=AddTrust External CA Root", END_S),
        .new_root = replay_ca(r, "CN=USERTrust RSA CA", DEVICE_NOW_S + 8 * REPLAY_YEAR_S),
        .home = replay_add_home(r, "mqtts://device.example:8883"),
    };
    struct pki_cert cross = replay_cross(cast.new_root, cast.old_root);
    cross.not_after_s = END_S;
    replay_serve(r, cast.home, cast.new_root, DEVICE_NOW_S - 30 * HF_DAY_S);
    replay_serve_also(cast.home, &cross);
    replay_serve(r, &r->update, cast.new_root, DEVICE_NOW_S - 30 * HF_DAY_S);
    replay_serve_also(&r->update, &cross);
    replay_ship_roots(r, REPLAY_CAS(cast.old_root));
    assert_int_equal(replay_connect(r, cast.home), 0);
    return cast;
}

static void a_fleet_that_got_the_new_root_in_time_notices_nothing(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    replay_publish_roots(r, 1, REPLAY_CAS(cast.old_root, cast.new_root));
    CHECK_OK(replay_update(r));
    assert_int_equal(r->d->result.to_version, 1);
    replay_pass(r, END_S + 1 - r->d->fake.now_s); /* the device stays up through the day */
    assert_int_equal(replay_connect(r, cast.home), 0);
    CHECK_OK(replay_update(r));
    assert_int_equal(r->n_waived, 0);
}

static void a_device_that_holds_the_old_root_only_gets_home(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    replay_pass(r, END_S + 10 * HF_DAY_S - r->d->fake.now_s);
    replay_publish_roots(r, 1, REPLAY_CAS(cast.old_root, cast.new_root));
    assert_int_equal(replay_connect(r, cast.home),
                     MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_NOT_TRUSTED);
    CHECK_OK(replay_update(r));
    assert_true(r->d->result.is_recovered);
    assert_int_equal(r->d->result.to_version, 1);
    assert_int_equal(replay_connect(r, cast.home), 0);
    CHECK_OK(replay_update(r)); /* and its updater as well */
    assert_true(r->n_validated > 0);
    assert_int_equal(r->n_waived, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(a_fleet_that_got_the_new_root_in_time_notices_nothing),
        REPLAY_TEST(a_device_that_holds_the_old_root_only_gets_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
