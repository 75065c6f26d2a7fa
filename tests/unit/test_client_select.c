/* client/core/select: which of the signed targets is the bundle for this device. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "tests/support/device.h"

/* A target with content of no interest. */
static void add_target(struct device *d, const char *path, json_t *custom)
{
    tuf_repo_add_target(&d->repo, path, hf_bytes_of_text("no bundle"), custom);
}

static void test_newest_version_is_taken_by_number(void **state)
{
    struct device *d = *state;
    device_publish(d, 10);
    device_publish(d, 9);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.from_version, -1);
    assert_int_equal(d->result.to_version, 10);
}

static void test_other_sets_profiles_and_targets_are_left_alone(void **state)
{
    struct device *d = *state;
    add_target(d, "amazon-iot/rsa/7.pem", device_custom("amazon-iot", "rsa", 7));
    add_target(d, "azure/full/8.pem", device_custom("azure", "full", 8));
    add_target(d, "firmware.bin", NULL);
    add_target(d, "azure/full/9.pem", json_pack("{s:{s:s}}", "holdfast", "set", "azure"));
    add_target(d, "azure/full/10.pem", json_pack("{s:i}", "holdfast", 3));
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 1);
    assert_false(fake_log_has(&d->fake, "is skipped"));
}

static void test_malformed_description_of_ours_is_skipped_with_a_warning(void **state)
{
    struct device *d = *state;
    add_target(d, "amazon-iot/full/7.pem", json_pack("{s:{s:s}}", "holdfast", "set", "amazon-iot"));
    add_target(d, "amazon-iot/full/8.pem", NULL);
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 1);
    assert_true(fake_log_has(&d->fake, "amazon-iot/full/7.pem is skipped"));
    assert_true(fake_log_has(&d->fake, "amazon-iot/full/8.pem is skipped"));
}

static void test_path_and_description_must_agree(void **state)
{
    struct device *d = *state;
    add_target(d, "amazon-iot/full/7.pem", device_custom("amazon-iot", "full", 8));
    add_target(d, "amazon-iot/full/09.pem", device_custom("amazon-iot", "full", 9));
    add_target(d, "amazon-iot/full/new/11.pem", device_custom("amazon-iot", "full", 11));
    add_target(d, "elsewhere/12.pem", device_custom("amazon-iot", "full", 12));
    add_target(d, "amazon-iot/full/13.pem", device_custom("amazon-iot", "rsa", 13));
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 1);
    assert_true(fake_log_has(&d->fake, "elsewhere/12.pem is skipped"));
    assert_true(fake_log_has(&d->fake, "its description belongs to amazon-iot/rsa/13.pem"));
}

static void test_delegated_roles_are_not_looked_at(void **state)
{
    struct device *d = *state;
    struct tuf_delegated_role *role = tuf_repo_delegate(&d->repo, "targets", "rollout",
                                                        "amazon-iot/*", true);
    tuf_targets_add(&role->targets, "amazon-iot/full/99.pem", hf_bytes_of_text("x"),
                    device_custom("amazon-iot", "full", 99));
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 1);
    assert_int_equal(fake_transport_count(&d->fake.transport, "rollout"), 0);
}

static void test_nothing_for_us_names_what_there_is(void **state)
{
    struct device *d = *state;
    add_target(d, "amazon-iot/rsa/1.pem", device_custom("amazon-iot", "rsa", 1));
    add_target(d, "amazon-iot/rsa/2.pem", device_custom("amazon-iot", "rsa", 2));
    add_target(d, "azure/full/1.pem", device_custom("azure", "full", 1));
    device_withdraw(d, 1);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_NOT_FOUND, &d->why,
                  "no bundle of set \"amazon-iot\" and profile \"full\"");
    assert_non_null(strstr(d->why.text, "amazon-iot/rsa"));
    assert_non_null(strstr(d->why.text, "azure/full"));
    assert_true(fake_state_same_bundles(&d->before, &d->fake.store.state));
}

static void test_repository_without_any_bundle(void **state)
{
    struct device *d = *state;
    device_withdraw(d, 1);
    CHECK_REFUSED(device_update(d), HF_E_NOT_FOUND, &d->why, "no bundle at all");
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), -1);
}

/* ---- floors ---------------------------------------------------------------------------------- */

static void test_withdrawn_version_is_not_followed_down(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    device_withdraw(d, 2);
    CHECK_OK(device_update(d));
    assert_false(d->result.is_changed);
    assert_int_equal(d->result.to_version, 2);
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
}

