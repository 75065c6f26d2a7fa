/* Endless data: every file has a maximum that is known before its first byte is asked for (TUF
 * 5.3.3, 5.4.1, 5.5.1, 5.6.1, 5.7.3), and so has everything that is counted. */
#include "tests/support/attack.h"

#include "common/base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than `max` bytes where the newest file of `role` should be. */
static void check_one_byte_too_many(struct device *d, enum hf_top_role role, size_t max)
{
    struct hf_buf endless = {0};
    char part[64];
    CHECK_OK(hf_buf_reserve(&endless, max + 1));
    memset(endless.data, ' ', max + 1);
    endless.len = max + 1;
    if (role == ATTACK_BUNDLE)
        attack_answer_bundle(d, hf_buf_bytes(&endless));
    else
        attack_answer(d, role, hf_buf_bytes(&endless));
    hf_buf_free(&endless);
    snprintf(part, sizeof part, "expected at most %zu bytes, found %zu", max, max + 1);
    attack_check_refused(d, role, HF_E_LIMIT, part);
    attack_check_over(d, 2);
}

/* The length of a file as it is published. */
static size_t announced(struct device *d, enum hf_top_role role)
{
    char path[128];
    tuf_repo_role_path(&d->repo, role, path);
    return tuf_files_find(&d->repo.files, path).len;
}

static void endless_root(void **state)
{
    struct device *d = *state;
    d->repo.roles[HF_ROLE_ROOT].version++;
    tuf_repo_publish_root(&d->repo);
    device_publish(d, 2);
    check_one_byte_too_many(d, HF_ROLE_ROOT, HF_ROOT_BYTES_MAX);
}

static void endless_timestamp(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    check_one_byte_too_many(d, HF_ROLE_TIMESTAMP, HF_TIMESTAMP_BYTES_MAX);
}

static void endless_snapshot(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    check_one_byte_too_many(d, HF_ROLE_SNAPSHOT, announced(d, HF_ROLE_SNAPSHOT));
}

static void endless_snapshot_of_unannounced_length(void **state)
{
    struct device *d = *state;
    d->repo.has_lengths = false;
    device_publish(d, 2);
    check_one_byte_too_many(d, HF_ROLE_SNAPSHOT, HF_SNAPSHOT_BYTES_MAX);
}

static void endless_targets(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    check_one_byte_too_many(d, HF_ROLE_TARGETS, announced(d, HF_ROLE_TARGETS));
}

static void endless_targets_of_unannounced_length(void **state)
{
    struct device *d = *state;
    d->repo.has_lengths = false;
    device_publish(d, 2);
    check_one_byte_too_many(d, HF_ROLE_TARGETS, HF_TARGETS_BYTES_MAX);
}

static void endless_bundle(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    check_one_byte_too_many(d, ATTACK_BUNDLE, d->repo.targets.items[1].content.len);
}

/* With stolen keys: lengths that would let a mirror send what it likes. */
static void endless_data_announced_by_a_stolen_key(void **state)
{
    struct device *d = *state;
    char part[64];
    struct attack_change change = {"timestamp",
                                   {"meta", "snapshot.json", "length"},
                                   json_integer(HF_JSON_INTEGER_MAX)};
    attack_sign(d, &change);
    device_publish(d, 2);
    char *endless = malloc(HF_SNAPSHOT_BYTES_MAX + 2);
    assert_non_null(endless);
    memset(endless, ' ', HF_SNAPSHOT_BYTES_MAX + 1);
    endless[HF_SNAPSHOT_BYTES_MAX + 1] = '\0';
    attack_answer(d, HF_ROLE_SNAPSHOT, hf_bytes_of_text(endless));
    free(endless);
    snprintf(part, sizeof part, "expected at most %u bytes", HF_SNAPSHOT_BYTES_MAX);
    attack_check_refused(d, HF_ROLE_SNAPSHOT, HF_E_LIMIT, part);
    json_decref(change.value);
}

/* Not even asked for. */
static void endless_bundle_announced_by_stolen_keys(void **state)
{
    struct device *d = *state;
    struct attack_change change = {"targets",
                                   {"targets", "amazon-iot/full/2.pem", "length"},
                                   json_integer(HF_BUNDLE_BYTES_MAX + 1)};
    attack_sign(d, &change);
    device_publish(d, 2);
    attack_check_refused(d, ATTACK_BUNDLE, HF_E_LIMIT, "at most 1048576 bytes, found 1048577");
    assert_int_equal(fake_transport_count(&d->fake.transport, "/targets/"), 0);
    json_decref(change.value);
}

/* ---- endless lists --------------------------------------------------------------------------- */

static void add_signatures(void *ctx, const char *role, json_t *envelope)
{
    json_t *signatures = json_object_get(envelope, "signatures");
    char label[16];
    if (strcmp(role, ctx) != 0)
        return;
    for (int i = 0; i < HF_SIGNATURES_MAX; i++) {
        snprintf(label, sizeof label, "%d", i);
        json_t *one = json_pack("{s:s, s:s}", "keyid", label, "sig", "00");
        assert_int_equal(json_array_append_new(signatures, one), 0);
    }
}

static void endless_signatures(void **state)
{
    struct device *d = *state;
    char role[] = "timestamp";
    d->repo.after_signing = add_signatures;
    d->repo.hook_ctx = role;
    device_publish(d, 2);
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_LIMIT,
                         "carries 129 signatures, at most 128 are read");
    d->repo.after_signing = NULL;
    tuf_repo_publish_next(&d->repo);
    attack_check_over(d, 2);
}

/* The holder of the root keys can sign roots for ever; a device continues with the next check. */
static void endless_roots(void **state)
{
    struct device *d = *state;
    struct tuf_role *root = &d->repo.roles[HF_ROLE_ROOT];
    for (int i = 0; i < HF_ROOT_ROTATIONS_MAX + 10; i++) {
        root->version++;
        tuf_repo_publish_root(&d->repo);
    }
    device_remember(d);
    CHECK_OK(device_update(d));
    device_check_kept(d, "root");
    device_check_unchanged_from(d, "timestamp");
    assert_int_equal(fake_transport_count(&d->fake.transport, "root.json"), HF_ROOT_ROTATIONS_MAX);
    device_publish(d, 2);
    attack_check_over(d, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ATTACK_TEST(endless_root),
        ATTACK_TEST(endless_timestamp),
        ATTACK_TEST(endless_snapshot),
        ATTACK_TEST(endless_snapshot_of_unannounced_length),
        ATTACK_TEST(endless_targets),
        ATTACK_TEST(endless_targets_of_unannounced_length),
        ATTACK_TEST(endless_bundle),
        ATTACK_TEST(endless_data_announced_by_a_stolen_key),
        ATTACK_TEST(endless_bundle_announced_by_stolen_keys),
        ATTACK_TEST(endless_signatures),
        ATTACK_TEST(endless_roots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
