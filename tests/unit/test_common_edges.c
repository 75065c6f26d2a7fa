/* common/: the edges that the tests of each module do not come to. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "common/bundle/pem.h"
#include "common/bundle/policy.h"
#include "common/json/json.h"
#include "common/tuf/trusted_set.h"
#include "tests/support/test_pki.h"
#include "tests/support/tuf_repo.h"

static struct hf_why why;

static void nothing_can_be_freed(void **state)
{
    (void)state;
    hf_bundle_free(NULL);
    hf_description_free(NULL);
    hf_envelope_free(NULL);
    hf_key_free(NULL);
    hf_keyring_free(NULL);
    hf_role_free(NULL);
    hf_root_free(NULL);
    hf_timestamp_free(NULL);
    hf_snapshot_free(NULL);
    hf_targets_free(NULL);
    hf_trusted_set_free(NULL);
}

/* ---- base ------------------------------------------------------------------------------------ */

static void sizes_that_would_overflow_are_no_memory(void **state)
{
    struct hf_buf b = {0};
    (void)state;
    CHECK_OK(hf_buf_append_text(&b, "abc"));
    assert_int_equal(hf_buf_reserve(&b, SIZE_MAX), HF_E_MEMORY);
    assert_int_equal(hf_buf_reserve(&b, SIZE_MAX / 2), HF_E_MEMORY);
    assert_string_equal((const char *)b.data, "abc");
    hf_buf_free(&b);
    b.len = SIZE_MAX / 2;
    assert_int_equal(hf_buf_reserve(&b, 1), HF_E_MEMORY);
}

static void every_part_of_a_date_has_two_ends(void **state)
{
    static const int64_t good[] = {2026, 6, 15, 12, 30, 30};
    static const int64_t ends[][2] = {{-1, 10000}, {0, 13}, {0, 31}, {-1, 24}, {-1, 60}, {-1, 60}};
    int64_t time_s = 7;
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        for (size_t end = 0; end < 2; end++) {
            int64_t p[6];
            memcpy(p, good, sizeof p);
            p[i] = ends[i][end];
            assert_false(hf_time_from_civil(p[0], (int)p[1], (int)p[2], (int)p[3], (int)p[4],
                                            (int)p[5], &time_s));
        }
    }
    assert_int_equal(time_s, 7);
    /* the year 0 of the proleptic calendar, which some certificates name */
    assert_true(hf_time_from_civil(0, 1, 1, 0, 0, 0, &time_s));
    assert_int_equal(time_s, INT64_C(-62167219200));
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void check_json(const char *text, enum hf_err wanted, const char *part)
{
    json_t *value = NULL;
    CHECK_REFUSED(hf_json_parse_object(hf_bytes_of_text(text), "it", &value, &why), wanted, &why,
                  part);
    assert_null(value);
}

static void odd_texts_are_no_json(void **state)
{
    (void)state;
    check_json("  \n", HF_E_FORMAT, "not valid JSON");
    check_json("\xef\xbb\xbf", HF_E_FORMAT, "not valid JSON");
    check_json("}}]]{", HF_E_FORMAT, "not valid JSON");
    check_json("]", HF_E_FORMAT, "not valid JSON");
    check_json("{\"a\":[1,[2.5]]}", HF_E_FORMAT, "not whole");
    check_json("{\"a\":{\"b\":0.1}}", HF_E_FORMAT, "not whole");
}

/* ---- keys ------------------------------------------------------------------------------------ */

static struct hf_key key_of(const char *type, const char *scheme, const char *text)
{
    struct hf_key key = {0};
    json_t *object = json_pack("{s:s, s:s, s:{s:s}}", "keytype", type, "scheme", scheme, "keyval",
                               "public", text);
    CHECK_OK(hf_key_parse("k", object, &key, &why));
    json_decref(object);
    return key;
}

