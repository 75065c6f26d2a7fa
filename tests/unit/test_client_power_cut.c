/* The power goes at any write: what is there afterwards is the old store or the new one, whole, and
 * the next update goes on. */
#include "tests/support/check.h"

#include "tests/support/device.h"

/* Update until the power goes before write `cut`; true if it did not come to that. */
static bool update_until_cut(struct device *d, unsigned cut)
{
    d->fake.store.n_writes = 0;
    d->fake.store.cut_at_write = cut;
    enum hf_err err = device_update(d);
    bool is_finished = !d->fake.store.is_power_off;
    if (is_finished)
        CHECK_OK(err);
    return is_finished;
}

/* What is in the slot, as published, is what new handshakes are verified against. */
static void check_whole(struct device *d, int64_t version, size_t n_anchors)
{
    const struct hf_bundle_record *active = fake_store_bundle(&d->fake.store, HF_SLOT_ACTIVE);
    const struct tuf_target *published = &d->repo.targets.items[version - 1];
    assert_non_null(active);
    assert_int_equal(active->version, version);
    assert_true(hf_bytes_equal(hf_buf_bytes(&active->pem), hf_buf_bytes(&published->content)));
    assert_int_equal(d->fake.trust.n_anchors, n_anchors);
}

static void add_version_of_two_anchors(struct device *d)
{
    struct hf_buf pem = {0};
    device_make_anchor("Root 2a", &pem);
    device_make_anchor("Root 2b", &pem);
    device_add_bundle(d, 2, &pem);
    hf_buf_free(&pem);
    tuf_repo_publish_next(&d->repo);
}

/* From version 1 to 2, with new root, timestamp and targets keys on the way. */
static bool cut_an_update(struct device *d, unsigned cut)
{
    CHECK_OK(device_update(d));
    tuf_repo_rotate(&d->repo, HF_ROLE_TIMESTAMP);
    tuf_repo_rotate(&d->repo, HF_ROLE_TARGETS);
    add_version_of_two_anchors(d);

    bool is_finished = update_until_cut(d, cut);
    device_reboot(d);
    if (device_version(d, HF_SLOT_ACTIVE) == 1)
        check_whole(d, 1, 1);
    else
        check_whole(d, 2, 2);

    CHECK_OK(device_update(d));
    check_whole(d, 2, 2);
    assert_int_equal(device_version(d, HF_SLOT_PREVIOUS), 1);
    assert_string_equal(fake_store_value(&d->fake.store, "bundle.floor"), "2");
    CHECK_OK(device_update(d));
    assert_false(d->result.is_changed);
    return is_finished;
}

/* The disk is full at one write, and the same process goes on: old or new, the live store with
 * it. */
static bool fail_an_update(struct device *d, unsigned write)
{
    CHECK_OK(device_update(d));
    tuf_repo_rotate(&d->repo, HF_ROLE_TIMESTAMP);
    add_version_of_two_anchors(d);

    d->fake.store.n_writes = 0;
    d->fake.store.fail_at_write = write;
    enum hf_err err = device_update(d);
    bool is_finished = d->fake.store.n_writes < write;
    if (device_version(d, HF_SLOT_ACTIVE) == 1) {
        assert_int_equal(err, HF_E_STORAGE);
        check_whole(d, 1, 1);
    } else {
        CHECK_OK(err);
        check_whole(d, 2, 2);
    }
    d->fake.store.fail_at_write = 0;
    CHECK_OK(device_update(d));
    check_whole(d, 2, 2);
    assert_string_equal(fake_store_value(&d->fake.store, "check.outcome"), "ok");
    return is_finished;
}

static bool cut_a_first_update(struct device *d, unsigned cut)
{
    bool is_finished = update_until_cut(d, cut);
    device_reboot(d);
    if (device_version(d, HF_SLOT_ACTIVE) == 1)
        check_whole(d, 1, 1);
    else
        assert_int_equal(d->fake.trust.n_swaps, 0);
    CHECK_OK(device_update(d));
    check_whole(d, 1, 1);
    return is_finished;
}

/* Nothing or everything, and in the first case it can be done again. */
static bool cut_a_provisioning(struct device *d, unsigned cut)
{
    struct hf_ports ports = fake_ports_of(&d->fake);
    struct hf_client_config config = device_config(d);
    struct hf_bytes root = tuf_files_find(&d->repo.files, "metadata/1.root.json");
    struct hf_bytes pem = hf_buf_bytes(&d->repo.targets.items[0].content);

    device_off(d);
    fake_store_free(&d->fake.store);
    d->fake.store = (struct fake_store){.cut_at_write = cut};
    enum hf_err err = hf_client_provision(&ports, &config, root, pem, &d->why);
    bool is_finished = !d->fake.store.is_power_off;
    fake_store_reboot(&d->fake.store);
    if (is_finished) {
        CHECK_OK(err);
    } else {
        assert_int_equal(device_version(d, HF_SLOT_ACTIVE), -1);
        CHECK_OK(hf_client_provision(&ports, &config, root, pem, &d->why));
    }
    device_on(d);
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 0);
    assert_int_equal(d->fake.trust.n_anchors, 1);
    return is_finished;
}

/* Each cut on a device of its own, from the first write until there is nothing left to cut.
 * Returns how many cuts there were. */
static unsigned cut_everywhere(bool (*run)(struct device *d, unsigned cut))
{
    bool is_finished = false;
    unsigned cut = 0;
    while (!is_finished) {
        void *state = NULL;
        device_setup(&state);
        is_finished = run(state, ++cut);
        device_teardown(&state);
    }
    return cut - 1;
}

static void test_cut_at_any_write_of_an_update(void **state)
{
    (void)state;
    /* roots, their removals and journal lines, metadata, staging, activation, the check */
    assert_true(cut_everywhere(cut_an_update) > 20);
}

static void test_disk_full_at_any_write_of_an_update(void **state)
{
    (void)state;
    assert_true(cut_everywhere(fail_an_update) > 12);
}

static void test_cut_at_any_write_of_the_first_update(void **state)
{
    (void)state;
    assert_true(cut_everywhere(cut_a_first_update) > 10);
}

static void test_cut_at_any_write_of_provisioning(void **state)
{
    (void)state;
    assert_true(cut_everywhere(cut_a_provisioning) > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_at_any_write_of_an_update),
        cmocka_unit_test(test_disk_full_at_any_write_of_an_update),
        cmocka_unit_test(test_cut_at_any_write_of_the_first_update),
        cmocka_unit_test(test_cut_at_any_write_of_provisioning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
