/* common/tuf: every maximum of limits.h. At the maximum it is read, one more is refused. */
#include "tests/support/check.h"

#include "common/base/limits.h"
#include "common/tuf/trusted_set.h"
#include "tests/support/tuf_sign.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW_S INT64_C(1900000000)
#define ZEROES "0000000000000000000000000000000000000000000000000000000000000000"

static struct hf_why why;

/* `n` times `format`, with the number in its place, and commas between them. */
static void repeat(struct hf_buf *out, const char *before, const char *format, int n,
                   const char *after)
{
    char element[512];
    CHECK_OK(hf_buf_append_text(out, before));
    for (int i = 0; i < n; i++) {
        const char *number = strchr(format, '#');
        snprintf(element, sizeof element, "%s%.*s%d%s", i == 0 ? "" : ",", (int)(number - format),
                 format, i, number + 1);
        CHECK_OK(hf_buf_append_text(out, element));
    }
    CHECK_OK(hf_buf_append_text(out, after));
}

/* A file of `type` whose signed part has the members of the JSON text `members` besides. */
static void build(const char *type, const char *members, struct hf_buf *out)
{
    struct tuf_keys none = {.n_keys = 0};
    json_t *part = tuf_signed_part(type, 1, NOW_S, INT64_MIN);
    json_t *more = json_loads(members, 0, NULL);
    assert_non_null(more);
    assert_int_equal(json_object_update(part, more), 0);
    json_decref(more);
    json_t *envelope = tuf_sign(part, &none, NULL);
    tuf_write(envelope, out);
    json_decref(envelope);
}

static enum hf_err parse_targets(struct hf_buf *members)
{
    struct hf_buf file = {0};
    struct hf_targets m = {0};
    build("targets", (const char *)members->data, &file);
    enum hf_err err = hf_targets_parse(hf_buf_bytes(&file), &m, &why);
    hf_targets_free(&m);
    hf_buf_free(&file);
    hf_buf_free(members);
    return err;
}

static enum hf_err parse_snapshot(struct hf_buf *members)
{
    struct hf_buf file = {0};
    struct hf_snapshot m = {0};
    build("snapshot", (const char *)members->data, &file);
    enum hf_err err = hf_snapshot_parse(hf_buf_bytes(&file), &m, &why);
    hf_snapshot_free(&m);
    hf_buf_free(&file);
    hf_buf_free(members);
    return err;
}

#define KEY "\"k#\":{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":\"00\"}}"
#define DELEGATION "{\"name\":\"r#\",\"keyids\":[\"a\"],\"threshold\":1,\"terminating\":true}"

static void keys_of_one_file(void **state)
{
    struct hf_buf members = {0};
    (void)state;
    repeat(&members, "{\"targets\":{},\"delegations\":{\"keys\":{", KEY, HF_KEYS_MAX, "}}}");
    CHECK_OK(parse_targets(&members));
    repeat(&members, "{\"targets\":{},\"delegations\":{\"keys\":{", KEY, HF_KEYS_MAX + 1, "}}}");
    CHECK_REFUSED(parse_targets(&members), HF_E_LIMIT, &why, "257 keys");
}

static void delegations_of_one_file(void **state)
{
    struct hf_buf members = {0};
    const char before[] = "{\"targets\":{},\"delegations\":{\"keys\":{},\"roles\":[";
    (void)state;
    repeat(&members, before, DELEGATION, HF_DELEGATIONS_MAX, "]}}");
    CHECK_OK(parse_targets(&members));
    repeat(&members, before, DELEGATION, HF_DELEGATIONS_MAX + 1, "]}}");
    CHECK_REFUSED(parse_targets(&members), HF_E_LIMIT, &why, "257 delegations");
}

