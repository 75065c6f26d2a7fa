/* client/core/refresh: timestamp, snapshot and targets up to date (TUF 5.4 to 5.6). */
#include "tests/support/check.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "tests/support/device.h"

#include <stdlib.h>
#include <string.h>

#define A "http://a.test/repo/"

static struct fake_mirror *mirror(struct device *d)
{
    return &d->fake.transport.mirrors[0];
}

static struct hf_bytes published(struct device *d, enum hf_top_role role)
{
    char path[128];
    tuf_repo_role_path(&d->repo, role, path);
    return tuf_files_find(&d->repo.files, path);
}

static void check_held(struct device *d, enum hf_top_role role)
{
    const char *name = hf_top_role_name(role);
    if (!hf_bytes_equal(fake_store_metadata(&d->fake.store, name), published(d, role)))
        fail_msg("the device does not hold the published %s", name);
}

/* ---- the plain way --------------------------------------------------------------------------- */

static void test_first_update_keeps_every_role(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    check_held(d, HF_ROLE_ROOT);
    check_held(d, HF_ROLE_TIMESTAMP);
    check_held(d, HF_ROLE_SNAPSHOT);
    check_held(d, HF_ROLE_TARGETS);
}

static void test_nothing_new_asks_twice_and_writes_only_the_check(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    CHECK_OK(device_update(d)); /* after which "current" has taken the place of "updated" */
    d->fake.now_s++;
    CHECK_OK(device_update(d));
    assert_false(d->result.is_changed);
    assert_int_equal(d->fake.transport.n_requests, 2);
    assert_string_equal(d->fake.transport.requests[0], A "metadata/2.root.json");
    assert_string_equal(d->fake.transport.requests[1], A "metadata/timestamp.json");
    assert_int_equal(d->fake.transport.n_not_modified, 1);
    assert_int_equal(d->fake.store.writes.n, 2);
    assert_true(fake_store_has_written(&d->fake.store, "value check.time"));
    assert_true(fake_store_has_written(&d->fake.store, "commit"));
}

/* It rotted. What the device does not know of a timestamp's age is no reason to go without news. */
static void test_an_age_that_cannot_be_read_stops_nothing(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    fake_store_put_value(&d->fake.store, "timestamp.seen", "1795s47023");
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
    assert_true(fake_log_has(&d->fake, "the stored value \"timestamp.seen\" is damaged"));
    check_held(d, HF_ROLE_TIMESTAMP);
}

/* Each has its own entity tag for the same timestamp, so the one of the first is not the
 * other's. */
static void test_nothing_new_from_mirrors_in_turn_writes_only_the_check(void **state)
{
    struct device *d = *state;
    device_add_mirror(d, "http://b.test/repo", NULL)->etag = "of b";
    mirror(d)->etag = "of a";
    device_reboot(d);
    CHECK_OK(device_update(d));
    CHECK_OK(device_update(d));
    for (int i = 0; i < 4; i++) {
        d->fake.now_s++;
        CHECK_OK(device_update(d));
        assert_int_equal(d->fake.transport.n_requests, 2);
        assert_int_equal(d->fake.store.writes.n, 3);
        assert_true(fake_store_has_written(&d->fake.store, "value check.time"));
        assert_true(fake_store_has_written(&d->fake.store, "value mirror.next"));
        assert_true(fake_store_has_written(&d->fake.store, "commit"));
    }
}

static void test_equal_timestamp_without_etag_is_no_news(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    fake_store_put_value(&d->fake.store, "etag.timestamp", "");
    CHECK_OK(device_update(d));
    assert_int_equal(d->fake.transport.n_not_modified, 0);
    assert_false(fake_store_has_written(&d->fake.store, "metadata timestamp"));
    assert_true(fake_store_has_written(&d->fake.store, "value etag.timestamp"));
}

/* With it, the server would say of the next one that there is nothing new. */
static void test_entity_tag_is_not_kept_without_its_timestamp(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    d->fake.store.fails_next_begin = true;
    CHECK_REFUSED(device_update(d), HF_E_BUSY, &d->why, "another process");
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
    check_held(d, HF_ROLE_TIMESTAMP);
}

static void test_server_without_304_causes_no_writes(void **state)
{
    struct device *d = *state;
    mirror(d)->ignores_etags = true;
    CHECK_OK(device_update(d));
    CHECK_OK(device_update(d)); /* the same tag again: from now on it is sent */
    CHECK_OK(device_update(d));
    assert_int_equal(d->fake.transport.n_not_modified, 0);
    assert_false(fake_store_has_written(&d->fake.store, "metadata timestamp"));
    assert_false(fake_store_has_written(&d->fake.store, "value etag.timestamp"));
}

