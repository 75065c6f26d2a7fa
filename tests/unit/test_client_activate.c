/* client/core/activate: stage, commit, swap, and what remains when one of them fails. */
#include "tests/support/check.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "tests/support/device.h"
#include "tests/support/test_pki.h"

#include <stdio.h>

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

static void test_a_cut_leaves_nothing_staged(void **state)
{
    struct device *d = *state;
    bool is_finished = false;

    CHECK_OK(device_update(d));
    device_publish(d, 2);
    for (unsigned cut = 1; !is_finished; cut++) {
        d->fake.store.n_writes = 0;
        d->fake.store.cut_at_write = cut;
        (void)device_update(d);
        is_finished = !d->fake.store.is_power_off;
        device_reboot(d);
        assert_int_equal(device_version(d, HF_SLOT_STAGED), -1);
    }
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
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
        TEST(test_a_cut_leaves_nothing_staged),
        TEST(test_swap_that_fails_after_the_commit_says_so),
        TEST(test_bundle_activated_by_another_process_is_loaded),
        TEST(test_full_disk_while_staging),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
