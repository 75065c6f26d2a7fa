/* Rollback: nothing that this device has once trusted is replaced by something older (TUF 5.3.5,
 * 5.4.3, 5.5.5, 5.6.4), be it an old file replayed or a new one that names old ones. */
#include "tests/support/attack.h"

#include <string.h>

/* A copy of the file of `role` as it is published now. */
static struct hf_buf keep_file(struct device *d, enum hf_top_role role)
{
    char path[128];
    struct hf_buf copy = {0};
    tuf_repo_role_path(&d->repo, role, path);
    struct hf_bytes file = tuf_files_find(&d->repo.files, path);
    CHECK_OK(hf_buf_append(&copy, file.data, file.len));
    return copy;
}

static void replay(struct device *d, enum hf_top_role role, struct hf_buf *old)
{
    attack_answer(d, role, hf_buf_bytes(old));
    hf_buf_free(old);
}

static void publish_next_root(struct device *d)
{
    d->repo.roles[HF_ROLE_ROOT].version++;
    tuf_repo_publish_root(&d->repo);
}

/* ---- root ------------------------------------------------------------------------------------ */

static void rollback_of_root(void **state)
{
    struct device *d = *state;
    struct hf_buf first = keep_file(d, HF_ROLE_ROOT);
    publish_next_root(d);
    CHECK_OK(device_update(d));
    struct hf_buf second = keep_file(d, HF_ROLE_ROOT);
    publish_next_root(d);
    device_publish(d, 2);

    replay(d, HF_ROLE_ROOT, &first);
    attack_check_refused(d, HF_ROLE_ROOT, HF_E_ROLLBACK, "root version 3, found version 1");
    fake_mirror_reset(&d->fake.transport.mirrors[0]);
    replay(d, HF_ROLE_ROOT, &second);
    attack_check_refused(d, HF_ROLE_ROOT, HF_E_ROLLBACK, "root version 3, found version 2");
    attack_check_over(d, 2);
}

/* ---- timestamp ------------------------------------------------------------------------------- */

static void rollback_of_timestamp(void **state)
{
    struct device *d = *state;
    struct hf_buf old = keep_file(d, HF_ROLE_TIMESTAMP);
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    device_publish(d, 3);
    replay(d, HF_ROLE_TIMESTAMP, &old);
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_ROLLBACK,
                         "timestamp version 2 is older than version 3");
    attack_check_over(d, 3);
}

static void rollback_of_the_snapshot_that_timestamp_names(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    d->repo.roles[HF_ROLE_TIMESTAMP].version++;
    d->repo.roles[HF_ROLE_SNAPSHOT].version--;
    tuf_repo_publish(&d->repo);
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_ROLLBACK,
                         "names snapshot version 2, version 3 was named before (TUF 5.4.3)");
}

/* Who holds the timestamp key signs another file under the version that is trusted: no news. */
static void rollback_behind_the_same_timestamp_version(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    struct hf_buf held = keep_file(d, HF_ROLE_TIMESTAMP);
    d->repo.roles[HF_ROLE_SNAPSHOT].version--;
    tuf_repo_publish(&d->repo);
    attack_check_without_effect(d);
    assert_true(
        hf_bytes_equal(fake_store_metadata(&d->fake.store, "timestamp"), hf_buf_bytes(&held)));
    hf_buf_free(&held);
}

/* ---- snapshot -------------------------------------------------------------------------------- */

static void rollback_of_snapshot(void **state)
{
    struct device *d = *state;
    struct hf_buf old = keep_file(d, HF_ROLE_SNAPSHOT);
    d->repo.has_lengths = false; /* so that its version is all that betrays it */
    device_publish(d, 2);
    replay(d, HF_ROLE_SNAPSHOT, &old);
    attack_check_refused(d, HF_ROLE_SNAPSHOT, HF_E_ROLLBACK,
                         "snapshot version 3, found version 2 (TUF 5.5.4)");
    attack_check_over(d, 2);
}

static void rollback_of_the_targets_that_snapshot_names(void **state)
{
    struct device *d = *state;
    d->repo.roles[HF_ROLE_TARGETS].version--;
    d->repo.roles[HF_ROLE_SNAPSHOT].version++;
    d->repo.roles[HF_ROLE_TIMESTAMP].version++;
    tuf_repo_publish(&d->repo);
    attack_check_refused(d, HF_ROLE_SNAPSHOT, HF_E_ROLLBACK,
                         "version 1 of targets.json, version 2 was named before (TUF 5.5.5)");
}

/* What is no longer listed cannot be checked any more, so leaving it out is a rollback too. */
static void rollback_by_leaving_targets_out_of_snapshot(void **state)
{
    struct device *d = *state;
    struct attack_change change = {"snapshot", {"meta"}, json_object()};
    attack_sign(d, &change);
    device_publish(d, 2);
    attack_check_refused(d, HF_ROLE_SNAPSHOT, HF_E_ROLLBACK, "no longer lists targets.json");
    json_decref(change.value);
}

/* ---- targets --------------------------------------------------------------------------------- */

static void rollback_of_targets(void **state)
{
    struct device *d = *state;
    struct hf_buf old = keep_file(d, HF_ROLE_TARGETS);
    d->repo.has_lengths = false;
    device_publish(d, 2);
    replay(d, HF_ROLE_TARGETS, &old);
    attack_check_refused(d, HF_ROLE_TARGETS, HF_E_ROLLBACK,
                         "version 3 of targets, found version 2 (TUF 5.6.4)");
    attack_check_over(d, 2);
}

/* ---- bundles --------------------------------------------------------------------------------- */

/* Even signed by the publisher: to go back, the old content is published as a higher version. */
static void rollback_of_the_bundle(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    device_withdraw(d, 2);
    attack_check_without_effect(d);
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
}

static void rollback_to_other_content_of_the_active_version(void **state)
{
    struct device *d = *state;
    device_publish(d, 1);
    attack_check_refused(d, ATTACK_BUNDLE, HF_E_ROLLBACK, "under a higher version");
    assert_int_equal(fake_transport_count(&d->fake.transport, "/targets/"), 0);
}

/* A device whose bundles were lost must not start again from the beginning. */
static void rollback_of_a_device_that_lost_its_bundles(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    d->fake.store.state.bundles[HF_SLOT_ACTIVE].pem.data[0] ^= 1;
    device_withdraw(d, 2);
    attack_check_refused(d, ATTACK_BUNDLE, HF_E_ROLLBACK, "older than version 2");
    assert_int_equal(fake_transport_count(&d->fake.transport, "/targets/"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ATTACK_TEST(rollback_of_root),
        ATTACK_TEST(rollback_of_timestamp),
        ATTACK_TEST(rollback_of_the_snapshot_that_timestamp_names),
        ATTACK_TEST(rollback_behind_the_same_timestamp_version),
        ATTACK_TEST(rollback_of_snapshot),
        ATTACK_TEST(rollback_of_the_targets_that_snapshot_names),
        ATTACK_TEST(rollback_by_leaving_targets_out_of_snapshot),
        ATTACK_TEST(rollback_of_targets),
        ATTACK_TEST(rollback_of_the_bundle),
        ATTACK_TEST(rollback_to_other_content_of_the_active_version),
        ATTACK_TEST(rollback_of_a_device_that_lost_its_bundles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
