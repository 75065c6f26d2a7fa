#include "server/fleet/secret.h"

#include "server/fleet/limits.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define BASE64_MAX 44 /* 32 bytes are 43 characters, and a NUL */

void hf_secret_make(const char *prefix, char out[HF_SECRET_TEXT_MAX], uint8_t hash[HF_SHA256_LEN])
{
    uint8_t chance[HF_FLEET_TOKEN_BYTES];
    char base64[BASE64_MAX];

    randombytes_buf(chance, sizeof chance);
    (void)sodium_bin2base64(base64, sizeof base64, chance, sizeof chance, VARIANT);
    (void)snprintf(out, HF_SECRET_TEXT_MAX, "%s%s", prefix, base64);
    hf_sha256(hf_bytes_of_text(out), hash);
    sodium_memzero(chance, sizeof chance);
    sodium_memzero(base64, sizeof base64);
}

bool hf_secret_hash(const char *prefix, const char *text, uint8_t hash[HF_SHA256_LEN])
{
    size_t n = strlen(prefix);

    if (strlen(text) != n + BASE64_MAX - 1 || strncmp(text, prefix, n) != 0)
        return false;
    hf_sha256(hf_bytes_of_text(text), hash);
    return true;
}
