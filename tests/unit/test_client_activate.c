/* client/core/activate: stage, commit, swap, and what remains when one of them fails. */
#include "tests/support/check.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "tests/support/device.h"
#include "tests/support/test_pki.h"

#include <stdio.h>

static struct hf_bytes content_of(struct device *d, size_t item)
{
    return hf_buf_bytes(&d->repo.targets.items[item].content);
}

static void test_update_from_one_version_to_the_next(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    assert_true(d->result.is_changed);
    assert_int_equal(d->result.from_version, -1);
    assert_string_equal(fake_store_value(&d->fake.store, "check.text"),
                        "updated amazon-iot/full none -> 1");
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    assert_true(d->result.is_changed);
    assert_int_equal(d->result.from_version, 1);
    assert_int_equal(d->result.to_version, 2);
    assert_string_equal(fake_store_value(&d->fake.store, "check.text"),
                        "updated amazon-iot/full 1 -> 2");
    CHECK_OK(device_update(d));
    assert_false(d->result.is_changed);
    assert_int_equal(d->result.to_version, 2);
    assert_string_equal(fake_store_value(&d->fake.store, "check.text"),
                        "current amazon-iot/full 2");
    assert_string_equal(fake_store_value(&d->fake.store, "check.outcome"), "ok");
    assert_int_equal(fake_store_count_events(&d->fake.store, "swap"), 2);
}

/* The power goes after staging and before the activation. */
static void cut_after_staging(struct device *d)
{
    d->fake.store.n_writes = 0;
    for (unsigned cut = 1; fake_store_bundle(&d->fake.store, HF_SLOT_STAGED) == NULL; cut++) {
        device_reboot(d);
        d->fake.store.cut_at_write = cut;
        (void)device_update(d);
        fake_store_reboot(&d->fake.store);
    }
    device_reboot(d);
}

static void test_staged_bundle_is_not_fetched_again(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    cut_after_staging(d);
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 1);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
    assert_int_equal(fake_transport_count(&d->fake.transport, "targets/"), 0);
    assert_int_equal(device_version(d, HF_SLOT_STAGED), -1);
}

static void test_staged_bundle_that_rotted_is_fetched_again(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    cut_after_staging(d);
    fake_store_bundle(&d->fake.store, HF_SLOT_STAGED)->pem.data[70] ^= 1;
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, "targets/"), 1);
    assert_true(
        hf_bytes_equal(hf_buf_bytes(&fake_store_bundle(&d->fake.store, HF_SLOT_ACTIVE)->pem),
                       content_of(d, 1)));
}

static void test_staged_bundle_described_anew_is_not_taken_for_it(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    cut_after_staging(d);
    json_t *custom = d->repo.targets.items[1].custom;
    json_object_set_new(json_object_get(custom, "holdfast"), "drops", json_array());
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    const struct hf_bundle_record *active = fake_store_bundle(&d->fake.store, HF_SLOT_ACTIVE);
    assert_int_equal(active->version, 2);
    assert_non_null(strstr((const char *)active->custom.data, "drops"));
}

static void test_staged_bundle_that_was_overtaken_is_replaced(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    cut_after_staging(d);
    device_publish(d, 3);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 3);
    assert_int_equal(device_version(d, HF_SLOT_PREVIOUS), 1);
}

static void test_swap_that_fails_after_the_commit_says_so(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    d->fake.trust.refuse_swap = HF_E_MEMORY;
    CHECK_REFUSED(device_update(d), HF_E_MEMORY, &d->why, "version 2 is committed");
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);

    d->fake.trust.refuse_swap = HF_OK;
    CHECK_OK(device_update(d));
    assert_false(d->result.is_changed);
    assert_int_equal(d->fake.trust.n_swaps, 2);
}

static void test_bundle_activated_by_another_process_is_loaded(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    struct hf_client *first = d->client;
    device_on(d);
    CHECK_OK(device_update(d));
    device_off(d);

    d->client = first; /* whose live store still holds version 1 */
    unsigned n_swaps = d->fake.trust.n_swaps;
    CHECK_OK(device_update(d));
    assert_false(d->result.is_changed);
    assert_int_equal(d->fake.trust.n_swaps, n_swaps + 1);
    CHECK_OK(device_update(d));
    assert_int_equal(d->fake.trust.n_swaps, n_swaps + 1);
}

static void answer_bundle_2(struct device *d, int status, struct hf_bytes body)
{
    char path[HF_TARGET_PATH_MAX + 160];
    tuf_repo_content_path(&d->repo, &d->repo.targets.items[1], path, sizeof path);
    fake_mirror_answer_bytes(&d->fake.transport.mirrors[0], path, status, body);
}

static void test_full_disk_while_staging(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    answer_bundle_2(d, 503, (struct hf_bytes){0});
    CHECK_REFUSED(device_update(d), HF_E_NETWORK, &d->why, "HTTP 503"); /* metadata is kept */
    fake_mirror_reset(&d->fake.transport.mirrors[0]);
    d->fake.store.refuse_writes = HF_E_STORAGE;
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_STORAGE, &d->why, "refuses to write");
    device_check_unchanged_from(d, "root");
    assert_int_equal(d->fake.trust.n_swaps, 1);
    assert_true(fake_log_has(&d->fake, "cannot be written down"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_update_from_one_version_to_the_next),
        TEST(test_staged_bundle_is_not_fetched_again),
        TEST(test_staged_bundle_that_rotted_is_fetched_again),
        TEST(test_staged_bundle_described_anew_is_not_taken_for_it),
        TEST(test_staged_bundle_that_was_overtaken_is_replaced),
        TEST(test_swap_that_fails_after_the_commit_says_so),
        TEST(test_bundle_activated_by_another_process_is_loaded),
        TEST(test_full_disk_while_staging),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
