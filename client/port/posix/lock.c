#include "client/port/posix/lock.h"

#include "common/os/file_util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 20

/* flock has no deadline of its own, and a signal for one would be the application's business. */
static int flock_within(int fd, unsigned wait_ms)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};

    for (unsigned waited_ms = 0;; waited_ms += POLL_MS) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return errno;
        if (waited_ms >= wait_ms)
            return EWOULDBLOCK;
        nanosleep(&pause, NULL);
    }
}

static enum hf_err take_file(const char *path, const char *state_dir, unsigned wait_ms, int *out,
                             struct hf_why *why)
{
    /* Close-on-exec: what an on-swap command leaves running must not hold the lock. */
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return hf_file_fail(why, "open", path, errno);

    int error = flock_within(fd, wait_ms);
    if (error == 0) {
        *out = fd;
        return HF_OK;
    }
    close(fd);
    if (error != EWOULDBLOCK)
        return hf_file_fail(why, "lock", path, error);
    return hf_fail(why, HF_E_BUSY,
                   "another process is updating %s; wait for it to end and try again", state_dir);
}

enum hf_err hf_lock_take(const char *state_dir, unsigned wait_ms, int *out, struct hf_why *why)
{
    char *path = NULL;

    HF_TRY(hf_file_join(state_dir, "lock", &path, why));
    enum hf_err err = take_file(path, state_dir, wait_ms, out, why);
    free(path);
    return err;
}

void hf_lock_release(int lock)
{
    if (lock >= 0)
        close(lock);
}
