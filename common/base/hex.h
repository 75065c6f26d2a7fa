/* Hexadecimal text. No I/O. */
#ifndef HF_COMMON_HEX_H
#define HF_COMMON_HEX_H

#include <holdfast/bytes.h>

/** Lower case; `out` holds 2 * len + 1 characters. */
void hf_hex_encode(const uint8_t *data, size_t len, char *out);

/**
 * Exactly `len` bytes from exactly 2 * len hexadecimal digits of either case.
 * Returns false, with `out` in an undefined state, for anything else.
 */
HF_MUST_USE bool hf_hex_decode(const char *text, uint8_t *out, size_t len);

#endif
