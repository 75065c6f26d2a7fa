/* common/bundle/description.c: what is signed about a bundle. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "common/bundle/description.h"
#include "common/json/json.h"

#include <stdio.h>

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HEAD "\"set\":\"amazon-iot\",\"profile\":\"full\",\"version\":7"

static json_t *json_of(const char *text)
{
    json_t *value = NULL;
    struct hf_why why = {0};
    if (hf_json_parse_object(hf_bytes_of_text(text), "a test", &value, &why) != HF_OK)
        fail_msg("%s in %s", why.text, text);
    return value;
}

/* `members` is what stands in "holdfast". */
static enum hf_err parse(const char *members, struct hf_description *out, struct hf_why *why)
{
    char text[1024];
    assert_true(snprintf(text, sizeof text, "{\"holdfast\":{%s}}", members) < (int)sizeof text);
    json_t *custom = json_of(text);
    enum hf_err err = hf_description_parse(custom, out, why);
    json_decref(custom);
    return err;
}

/* Refused with that sentence, and nothing written. */
static void assert_refused(const char *members, enum hf_err wanted, const char *part)
{
    struct hf_description d = {.version = 99, .n_notes = 3, .n_drops = 4};
    struct hf_why why = {0};
    CHECK_REFUSED(parse(members, &d, &why), wanted, &why, part);
    assert_int_equal(d.version, 99);
    assert_int_equal(d.n_notes, 3);
    assert_int_equal(d.n_drops, 4);
}

static void the_least_that_can_be_said(void **state)
{
    (void)state;
    struct hf_description d = {0};
    struct hf_why why = {0};
    CHECK_OK(parse(HEAD, &d, &why));
    assert_string_equal(d.set, "amazon-iot");
    assert_string_equal(d.profile, "full");
    assert_int_equal(d.version, 7);
    assert_int_equal(d.n_notes, 0);
    assert_int_equal(d.n_drops, 0);
    hf_description_free(&d);
}

static void notes_and_drops_are_read(void **state)
{
    (void)state;
    struct hf_description d = {0};
    struct hf_why why = {0};
    CHECK_OK(parse(HEAD ",\"anchors\":[{\"sha256\":\"" A64 "\",\"use\":\"cross-signed\","
                        "\"distrust_after\":\"2027-04-15T00:00:00Z\"},"
                        "{\"sha256\":\"" B64 "\",\"remove_after\":\"2040-01-01T00:00:00Z\"}],"
                        "\"drops\":[\"" B64 "\"]",
                   &d, &why));
    uint8_t a[HF_SHA256_LEN], c[HF_SHA256_LEN];
    memset(a, 0xAA, sizeof a);
    memset(c, 0xCC, sizeof c);
    const struct hf_anchor_note *note = hf_description_note(&d, a);
    assert_non_null(note);
    assert_int_equal(note->use, HF_USE_CROSS_SIGNED);
    assert_true(note->distrust_after_s == INT64_C(1807747200));
    assert_true(note->remove_after_s == HF_TIME_NONE);
    assert_null(hf_description_note(&d, c));
    assert_int_equal(d.n_notes, 2);
    assert_int_equal(d.notes[1].use, HF_USE_ANCHOR);
    assert_true(d.notes[1].distrust_after_s == HF_TIME_NONE);
    assert_true(d.notes[1].remove_after_s == INT64_C(2208988800));
    assert_int_equal(d.n_drops, 1);
    assert_int_equal(d.drops[0][31], 0xBB);
    hf_description_free(&d);
}

static void a_target_without_description_is_not_found(void **state)
{
    (void)state;
    struct hf_description d = {.version = 99};
    struct hf_why why = {0};
    json_t *other = json_of("{\"other\":{}}");
    CHECK_REFUSED(hf_description_parse(other, &d, &why), HF_E_NOT_FOUND, &why, "it is no bundle");
    CHECK_REFUSED(hf_description_parse(NULL, &d, &why), HF_E_NOT_FOUND, &why, "it is no bundle");
    json_decref(other);
    CHECK_REFUSED(hf_description_parse(NULL, &d, &why), HF_E_NOT_FOUND, &why, "it is no bundle");
    json_t *text = json_of("{\"holdfast\":\"text\"}");
    CHECK_REFUSED(hf_description_parse(text, &d, &why), HF_E_FORMAT, &why, "an object");
    json_decref(text);
    assert_int_equal(d.version, 99);
}

