/* Stolen keys: fewer than the threshold, one counted twice, one of another role, one revoked; and
 * roots that the keys of before did not agree to (TUF 5.3.4, 5.3.5, 5.4.2, 5.5.3, 5.6.3). */
#include "tests/support/attack.h"

#include <stdio.h>
#include <string.h>

/* Publishes a root in which `role` has these many fresh keys, and has the device take it. */
static void set_keys(struct device *d, enum hf_top_role role, size_t n_keys, int64_t threshold)
{
    d->repo.roles[role].keys.n_keys = n_keys;
    d->repo.roles[role].keys.threshold = threshold;
    struct tuf_keys before = d->repo.roles[role].keys;
    before.n_keys = 1;
    d->repo.roles[HF_ROLE_ROOT].version++;
    if (role == HF_ROLE_ROOT)
        d->repo.root_keys_before = before;
    tuf_keys_make(&d->repo.roles[role].keys, n_keys, threshold);
    tuf_repo_publish_root(&d->repo);
    d->repo.root_keys_before = (struct tuf_keys){0};
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
}

/* What an attacker wants: a next version of every role, or of root alone. */
static void publish_something(struct device *d, enum hf_top_role role)
{
    if (role != HF_ROLE_ROOT) {
        tuf_repo_publish_next(&d->repo);
        return;
    }
    d->repo.roles[HF_ROLE_ROOT].version++;
    tuf_repo_publish_root(&d->repo);
}

/* ---- too few --------------------------------------------------------------------------------- */

static void check_below_threshold(struct device *d, enum hf_top_role role)
{
    char part[96];
    set_keys(d, role, 3, 2);
    d->repo.roles[role].keys.n_signers = 1;
    publish_something(d, role);
    snprintf(part, sizeof part, "is signed by 1 of the keys of role %s, its threshold is 2",
             hf_top_role_name(role));
    attack_check_refused(d, role, HF_E_SIGNATURE, part);
}

static void key_compromise_below_the_threshold_of_root(void **state)
{
    check_below_threshold(*state, HF_ROLE_ROOT);
}

static void key_compromise_below_the_threshold_of_timestamp(void **state)
{
    check_below_threshold(*state, HF_ROLE_TIMESTAMP);
}

static void key_compromise_below_the_threshold_of_snapshot(void **state)
{
    check_below_threshold(*state, HF_ROLE_SNAPSHOT);
}

static void key_compromise_below_the_threshold_of_targets(void **state)
{
    check_below_threshold(*state, HF_ROLE_TARGETS);
}

static void remove_signatures(void *ctx, const char *role, json_t *envelope)
{
    if (strcmp(role, ctx) == 0)
        assert_int_equal(json_array_clear(json_object_get(envelope, "signatures")), 0);
}

static void no_signature_at_all(void **state)
{
    struct device *d = *state;
    char role[] = "targets";
    d->repo.after_signing = remove_signatures;
    d->repo.hook_ctx = role;
    tuf_repo_publish_next(&d->repo);
    attack_check_refused(d, HF_ROLE_TARGETS, HF_E_SIGNATURE, "targets version 3 is signed by 0");
}

/* ---- one key counted twice ------------------------------------------------------------------- */

/* The list repeats what one key has signed. */
static void repeat_signature(void *ctx, const char *role, json_t *envelope)
{
    json_t *signatures = json_object_get(envelope, "signatures");
    if (strcmp(role, ctx) == 0)
        assert_int_equal(json_array_append(signatures, json_array_get(signatures, 0)), 0);
}

static void one_key_counted_twice_by_repeating_its_signature(void **state)
{
    struct device *d = *state;
    char role[] = "targets";
    set_keys(d, HF_ROLE_TARGETS, 2, 2);
    d->repo.roles[HF_ROLE_TARGETS].keys.n_signers = 1;
    d->repo.after_signing = repeat_signature;
    d->repo.hook_ctx = role;
    tuf_repo_publish_next(&d->repo);
    attack_check_refused(d, HF_ROLE_TARGETS, HF_E_FORMAT, "two signatures under one key id");
}

/* The second signature is the first one under the label of the key that was not stolen. */
static void relabel_signature(void *ctx, const char *role, json_t *envelope)
{
    const struct device *d = ctx;
    json_t *signatures = json_object_get(envelope, "signatures");
    const char *label = d->repo.roles[HF_ROLE_TARGETS].keys.keys[1].key_id;
    if (strcmp(role, "targets") != 0)
        return;
    json_t *copy = json_deep_copy(json_array_get(signatures, 0));
    assert_int_equal(json_object_set_new(copy, "keyid", json_string(label)), 0);
    assert_int_equal(json_array_append_new(signatures, copy), 0);
}

