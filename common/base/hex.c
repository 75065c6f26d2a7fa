#include "common/base/hex.h"

#include <string.h>

void hf_hex_encode(const uint8_t *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 0x0Fu];
    }
    out[2 * len] = '\0';
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool hf_hex_decode(const char *text, uint8_t *out, size_t len)
{
    if (strlen(text) != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int high = digit_value(text[2 * i]);
        int low = digit_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

enum hf_err hf_percent_encode(const char *text, const char *kept, struct hf_buf *out)
{
    /* Not isalnum(), which depends on the locale. */
    static const char unreserved[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (const char *c = text; *c != '\0'; c++) {
        bool is_plain = strchr(unreserved, *c) != NULL || strchr(kept, *c) != NULL;
        HF_TRY(is_plain ? hf_buf_append(out, c, 1)
                        : hf_buf_printf(out, "%%%02X", (unsigned)(unsigned char)*c));
    }
    return HF_OK;
}

int hf_percent_byte(const char *text, size_t len)
{
    uint8_t byte = 0;
    if (len < 3 || text[0] != '%')
        return -1;
    const char digits[] = {text[1], text[2], '\0'};
    return hf_hex_decode(digits, &byte, 1) ? byte : -1;
}
