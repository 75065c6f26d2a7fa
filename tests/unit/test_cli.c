/* common/cli: typos, option tables, and reports from one table of fields. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "common/cli/cli.h"
#include "common/cli/report.h"

#include <stdlib.h>
#include <string.h>

static void one_edit_is_a_typo_and_two_are_not(void **state)
{
    (void)state;
    assert_true(hf_cli_is_typo("status", "status"));
    assert_true(hf_cli_is_typo("staus", "status"));
    assert_true(hf_cli_is_typo("statuss", "status"));
    assert_true(hf_cli_is_typo("stetus", "status"));
    assert_true(hf_cli_is_typo("sttaus", "status"));
    assert_true(hf_cli_is_typo("statsu", "status"));
    assert_false(hf_cli_is_typo("stuas", "status"));
    assert_false(hf_cli_is_typo("stetas", "status"));
    assert_false(hf_cli_is_typo("statussy", "status"));
    assert_false(hf_cli_is_typo("ad", "add"));
    assert_false(hf_cli_is_typo("", "a"));
}

/* ---- options ---------------------------------------------------------------------------------- */

struct values {
    char *text;
    char **list;
    int number;
    long long large;
    bool is_on;
    int choice;
    char taken[16];
};

static void take(void *at, const struct hf_cli_option *option, const char *value)
{
    char *taken = at;
    size_t len = strlen(taken);
    (void)snprintf(taken + len, 16 - len, "%c%s", option->name[0], value);
}

#define AT(member) offsetof(struct values, member)

static const struct hf_cli_option group[] = {
    {"first", 0, HF_CLI_CALL, AT(taken), "first", "F", .take = take},
    {"second", 0, HF_CLI_CALL, AT(taken), "second", "S", .take = take},
    HF_CLI_END,
};

static const struct hf_cli_option options[] = {
    {"text", 't', HF_CLI_TEXT, AT(text), "text", "T"},
    {"list", 'l', HF_CLI_LIST, AT(list), "list", "L"},
    {"number", 'n', HF_CLI_INT, AT(number), "number", "N", .preset = 7, .shows_preset = true},
    {"large", 0, HF_CLI_INT64, AT(large), "large", "N", .preset = -1},
    {"on", 0, HF_CLI_FLAG, AT(is_on), "on", NULL},
    {"old", 0, HF_CLI_CHOICE, AT(choice), "old", NULL, .preset = 1},
    {"new", 0, HF_CLI_CHOICE, AT(choice), "new", NULL, .preset = 2},
    {NULL, 0, HF_CLI_GROUP, 0, "In order:", NULL, .group = group},
    HF_CLI_HELP_ROW,
    HF_CLI_END,
};

#define PARSE(line, values, ...)                                                                   \
    hf_cli_line_parse(line, options, values,                                                       \
                      (int)(sizeof(const char *[]){"p", __VA_ARGS__} / sizeof(char *)),            \
                      (const char *[]){"p", __VA_ARGS__, NULL}, false)

static void values_go_where_their_rows_say(void **state)
{
    struct hf_cli_line line;
    struct values v = {0};
    (void)state;
    assert_int_equal(PARSE(&line, &v, "-t", "a", "w1", "--text=b", "-l", "x", "--list", "y",
                           "--large", "5000000000", "--on", "--old", "--new", "--second=1",
                           "--first", "2", "w2"),
                     HF_CLI_ASKED_NOTHING);
    assert_string_equal(v.text, "b");
    assert_string_equal(v.list[0], "x");
    assert_string_equal(v.list[1], "y");
    assert_null(v.list[2]);
    assert_int_equal(v.number, 7);
    assert_true(v.large == 5000000000);
    assert_true(v.is_on);
    assert_int_equal(v.choice, 2);
    assert_string_equal(v.taken, "s1f2");
    assert_int_equal(line.n_words, 2);
    assert_string_equal(line.words[1], "w2");
    hf_cli_line_free(&line);
    hf_cli_values_free(options, &v);
    assert_null(v.text);
    assert_null(v.list);
}

