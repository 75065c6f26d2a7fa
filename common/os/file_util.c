#include "common/os/file_util.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
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

/* ---- names ------------------------------------------------------------------------------------ */

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

enum hf_err hf_file_join(const char *dir, const char *name, char **out, struct hf_why *why)
{
    struct hf_buf path = {0};

    if (hf_buf_printf(&path, "%s/%s", dir, name) != HF_OK) {
        hf_buf_free(&path);
        return hf_fail(why, HF_E_MEMORY, "out of memory for the path of %s", name);
    }
    *out = (char *)path.data;
    return HF_OK;
}

enum hf_err hf_file_absolute(const char *path, char **out, struct hf_why *why)
{
    char cwd[PATH_MAX];

    if (path[0] == '\0') /* a variable of a script that is not set: not the current folder */
        return hf_fail(why, HF_E_ARGUMENT, "a name is expected, and it is empty");
    if (path[0] != '/') {
        if (getcwd(cwd, sizeof(cwd)) == NULL)
            return hf_file_fail(why, "find the current folder for", path, errno);
        return hf_file_join(cwd, path, out, why);
    }
    char *copy = strdup(path);
    if (copy == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the path %s", path);
    *out = copy;
    return HF_OK;
}

/* The folder that `path` is in; to be freed. */
static enum hf_err parent_of(const char *path, char **out, struct hf_why *why)
{
    const char *slash = strrchr(path, '/');
    char *parent = slash == NULL   ? strdup(".")
                   : slash == path ? strdup("/")
                                   : strndup(path, (size_t)(slash - path));

    if (parent == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the folder of %s", path);
    *out = parent;
    return HF_OK;
}

bool hf_file_exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static bool can_write(const char *path)
{
    return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

bool hf_file_is_something_else(const char *path)
{
    struct stat itself, target;

    if (lstat(path, &itself) != 0)
        return false;
    return stat(path, &target) != 0 || !S_ISREG(target.st_mode);
}

bool hf_file_is_writable(const char *path)
{
    char *parent = NULL;

    if (!can_write(path) || parent_of(path, &parent, NULL) != HF_OK)
        return false;
    bool is_writable = can_write(parent);
    free(parent);
    return is_writable;
}

/* ---- replacing -------------------------------------------------------------------------------- */

enum hf_err hf_file_sync_dir(const char *dir, struct hf_why *why)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return hf_file_fail(why, "open the folder", dir, errno);
    /* Some file systems cannot sync a folder and say EINVAL; they have nothing to lose there. */
    int error = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
    close(fd);
    return error == 0 ? HF_OK : hf_file_fail(why, "sync the folder", dir, error);
}

enum hf_err hf_file_sync_parent(const char *path, struct hf_why *why)
{
    char *parent = NULL;

    HF_TRY(parent_of(path, &parent, why));
    enum hf_err err = hf_file_sync_dir(parent, why);
    free(parent);
    return err;
}

enum hf_err hf_file_rename(const char *from, const char *to, struct hf_why *why)
{
    if (rename(from, to) != 0)
        return hf_file_fail(why, "replace", to, errno);
    return hf_file_sync_parent(to, why);
}

static int write_all(int fd, struct hf_bytes bytes)
{
    size_t done = 0;

    while (done < bytes.len) {
        ssize_t n = write(fd, bytes.data + done, bytes.len - done);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0)
            done += (size_t)n;
    }
    return 0;
}

/* 0 or an errno; closes `fd` either way. */
static int fill_and_close(int fd, struct hf_bytes bytes, mode_t mode, bool is_synced)
{
    int error = write_all(fd, bytes);

    if (error == 0 && fchmod(fd, mode) != 0)
        error = errno;
    if (error == 0 && is_synced && fsync(fd) != 0)
        error = errno;
    if (close(fd) != 0 && error == 0)
        error = errno;
    return error;
}

/* A name beside `path` that hf_file_replace may use and a cleaner recognises by its dot. */
static enum hf_err temp_name(const char *path, char **out, struct hf_why *why)
{
    const char *slash = strrchr(path, '/');
    int dir_len = slash == NULL ? 0 : (int)(slash - path + 1);
    struct hf_buf name = {0};

