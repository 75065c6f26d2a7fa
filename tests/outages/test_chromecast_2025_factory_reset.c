/*
 * Chromecast, 2025-03-09: an intermediate in the devices' own chain expired. Owners reset their
 * devices, which made it worse: what the device had learned since the factory was gone as well.
 */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "tests/support/replay.h"

#include <stdlib.h>

struct cast {
    struct replay_ca *factory_root, *new_root;
    struct replay_server *home;
    struct hf_buf factory;
};

/* The device has been in use for six years: root metadata and the CAs of its servers are other ones
 * than at the factory, and the factory's CA has expired. */
static struct cast set_the_stage(struct replay *r)
{
    struct cast cast = {
        .factory_root = replay_ca(r, "CN=Factory Root", DEVICE_NOW_S + 2 * REPLAY_YEAR_S),
        .new_root = replay_ca(r, "CN=New Root", DEVICE_NOW_S + 20 * REPLAY_YEAR_S),
        .home = replay_add_home(r, "https://device.example:443"),
    };
    struct tuf_role *root = &r->d->repo.roles[HF_ROLE_ROOT];

    replay_append_roots(&cast.factory, REPLAY_CAS(cast.factory_root));
    replay_serve(r, cast.home, cast.factory_root, DEVICE_NOW_S - HF_DAY_S);
    replay_ship(r, &cast.factory);
    replay_publish_roots(r, 1, REPLAY_CAS(cast.factory_root, cast.new_root));
    CHECK_OK(replay_update(r));
    replay_pass(r, 6 * REPLAY_YEAR_S);
    root->signed_at_s = r->d->fake.now_s - HF_DAY_S;
    root->expires_s = r->d->fake.now_s + REPLAY_YEAR_S;
    tuf_repo_rotate(&r->d->repo, HF_ROLE_ROOT);
    replay_publish_roots(r, 2, REPLAY_CAS(cast.new_root));
    replay_serve(r, cast.home, cast.new_root, r->d->fake.now_s - HF_DAY_S);
    replay_serve(r, &r->update, cast.new_root, r->d->fake.now_s - HF_DAY_S);
    CHECK_OK(replay_update(r));
    assert_int_equal(r->d->result.to_version, 2);
    assert_int_equal(replay_connect(r, cast.home), 0);
    return cast;
}

/* The reset switches it off as well, and its clock begins in 1970. */
static void reset(struct replay *r, const struct cast *cast)
{
    CHECK_OK(hf_client_reset(r->d->client, hf_buf_bytes(&cast->factory), &r->d->why));
    assert_int_equal(device_version(r->d, HF_SLOT_ACTIVE), 0);
    r->d->fake.now_s = 0;
    replay_reboot(r);
}

/* Signed by old root keys, which root 2 has replaced: an attacker with them waits for devices that
 * fall back to root 1. */
static struct tuf_repo *forge_with(const struct tuf_keys *keys_of_the_past, int64_t now_s)
{
    struct tuf_repo *forged = calloc(1, sizeof *forged);

    assert_non_null(forged);
    tuf_repo_init(forged, now_s);
    forged->roles[HF_ROLE_ROOT].keys = *keys_of_the_past;
    forged->roles[HF_ROLE_ROOT].version = 2;
    tuf_repo_publish_root(forged);
    tuf_repo_publish(forged);
    return forged;
}

static void after_it_the_device_gets_home_and_keys_of_the_past_have_no_say(void **state)
{
    struct replay *r = *state;
    const struct tuf_keys keys_of_the_past = r->d->repo.roles[HF_ROLE_ROOT].keys;
    struct cast cast = set_the_stage(r);
    struct tuf_repo *forged = forge_with(&keys_of_the_past, r->d->fake.now_s);

    reset(r, &cast);
    assert_int_equal(replay_connect(r, cast.home), MBEDTLS_X509_BADCERT_NOT_TRUSTED);
    device_remember(r->d);
    r->d->fake.transport.mirrors[0].files = &forged->files;
    CHECK_REFUSED(replay_update(r), HF_E_SIGNATURE, &r->d->why, "timestamp");
    device_check_unchanged_from(r->d, "root");

    /* By the time it still knows of, no anchor of the factory is usable: no day is lost by
     * waiting. */
    r->d->fake.transport.mirrors[0].files = &r->d->repo.files;
    CHECK_OK(replay_update(r));
    assert_true(r->d->result.is_recovered);
    assert_int_equal(r->d->result.to_version, 2);
    assert_int_equal(replay_connect(r, cast.home), 0);
    tuf_repo_free(forged);
    free(forged);
    hf_buf_free(&cast.factory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(after_it_the_device_gets_home_and_keys_of_the_past_have_no_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
