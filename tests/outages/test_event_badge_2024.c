/*
 * An event badge, 2024: to save flash, its firmware held a hand-picked subset of the common roots.
 * One of its endpoints moved to a root that was not among them.
 */
#include "tests/support/check.h"

#include <holdfast/simulate.h>

#include "common/base/timetext.h"
#include "tests/support/replay.h"

#include <string.h>

struct cast {
    struct replay_ca *a, *b, *c;
    struct replay_server *schedule, *firmware;
    struct hf_buf all, subset;
};

static struct cast set_the_stage(struct replay *r)
{
    const int64_t far_s = DEVICE_NOW_S + 8 * REPLAY_YEAR_S;
    struct cast cast = {
        .a = replay_ca(r, "CN=Common Root A", far_s),
        .b = replay_ca(r, "CN=Common Root B", far_s),
        .c = replay_ca(r, "CN=Common Root C", far_s),
        .schedule = replay_add_home(r, "https://schedule.example:443"),
        .firmware = replay_add_home(r, "https://firmware.example:443"),
    };
    replay_serve(r, cast.schedule, cast.a, DEVICE_NOW_S - HF_DAY_S);
    replay_serve(r, cast.firmware, cast.b, DEVICE_NOW_S - HF_DAY_S);
    replay_append_roots(&cast.all, REPLAY_CAS(cast.a, cast.b, cast.c));
    replay_append_roots(&cast.subset, REPLAY_CAS(cast.a, cast.b));
    return cast;
}

static void free_stage(struct cast *cast)
{
    hf_buf_free(&cast->all);
    hf_buf_free(&cast->subset);
}

static void a_subset_that_lacks_a_root_in_use_is_not_taken(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    replay_ship(r, &cast.all);
    replay_serve(r, cast.firmware, cast.c, DEVICE_NOW_S - HF_DAY_S); /* it has moved */
    replay_publish(r, 1, &cast.subset);
    device_remember(r->d);
    CHECK_REFUSED(replay_update(r), HF_E_POLICY, &r->d->why, "https://firmware.example:443");
    assert_non_null(strstr(r->d->why.text, "issued by \"CN=Common Root C\""));
    assert_non_null(strstr(r->d->why.text, "the anchor \"CN=Common Root C\" is missing"));
    assert_true(fake_state_same_bundles(&r->d->before, &r->d->fake.store.state));
    assert_int_equal(replay_connect(r, cast.firmware), 0);
    replay_publish(r, 2, &cast.all);
    CHECK_OK(replay_update(r));
    assert_int_equal(r->d->result.to_version, 2);
    free_stage(&cast);
}

static void simulate(struct replay *r, const struct cast *cast, struct hf_simulation *out)
{
    const struct hf_simulation_query query = {.now_s = HF_TIME_NONE,
                                              .at_s = r->d->fake.now_s,
                                              .endpoint = cast->firmware->name,
                                              .pem = hf_buf_bytes(&cast->subset)};
    CHECK_OK(hf_client_simulate(r->d->client, &query, out, &r->d->why));
}

/* Before it is published, a badge can be asked. */
static void simulate_names_what_would_be_missing(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);
    struct hf_simulation before = {0}, after = {0};

    replay_ship(r, &cast.all);
    replay_publish(r, 1, &cast.all);
    CHECK_OK(replay_update(r)); /* learns what its endpoints show */
    simulate(r, &cast, &before);
    assert_false(before.breaks);
    hf_simulation_free(&before);

    replay_serve(r, cast.firmware, cast.c, DEVICE_NOW_S - HF_DAY_S);
    replay_pass(r, 31 * HF_DAY_S);
    CHECK_OK(replay_update(r));
    simulate(r, &cast, &after);
    assert_true(after.breaks);
    assert_non_null(strstr(after.forecasts[0].who, "https://firmware.example:443"));
    assert_string_equal(after.forecasts[0].cause, "missing");
    assert_int_equal(after.forecasts[0].trouble_s, r->d->fake.now_s);
    hf_simulation_free(&after);
    free_stage(&cast);
}

static void a_badge_that_holds_the_subset_is_cured_by_the_next_bundle(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    replay_ship(r, &cast.subset);
    replay_serve(r, &r->update, cast.a, DEVICE_NOW_S - HF_DAY_S);
    replay_serve(r, cast.firmware, cast.c, DEVICE_NOW_S - HF_DAY_S);
    assert_int_equal(replay_connect(r, cast.firmware), MBEDTLS_X509_BADCERT_NOT_TRUSTED);
    replay_publish(r, 1, &cast.all);
    CHECK_OK(replay_update(r));
    assert_int_equal(r->n_waived, 0);
    assert_int_equal(replay_connect(r, cast.firmware), 0);
    free_stage(&cast);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(a_subset_that_lacks_a_root_in_use_is_not_taken),
        REPLAY_TEST(simulate_names_what_would_be_missing),
        REPLAY_TEST(a_badge_that_holds_the_subset_is_cured_by_the_next_bundle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
