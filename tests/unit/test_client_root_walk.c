/* client/core/refresh: from the held root to the newest, and what key rotation resets (TUF 5.3). */
#include "tests/support/check.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "tests/support/device.h"

#include <stdlib.h>
#include <string.h>

#define YEAR_S (365 * HF_DAY_S)
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

/* ---- root, 5.3 ------------------------------------------------------------------------------- */

static void test_every_root_is_walked_and_kept(void **state)
{
    struct device *d = *state;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    tuf_repo_rotate(&d->repo, HF_ROLE_TARGETS);
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    check_held(d, HF_ROLE_ROOT);
    assert_int_equal(fake_transport_count(&d->fake.transport, "root.json"), 4);
    assert_int_equal(fake_store_count_events(&d->fake.store, "root"), 3);
}

static void test_root_that_expired_on_the_way_is_walked_over(void **state)
{
    struct device *d = *state;
    d->repo.roles[HF_ROLE_ROOT].expires_s = DEVICE_NOW_S - YEAR_S;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    d->repo.roles[HF_ROLE_ROOT].expires_s = DEVICE_NOW_S + YEAR_S;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    CHECK_OK(device_update(d));
    check_held(d, HF_ROLE_ROOT);
}

static void write_expiry_oddly(void *ctx, const char *role, json_t *signed_part)
{
    (void)ctx;
    if (strcmp(role, "root") == 0)
        json_object_set_new(signed_part, "expires", json_string("31.12.2029"));
}

static void test_root_with_an_odd_expiry_is_walked_over(void **state)
{
    struct device *d = *state;
    d->repo.before_signing = write_expiry_oddly;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_EXPIRED, &d->why, "root version 2 expired at 1970-01-01");
    device_check_kept(d, "root");
    device_check_unchanged_from(d, "timestamp");

    d->repo.before_signing = NULL;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    CHECK_OK(device_update(d));
    check_held(d, HF_ROLE_ROOT);
}

static void test_fifteen_rotations_in_one_run(void **state)
{
    struct device *d = *state;
    for (int i = 0; i < 15; i++)
        tuf_repo_rotate(&d->repo, (enum hf_top_role)(i % HF_TOP_ROLES));
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    check_held(d, HF_ROLE_ROOT);
    assert_int_equal(d->result.to_version, 1);
}

static void test_newest_root_expired(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    d->repo.roles[HF_ROLE_ROOT].expires_s = DEVICE_NOW_S;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    device_publish(d, 2);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_EXPIRED, &d->why, "5.3.10");
    device_check_kept(d, "root"); /* genuine; the next one cures it */
    device_check_unchanged_from(d, "timestamp");

    d->repo.roles[HF_ROLE_ROOT].expires_s = DEVICE_NOW_S + YEAR_S;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
}

static void test_walk_ends_on_403_404_and_410_only(void **state)
{
    struct device *d = *state;
    static const int ends[] = {403, 404, 410};
    static const int goes_on[] = {204, 301, 401, 429, 500, 503};

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        fake_mirror_answer(mirror(d), "metadata/2.root.json", ends[i], NULL);
        CHECK_OK(device_update(d));
        fake_mirror_reset(mirror(d));
    }
    device_publish(d, 2);
    device_remember(d);
    for (size_t i = 0; i < sizeof goes_on / sizeof goes_on[0]; i++) {
        fake_mirror_answer(mirror(d), "metadata/2.root.json", goes_on[i], NULL);
        CHECK_REFUSED(device_update(d), HF_E_NETWORK, &d->why, A "metadata/2.root.json");
        device_check_unchanged_from(d, "root");
        fake_mirror_reset(mirror(d));
    }
}

static void test_captive_portal(void **state)
{
    struct device *d = *state;
    fake_mirror_answer(mirror(d), "*", 200, "<html>Welcome to our hotel</html>");
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_FORMAT, &d->why, A "metadata/2.root.json");
    device_check_unchanged_from(d, "root");
}

static void test_root_not_signed_by_the_keys_before(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    d->repo.roles[HF_ROLE_ROOT].version = 2;
    tuf_keys_make(&d->repo.roles[HF_ROLE_ROOT].keys, 1, 1);
    tuf_repo_publish_root(&d->repo);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_SIGNATURE, &d->why, "root version 2");
    device_check_unchanged_from(d, "root");
}

