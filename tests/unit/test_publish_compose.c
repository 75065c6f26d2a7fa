/* server/repository/compose.c and signer.c: metadata as other implementations expect it. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "common/json/json.h"
#include "server/repository/compose.h"
#include "server/repository/keys/signer.h"

#include <sodium.h>
#include <stdlib.h>

#define NOW_S INT64_C(1793318400) /* 2026-10-30T00:00:00Z */

static void check_text(json_t *value, const char *wanted)
{
    struct hf_buf text = {0};
    CHECK_OK(hf_json_canonical(value, &text, NULL));
    assert_string_equal((const char *)text.data, wanted);
    hf_buf_free(&text);
    json_decref(value);
}

static void a_timestamp_names_the_snapshot_with_length_and_hash(void **state)
{
    (void)state;
    const struct hf_signing signing = {7, NOW_S, HF_TIME_NONE};
    json_t *timestamp = NULL;
    CHECK_OK(hf_compose_timestamp(&signing, 5, hf_bytes_of_text("abc"), &timestamp, NULL));
    check_text(timestamp,
               "{\"_type\":\"timestamp\",\"expires\":\"2026-10-30T00:00:00Z\",\"meta\":{"
               "\"snapshot.json\":{\"hashes\":{\"sha256\":"
               "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"},"
               "\"length\":3,\"version\":5}},\"spec_version\":\"1.0.34\",\"version\":7}");
}

static void the_first_targets_say_when_they_were_signed(void **state)
{
    (void)state;
    const struct hf_signing signing = {1, NOW_S + HF_DAY_S, NOW_S};
    json_t *targets = NULL;
    CHECK_OK(hf_compose_targets(NULL, &signing, &targets, NULL));
    check_text(targets, "{\"_type\":\"targets\",\"expires\":\"2026-10-31T00:00:00Z\","
                        "\"signed_at\":\"2026-10-30T00:00:00Z\",\"spec_version\":\"1.0.34\","
                        "\"targets\":{},\"version\":1}");
}

static void a_successor_keeps_what_it_does_not_know(void **state)
{
    (void)state;
    const struct hf_signing signing = {2, NOW_S, HF_TIME_NONE};
    json_t *before = json_pack("{s:s, s:i, s:{s:{s:i}, s:{s:i}}, s:s}", "_type", "snapshot",
                               "version", 1, "meta", "targets.json", "version", 1, "rollout.json",
                               "version", 9, "x-later", "kept");
    json_t *snapshot = NULL;
    CHECK_OK(hf_compose_snapshot(before, &signing, 4, hf_bytes_of_text("abc"), &snapshot, NULL));
    assert_int_equal(json_integer_value(json_object_get(before, "version")), 1);
    json_decref(before);
    check_text(snapshot,
               "{\"_type\":\"snapshot\",\"expires\":\"2026-10-30T00:00:00Z\",\"meta\":{"
               "\"rollout.json\":{\"version\":9},\"targets.json\":{\"hashes\":{\"sha256\":"
               "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"},"
               "\"length\":3,\"version\":4}},\"spec_version\":\"1.0.34\",\"version\":2,"
               "\"x-later\":\"kept\"}");
}

static void targets_are_added_and_removed(void **state)
{
    (void)state;
    const struct hf_signing signing = {1, NOW_S, NOW_S};
    json_t *targets = NULL;
    json_t *custom = json_pack("{s:i}", "a", 1);
    CHECK_OK(hf_compose_targets(NULL, &signing, &targets, NULL));
    CHECK_OK(hf_compose_add_target(targets, "s/p/1.pem", hf_bytes_of_text("abc"), custom, NULL));
    CHECK_OK(hf_compose_add_target(targets, "s/p/2.pem", hf_bytes_of_text("abc"), custom, NULL));
    hf_compose_remove_target(targets, "s/p/1.pem");
    json_decref(custom);
    json_t *listed = json_incref(json_object_get(targets, "targets"));
    json_decref(targets);
    check_text(listed, "{\"s/p/2.pem\":{\"custom\":{\"a\":1},\"hashes\":{\"sha256\":"
                       "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"},"
                       "\"length\":3}}");
}

/* ---- root, composed, signed, and read again by the code that devices run --------------------- */

