#include "common/base/digest.h"

#include <sodium.h>
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

void hf_sha256(struct hf_bytes data, uint8_t out[HF_SHA256_LEN])
{
    (void)crypto_hash_sha256(out, data.data, data.len);
}

void hf_sha512(struct hf_bytes data, uint8_t out[HF_SHA512_LEN])
{
    (void)crypto_hash_sha512(out, data.data, data.len);
}

void hf_sha256_hex(struct hf_bytes data, char out[HF_SHA256_HEX_LEN])
{
    uint8_t digest[HF_SHA256_LEN];
    hf_sha256(data, digest);
    hf_hex_encode(digest, sizeof digest, out);
}
