/* Hostile JSON: what two readers would read differently, or one would choke on. The signatures are
 * good wherever they can be, so that reading is the only thing that stands in the way (TUF 4.1,
 * 4.2). */
#include "tests/support/attack.h"

#include "common/base/limits.h"

#include <string.h>

#define BUNDLE_2 "amazon-iot/full/2.pem"
#define TWO_TO_53 (HF_JSON_INTEGER_MAX + 1)

/* `text` may hold a NUL, and is put at the front of the newest file: before `signed`, so that the
 * signatures still fit. */
static void put_in_front(struct device *d, enum hf_top_role role, const char *text, size_t len)
{
    attack_answer_edited(d, role, "{", (struct hf_bytes){(const uint8_t *)text, len});
}

/* The same one after the other in all roles that a mirror can offer. */
static void check_front_refused(struct device *d, const char *text, size_t len, const char *part)
{
    static const enum hf_top_role roles[] = {HF_ROLE_ROOT, HF_ROLE_TIMESTAMP, HF_ROLE_SNAPSHOT,
                                             HF_ROLE_TARGETS};
    d->repo.has_lengths = false;
    d->repo.roles[HF_ROLE_ROOT].version++;
    tuf_repo_publish_root(&d->repo);
    device_publish(d, 2);
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        put_in_front(d, roles[i], text, len);
        attack_check_refused(d, roles[i], HF_E_FORMAT, part);
        fake_mirror_reset(&d->fake.transport.mirrors[0]);
    }
    attack_check_over(d, 2);
}

#define CHECK_FRONT_REFUSED(d, text, part) check_front_refused(d, text, sizeof(text) - 1, part)

/* ---- two readers, two meanings --------------------------------------------------------------- */

static void duplicate_keys_around_what_is_signed(void **state)
{
    CHECK_FRONT_REFUSED(*state, "{\"signed\": {\"_type\": \"timestamp\"}, ",
                        "has the same key twice");
}

static void duplicate_key_written_with_an_escape(void **state)
{
    CHECK_FRONT_REFUSED(*state, "{\"\\u0073igned\": {}, ", "has the same key twice");
}

/* For a parser that takes the last of the two, the signature verifies. */
static void duplicate_keys_in_what_is_signed(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    attack_answer_edited(d, HF_ROLE_TIMESTAMP, "\"version\": 3,",
                         hf_bytes_of_text("\"version\": 9, \"version\": 3,"));
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_FORMAT, "has the same key twice");
    attack_check_over(d, 2);
}

static void second_value_behind_the_first(void **state)
{
    struct device *d = *state;
    struct hf_buf two = {0};
    device_publish(d, 2);
    struct hf_bytes file = tuf_files_find(&d->repo.files, "metadata/timestamp.json");
    CHECK_OK(hf_buf_append(&two, file.data, file.len));
    CHECK_OK(hf_buf_append(&two, file.data, file.len));
    attack_answer(d, HF_ROLE_TIMESTAMP, hf_buf_bytes(&two));
    hf_buf_free(&two);
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_FORMAT, "something follows the object");
    attack_check_over(d, 2);
}

/* ---- text ------------------------------------------------------------------------------------ */

static void invalid_utf8_lone_byte(void **state)
{
    CHECK_FRONT_REFUSED(*state, "{\"x\": \"\xff\", ", "not valid JSON");
}

static void invalid_utf8_overlong_slash(void **state)
{
    CHECK_FRONT_REFUSED(*state, "{\"x\": \"\xc0\xaf\", ", "not valid JSON");
}

static void invalid_utf8_in_a_name(void **state)
{
    CHECK_FRONT_REFUSED(*state, "{\"\xed\xa0\x80\": 1, ", "not valid JSON");
}

static void nul_in_a_value(void **state)
{
    CHECK_FRONT_REFUSED(*state, "{\"x\": \"a\\u0000b\", ", "a string holds a NUL");
}

static void nul_in_a_name(void **state)
{
    CHECK_FRONT_REFUSED(*state, "{\"signed\\u0000\": 1, ", "not valid JSON");
}

static void nul_byte_in_a_value(void **state)
{
    CHECK_FRONT_REFUSED(*state, "{\"x\": \"a\0b\", ", "not valid JSON");
}

static void nul_byte_between_values(void **state)
{
    CHECK_FRONT_REFUSED(*state, "{\0", "not valid JSON");
}

