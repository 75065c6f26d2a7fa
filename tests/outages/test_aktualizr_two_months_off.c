/*
 * A device that was off for two months (aktualizr): the metadata that it had stored was expired by
 * then, was checked first, and blocked the update that would have replaced it.
 */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "tests/support/replay.h"

/* As a publisher would who signs every day. */
static void sign_for_days(struct replay *r, int64_t timestamp, int64_t snapshot, int64_t targets)
{
    struct tuf_role *roles = r->d->repo.roles;

    roles[HF_ROLE_TIMESTAMP].expires_s = r->d->fake.now_s + timestamp * HF_DAY_S;
    roles[HF_ROLE_SNAPSHOT].expires_s = r->d->fake.now_s + snapshot * HF_DAY_S;
    roles[HF_ROLE_TARGETS].expires_s = r->d->fake.now_s + targets * HF_DAY_S;
    tuf_repo_publish_next(&r->d->repo);
}

static struct replay_ca *set_the_stage(struct replay *r)
{
    struct replay_ca *root = replay_ca(r, "CN=Root", DEVICE_NOW_S + 8 * REPLAY_YEAR_S);

    replay_serve(r, &r->update, root, DEVICE_NOW_S - 30 * HF_DAY_S);
    replay_ship_roots(r, REPLAY_CAS(root));
    replay_publish_roots(r, 1, REPLAY_CAS(root));
    sign_for_days(r, 2, 7, 30);
    CHECK_OK(replay_update(r));
    assert_int_equal(r->d->result.to_version, 1);
    device_off(r->d);
    r->d->fake.now_s += 61 * HF_DAY_S; /* everything but root has expired */
    replay_reboot(r);
    return root;
}

static void what_it_stored_does_not_stand_in_the_way(void **state)
{
    struct replay *r = *state;
    struct replay_ca *root = set_the_stage(r);

    replay_publish_roots(r, 2, REPLAY_CAS(root));
    CHECK_OK(replay_update(r));
    assert_int_equal(r->d->result.to_version, 2);
    assert_int_equal(r->n_waived, 0);
}

/* The publisher was away as well: nothing is taken that has expired, and nothing is broken by
 * that. */
static void an_expired_repository_is_refused_and_cured_by_signing(void **state)
{
    struct replay *r = *state;
    (void)set_the_stage(r);

    device_remember(r->d);
    CHECK_REFUSED(replay_update(r), HF_E_EXPIRED, &r->d->why, "timestamp");
    device_check_unchanged_from(r->d, "root");
    sign_for_days(r, 2, 7, 30);
    CHECK_OK(replay_update(r));
    assert_int_equal(r->d->result.to_version, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(what_it_stored_does_not_stand_in_the_way),
        REPLAY_TEST(an_expired_repository_is_refused_and_cured_by_signing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
