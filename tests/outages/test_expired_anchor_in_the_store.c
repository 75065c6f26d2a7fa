/*
 * An expired anchor left in an Mbed TLS store: the server sends a certificate of the same name and
 * key, cross-signed by a root that is valid and in the store as well. Path building goes up to the
 * expired anchor, and does not come back to the valid root.
 */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "tests/support/replay.h"

#define END_S (DEVICE_NOW_S + 30 * HF_DAY_S)

struct cast {
    struct replay_ca *expiring, *valid;
    struct replay_server *home;
};

static struct cast set_the_stage(struct replay *r)
{
    const int64_t far_s = DEVICE_NOW_S + 8 * REPLAY_YEAR_S;
    struct cast cast = {
        .expiring = replay_ca(r, "CN=Old Root", END_S),
        .valid = replay_ca(r, "CN=Valid Root", far_s),
        .home = replay_add_home(r, "mqtts://device.example:8883"),
    };
    struct pki_cert cross = replay_cross(cast.expiring, cast.valid);
    cross.not_after_s = far_s;
    replay_serve(r, cast.home, cast.expiring, DEVICE_NOW_S - HF_DAY_S);
    replay_serve_also(cast.home, &cross);
    replay_serve(r, &r->update, cast.expiring, DEVICE_NOW_S - HF_DAY_S);
    replay_serve_also(&r->update, &cross);
    return cast;
}

/* Mbed TLS with both roots in its own list, as an application without Holdfast would have it. */
static uint32_t verdict_of_mbedtls_alone(const struct cast *cast, const struct hf_buf *roots)
{
    mbedtls_x509_crt trusted, shown;
    uint32_t flags = 0;

    mbedtls_x509_crt_init(&trusted);
    mbedtls_x509_crt_init(&shown);
    assert_int_equal(mbedtls_x509_crt_parse(&trusted, roots->data, roots->len + 1), 0);
    for (size_t i = 0; i < cast->home->chain.n; i++) {
        const struct hf_buf *der = &cast->home->chain.der[i];
        assert_int_equal(mbedtls_x509_crt_parse_der(&shown, der->data, der->len), 0);
    }
    (void)mbedtls_x509_crt_verify(&shown, &trusted, NULL, TLS_HOST, &flags, NULL, NULL);
    mbedtls_x509_crt_free(&trusted);
    mbedtls_x509_crt_free(&shown);
    return flags;
}

static void on_the_day_it_expires_the_device_stays_connected(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);
    struct hf_buf roots = {0};

    replay_append_roots(&roots, REPLAY_CAS(cast.expiring, cast.valid));
    replay_ship(r, &roots);
    replay_pass(r, END_S - r->d->fake.now_s);
    assert_int_equal(verdict_of_mbedtls_alone(&cast, &roots), 0);
    assert_int_equal(replay_connect(r, cast.home), 0);
    replay_pass(r, 1); /* the store is not notified */
    assert_int_equal(verdict_of_mbedtls_alone(&cast, &roots), MBEDTLS_X509_BADCERT_EXPIRED);
    assert_int_equal(replay_connect(r, cast.home), 0);

    replay_publish(r, 1, &roots);
    CHECK_OK(replay_update(r)); /* and can update, with the expired anchor in the bundle */
    assert_int_equal(r->n_waived, 0);
    replay_reboot(r);
    assert_int_equal(replay_connect(r, cast.home), 0);
    hf_buf_free(&roots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(on_the_day_it_expires_the_device_stays_connected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
