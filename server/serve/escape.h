/* Bytes from anybody as text inside a JSON string. */
#ifndef HF_SERVE_ESCAPE_H
#define HF_SERVE_ESCAPE_H

#include <stddef.h>

/**
 * Write `text` as what stands between the quotes of a JSON string: quotes, backslashes, control
 * characters and every byte above 0x7e become escapes (a byte as the character of its number), so
 * that the result is one line of plain ASCII whatever came in. What does not fit whole into `size`
 * is left out. Returns the length; no NUL is written.
 */
size_t hf_escape_json(const char *text, size_t len, char *out, size_t size);

#endif