static void one_key_counted_twice_under_the_label_of_another(void **state)
{
    struct device *d = *state;
    set_keys(d, HF_ROLE_TARGETS, 2, 2);
    d->repo.roles[HF_ROLE_TARGETS].keys.n_signers = 1;
    d->repo.after_signing = relabel_signature;
    d->repo.hook_ctx = d;
    tuf_repo_publish_next(&d->repo);
    attack_check_refused(d, HF_ROLE_TARGETS, HF_E_SIGNATURE, "is signed by 1 of the keys");
}

/* Root itself names one key under two ids, by mistake or because of an attacker. */
static void one_key_counted_twice_under_two_labels_of_its_own(void **state)
{
    struct device *d = *state;
    struct tuf_keys *keys = &d->repo.roles[HF_ROLE_TARGETS].keys;
    tuf_keys_make(keys, 2, 2);
    keys->keys[1] = keys->keys[0];
    keys->keys[1].key_id[0] = keys->keys[0].key_id[0] == 'a' ? 'b' : 'a';
    d->repo.roles[HF_ROLE_ROOT].version++;
    tuf_repo_publish_root(&d->repo);
    tuf_repo_publish_next(&d->repo);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_SIGNATURE, &d->why,
                  "is signed by 1 of the keys of role targets, its threshold is 2");
    device_check_kept(d, "root");
    device_check_unchanged_from(d, "targets");
}

/* ---- a key of another role ------------------------------------------------------------------- */

static void check_signed_by(struct device *d, enum hf_top_role role, enum hf_top_role other)
{
    struct tuf_keys own = d->repo.roles[role].keys;
    int64_t root_version = d->repo.roles[HF_ROLE_ROOT].version;

    d->repo.roles[role].keys = d->repo.roles[other].keys;
    publish_something(d, role);
    attack_check_refused(d, role, HF_E_SIGNATURE, "is signed by 0 of the keys");
    /* and under the label of the right key */
    memcpy(d->repo.roles[role].keys.keys[0].key_id, own.keys[0].key_id, sizeof own.keys[0].key_id);
    if (role == HF_ROLE_ROOT)
        d->repo.roles[HF_ROLE_ROOT].version = root_version;
    publish_something(d, role);
    attack_check_refused(d, role, HF_E_SIGNATURE, "is signed by 0 of the keys");

    d->repo.roles[role].keys = own;
    if (role == HF_ROLE_ROOT) {
        d->repo.roles[HF_ROLE_ROOT].version = root_version;
        tuf_files_remove(&d->repo.files, "metadata/2.root.json");
    }
}

static void signature_by_a_key_of_another_role(void **state)
{
    struct device *d = *state;
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        for (int other = 0; other < HF_TOP_ROLES; other++) {
            if (role != other)
                check_signed_by(d, (enum hf_top_role)role, (enum hf_top_role)other);
        }
    }
    device_publish(d, 2);
    attack_check_over(d, 2);
}

static void signature_by_the_key_of_a_delegated_role(void **state)
{
    struct device *d = *state;
    struct hf_buf file = {0};
    d->repo.has_lengths = false;
    struct tuf_delegated_role *helper = tuf_repo_delegate(&d->repo, "targets", "helper", "*", true);
    helper->role.version = 3;
    device_publish(d, 2);
    tuf_repo_build_delegated(&d->repo, helper, &file);
    attack_answer(d, HF_ROLE_TARGETS, hf_buf_bytes(&file));
    hf_buf_free(&file);
    attack_check_refused(d, HF_ROLE_TARGETS, HF_E_SIGNATURE,
                         "targets version 3 is signed by 0 of the keys of role targets");
    attack_check_over(d, 2);
}

/* Where one key signs two roles, as is usual for the online ones, a file is still of one role. */
static void file_of_another_role_under_a_shared_key(void **state)
{
    struct device *d = *state;
    char path[128];
    d->repo.roles[HF_ROLE_TIMESTAMP].keys = d->repo.roles[HF_ROLE_SNAPSHOT].keys;
    d->repo.roles[HF_ROLE_ROOT].version++;
    tuf_repo_publish_root(&d->repo);
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    device_publish(d, 3);
    tuf_repo_role_path(&d->repo, HF_ROLE_SNAPSHOT, path);
    attack_answer(d, HF_ROLE_TIMESTAMP, tuf_files_find(&d->repo.files, path));
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_FORMAT,
                         "expected _type \"timestamp\", found another");
    attack_check_over(d, 3);
}

/* ---- a revoked key --------------------------------------------------------------------------- */