/* What a reader of C strings takes for a timestamp, and a reader of JSON does not. */
static void nul_behind_the_type(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    attack_answer_edited(d, HF_ROLE_TIMESTAMP, "\"timestamp\"",
                         hf_bytes_of_text("\"timestamp\\u0000root\""));
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_FORMAT, "a string holds a NUL");
    attack_check_over(d, 2);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static const struct {
    enum hf_top_role refused;
    struct attack_change change;
} numbers[] = {
    {HF_ROLE_ROOT, {"root", {"version"}, NULL}},
    {HF_ROLE_ROOT, {"root", {"roles", "targets", "threshold"}, NULL}},
    {HF_ROLE_TIMESTAMP, {"timestamp", {"version"}, NULL}},
    {HF_ROLE_TIMESTAMP, {"timestamp", {"meta", "snapshot.json", "version"}, NULL}},
    {HF_ROLE_TIMESTAMP, {"timestamp", {"meta", "snapshot.json", "length"}, NULL}},
    {HF_ROLE_SNAPSHOT, {"snapshot", {"version"}, NULL}},
    {HF_ROLE_SNAPSHOT, {"snapshot", {"meta", "targets.json", "version"}, NULL}},
    {HF_ROLE_SNAPSHOT, {"snapshot", {"meta", "targets.json", "length"}, NULL}},
    {HF_ROLE_TARGETS, {"targets", {"version"}, NULL}},
    {HF_ROLE_TARGETS, {"targets", {"targets", BUNDLE_2, "length"}, NULL}},
};
#define N_NUMBERS (sizeof numbers / sizeof numbers[0])

/* Each field that is read, signed with `value` in it, is refused with `part`. */
static void check_numbers_refused(struct device *d, int64_t value, const char *part)
{
    struct hf_buf pem = {0};
    device_make_anchor("Root 2", &pem);
    device_add_bundle(d, 2, &pem);
    hf_buf_free(&pem);
    for (size_t i = 0; i < N_NUMBERS; i++) {
        struct attack_change change = numbers[i].change;
        change.value = json_integer(value);
        attack_sign(d, &change);
        if (numbers[i].refused == HF_ROLE_ROOT) {
            d->repo.roles[HF_ROLE_ROOT].version++;
            tuf_repo_publish_root(&d->repo);
            d->repo.roles[HF_ROLE_ROOT].version--;
        }
        tuf_repo_publish_next(&d->repo);
        attack_check_refused(d, numbers[i].refused, HF_E_FORMAT, part);
        tuf_files_remove(&d->repo.files, "metadata/2.root.json");
        json_decref(change.value);
    }
    attack_sign(d, NULL);
    tuf_repo_publish_next(&d->repo);
    attack_check_over(d, 2);
}

static void numbers_beyond_53_bits(void **state)
{
    check_numbers_refused(*state, TWO_TO_53, "beyond 2^53 - 1");
}

static void numbers_below_zero(void **state)
{
    check_numbers_refused(*state, -1, "should be at least ");
}

static void bundle_version_beyond_53_bits(void **state)
{
    struct device *d = *state;
    device_publish(d, TWO_TO_53);
    attack_check_without_effect(d);
    assert_true(fake_log_has(&d->fake, "full/9007199254740992.pem is skipped"));
    assert_true(fake_log_has(&d->fake, "beyond 2^53 - 1"));
}

static void check_number_text_refused(struct device *d, const char *text, const char *part)
{
    device_publish(d, 2);
    attack_answer_edited(d, HF_ROLE_TIMESTAMP, "\"version\": ", hf_bytes_of_text(text));
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_FORMAT, part);
    attack_check_over(d, 2);
}

static void number_beyond_64_bits(void **state)
{
    check_number_text_refused(*state, "\"version\": 1844674407370955161", "a number is too large");
}

static void number_with_an_exponent(void **state)
{
    check_number_text_refused(*state, "\"version\": 1e", "not whole");
}

static void number_with_a_fraction(void **state)
{
    check_number_text_refused(*state, "\"version\": 0.", "not whole");
}

/* ---- shape ----------------------------------------------------------------------------------- */

static void deep_nesting(void **state)
{
    struct device *d = *state;
    json_t *nested = json_array();
    for (int i = 0; i < HF_JSON_DEPTH_MAX; i++)
        nested = json_pack("[o]", nested);
    struct attack_change change = {"timestamp", {"x"}, nested};
    attack_sign(d, &change);
    device_publish(d, 2);
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_LIMIT, "nests deeper than 32 levels");
    json_decref(nested);
    attack_sign(d, NULL);
    tuf_repo_publish_next(&d->repo);
    attack_check_over(d, 2);
}

