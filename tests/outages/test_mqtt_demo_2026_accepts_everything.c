/*
 * An MQTT demo, 2026: its verify callback accepted every error, so that all its tests passed with
 * the wrong root. A store that is right does not help an application that asks it and then does not
 * listen.
 */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "tests/support/replay.h"

struct cast {
    struct replay_ca *root, *wrong_root;
    struct replay_server *home;
};

static int accept_everything(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    (void)ctx;
    (void)crt;
    (void)depth;
    *flags = 0;
    return 0;
}

static struct cast set_the_stage(struct replay *r)
{
    const int64_t far_s = DEVICE_NOW_S + 8 * REPLAY_YEAR_S;
    struct cast cast = {
        .root = replay_ca(r, "CN=Root", far_s),
        .wrong_root = replay_ca(r, "CN=Wrong Root", far_s),
        .home = replay_add_home(r, "mqtts://device.example:8883"),
    };
    replay_serve(r, cast.home, cast.root, DEVICE_NOW_S - HF_DAY_S);
    replay_ship_roots(r, REPLAY_CAS(cast.wrong_root));
    return cast;
}

static void a_callback_that_accepts_everything_is_found_out_at_start_up(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    mbedtls_ssl_conf_verify(&r->app, accept_everything, NULL);
    assert_int_equal(replay_connect(r, cast.home), 0); /* with the wrong root: the demo's tests */
    CHECK_REFUSED(hf_trust_store_check_config(r->store, &r->app, &r->d->why), HF_E_POLICY,
                  &r->d->why, "certificates are not verified");
    assert_non_null(strstr(r->d->why.text, "its verify callback clears the faults"));
}

/* The same with the store's own verdict asked for, and thrown away. */
static int ask_and_accept(void *store, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    (void)hf_trust_store_verify(store, crt, depth, flags);
    *flags = 0;
    return 0;
}

static void one_that_asks_the_store_and_does_not_listen_is_found_out_too(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    mbedtls_ssl_conf_verify(&r->app, ask_and_accept, r->store);
    assert_int_equal(replay_connect(r, cast.home), 0);
    CHECK_REFUSED(hf_trust_store_check_config(r->store, &r->app, &r->d->why), HF_E_POLICY,
                  &r->d->why, "certificates are not verified");
}

static void bound_as_it_should_be_the_wrong_root_shows(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    CHECK_OK(hf_trust_store_check_config(r->store, &r->app, &r->d->why));
    assert_int_equal(replay_connect(r, cast.home), MBEDTLS_X509_BADCERT_NOT_TRUSTED);
    replay_publish_roots(r, 1, REPLAY_CAS(cast.root));
    CHECK_OK(replay_update(r));
    assert_int_equal(replay_connect(r, cast.home), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(a_callback_that_accepts_everything_is_found_out_at_start_up),
        REPLAY_TEST(one_that_asks_the_store_and_does_not_listen_is_found_out_too),
        REPLAY_TEST(bound_as_it_should_be_the_wrong_root_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