static struct hf_root_plan plan_of(size_t n_root_keys, int64_t root_threshold)
{
    struct hf_root_plan plan = {0};
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        size_t n = i == HF_ROLE_ROOT ? n_root_keys : 1;
        plan.thresholds[i] = i == HF_ROLE_ROOT ? root_threshold : 1;
        plan.keys[i].keys = calloc(n, sizeof *plan.keys[i].keys);
        for (; plan.keys[i].n_keys < n; plan.keys[i].n_keys++)
            CHECK_OK(hf_signing_key_make(NULL, &plan.keys[i].keys[plan.keys[i].n_keys], NULL));
    }
    return plan;
}

static void free_plan(struct hf_root_plan *plan)
{
    for (int i = 0; i < HF_TOP_ROLES; i++)
        hf_signers_free(&plan->keys[i]);
}

/* Root 1 signed by the first `n_signers` root keys. */
static void parse_signed_root(const struct hf_root_plan *plan, size_t n_signers,
                              struct hf_root *out)
{
    const struct hf_signing signing = {1, NOW_S + HF_DAY_S, NOW_S};
    json_t *root = NULL;
    struct hf_buf file = {0};
    CHECK_OK(hf_compose_root(plan, &signing, &root, NULL));
    CHECK_OK(hf_signer_sign(root, plan->keys[HF_ROLE_ROOT].keys, n_signers, &file, NULL));
    CHECK_OK(hf_root_parse(hf_buf_bytes(&file), out, NULL));
    hf_buf_free(&file);
    json_decref(root);
}

static void a_root_is_what_devices_read(void **state)
{
    (void)state;
    struct hf_root_plan plan = plan_of(3, 2);
    struct hf_root root;
    parse_signed_root(&plan, 3, &root);
    assert_true(root.consistent_snapshot);
    assert_int_equal(root.env.signed_at_s, NOW_S);
    assert_int_equal(root.env.expires_s, NOW_S + HF_DAY_S);
    assert_int_equal(root.ring.n_keys, 6);
    assert_int_equal(root.roles[HF_ROLE_ROOT].threshold, 2);
    assert_int_equal(root.roles[HF_ROLE_ROOT].n_key_ids, 3);
    assert_string_equal(root.roles[HF_ROLE_TIMESTAMP].key_ids[0],
                        plan.keys[HF_ROLE_TIMESTAMP].keys[0].key_id);
    CHECK_OK(hf_envelope_verify(&root.env, &root.ring, &root.roles[HF_ROLE_ROOT], "root 1", NULL));
    hf_root_free(&root);
    free_plan(&plan);
}

static void too_few_signers_do_not_make_a_root(void **state)
{
    (void)state;
    struct hf_root_plan plan = plan_of(3, 2);
    struct hf_root root;
    struct hf_why why;
    parse_signed_root(&plan, 1, &root);
    CHECK_REFUSED(hf_envelope_verify(&root.env, &root.ring, &root.roles[HF_ROLE_ROOT], "root 1",
                                     &why),
                  HF_E_SIGNATURE, &why, "root 1");
    hf_root_free(&root);
    free_plan(&plan);
}

static void a_key_whose_halves_differ_signs_nothing(void **state)
{
    (void)state;
    const struct hf_signing signing = {1, NOW_S, HF_TIME_NONE};
    struct hf_signing_key key, other;
    struct hf_why why;
    struct hf_buf file = {0};
    json_t *value = NULL;
    CHECK_OK(hf_compose_timestamp(&signing, 5, hf_bytes_of_text("abc"), &value, NULL));
    CHECK_OK(hf_signing_key_make(NULL, &key, NULL));
    CHECK_OK(hf_signing_key_make(NULL, &other, NULL));
    json_decref(key.public_key);
    key.public_key = json_incref(other.public_key);
    CHECK_REFUSED(hf_signer_sign(value, &key, 1, &file, &why), HF_E_SIGNATURE, &why,
                  "does not verify");
    assert_int_equal(file.len, 0);
    json_decref(value);
    hf_signing_key_free(&other);
    hf_signing_key_free(&key);
}

