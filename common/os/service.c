#include "common/os/service.h"

#include "common/base/timetext.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void hf_notify(const char *state)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = name == NULL ? 0 : strlen(name);
    if (len < 2 || len >= sizeof to.sun_path || (name[0] != '/' && name[0] != '@'))
        return;
    memcpy(to.sun_path, name, len);
    /* An abstract socket: its name ends with the address, not with a NUL. */
    if (name[0] == '@')
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    close(fd);
}

/* The value of a variable that holds a positive number, or 0. */
static unsigned long long number_in(const char *variable)
{
    const char *text = getenv(variable);
    char *end = NULL;
    unsigned long long n = text == NULL ? 0 : strtoull(text, &end, 10);
    return end == NULL || end == text || *end != '\0' ? 0 : n;
}

void hf_notify_reloading(void)
{
    /* sd_notify(3) wants to know since when, to the microsecond: earlier than its signal does not
     * count. */
    struct timespec now;
    char text[64];
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
                   (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    hf_notify(text);
}

int hf_notify_watchdog_ms(void)
{
    if (getenv("WATCHDOG_PID") != NULL && number_in("WATCHDOG_PID") != (unsigned long long)getpid())
        return 0;
    unsigned long long ms = number_in("WATCHDOG_USEC") / 1000;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

static atomic_uint n_lost;

static int format_front(enum hf_log_level level, char *out, size_t size)
{
    const char *journal = getenv("JOURNAL_STREAM"); /* systemd.exec(5): our standard error is it */
    const char *name = level == HF_LOG_ERROR     ? "error"
                       : level == HF_LOG_WARNING ? "warning"
                                                 : "info";
    struct stat st;
    char own[64], now[HF_TIME_TEXT_MAX];
    if (journal != NULL && fstat(STDERR_FILENO, &st) == 0) {
        (void)snprintf(own, sizeof own, "%llu:%llu", (unsigned long long)st.st_dev,
                       (unsigned long long)st.st_ino);
        if (strcmp(journal, own) == 0)
            return snprintf(out, size, "<%d>", (int)level);
    }
    hf_time_format(time(NULL), now);
    return snprintf(out, size, "%s %.64s %s: ", now, program_invocation_short_name, name);
}

static bool write_line(const char *line, size_t len)
{
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&ready, 1, 0) == 1 && write(STDERR_FILENO, line, len) == (ssize_t)len;
}

void hf_service_log(enum hf_log_level level, const char *fmt, ...)
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
