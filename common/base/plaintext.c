#include "common/base/plaintext.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char cut_mark[] = "…";

size_t hf_plain_mark_len(struct hf_bytes text)
{
    static const uint8_t mark[] = {0xEF, 0xBB, 0xBF};
    bool is_there = text.len >= sizeof mark && memcmp(text.data, mark, sizeof mark) == 0;
    return is_there ? sizeof mark : 0;
}

size_t hf_utf8_char(struct hf_bytes text, uint32_t *out)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000}; /* by length; RFC 3629, 3 */
    uint32_t c = text.len > 0 ? text.data[0] : 0xFFu;
    size_t len = 1;
    if ((c & 0xE0u) == 0xC0u)
        len = 2;
    else if ((c & 0xF0u) == 0xE0u)
        len = 3;
    else if ((c & 0xF8u) == 0xF0u)
        len = 4;
    else if (c >= 0x80u)
        return 0;
    if (len > text.len)
        return 0;
    if (len > 1)
        c &= 0x7Fu >> len;
    for (size_t i = 1; i < len; i++) {
        if ((text.data[i] & 0xC0u) != 0x80u)
            return 0;
        c = c << 6 | (text.data[i] & 0x3Fu);
    }
    if (c < smallest[len] || c > 0x10FFFFu || (c >= 0xD800u && c <= 0xDFFFu))
        return 0;
    *out = c;
    return len;
}

size_t hf_plain_char_len(const char *text)
{
    uint32_t c;
    size_t n_left = 0;
    while (n_left < 4 && text[n_left] != '\0')
        n_left++;
    size_t len = hf_utf8_char((struct hf_bytes){(const uint8_t *)text, n_left}, &c);
    if (len == 0)
        return 0;
    bool is_control = c < 0x20u || (c >= 0x7Fu && c < 0xA0u) || c == 0x2028u || c == 0x2029u;
    bool turns_direction = c == 0x061Cu || c == 0x200Eu || c == 0x200Fu ||
                           (c >= 0x202Au && c <= 0x202Eu) || (c >= 0x2066u && c <= 0x2069u);
    return !is_control && !turns_direction ? len : 0;
}

void hf_text_sanitize(char *text)
{
    while (*text != '\0') {
        size_t len = hf_plain_char_len(text);
        if (len == 0)
            *text = '?'; /* the bytes that follow in the same character are replaced in turn */
        text += len > 0 ? len : 1;
    }
}

void hf_text_end_cut(char *text, size_t cap)
{
    size_t end = cap - sizeof cut_mark, word = end;

    while (word > end / 2 && text[word - 1] != ' ')
        word--;
    if (word > end / 2)
        end = word;
    else
        while (end > 0 && ((uint8_t)text[end] & 0xC0u) == 0x80u) /* inside a character */
            end--;
    memcpy(text + end, cut_mark, sizeof cut_mark);
}

void hf_text_append(char *out, size_t cap, const char *fmt, ...)
{
    const size_t len = strlen(out), mark_len = sizeof cut_mark - 1;
    va_list args;

    if (len >= mark_len && strcmp(out + len - mark_len, cut_mark) == 0)
        return;
    va_start(args, fmt);
    int written = vsnprintf(out + len, cap - len, fmt, args);
    va_end(args);
    if (written >= 0 && (size_t)written >= cap - len)
        hf_text_end_cut(out, cap);
}

size_t hf_escape_json(const char *text, size_t len, char *out, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        char one[7] = {text[i], '\0'};
        size_t one_len = 1;
        if (text[i] < 0x20 || text[i] > 0x7e || text[i] == '"' || text[i] == '\\') {
            (void)snprintf(one, sizeof one, "\\u%04x", (unsigned)(unsigned char)text[i]);
            one_len = 6;
        }
        if (one_len > size - at)
            break;
        memcpy(out + at, one, one_len);
        at += one_len;
    }
    return at;
}
