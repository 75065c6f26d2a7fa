/* Percent-encoding (RFC 3986, section 2). No I/O. */
#ifndef HF_COMMON_PERCENT_H
#define HF_COMMON_PERCENT_H

#include <holdfast/bytes.h>

/**
 * Append `text` to `out`, with %XX for each byte that is neither unreserved (letters, digits, '-',
 * '.', '_', '~') nor in `kept`. Without '/' in `kept`, the result is one path segment, whatever the
 * text. HF_E_MEMORY, with a part of it appended.
 */
HF_MUST_USE enum hf_err hf_percent_encode(const char *text, const char *kept, struct hf_buf *out);

/** The byte that "%XX" at the beginning of `text`, `len` bytes, stands for; -1 if there is no such
 *  escape. */
int hf_percent_byte(const char *text, size_t len);

#endif
