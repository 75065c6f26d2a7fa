/* Text from others: made safe for a terminal, for JSON and for URLs. No I/O. */
#ifndef HF_COMMON_BASE_PLAINTEXT_H
#define HF_COMMON_BASE_PLAINTEXT_H

#include <holdfast/bytes.h>
#include <holdfast/error.h>

/** Bytes of the byte order mark that some editors put before UTF-8; 0 without one. */
size_t hf_plain_mark_len(struct hf_bytes text);

/** Bytes of the UTF-8 character that `text` begins with, and which one it is (RFC 3629). 0: none,
 *  or a cut one; `out` is written otherwise only. */
size_t hf_utf8_char(struct hf_bytes text, uint32_t *out);

/** Bytes of the UTF-8 character at `text`, which ends in NUL. 0 for bytes that are no character,
 *  also one that was cut, and for one that steers a terminal: a control character, a line
 *  separator, or a change of the writing direction. */
size_t hf_plain_char_len(const char *text);

/** Put '?' for every byte that belongs to no such character. */
void hf_text_sanitize(char *text);

/** `text` has filled its `cap` bytes and more was to come: end it with "…", behind a whole word
 *  where there is one in the second half. */
void hf_text_end_cut(char *text, size_t cap);

/** Append to `out`, a text of less than `cap` bytes. What does not fit is cut as by
 *  hf_text_end_cut, and nothing is appended from then on. */
void hf_text_append(char *out, size_t cap, const char *fmt, ...) HF_PRINTF(3, 4);

/**
 * Write `text` as what stands between the quotes of a JSON string: quotes, backslashes, control
 * characters and every byte above 0x7e become escapes (a byte as the character of its number), so
 * that the result is one line of plain ASCII whatever came in. What does not fit whole into `size`
 * is left out. Returns the length; no NUL is written.
 */
size_t hf_escape_json(const char *text, size_t len, char *out, size_t size);

#endif