static void test_rejected_version_is_passed_over(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    fake_store_put_value(&d->fake.store, "bundle.rejected", "3 2");
    device_publish(d, 2);
    device_publish(d, 3);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 1);
    device_publish(d, 4);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 4);
    assert_string_equal(fake_store_value(&d->fake.store, "bundle.rejected"), "3 2");
}

static void test_all_forbidden_and_nothing_active(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    fake_store_put_value(&d->fake.store, "bundle.floor", "5");
    d->fake.store.state.has_bundle[HF_SLOT_ACTIVE] = false;
    CHECK_REFUSED(device_update(d), HF_E_ROLLBACK, &d->why, "older than version 5");
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), -1);
}

static void test_damaged_floor_is_not_taken_for_none(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    fake_store_put_value(&d->fake.store, "bundle.floor", "many");
    CHECK_REFUSED(device_update(d), HF_E_STORAGE, &d->why, "bundle.floor");
    fake_store_put_value(&d->fake.store, "bundle.floor", "1");
    fake_store_put_value(&d->fake.store, "bundle.rejected", "2,3");
    CHECK_REFUSED(device_update(d), HF_E_STORAGE, &d->why, "bundle.rejected");
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 1);
}

/* Another set's must not stand in for them, nor its name be replaced. */
static void test_limits_of_an_unknown_set_are_not_taken_for_ours(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    fake_store_put_value(&d->fake.store, "bundle.of", "another/full");
    device_publish(d, 2);
    d->fake.store.refuse_value = "bundle.of";
    CHECK_REFUSED(device_update(d), HF_E_STORAGE, &d->why, "\"bundle.of\" cannot be read");
    CHECK_OK(hf_client_keep_floors(d->client, &d->why));
    d->fake.store.refuse_value = NULL;
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 1);
    assert_string_equal(fake_store_value(&d->fake.store, "bundle.of"), "another/full");
    CHECK_OK(device_update(d));
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
}

/* A stolen targets key must not be able to end the line with a huge number. */
static void test_floor_and_rejections_end_with_the_targets_keys(void **state)
{
    struct device *d = *state;
    device_publish(d, 9007199254740991);
    CHECK_OK(device_update(d));
    fake_store_put_value(&d->fake.store, "bundle.rejected", "2");

    tuf_repo_rotate(&d->repo, HF_ROLE_TARGETS);
    device_publish(d, 2);
    device_withdraw(d, 9007199254740991);
    CHECK_OK(device_update(d));
    assert_true(d->result.is_changed);
    assert_int_equal(d->result.to_version, 2);
    assert_string_equal(fake_store_value(&d->fake.store, "bundle.floor"), "2");
    assert_string_equal(fake_store_value(&d->fake.store, "bundle.rejected"), "");
}

static void test_new_targets_keys_adopt_the_active_version_once(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    tuf_repo_rotate(&d->repo, HF_ROLE_TARGETS);
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    assert_false(d->result.is_changed);
    assert_true(fake_store_has_written(&d->fake.store, "value bundle.keys"));

    device_withdraw(d, 2); /* the floor holds under the new keys too */
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
    assert_false(fake_store_has_written(&d->fake.store, "value bundle.keys"));
}

static void test_same_keys_under_new_labels_keep_the_floor(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    struct tuf_keys *keys = &d->repo.roles[HF_ROLE_TARGETS].keys;
    memset(keys->keys[0].key_id, 'f', 64);
    keys->keys[1] = keys->keys[0]; /* and once more, under a second one */
    memset(keys->keys[1].key_id, 'e', 64);
    keys->n_keys = 2;
    d->repo.roles[HF_ROLE_ROOT].version++;
    tuf_repo_publish_root(&d->repo);
    device_withdraw(d, 2);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
    assert_false(fake_store_has_written(&d->fake.store, "value bundle.keys"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_newest_version_is_taken_by_number),
        TEST(test_other_sets_profiles_and_targets_are_left_alone),
        TEST(test_malformed_description_of_ours_is_skipped_with_a_warning),
        TEST(test_path_and_description_must_agree),
        TEST(test_delegated_roles_are_not_looked_at),
        TEST(test_nothing_for_us_names_what_there_is),
        TEST(test_repository_without_any_bundle),
        TEST(test_withdrawn_version_is_not_followed_down),
        TEST(test_rejected_version_is_passed_over),
        TEST(test_all_forbidden_and_nothing_active),
        TEST(test_damaged_floor_is_not_taken_for_none),
        TEST(test_limits_of_an_unknown_set_are_not_taken_for_ours),
        TEST(test_floor_and_rejections_end_with_the_targets_keys),
        TEST(test_new_targets_keys_adopt_the_active_version_once),
        TEST(test_same_keys_under_new_labels_keep_the_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
