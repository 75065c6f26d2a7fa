/* common/base: sentences, bytes, hexadecimal, time as text, digests. */
#include "tests/support/check.h"

#include "common/base/base64.h"
#include "common/base/digest.h"
#include "common/base/plaintext.h"
#include "common/base/timetext.h"

#include <jansson.h>
#include <sodium.h>

static void a_failure_returns_its_code_and_writes_its_sentence(void **state)
{
    (void)state;
    struct hf_why why = {0};
    assert_int_equal(hf_fail(&why, HF_E_HASH, "expected %d, found %d", 1, 2), HF_E_HASH);
    assert_int_equal(why.code, HF_E_HASH);
    assert_string_equal(why.text, "expected 1, found 2");
    assert_int_equal(hf_fail_context(&why, "mirror %s", "a"), HF_E_HASH);
    assert_string_equal(why.text, "mirror a: expected 1, found 2");
    assert_int_equal(hf_fail(NULL, HF_E_LIMIT, "not recorded"), HF_E_LIMIT);
}

static void a_sentence_cannot_steer_a_terminal_or_fake_a_log_line(void **state)
{
    (void)state;
    struct hf_why why = {0};
    (void)hf_fail(&why, HF_E_FORMAT, "name \"%s\"", "a\x1b[31m\nok: b\x7f");
    assert_string_equal(why.text, "name \"a?[31m?ok: b?\"");
    /* C1 control, right-to-left override, line separator, broken and overlong sequences */
    (void)hf_fail(&why, HF_E_FORMAT, "%s",
                  "\xc2\x9b|\xe2\x80\xae|\xe2\x80\xa8|\xff|\xc0\xaf|\xed\xa0\x80|\xe2\x81\xa6");
    assert_string_equal(why.text, "??|???|???|?|??|???|???");
    (void)hf_fail(&why, HF_E_FORMAT, "%s", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x94\x92");
    assert_string_equal(why.text, "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x94\x92");
}

static void a_long_sentence_is_cut_and_stays_valid_text(void **state)
{
    (void)state;
    struct hf_why why = {0};
    char text[HF_WHY_MAX + 8];
    memset(text, 'a', sizeof text);
    memcpy(text + HF_WHY_MAX - 3, "\xe2\x82\xac", 3); /* a euro sign across the end */
    text[sizeof text - 1] = '\0';
    (void)hf_fail(&why, HF_E_FORMAT, "%s", text);
    assert_int_equal(strlen(why.text), HF_WHY_MAX - 1);
    assert_string_equal(why.text + HF_WHY_MAX - 5, "a…");
    memset(text, 'a', sizeof text);
    memcpy(text + HF_WHY_MAX - 20, ", `openssl s_client`", 20);
    (void)hf_fail(&why, HF_E_FORMAT, "%.*s", HF_WHY_MAX + 1, text);
    assert_string_equal(why.text + HF_WHY_MAX - 20, ", `openssl …");
}

static void every_error_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = HF_OK; a <= HF_E_STATE; a++) {
        assert_string_not_equal(hf_err_name((enum hf_err)a), "unknown");
        for (int b = a + 1; b <= HF_E_STATE; b++)
            assert_string_not_equal(hf_err_name((enum hf_err)a), hf_err_name((enum hf_err)b));
    }
    assert_string_equal(hf_err_name((enum hf_err)9999), "unknown");
}

static void a_buffer_grows_and_stays_terminated(void **state)
{
    (void)state;
    struct hf_buf b = {0};
    CHECK_OK(hf_buf_append(&b, "", 0));
    assert_int_equal(b.len, 0);
    for (int i = 0; i < 1000; i++)
        CHECK_OK(hf_buf_printf(&b, "%d,", i % 10));
    CHECK_OK(hf_buf_append_text(&b, "end"));
    assert_int_equal(b.len, 2003);
    assert_string_equal((const char *)b.data + 2000, "end");
    assert_true(hf_bytes_equal(hf_bytes_of_text("end"), (struct hf_bytes){b.data + 2000, 3}));
    assert_false(hf_bytes_equal(hf_bytes_of_text("End"), (struct hf_bytes){b.data + 2000, 3}));
    assert_int_equal(hf_buf_reserve(&b, SIZE_MAX), HF_E_MEMORY);
    assert_int_equal(b.len, 2003);
    hf_buf_free(&b);
    assert_null(b.data);
}

