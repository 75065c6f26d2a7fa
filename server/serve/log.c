#include "server/serve/log.h"

#include "common/base/timetext.h"

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static atomic_uint n_lost;

/* Is standard error a stream to the journal (JOURNAL_STREAM, systemd.exec(5))? */
static bool is_journal(void)
{
    const char *journal = getenv("JOURNAL_STREAM");
    struct stat st;
    char own[64];
    if (journal == NULL || fstat(STDERR_FILENO, &st) != 0)
        return false;
    (void)snprintf(own, sizeof own, "%llu:%llu", (unsigned long long)st.st_dev,
                   (unsigned long long)st.st_ino);
    return strcmp(journal, own) == 0;
}

static int format_front(enum hf_log_level level, char *out, size_t size)
{
    char now[HF_TIME_TEXT_MAX];
    if (is_journal())
        return snprintf(out, size, "<%d>", (int)level);
    hf_time_format(time(NULL), now);
    return snprintf(out, size, "%s holdfastd %s: ", now,
                    level == HF_LOG_ERROR     ? "error"
                    : level == HF_LOG_WARNING ? "warning"
                                              : "info");
}

static bool write_line(const char *line, size_t len)
{
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&ready, 1, 0) == 1 && write(STDERR_FILENO, line, len) == (ssize_t)len;
}

void hf_serve_log(enum hf_log_level level, const char *fmt, ...)
{
    char line[HF_WHY_MAX + 256];
    size_t size = sizeof line - 1; /* the line's end has its room kept back */
    size_t len = (size_t)format_front(level, line, size);
    va_list args;
    va_start(args, fmt);
    int more = vsnprintf(line + len, size - len, fmt, args);
    va_end(args);
    if (more < 0)
        return;
    len = (size_t)more < size - len ? len + (size_t)more : size - 1;
    line[len++] = '\n';

    unsigned lost = atomic_exchange(&n_lost, 0);
    char note[128];
    if (lost > 0) {
        int n = format_front(HF_LOG_WARNING, note, sizeof note);
        n += snprintf(note + n, sizeof note - (size_t)n,
                      "%u lines were lost: standard error took no more\n", lost);
        lost = write_line(note, (size_t)n) ? 0 : lost;
    }
    if (!write_line(line, len))
        lost++;
    atomic_fetch_add(&n_lost, lost);
}
