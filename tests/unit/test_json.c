/* common/json: strict reading, canonical writing. */
#include "tests/support/check.h"

#include "common/base/limits.h"
#include "common/json/json.h"

static enum hf_err parse(const char *text, size_t len, struct hf_why *why)
{
    json_t *value = NULL;
    struct hf_bytes bytes = {(const uint8_t *)text, len};
    enum hf_err err = hf_json_parse_object(bytes, "the file", &value, why);
    assert_true((err == HF_OK) == (value != NULL));
    json_decref(value);
    return err;
}

#define CHECK_PARSE_REFUSED(text, code, part)                                                      \
    do {                                                                                           \
        struct hf_why why_ = {0};                                                                  \
        CHECK_REFUSED(parse(text, sizeof(text) - 1, &why_), code, &why_, part);                    \
    } while (0)

static void only_one_whole_object_is_read(void **state)
{
    (void)state;
    struct hf_why why = {0};
    CHECK_OK(parse("{\"a\": 1}", 8, &why));
    CHECK_PARSE_REFUSED("", HF_E_FORMAT, "the file is empty");
    CHECK_PARSE_REFUSED(" \n<!DOCTYPE html><html>", HF_E_FORMAT, "a web page came instead");
    CHECK_PARSE_REFUSED("\xef\xbb\xbf<html>", HF_E_FORMAT, "a web page came instead");
    CHECK_PARSE_REFUSED("Moved", HF_E_FORMAT, "the file is not valid JSON");
    CHECK_PARSE_REFUSED("[1]", HF_E_FORMAT, "should be a JSON object");
    CHECK_PARSE_REFUSED("{\"a\":1}{}", HF_E_FORMAT, "something follows the object");
    CHECK_PARSE_REFUSED("{\"a\":1", HF_E_FORMAT, "not valid JSON");
    CHECK_PARSE_REFUSED("{'a':1}", HF_E_FORMAT, "not valid JSON");
    CHECK_PARSE_REFUSED("{\"a\":NaN}", HF_E_FORMAT, "not valid JSON");
    CHECK_PARSE_REFUSED("{\"a\":_}", HF_E_FORMAT, "not valid JSON");
    CHECK_PARSE_REFUSED("{\"a\":+.5}", HF_E_FORMAT, "not valid JSON");
    CHECK_PARSE_REFUSED("{\"a\":1,}", HF_E_FORMAT, "not valid JSON");
    CHECK_PARSE_REFUSED("\xEF\xBB\xBF{\"a\":1}", HF_E_FORMAT, "byte order mark; save it as UTF-8");
}

static void what_two_readers_would_read_differently_is_refused(void **state)
{
    (void)state;
    CHECK_PARSE_REFUSED("{\"a\":1,\"a\":2}", HF_E_FORMAT, "same key twice");
    CHECK_PARSE_REFUSED("{\"a\":{\"b\":1,\"\\u0062\":2}}", HF_E_FORMAT, "same key twice");
    CHECK_PARSE_REFUSED("{\"a\":1.0}", HF_E_FORMAT, "not whole");
    CHECK_PARSE_REFUSED("{\"a\":1e2}", HF_E_FORMAT, "not whole");
    CHECK_PARSE_REFUSED("{\"a\":18446744073709551616}", HF_E_FORMAT, "not valid JSON");
    CHECK_PARSE_REFUSED("{\"a\":\"\\u0000\"}", HF_E_FORMAT, "not valid JSON");
    CHECK_PARSE_REFUSED("{\"a\":\"\xff\"}", HF_E_FORMAT, "not valid JSON");
    CHECK_PARSE_REFUSED("{\"a\":\"\xc0\xaf\"}", HF_E_FORMAT, "not valid JSON");
    CHECK_PARSE_REFUSED("{\"a\":\"\\ud800\"}", HF_E_FORMAT, "not valid JSON");
    CHECK_PARSE_REFUSED("{\"a\0b\":1}", HF_E_FORMAT, "not valid JSON");
}

static enum hf_err parse_nested(unsigned depth, struct hf_why *why)
{
    struct hf_buf text = {0};
    CHECK_OK(hf_buf_append_text(&text, "{\"a\":"));
    for (unsigned i = 1; i < depth; i++)
        CHECK_OK(hf_buf_append_text(&text, "["));
    for (unsigned i = 1; i < depth; i++)
        CHECK_OK(hf_buf_append_text(&text, "]"));
    if (depth == 1)
        CHECK_OK(hf_buf_append_text(&text, "1"));
    CHECK_OK(hf_buf_append_text(&text, "}"));
    enum hf_err err = parse((const char *)text.data, text.len, why);
    hf_buf_free(&text);
    return err;
}

