#include "common/os/notify.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void hf_notify(const char *state)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = name == NULL ? 0 : strlen(name);
    if (len < 2 || len >= sizeof to.sun_path || (name[0] != '/' && name[0] != '@'))
        return;
    memcpy(to.sun_path, name, len);
    if (name[0] == '@')
        to.sun_path[0] =
            '\0'; /* an abstract socket: its name ends with the address, not with a NUL */

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

int hf_notify_watchdog_ms(void)
{
    if (getenv("WATCHDOG_PID") != NULL && number_in("WATCHDOG_PID") != (unsigned long long)getpid())
        return 0;
    unsigned long long ms = number_in("WATCHDOG_USEC") / 1000;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}
