#include "server/serve/state_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static enum hf_err take(int fd, const char *dir, struct hf_why *why)
{
    char id[32] = "";
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        int len = snprintf(id, sizeof id, "%ld\n", (long)getpid());
        if (ftruncate(fd, 0) == 0 && pwrite(fd, id, (size_t)len, 0) == len)
            return HF_OK;
        return hf_fail(why, HF_E_STORAGE, "%s/holdfastd.lock cannot be written: %s", dir,
                       strerror(errno));
    }
    if (errno != EWOULDBLOCK)
        return hf_fail(why, HF_E_STORAGE, "%s cannot be locked: %s", dir, strerror(errno));
    ssize_t len = pread(fd, id, sizeof id - 1, 0);
    id[len > 0 ? strcspn(id, "\n") : 0] = '\0';
    return hf_fail(why, HF_E_BUSY,
                   "the state folder %s belongs to a holdfastd that runs (process %s); give this "
                   "one another folder",
                   dir, id);
}

enum hf_err hf_state_lock(const char *dir, int *fd, struct hf_why *why)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return hf_fail(why, HF_E_STORAGE, "the state folder %s cannot be made: %s", dir,
                       strerror(errno));
    int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return hf_fail(why, HF_E_STORAGE, "the state folder %s cannot be opened: %s", dir,
                       strerror(errno));
    int lock = openat(folder, "holdfastd.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int failed = errno;
    close(folder);
    if (lock < 0)
        return hf_fail(why, HF_E_STORAGE, "%s/holdfastd.lock cannot be opened: %s", dir,
                       strerror(failed));
    enum hf_err err = take(lock, dir, why);
    if (err != HF_OK) {
        close(lock);
        return err;
    }
    *fd = lock;
    return HF_OK;
}
