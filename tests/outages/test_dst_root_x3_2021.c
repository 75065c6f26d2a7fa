/*
 * DST Root CA X3, 2021-09-30: ISRG Root X1 stood under an anchor that expired. Devices that did not
 * hold X1 itself went dark, and the updates that would have brought it with them.
 */
#include "tests/support/check.h"

#include "client/core/update.h"
#include "tests/support/replay.h"

#define END_S (DEVICE_NOW_S + 30 * HF_DAY_S)

struct cast {
    struct replay_ca *dst_x3, *isrg_x1, *bystander;
    struct replay_server *home;
};

/* Leaf, R3, and X1 as DST signed it: what servers sent for three years beyond that day. */
static void serve(struct replay *r, struct replay_server *server, struct replay_ca *r3,
                  const struct cast *cast)
{
    struct pki_cert intermediate = replay_cross(r3, cast->isrg_x1);
    struct pki_cert cross = replay_cross(cast->isrg_x1, cast->dst_x3);

    replay_serve(r, server, r3, DEVICE_NOW_S - 30 * HF_DAY_S);
    replay_serve_also(server, &intermediate);
    replay_serve_also(server, &cross);
}

/* The device also holds another root, which is valid for long and does not help here. */
static struct cast set_the_stage(struct replay *r)
{
    const int64_t far_s = DEVICE_NOW_S + 8 * REPLAY_YEAR_S;
    struct cast cast = {
        .dst_x3 = replay_ca(r, "CN=DST Root CA X3", END_S),
        .isrg_x1 = replay_ca(r, "CN=ISRG Root X1", far_s),
        .bystander = replay_ca(r, "CN=Another Root", far_s),
        .home = replay_add_home(r, "mqtts://device.example:8883"),
    };
    struct replay_ca *r3 = replay_ca(r, "CN=R3", far_s);
    serve(r, cast.home, r3, &cast);
    serve(r, &r->update, r3, &cast);
    replay_ship_roots(r, REPLAY_CAS(cast.dst_x3, cast.bystander));
    assert_int_equal(replay_connect(r, cast.home), 0);
    return cast;
}

static void the_chain_holds_on_the_day_for_who_got_x1_before(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    replay_publish_roots(r, 1, REPLAY_CAS(cast.dst_x3, cast.isrg_x1, cast.bystander));
    CHECK_OK(replay_update(r));
    replay_pass(r, END_S + 1 - r->d->fake.now_s);
    assert_int_equal(replay_connect(r, cast.home), 0);
    CHECK_OK(replay_update(r));
    assert_int_equal(r->n_waived, 0);
}

static void a_dark_device_with_another_root_left_gets_home_after_a_day(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    replay_pass(r, END_S + 1 - r->d->fake.now_s);
    replay_publish_roots(r, 1, REPLAY_CAS(cast.isrg_x1, cast.bystander));
    device_remember(r->d);
    replay_fail_for_a_day(r, HF_E_UNTRUSTED);
    device_check_unchanged_from(r->d, "root");
    assert_int_equal(replay_connect(r, cast.home), MBEDTLS_X509_BADCERT_NOT_TRUSTED);

    CHECK_OK(replay_update(r));
    assert_true(r->d->result.is_recovered);
    assert_int_equal(r->d->result.to_version, 1);
    assert_int_equal(replay_connect(r, cast.home), 0);
    CHECK_OK(replay_update(r));
    assert_int_equal(r->n_waived, 0);
}

/* It wakes once a day for one check, a little sooner or later after its start, and is off again. */
static void a_dark_device_on_a_battery_gets_home_by_its_starts(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    replay_pass(r, END_S + 1 - r->d->fake.now_s);
    replay_publish_roots(r, 1, REPLAY_CAS(cast.isrg_x1, cast.bystander));
    device_remember(r->d);
    for (int i = 0; i < HF_RECOVERY_STARTS; i++) {
        replay_reboot(r);
        replay_pass(r, 40 - i);
        assert_string_equal(hf_err_name(replay_update(r)), hf_err_name(HF_E_UNTRUSTED));
        assert_int_equal(r->n_waived, 0);
        r->d->fake.now_s += HF_DAY_S;
    }
    device_check_unchanged_from(r->d, "root");

    replay_reboot(r);
    replay_pass(r, 20);
    CHECK_OK(replay_update(r));
    assert_true(r->d->result.is_recovered);
    assert_int_equal(replay_connect(r, cast.home), 0);
    CHECK_OK(replay_update(r));
    assert_int_equal(r->n_waived, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(the_chain_holds_on_the_day_for_who_got_x1_before),
        REPLAY_TEST(a_dark_device_with_another_root_left_gets_home_after_a_day),
        REPLAY_TEST(a_dark_device_on_a_battery_gets_home_by_its_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