static void a_key_of_one_type_is_none_of_another(void **state)
{
    char digits[2 * 97 + 3];
    struct pki_key rsa, p384;
    unsigned char pem[2][2048];
    (void)state;
    pki_key_make(&rsa, PKI_RSA_2048);
    pki_key_make(&p384, PKI_P384);
    assert_int_equal(mbedtls_pk_write_pubkey_pem(&rsa.pk, pem[0], sizeof pem[0]), 0);
    assert_int_equal(mbedtls_pk_write_pubkey_pem(&p384.pk, pem[1], sizeof pem[1]), 0);
    pki_key_free(&rsa);
    pki_key_free(&p384);
    assert_int_equal(key_of("ecdsa", "ecdsa-sha2-nistp256", (char *)pem[0]).scheme,
                     HF_SCHEME_UNKNOWN);
    assert_int_equal(key_of("ecdsa", "ecdsa-sha2-nistp256", (char *)pem[1]).scheme,
                     HF_SCHEME_UNKNOWN);
    assert_int_equal(key_of("rsa", "rsassa-pss-sha256", (char *)pem[1]).scheme, HF_SCHEME_UNKNOWN);
    assert_int_equal(key_of("ecdsa", "ecdsa-sha2-nistp256", "").scheme, HF_SCHEME_UNKNOWN);
    memset(digits, '0', sizeof digits - 1); /* more than the largest point */
    digits[sizeof digits - 1] = '\0';
    assert_int_equal(key_of("ecdsa", "ecdsa-sha2-nistp384", digits).scheme, HF_SCHEME_UNKNOWN);
}

static void a_key_is_the_same_as_itself_only(void **state)
{
    uint8_t bytes[33] = {0};
    struct hf_key a = {.scheme = HF_SCHEME_ED25519, .public_key = bytes, .public_key_len = 32};
    struct hf_key longer = a, nothing = {0};
    (void)state;
    longer.public_key_len = 33;
    assert_true(hf_key_same(&a, &a));
    assert_false(hf_key_same(&a, &longer));
    assert_false(hf_key_same(&a, &nothing));
    assert_false(hf_key_same(&nothing, &a));
}

/* A scheme that no parser gives, or a key of another length, verifies nothing. */
static void an_impossible_key_verifies_nothing(void **state)
{
    uint8_t bytes[64] = {1};
    struct hf_bytes signature = {bytes, sizeof bytes};
    struct hf_key key = {.scheme = HF_SCHEME_ED25519, .public_key = bytes, .public_key_len = 31};
    (void)state;
    assert_false(hf_key_verify(&key, signature, signature));
    key.scheme = HF_SCHEME_RSASSA_PSS_SHA256;
    assert_false(hf_key_verify(&key, signature, signature));
    key.scheme = HF_SCHEME_UNKNOWN;
    assert_false(hf_key_verify(&key, signature, signature));
    key.scheme = (enum hf_scheme)99;
    assert_false(hf_key_verify(&key, signature, signature));
    assert_string_equal(hf_scheme_name(key.scheme), "unknown");
}

/* ---- metadata -------------------------------------------------------------------------------- */

#define HASH "0000000000000000000000000000000000000000000000000000000000000000"

static struct hf_targets targets_of(const char *members)
{
    struct hf_targets m = {0};
    struct tuf_keys none = {.n_keys = 0};
    struct hf_buf file = {0};
    json_t *part = tuf_signed_part("targets", 1, INT64_C(1900000000), HF_TIME_NONE);
    json_t *more = json_loads(members, 0, NULL);
    assert_non_null(more);
    assert_int_equal(json_object_update_new(part, more), 0);
    json_t *envelope = tuf_sign(part, &none, NULL);
    tuf_write(envelope, &file);
    json_decref(envelope);
    (void)hf_fail(&why, HF_OK, "nothing");
    (void)!hf_targets_parse(hf_buf_bytes(&file), &m, &why);
    hf_buf_free(&file);
    return m;
}

static void check_targets(const char *members, const char *part)
{
    struct hf_targets m = targets_of(members);
    assert_null(m.env.json);
    assert_int_equal(why.code, HF_E_FORMAT);
    assert_non_null(strstr(why.text, part));
}

