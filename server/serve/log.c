#include "server/serve/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void hf_serve_log(const char *fmt, ...)
{
    char line[HF_WHY_MAX + 256];
    int len = snprintf(line, sizeof line, "holdfastd: ");
    va_list args;
    va_start(args, fmt);
    int more = vsnprintf(line + len, sizeof line - (size_t)len - 1, fmt, args);
    va_end(args);
    if (more < 0)
        return;
    len += more;
    if ((size_t)len > sizeof line - 2)
        len = (int)sizeof line - 2; /* cut */
    line[len++] = '\n';
    /* There is nobody to tell when standard error itself is gone. */
    ssize_t written = write(STDERR_FILENO, line, (size_t)len);
    (void)written;
}
