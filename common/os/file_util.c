#include "common/os/file_util.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_POLL_MS 20

enum hf_err hf_file_fail(struct hf_why *why, const char *action, const char *path, int error)
{
    if (error == ENOSPC || error == EDQUOT)
        return hf_fail(why, HF_E_STORAGE,
                       "cannot %s %s: the disk holding it is full; free some space and try again",
                       action, path);
    if (error == EROFS)
        return hf_fail(why, HF_E_STORAGE, "cannot %s %s: the disk holding it is mounted read-only",
                       action, path);
    return hf_fail(why, HF_E_STORAGE, "cannot %s %s: %s", action, path, strerror(error));
}

/* ---- names ----------------------------------------------------------------------------------- */

enum hf_err hf_path_set(struct hf_path *path, struct hf_why *why, const char *fmt, ...)
{
    struct hf_path made;
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(made.text, sizeof made.text, fmt, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof made.text)
        return hf_fail(why, HF_E_LIMIT, "the path %.60s… is longer than %d bytes", made.text,
                       PATH_MAX - 1);
    *path = made;
    return HF_OK;
}

enum hf_err hf_file_absolute(const char *path, char **out, struct hf_why *why)
{
    char cwd[PATH_MAX] = "";
    struct hf_buf full = {0};
    if (path[0] == '\0') /* a variable of a script that is not set: not the current folder */
        return hf_fail(why, HF_E_ARGUMENT, "a name is expected, and it is empty");
    if (path[0] != '/' && getcwd(cwd, sizeof cwd) == NULL)
        return hf_file_fail(why, "find the current folder for", path, errno);
    if (hf_buf_printf(&full, "%s%s%s", cwd, path[0] == '/' ? "" : "/", path) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the path %s", path);
    *out = (char *)full.data;
    return HF_OK;
}

/* The bytes of `path` up to and with the last slash; 0 for a file in the current folder. */
static int folder_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (int)(slash - path + 1);
}

static enum hf_err set_folder(struct hf_path *folder, const char *path, struct hf_why *why)
{
    int len = folder_len(path);
    if (len == 0)
        return hf_path_set(folder, why, ".");
    return hf_path_set(folder, why, "%.*s", len > 1 ? len - 1 : 1, path);
}

bool hf_file_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

bool hf_file_is_absent(const char *path)
{
    return !hf_file_exists(path) && (errno == ENOENT || errno == ENOTDIR);
}

bool hf_file_is_link(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

bool hf_file_is_something_else(const char *path)
{
    struct stat target;
    return hf_file_exists(path) && (stat(path, &target) != 0 || !S_ISREG(target.st_mode));
}

bool hf_file_is_writable(const char *path)
{
    struct hf_path folder;
    return set_folder(&folder, path, NULL) == HF_OK &&
           faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0 &&
           faccessat(AT_FDCWD, folder.text, W_OK, AT_EACCESS) == 0;
}

/* ---- replacing ------------------------------------------------------------------------------- */

enum hf_err hf_file_sync_dir(const char *dir, struct hf_why *why)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return hf_file_fail(why, "open the folder", dir, errno);
    /* Some file systems cannot sync a folder and say so; they have nothing to lose there. */
    int error = fsync(fd) == 0 || errno == EINVAL || errno == EBADF ? 0 : errno;
    close(fd);
    return error == 0 ? HF_OK : hf_file_fail(why, "sync the folder", dir, error);
}

enum hf_err hf_file_sync_parent(const char *path, struct hf_why *why)
{
    struct hf_path folder;
    HF_TRY(set_folder(&folder, path, why));
    return hf_file_sync_dir(folder.text, why);
}

enum hf_err hf_file_rename(const char *from, const char *to, struct hf_why *why)
{
    if (rename(from, to) != 0)
        return hf_file_fail(why, "replace", to, errno);
    return hf_file_sync_parent(to, why);
}

/* 0 or an errno. FAT gives every file the mode of the mount and refuses another one. That is enough
 * if no other user may read or write what `mode` does not allow. */
static int set_mode(int fd, mode_t mode)
{
    struct stat st;
    if (fchmod(fd, mode) == 0)
        return 0;
    int error = errno;
    bool is_enough = fstat(fd, &st) == 0 && (st.st_mode & 0666 & ~mode) == 0;
    return is_enough ? 0 : error;
}

/* 0 or an errno; closes `fd` either way. */
static int fill_and_close(int fd, struct hf_bytes bytes, mode_t mode, bool is_synced)
{
    int error = 0;
    while (error == 0 && bytes.len > 0) {
        ssize_t n = write(fd, bytes.data, bytes.len);
        if (n < 0 && errno != EINTR)
            error = errno;
        if (n > 0)
            bytes = (struct hf_bytes){bytes.data + n, bytes.len - (size_t)n};
    }
    if (error == 0)
        error = set_mode(fd, mode);
    if (error == 0 && is_synced && fsync(fd) != 0)
        error = errno;
    if (close(fd) != 0 && error == 0)
        error = errno;
    return error;
}

/* Fill the new file `temp`, which is open as `fd`, and give it the name `path`. Closes `fd`. */
static enum hf_err fill_and_rename(int fd, const char *temp, const char *path,
                                   struct hf_bytes bytes, mode_t mode, bool is_synced,
                                   struct hf_why *why)
{
    int error = fill_and_close(fd, bytes, mode, is_synced);
    if (error == 0 && renameat(AT_FDCWD, temp, AT_FDCWD, path) != 0)
        error = errno;
    if (error == 0)
        return HF_OK;
    unlink(temp);
    return hf_file_fail(why, "write", path, error);
}

