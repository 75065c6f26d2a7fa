/* common/tuf: what is and is not a metadata file, and which file a target is fetched as. */
#include "tests/support/check.h"

#include "common/base/limits.h"
#include "common/tuf/metadata.h"
#include "tests/support/tuf_sign.h"

#include <stdio.h>

#define EXPIRES_S INT64_C(1900000000)

/* A signed file of `type` whose signed part has been changed by replacing member `key` (unless
 * NULL) with the JSON text `value` (NULL: removed). */
static void build(const char *type, const char *members, const char *key, const char *value,
                  struct hf_buf *out)
{
    struct tuf_keys none = {.n_keys = 0};
    json_t *part = tuf_signed_part(type, 3, EXPIRES_S, INT64_MIN);
    json_t *more = json_loads(members, 0, NULL);
    assert_non_null(more);
    assert_int_equal(json_object_update(part, more), 0);
    json_decref(more);
    if (key != NULL && value == NULL)
        json_object_del(part, key);
    if (key != NULL && value != NULL) {
        json_t *replacement = json_loads(value, JSON_DECODE_ANY, NULL);
        assert_non_null(replacement);
        json_object_set_new(part, key, replacement);
    }
    json_t *envelope = tuf_sign(part, &none, NULL);
    tuf_write(envelope, out);
    json_decref(envelope);
}

#define ROLE "{\"keyids\":[\"a\"],\"threshold\":1}"
#define ROLES                                                                                      \
    "{\"root\":" ROLE ",\"timestamp\":" ROLE ",\"snapshot\":" ROLE ",\"targets\":" ROLE "}"
#define ROOT "{\"keys\":{},\"roles\":" ROLES ",\"consistent_snapshot\":true,\"more\":[1]}"
#define TIMESTAMP "{\"meta\":{\"snapshot.json\":{\"version\":7}}}"
#define SNAPSHOT "{\"meta\":{\"targets.json\":{\"version\":7},\"a.json\":{\"version\":1}}}"
#define SHA256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define TARGETS "{\"targets\":{\"d/f\":{\"length\":3,\"hashes\":{\"sha256\":\"" SHA256 "\"}}}}"

static enum hf_err parse(const char *type, struct hf_bytes file, struct hf_why *why)
{
    enum hf_err err = HF_E_STATE;
    if (strcmp(type, "root") == 0) {
        struct hf_root m;
        err = hf_root_parse(file, &m, why);
        if (err == HF_OK)
            hf_root_free(&m);
    } else if (strcmp(type, "timestamp") == 0) {
        struct hf_timestamp m;
        err = hf_timestamp_parse(file, &m, why);
        if (err == HF_OK)
            hf_timestamp_free(&m);
    } else if (strcmp(type, "snapshot") == 0) {
        struct hf_snapshot m;
        err = hf_snapshot_parse(file, &m, why);
        if (err == HF_OK)
            hf_snapshot_free(&m);
    } else {
        struct hf_targets m;
        err = hf_targets_parse(file, &m, why);
        if (err == HF_OK)
            hf_targets_free(&m);
    }
    return err;
}

static enum hf_err parse_with(const char *type, const char *members, const char *key,
                              const char *value, struct hf_why *why)
{
    struct hf_buf file = {0};
    build(type, members, key, value, &file);
    enum hf_err err = parse(type, hf_buf_bytes(&file), why);
    hf_buf_free(&file);
    return err;
}

static const struct {
    const char *type;
    const char *members;
} kinds[] = {{"root", ROOT},
             {"timestamp", TIMESTAMP},
             {"snapshot", SNAPSHOT},
             {"targets", TARGETS}};
#define N_KINDS (sizeof kinds / sizeof kinds[0])

static void every_kind_is_read(void **state)
{
    (void)state;
    struct hf_why why = {0};
    for (size_t i = 0; i < N_KINDS; i++) {
        CHECK_OK(parse_with(kinds[i].type, kinds[i].members, NULL, NULL, &why));
        CHECK_OK(parse_with(kinds[i].type, kinds[i].members, "spec_version", "\"1.0\"", &why));
        CHECK_OK(parse_with(kinds[i].type, kinds[i].members, "x-unknown", "{\"a\":[]}", &why));
        CHECK_OK(parse_with(kinds[i].type, kinds[i].members, "x-nanoseconds", "1760000000000000000",
                            &why));
        /* another publisher's field of that name */
        CHECK_OK(parse_with(kinds[i].type, kinds[i].members, "signed_at", "1700000000", &why));
    }
}

