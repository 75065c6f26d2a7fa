#include "server/serve/escape.h"

#include <stdbool.h>
#include <string.h>

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
