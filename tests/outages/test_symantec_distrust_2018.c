/*
 * Symantec and VeriSign, 2018: policy ended trust in roots years before they expired, for
 * certificates issued after a day. A device that treats this day as the end of the root is cut off
 * on it. A device that ignores it continues to trust certificates that root programs distrust.
 */
#include "client/core/update.h"
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "tests/support/replay.h"

#include <string.h>

#define DISTRUST_S (DEVICE_NOW_S + 60 * HF_DAY_S)

struct cast {
    struct replay_ca *verisign, *ats;
    struct replay_server *home;
};

static struct cast set_the_stage(struct replay *r)
{
    struct cast cast = {
        .verisign = replay_ca(r, "CN=VeriSign Class 3 G5", DEVICE_NOW_S + 8 * REPLAY_YEAR_S),
        .ats = replay_ca(r, "CN=Amazon Root CA 1", DEVICE_NOW_S + 9 * REPLAY_YEAR_S),
        .home = replay_add_home(r, "mqtts://device.example:8883"),
    };
    replay_serve(r, cast.home, cast.verisign, DEVICE_NOW_S - 30 * HF_DAY_S);
    return cast;
}

/* `roots`, the first of which is distrusted for what is issued after DISTRUST_S. */
static void publish_distrust(struct replay *r, int64_t version, const struct hf_buf *roots)
{
    json_t *custom = device_custom(DEVICE_SET, DEVICE_PROFILE, version);
    char day[HF_TIME_TEXT_MAX];

    hf_time_format(DISTRUST_S, day);
    replay_describe_first(custom, roots, "distrust_after", day);
    replay_publish_described(r, version, roots, custom);
}

static void nobody_is_cut_off_on_the_day_and_nothing_newer_is_trusted(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);
    struct hf_buf roots = {0};

    replay_append_roots(&roots, REPLAY_CAS(cast.verisign, cast.ats));
    replay_ship_roots(r, REPLAY_CAS(cast.verisign));
    publish_distrust(r, 1, &roots);
    CHECK_OK(replay_update(r));
    hf_buf_free(&roots);

    replay_pass(r, 90 * HF_DAY_S);
    assert_int_equal(replay_connect(r, cast.home), 0); /* issued before it */
    replay_serve(r, cast.home, cast.verisign, DISTRUST_S + HF_DAY_S);
    assert_int_equal(replay_connect(r, cast.home), MBEDTLS_X509_BADCERT_NOT_TRUSTED);
    replay_serve(r, cast.home, cast.ats, DISTRUST_S + HF_DAY_S); /* moved, as it should be */
    assert_int_equal(replay_connect(r, cast.home), 0);
}

/* The server was renewed under the old root after the day: to take this bundle is to lose it. A
 * device that refused would leave the CA a veto, so it waits, takes it, and says what is lost. lint
 * and simulate are where a publisher learns it beforehand. */
static void a_distrust_that_cuts_the_device_off_is_taken_late_and_said(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);
    struct hf_buf roots = {0};

    replay_append_roots(&roots, REPLAY_CAS(cast.verisign, cast.ats));
    replay_ship_roots(r, REPLAY_CAS(cast.verisign));
    replay_pass(r, 90 * HF_DAY_S);
    replay_serve(r, cast.home, cast.verisign, DISTRUST_S + HF_DAY_S);
    publish_distrust(r, 1, &roots);
    hf_buf_free(&roots);
    device_remember(r->d);
    for (int i = 0; i < HF_PREFLIGHT_TRIES; i++) {
        CHECK_REFUSED(
            replay_update(r), HF_E_POSTPONED, &r->d->why,
            "would be lost: its chain leads to \"CN=VeriSign Class 3 G5\" only, which the "
            "new bundle distrusts for its certificate");
        assert_true(fake_state_same_bundles(&r->d->before, &r->d->fake.store.state));
        assert_int_equal(replay_connect(r, cast.home), 0);
    }
    CHECK_OK(replay_update(r));
    assert_int_equal(device_version(r->d, HF_SLOT_ACTIVE), 1);
    assert_non_null(
        strstr(r->d->result.lost, "is lost: its chain leads to \"CN=VeriSign Class 3 G5"));
    assert_int_equal(replay_connect(r, cast.home), MBEDTLS_X509_BADCERT_NOT_TRUSTED);

    replay_serve(r, cast.home, cast.ats, DISTRUST_S + HF_DAY_S); /* moved, as it should be */
    CHECK_OK(replay_update(r));
    assert_int_equal(fake_store_count_events(&r->d->fake.store, "regained"), 1);
    assert_int_equal(replay_connect(r, cast.home), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(nobody_is_cut_off_on_the_day_and_nothing_newer_is_trusted),
        REPLAY_TEST(a_distrust_that_cuts_the_device_off_is_taken_late_and_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