static void what_is_wrong_is_named(void **state)
{
    struct hf_cli_line line;
    struct values v = {0};
    (void)state;
    assert_int_equal(PARSE(&line, &v, "-t", "a", "--nope"), HF_CLI_WRONG);
    assert_string_equal(line.bad, "--nope");
    assert_true(line.is_unknown);
    hf_cli_line_free(&line);
    hf_cli_values_free(options, &v);
    assert_int_equal(PARSE(&line, &v, "--number", "many"), HF_CLI_WRONG);
    assert_string_equal(line.bad, "many");
    assert_true(line.is_bad_number);
    hf_cli_line_free(&line);
    assert_int_equal(PARSE(&line, &v, "--list", "x", "-h", "--nope"), HF_CLI_ASKED_HELP);
    hf_cli_line_free(&line);
    hf_cli_values_free(options, &v);
}

/* ---- commands --------------------------------------------------------------------------------- */

static enum hf_err keep_number(struct hf_cli_call *call, struct hf_why *why)
{
    (void)why;
    call->exit_code = (int)((struct values *)call->values)->large;
    return HF_OK;
}

static void a_number_outside_its_limits_is_a_usage_error(void **state)
{
    static const struct hf_cli_option rows[] = {
        {"large", 0, HF_CLI_INT64, AT(large), "large", "N", .preset = 40, .min = 3, .max = 9},
        HF_CLI_END,
    };
    static const struct hf_cli_option none[] = {HF_CLI_END};
    static const struct hf_cli_command command = {.name = "c", .options = rows, .run = keep_number};
    static const struct hf_cli_command *const commands[] = {&command};
    const struct hf_cli_program program = {.name = "p",
                                           .commands = commands,
                                           .n_commands = 1,
                                           .values_size = sizeof(struct values),
                                           .options = none};
    (void)state;
    assert_int_equal(hf_cli_main(&program, 2, (const char *[]){"p", "c", NULL}), 40);
    assert_int_equal(hf_cli_main(&program, 3, (const char *[]){"p", "c", "--large=3", NULL}), 3);
    assert_int_equal(hf_cli_main(&program, 3, (const char *[]){"p", "c", "--large=9", NULL}), 9);
    assert_int_equal(hf_cli_main(&program, 3, (const char *[]){"p", "c", "--large=2", NULL}),
                     HF_EXIT_USAGE);
    assert_int_equal(hf_cli_main(&program, 3, (const char *[]){"p", "c", "--large=10", NULL}),
                     HF_EXIT_USAGE);
}

/* ---- reports ---------------------------------------------------------------------------------- */

struct record {
    char name[8];
    int64_t at_s;
    size_t n;
    bool is_on;
};

static json_t *twice(const void *at, const void *ctx)
{
    (void)ctx;
    return json_integer((json_int_t)(2 * *(const size_t *)at));
}

#undef AT
#define AT(member) offsetof(struct record, member)

static const struct hf_field fields[] = {
    {"name", HF_FIELD_WORDS, AT(name), .column = 2, .head = "name"},
    {"at", HF_FIELD_TIME, AT(at_s), .column = 1, .head = "day", .shown = HF_SHOWN_DAY},
    {NULL, HF_FIELD_MADE, AT(n), .make = twice, .column = 3, .head = "twice"},
    {"on", HF_FIELD_FLAG, AT(is_on)},
    {0},
};

