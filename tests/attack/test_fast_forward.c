/* Fast-forward: who steals a key pushes versions to the end of the line, so that the publisher's
 * own look old for ever. Rotating that key in root is the cure (TUF 5.3.11). */
#include "tests/support/attack.h"

#include "common/base/limits.h"

#define BUNDLE_END "amazon-iot/full/9007199254740991.pem"

static void set_online_versions(struct device *d, int64_t version)
{
    d->repo.roles[HF_ROLE_TIMESTAMP].version = version;
    d->repo.roles[HF_ROLE_SNAPSHOT].version = version;
}

static void fast_forward_of_timestamp_and_snapshot(void **state)
{
    struct device *d = *state;
    set_online_versions(d, HF_JSON_INTEGER_MAX);
    tuf_repo_publish(&d->repo);
    CHECK_OK(device_update(d)); /* genuine signatures: nothing to object to */

    set_online_versions(d, 2);
    device_publish(d, 2);
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_ROLLBACK,
                         "timestamp version 3 is older than version 9007199254740991");

    tuf_repo_rotate(&d->repo, HF_ROLE_TIMESTAMP);
    tuf_repo_rotate(&d->repo, HF_ROLE_SNAPSHOT);
    tuf_repo_publish(&d->repo);
    attack_check_over(d, 2);
}

/* The rotation is taken, and then the way to the server is cut: what was pushed ahead must not be
 * there any more when it comes back, although the key that signed it is still a good one. */
static void fast_forward_recovery_that_is_interrupted(void **state)
{
    struct device *d = *state;
    set_online_versions(d, 1000);
    tuf_repo_publish(&d->repo);
    CHECK_OK(device_update(d));
    set_online_versions(d, 2);
    tuf_repo_rotate(&d->repo, HF_ROLE_SNAPSHOT);
    device_publish(d, 2);
    fake_mirror_answer(&d->fake.transport.mirrors[0], "metadata/timestamp.json", 0, NULL);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_NETWORK, &d->why, ATTACK_URL "metadata/timestamp.json");
    device_check_kept(d, "root");
    assert_true(fake_state_same_bundles(&d->before, &d->fake.store.state));
    device_reboot(d);
    attack_check_over(d, 2);
}

/* With the snapshot key and the timestamp key: a version of targets that will never come. */
static void fast_forward_of_the_targets_that_snapshot_names(void **state)
{
    struct device *d = *state;
    struct attack_change change = {"snapshot",
                                   {"meta", "targets.json", "version"},
                                   json_integer(HF_JSON_INTEGER_MAX)};
    attack_sign(d, &change);
    tuf_repo_publish_next(&d->repo);
    attack_check_refused(d, HF_ROLE_TARGETS, HF_E_NOT_FOUND,
                         ATTACK_URL "metadata/9007199254740991.targets.json");
    attack_sign(d, NULL);
    json_decref(change.value);

    device_publish(d, 2);
    attack_check_refused(d, HF_ROLE_SNAPSHOT, HF_E_ROLLBACK, "was named before (TUF 5.5.5)");
    tuf_repo_rotate(&d->repo, HF_ROLE_SNAPSHOT);
    tuf_repo_publish(&d->repo);
    attack_check_over(d, 2);
}

/* With the targets key too: a bundle version that no other can follow. It belongs to that key. */
static void fast_forward_of_targets_and_bundle(void **state)
{
    struct device *d = *state;
    d->repo.roles[HF_ROLE_TARGETS].version = HF_JSON_INTEGER_MAX - 1;
    device_publish(d, HF_JSON_INTEGER_MAX);
    CHECK_OK(device_update(d));
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), HF_JSON_INTEGER_MAX);

    tuf_repo_remove_target(&d->repo, BUNDLE_END);
    d->repo.roles[HF_ROLE_TARGETS].version = 3;
    device_publish(d, 2);
    attack_check_refused(d, HF_ROLE_SNAPSHOT, HF_E_ROLLBACK, "was named before (TUF 5.5.5)");

    tuf_repo_rotate(&d->repo, HF_ROLE_SNAPSHOT);
    tuf_repo_rotate(&d->repo, HF_ROLE_TARGETS);
    tuf_repo_publish(&d->repo);
    attack_check_over(d, 2);
}

/* Rotation cures for the keys that were rotated only; for all others it is no way back. */
static void fast_forward_is_not_undone_by_rotating_other_keys(void **state)
{
    struct device *d = *state;
    set_online_versions(d, 1000);
    tuf_repo_publish(&d->repo);
    CHECK_OK(device_update(d));
    set_online_versions(d, 2);
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    tuf_repo_rotate(&d->repo, HF_ROLE_TARGETS);
    device_publish(d, 2);
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_ROLLBACK,
                         "timestamp version 3 is older than version 1000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ATTACK_TEST(fast_forward_of_timestamp_and_snapshot),
        ATTACK_TEST(fast_forward_recovery_that_is_interrupted),
        ATTACK_TEST(fast_forward_of_the_targets_that_snapshot_names),
        ATTACK_TEST(fast_forward_of_targets_and_bundle),
        ATTACK_TEST(fast_forward_is_not_undone_by_rotating_other_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
