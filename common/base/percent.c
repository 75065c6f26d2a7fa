#include "common/base/percent.h"

#include <string.h>

/* Not isalnum(), which would ask the locale. */
static const char unreserved[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

enum hf_err hf_percent_encode(const char *text, const char *kept, struct hf_buf *out)
{
    for (const char *c = text; *c != '\0'; c++) {
        bool is_plain = strchr(unreserved, *c) != NULL || strchr(kept, *c) != NULL;
        HF_TRY(is_plain ? hf_buf_append(out, c, 1)
                        : hf_buf_printf(out, "%%%02X", (unsigned)(unsigned char)*c));
    }
    return HF_OK;
}
