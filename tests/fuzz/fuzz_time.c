/* common/base/timetext: text to time and back, and any number to text and back. */
#include "tests/fuzz/fuzz.h"

#include "common/base/timetext.h"

static void check_text(const char *text)
{
    char back[HF_TIME_TEXT_MAX];
    int64_t strict_s = 0, lenient_s = 0, last_s = 0;
    FUZZ_CHECK(hf_time_parse_last(text, &last_s) == hf_time_parse_lenient(text, &lenient_s));
    if (hf_time_parse_last(text, &last_s)) {
        FUZZ_CHECK(last_s - lenient_s == (strlen(text) == 10 ? HF_DAY_S - 1 : 0));
        hf_time_format_last(last_s, back);
        FUZZ_CHECK(strncmp(back, text, 10) == 0);
    }
    bool is_lenient = hf_time_parse_lenient(text, &lenient_s);
    if (!hf_time_parse(text, &strict_s)) {
        if (is_lenient) {
            FUZZ_CHECK(strlen(text) == 10 && lenient_s % HF_DAY_S == 0);
            hf_time_format_day(lenient_s, back);
            FUZZ_CHECK(strcmp(back, text) == 0);
        }
        return;
    }
    FUZZ_CHECK(is_lenient && lenient_s == strict_s);
    hf_time_format(strict_s, back);
    FUZZ_CHECK(strcmp(back, text) == 0);
}

static void check_number(int64_t time_s)
{
    char text[HF_TIME_TEXT_MAX];
    int64_t back_s = -1;
    hf_time_format(time_s, text);
    FUZZ_CHECK(hf_time_parse(text, &back_s));
    int64_t last_s = INT64_C(253402300799);
    FUZZ_CHECK(back_s == (time_s < 0 ? 0 : time_s > last_s ? last_s : time_s));
    hf_time_format_day(time_s, text);
    FUZZ_CHECK(strlen(text) == (time_s == HF_TIME_NONE ? 1u : 10u));
}

static void check_civil(struct fuzz_input *in)
{
    int64_t time_s = 0, year = (int64_t)fuzz_below(in, 65536) - 100;
    int part[5];
    for (size_t i = 0; i < 5; i++)
        part[i] = (int)fuzz_byte(in) - 2;
    bool is_day = hf_time_from_civil(year, part[0], part[1], part[2], part[3], part[4], &time_s);
    if (!is_day || time_s < 0)
        return;
    char text[HF_TIME_TEXT_MAX], expected[64];
    hf_time_format(time_s, text);
    snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)year, part[0],
             part[1], part[2], part[3], part[4]);
    FUZZ_CHECK(strcmp(text, expected) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    int64_t number = 0;
    char *text = fuzz_text((struct hf_bytes){data, size});
    check_text(text);
    free(text);
    memcpy(&number, data, size < sizeof number ? size : sizeof number);
    check_number(number);
    check_number(number % (INT64_C(9000) * 365 * HF_DAY_S));
    check_civil(&in);
    return 0;
}