/* RFC 8032, 7.1, test 1: the seed, and the key id that other TUF implementations give it. */
static void a_key_id_is_the_hash_of_the_canonical_key(void **state)
{
    (void)state;
    static const char seed_hex[] =
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    static const char object[] =
        "{\"keytype\":\"ed25519\",\"keyval\":{\"public\":"
        "\"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"},"
        "\"scheme\":\"ed25519\"}";
    uint8_t seed[HF_SEED_LEN];
    char wanted[HF_SHA256_HEX_LEN];
    struct hf_signing_key key;
    assert_int_equal(sodium_hex2bin(seed, sizeof seed, seed_hex, 64, NULL, NULL, NULL), 0);
    CHECK_OK(hf_signing_key_make(seed, &key, NULL));
    hf_sha256_hex(hf_bytes_of_text(object), wanted);
    assert_string_equal(key.key_id, wanted);
    hf_signing_key_free(&key);
}

static void a_rollout_is_delegated_once_beside_others(void **state)
{
    (void)state;
    const struct hf_signing signing = {1, NOW_S, NOW_S};
    struct hf_signing_key first = {0}, second = {0};
    json_t *targets = NULL;
    CHECK_OK(hf_signing_key_make(NULL, &first, NULL));
    CHECK_OK(hf_signing_key_make(NULL, &second, NULL));
    CHECK_OK(hf_compose_targets(NULL, &signing, &targets, NULL));
    CHECK_OK(hf_compose_delegate_rollout(targets, "pumps", first.public_key, NULL));
    CHECK_OK(hf_compose_delegate_rollout(targets, "valves", first.public_key, NULL));
    CHECK_OK(hf_compose_delegate_rollout(targets, "pumps", second.public_key, NULL));
    json_t *roles = json_object_get(json_object_get(targets, "delegations"), "roles");
    assert_int_equal(json_array_size(roles), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(roles, 0), "name")),
                        "rollout-valves");
    json_t *pumps = json_array_get(roles, 1);
    json_t *wanted = json_pack("{s:s, s:[s], s:i, s:b, s:[s]}", "name", "rollout-pumps", "keyids",
                               second.key_id, "threshold", 1, "terminating", 0, "paths",
                               "pumps/*/*.pem");
    assert_true(json_equal(pumps, wanted));
    json_decref(wanted);
    json_decref(targets);
    hf_signing_key_free(&first);
    hf_signing_key_free(&second);
}

static void a_stage_has_the_length_and_hash_of_its_target(void **state)
{
    (void)state;
    const struct hf_signing signing = {3, NOW_S, HF_TIME_NONE};
    const struct hf_rollout_activation activation = {.stage = 1, .since_s = NOW_S};
    struct hf_target target = {.path = "s/p/2.pem", .info = {.length = 3, .has_sha256 = true}};
    json_t *rollout = NULL;
    hf_sha256(hf_bytes_of_text("abc"), target.info.sha256);
    CHECK_OK(hf_compose_targets(NULL, &signing, &rollout, NULL));
    CHECK_OK(hf_compose_set_stage(rollout, &target, &activation, NULL));
    check_text(
        rollout,
        "{\"_type\":\"targets\",\"expires\":\"2026-10-30T00:00:00Z\","
        "\"spec_version\":\"1.0.34\",\"targets\":{\"s/p/2.pem\":{\"custom\":{\"holdfast\":{"
        "\"activation\":{\"reason\":\"\",\"since\":\"2026-10-30T00:00:00Z\",\"stage\":1,"
        "\"state\":\"open\"}}},\"hashes\":{\"sha256\":"
        "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"},\"length\":3}},"
        "\"version\":3}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timestamp_names_the_snapshot_with_length_and_hash),
        cmocka_unit_test(the_first_targets_say_when_they_were_signed),
        cmocka_unit_test(a_successor_keeps_what_it_does_not_know),
        cmocka_unit_test(targets_are_added_and_removed),
        cmocka_unit_test(a_root_is_what_devices_read),
        cmocka_unit_test(too_few_signers_do_not_make_a_root),
        cmocka_unit_test(a_key_whose_halves_differ_signs_nothing),
        cmocka_unit_test(a_key_id_is_the_hash_of_the_canonical_key),
        cmocka_unit_test(a_rollout_is_delegated_once_beside_others),
        cmocka_unit_test(a_stage_has_the_length_and_hash_of_its_target),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
