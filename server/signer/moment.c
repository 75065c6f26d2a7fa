#include "server/signer/moment.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

struct hf_moment hf_moment_read(void)
{
    struct timespec up = {0};
    struct hf_moment now = {.wall_s = (int64_t)time(NULL)};
    (void)clock_gettime(CLOCK_BOOTTIME, &up);
    now.up_s = (int64_t)up.tv_sec;
    int fd = open(BOOT_ID_PATH, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, now.boot, HF_BOOT_ID_MAX) : 0;
    now.boot[len > 0 ? len : 0] = '\0';
    if (fd >= 0)
        close(fd);
    return now;
}