static void common_fields_are_required_and_of_their_type(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *part;
    } faults[] = {
        {"_type", NULL, "\"_type\""},
        {"_type", "\"mirrors\"", "found another"},
        {"spec_version", NULL, "\"spec_version\""},
        {"spec_version", "\"2.0.0\"", "follow version 1"},
        {"spec_version", "\"1.\"", "follow version 1"},
        {"spec_version", "\"1.x\"", "follow version 1"},
        {"spec_version", "\"1..0\"", "follow version 1"},
        {"spec_version", "\"1.0.\"", "follow version 1"},
        {"version", NULL, "\"version\""},
        {"version", "0", "at least 1"},
        {"version", "-1", "at least 1"},
        {"version", "\"1\"", "whole number"},
        {"version", "9007199254740992", "2^53"},
        {"expires", NULL, "\"expires\""},
        {"expires", "1900000000", "\"expires\""},
    };
    for (size_t k = 0; k < N_KINDS; k++) {
        for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
            struct hf_why why = {0};
            CHECK_REFUSED(parse_with(kinds[k].type, kinds[k].members, faults[i].key,
                                     faults[i].value, &why),
                          HF_E_FORMAT, &why, faults[i].part);
        }
    }
}

/* Of root the newest one's expiry counts, so an odd one is no reason not to read the file. */
static void an_odd_expiry_is_refused_but_counts_as_past_in_root(void **state)
{
    (void)state;
    static const char *const odd[] = {"\"2030-01-01\"", "\"2030-02-30T00:00:00Z\"",
                                      "\"2030-01-01T00:00:00.5Z\"", "\"12030-01-01T00:00:00Z\"",
                                      "\"\""};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        struct hf_why why = {0};
        for (size_t k = 1; k < N_KINDS; k++)
            CHECK_REFUSED(parse_with(kinds[k].type, kinds[k].members, "expires", odd[i], &why),
                          HF_E_FORMAT, &why, "should be a time");
        struct hf_buf file = {0};
        struct hf_root root;
        build("root", ROOT, "expires", odd[i], &file);
        CHECK_OK(hf_root_parse(hf_buf_bytes(&file), &root, &why));
        assert_int_equal(root.env.expires_s, 0);
        hf_root_free(&root);
        hf_buf_free(&file);
    }
}

static void a_file_beyond_its_limit_is_refused_unread(void **state)
{
    (void)state;
    struct hf_why why = {0};
    static uint8_t big[HF_TIMESTAMP_BYTES_MAX + 1];
    CHECK_REFUSED(parse("timestamp", (struct hf_bytes){big, sizeof big}, &why), HF_E_LIMIT, &why,
                  "timestamp metadata of 16385 bytes");
}

static void what_is_missing_or_odd_in_each_kind_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *type, *members, *key, *value, *part;
    } faults[] = {
        {"root", ROOT, "keys", NULL, "\"keys\""},
        {"root", ROOT, "roles", NULL, "\"roles\""},
        {"root", ROOT, "roles", "{}", "\"root\""},
        {"root", ROOT, "consistent_snapshot", "1", "true or false"},
        {"root", ROOT, "keys", "{\"a\":1}", "key"},
        {"root", ROOT, "roles", "{\"root\":{\"keyids\":[\"a\",\"a\"],\"threshold\":1}}", "twice"},
        {"root", ROOT, "roles", "{\"root\":{\"keyids\":[1],\"threshold\":1}}", "strings"},
        {"root", ROOT, "roles", "{\"root\":{\"keyids\":[],\"threshold\":0}}", "at least 1"},
        {"timestamp", TIMESTAMP, "meta", NULL, "\"meta\""},
        {"timestamp", TIMESTAMP, "meta", "{}", "snapshot.json"},
        {"timestamp", TIMESTAMP, "meta", "{\"snapshot.json\":{}}", "\"version\""},
        {"timestamp", TIMESTAMP, "meta", "{\"snapshot.json\":{\"version\":1,\"length\":-1}}",
         "length"},
        {"timestamp", TIMESTAMP, "meta", "{\"snapshot.json\":{\"version\":1,\"hashes\":{}}}",
         "0 hashes"},
        {"timestamp", TIMESTAMP, "meta",
         "{\"snapshot.json\":{\"version\":1,\"hashes\":{\"sha256\":\"ab\"}}}", "64 hexadecimal"},
        {"snapshot", SNAPSHOT, "meta", "{\"targets.json\":{\"version\":0}}", "at least 1"},
        {"snapshot", SNAPSHOT, "meta", "{\"targets.json\":5}", "should be an object"},
        {"targets", TARGETS, "targets", NULL, "\"targets\""},
        {"targets", TARGETS, "targets", "{\"a\":{\"hashes\":{\"sha256\":\"" SHA256 "\"}}}",
         "length"},
        {"targets", TARGETS, "targets", "{\"a\":{\"length\":1}}", "hashes"},
        {"targets", TARGETS, "delegations", "[]", "\"delegations\""},
        {"targets", TARGETS, "delegations", "{\"keys\":{},\"roles\":{}}", "\"roles\""},
        {"targets", TARGETS, "delegations", "{\"keys\":{},\"roles\":[{}]}", "\"name\""},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct hf_why why = {0};
        CHECK_REFUSED(parse_with(faults[i].type, faults[i].members, faults[i].key, faults[i].value,
                                 &why),
                      HF_E_FORMAT, &why, faults[i].part);
    }
}

