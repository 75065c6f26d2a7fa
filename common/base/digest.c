#include "common/base/digest.h"

#include "common/base/hex.h"

#include <sodium.h>

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
