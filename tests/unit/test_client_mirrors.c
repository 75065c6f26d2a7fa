/* client/core/mirrors: one repository behind several addresses, of which any may lie or be down. */
#include "tests/support/check.h"

#include "common/base/limits.h"
#include "tests/support/device.h"

#include <stdio.h>

#define A "http://a.test/repo/"
#define B "http://b.test/"

/* The device of test device.h, with a second mirror. */
static int setup(void **state)
{
    device_setup(state);
    struct device *d = *state;
    device_add_mirror(d, "http://b.test//", NULL);
    snprintf(d->fake.transport.mirrors[1].url, sizeof d->fake.transport.mirrors[1].url, "%s",
             "http://b.test"); /* slashes at the end of a configured address are dropped */
    device_reboot(d);
    return 0;
}

static struct fake_mirror *a(struct device *d)
{
    return &d->fake.transport.mirrors[0];
}

static struct fake_mirror *b(struct device *d)
{
    return &d->fake.transport.mirrors[1];
}

static void test_first_mirror_rotates_from_check_to_check(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, B), 0);
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, A), 0);
    device_reboot(d);
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, B), 0);
    device_reboot(d);
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, A), 0);
}

static void test_mirror_that_answered_well_is_asked_on(void **state)
{
    struct device *d = *state;
    fake_mirror_answer(a(d), "*", 0, NULL);
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, A), 1);
    assert_int_equal(fake_transport_count(&d->fake.transport, B), 5);
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 1);
}

static void test_mirror_gone_in_the_middle_of_a_check(void **state)
{
    struct device *d = *state;
    fake_mirror_answer(a(d), "metadata/2.targets.json", 500, NULL);
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, A), 4);
    assert_int_equal(fake_transport_count(&d->fake.transport, B), 2); /* targets and the bundle */
}

static void test_captive_portal_on_one_way(void **state)
{
    struct device *d = *state;
    fake_mirror_answer(a(d), "*", 200, "<html>please log in</html>");
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 1);
}

static void test_forged_metadata_sends_to_the_next_mirror(void **state)
{
    struct device *d = *state;
    static const char *const paths[] = {"metadata/timestamp.json", "metadata/3.snapshot.json",
                                        "metadata/3.targets.json"};
    struct device forger = {0};

    tuf_repo_init(&forger.repo, DEVICE_NOW_S);
    tuf_repo_publish(&forger.repo);
    tuf_repo_publish_next(&forger.repo);
    tuf_repo_publish_next(&forger.repo);
    device_publish(d, 2);
    for (size_t i = 0; i < 3; i++)
        fake_mirror_answer_bytes(a(d), paths[i], 200, tuf_files_find(&forger.repo.files, paths[i]));
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
    assert_true(fake_log_has(&d->fake, A "metadata/timestamp.json"));
    tuf_repo_free(&forger.repo);
}

static void test_stale_mirror_is_left_for_a_fresh_one(void **state)
{
    struct device *d = *state;
    struct tuf_files old = {0};
    tuf_files_copy(&old, &d->repo.files);
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    CHECK_OK(device_update(d)); /* so that the next check begins with the first mirror */

    a(d)->files = &old;
    device_publish(d, 3);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 3);
    tuf_files_free(&old);
}

static void test_frozen_mirror_is_left_when_its_timestamp_expires(void **state)
{
    struct device *d = *state;
    struct tuf_files frozen = {0};
    d->repo.roles[HF_ROLE_TIMESTAMP].expires_s = DEVICE_NOW_S + 100;
    tuf_repo_publish_next(&d->repo);
    tuf_files_copy(&frozen, &d->repo.files);
    CHECK_OK(device_update(d));
    CHECK_OK(device_update(d));

    a(d)->files = &frozen;
    d->fake.now_s += 100;
    d->repo.roles[HF_ROLE_TIMESTAMP].expires_s = DEVICE_NOW_S + 1000;
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
    tuf_files_free(&frozen);
}

static void test_bundle_damaged_at_one_mirror(void **state)
{
    struct device *d = *state;
    char path[HF_TARGET_PATH_MAX + 160];
    tuf_repo_content_path(&d->repo, &d->repo.targets.items[0], path, sizeof path);
    struct hf_buf damaged = {0};
    CHECK_OK(hf_buf_append(&damaged, d->repo.targets.items[0].content.data,
                           d->repo.targets.items[0].content.len));
    damaged.data[60] ^= 1;
    fake_mirror_answer_bytes(a(d), path, 200, hf_buf_bytes(&damaged));
    hf_buf_free(&damaged);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 1);
    assert_int_equal(fake_transport_count(&d->fake.transport, path), 2);
}

static void test_missing_file_is_looked_for_at_the_next_mirror(void **state)
{
    struct device *d = *state;
    struct tuf_files nothing = {0};
    a(d)->files = &nothing;
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 1);
}

static void test_most_telling_refusal_is_reported_with_its_address(void **state)
{
    struct device *d = *state;
    struct tuf_repo forger;
    tuf_repo_init(&forger, DEVICE_NOW_S);
    tuf_repo_publish(&forger);
    fake_mirror_answer_bytes(a(d), "metadata/timestamp.json", 200,
                             tuf_files_find(&forger.files, "metadata/timestamp.json"));
    fake_mirror_answer(b(d), "metadata/timestamp.json", 0, NULL);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_SIGNATURE, &d->why, A "metadata/timestamp.json: ");
    device_check_unchanged_from(d, "root");
    CHECK_REFUSED(device_update(d), HF_E_SIGNATURE, &d->why, A "metadata/timestamp.json: ");
    tuf_repo_free(&forger);
}

static void test_all_down_reports_the_last(void **state)
{
    struct device *d = *state;
    fake_mirror_answer(a(d), "*", 0, NULL);
    fake_mirror_answer(b(d), "*", 0, NULL);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_NETWORK, &d->why, B "metadata/2.root.json: ");
    device_check_unchanged_from(d, "root");
    assert_int_equal(d->fake.transport.n_requests, 2);
}

static void test_fault_of_the_device_is_not_retried_elsewhere(void **state)
{
    struct device *d = *state;
    d->fake.store.refuse_writes = HF_E_STORAGE;
    CHECK_REFUSED(device_update(d), HF_E_STORAGE, &d->why, "refuses to write");
    assert_int_equal(fake_transport_count(&d->fake.transport, B), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first_mirror_rotates_from_check_to_check),
        TEST(test_mirror_that_answered_well_is_asked_on),
        TEST(test_mirror_gone_in_the_middle_of_a_check),
        TEST(test_captive_portal_on_one_way),
        TEST(test_forged_metadata_sends_to_the_next_mirror),
        TEST(test_stale_mirror_is_left_for_a_fresh_one),
        TEST(test_frozen_mirror_is_left_when_its_timestamp_expires),
        TEST(test_bundle_damaged_at_one_mirror),
        TEST(test_missing_file_is_looked_for_at_the_next_mirror),
        TEST(test_most_telling_refusal_is_reported_with_its_address),
        TEST(test_all_down_reports_the_last),
        TEST(test_fault_of_the_device_is_not_retried_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
