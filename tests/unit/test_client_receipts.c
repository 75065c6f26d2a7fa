/* client/core/refresh: an unchanged check verifies nothing again, and what lies in the store is
 * believed for that reason only while it is what was verified. */
#include "tests/support/check.h"

#include "tests/support/counting_verify.h"
#include "tests/support/device.h"

#include <stdlib.h>

#define VALUE "metadata.verified"

static enum hf_err update_counted(struct device *d)
{
    counting_verify_begin();
    return device_update(d);
}

static struct hf_bytes published(struct device *d, enum hf_top_role role)
{
    char path[128];
    tuf_repo_role_path(&d->repo, role, path);
    return tuf_files_find(&d->repo.files, path);
}

static void check_held(struct device *d)
{
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        enum hf_top_role role = (enum hf_top_role)i;
        struct hf_bytes held = fake_store_metadata(&d->fake.store, hf_top_role_name(role));
        if (!hf_bytes_equal(held, published(d, role)))
            fail_msg("the device does not hold the published %s", hf_top_role_name(role));
    }
}

/* ---- what they spare ------------------------------------------------------------------------- */

static void an_unchanged_check_verifies_no_signature(void **state)
{
    struct device *d = *state;
    CHECK_OK(update_counted(d));
    assert_int_equal(counting_verify_count(), HF_TOP_ROLES - 1); /* root was verified at first */
    CHECK_OK(update_counted(d));
    assert_int_equal(counting_verify_count(), 0);
    device_reboot(d);
    CHECK_OK(update_counted(d));
    assert_int_equal(counting_verify_count(), 0);
    check_held(d);
}

static void the_same_timestamp_in_full_is_not_verified_again(void **state)
{
    struct device *d = *state;
    d->fake.transport.mirrors[0].ignores_etags = true;
    CHECK_OK(update_counted(d));
    CHECK_OK(update_counted(d));
    assert_int_equal(d->fake.transport.n_not_modified, 0);
    assert_int_equal(counting_verify_count(), 0);
}

/* Re-signed every day, with nothing new below it. */
static void a_new_timestamp_costs_one_verification(void **state)
{
    struct device *d = *state;
    CHECK_OK(update_counted(d));
    d->repo.roles[HF_ROLE_TIMESTAMP].version++;
    tuf_repo_publish(&d->repo);
    CHECK_OK(update_counted(d));
    assert_int_equal(counting_verify_count(), 1);
    assert_true(fake_store_has_written(&d->fake.store, "value " VALUE));
    CHECK_OK(update_counted(d));
    assert_int_equal(counting_verify_count(), 0);
    check_held(d);
}

/* The root held is known; the next one is verified twice, by the old keys and by its own; what is
 * below is verified under it. */
static void a_new_root_makes_them_void(void **state)
{
    struct device *d = *state;
    CHECK_OK(update_counted(d));
    CHECK_OK(update_counted(d)); /* the tag is known: what comes next does not come in full */
    d->repo.roles[HF_ROLE_ROOT].version++;
    tuf_repo_publish_root(&d->repo);
    CHECK_OK(update_counted(d));
    assert_int_equal(counting_verify_count(), 2 + 3);
    CHECK_OK(update_counted(d));
    assert_int_equal(counting_verify_count(), 0);
}

static void a_refused_refresh_leaves_them_as_they_were(void **state)
{
    struct device *d = *state;
    char before[512];
    CHECK_OK(update_counted(d));
    snprintf(before, sizeof before, "%s", fake_store_value(&d->fake.store, VALUE));
    tuf_keys_make(&d->repo.roles[HF_ROLE_TARGETS].keys, 1, 1);
    device_publish(d, 2);
    CHECK_REFUSED(update_counted(d), HF_E_SIGNATURE, &d->why, "targets version 3");
    assert_string_equal(fake_store_value(&d->fake.store, VALUE), before);
}

/* ---- what they do not spare ------------------------------------------------------------------ */

static void check_all_is_verified_again(struct device *d, const char *value)
{
    char good[512];
    CHECK_OK(update_counted(d)); /* the tag is known: what comes next does not come in full */
    snprintf(good, sizeof good, "%s", fake_store_value(&d->fake.store, VALUE));
    fake_store_put_value(&d->fake.store, VALUE, value);
    CHECK_OK(update_counted(d));
    assert_int_equal(counting_verify_count(), HF_TOP_ROLES);
    assert_string_equal(fake_store_value(&d->fake.store, VALUE), good);
}