static struct hf_buf repeated(const char *unit, size_t n)
{
    struct hf_buf text = {0};
    for (size_t i = 0; i < n; i++)
        CHECK_OK(hf_buf_append_text(&text, unit));
    return text;
}

/* As deep as fits: a reader that calls itself for each would run out of stack. */
static void deep_nesting_to_the_end_of_the_file(void **state)
{
    struct device *d = *state;
    struct hf_buf lists = repeated("[", HF_ROOT_BYTES_MAX);
    struct hf_buf objects = repeated("{\"a\":", HF_ROOT_BYTES_MAX / 5);
    d->repo.roles[HF_ROLE_ROOT].version++;
    tuf_repo_publish_root(&d->repo);
    device_publish(d, 2);
    attack_answer(d, HF_ROLE_ROOT, hf_buf_bytes(&lists));
    attack_check_refused(d, HF_ROLE_ROOT, HF_E_LIMIT, "nests deeper than 32 levels");
    fake_mirror_reset(&d->fake.transport.mirrors[0]);
    attack_answer(d, HF_ROLE_ROOT, hf_buf_bytes(&objects));
    attack_check_refused(d, HF_ROLE_ROOT, HF_E_LIMIT, "nests deeper than 32 levels");
    attack_check_over(d, 2);
    hf_buf_free(&lists);
    hf_buf_free(&objects);
}

/* Bytes are cheap to send and values are dear to build. */
static void file_of_nothing_but_values(void **state)
{
    struct device *d = *state;
    /* the last one for the containers alone, which weigh more than what they are separated by */
    static const char *const units[] = {"{},", "[],", "0,", "{},    "};
    device_publish(d, 2);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        struct hf_buf values = repeated(units[i], 14000 / strlen(units[i]));
        CHECK_OK(hf_buf_append_text(&values, "0], "));
        struct hf_buf front = {0};
        CHECK_OK(hf_buf_append_text(&front, "{\"x\": ["));
        CHECK_OK(hf_buf_append(&front, values.data, values.len));
        put_in_front(d, HF_ROLE_TIMESTAMP, (const char *)front.data, front.len);
        attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_LIMIT, "packs more values into");
        fake_mirror_reset(&d->fake.transport.mirrors[0]);
        hf_buf_free(&values);
        hf_buf_free(&front);
    }
    attack_check_over(d, 2);
}

static void file_that_is_no_object(void **state)
{
    struct device *d = *state;
    static const char *const files[] = {"[]", "null", "\"signed\"", "1"};
    device_publish(d, 2);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        attack_answer(d, HF_ROLE_TIMESTAMP, hf_bytes_of_text(files[i]));
        attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_FORMAT, "JSON");
        fake_mirror_reset(&d->fake.transport.mirrors[0]);
    }
    attack_answer(d, HF_ROLE_TIMESTAMP, hf_bytes_of_text(""));
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_FORMAT, "is empty");
    attack_check_over(d, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ATTACK_TEST(duplicate_keys_around_what_is_signed),
        ATTACK_TEST(duplicate_key_written_with_an_escape),
        ATTACK_TEST(duplicate_keys_in_what_is_signed),
        ATTACK_TEST(second_value_behind_the_first),
        ATTACK_TEST(invalid_utf8_lone_byte),
        ATTACK_TEST(invalid_utf8_overlong_slash),
        ATTACK_TEST(invalid_utf8_in_a_name),
        ATTACK_TEST(nul_in_a_value),
        ATTACK_TEST(nul_in_a_name),
        ATTACK_TEST(nul_byte_in_a_value),
        ATTACK_TEST(nul_byte_between_values),
        ATTACK_TEST(nul_behind_the_type),
        ATTACK_TEST(numbers_beyond_53_bits),
        ATTACK_TEST(numbers_below_zero),
        ATTACK_TEST(bundle_version_beyond_53_bits),
        ATTACK_TEST(number_beyond_64_bits),
        ATTACK_TEST(number_with_an_exponent),
        ATTACK_TEST(number_with_a_fraction),
        ATTACK_TEST(deep_nesting),
        ATTACK_TEST(deep_nesting_to_the_end_of_the_file),
        ATTACK_TEST(file_of_nothing_but_values),
        ATTACK_TEST(file_that_is_no_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
