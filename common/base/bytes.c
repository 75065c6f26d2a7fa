#include <holdfast/bytes.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum hf_err hf_buf_reserve(struct hf_buf *b, size_t more)
{
    if (more > SIZE_MAX / 4 || b->len > SIZE_MAX / 4)
        return HF_E_MEMORY;
    size_t need = b->len + more + 1; /* the NUL behind the data */
    if (need <= b->cap)
        return HF_OK;
    /* The first allocation fits exactly: most buffers are filled once. Later ones double. */
    size_t cap = b->cap == 0 ? need : b->cap * 2;
    if (cap < need)
        cap = need;
    uint8_t *data = realloc(b->data, cap);
    if (data == NULL)
        return HF_E_MEMORY;
    b->data = data;
    b->cap = cap;
    b->data[b->len] = '\0';
    return HF_OK;
}

enum hf_err hf_buf_append(struct hf_buf *b, const void *data, size_t len)
{
    HF_TRY(hf_buf_reserve(b, len));
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return HF_OK;
}

enum hf_err hf_buf_append_text(struct hf_buf *b, const char *text)
{
    return hf_buf_append(b, text, strlen(text));
}

enum hf_err hf_buf_printf(struct hf_buf *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    enum hf_err err = HF_E_MEMORY;
    int need = vsnprintf(NULL, 0, fmt, args);
    if (need >= 0)
        err = hf_buf_reserve(b, (size_t)need);
    if (err == HF_OK) {
        (void)vsnprintf((char *)b->data + b->len, (size_t)need + 1, fmt, again);
        b->len += (size_t)need;
    }
    va_end(again);
    va_end(args);
    return err;
}

void hf_buf_free(struct hf_buf *b)
{
    free(b->data);
    *b = (struct hf_buf){0};
}

struct hf_bytes hf_buf_bytes(const struct hf_buf *b)
{
    return (struct hf_bytes){b->data, b->len};
}

struct hf_bytes hf_bytes_of_text(const char *text)
{
    return (struct hf_bytes){(const uint8_t *)text, strlen(text)};
}

bool hf_bytes_equal(struct hf_bytes a, struct hf_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