static enum hf_err place(const char *path, struct hf_bytes bytes, mode_t mode, bool is_synced,
                         struct hf_why *why)
{
    /* In the same folder: a rename does not cross file systems. A cleaner knows it by its dot. */
    struct hf_path temp;
    int len = folder_len(path);
    HF_TRY(hf_path_set(&temp, why, "%.*s.%s.XXXXXX", len, path, path + len));
    int fd = mkostemp(temp.text, O_CLOEXEC);
    if (fd < 0)
        return hf_file_fail(why, "write", path, errno);
    return fill_and_rename(fd, temp.text, path, bytes, mode, is_synced, why);
}

enum hf_err hf_file_place(const char *path, struct hf_bytes bytes, mode_t mode, struct hf_why *why)
{
    return place(path, bytes, mode, false, why);
}

enum hf_err hf_file_replace(const char *path, struct hf_bytes bytes, mode_t mode,
                            struct hf_why *why)
{
    HF_TRY(place(path, bytes, mode, true, why));
    return hf_file_sync_parent(path, why);
}

enum hf_err hf_file_replace_alone(const char *path, struct hf_bytes bytes, struct hf_why *why)
{
    struct hf_path temp;
    HF_TRY(hf_path_set(&temp, why, "%.*s.new", folder_len(path), path));
    /* A crashed writer's leftover, or a trap of that name, is not written into. */
    if (unlink(temp.text) != 0 && errno != ENOENT)
        return hf_file_fail(why, "take away", temp.text, errno);
    int fd = open(temp.text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return hf_file_fail(why, "create", temp.text, errno);
    HF_TRY(fill_and_rename(fd, temp.text, path, bytes, 0644, true, why));
    return hf_file_sync_parent(path, why);
}

enum hf_err hf_file_create(const char *path, mode_t mode, struct hf_bytes bytes, struct hf_why *why)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST)
        return hf_fail(why, HF_E_STATE, "%s exists already; it is never overwritten", path);
    if (fd < 0)
        return hf_file_fail(why, "create", path, errno);
    int error = fill_and_close(fd, bytes, mode, true);
    enum hf_err err = error == 0 ? hf_file_sync_parent(path, why)
                                 : hf_file_fail(why, "write", path, error);
    if (err != HF_OK)
        unlink(path);
    return err;
}

enum hf_err hf_file_replace_link(const char *path, const char *target, struct hf_why *why)
{
    /* A fixed name: a leftover is ours, and the caller holds the lock. */
    struct hf_path temp;
    HF_TRY(hf_path_set(&temp, why, "%s.new", path));
    unlink(temp.text);
    if (symlink(target, temp.text) == 0 && rename(temp.text, path) == 0)
        return HF_OK;
    enum hf_err err = hf_file_fail(why, "make the symbolic link", path, errno);
    unlink(temp.text);
    return err;
}

/* ---- folders --------------------------------------------------------------------------------- */

enum hf_err hf_file_make_dir(const char *path, bool *was_made, struct hf_why *why)
{
    struct stat st;
    if (mkdir(path, 0700) == 0) {
        *was_made = true;
        return HF_OK;
    }
    if (errno != EEXIST)
        return hf_file_fail(why, "make the folder", path, errno);
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return hf_fail(why, HF_E_STORAGE, "%s is in the way: a folder is to be made there", path);
    *was_made = false;
    return HF_OK;
}

enum hf_err hf_file_make_new_dir(const char *path, mode_t mode, struct hf_why *why)
{
    if (mkdir(path, 0700) != 0) {
        if (errno == EEXIST)
            return hf_fail(why, HF_E_STATE, "%s exists already", path);
        return hf_file_fail(why, "create the folder", path, errno);
    }
    enum hf_err err = chmod(path, mode) == 0 ? hf_file_sync_parent(path, why)
                                             : hf_file_fail(why, "set the mode of", path, errno);
    if (err != HF_OK)
        rmdir(path);
    return err;
}

enum hf_err hf_file_check_way(const char *top, const char *path, struct hf_why *why)
{
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        struct hf_path folder;
        struct stat st;
        HF_TRY(hf_path_set(&folder, why, "%s/%.*s", top, (int)(slash - path), path));
        if (lstat(folder.text, &st) == 0 && !S_ISDIR(st.st_mode))
            return hf_fail(
                why, HF_E_STORAGE,
                "%s is no folder; a repository or mirror holds files and folders, take it "
                "away",
                folder.text);
    }
    return HF_OK;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    (void)remove(path);
    return 0;
}

void hf_file_remove_tree(const char *path)
{
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- locks ----------------------------------------------------------------------------------- */

enum hf_err hf_file_lock(const char *path, unsigned wait_ms, int *out, struct hf_why *why)
{
    const struct timespec pause = {.tv_nsec = LOCK_POLL_MS * 1000000L};
    /* Close-on-exec: what a command that we start leaves running must not hold the lock. */
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return hf_file_fail(why, "open", path, errno);
    /* flock has no deadline of its own, and a signal for one is the application's business. */
    for (unsigned waited_ms = 0;; waited_ms += LOCK_POLL_MS) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            *out = fd;
            return HF_OK;
        }
        int error = errno;
        bool is_busy = error == EWOULDBLOCK || error == EINTR;
        if (is_busy && waited_ms < wait_ms) {
            nanosleep(&pause, NULL);
            continue;
        }
        close(fd);
        return is_busy ? hf_fail(why, HF_E_BUSY, "%s is locked by another process", path)
                       : hf_file_fail(why, "lock", path, error);
    }
}

void hf_file_unlock(int lock)
{
    if (lock >= 0)
        close(lock);
}
