/* client/core/obtain: a bundle fetched, hashed, parsed and checked (TUF 5.7.3). */
#include "tests/support/check.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/bundle/pem.h"
#include "tests/support/device.h"
#include "tests/support/test_pki.h"

#include <stdio.h>

#define YEAR_S (365 * HF_DAY_S)
#define BUNDLE_2 "amazon-iot/full/2.pem"

/* The bundles are what they were, also where the metadata that names a bad one is kept. */
static void check_bundle_refused(struct device *d, enum hf_err wanted, const char *part)
{
    device_remember(d);
    CHECK_REFUSED(device_update(d), wanted, &d->why, part);
    assert_true(fake_state_same_bundles(&d->before, &d->fake.store.state));
    assert_string_equal(fake_store_value(&d->fake.store, "check.outcome"), hf_err_name(wanted));
    assert_string_equal(fake_store_value(&d->fake.store, "check.text"), d->why.text);
}

static void publish_pem(struct device *d, int64_t version, struct hf_buf *pem)
{
    device_add_bundle(d, version, pem);
    hf_buf_free(pem);
    tuf_repo_publish_next(&d->repo);
}

static struct hf_bytes content_of(struct device *d, size_t item)
{
    return hf_buf_bytes(&d->repo.targets.items[item].content);
}

static void test_description_goes_with_the_bundle_to_the_trust_store(void **state)
{
    struct device *d = *state;
    struct hf_buf pem = {0};
    char sha256[65];
    CHECK_OK(device_update(d));
    snprintf(sha256, sizeof sha256, "%s", d->fake.trust.sha256[0]);
    struct hf_bytes one = content_of(d, 0);
    CHECK_OK(hf_buf_append(&pem, one.data, one.len));
    device_make_anchor("Root 2", &pem);
    json_t *custom = device_custom(DEVICE_SET, DEVICE_PROFILE, 2);
    json_object_set_new(json_object_get(custom, "holdfast"), "anchors",
                        json_pack("[{s:s, s:s}]", "sha256", sha256, "distrust_after",
                                  "2031-01-01T00:00:00Z"));
    tuf_repo_add_target(&d->repo, BUNDLE_2, hf_buf_bytes(&pem), custom);
    hf_buf_free(&pem);
    tuf_repo_publish_next(&d->repo);

    CHECK_OK(device_update(d));
    assert_int_equal(d->fake.trust.distrust_after_s[0], pki_day(2031, 1, 1));
    assert_int_equal(d->fake.trust.distrust_after_s[1], HF_TIME_NONE);
    device_reboot(d);
    assert_int_equal(d->fake.trust.distrust_after_s[0], pki_day(2031, 1, 1));
}

static void test_pem_with_three_bytes_broken(void **state)
{
    struct device *d = *state;
    struct hf_buf pem = {0};
    CHECK_OK(device_update(d));
    device_make_anchor("Root 2", &pem);
    pem.data[60] = pem.data[80] = pem.data[100] = '!';
    publish_pem(d, 2, &pem);
    check_bundle_refused(d, HF_E_FORMAT, BUNDLE_2);
}

/* A newer publisher adds a root for newer devices. An older device takes the rest, and says so. */
static void test_root_that_is_not_supported_is_skipped_and_named(void **state)
{
    struct device *d = *state;
    struct hf_buf pem = {0}, der = {0};
    struct pki_key key;
    struct hf_status status;
    CHECK_OK(device_update(d));
    device_make_anchor("Root 2", &pem);
    pki_key_make(&key, PKI_P256);
    pki_root("CN=Of tomorrow", &key, &der);
    pki_key_free(&key);
    pki_change_signature_algorithm(&der);
    CHECK_OK(hf_pem_append(&pem, hf_buf_bytes(&der)));
    publish_pem(d, 2, &pem);

    CHECK_OK(device_update(d));
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
    assert_int_equal(d->fake.trust.n_anchors, 1);
    assert_int_equal(fake_store_count_events(&d->fake.store, "skipped"), 1);
    CHECK_OK(hf_client_status(d->client, &status, NULL));
    assert_int_equal(status.active.n_anchors, 1);
    assert_int_equal(status.active.n_skipped, 1);
    assert_string_equal(status.active.skipped[0].subject, "CN=Of tomorrow");
    hf_status_free(&status);

    /* Alone it is no bundle. */
    CHECK_OK(hf_pem_append(&pem, hf_buf_bytes(&der)));
    publish_pem(d, 3, &pem);
    check_bundle_refused(d, HF_E_POLICY, "no certificate of it can be used");
    hf_buf_free(&der);
}

static void test_leaf_offered_as_a_root(void **state)
{
    struct device *d = *state;
    struct hf_buf pem = {0};
    struct pki_key key;
    CHECK_OK(device_update(d));
    pki_key_make(&key, PKI_P256);
    pki_issue_pem(&(struct pki_cert){.subject = "CN=leaf", .key = &key}, &pem);
    pki_key_free(&key);
    publish_pem(d, 2, &pem);
    check_bundle_refused(d, HF_E_POLICY, BUNDLE_2);
}

static void answer_bundle_2(struct device *d, int status, struct hf_bytes body)
{
    char path[HF_TARGET_PATH_MAX + 160];
    tuf_repo_content_path(&d->repo, &d->repo.targets.items[1], path, sizeof path);
    fake_mirror_answer_bytes(&d->fake.transport.mirrors[0], path, status, body);
}

