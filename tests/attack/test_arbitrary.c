/* Arbitrary software, wrong software and extraneous dependencies: only what the publisher signed
 * for this very device is ever fetched, and only as it was signed (TUF 5.6.3, 5.7.3). */
#include "tests/support/attack.h"

#include "common/base/limits.h"

#include <string.h>

#define BUNDLE_2 "amazon-iot/full/2.pem"

static const struct tuf_target *last_target(const struct device *d)
{
    return &d->repo.targets.items[d->repo.targets.n_items - 1];
}

/* A bundle that would do, as long as the one it replaces: blank lines at its end are allowed. */
static void make_impostor(size_t len, struct hf_buf *pem)
{
    do {
        hf_buf_free(pem);
        device_make_anchor("Root E", pem);
    } while (pem->len > len);
    while (pem->len < len)
        CHECK_OK(hf_buf_append_text(pem, "\n"));
}

/* ---- arbitrary software ---------------------------------------------------------------------- */

static void arbitrary_software_under_a_listed_name(void **state)
{
    struct device *d = *state;
    struct hf_buf pem = {0};
    device_publish(d, 2);
    make_impostor(last_target(d)->content.len, &pem);
    attack_answer_bundle(d, hf_buf_bytes(&pem));
    hf_buf_free(&pem);
    attack_check_refused(d, ATTACK_BUNDLE, HF_E_HASH, BUNDLE_2 " does not have a hash");
    attack_check_over(d, 2);
}

static void arbitrary_software_in_a_repository_of_a_stranger(void **state)
{
    struct device *d = *state;
    struct device stranger = {0};
    device_publish(d, 2);
    tuf_repo_init(&stranger.repo, DEVICE_NOW_S);
    for (int64_t version = 1; version <= 3; version++)
        device_publish(&stranger, version);
    d->fake.transport.mirrors[0].files = &stranger.repo.files;
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_SIGNATURE, "signed by 0 of the keys");
    d->fake.transport.mirrors[0].files = &d->repo.files;
    tuf_repo_free(&stranger.repo);
    attack_check_over(d, 2);
}

/* Who holds both online keys can announce targets, but not sign them. */
static void arbitrary_software_announced_with_both_online_keys(void **state)
{
    struct device *d = *state;
    tuf_keys_make(&d->repo.roles[HF_ROLE_TARGETS].keys, 1, 1);
    device_publish(d, 2);
    attack_check_refused(d, HF_ROLE_TARGETS, HF_E_SIGNATURE,
                         "targets version 3 is signed by 0 of the keys of role targets");
}

/* ---- wrong software -------------------------------------------------------------------------- */

static void wrong_software_genuine_bundle_of_another_profile(void **state)
{
    struct device *d = *state;
    struct hf_buf both = {0}, one = {0};
    device_make_anchor("Root 2", &one);
    tuf_repo_add_target(&d->repo, "amazon-iot/ecc/2.pem", hf_buf_bytes(&one),
                        device_custom(DEVICE_SET, "ecc", 2));
    CHECK_OK(hf_buf_append(&both, one.data, one.len));
    device_make_anchor("Root 3", &both);
    device_add_bundle(d, 2, &both);
    tuf_repo_publish_next(&d->repo);
    attack_answer_bundle(d, hf_buf_bytes(&one));
    hf_buf_free(&one);
    hf_buf_free(&both);
    attack_check_refused(d, ATTACK_BUNDLE, HF_E_HASH, BUNDLE_2 " has ");
    attack_check_over(d, 2);
}

static void wrong_software_genuine_bundle_of_before(void **state)
{
    struct device *d = *state;
    struct hf_buf pem = {0};
    struct hf_bytes first = hf_buf_bytes(&d->repo.targets.items[0].content);
    CHECK_OK(hf_buf_append(&pem, first.data, first.len));
    device_publish(d, 2);
    while (pem.len < last_target(d)->content.len)
        CHECK_OK(hf_buf_append_text(&pem, "\n"));
    pem.len = last_target(d)->content.len;
    attack_answer_bundle(d, hf_buf_bytes(&pem));
    hf_buf_free(&pem);
    attack_check_refused(d, ATTACK_BUNDLE, HF_E_HASH, BUNDLE_2 " does not have a hash");
    attack_check_over(d, 2);
}