static void patterns_of_one_delegation(void **state)
{
    struct hf_buf members = {0};
    const char before[] = "{\"targets\":{},\"delegations\":{\"keys\":{},\"roles\":[{\"name\":\"a\","
                          "\"keyids\":[],\"threshold\":1,\"terminating\":true,\"paths\":[";
    (void)state;
    repeat(&members, before, "\"p#\"", HF_PATH_PATTERNS_MAX, "]}]}}");
    CHECK_OK(parse_targets(&members));
    repeat(&members, before, "\"p#\"", HF_PATH_PATTERNS_MAX + 1, "]}]}}");
    CHECK_REFUSED(parse_targets(&members), HF_E_LIMIT, &why, "1025 elements");
}

static void files_of_one_snapshot(void **state)
{
    struct hf_buf members = {0};
    (void)state;
    repeat(&members, "{\"meta\":{", "\"#.json\":{\"version\":1}", HF_SNAPSHOT_ENTRIES_MAX, "}}");
    CHECK_OK(parse_snapshot(&members));
    repeat(&members, "{\"meta\":{", "\"#.json\":{\"version\":1}", HF_SNAPSHOT_ENTRIES_MAX + 1,
           "}}");
    CHECK_REFUSED(parse_snapshot(&members), HF_E_LIMIT, &why, "513 files");
}

static void hashes_of_one_file(void **state)
{
    struct hf_buf members = {0};
    const char before[] = "{\"targets\":{\"t\":{\"length\":1,\"hashes\":{";
    (void)state;
    repeat(&members, before, "\"h#\":\"00\"", HF_HASHES_MAX, "}}}}");
    CHECK_OK(parse_targets(&members));
    repeat(&members, before, "\"h#\":\"00\"", HF_HASHES_MAX + 1, "}}}}");
    CHECK_REFUSED(parse_targets(&members), HF_E_LIMIT, &why, "9 hashes");
}

static enum hf_err parse_with_signatures(int n)
{
    struct hf_buf file = {0};
    struct hf_timestamp m = {0};
    repeat(&file,
           "{\"signed\":{\"_type\":\"timestamp\",\"spec_version\":\"1.0\",\"version\":1,"
           "\"expires\":\"2030-01-01T00:00:00Z\",\"meta\":{\"snapshot.json\":{\"version\":1}}},"
           "\"signatures\":[",
           "{\"keyid\":\"k#\",\"sig\":\"00\"}", n, "]}");
    enum hf_err err = hf_timestamp_parse(hf_buf_bytes(&file), &m, &why);
    hf_timestamp_free(&m);
    hf_buf_free(&file);
    return err;
}

static void signatures_of_one_file(void **state)
{
    (void)state;
    CHECK_OK(parse_with_signatures(HF_SIGNATURES_MAX));
    CHECK_REFUSED(parse_with_signatures(HF_SIGNATURES_MAX + 1), HF_E_LIMIT, &why, "129 signatures");
}

/* `len` letters in the place of the '#' of `format`. */
static enum hf_err parse_with_long_text(const char *format, size_t len)
{
    struct hf_buf members = {0};
    char *text = calloc(1, len + 1);
    assert_non_null(text);
    memset(text, 'a', len);
    const char *place = strchr(format, '#');
    CHECK_OK(hf_buf_printf(&members, "%.*s%s%s", (int)(place - format), format, text, place + 1));
    free(text);
    return parse_targets(&members);
}

