/*
 * A pool controller: a PEM with three damaged bytes was shipped. Depending on which three, such a
 * file does not parse, or it parses and is another root than it was meant to be.
 */
#include "tests/support/check.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/bundle/pem.h"
#include "tests/support/replay.h"

#include <stdlib.h>
#include <string.h>

#define FAR_S (DEVICE_NOW_S + 8 * REPLAY_YEAR_S) /* 2038-03-15 */

struct cast {
    struct replay_ca *root;
    struct replay_server *home;
    struct hf_buf der; /* the root */
    struct hf_buf pem;
};

static struct cast set_the_stage(struct replay *r)
{
    struct cast cast = {
        .root = replay_ca(r, "CN=Pool Root", FAR_S),
        .home = replay_add_home(r, "mqtts://device.example:8883"),
    };
    struct pki_cert root = replay_root(cast.root);

    pki_issue(&root, &cast.der);
    CHECK_OK(hf_pem_append(&cast.pem, hf_buf_bytes(&cast.der)));
    replay_serve(r, cast.home, cast.root, DEVICE_NOW_S - HF_DAY_S);
    return cast;
}

static void free_stage(struct cast *cast)
{
    hf_buf_free(&cast->der);
    hf_buf_free(&cast->pem);
}

/* The PEM of the root with three bytes of its DER inverted, from `at` on. */
static struct hf_buf damaged_pem(const struct cast *cast, size_t at)
{
    struct hf_buf der = {0}, pem = {0};

    CHECK_OK(hf_buf_append(&der, cast->der.data, cast->der.len));
    for (size_t i = 0; i < 3; i++)
        der.data[at + i] ^= 0xFF;
    CHECK_OK(hf_pem_append(&pem, hf_buf_bytes(&der)));
    hf_buf_free(&der);
    return pem;
}

static struct fake_mirror *mirror(struct replay *r)
{
    return &r->d->fake.transport.mirrors[0];
}

static void damaged_on_the_way_it_is_refused_and_fetched_again(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);
    struct hf_buf damaged = damaged_pem(&cast, cast.der.len - 20);
    char path[HF_TARGET_PATH_MAX + 160];

    replay_ship(r, &cast.pem);
    replay_publish(r, 1, &cast.pem);
    tuf_repo_content_path(&r->d->repo, &r->d->repo.targets.items[0], path, sizeof path);
    fake_mirror_answer_bytes(mirror(r), path, 200, hf_buf_bytes(&damaged));
    device_remember(r->d);
    CHECK_REFUSED(replay_update(r), HF_E_HASH, &r->d->why, "SHA-256");
    assert_true(fake_state_same_bundles(&r->d->before, &r->d->fake.store.state));
    assert_int_equal(replay_connect(r, cast.home), 0);
    fake_mirror_reset(mirror(r));
    CHECK_OK(replay_update(r));
    assert_int_equal(r->d->result.to_version, 1);
    hf_buf_free(&damaged);
    free_stage(&cast);
}

static void damaged_before_it_was_signed_it_is_refused_for_its_form(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);
    struct hf_buf damaged = damaged_pem(&cast, 4); /* lengths and tags */

    replay_ship(r, &cast.pem);
    replay_publish(r, 1, &damaged);
    device_remember(r->d);
    CHECK_REFUSED(replay_update(r), HF_E_FORMAT, &r->d->why, DEVICE_PROFILE "/1.pem");
    assert_true(fake_state_same_bundles(&r->d->before, &r->d->fake.store.state));
    assert_int_equal(replay_connect(r, cast.home), 0);
    hf_buf_free(&damaged);
    free_stage(&cast);
}

/* The root as it would be with three other digits in its last day: in 2021 instead of 2038. */
static struct hf_buf pem_with_another_end(const struct cast *cast)
{
    struct hf_buf der = {0}, pem = {0};

    CHECK_OK(hf_buf_append(&der, cast->der.data, cast->der.len));
    uint8_t *end = memmem(der.data, der.len, "380315", 6);
    assert_non_null(end);
    memcpy(end, "210415", 6);
    CHECK_OK(hf_pem_append(&pem, hf_buf_bytes(&der)));
    hf_buf_free(&der);
    return pem;
}

/* It parses then. The signed description fits as well, so in an update only the endpoint shows the
 * damage. In a factory image the root's own signature shows it. */
static void damaged_where_it_still_parses_it_is_refused_all_the_same(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);
    struct hf_buf damaged = pem_with_another_end(&cast);
    struct hf_ports ports = replay_ports(r);
    struct hf_client_config config = device_config(r->d);
    struct hf_bytes root = tuf_files_find(&r->d->repo.files, "metadata/1.root.json");

    CHECK_REFUSED(hf_client_provision(&ports, &config, root, hf_buf_bytes(&damaged), &r->d->why),
                  HF_E_POLICY, &r->d->why, "\"CN=Pool Root\"");
    assert_int_equal(device_version(r->d, HF_SLOT_ACTIVE), -1);

    replay_ship(r, &cast.pem);
    replay_append_roots(&damaged, REPLAY_CAS(replay_ca(r, "CN=Sound Root", FAR_S)));
    replay_publish(r, 1, &damaged);
    device_remember(r->d);
    CHECK_REFUSED(
        replay_update(r), HF_E_POLICY, &r->d->why,
        "the anchor \"CN=Pool Root\" does not accept it: certificate 0 "
        "\"CN=device.example\": no usable trust anchor for issuer \"CN=Pool Root\" (the trust "
        "anchor of that name expired on 2021-04-15)");
    assert_true(fake_state_same_bundles(&r->d->before, &r->d->fake.store.state));
    assert_int_equal(replay_connect(r, cast.home), 0);
    hf_buf_free(&damaged);
    free_stage(&cast);
}

static void damaged_on_flash_the_bundle_before_is_used(void **state)
{
    struct replay *r = *state;
    struct cast cast = set_the_stage(r);

    replay_ship(r, &cast.pem);
    replay_publish(r, 1, &cast.pem);
    CHECK_OK(replay_update(r));
    struct hf_bundle_record *active = fake_store_bundle(&r->d->fake.store, HF_SLOT_ACTIVE);
    for (size_t i = 0; i < 3; i++)
        active->pem.data[active->pem.len / 2 + i] ^= 0x01;
    device_off(r->d);
    replay_on(r);
    assert_true(fake_log_has(&r->d->fake, "the active bundle is not usable, the previous one"));
    assert_int_equal(replay_connect(r, cast.home), 0);
    free_stage(&cast);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(damaged_on_the_way_it_is_refused_and_fetched_again),
        REPLAY_TEST(damaged_before_it_was_signed_it_is_refused_for_its_form),
        REPLAY_TEST(damaged_where_it_still_parses_it_is_refused_all_the_same),
        REPLAY_TEST(damaged_on_flash_the_bundle_before_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
