#include "server/repository/certs/fingerprint.h"

#include "common/base/hex.h"

#include <ctype.h>
#include <string.h>

static enum hf_err refuse(const char *text, size_t len, struct hf_why *why)
{
    return hf_fail(why, HF_E_ARGUMENT,
                   "a fingerprint is a SHA-256 of %d hexadecimal digits or its first %d or more, "
                   "not \"%.*s\"",
                   2 * HF_SHA256_LEN, HF_FINGERPRINT_DIGITS_MIN, (int)(len < 100 ? len : 100),
                   text);
}

enum hf_err hf_fingerprint_parse(const char *text, size_t len, struct hf_fingerprint *out,
                                 struct hf_why *why)
{
    struct hf_fingerprint f = {{0}};
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == ':' || text[i] == ' ')
            continue;
        if (!isxdigit((unsigned char)text[i]) || n == 2 * HF_SHA256_LEN)
            return refuse(text, len, why);
        f.digits[n++] = (char)tolower((unsigned char)text[i]);
    }
    if (n < HF_FINGERPRINT_DIGITS_MIN)
        return refuse(text, len, why);
    *out = f;
    return HF_OK;
}

bool hf_fingerprint_matches(const struct hf_fingerprint *f, const uint8_t sha256[HF_SHA256_LEN])
{
    char hex[HF_SHA256_HEX_LEN];
    hf_hex_encode(sha256, HF_SHA256_LEN, hex);
    return strncmp(hex, f->digits, strlen(f->digits)) == 0;
}