static void json_and_text_come_from_one_table(void **state)
{
    const struct record records[] = {{"one", 0, 4, true}, {"", HF_TIME_NONE, 10, false}};
    char *text = NULL;
    size_t len = 0;
    (void)state;
    json_t *list = hf_report_list(fields, records, 2, sizeof records[0], NULL);
    char *json = json_dumps(list, JSON_COMPACT);
    assert_string_equal(json, "[{\"name\":\"one\",\"at\":\"1970-01-01T00:00:00Z\",\"on\":true},"
                              "{\"name\":null,\"at\":null,\"on\":false}]");
    free(json);
    json_decref(list);
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    assert_int_equal(hf_report_table(fields, records, 1, sizeof records[0], NULL, 2, out, NULL),
                     HF_OK);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, "  day         name  twice\n  1970-01-01  one   8\n");
    free(text);
}

struct part {
    enum { RED, GREEN } colour;
    char name[8];
};

struct whole {
    struct part part;
    bool has_part;
    const struct part *other;
    const char *path;
    const char *const *texts;
    size_t n_texts;
    const uint8_t (*hashes)[HF_SHA256_LEN];
    size_t n_hashes;
    json_t *more;
    int64_t at_s;
};

#undef AT
#define AT(member) offsetof(struct whole, member)

static void records_hold_records_and_arrays(void **state)
{
    static const char *const colours[] = {[RED] = "red", [GREEN] = "green"};
    static const struct hf_field part_fields[] = {
        {"colour", HF_FIELD_ENUM, offsetof(struct part, colour), .names = colours},
        {"name", HF_FIELD_CHARS, offsetof(struct part, name)},
        {0},
    };
    static const struct hf_field whole_fields[] = {
        {NULL, HF_FIELD_INCLUDE, AT(part), .fields = part_fields},
        {"part", HF_FIELD_RECORD_IF, AT(part), .fields = part_fields, .n_at = AT(has_part)},
        {"other", HF_FIELD_POINTER, AT(other), .fields = part_fields},
        {"path", HF_FIELD_PLAIN, AT(path)},
        {"texts", HF_FIELD_TEXTS, AT(texts), .n_at = AT(n_texts)},
        {"hashes", HF_FIELD_HASHES, AT(hashes), .n_at = AT(n_hashes)},
        {"more", HF_FIELD_JSON, AT(more)},
        {"at", HF_FIELD_TIME, AT(at_s), .is_optional = true},
        {0},
    };
    static const char *const texts[] = {"a", "b"};
    static const uint8_t hashes[1][HF_SHA256_LEN] = {{0xAB}};
    const struct part blue = {GREEN, "two"};
    struct whole whole = {.part = {RED, "one"}, .at_s = HF_TIME_NONE};
    (void)state;
    json_t *object = hf_report_object(whole_fields, &whole, NULL);
    char *json = json_dumps(object, JSON_COMPACT);
    assert_string_equal(json, "{\"colour\":\"red\",\"name\":\"one\",\"part\":null,\"other\":null,"
                              "\"path\":null,\"texts\":[],\"hashes\":[],\"more\":null}");
    free(json);
    json_decref(object);

    whole = (struct whole){{RED, "one"}, true, &blue, "a\xFFz", texts, 2, hashes, 1, NULL, 0};
    whole.more = json_array();
    object = hf_report_object(whole_fields, &whole, NULL);
    json_decref(whole.more);
    json = json_dumps(object, JSON_COMPACT);
    assert_string_equal(json,
                        "{\"colour\":\"red\",\"name\":\"one\",\"part\":{\"colour\":\"red\","
                        "\"name\":\"one\"},\"other\":{\"colour\":\"green\",\"name\":\"two\"},"
                        "\"path\":\"a?z\",\"texts\":[\"a\",\"b\"],\"hashes\":[\"ab00000000000000"
                        "000000000000000000000000000000000000000000000000\"],\"more\":[],"
                        "\"at\":\"1970-01-01T00:00:00Z\"}");
    free(json);
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_edit_is_a_typo_and_two_are_not),
        cmocka_unit_test(values_go_where_their_rows_say),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_number_outside_its_limits_is_a_usage_error),
        cmocka_unit_test(json_and_text_come_from_one_table),
        cmocka_unit_test(records_hold_records_and_arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
