/*
 * RAUC and home automation images: the certificate that signed updates expired, and with it every
 * update was blocked, the one with the next certificate first of all.
 */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "tests/support/replay.h"

/* The root metadata names the keys that sign; a year later it has expired. */
static struct replay_ca *set_the_stage(struct replay *r)
{
    struct replay_ca *root = replay_ca(r, "CN=Root", DEVICE_NOW_S + 8 * REPLAY_YEAR_S);

    replay_serve(r, &r->update, root, DEVICE_NOW_S - 30 * HF_DAY_S);
    replay_ship_roots(r, REPLAY_CAS(root));
    replay_publish_roots(r, 1, REPLAY_CAS(root));
    CHECK_OK(replay_update(r));
    replay_pass(r, 400 * HF_DAY_S);
    replay_publish_roots(r, 2, REPLAY_CAS(root)); /* everything is new but root */
    return root;
}

static void an_expired_root_metadata_is_cured_by_the_next(void **state)
{
    struct replay *r = *state;
    (void)set_the_stage(r);
    struct tuf_role *root = &r->d->repo.roles[HF_ROLE_ROOT];

    device_remember(r->d);
    CHECK_REFUSED(replay_update(r), HF_E_EXPIRED, &r->d->why,
                  "publishing the next root metadata, 2.root.json, signed with the root keys of "
                  "version 1, cures this");
    device_check_unchanged_from(r->d, "root");

    root->version++; /* by the same keys: they do not expire */
    root->expires_s = r->d->fake.now_s + REPLAY_YEAR_S;
    tuf_repo_publish_root(&r->d->repo);
    CHECK_OK(replay_update(r));
    assert_int_equal(r->d->result.to_version, 2);
    assert_int_equal(r->n_waived, 0);
}

/* The publisher took the opportunity to replace the keys that sign bundles. */
static void and_by_one_with_other_signing_keys(void **state)
{
    struct replay *r = *state;
    struct replay_ca *root = set_the_stage(r);

    r->d->repo.roles[HF_ROLE_ROOT].expires_s = r->d->fake.now_s + REPLAY_YEAR_S;
    tuf_repo_rotate(&r->d->repo, HF_ROLE_TARGETS);
    replay_publish_roots(r, 3, REPLAY_CAS(root));
    CHECK_OK(replay_update(r));
    assert_int_equal(r->d->result.to_version, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(an_expired_root_metadata_is_cured_by_the_next),
        REPLAY_TEST(and_by_one_with_other_signing_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
