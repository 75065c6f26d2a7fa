#include "common/base/base64.h"

#include <sodium.h>

bool hf_base64_decode(const char *text, size_t len, const char *ignored, int variant, uint8_t *out,
                      size_t cap, size_t *out_len, const char **stopped)
{
    size_t n_ascii = 0;

    while (n_ascii < len && (unsigned char)text[n_ascii] < 0x80)
        n_ascii++;
    return sodium_base642bin(out, cap, text, n_ascii, ignored, out_len, stopped, variant) == 0;
}