#define DELEGATION(name, scope)                                                                    \
    "{\"name\":\"" name "\",\"terminating\":false,\"keyids\":[],\"threshold\":1," scope "}"
#define DELEGATIONS(list) "{\"keys\":{},\"roles\":[" list "]}"

static void a_delegation_has_a_name_of_its_own_and_one_scope(void **state)
{
    (void)state;
    static const struct {
        const char *delegations, *part;
    } faults[] = {
        {DELEGATIONS(DELEGATION("root", "\"paths\":[]")), "as a top-level role is"},
        {DELEGATIONS(DELEGATION("", "\"paths\":[]")), "name of 1 to"},
        {DELEGATIONS(DELEGATION("a", "\"paths\":[]") "," DELEGATION("a", "\"paths\":[]")), "twice"},
        {DELEGATIONS(DELEGATION("a", "\"paths\":[],\"path_hash_prefixes\":[]")), "either paths or"},
        {DELEGATIONS(DELEGATION("a", "\"paths\":[1]")), "should be strings"},
        {DELEGATIONS(DELEGATION("a", "\"paths\":{}")), "should be a list"},
        {DELEGATIONS("{\"name\":\"a\",\"keyids\":[],\"threshold\":1,\"paths\":[]}"), "terminating"},
    };
    struct hf_why why = {0};
    CHECK_OK(parse_with("targets", TARGETS, "delegations",
                        DELEGATIONS(DELEGATION("a", "\"paths\":[\"x\"]")), &why));
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        CHECK_REFUSED(parse_with("targets", TARGETS, "delegations", faults[i].delegations, &why),
                      HF_E_FORMAT, &why, faults[i].part);
}

static void lists_are_bounded(void **state)
{
    (void)state;
    struct hf_why why = {0};
    struct hf_buf ids = {0};
    CHECK_OK(hf_buf_append_text(&ids, "{\"root\":{\"threshold\":1,\"keyids\":["));
    for (int i = 0; i <= HF_ROLE_KEYS_MAX; i++)
        CHECK_OK(hf_buf_printf(&ids, "%s\"%d\"", i == 0 ? "" : ",", i));
    CHECK_OK(hf_buf_append_text(&ids, "]}}"));
    CHECK_REFUSED(parse_with("root", ROOT, "roles", (const char *)ids.data, &why), HF_E_LIMIT, &why,
                  "65 key ids");
    hf_buf_free(&ids);
}