/* Signed, so by the publisher's mistake or with the targets keys; still not taken for ours. */
static void wrong_software_described_as_ours_under_another_name(void **state)
{
    struct device *d = *state;
    struct hf_buf pem = {0};
    device_make_anchor("Root 2", &pem);
    tuf_repo_add_target(&d->repo, "other/full/2.pem", hf_buf_bytes(&pem),
                        device_custom(DEVICE_SET, DEVICE_PROFILE, 2));
    tuf_repo_add_target(&d->repo, BUNDLE_2, hf_buf_bytes(&pem), device_custom("other", "full", 2));
    tuf_repo_add_target(&d->repo, "amazon-iot/full/3.pem", hf_buf_bytes(&pem),
                        device_custom(DEVICE_SET, DEVICE_PROFILE, 9));
    tuf_repo_add_target(&d->repo, "amazon-iot/full/4.pem", hf_buf_bytes(&pem), NULL);
    hf_buf_free(&pem);
    tuf_repo_publish_next(&d->repo);
    attack_check_without_effect(d);
    assert_true(fake_log_has(&d->fake, "other/full/2.pem is skipped: its description belongs to "
                                       "amazon-iot/full/2.pem"));
    assert_true(fake_log_has(&d->fake, BUNDLE_2 " is skipped: its description belongs to other"));
    assert_true(fake_log_has(&d->fake, "amazon-iot/full/3.pem is skipped"));
    assert_true(fake_log_has(&d->fake, "amazon-iot/full/4.pem is skipped"));
}

/* ---- extraneous dependencies ----------------------------------------------------------------- */

static void add_evil_dependency(void *ctx, const char *role, json_t *envelope)
{
    (void)ctx;
    json_t *targets = json_object_get(json_object_get(envelope, "signed"), "targets");
    if (strcmp(role, "targets") != 0)
        return;
    json_t *evil = json_deep_copy(json_object_get(targets, BUNDLE_2));
    assert_int_equal(json_object_set_new(targets, "amazon-iot/full/3.pem", evil), 0);
}

static void extraneous_dependency_written_into_targets(void **state)
{
    struct device *d = *state;
    struct hf_buf targets = {0};
    d->repo.has_lengths = false; /* else it would fail for its length already */
    device_publish(d, 2);
    d->repo.after_signing = add_evil_dependency;
    tuf_repo_build_targets(&d->repo, &targets);
    attack_answer(d, HF_ROLE_TARGETS, hf_buf_bytes(&targets));
    hf_buf_free(&targets);
    attack_check_refused(d, HF_ROLE_TARGETS, HF_E_SIGNATURE, "signed by 0 of the keys");
    attack_check_over(d, 2);
}

/* Whatever else is listed or delegated, even by the publisher: a device fetches one file. */
static void extraneous_dependencies_are_not_fetched(void **state)
{
    struct device *d = *state;
    struct tuf_delegated_role *role = tuf_repo_delegate(&d->repo, "targets", "helper", "*", false);
    struct hf_bytes junk = hf_bytes_of_text("#!/bin/sh");
    tuf_targets_add(&role->targets, "amazon-iot/full/7.pem", junk,
                    device_custom(DEVICE_SET, DEVICE_PROFILE, 7));
    tuf_repo_add_target(&d->repo, "tools/helper.sh", junk, NULL);
    tuf_repo_add_target(&d->repo, "amazon-iot/rsa/8.pem", junk,
                        device_custom(DEVICE_SET, "rsa", 8));
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
    assert_int_equal(d->fake.transport.n_requests, 5); /* next root, three roles, the bundle */
    assert_int_equal(fake_transport_count(&d->fake.transport, "/targets/"), 1);
    assert_int_equal(fake_transport_count(&d->fake.transport, "/targets/amazon-iot/full/"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ATTACK_TEST(arbitrary_software_under_a_listed_name),
        ATTACK_TEST(arbitrary_software_in_a_repository_of_a_stranger),
        ATTACK_TEST(arbitrary_software_announced_with_both_online_keys),
        ATTACK_TEST(wrong_software_genuine_bundle_of_another_profile),
        ATTACK_TEST(wrong_software_genuine_bundle_of_before),
        ATTACK_TEST(wrong_software_described_as_ours_under_another_name),
        ATTACK_TEST(extraneous_dependency_written_into_targets),
        ATTACK_TEST(extraneous_dependencies_are_not_fetched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