static void hex_is_exact(void **state)
{
    (void)state;
    uint8_t bytes[3];
    char text[7];
    assert_true(hf_hex_decode("00aFfF", bytes, 3));
    hf_hex_encode(bytes, 3, text);
    assert_string_equal(text, "00afff");
    assert_false(hf_hex_decode("00aff", bytes, 3));
    assert_false(hf_hex_decode("00afff0", bytes, 3));
    assert_false(hf_hex_decode("00afg0", bytes, 3));
    assert_false(hf_hex_decode(" 0afff", bytes, 3));
    assert_false(hf_hex_decode("0x0aff", bytes, 3));
}

static void time_text_goes_there_and_back(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t time_s;
    } times[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2000-02-29T12:34:56Z", 951827696},
        {"2038-01-17T00:00:00Z", 2147299200},
        {"2038-01-19T03:14:07Z", INT32_MAX},
        {"2038-01-19T03:14:08Z", (int64_t)INT32_MAX + 1},
        {"2040-05-26T00:00:00Z", 2221603200},
        {"2106-02-07T06:28:16Z", (int64_t)UINT32_MAX + 1},
        {"9999-12-31T23:59:59Z", 253402300799},
    };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        int64_t parsed = -1;
        char text[HF_TIME_TEXT_MAX];
        assert_true(hf_time_parse(times[i].text, &parsed));
        assert_int_equal(parsed, times[i].time_s);
        hf_time_format(times[i].time_s, text);
        assert_string_equal(text, times[i].text);
    }
}

static void every_day_of_400_years_goes_there_and_back(void **state)
{
    (void)state;
    for (int64_t day = 0; day < 146097; day++) {
        char text[HF_TIME_TEXT_MAX];
        int64_t parsed = -1;
        hf_time_format(day * HF_DAY_S, text);
        assert_true(hf_time_parse(text, &parsed));
        assert_int_equal(parsed, day * HF_DAY_S);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "2030-01-31",
        "2030-01-31T00:00:00",
        "2030-01-31T00:00:00z",
        "2030-01-31T00:00:00+00:00",
        "2030-01-31T00:00:00.0Z",
        "2030-01-31 00:00:00Z",
        "2030-13-01T00:00:00Z",
        "2030-00-01T00:00:00Z",
        "2030-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2030-01-32T00:00:00Z",
        "2030-01-00T00:00:00Z",
        "2030-01-31T24:00:00Z",
        "2030-01-31T00:60:00Z",
        "2030-01-31T00:00:60Z",
        "1969-12-31T23:59:59Z",
        "+030-01-31T00:00:00Z",
        "2030-01-31T00:00:00Z ",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t time_s = 42;
        assert_false(hf_time_parse(texts[i], &time_s));
        assert_int_equal(time_s, 42);
    }
}

static void a_person_may_leave_out_the_time_of_day(void **state)
{
    (void)state;
    int64_t time_s = 0;
    char day[HF_TIME_TEXT_MAX];
    assert_true(hf_time_parse_lenient("2030-01-31", &time_s));
    hf_time_format_day(time_s, day);
    assert_string_equal(day, "2030-01-31");
    assert_true(hf_time_parse_lenient("2030-01-31T01:00:00Z", &time_s));
    assert_false(hf_time_parse_lenient("2030-02-30", &time_s));
    assert_false(hf_time_parse_lenient("1969-01-01", &time_s));
    hf_time_format_day(HF_TIME_NONE, day);
    assert_string_equal(day, "-");
}

