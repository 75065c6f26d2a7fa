#include "server/repository/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool hf_label_is_plain(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if (text[i] < ' ' || text[i] > '~')
            return false;
    }
    return len >= 1 && len <= HF_LABEL_MAX;
}

/* ---- --verbose ------------------------------------------------------------------------------- */

static bool is_on;

void hf_verbose_on(void)
{
    is_on = true;
}

void hf_verbose(const char *fmt, ...)
{
    va_list args;
    if (!is_on)
        return;
    va_start(args, fmt);
    fputs("holdfastctl: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}
