/*
 * A garage of ESP32s: when the root of the update server had gone, the team turned verification off
 * to get updates back. It must not be needed, and it must not pass unnoticed.
 */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "tests/support/replay.h"

#define END_S (DEVICE_NOW_S + 30 * HF_DAY_S)

struct cast {
    struct replay_ca *gone, *next, *stranger;
    struct replay_server *home, *impostor;
};

/* The only root has expired; server and endpoint stand under the next one. */
static struct cast set_the_stage(struct replay *r)
{
    const int64_t far_s = DEVICE_NOW_S + 8 * REPLAY_YEAR_S;
    struct cast cast = {
        .gone = replay_ca(r, "CN=Gone Root", END_S),
        .next = replay_ca(r, "CN=Next Root", far_s),
        .stranger = replay_ca(r, "CN=Stranger", far_s),
        .home = replay_add_home(r, "mqtts://device.example:8883"),
        .impostor = &r->homes[1], /* no endpoint of the device's */
    };
    replay_ship_roots(r, REPLAY_CAS(cast.gone));
    replay_pass(r, END_S + 1 - r->d->fake.now_s);
    replay_serve(r, &r->update, cast.next, DEVICE_NOW_S - HF_DAY_S);
    replay_serve(r, cast.home, cast.next, DEVICE_NOW_S - HF_DAY_S);
    replay_serve(r, cast.impostor, cast.stranger, DEVICE_NOW_S - HF_DAY_S);
    replay_publish_roots(r, 1, REPLAY_CAS(cast.next));
    return cast;
}

static void updates_come_back_with_verification_on(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    CHECK_OK(replay_update(r));
    assert_true(r->d->result.is_recovered);
    CHECK_OK(hf_trust_store_check_config(r->store, &r->app, &r->d->why));
    assert_int_equal(replay_connect(r, cast.home), 0);
    assert_int_equal(replay_connect(r, cast.impostor), MBEDTLS_X509_BADCERT_NOT_TRUSTED);
}

/* While updates go without validated chains, until they succeed, nothing else does. */
static void what_recovery_waives_is_waived_for_nobody_else(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    fake_mirror_answer(&r->d->fake.transport.mirrors[0], "metadata/timestamp.json", 503, NULL);
    CHECK_REFUSED(replay_update(r), HF_E_NETWORK, &r->d->why, "recovery did not help either");
    assert_true(r->n_waived > 0);
    assert_int_equal(replay_connect(r, cast.impostor), MBEDTLS_X509_BADCERT_NOT_TRUSTED);
    assert_int_equal(replay_connect(r, cast.home), MBEDTLS_X509_BADCERT_NOT_TRUSTED);
    CHECK_OK(hf_trust_store_check_config(r->store, &r->app, &r->d->why));
}

static void check_is_found_out(struct replay *r, int authmode, const char *part)
{
    mbedtls_ssl_conf_authmode(&r->app, authmode);
    CHECK_REFUSED(hf_trust_store_check_config(r->store, &r->app, &r->d->why), HF_E_POLICY,
                  &r->d->why, part);
}

static void verification_that_is_off_is_found_out_at_start_up(void **state)
{
    struct replay *r = *state;
    (void)set_the_stage(r);

    check_is_found_out(r, MBEDTLS_SSL_VERIFY_NONE, "the configuration has MBEDTLS_SSL_VERIFY_NONE");
    check_is_found_out(r, MBEDTLS_SSL_VERIFY_OPTIONAL,
                       "the configuration has MBEDTLS_SSL_VERIFY_OPTIONAL");
    mbedtls_ssl_conf_authmode(&r->app, MBEDTLS_SSL_VERIFY_REQUIRED);
    CHECK_OK(hf_trust_store_check_config(r->store, &r->app, &r->d->why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(updates_come_back_with_verification_on),
        REPLAY_TEST(what_recovery_waives_is_waived_for_nobody_else),
        REPLAY_TEST(verification_that_is_off_is_found_out_at_start_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