static void unknown_members_are_ignored_and_known_ones_are_strict(void **state)
{
    (void)state;
    struct hf_description d = {0};
    struct hf_why why = {0};
    CHECK_OK(parse(HEAD ",\"min_version\":3,\"anchors\":[{\"sha256\":\"" A64 "\",\"colour\":1}]",
                   &d, &why));
    assert_int_equal(d.n_notes, 1);
    hf_description_free(&d);

    CHECK_OK(parse(HEAD ",\"anchors\":[],\"drops\":[]", &d, &why));
    assert_true(d.n_notes == 0 && d.n_drops == 0);
    hf_description_free(&d);

    assert_refused("\"profile\":\"full\",\"version\":7", HF_E_FORMAT, "\"set\"");
    assert_refused("\"set\":\"a\",\"version\":7", HF_E_FORMAT, "\"profile\"");
    assert_refused("\"set\":\"a\",\"profile\":\"b\"", HF_E_FORMAT, "\"version\"");
    assert_refused("\"set\":\"a\",\"profile\":\"b\",\"version\":\"7\"", HF_E_FORMAT, "\"version\"");
    assert_refused("\"set\":\"a\",\"profile\":\"b\",\"version\":0", HF_E_FORMAT, "at least 1");
    assert_refused("\"set\":\"../a\",\"profile\":\"b\",\"version\":7", HF_E_FORMAT, "\"../a\"");
    assert_refused(HEAD ",\"anchors\":{}", HF_E_FORMAT, "\"anchors\"");
    assert_refused(HEAD ",\"anchors\":[7]", HF_E_FORMAT, "\"sha256\"");
    assert_refused(HEAD ",\"anchors\":[{\"sha256\":\"aa\"}]", HF_E_FORMAT, "found \"aa\"");
    assert_refused(HEAD ",\"anchors\":[{\"sha256\":\"" A64 "\",\"use\":\"leaf\"}]", HF_E_FORMAT,
                   "found \"leaf\"");
    assert_refused(HEAD ",\"anchors\":[{\"sha256\":\"" A64 "\",\"use\":null}]", HF_E_FORMAT,
                   "\"use\"");
    assert_refused(HEAD ",\"anchors\":[{\"sha256\":\"" A64 "\",\"distrust_after\":\"2027-04-15\"}]",
                   HF_E_FORMAT, "should be a time");
    assert_refused(HEAD ",\"anchors\":[{\"sha256\":\"" A64 "\",\"remove_after\":1}]", HF_E_FORMAT,
                   "\"remove_after\"");
    assert_refused(HEAD ",\"drops\":\"" A64 "\"", HF_E_FORMAT, "\"drops\"");
    assert_refused(HEAD ",\"drops\":[7]", HF_E_FORMAT, "\"drops\"");
    assert_refused(HEAD ",\"drops\":[\"" A64 "a\"]", HF_E_FORMAT, "SHA-256");
}

static void nothing_is_said_twice(void **state)
{
    (void)state;
    assert_refused(HEAD ",\"anchors\":[{\"sha256\":\"" A64 "\"},{\"sha256\":\"" A64 "\"}]",
                   HF_E_FORMAT, "twice");
    assert_refused(HEAD ",\"drops\":[\"" A64 "\",\"" B64 "\",\"" A64 "\"]", HF_E_FORMAT, "twice");
    /* The same hash in other letters is the same. */
    assert_refused(HEAD ",\"drops\":[\"" A64
                        "\",\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"]",
                   HF_E_FORMAT, "twice");
}