static void a_last_day_lasts_until_its_last_second(void **state)
{
    (void)state;
    int64_t last_s = 0, moment_s = 0;
    char text[HF_TIME_TEXT_MAX];
    assert_true(hf_time_parse_last("2028-02-29", &last_s));
    assert_true(hf_time_parse("2028-02-29T23:59:59Z", &moment_s));
    assert_int_equal(last_s, moment_s);
    hf_time_format_last(last_s, text);
    assert_string_equal(text, "2028-02-29");
    static const char *const with_time[] = {"2028-02-29T00:00:00Z", "2028-02-29T23:59:58Z"};
    for (size_t i = 0; i < sizeof with_time / sizeof with_time[0]; i++) {
        assert_true(hf_time_parse_last(with_time[i], &last_s));
        hf_time_format_last(last_s, text);
        assert_string_equal(text, with_time[i]);
    }
    assert_true(hf_time_parse_last("9999-12-31", &last_s));
    hf_time_format_last(last_s, text);
    assert_string_equal(text, "9999-12-31");
    static const char *const wrong[] = {"2027-02-29", "1969-12-31", "2028-02-29T24:00:00Z", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(hf_time_parse_last(wrong[i], &last_s));
    hf_time_format_last(HF_TIME_NONE, text);
    assert_string_equal(text, "-");
}

static void times_out_of_range_are_clamped_in_text(void **state)
{
    (void)state;
    char text[HF_TIME_TEXT_MAX];
    hf_time_format(INT64_MIN + 1, text);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    hf_time_format(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
}

/* FIPS 180-4's own example. */
static void digests_are_those_of_the_standard(void **state)
{
    (void)state;
    char sha256[HF_SHA256_HEX_LEN];
    char sha512[HF_SHA512_HEX_LEN];
    uint8_t digest[HF_SHA512_LEN];
    hf_sha256_hex(hf_bytes_of_text("abc"), sha256);
    hf_sha512(hf_bytes_of_text("abc"), digest);
    hf_hex_encode(digest, sizeof digest, sha512);
    assert_string_equal(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_string_equal(sha512, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                                "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

static void any_byte_becomes_plain_ascii(void **state)
{
    (void)state;
    char all[256], out[8 + 256 * 6];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (char)i;
    out[0] = '"';
    size_t len = 1 + hf_escape_json(all, sizeof all, out + 1, sizeof out - 2);
    out[len++] = '"';
    for (size_t i = 0; i < len; i++)
        assert_in_range((unsigned char)out[i], 0x20, 0x7e);
    json_t *text = json_loadb(out, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(text);
    /* 128 bytes of ASCII, and two of UTF-8 for each above. */
    assert_int_equal(json_string_length(text), 128 + 2 * 128);
    json_decref(text);
}

static void an_escape_is_never_cut(void **state)
{
    (void)state;
    char out[8];
    assert_int_equal(hf_escape_json("ab\n", 3, out, 7), 2);
    assert_int_equal(hf_escape_json("ab\n", 3, out, 8), 8);
    assert_int_equal(hf_escape_json("abc", 3, out, 0), 0);
}

/* All 256 bytes in all four places: only the digits of base64 are taken. */
static void base64_has_one_text_for_the_same_bytes(void **state)
{
    (void)state;
    const char *stopped = NULL;
    uint8_t out[3];
    size_t len = 0;
    unsigned n_taken = 0;
    for (size_t at = 0; at < 4; at++) {
        for (int byte = 0; byte < 256; byte++) {
            char text[] = "AAAA";
            text[at] = (char)byte;
            n_taken += hf_base64_decode(text, 4, NULL, sodium_base64_VARIANT_ORIGINAL, out,
                                        sizeof out, &len, &stopped) &&
                       stopped == text + 4;
        }
    }
    assert_int_equal(n_taken, 4 * 64 + 1); /* and "AAA=" */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_returns_its_code_and_writes_its_sentence),
        cmocka_unit_test(a_sentence_cannot_steer_a_terminal_or_fake_a_log_line),
        cmocka_unit_test(a_long_sentence_is_cut_and_stays_valid_text),
        cmocka_unit_test(every_error_has_a_name_of_its_own),
        cmocka_unit_test(a_buffer_grows_and_stays_terminated),
        cmocka_unit_test(hex_is_exact),
        cmocka_unit_test(time_text_goes_there_and_back),
        cmocka_unit_test(every_day_of_400_years_goes_there_and_back),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(a_person_may_leave_out_the_time_of_day),
        cmocka_unit_test(a_last_day_lasts_until_its_last_second),
        cmocka_unit_test(times_out_of_range_are_clamped_in_text),
        cmocka_unit_test(digests_are_those_of_the_standard),
        cmocka_unit_test(any_byte_becomes_plain_ascii),
        cmocka_unit_test(an_escape_is_never_cut),
        cmocka_unit_test(base64_has_one_text_for_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
