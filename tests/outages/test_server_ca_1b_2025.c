/*
 * Server CA 1B, 2025-10-19: firmware held an intermediate as its "root". The CA took another
 * intermediate under the same root, as it may at any time, and the devices were cut off.
 */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "tests/support/replay.h"

struct cast {
    struct replay_ca *root, *ca_1b, *successor;
    struct replay_server *home;
    struct pki_cert cert_1b;
};

static struct cast set_the_stage(struct replay *r)
{
    const int64_t far_s = DEVICE_NOW_S + 8 * REPLAY_YEAR_S;
    struct cast cast = {
        .root = replay_ca(r, "CN=Amazon Root CA 1", far_s),
        .ca_1b = replay_ca(r, "CN=Server CA 1B", DEVICE_NOW_S + 30 * HF_DAY_S),
        .successor = replay_ca(r, "CN=RSA 2048 M01", far_s),
        .home = replay_add_home(r, "mqtts://device.example:8883"),
    };
    cast.cert_1b = replay_cross(cast.ca_1b, cast.root);
    replay_serve(r, cast.home, cast.ca_1b, DEVICE_NOW_S - 30 * HF_DAY_S);
    replay_serve_also(cast.home, &cast.cert_1b);
    return cast;
}

static void move_to_the_successor(struct replay *r, struct cast *cast)
{
    struct pki_cert intermediate = replay_cross(cast->successor, cast->root);
    replay_serve(r, cast->home, cast->successor, DEVICE_NOW_S - HF_DAY_S);
    replay_serve_also(cast->home, &intermediate);
}

static void a_factory_image_with_an_intermediate_for_a_root_is_refused(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);
    struct hf_ports ports = replay_ports(r);
    struct hf_client_config config = device_config(r->d);
    struct hf_bytes root = tuf_files_find(&r->d->repo.files, "metadata/1.root.json");
    struct hf_buf pem = {0};

    pki_issue_pem(&cast.cert_1b, &pem);
    CHECK_REFUSED(hf_client_provision(&ports, &config, root, hf_buf_bytes(&pem), &r->d->why),
                  HF_E_POLICY, &r->d->why,
                  "\"CN=Server CA 1B\" is no root: it is issued by \"CN=Amazon Root CA 1\"");
    assert_null(fake_store_metadata(&r->d->fake.store, "root").data);
    assert_int_equal(device_version(r->d, HF_SLOT_ACTIVE), -1);
    hf_buf_free(&pem);
}

static void a_bundle_with_one_is_refused_and_the_root_outlives_the_intermediate(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);
    struct hf_buf pem = {0};

    replay_ship_roots(r, REPLAY_CAS(cast.root));
    pki_issue_pem(&cast.cert_1b, &pem);
    replay_publish(r, 1, &pem);
    hf_buf_free(&pem);
    device_remember(r->d);
    CHECK_REFUSED(replay_update(r), HF_E_POLICY, &r->d->why, "\"CN=Server CA 1B\" is no root");
    assert_true(fake_state_same_bundles(&r->d->before, &r->d->fake.store.state));

    move_to_the_successor(r, &cast);
    assert_int_equal(replay_connect(r, cast.home), 0);
}

/* It is a rule about accidents: a publisher who means it may. */
static void an_intermediate_goes_in_when_its_publisher_says_so(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);
    json_t *custom = device_custom(DEVICE_SET, DEVICE_PROFILE, 1);
    struct hf_buf pem = {0};

    pki_issue_pem(&cast.cert_1b, &pem);
    replay_describe_first(custom, &pem, "use", "intermediate");
    replay_ship(r, NULL);
    replay_publish_described(r, 1, &pem, custom);
    hf_buf_free(&pem);
    CHECK_OK(replay_update(r));
    assert_int_equal(replay_connect(r, cast.home), 0);

    /* And the consequence of it. */
    move_to_the_successor(r, &cast);
    assert_int_equal(replay_connect(r, cast.home), MBEDTLS_X509_BADCERT_NOT_TRUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(a_factory_image_with_an_intermediate_for_a_root_is_refused),
        REPLAY_TEST(a_bundle_with_one_is_refused_and_the_root_outlives_the_intermediate),
        REPLAY_TEST(an_intermediate_goes_in_when_its_publisher_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