static void nesting_is_bounded_before_the_parser_runs(void **state)
{
    (void)state;
    struct hf_why why = {0};
    CHECK_OK(parse_nested(1, &why));
    CHECK_OK(parse_nested(HF_JSON_DEPTH_MAX, &why));
    CHECK_REFUSED(parse_nested(HF_JSON_DEPTH_MAX + 1, &why), HF_E_LIMIT, &why, "nests deeper");
    CHECK_REFUSED(parse_nested(1000000, &why), HF_E_LIMIT, &why, "nests deeper");
}

/* `unit` again and again in a list of an unknown field, about `size` bytes of it. */
static enum hf_err parse_repeated(const char *unit, size_t size, struct hf_why *why)
{
    struct hf_buf text = {0};
    CHECK_OK(hf_buf_append_text(&text, "{\"x\":["));
    while (text.len < size)
        CHECK_OK(hf_buf_append_text(&text, unit));
    CHECK_OK(hf_buf_append_text(&text, "0]}"));
    enum hf_err err = parse((const char *)text.data, text.len, why);
    hf_buf_free(&text);
    return err;
}

/* Half a megabyte of {} would become forty of memory before a signature is verified. */
static void a_file_of_nothing_but_values_is_refused_unread(void **state)
{
    (void)state;
    struct hf_why why = {0};
    CHECK_REFUSED(parse_repeated("{},", 100000, &why), HF_E_LIMIT, &why, "packs more values");
    CHECK_REFUSED(parse_repeated("[],", 100000, &why), HF_E_LIMIT, &why, "packs more values");
    CHECK_REFUSED(parse_repeated("0,", 100000, &why), HF_E_LIMIT, &why, "packs more values");
    CHECK_OK(parse_repeated("{},", 600, &why));
    /* the densest that is real: hash prefixes, and files without length and hashes */
    CHECK_OK(parse_repeated("\"0f\",", 100000, &why));
    CHECK_OK(parse_repeated("{\"version\":1},\"a\",", 100000, &why));
}

static void brackets_in_strings_are_no_nesting(void **state)
{
    (void)state;
    struct hf_why why = {0};
    struct hf_buf text = {0};
    CHECK_OK(hf_buf_append_text(&text, "{\"a\":\"\\\"\\\\"));
    for (int i = 0; i < 100; i++)
        CHECK_OK(hf_buf_append_text(&text, "[{"));
    CHECK_OK(hf_buf_append_text(&text, "\"}"));
    CHECK_OK(parse((const char *)text.data, text.len, &why));
    hf_buf_free(&text);
}

static void check_canonical(const char *text, const char *expected)
{
    json_t *value = NULL;
    struct hf_buf out = {0};
    struct hf_why why = {0};
    CHECK_OK(hf_json_parse_object(hf_bytes_of_text(text), "test", &value, &why));
    CHECK_OK(hf_json_canonical(value, &out, &why));
    assert_string_equal((const char *)out.data, expected);
    hf_buf_free(&out);
    json_decref(value);
}

static void check_written(const char *text, const char *expected)
{
    json_t *value = NULL, *again = NULL;
    struct hf_buf out = {0};
    CHECK_OK(hf_json_parse_object(hf_bytes_of_text(text), "test", &value, NULL));
    CHECK_OK(hf_json_write(value, &out, NULL));
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(out.data, expected, out.len);
    CHECK_OK(hf_json_parse_object(hf_buf_bytes(&out), "test", &again, NULL));
    assert_true(json_equal(value, again));
    hf_buf_free(&out);
    json_decref(value);
    json_decref(again);
}

static void a_file_is_canonical_but_still_json(void **state)
{
    (void)state;
    check_written("{ \"b\" : [ 1 , true , null ] , \"a\" : -5 }", "{\"a\":-5,\"b\":[1,true,null]}");
    check_written("{\"pem\":\"-----BEGIN\\nAA\\/\\n\",\"x\\u0001\":\"\xc3\xa9\\\\\"}",
                  "{\"pem\":\"-----BEGIN\\nAA/\\n\",\"x\\u0001\":\"\xc3\xa9\\\\\"}");
    check_written("{\"n\":9223372036854775807}", "{\"n\":9223372036854775807}");
}