static void odd_members_of_targets_are_said(void **state)
{
    (void)state;
    check_targets("{\"targets\":{\"a\":{\"length\":1,\"hashes\":{\"sha256\":7}}}}",
                  "64 hexadecimal");
    check_targets("{\"targets\":{\"a\":{\"length\":1,\"hashes\":{\"sha512\":\"" HASH "\"}}}}",
                  "128 hexadecimal");
    check_targets("{\"targets\":{},\"delegations\":{\"roles\":[]}}", "\"keys\"");
    check_targets("{\"targets\":{},\"delegations\":{\"keys\":{},\"roles\":[{\"name\":\"a\","
                  "\"terminating\":true,\"threshold\":1}]}}",
                  "\"keyids\"");
    check_targets("{\"targets\":{},\"delegations\":{\"keys\":{},\"roles\":[{\"name\":\"a\","
                  "\"keyids\":[],\"threshold\":1}]}}",
                  "\"terminating\"");
    check_targets("{\"targets\":{},\"delegations\":{\"keys\":{},\"roles\":[{\"name\":\"a\","
                  "\"terminating\":true,\"keyids\":[],\"threshold\":1,\"path_hash_prefixes\":7}]}}",
                  "path_hash_prefixes");
}

/* What another publisher means by them is not for us. */
static void members_of_other_shapes_are_left_alone(void **state)
{
    struct hf_targets m = targets_of(
        "{\"signed_at\":\"yesterday\",\"targets\":{\"a\":{\"length\":1,\"custom\":7,\"hashes\":"
        "{\"sha256\":\"" HASH "\",\"sha512\":\"" HASH HASH "\"}}},"
        "\"delegations\":{\"keys\":{},\"succinct_roles\":{},\"roles\":[]}}");
    (void)state;
    assert_int_equal(m.n_targets, 1);
    assert_null(m.targets[0].custom);
    assert_int_equal(m.env.signed_at_s, HF_TIME_NONE);
    assert_int_equal(m.n_delegations, 0);
    /* each of the two hashes has to match */
    CHECK_REFUSED(hf_file_info_verify(&m.targets[0].info, hf_bytes_of_text("x"), "a", &why),
                  HF_E_HASH, &why, "a");
    hf_sha256(hf_bytes_of_text("x"), m.targets[0].info.sha256);
    CHECK_REFUSED(hf_file_info_verify(&m.targets[0].info, hf_bytes_of_text("x"), "a", &why),
                  HF_E_HASH, &why, "a");
    hf_sha512(hf_bytes_of_text("x"), m.targets[0].info.sha512);
    CHECK_OK(hf_file_info_verify(&m.targets[0].info, hf_bytes_of_text("x"), "a", &why));
    m.targets[0].info.sha256[0] ^= 1;
    CHECK_REFUSED(hf_file_info_verify(&m.targets[0].info, hf_bytes_of_text("x"), "a", &why),
                  HF_E_HASH, &why, "a");
    hf_targets_free(&m);
}

/* Key ids that no key has, and keys that are of no use, are counted in the sentence. */
static void a_threshold_of_keys_that_are_not_there_is_not_met(void **state)
{
    struct hf_targets m = targets_of(
        "{\"targets\":{},\"delegations\":{\"keys\":{\"b\":{\"keytype\":\"x\",\"scheme\":\"y\"}},"
        "\"roles\":[{\"name\":\"a\",\"keyids\":[\"b\",\"c\"],\"threshold\":1,"
        "\"terminating\":true}]}}");
    (void)state;
    assert_int_equal(m.n_delegations, 1);
    assert_null(hf_keyring_find(&m.ring, "c"));
    CHECK_REFUSED(hf_envelope_verify(&m.env, &m.ring, &m.delegations[0].role, "it", &why),
                  HF_E_SIGNATURE, &why, "2 of its 2 keys cannot be used here");
    /* No more keys are counted than a role may have. */
    const char *ids[HF_ROLE_KEYS_MAX + 1];
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        ids[i] = "c";
    const struct hf_role large = {"a", ids, HF_ROLE_KEYS_MAX + 1, 1};
    CHECK_REFUSED(hf_envelope_verify(&m.env, &m.ring, &large, "it", &why), HF_E_SIGNATURE, &why,
                  "64 of its 65 keys cannot be used here");
    hf_targets_free(&m);
}

static void check_role(const char *key_ids, const char *part)
{
    struct hf_role role = {.name = "before"};
    json_t *object = json_pack("{s:o, s:i}", "keyids", json_loads(key_ids, 0, NULL), "threshold",
                               1);
    assert_non_null(object);
    CHECK_REFUSED(hf_role_parse("a", object, "it", &role, &why), HF_E_FORMAT, &why, part);
    assert_string_equal(role.name, "before");
    json_decref(object);
}

