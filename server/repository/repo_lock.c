#include "server/repository/repo_lock.h"

#include "server/repository/base/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum hf_err hf_repo_lock_take(const char *dir, struct hf_repo_lock *out, struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_path_set(&path, why, "%s/" HF_REPO_LOCK_FILE, dir));
    int fd = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return hf_fail(why, HF_E_NOT_FOUND,
                       "there is no repository in %s; holdfastctl init makes one", dir);
    if (fd < 0)
        return hf_fail(why, HF_E_STORAGE, "cannot open %s: %s", path.text, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return hf_fail(why, HF_E_BUSY,
                       "another holdfastctl is writing to %s; wait until it is done and try again",
                       dir);
    }
    out->fd = fd;
    return HF_OK;
}

void hf_repo_lock_release(struct hf_repo_lock *lock)
{
    if (lock->fd >= 0)
        close(lock->fd);
    lock->fd = -1;
}