static void the_canonical_form_is_the_one_other_implementations_sign(void **state)
{
    (void)state;
    check_canonical("{}", "{}");
    check_canonical("{ \"b\" : [ 1 , true , null, false ] , \"a\" : -5 }",
                    "{\"a\":-5,\"b\":[1,true,null,false]}");
    /* sorted by code point, at every level; escapes resolved */
    check_canonical(
        "{\"z\":{},\"\\u00e9\":[],\"Z\":{\"b\":1,\"a\":2},\"\\ud83d\\ude00\":0,\"\\uffee\":0}",
        "{\"Z\":{\"a\":2,\"b\":1},\"z\":{},\"\xc3\xa9\":[],\"\xef\xbf\xae\":0,"
        "\"\xf0\x9f\x98\x80\":0}");
    /* only quote and backslash are escaped; a newline stands as it is */
    check_canonical("{\"a\":\"q\\\" b\\\\ n\\n s\\/ t\\u0009\"}",
                    "{\"a\":\"q\\\" b\\\\ n\n s/ t\t\"}");
    check_canonical("{\"\\\"\":\"\\\"\\\"\"}", "{\"\\\"\":\"\\\"\\\"\"}");
    check_canonical("{\"n\":9223372036854775807,\"m\":-9223372036854775808,\"o\":-0}",
                    "{\"m\":-9223372036854775808,\"n\":9223372036854775807,\"o\":0}");
}

static void a_fraction_has_no_canonical_form(void **state)
{
    (void)state;
    struct hf_why why = {0};
    struct hf_buf out = {0};
    json_t *value = json_pack("{s:[f]}", "a", 0.5);
    CHECK_REFUSED(hf_json_canonical(value, &out, &why), HF_E_FORMAT, &why, "fraction");
    hf_buf_free(&out);
    json_decref(value);
}

static void members_are_looked_up_by_type(void **state)
{
    (void)state;
    struct hf_why why = {0};
    json_t *o = json_pack("{s:s,s:i,s:{},s:[],s:s}", "text", "x", "number", 7, "object", "list",
                          "time", "2030-01-31T00:00:00Z");
    const char *text = NULL;
    json_t *member = NULL;
    int64_t number = 0;
    CHECK_OK(hf_json_get_text(o, "text", "it", &text, &why));
    assert_string_equal(text, "x");
    CHECK_OK(hf_json_get_object(o, "object", "it", &member, &why));
    CHECK_OK(hf_json_get_array(o, "list", "it", &member, &why));
    CHECK_OK(hf_json_get_integer(o, "number", "it", 7, &number, &why));
    assert_int_equal(number, 7);
    CHECK_OK(hf_json_get_time(o, "time", "it", &number, &why));
    assert_int_equal(number, 1896048000);

    CHECK_REFUSED(hf_json_get_text(o, "number", "it", &text, &why), HF_E_FORMAT, &why,
                  "it should have a string \"number\"");
    CHECK_REFUSED(hf_json_get_object(o, "list", "it", &member, &why), HF_E_FORMAT, &why, "object");
    CHECK_REFUSED(hf_json_get_array(o, "nothing", "it", &member, &why), HF_E_FORMAT, &why, "list");
    CHECK_REFUSED(hf_json_get_integer(o, "text", "it", 0, &number, &why), HF_E_FORMAT, &why,
                  "whole number");
    CHECK_REFUSED(hf_json_get_integer(o, "number", "it", 8, &number, &why), HF_E_FORMAT, &why,
                  "should be at least 8");
    CHECK_REFUSED(hf_json_get_time(o, "text", "it", &number, &why), HF_E_FORMAT, &why,
                  "should be a time");
    assert_int_equal(number, 1896048000);
    json_object_set_new(o, "huge", json_integer(HF_JSON_INTEGER_MAX + 1));
    CHECK_REFUSED(hf_json_get_integer(o, "huge", "it", 0, &number, &why), HF_E_FORMAT, &why,
                  "2^53");
    json_decref(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_one_whole_object_is_read),
        cmocka_unit_test(what_two_readers_would_read_differently_is_refused),
        cmocka_unit_test(nesting_is_bounded_before_the_parser_runs),
        cmocka_unit_test(a_file_of_nothing_but_values_is_refused_unread),
        cmocka_unit_test(brackets_in_strings_are_no_nesting),
        cmocka_unit_test(the_canonical_form_is_the_one_other_implementations_sign),
        cmocka_unit_test(a_file_is_canonical_but_still_json),
        cmocka_unit_test(a_fraction_has_no_canonical_form),
        cmocka_unit_test(members_are_looked_up_by_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