static void a_role_names_each_of_its_keys_once(void **state)
{
    (void)state;
    check_role("[7,\"a\"]", "should be strings");
    check_role("[\"a\",7,\"b\"]", "should be strings");
    check_role("[\"a\",\"b\",\"a\",\"c\"]", "one key id twice");
}

/* By the keys, not by their ids; an id without a key, and a key that is of no use, are nothing. */
static void roles_have_the_same_keys_or_not(void **state)
{
    uint8_t bytes[2][32] = {{1}, {2}};
    struct hf_key keys[] = {{.key_id = "1", .public_key = bytes[0], .public_key_len = 32},
                            {.key_id = "other 1", .public_key = bytes[0], .public_key_len = 32},
                            {.key_id = "2", .public_key = bytes[1], .public_key_len = 32},
                            {.key_id = "of no use"}};
    const char *of_a[] = {"missing", "of no use", "1"}, *of_b[] = {"other 1"}, *of_c[] = {"2"};
    struct hf_root a = {.ring = {keys, 4}}, b = a, c = a;
    (void)state;
    a.roles[HF_ROLE_SNAPSHOT] = (struct hf_role){"snapshot", of_a, 3, 1};
    b.roles[HF_ROLE_SNAPSHOT] = (struct hf_role){"snapshot", of_b, 1, 1};
    c.roles[HF_ROLE_SNAPSHOT] = (struct hf_role){"snapshot", of_c, 1, 1};
    assert_true(hf_root_role_keys_same(&a, &b, HF_ROLE_SNAPSHOT));
    assert_true(hf_root_role_keys_same(&b, &a, HF_ROLE_SNAPSHOT));
    assert_false(hf_root_role_keys_same(&a, &c, HF_ROLE_SNAPSHOT));
    assert_false(hf_root_role_keys_same(&c, &b, HF_ROLE_SNAPSHOT));
}

/* ---- the trusted set ------------------------------------------------------------------------- */

static void an_empty_set_answers(void **state)
{
    struct hf_trusted_set set = {0};
    struct hf_bytes nothing = {0};
    (void)state;
    CHECK_REFUSED(hf_trusted_set_update_root(&set, nothing, &why), HF_E_STATE, &why, "root");
    CHECK_REFUSED(hf_trusted_set_end_roots(&set, &why), HF_E_STATE, &why, "no root metadata");
    CHECK_REFUSED(hf_trusted_set_timestamp_is_final(&set, &why), HF_E_STATE, &why, "timestamp");
    CHECK_REFUSED(hf_trusted_set_snapshot_is_final(&set, &why), HF_E_STATE, &why, "snapshot");
    assert_int_equal(hf_trusted_set_signed_at(&set), HF_TIME_NONE);
    assert_null(hf_trusted_set_top_targets(&set));
    CHECK_OK(hf_trusted_set_shed(&set, &why));
}

/* A snapshot that was good stops being so with its timestamp. */
static void a_final_snapshot_needs_a_timestamp_of_today(void **state)
{
    static struct tuf_repo repo;
    struct hf_trusted_set set = {0};
    struct hf_buf root = {0}, timestamp = {0}, snapshot = {0};
    const int64_t now_s = INT64_C(1900000000);
    (void)state;
    tuf_repo_init(&repo, now_s);
    tuf_repo_build_root(&repo, &root);
    tuf_repo_build_timestamp(&repo, &timestamp);
    tuf_repo_build_snapshot(&repo, &snapshot);
    CHECK_OK(hf_trusted_set_init(&set, hf_buf_bytes(&root), now_s, &why));
    CHECK_OK(hf_trusted_set_end_roots(&set, &why));
    CHECK_OK(hf_trusted_set_update_timestamp(&set, hf_buf_bytes(&timestamp), HF_FETCHED, &why));
    CHECK_OK(hf_trusted_set_update_snapshot(&set, hf_buf_bytes(&snapshot), HF_FETCHED, &why));
    CHECK_OK(hf_trusted_set_snapshot_is_final(&set, &why));
    set.now_s += 366 * HF_DAY_S;
    CHECK_REFUSED(hf_trusted_set_snapshot_is_final(&set, &why), HF_E_EXPIRED, &why, "timestamp");
    hf_trusted_set_free(&set);
    hf_buf_free(&root);
    hf_buf_free(&timestamp);
    hf_buf_free(&snapshot);
    tuf_repo_free(&repo);
}

