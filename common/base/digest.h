/* SHA-256 and SHA-512 (FIPS 180-4, by libsodium), and hexadecimal text. No I/O. */
#ifndef HF_COMMON_DIGEST_H
#define HF_COMMON_DIGEST_H

#include <holdfast/bytes.h>

#define HF_SHA256_LEN 32
#define HF_SHA256_HEX_LEN 65 /* with its NUL */
#define HF_SHA512_LEN 64
#define HF_SHA512_HEX_LEN 129 /* with its NUL */

void hf_sha256(struct hf_bytes data, uint8_t out[HF_SHA256_LEN]);
void hf_sha512(struct hf_bytes data, uint8_t out[HF_SHA512_LEN]);
void hf_sha256_hex(struct hf_bytes data, char out[HF_SHA256_HEX_LEN]);

/** Lower case; `out` holds 2 * len + 1 characters. */
void hf_hex_encode(const uint8_t *data, size_t len, char *out);

/**
 * Exactly `len` bytes from exactly 2 * len hexadecimal digits of either case.
 * Returns false, with `out` in an undefined state, for anything else.
 */
HF_MUST_USE bool hf_hex_decode(const char *text, uint8_t *out, size_t len);

#endif
