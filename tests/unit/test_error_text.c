/* common/base/error: whatever bytes are quoted in a sentence, it stays one line of valid UTF-8. */
#include "tests/support/check.h"

#include <jansson.h>

#include <stdbool.h>
#include <stdio.h>

/* An independent definition of UTF-8. */
static bool is_utf8(const char *text)
{
    json_t *string = json_string(text);
    json_decref(string);
    return string != NULL;
}

static size_t encode(unsigned code, char out[5])
{
    size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned first[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)(first[len] | code);
    out[len] = '\0';
    return len;
}

/* Controls, line and paragraph separators, marks and overrides of direction. */
static bool steers(unsigned code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x61C || code == 0x200E ||
           code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069);
}

static void every_character_is_kept_or_disarmed(void **state)
{
    struct hf_why why;
    char text[5];
    (void)state;
    for (unsigned code = 1; code <= 0x10FFFF; code++) {
        size_t len = encode(code, text);
        bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
        (void)hf_fail(&why, HF_E_FORMAT, "%s", text);
        if (!is_surrogate && !steers(code))
            assert_string_equal(why.text, text);
        else
            assert_true(strspn(why.text, "?") == len && why.text[len] == '\0');
    }
}

/* What follows a byte that promises more: every two bytes there are, then some. */
static void broken_sequences_become_question_marks(void **state)
{
    static const char *const ends[] = {"", "\x80", "\xbf", "\x80\x80", "\xbf\xbf", "a"};
    struct hf_why why;
    char text[8];
    (void)state;
    for (unsigned pair = 0x0101; pair <= 0xFFFF; pair++) {
        if ((pair & 0xFF) == 0)
            continue;
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
            snprintf(text, sizeof text, "%c%c%s", (char)(pair >> 8), (char)(pair & 0xFF), ends[i]);
            (void)hf_fail(&why, HF_E_FORMAT, "%s", text);
            assert_int_equal(strlen(why.text), strlen(text));
            assert_true(is_utf8(why.text));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_is_kept_or_disarmed),
        cmocka_unit_test(broken_sequences_become_question_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