static void test_unchanged_timestamp_finishes_an_interrupted_update(void **state)
{
    struct device *d = *state;
    fake_mirror_answer(mirror(d), "metadata/2.targets.json", 503, NULL);
    for (int i = 0; i < 2; i++)
        CHECK_REFUSED(device_update(d), HF_E_NETWORK, &d->why, A "metadata/2.targets.json");
    fake_mirror_reset(mirror(d));
    CHECK_OK(device_update(d));
    assert_int_equal(d->fake.transport.n_not_modified, 1);
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 1);
}

static void test_repository_without_consistent_snapshots(void **state)
{
    struct device *d = *state;
    d->repo.consistent_snapshot = false;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, A "metadata/snapshot.json"), 1);
    assert_int_equal(fake_transport_count(&d->fake.transport, A "targets/amazon-iot/full/2.pem"),
                     1);
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
}

static void test_cached_file_changed_on_disk_is_not_believed(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    fake_store_put_metadata(&d->fake.store, "snapshot", hf_bytes_of_text("{\"signed\":{}}"));
    fake_store_put_metadata(&d->fake.store, "timestamp", hf_bytes_of_text("nothing"));
    CHECK_OK(device_update(d));
    assert_int_equal(d->fake.transport.n_not_modified, 0);
    check_held(d, HF_ROLE_TIMESTAMP);
    check_held(d, HF_ROLE_SNAPSHOT);
}

/* ---- timestamp, 5.4 -------------------------------------------------------------------------- */

static void test_timestamp_signed_by_too_few(void **state)
{
    struct device *d = *state;
    tuf_keys_make(&d->repo.roles[HF_ROLE_TIMESTAMP].keys, 3, 2);
    d->repo.roles[HF_ROLE_ROOT].version++;
    tuf_repo_publish_root(&d->repo);
    tuf_repo_publish(&d->repo);
    CHECK_OK(device_update(d));

    d->repo.roles[HF_ROLE_TIMESTAMP].keys.n_signers = 1;
    device_publish(d, 2);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_SIGNATURE, &d->why, "timestamp");
    device_check_unchanged_from(d, "root");
}

static void test_older_timestamp(void **state)
{
    struct device *d = *state;
    struct tuf_files old = {0};
    tuf_files_copy(&old, &d->repo.files);
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    tuf_files_copy(&d->repo.files, &old);
    tuf_files_free(&old);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_ROLLBACK, &d->why, "timestamp version 2 is older");
    device_check_unchanged_from(d, "root");
}

static void test_expired_timestamp(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    d->repo.roles[HF_ROLE_TIMESTAMP].expires_s = DEVICE_NOW_S;
    device_publish(d, 2);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_EXPIRED, &d->why, "timestamp version 3 expired");
    device_check_unchanged_from(d, "root");
    assert_null(strstr(d->why.text, "clock may be wrong"));
}

static void test_frozen_repository_expires(void **state)
{
    struct device *d = *state;
    d->repo.roles[HF_ROLE_TIMESTAMP].expires_s = DEVICE_NOW_S + HF_DAY_S;
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    d->fake.now_s += HF_DAY_S;
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_EXPIRED, &d->why, A "metadata/timestamp.json");
    device_check_unchanged_from(d, "root");
}

static void test_expired_timestamp_is_not_asked_about_by_etag(void **state)
{
    struct device *d = *state;
    d->repo.roles[HF_ROLE_TIMESTAMP].expires_s = DEVICE_NOW_S + HF_DAY_S;
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    d->fake.now_s += HF_DAY_S;
    fake_mirror_answer(mirror(d), "metadata/timestamp.json", 304, NULL);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_NETWORK, &d->why, "found HTTP 304");
    device_check_unchanged_from(d, "root");
}

static void test_repository_that_is_not_there(void **state)
{
    struct device *d = *state;
    fake_mirror_answer(mirror(d), "*", 404, NULL);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_NOT_FOUND, &d->why, A "metadata/timestamp.json");
    device_check_unchanged_from(d, "root");
}

/* ---- snapshot, 5.5 --------------------------------------------------------------------------- */

/* Timestamp is genuine and new: it is kept, and nothing after it changes. */
static void check_refused_after_timestamp(struct device *d, enum hf_err wanted, const char *part)
{
    device_remember(d);
    CHECK_REFUSED(device_update(d), wanted, &d->why, part);
    device_check_kept(d, "timestamp");
    device_check_unchanged_from(d, "snapshot");
}

static void test_snapshot_with_another_hash(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    d->repo.has_hashes = true;
    device_publish(d, 2);
    struct hf_buf other = {0};
    struct hf_bytes snapshot = published(d, HF_ROLE_SNAPSHOT);
    CHECK_OK(hf_buf_append(&other, snapshot.data, snapshot.len));
    other.data[0] = ' '; /* the same length */
    fake_mirror_answer_bytes(mirror(d), "metadata/3.snapshot.json", 200, hf_buf_bytes(&other));
    hf_buf_free(&other);
    check_refused_after_timestamp(d, HF_E_HASH, A "metadata/3.snapshot.json");
}