static void test_bundle_with_another_hash_or_length(void **state)
{
    struct device *d = *state;
    struct hf_buf other = {0};
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    CHECK_OK(hf_buf_append(&other, content_of(d, 1).data, content_of(d, 1).len));
    other.data[70] ^= 1;
    answer_bundle_2(d, 200, hf_buf_bytes(&other));
    check_bundle_refused(d, HF_E_HASH, BUNDLE_2);

    fake_mirror_reset(&d->fake.transport.mirrors[0]);
    other.len--;
    answer_bundle_2(d, 200, hf_buf_bytes(&other));
    check_bundle_refused(d, HF_E_HASH, BUNDLE_2);

    fake_mirror_reset(&d->fake.transport.mirrors[0]);
    CHECK_OK(hf_buf_append_text(&other, "more than announced"));
    answer_bundle_2(d, 200, hf_buf_bytes(&other));
    check_bundle_refused(d, HF_E_LIMIT, "http://a.test/repo/targets/");
    hf_buf_free(&other);
}

static void test_bundle_that_is_listed_but_not_there(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    answer_bundle_2(d, 404, (struct hf_bytes){0});
    check_bundle_refused(d, HF_E_NOT_FOUND, "http://a.test/repo/targets/");
}

static void announce_a_gigabyte(void *ctx, const char *role, json_t *signed_part)
{
    json_t *targets = json_object_get(signed_part, "targets");
    json_t *target = json_object_get(targets, BUNDLE_2);
    (void)ctx;
    (void)role;
    if (target != NULL)
        json_object_set_new(target, "length", json_integer(1 << 30));
}

static void test_bundle_too_large_to_begin_with(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    d->repo.before_signing = announce_a_gigabyte;
    device_publish(d, 2);
    check_bundle_refused(d, HF_E_LIMIT, "found 1073741824");
    assert_int_equal(fake_transport_count(&d->fake.transport, "targets/"), 0);
}

static void test_other_content_under_the_active_version(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_publish(d, 1);
    check_bundle_refused(d, HF_E_ROLLBACK, "under a higher version");
    assert_int_equal(fake_transport_count(&d->fake.transport, "targets/"), 0);
}

static void test_bundle_of_expired_anchors_would_cut_the_device_off(void **state)
{
    struct device *d = *state;
    struct hf_buf pem = {0};
    CHECK_OK(device_update(d));
    device_make_dated_anchor("Old", DEVICE_NOW_S - 2 * YEAR_S, DEVICE_NOW_S - YEAR_S, &pem);
    device_make_dated_anchor("Unborn", DEVICE_NOW_S + YEAR_S, DEVICE_NOW_S + 2 * YEAR_S, &pem);
    publish_pem(d, 2, &pem);
    check_bundle_refused(d, HF_E_POLICY, "found none among 2");
    assert_int_equal(d->fake.trust.n_anchors, 1);
}

static void test_device_that_is_cut_off_already_takes_it(void **state)
{
    struct device *d = *state;
    struct hf_buf pem = {0};
    device_make_dated_anchor("Old", DEVICE_NOW_S - 2 * YEAR_S, DEVICE_NOW_S - YEAR_S, &pem);
    publish_pem(d, 2, &pem);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
    device_make_dated_anchor("Old too", DEVICE_NOW_S - 2 * YEAR_S, DEVICE_NOW_S - YEAR_S, &pem);
    publish_pem(d, 3, &pem);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 3);
}

/* The same certificates with another description: an attacker or a mistake may have written
 * `drops`. */
static void describe_again(struct device *d, bool has_drops)
{
    const struct tuf_target *last = &d->repo.targets.items[d->repo.targets.n_items - 1];
    struct hf_buf pem = {0};
    json_t *custom = device_custom(DEVICE_SET, DEVICE_PROFILE, 2);
    CHECK_OK(hf_buf_append(&pem, last->content.data, last->content.len));
    if (has_drops)
        json_object_set_new(json_object_get(custom, "holdfast"), "drops",
                            json_pack("[s]", "00000000000000000000000000000000"
                                             "00000000000000000000000000000000"));
    tuf_repo_add_target(&d->repo, DEVICE_SET "/" DEVICE_PROFILE "/2.pem", hf_buf_bytes(&pem),
                        custom);
    hf_buf_free(&pem);
}

static void test_other_description_of_the_active_version_is_refused(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    describe_again(d, true);
    tuf_repo_publish_next(&d->repo);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_ROLLBACK, &d->why, "its description differs");
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
}

/* What was said with keys that root does not name any more is not kept, be the bytes the same. */
static void test_new_keys_replace_the_description_of_the_active_version(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    describe_again(d, true);
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    describe_again(d, false);
    tuf_repo_rotate(&d->repo, HF_ROLE_TARGETS);
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    assert_true(d->result.is_changed);
    assert_int_equal(d->result.to_version, 2);
    CHECK_OK(device_update(d));
    assert_false(d->result.is_changed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_other_description_of_the_active_version_is_refused),
        TEST(test_new_keys_replace_the_description_of_the_active_version),
        TEST(test_description_goes_with_the_bundle_to_the_trust_store),
        TEST(test_pem_with_three_bytes_broken),
        TEST(test_root_that_is_not_supported_is_skipped_and_named),
        TEST(test_leaf_offered_as_a_root),
        TEST(test_bundle_with_another_hash_or_length),
        TEST(test_bundle_that_is_listed_but_not_there),
        TEST(test_bundle_too_large_to_begin_with),
        TEST(test_other_content_under_the_active_version),
        TEST(test_bundle_of_expired_anchors_would_cut_the_device_off),
        TEST(test_device_that_is_cut_off_already_takes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