static void lists_are_bounded(void **state)
{
    (void)state;
    json_t *custom = json_of("{\"holdfast\":{" HEAD ",\"drops\":[]}}");
    json_t *drops = json_object_get(json_object_get(custom, "holdfast"), "drops");
    struct hf_description d = {0};
    struct hf_why why = {0};
    for (int i = 0; i <= HF_BUNDLE_ANCHORS_MAX; i++) {
        char hex[65];
        (void)snprintf(hex, sizeof hex, "%064x", (unsigned)i);
        if (i == HF_BUNDLE_ANCHORS_MAX) {
            CHECK_OK(hf_description_parse(custom, &d, &why));
            assert_int_equal(d.n_drops, HF_BUNDLE_ANCHORS_MAX);
            hf_description_free(&d);
        }
        assert_int_equal(json_array_append_new(drops, json_string(hex)), 0);
    }
    CHECK_REFUSED(hf_description_parse(custom, &d, &why), HF_E_LIMIT, &why, "513 entries");
    json_decref(custom);
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    struct hf_anchor_note notes[3] = {
        {{1}, HF_USE_ANCHOR, INT64_C(1807747200), HF_TIME_NONE},
        {{2}, HF_USE_INTERMEDIATE, HF_TIME_NONE, INT64_C(4102444800)},
        {{3}, HF_USE_CROSS_SIGNED, HF_TIME_NONE, HF_TIME_NONE},
    };
    uint8_t drops[2][HF_SHA256_LEN] = {{4}, {5}};
    struct hf_description d = {"amazon-iot", "ecc", 12, notes, 3, drops, 2};
    struct hf_description again = {0};
    struct hf_why why = {0};
    json_t *custom = NULL;
    CHECK_OK(hf_description_to_json(&d, &custom, &why));
    CHECK_OK(hf_description_parse(custom, &again, &why));
    assert_string_equal(again.set, d.set);
    assert_string_equal(again.profile, d.profile);
    assert_int_equal(again.version, 12);
    assert_int_equal(again.n_notes, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_memory_equal(again.notes[i].sha256, notes[i].sha256, HF_SHA256_LEN);
        assert_int_equal(again.notes[i].use, notes[i].use);
        assert_true(again.notes[i].distrust_after_s == notes[i].distrust_after_s);
        assert_true(again.notes[i].remove_after_s == notes[i].remove_after_s);
    }
    assert_int_equal(again.n_drops, 2);
    assert_memory_equal(again.drops, drops, sizeof drops);
    json_decref(custom);
    hf_description_free(&again);
}

static void what_has_nothing_to_say_is_left_out(void **state)
{
    (void)state;
    struct hf_description d = {.set = "a", .profile = "b", .version = 1};
    struct hf_buf text = {0};
    struct hf_why why = {0};
    json_t *custom = NULL;
    CHECK_OK(hf_description_to_json(&d, &custom, &why));
    CHECK_OK(hf_json_canonical(custom, &text, &why));
    assert_string_equal((char *)text.data,
                        "{\"holdfast\":{\"profile\":\"b\",\"set\":\"a\",\"version\":1}}");
    hf_buf_free(&text);
    json_decref(custom);

    custom = NULL;
    d.version = 0; /* the factory's bundle is not published */
    CHECK_REFUSED(hf_description_to_json(&d, &custom, &why), HF_E_ARGUMENT, &why, "version 0");
    d = (struct hf_description){.set = "a", .profile = "../b", .version = 1};
    CHECK_REFUSED(hf_description_to_json(&d, &custom, &why), HF_E_ARGUMENT, &why, "\"../b\"");
    d = (struct hf_description){.set = "", .profile = "b", .version = 1};
    CHECK_REFUSED(hf_description_to_json(&d, &custom, &why), HF_E_ARGUMENT, &why, "set \"\"");
    assert_null(custom);
}

static void names_are_safe_in_paths_and_urls(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "0", "amazon-iot", "a.b_c-9"};
    static const char *const bad[] = {"",  ".",   "..",  "-a",  "_a",
                                      "A", "a/b", "a b", "a\n", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(hf_set_name_is_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(hf_set_name_is_valid(bad[i]));
    char name[HF_SET_NAME_MAX + 2];
    memset(name, 'a', sizeof name);
    name[HF_SET_NAME_MAX] = '\0';
    assert_true(hf_set_name_is_valid(name));
    name[HF_SET_NAME_MAX] = 'a';
    name[HF_SET_NAME_MAX + 1] = '\0';
    assert_false(hf_set_name_is_valid(name));
}

static void the_target_path_is_set_profile_version(void **state)
{
    (void)state;
    struct hf_description d = {.set = "amazon-iot", .profile = "full", .version = 9007199254740991};
    struct hf_buf path = {0};
    struct hf_why why = {0};
    CHECK_OK(hf_description_target_path(&d, &path, &why));
    assert_string_equal((char *)path.data, "amazon-iot/full/9007199254740991.pem");
    hf_buf_free(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_that_can_be_said),
        cmocka_unit_test(notes_and_drops_are_read),
        cmocka_unit_test(a_target_without_description_is_not_found),
        cmocka_unit_test(unknown_members_are_ignored_and_known_ones_are_strict),
        cmocka_unit_test(nothing_is_said_twice),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(what_has_nothing_to_say_is_left_out),
        cmocka_unit_test(names_are_safe_in_paths_and_urls),
        cmocka_unit_test(the_target_path_is_set_profile_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
