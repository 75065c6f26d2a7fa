/* Base64 (RFC 4648) to bytes, by libsodium. No I/O. */
#ifndef HF_COMMON_BASE64_H
#define HF_COMMON_BASE64_H

#include <holdfast/bytes.h>

/**
 * Decode `len` characters into `out`, at most `cap` bytes. `variant` is one of libsodium's,
 * sodium_base64_VARIANT_ORIGINAL or another. `ignored` are characters to skip; NULL: none. True if
 * the padding is right and no bit is left over; `*stopped` is then the first character that is no
 * base64, or the end. On false it is where the fault is, and `out` is in an undefined state.
 *
 * In place of sodium_base642bin, which takes some bytes above 127 for digits (version 1.0.18), so
 * that several texts would stand for the same bytes.
 */
HF_MUST_USE bool hf_base64_decode(const char *text, size_t len, const char *ignored, int variant,
                                  uint8_t *out, size_t cap, size_t *out_len, const char **stopped);

#endif