    if (hf_buf_printf(&name, "%.*s.%s.XXXXXX", dir_len, path, path + dir_len) != HF_OK) {
        hf_buf_free(&name);
        return hf_fail(why, HF_E_MEMORY, "out of memory for a temporary file of %s", path);
    }
    *out = (char *)name.data;
    return HF_OK;
}

static enum hf_err place(const char *path, struct hf_bytes bytes, mode_t mode, bool is_synced,
                         struct hf_why *why)
{
    char *temp = NULL;
    enum hf_err err = HF_OK;

    HF_TRY(temp_name(path, &temp, why));
    int fd = mkostemp(temp, O_CLOEXEC);
    int error = fd < 0 ? errno : fill_and_close(fd, bytes, mode, is_synced);
    if (error == 0 && rename(temp, path) != 0)
        error = errno;
    if (error != 0) {
        err = hf_file_fail(why, "write", path, error);
        if (fd >= 0)
            unlink(temp);
    }
    free(temp);
    return err;
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

enum hf_err hf_file_create(const char *path, mode_t mode, struct hf_bytes bytes, struct hf_why *why)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
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

enum hf_err hf_file_replace_alone(const char *path, struct hf_bytes bytes, struct hf_why *why)
{
    struct hf_path temp;
    const char *slash = strrchr(path, '/');
    int dir_len = slash == NULL ? 0 : (int)(slash + 1 - path);

    /* In the same folder: a rename does not cross file systems. */
    HF_TRY(hf_path_set(&temp, why, "%.*s.new", dir_len, path));
    /* Whatever has the name, a crashed writer's rest or a trap, is not written into. */
    if (unlink(temp.text) != 0 && errno != ENOENT)
        return hf_file_fail(why, "take away", temp.text, errno);
    int fd = open(temp.text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                  S_IRUSR | S_IWUSR);
    if (fd < 0)
        return hf_file_fail(why, "create", temp.text, errno);
    int error = fill_and_close(fd, bytes, 0644, true);
    if (error == 0 && renameat(AT_FDCWD, temp.text, AT_FDCWD, path) != 0)
        error = errno;
    if (error == 0)
        return hf_file_sync_parent(path, why);
    unlink(temp.text);
    return hf_file_fail(why, "write", path, error);
}

enum hf_err hf_file_replace_link(const char *path, const char *target, struct hf_why *why)
{
    struct hf_buf temp = {0};
    enum hf_err err = HF_OK;

    /* A fixed name: a leftover is ours, and the caller holds the lock. */
    if (hf_buf_printf(&temp, "%s.new", path) != HF_OK) {
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the symbolic link %s", path);
        goto out;
    }
    const char *temp_path = (const char *)temp.data;
    unlink(temp_path);
    if (symlink(target, temp_path) != 0 || rename(temp_path, path) != 0) {
        err = hf_file_fail(why, "make the symbolic link", path, errno);
        unlink(temp_path);
    }
out:
    hf_buf_free(&temp);
    return err;
}

/* ---- folders ---------------------------------------------------------------------------------- */

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
    if (mkdir(path, S_IRWXU) != 0) {
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

bool hf_file_is_link(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
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

/* ---- locks ------------------------------------------------------------------------------------ */

/* flock has no deadline of its own, and a signal for one would be the application's business. */
static int flock_within(int fd, unsigned wait_ms)
{
    const struct timespec pause = {.tv_nsec = LOCK_POLL_MS * 1000000L};

    for (unsigned waited_ms = 0;; waited_ms += LOCK_POLL_MS) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return errno;
        if (waited_ms >= wait_ms)
            return EWOULDBLOCK;
        nanosleep(&pause, NULL);
    }
}

enum hf_err hf_file_lock(const char *path, unsigned wait_ms, int *out, struct hf_why *why)
{
    /* Close-on-exec: what a command that we start leaves running must not hold the lock. */
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
    return hf_fail(why, HF_E_BUSY, "%s is locked by another process", path);
}

void hf_file_unlock(int lock)
{
    if (lock >= 0)
        close(lock);
}