static void signatures_must_have_their_shape(void **state)
{
    (void)state;
    static const struct {
        const char *signatures, *part;
    } faults[] = {
        {"{}", "\"signatures\""},
        {"[1]", "\"keyid\""},
        {"[{\"sig\":\"\"}]", "\"keyid\""},
        {"[{\"keyid\":\"a\",\"sig\":\"\"},{\"keyid\":\"a\",\"sig\":\"00\"}]", "one key signs once"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct hf_why why = {0};
        struct hf_buf file = {0};
        CHECK_OK(hf_buf_printf(&file,
                               "{\"signed\":{\"_type\":\"timestamp\",\"spec_version\":\"1.0\","
                               "\"version\":1,\"expires\":\"2030-01-01T00:00:00Z\"},"
                               "\"signatures\":%s}",
                               faults[i].signatures));
        CHECK_REFUSED(parse("timestamp", hf_buf_bytes(&file), &why), HF_E_FORMAT, &why,
                      faults[i].part);
        hf_buf_free(&file);
    }
}

/* ---- file info ------------------------------------------------------------------------------- */

static struct hf_file_info info_of(const char *text)
{
    struct hf_file_info info;
    struct hf_why why = {0};
    json_t *object = json_loads(text, 0, NULL);
    CHECK_OK(hf_file_info_parse(object, HF_FILE_METADATA, "it", &info, &why));
    json_decref(object);
    return info;
}

static void length_and_every_known_hash_must_match(void **state)
{
    (void)state;
    struct hf_why why = {0};
    struct hf_bytes abc = hf_bytes_of_text("abc");
    struct hf_file_info info = info_of("{\"version\":1}");
    CHECK_OK(hf_file_info_verify(&info, abc, "it", &why));
    info = info_of("{\"version\":1,\"length\":3,\"hashes\":{\"sha256\":\"" SHA256
                   "\",\"md99\":\"x\"}}");
    CHECK_OK(hf_file_info_verify(&info, abc, "it", &why));
    CHECK_REFUSED(hf_file_info_verify(&info, hf_bytes_of_text("abd"), "it", &why), HF_E_HASH, &why,
                  "its SHA-256 is ");
    CHECK_REFUSED(hf_file_info_verify(&info, hf_bytes_of_text("abcd"), "it", &why), HF_E_HASH, &why,
                  "has 4 bytes, the signed metadata announces 3");
    info.has_sha512 = true; /* all zero: does not match */
    CHECK_REFUSED(hf_file_info_verify(&info, abc, "it", &why), HF_E_HASH, &why,
                  "does not have a hash");
    info.has_sha256 = false;
    CHECK_REFUSED(hf_file_info_verify(&info, abc, "it", &why), HF_E_HASH, &why,
                  "does not have a hash");
    hf_sha512(abc, info.sha512);
    CHECK_OK(hf_file_info_verify(&info, abc, "it", &why));
    info = info_of("{\"version\":1,\"hashes\":{\"md99\":\"x\"}}");
    CHECK_REFUSED(hf_file_info_verify(&info, abc, "it", &why), HF_E_HASH, &why,
                  "does not have a hash");
}

/* ---- paths ----------------------------------------------------------------------------------- */

static void a_path_that_could_leave_its_folder_is_not_safe(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     "/",      "/a",    "a/",      "a//b", "..",
                                      "../a", "a/../b", "a/..",  ".",       "./a",  "a/./b",
                                      "a\\b", "a\nb",   "a\x7f", "a/\x01/b"};
    static const char *const good[] = {"a", "a/b", "...", "a/..b", ".a", "s/p/1.pem", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (hf_target_path_is_safe(bad[i]))
            fail_msg("\"%s\" was taken for safe", bad[i]);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!hf_target_path_is_safe(good[i]))
            fail_msg("\"%s\" was refused", good[i]);
    }
    char longest[HF_TARGET_PATH_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[HF_TARGET_PATH_MAX] = '\0';
    assert_true(hf_target_path_is_safe(longest));
    longest[HF_TARGET_PATH_MAX] = 'a';
    longest[HF_TARGET_PATH_MAX + 1] = '\0';
    assert_false(hf_target_path_is_safe(longest));
}

static void check_file_name(const struct hf_target *t, bool consistent, const char *expected)
{
    struct hf_buf name = {0};
    struct hf_why why = {0};
    CHECK_OK(hf_target_file_name(t, consistent, &name, &why));
    assert_string_equal((const char *)name.data, expected);
    hf_buf_free(&name);
}

static void a_target_is_fetched_under_its_hash(void **state)
{
    (void)state;
    struct hf_target t = {.path = "d/e/f.pem"};
    struct hf_buf name = {0};
    struct hf_why why = {0};
    check_file_name(&t, false, "d/e/f.pem");
    CHECK_REFUSED(hf_target_file_name(&t, true, &name, &why), HF_E_FORMAT, &why, "neither");
    t.info.has_sha256 = true;
    check_file_name(&t, true,
                    "d/e/0000000000000000000000000000000000000000000000000000000000000000.f.pem");
    t.path = "f.pem";
    check_file_name(&t, true,
                    "0000000000000000000000000000000000000000000000000000000000000000.f.pem");
    t.info.has_sha256 = false;
    t.info.has_sha512 = true;
    CHECK_OK(hf_target_file_name(&t, true, &name, &why));
    assert_int_equal(name.len, 128 + strlen(".f.pem"));
    hf_buf_free(&name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_read),
        cmocka_unit_test(common_fields_are_required_and_of_their_type),
        cmocka_unit_test(an_odd_expiry_is_refused_but_counts_as_past_in_root),
        cmocka_unit_test(a_file_beyond_its_limit_is_refused_unread),
        cmocka_unit_test(what_is_missing_or_odd_in_each_kind_is_said),
        cmocka_unit_test(a_delegation_has_a_name_of_its_own_and_one_scope),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(signatures_must_have_their_shape),
        cmocka_unit_test(length_and_every_known_hash_must_match),
        cmocka_unit_test(a_path_that_could_leave_its_folder_is_not_safe),
        cmocka_unit_test(a_target_is_fetched_under_its_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