static void a_damaged_value_counts_as_none(void **state)
{
    struct device *d = *state;
    char damaged[512];
    CHECK_OK(update_counted(d));
    const char *good = fake_store_value(&d->fake.store, VALUE);
    snprintf(damaged, sizeof damaged, "%s0", good);
    check_all_is_verified_again(d, damaged);
    damaged[strlen(damaged) - 2] = '\0';
    check_all_is_verified_again(d, damaged);
    check_all_is_verified_again(d, "");
    check_all_is_verified_again(d, "nothing");
}

/* An update of the program may mend how signatures are verified. */
static void receipts_of_another_program_version_count_as_none(void **state)
{
    struct device *d = *state;
    char other[512];
    CHECK_OK(update_counted(d));
    const char *digits = strchr(fake_store_value(&d->fake.store, VALUE), ' ');
    assert_non_null(digits);
    snprintf(other, sizeof other, "0.0.1%s", digits);
    check_all_is_verified_again(d, other);
    check_all_is_verified_again(d, other + sizeof "0.0.1"); /* of no version at all */
}

static void receipts_of_another_device_count_as_none(void **state)
{
    struct device *d = *state, *other = NULL;
    void *its_state = NULL;
    char value[512];
    assert_int_equal(device_setup(&its_state), 0);
    other = its_state;
    CHECK_OK(update_counted(other));
    snprintf(value, sizeof value, "%s", fake_store_value(&other->fake.store, VALUE));
    device_teardown(&its_state);
    CHECK_OK(update_counted(d));
    check_all_is_verified_again(d, value);
}

/* A stored file with another year of expiry, which is not signed. */
static void change_stored(struct device *d, const char *role)
{
    struct hf_buf file = {0};
    struct hf_bytes stored = fake_store_metadata(&d->fake.store, role);
    CHECK_OK(hf_buf_append(&file, stored.data, stored.len));
    char *year = strstr((char *)file.data, "\"expires\": \"203");
    assert_non_null(year);
    year[sizeof "\"expires\": \"203" - 1] = '9';
    fake_store_put_metadata(&d->fake.store, role, hf_buf_bytes(&file));
    hf_buf_free(&file);
}

static void a_changed_file_is_fetched_again(void **state)
{
    struct device *d = *state;
    static const char *const roles[] = {"timestamp", "snapshot", "targets"};
    CHECK_OK(update_counted(d));
    for (size_t i = 0; i < 3; i++) {
        change_stored(d, roles[i]);
        CHECK_OK(update_counted(d));
        assert_int_equal(counting_verify_count(),
                         1); /* which refuses it; what is fetched is known */
        assert_true(fake_log_has(&d->fake, "is signed by 0 of the keys"));
        check_held(d);
    }
}

static void a_changed_root_is_refused(void **state)
{
    struct device *d = *state;
    CHECK_OK(update_counted(d));
    change_stored(d, "root");
    device_remember(d);
    CHECK_REFUSED(update_counted(d), HF_E_SIGNATURE, &d->why,
                  "the root metadata held by this device: root version 1 is signed by 0");
    device_check_unchanged_from(d, "root");
}

/* An old file that was verified once has no receipt any more, and a version that says it is old. */
static void an_older_file_of_the_store_does_not_come_back(void **state)
{
    struct device *d = *state;
    struct hf_buf old = {0};
    CHECK_OK(update_counted(d));
    struct hf_bytes stored = fake_store_metadata(&d->fake.store, "targets");
    CHECK_OK(hf_buf_append(&old, stored.data, stored.len));
    device_publish(d, 2);
    CHECK_OK(update_counted(d));
    fake_store_put_metadata(&d->fake.store, "targets", hf_buf_bytes(&old));
    hf_buf_free(&old);
    CHECK_OK(update_counted(d));
    check_held(d);
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_unchanged_check_verifies_no_signature),
        TEST(the_same_timestamp_in_full_is_not_verified_again),
        TEST(a_new_timestamp_costs_one_verification),
        TEST(a_new_root_makes_them_void),
        TEST(a_refused_refresh_leaves_them_as_they_were),
        TEST(a_damaged_value_counts_as_none),
        TEST(receipts_of_another_program_version_count_as_none),
        TEST(receipts_of_another_device_count_as_none),
        TEST(a_changed_file_is_fetched_again),
        TEST(a_changed_root_is_refused),
        TEST(an_older_file_of_the_store_does_not_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