/* ---- bundles --------------------------------------------------------------------------------- */

static void an_endless_name_is_said_so(void **state)
{
    static const char *const types[] = {"CN", "O",     "OU", "L",  "ST",
                                        "SN", "title", "GN", "DC", "pseudonym"};
    struct pki_key key;
    struct hf_buf subject = {0}, der = {0};
    struct hf_cert cert;
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        CHECK_OK(hf_buf_printf(&subject, "%s%s=%0230d", i == 0 ? "" : ",", types[i], 7));
    pki_key_make(&key, PKI_P256);
    pki_root((const char *)subject.data, &key, &der);
    CHECK_OK(hf_cert_parse(hf_buf_bytes(&der), &cert, &why));
    assert_string_equal(cert.subject, "(a name that cannot be shown)");
    hf_buf_free(&der);
    hf_buf_free(&subject);
    pki_key_free(&key);
}

static void what_is_not_there_is_not_found(void **state)
{
    struct hf_bundle bundle = {0};
    const uint8_t hash[HF_SHA256_LEN] = {0};
    struct hf_description d = {.set = "a", .profile = "b", .version = 1};
    json_t *custom = NULL;
    (void)state;
    assert_null(hf_bundle_find(&bundle, hash));
    assert_null(hf_bundle_find_key(&bundle, hash));
    CHECK_REFUSED(hf_description_parse(NULL, &d, &why), HF_E_NOT_FOUND, &why, "no bundle");
    d.profile[0] = '\0';
    CHECK_REFUSED(hf_description_to_json(&d, &custom, &why), HF_E_ARGUMENT, &why, "profile");
    assert_null(custom);
}

/* Values that no parser gives: refused all the same. */
static void an_impossible_use_is_refused(void **state)
{
    struct hf_anchor anchor = {.use = (enum hf_use)99};
    char text[16];
    (void)state;
    anchor.cert = (struct hf_cert){.is_ca = true,
                                   .key = HF_CERT_KEY_P256,
                                   .key_bits = 256,
                                   .digest = HF_CERT_DIGEST_SHA256};
    CHECK_REFUSED(hf_policy_check_anchor(&anchor, &why), HF_E_POLICY, &why, "unknown");
    anchor.cert.key = (enum hf_cert_key)99;
    hf_cert_key_text(&anchor.cert, text);
    assert_string_equal(text, "other 256");
}

static void a_long_line_is_quoted_in_part(void **state)
{
    char text[200];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text, "-----", 5);
    CHECK_REFUSED(hf_pem_walk(hf_bytes_of_text(text), NULL, NULL, &why), HF_E_FORMAT, &why,
                  "xxx\";");
    assert_null(strstr(why.text, text + 119)); /* eighty of them */
    memcpy(text, "a --END x", 9);
    CHECK_REFUSED(hf_pem_walk(hf_bytes_of_text(text), NULL, NULL, &why), HF_E_FORMAT, &why,
                  "a --END");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_can_be_freed),
        cmocka_unit_test(sizes_that_would_overflow_are_no_memory),
        cmocka_unit_test(every_part_of_a_date_has_two_ends),
        cmocka_unit_test(odd_texts_are_no_json),
        cmocka_unit_test(a_key_of_one_type_is_none_of_another),
        cmocka_unit_test(a_key_is_the_same_as_itself_only),
        cmocka_unit_test(an_impossible_key_verifies_nothing),
        cmocka_unit_test(odd_members_of_targets_are_said),
        cmocka_unit_test(members_of_other_shapes_are_left_alone),
        cmocka_unit_test(a_threshold_of_keys_that_are_not_there_is_not_met),
        cmocka_unit_test(a_role_names_each_of_its_keys_once),
        cmocka_unit_test(roles_have_the_same_keys_or_not),
        cmocka_unit_test(an_empty_set_answers),
        cmocka_unit_test(a_final_snapshot_needs_a_timestamp_of_today),
        cmocka_unit_test(an_endless_name_is_said_so),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(an_impossible_use_is_refused),
        cmocka_unit_test(a_long_line_is_quoted_in_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
