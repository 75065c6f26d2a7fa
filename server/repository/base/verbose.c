#include "server/repository/base/verbose.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

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
