#include "common/base/percent.h"

#include "common/base/digest.h"

#include <string.h>

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
