/* Hexadecimal text, and the percent-encoding that uses it. No I/O. */
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

/**
 * Percent-encode (RFC 3986, section 2): append `text` to `out`, each byte that is neither
 * unreserved (letters, digits, '-', '.', '_', '~') nor in `kept` as %XX. Without '/' in `kept`, the
 * result is one path segment, whatever the text. HF_E_MEMORY, with a part of it appended.
 */
HF_MUST_USE enum hf_err hf_percent_encode(const char *text, const char *kept, struct hf_buf *out);

/** The byte that "%XX" at the beginning of `text`, `len` bytes, stands for; -1 if there is no such
 *  escape. */
int hf_percent_byte(const char *text, size_t len);

#endif