static void names_and_paths(void **state)
{
    static const struct {
        const char *format, *part;
        size_t max;
        enum hf_err err;
    } cases[] = {
        {"{\"targets\":{\"#\":{\"length\":1,\"hashes\":{\"sha256\":\"" ZEROES "\"}}}}",
         "longer than 1024", HF_TARGET_PATH_MAX, HF_E_LIMIT},
        {"{\"targets\":{},\"delegations\":{\"keys\":{},\"roles\":[{\"name\":\"a\",\"keyids\":[],"
         "\"threshold\":1,\"terminating\":true,\"paths\":[\"#\"]}]}}",
         "more than 1024", HF_TARGET_PATH_MAX, HF_E_LIMIT},
        {"{\"targets\":{},\"delegations\":{\"keys\":{},\"roles\":[{\"name\":\"#\",\"keyids\":[],"
         "\"threshold\":1,\"terminating\":true}]}}",
         "1 to 256 bytes", HF_ROLE_NAME_MAX, HF_E_FORMAT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_OK(parse_with_long_text(cases[i].format, cases[i].max));
        CHECK_REFUSED(parse_with_long_text(cases[i].format, cases[i].max + 1), cases[i].err, &why,
                      cases[i].part);
    }
}

/* A longer one is of no scheme known here: it counts for nothing, but stops nothing. */
static void long_keys_and_signatures_count_for_nothing(void **state)
{
    char text[HF_PUBLIC_KEY_TEXT_MAX + 2];
    struct hf_key key = {0};
    (void)state;
    memset(text, '0', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    json_t *object = json_pack("{s:s, s:s, s:{s:s}}", "keytype", "ed25519", "scheme", "ed25519",
                               "keyval", "public", text);
    CHECK_OK(hf_key_parse("k", object, &key, &why));
    assert_int_equal(key.scheme, HF_SCHEME_UNKNOWN);
    json_decref(object);

    struct hf_envelope e = {0};
    struct hf_buf file = {0};
    text[2 * HF_SIGNATURE_BYTES_MAX + 2] = '\0';
    CHECK_OK(hf_buf_printf(&file,
                           "{\"signed\":{\"_type\":\"root\",\"spec_version\":\"1.0\",\"version\":1,"
                           "\"expires\":\"2030-01-01T00:00:00Z\"},\"signatures\":["
                           "{\"keyid\":\"a\",\"sig\":\"%s\"},{\"keyid\":\"b\",\"sig\":\"%s\"},"
                           "{\"keyid\":\"c\",\"sig\":\"000\"},{\"keyid\":\"d\"},"
                           "{\"keyid\":\"e\",\"sig\":7}]}",
                           text, text + 2));
    CHECK_OK(hf_envelope_parse(hf_buf_bytes(&file), "root", &e, &why));
    assert_int_equal(e.n_signatures, 5);
    assert_null(e.signatures[0].bytes);
    assert_int_equal(e.signatures[1].len, HF_SIGNATURE_BYTES_MAX);
    for (size_t i = 2; i < 5; i++)
        assert_null(e.signatures[i].bytes);
    hf_envelope_free(&e);
    hf_buf_free(&file);
}

/* ---- roles held at once ---------------------------------------------------------------------- */

/* A targets file that delegates to the first `n` roles, all with one key. */
static void build_delegator(const struct tuf_keys *keys, int n, struct hf_buf *out)
{
    struct hf_buf roles = {0}, members = {0};
    char format[320];
    json_t *key = json_pack("{s:o}", keys->keys[0].key_id, tuf_key_json(&keys->keys[0]));
    char *key_text = json_dumps(key, JSON_COMPACT);
    snprintf(format, sizeof format,
             "{\"name\":\"r#\",\"keyids\":[\"%s\"],\"threshold\":1,\"terminating\":true}",
             keys->keys[0].key_id);
    repeat(&roles, "[", format, n, "]");
    CHECK_OK(hf_buf_printf(&members, "{\"targets\":{},\"delegations\":{\"keys\":%s,\"roles\":%s}}",
                           key_text, (const char *)roles.data));
    json_t *part = tuf_signed_part("targets", 1, NOW_S + 1, INT64_MIN);
    json_t *more = json_loads((const char *)members.data, 0, NULL);
    assert_int_equal(json_object_update(part, more), 0);
    json_t *envelope = tuf_sign(part, keys, NULL);
    tuf_write(envelope, out);
    json_decref(envelope);
    json_decref(more);
    json_decref(key);
    free(key_text);
    hf_buf_free(&roles);
    hf_buf_free(&members);
}

static void build_signed(const char *type, const char *members, const struct tuf_keys *keys,
                         struct hf_buf *out)
{
    json_t *part = tuf_signed_part(type, 1, NOW_S + 1, INT64_MIN);
    json_t *more = json_loads(members, 0, NULL);
    assert_non_null(more);
    assert_int_equal(json_object_update(part, more), 0);
    json_t *envelope = tuf_sign(part, keys, NULL);
    tuf_write(envelope, out);
    json_decref(envelope);
    json_decref(more);
}

/* A set with a snapshot that lists targets.json and r0.json to r1023.json. */
static void load_up_to_snapshot(const struct tuf_keys *keys, struct hf_trusted_set *set)
{
    struct hf_buf root = {0}, timestamp = {0}, snapshot = {0}, members = {0};
    json_t *role = tuf_role_json(keys);
    json_t *json = json_pack("{s:{s:o}, s:{s:O, s:O, s:O, s:O}}", "keys", keys->keys[0].key_id,
                             tuf_key_json(&keys->keys[0]), "roles", "root", role, "timestamp", role,
                             "snapshot", role, "targets", role);
    char *text = json_dumps(json, 0);
    build_signed("root", text, keys, &root);
    build_signed("timestamp", "{\"meta\":{\"snapshot.json\":{\"version\":1}}}", keys, &timestamp);
    repeat(&members, "{\"meta\":{\"targets.json\":{\"version\":1},", "\"r#.json\":{\"version\":1}",
           HF_DELEGATIONS_MAX, "}}");
    build_signed("snapshot", (const char *)members.data, keys, &snapshot);
    CHECK_OK(hf_trusted_set_init(set, hf_buf_bytes(&root), NOW_S, &why));
    CHECK_OK(hf_trusted_set_end_roots(set, &why));
    CHECK_OK(hf_trusted_set_update_timestamp(set, hf_buf_bytes(&timestamp), HF_FETCHED, &why));
    CHECK_OK(hf_trusted_set_update_snapshot(set, hf_buf_bytes(&snapshot), HF_FETCHED, &why));
    free(text);
    json_decref(json);
    json_decref(role);
    hf_buf_free(&root);
    hf_buf_free(&timestamp);
    hf_buf_free(&snapshot);
    hf_buf_free(&members);
}

static void targets_roles_held_at_once(void **state)
{
    struct hf_trusted_set set = {0};
    struct tuf_keys keys;
    struct hf_buf top = {0}, other = {0};
    char name[HF_ROLE_NAME_MAX + 2];
    (void)state;
    tuf_keys_make(&keys, 1, 1);
    build_delegator(&keys, HF_DELEGATIONS_MAX, &top);
    build_delegator(&keys, 1, &other);
    load_up_to_snapshot(&keys, &set);
    struct hf_bytes bytes = hf_buf_bytes(&other);
    CHECK_OK(hf_trusted_set_update_targets(&set, hf_buf_bytes(&top), "targets", NULL, &why));
    for (int i = 0; set.n_targets < HF_TARGETS_ROLES_MAX; i++) {
        snprintf(name, sizeof name, "r%d", i);
        CHECK_OK(hf_trusted_set_update_targets(&set, bytes, name, set.targets[0], &why));
    }
    CHECK_REFUSED(hf_trusted_set_update_targets(&set, bytes, "r0", set.targets[1], &why),
                  HF_E_LIMIT, &why, "more than 257 targets roles");
    assert_int_equal(set.n_targets, HF_TARGETS_ROLES_MAX);
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    CHECK_REFUSED(hf_trusted_set_update_targets(&set, bytes, name, set.targets[0], &why),
                  HF_E_LIMIT, &why, "more than 256 bytes");
    hf_trusted_set_free(&set);
    hf_buf_free(&top);
    hf_buf_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_one_file),
        cmocka_unit_test(delegations_of_one_file),
        cmocka_unit_test(patterns_of_one_delegation),
        cmocka_unit_test(files_of_one_snapshot),
        cmocka_unit_test(hashes_of_one_file),
        cmocka_unit_test(signatures_of_one_file),
        cmocka_unit_test(names_and_paths),
        cmocka_unit_test(long_keys_and_signatures_count_for_nothing),
        cmocka_unit_test(targets_roles_held_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
