/*
 * Forged metadata in the device's own store, with forged receipts (common/tuf/receipts.h) that say
 * it was verified before.
 *
 * A receipt is not secret: an attacker who can write both can make a file pass for verified. That
 * is less than such an attacker has already, because root and bundles are in the same store. If the
 * root is unchanged, this must hold: all other checks apply; a bundle is used only with the listed
 * hash; and the next publication ends it.
 */
#include "common/tuf/receipts.h"
#include "tests/support/attack.h"

#include <stdio.h>
#include <string.h>

#define VERIFIED "metadata.verified"
#define BUNDLE_9 "amazon-iot/full/9.pem"

/* Targets of the published version, listing a bundle of the attacker, signed by the attacker. */
static void forge_targets(struct device *d, struct hf_buf *file)
{
    struct hf_buf pem = {0};
    struct tuf_keys *keys = &d->repo.roles[HF_ROLE_TARGETS].keys;
    struct tuf_keys genuine = *keys;

    tuf_keys_make(keys, 1, 1);
    device_make_anchor("Root E", &pem);
    device_add_bundle(d, 9, &pem);
    hf_buf_free(&pem);
    tuf_repo_build_targets(&d->repo, file);
    tuf_repo_remove_target(&d->repo, BUNDLE_9);
    *keys = genuine;
}

static void put_forged_targets(struct device *d, struct hf_buf *file)
{
    forge_targets(d, file);
    fake_store_put_metadata(&d->fake.store, "targets", hf_buf_bytes(file));
}

/* In the place of the stored ones: with the receipt that the device itself would have made for
 * `file`, had it verified it as targets under `root_file`. */
static void put_forged_receipts(struct device *d, struct hf_bytes root_file,
                                const struct hf_buf *file)
{
    char value[sizeof "10.10.10 " + HF_RECEIPTS_TEXT_SIZE];
    struct hf_receipts receipts;
    struct hf_root root;
    struct hf_targets targets;

    snprintf(value, sizeof value, "%s", fake_store_value(&d->fake.store, VERIFIED));
    char *digits = strchr(value, ' ') + 1;
    hf_receipts_parse(digits, &receipts);
    CHECK_OK(hf_root_parse(root_file, &root, &d->why));
    CHECK_OK(hf_targets_parse(hf_buf_bytes(file), &targets, &d->why));
    hf_receipt_make(&root, HF_ROLE_TARGETS, &targets.env, receipts.of[HF_ROLE_TARGETS]);
    hf_receipts_format(&receipts, digits);
    fake_store_put_value(&d->fake.store, VERIFIED, value);
    hf_targets_free(&targets);
    hf_root_free(&root);
}

/* Snapshot says nothing of targets but their version, so that nothing but the signature is left. */
static void publish_without_lengths(struct device *d)
{
    d->repo.has_lengths = false;
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
}

static void check_targets_are_genuine(struct device *d)
{
    char path[128];
    tuf_repo_role_path(&d->repo, HF_ROLE_TARGETS, path);
    assert_true(hf_bytes_equal(fake_store_metadata(&d->fake.store, "targets"),
                               tuf_files_find(&d->repo.files, path)));
}

/* The receipts are of the file that lay there. */
static void forged_targets_in_the_store(void **state)
{
    struct device *d = *state;
    struct hf_buf forged = {0};
    publish_without_lengths(d);
    put_forged_targets(d, &forged);
    hf_buf_free(&forged);
    attack_check_without_effect(d);
    assert_true(
        fake_log_has(&d->fake, "the cached targets is not used: targets version 3 is signed by 0"));
    check_targets_are_genuine(d);
}

static void forged_targets_with_receipts_of_the_attackers_own_root(void **state)
{
    struct device *d = *state;
    struct hf_buf forged = {0}, his_root = {0};
    publish_without_lengths(d);
    put_forged_targets(d, &forged);

    struct tuf_keys *keys = &d->repo.roles[HF_ROLE_TARGETS].keys;
    struct tuf_keys genuine = *keys;
    tuf_keys_make(keys, 1, 1);
    tuf_repo_build_root(&d->repo, &his_root);
    *keys = genuine;
    put_forged_receipts(d, hf_buf_bytes(&his_root), &forged);
    hf_buf_free(&his_root);
    hf_buf_free(&forged);

    attack_check_without_effect(d);
    check_targets_are_genuine(d);
}

static void forged_targets_with_forged_receipts_are_not_the_announced_ones(void **state)
{
    struct device *d = *state;
    struct hf_buf forged = {0};
    d->repo.has_hashes = true; /* as holdfastctl publishes */
    publish_without_lengths(d);
    put_forged_targets(d, &forged);
    put_forged_receipts(d, fake_store_metadata(&d->fake.store, "root"), &forged);
    hf_buf_free(&forged);
    attack_check_without_effect(d);
    assert_true(
        fake_log_has(&d->fake, "the cached targets is not used: targets does not have a hash"));
    check_targets_are_genuine(d);
}

static void forged_receipts_end_with_what_the_publisher_says_next(void **state)
{
    struct device *d = *state;
    struct hf_buf forged = {0};
    publish_without_lengths(d);
    put_forged_targets(d, &forged);
    put_forged_receipts(d, fake_store_metadata(&d->fake.store, "root"), &forged);
    hf_buf_free(&forged);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_NOT_FOUND, &d->why, ".9.pem"); /* no mirror has it */
    assert_true(fake_state_same_bundles(&d->before, &d->fake.store.state));
    device_publish(d, 2);
    attack_check_over(d, 2);
    check_targets_are_genuine(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ATTACK_TEST(forged_targets_in_the_store),
        ATTACK_TEST(forged_targets_with_receipts_of_the_attackers_own_root),
        ATTACK_TEST(forged_targets_with_forged_receipts_are_not_the_announced_ones),
        ATTACK_TEST(forged_receipts_end_with_what_the_publisher_says_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
