#include "common/base/plaintext.h"

#include <stdbool.h>
#include <string.h>

/* Bytes of the UTF-8 sequence at `text`, or 0 where there is none (also one that was cut). */
static size_t sequence_len(const unsigned char *text)
{
    size_t len = text[0] < 0x80u                       ? 1
                 : text[0] >= 0xC2u && text[0] < 0xE0u ? 2
                 : text[0] >= 0xE0u && text[0] < 0xF0u ? 3
                 : text[0] >= 0xF0u && text[0] < 0xF5u ? 4
                                                       : 0;
    for (size_t i = 1; i < len; i++) {
        if ((text[i] & 0xC0u) != 0x80u) /* the NUL at the end is none either */
            return 0;
    }
    bool is_overlong = (text[0] == 0xE0u && text[1] < 0xA0u) ||
                       (text[0] == 0xF0u && text[1] < 0x90u);
    bool is_surrogate = text[0] == 0xEDu && text[1] >= 0xA0u;
    bool is_beyond = text[0] == 0xF4u && text[1] >= 0x90u;
    return len > 1 && (is_overlong || is_surrogate || is_beyond) ? 0 : len;
}

/* C0 and C1 controls, line and paragraph separators, and what turns the direction of writing. */
static bool steers_a_terminal(const unsigned char *text, size_t len)
{
    if (len == 1)
        return text[0] < 0x20u || text[0] == 0x7Fu;
    if (len == 2)
        return (text[0] == 0xC2u && text[1] < 0xA0u) || (text[0] == 0xD8u && text[1] == 0x9Cu);
    if (len == 3 && text[0] == 0xE2u && text[1] == 0x80u)
        return (text[2] >= 0x8Eu && text[2] <= 0x8Fu) || (text[2] >= 0xA8u && text[2] <= 0xAEu);
    return len == 3 && text[0] == 0xE2u && text[1] == 0x81u && text[2] >= 0xA6u && text[2] <= 0xA9u;
}

size_t hf_plain_mark_len(struct hf_bytes text)
{
    static const uint8_t mark[] = {0xEF, 0xBB, 0xBF};
    bool is_there = text.len >= sizeof mark && memcmp(text.data, mark, sizeof mark) == 0;
    return is_there ? sizeof mark : 0;
}

size_t hf_plain_char_len(const char *text)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t len = sequence_len(bytes);

    return len > 0 && !steers_a_terminal(bytes, len) ? len : 0;
}

void hf_text_disarm(char *text)
{
    while (*text != '\0') {
        size_t len = hf_plain_char_len(text);
        if (len == 0)
            *text = '?'; /* what follows it of the same character is none by itself */
        text += len > 0 ? len : 1;
    }
}

static size_t escape_one(unsigned char byte, char out[6])
{
    static const char digits[] = "0123456789abcdef";
    bool is_plain = byte >= 0x20 && byte <= 0x7e && byte != '"' && byte != '\\';
    if (is_plain) {
        out[0] = (char)byte;
        return 1;
    }
    memcpy(out, "\\u00", 4);
    out[4] = digits[byte >> 4];
    out[5] = digits[byte & 15];
    return 6;
}

size_t hf_escape_json(const char *text, size_t len, char *out, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        char one[6];
        size_t one_len = escape_one((unsigned char)text[i], one);
        if (one_len > size - at)
            break;
        memcpy(out + at, one, one_len);
        at += one_len;
    }
    return at;
}