static void signature_by_a_revoked_key(void **state)
{
    struct device *d = *state;
    for (int role = HF_ROLE_TIMESTAMP; role < HF_TOP_ROLES; role++) {
        struct tuf_keys stolen = d->repo.roles[role].keys;
        tuf_repo_rotate(&d->repo, (enum hf_top_role)role);
        tuf_repo_publish_next(&d->repo);
        CHECK_OK(device_update(d));
        struct tuf_keys own = d->repo.roles[role].keys;
        d->repo.roles[role].keys = stolen;
        tuf_repo_publish_next(&d->repo);
        attack_check_refused(d, (enum hf_top_role)role, HF_E_SIGNATURE, "is signed by 0");
        d->repo.roles[role].keys = own;
    }
}

static void root_by_a_revoked_key(void **state)
{
    struct device *d = *state;
    struct tuf_keys stolen = d->repo.roles[HF_ROLE_ROOT].keys;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    CHECK_OK(device_update(d));
    d->repo.roles[HF_ROLE_ROOT].keys = stolen;
    publish_something(d, HF_ROLE_ROOT);
    attack_check_refused(d, HF_ROLE_ROOT, HF_E_SIGNATURE, "root version 3 is signed by 0");
}

/* ---- roots ----------------------------------------------------------------------------------- */

static void root_n_plus_2_offered_as_n_plus_1(void **state)
{
    struct device *d = *state;
    struct hf_buf root = {0};
    d->repo.roles[HF_ROLE_ROOT].version = 3;
    tuf_repo_build_root(&d->repo, &root); /* signed by the very keys that are trusted */
    d->repo.roles[HF_ROLE_ROOT].version = 2;
    tuf_repo_publish_root(&d->repo);
    attack_answer(d, HF_ROLE_ROOT, hf_buf_bytes(&root));
    hf_buf_free(&root);
    device_publish(d, 2);
    attack_check_refused(d, HF_ROLE_ROOT, HF_E_ROLLBACK, "root version 2, found version 3");
    attack_check_over(d, 2);
}

static void new_root_not_signed_by_the_old(void **state)
{
    struct device *d = *state;
    tuf_keys_make(&d->repo.roles[HF_ROLE_ROOT].keys, 1, 1);
    publish_something(d, HF_ROLE_ROOT);
    device_publish(d, 2);
    attack_check_refused(d, HF_ROLE_ROOT, HF_E_SIGNATURE,
                         "root version 2 is signed by 0 of the keys of role root");
}

/* The old keys alone must not be able to name keys whose owners have not signed. */
static void new_root_not_signed_by_itself(void **state)
{
    struct device *d = *state;
    d->repo.root_keys_before = d->repo.roles[HF_ROLE_ROOT].keys;
    tuf_keys_make(&d->repo.roles[HF_ROLE_ROOT].keys, 2, 2);
    d->repo.roles[HF_ROLE_ROOT].keys.n_signers = 1;
    publish_something(d, HF_ROLE_ROOT);
    device_publish(d, 2);
    attack_check_refused(d, HF_ROLE_ROOT, HF_E_SIGNATURE, "its threshold is 2");
}

/* A role with a threshold of zero would trust every file. */
static void new_root_with_a_threshold_of_zero(void **state)
{
    struct device *d = *state;
    d->repo.roles[HF_ROLE_TARGETS].keys.threshold = 0;
    publish_something(d, HF_ROLE_ROOT);
    device_publish(d, 2);
    attack_check_refused(d, HF_ROLE_ROOT, HF_E_FORMAT, "should be at least 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ATTACK_TEST(key_compromise_below_the_threshold_of_root),
        ATTACK_TEST(key_compromise_below_the_threshold_of_timestamp),
        ATTACK_TEST(key_compromise_below_the_threshold_of_snapshot),
        ATTACK_TEST(key_compromise_below_the_threshold_of_targets),
        ATTACK_TEST(no_signature_at_all),
        ATTACK_TEST(one_key_counted_twice_by_repeating_its_signature),
        ATTACK_TEST(one_key_counted_twice_under_the_label_of_another),
        ATTACK_TEST(one_key_counted_twice_under_two_labels_of_its_own),
        ATTACK_TEST(signature_by_a_key_of_another_role),
        ATTACK_TEST(signature_by_the_key_of_a_delegated_role),
        ATTACK_TEST(file_of_another_role_under_a_shared_key),
        ATTACK_TEST(signature_by_a_revoked_key),
        ATTACK_TEST(root_by_a_revoked_key),
        ATTACK_TEST(root_n_plus_2_offered_as_n_plus_1),
        ATTACK_TEST(new_root_not_signed_by_the_old),
        ATTACK_TEST(new_root_not_signed_by_itself),
        ATTACK_TEST(new_root_with_a_threshold_of_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