static void test_root_that_skips_a_version(void **state)
{
    struct device *d = *state;
    struct hf_buf root = {0};
    d->repo.roles[HF_ROLE_ROOT].version = 3;
    tuf_repo_build_root(&d->repo, &root);
    fake_mirror_answer_bytes(mirror(d), "metadata/2.root.json", 200, hf_buf_bytes(&root));
    hf_buf_free(&root);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_ROLLBACK, &d->why, "expected root version 2");
    device_check_unchanged_from(d, "root");
}

static void test_roots_before_the_refused_one_are_kept(void **state)
{
    struct device *d = *state;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    struct hf_bytes second = published(d, HF_ROLE_ROOT);
    fake_mirror_answer(mirror(d), "metadata/3.root.json", 200, "{}");
    CHECK_REFUSED(device_update(d), HF_E_FORMAT, &d->why, "3.root.json");
    assert_true(hf_bytes_equal(fake_store_metadata(&d->fake.store, "root"), second));
}

static void test_walk_is_bounded(void **state)
{
    struct device *d = *state;
    for (int i = 0; i < HF_ROOT_ROTATIONS_MAX + 2; i++)
        tuf_repo_rotate(&d->repo, HF_ROLE_SNAPSHOT);
    CHECK_REFUSED(device_update(d), HF_E_SIGNATURE, &d->why, "snapshot");
    assert_int_equal(fake_transport_count(&d->fake.transport, "root.json"), HF_ROOT_ROTATIONS_MAX);
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d)); /* the rest of the way */
    check_held(d, HF_ROLE_ROOT);
}

static void test_held_root_damaged_on_disk(void **state)
{
    struct device *d = *state;
    fake_store_put_metadata(&d->fake.store, "root", hf_bytes_of_text("{"));
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_FORMAT, &d->why, "the root metadata held by this device");
    device_check_unchanged_from(d, "root");
    assert_int_equal(d->fake.transport.n_requests, 0);
}

/* ---- rotation and fast-forward, 5.3.11 ------------------------------------------------------- */

static void fast_forward(struct device *d)
{
    d->repo.roles[HF_ROLE_TIMESTAMP].version = 1000;
    d->repo.roles[HF_ROLE_SNAPSHOT].version = 1000;
    tuf_repo_publish(&d->repo);
    CHECK_OK(device_update(d));
    d->repo.roles[HF_ROLE_TIMESTAMP].version = 3;
    d->repo.roles[HF_ROLE_SNAPSHOT].version = 3;
}

static void test_rotated_timestamp_keys_let_versions_fall(void **state)
{
    struct device *d = *state;
    fast_forward(d);
    tuf_repo_rotate(&d->repo, HF_ROLE_TIMESTAMP);
    tuf_repo_publish(&d->repo);
    CHECK_OK(device_update(d));
    assert_true(fake_store_has_written(&d->fake.store, "remove timestamp"));
    assert_true(fake_store_has_written(&d->fake.store, "remove snapshot"));
    check_held(d, HF_ROLE_TIMESTAMP);
    check_held(d, HF_ROLE_SNAPSHOT);
}

static void test_rotated_snapshot_keys_let_versions_fall(void **state)
{
    struct device *d = *state;
    fast_forward(d);
    tuf_repo_rotate(&d->repo, HF_ROLE_SNAPSHOT);
    tuf_repo_publish(&d->repo);
    CHECK_OK(device_update(d));
    check_held(d, HF_ROLE_TIMESTAMP);
    check_held(d, HF_ROLE_SNAPSHOT);
}

static void test_other_rotations_let_nothing_fall(void **state)
{
    struct device *d = *state;
    fast_forward(d);
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    tuf_repo_rotate(&d->repo, HF_ROLE_TARGETS);
    tuf_repo_publish_next(&d->repo);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_ROLLBACK, &d->why, "older than version 1000");
    device_check_unchanged_from(d, "timestamp");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_root_is_walked_and_kept),
        TEST(test_root_that_expired_on_the_way_is_walked_over),
        TEST(test_root_with_an_odd_expiry_is_walked_over),
        TEST(test_fifteen_rotations_in_one_run),
        TEST(test_newest_root_expired),
        TEST(test_walk_ends_on_403_404_and_410_only),
        TEST(test_captive_portal),
        TEST(test_root_not_signed_by_the_keys_before),
        TEST(test_root_that_skips_a_version),
        TEST(test_roots_before_the_refused_one_are_kept),
        TEST(test_walk_is_bounded),
        TEST(test_held_root_damaged_on_disk),
        TEST(test_rotated_timestamp_keys_let_versions_fall),
        TEST(test_rotated_snapshot_keys_let_versions_fall),
        TEST(test_other_rotations_let_nothing_fall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
