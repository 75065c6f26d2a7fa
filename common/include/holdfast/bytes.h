/*
 * Two kinds of bytes: hf_bytes borrows them, hf_buf owns them.
 */
#ifndef HOLDFAST_BYTES_H
#define HOLDFAST_BYTES_H

#include <holdfast/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Borrowed; valid as long as whatever it points into. */
struct hf_bytes {
    const uint8_t *data;
    size_t len;
};

/** Owned and growable. All zero is an empty one. `data[len]` is always a NUL once it has data. */
struct hf_buf {
    uint8_t *data;
    size_t len;
    size_t cap;
};

/** Append; HF_E_MEMORY leaves the buffer as it was. */
HF_MUST_USE enum hf_err hf_buf_append(struct hf_buf *b, const void *data, size_t len);
HF_MUST_USE enum hf_err hf_buf_append_text(struct hf_buf *b, const char *text);
HF_MUST_USE enum hf_err hf_buf_printf(struct hf_buf *b, const char *fmt, ...) HF_PRINTF(2, 3);

/** Make room for `more` further bytes without changing the length. */
HF_MUST_USE enum hf_err hf_buf_reserve(struct hf_buf *b, size_t more);

/** Frees and zeroes the struct. */
void hf_buf_free(struct hf_buf *b);

struct hf_bytes hf_buf_bytes(const struct hf_buf *b);
struct hf_bytes hf_bytes_of_text(const char *text);
bool hf_bytes_equal(struct hf_bytes a, struct hf_bytes b);

#ifdef __cplusplus
}
#endif

#endif