static void test_snapshot_that_does_not_end(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    char *endless = calloc(1, 8192);
    memset(endless, 'x', 8191);
    fake_mirror_answer(mirror(d), "metadata/3.snapshot.json", 200, endless);
    free(endless);
    check_refused_after_timestamp(d, HF_E_LIMIT, A "metadata/3.snapshot.json");
}

static void test_snapshot_of_another_version(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    d->repo.has_lengths = false;
    device_publish(d, 2);
    struct hf_buf other = {0};
    d->repo.roles[HF_ROLE_SNAPSHOT].version = 9;
    tuf_repo_build_snapshot(&d->repo, &other);
    fake_mirror_answer_bytes(mirror(d), "metadata/3.snapshot.json", 200, hf_buf_bytes(&other));
    hf_buf_free(&other);
    check_refused_after_timestamp(d, HF_E_ROLLBACK, "snapshot version 3, found version 9");
}

static void test_snapshot_that_lets_targets_go_back(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    d->repo.roles[HF_ROLE_TARGETS].version = 1;
    d->repo.roles[HF_ROLE_SNAPSHOT].version++;
    d->repo.roles[HF_ROLE_TIMESTAMP].version++;
    tuf_repo_publish(&d->repo);
    check_refused_after_timestamp(d, HF_E_ROLLBACK, "5.5.5");
}

static void test_snapshot_expired(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    d->repo.roles[HF_ROLE_SNAPSHOT].expires_s = DEVICE_NOW_S - 1;
    device_publish(d, 2);
    check_refused_after_timestamp(d, HF_E_EXPIRED, "snapshot version 3 expired");
}

static void test_snapshot_missing(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    fake_mirror_answer(mirror(d), "metadata/3.snapshot.json", 404, NULL);
    check_refused_after_timestamp(d, HF_E_NOT_FOUND, A "metadata/3.snapshot.json");
}

/* ---- targets, 5.6 ---------------------------------------------------------------------------- */

static void check_refused_after_snapshot(struct device *d, enum hf_err wanted, const char *part)
{
    device_remember(d);
    CHECK_REFUSED(device_update(d), wanted, &d->why, part);
    device_check_kept(d, "timestamp");
    device_check_kept(d, "snapshot");
    device_check_unchanged_from(d, "targets");
}

static void test_targets_signed_by_another_key(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    tuf_keys_make(&d->repo.roles[HF_ROLE_TARGETS].keys, 1, 1);
    device_publish(d, 2);
    check_refused_after_snapshot(d, HF_E_SIGNATURE, A "metadata/3.targets.json");
}

static void test_targets_expired(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    d->repo.roles[HF_ROLE_TARGETS].expires_s = DEVICE_NOW_S - 1;
    device_publish(d, 2);
    check_refused_after_snapshot(d, HF_E_EXPIRED, "targets version 3 expired");
}

static void test_targets_of_another_version(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    d->repo.has_lengths = false;
    device_publish(d, 2);
    struct hf_buf other = {0};
    d->repo.roles[HF_ROLE_TARGETS].version = 4;
    tuf_repo_build_targets(&d->repo, &other);
    fake_mirror_answer_bytes(mirror(d), "metadata/3.targets.json", 200, hf_buf_bytes(&other));
    hf_buf_free(&other);
    check_refused_after_snapshot(d, HF_E_ROLLBACK, "version 3 of targets, found version 4");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first_update_keeps_every_role),
        TEST(test_nothing_new_asks_twice_and_writes_only_the_check),
        TEST(test_an_age_that_cannot_be_read_stops_nothing),
        TEST(test_nothing_new_from_mirrors_in_turn_writes_only_the_check),
        TEST(test_equal_timestamp_without_etag_is_no_news),
        TEST(test_entity_tag_is_not_kept_without_its_timestamp),
        TEST(test_server_without_304_causes_no_writes),
        TEST(test_unchanged_timestamp_finishes_an_interrupted_update),
        TEST(test_repository_without_consistent_snapshots),
        TEST(test_cached_file_changed_on_disk_is_not_believed),
        TEST(test_timestamp_signed_by_too_few),
        TEST(test_older_timestamp),
        TEST(test_expired_timestamp),
        TEST(test_frozen_repository_expires),
        TEST(test_expired_timestamp_is_not_asked_about_by_etag),
        TEST(test_repository_that_is_not_there),
        TEST(test_snapshot_with_another_hash),
        TEST(test_snapshot_that_does_not_end),
        TEST(test_snapshot_of_another_version),
        TEST(test_snapshot_that_lets_targets_go_back),
        TEST(test_snapshot_expired),
        TEST(test_snapshot_missing),
        TEST(test_targets_signed_by_another_key),
        TEST(test_targets_expired),
        TEST(test_targets_of_another_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
