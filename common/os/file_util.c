#include "common/os/file_util.h"

#include "common/os/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_CHUNK 16384 /* bytes, on the stack */

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

/* ---- reading ---------------------------------------------------------------------------------- */

/* Non-blocking, so that a pipe of that name is refused rather than waited for. */
static enum hf_err open_regular(const char *path, int *out_fd, size_t *out_size, struct hf_why *why)
{
    struct stat st;
    if (path[0] == '\0')
        return hf_fail(why, HF_E_ARGUMENT, "the name of the file is empty");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return hf_fail(why, HF_E_NOT_FOUND, "there is no file %s", path);
    if (fd < 0)
        return hf_file_fail(why, "open", path, errno);

    enum hf_err err = HF_OK;
    if (fstat(fd, &st) != 0)
        err = hf_file_fail(why, "read", path, errno);
    else if (!S_ISREG(st.st_mode))
        err = hf_fail(why, HF_E_STORAGE, "%s is not a regular file", path);
    if (err != HF_OK) {
        close(fd);
        return err;
    }
    *out_fd = fd;
    *out_size = (size_t)st.st_size;
    return HF_OK;
}

static ssize_t read_some(int fd, uint8_t chunk[READ_CHUNK])
{
    ssize_t n;
    do
        n = read(fd, chunk, READ_CHUNK);
    while (n < 0 && errno == EINTR);
    return n;
}

static enum hf_err read_all(int fd, const char *path, size_t max_bytes, struct hf_buf *out,
                            struct hf_why *why)
{
    uint8_t chunk[READ_CHUNK];
    size_t total = 0;

    for (;;) {
        ssize_t n = read_some(fd, chunk);
        if (n < 0)
            return hf_file_fail(why, "read", path, errno);
        if (n == 0)
            return HF_OK;
        total += (size_t)n;
        if (total > max_bytes)
            return hf_fail(why, HF_E_LIMIT, "%s is longer than the %zu bytes it may have", path,
                           max_bytes);
        if (hf_buf_append(out, chunk, (size_t)n) != HF_OK)
            return hf_fail(why, HF_E_MEMORY, "out of memory reading %s", path);
    }
}

/* `content` is taken. Most often there is nothing before it, and a bundle is large: no second copy. */
static enum hf_err append_take(struct hf_buf *out, struct hf_buf *content, const char *path,
                               struct hf_why *why)
{
    enum hf_err err = HF_OK;
    if (out->data == NULL && content->len > 0) {
        *out = *content;
        return HF_OK;
    }
    if (content->len > 0 && hf_buf_append(out, content->data, content->len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory reading %s", path);
    hf_buf_free(content);
    return err;
}

static enum hf_err read_regular(const char *path, bool is_secret, size_t max_bytes,
                                struct hf_buf *out, struct hf_why *why)
{
    struct hf_buf content = {0};
    size_t size = 0;
    int fd = -1;

    HF_TRY(open_regular(path, &fd, &size, why));
    enum hf_err err = is_secret ? hf_secret_file_check(path, fd, why) : HF_OK;
    if (err == HF_OK && size <= max_bytes && hf_buf_reserve(&content, size) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory reading %s", path);
    if (err == HF_OK)
        err = read_all(fd, path, max_bytes, &content, why);
    close(fd);
    if (err == HF_OK)
        return append_take(out, &content, path, why);
    hf_buf_free(&content);
    return err;
}

enum hf_err hf_file_read(const char *path, size_t max_bytes, struct hf_buf *out, struct hf_why *why)
{
    return read_regular(path, false, max_bytes, out, why);
}

enum hf_err hf_file_read_secret(const char *path, size_t max_bytes, struct hf_buf *out,
                                struct hf_why *why)
{
    return read_regular(path, true, max_bytes, out, why);
}

static bool holds(int fd, struct hf_bytes expected)
{
    uint8_t chunk[READ_CHUNK];
    size_t at = 0;

    for (;;) {
        ssize_t n = read_some(fd, chunk);
        if (n <= 0)
            return n == 0 && at == expected.len;
        if ((size_t)n > expected.len - at || memcmp(chunk, expected.data + at, (size_t)n) != 0)
            return false;
        at += (size_t)n;
    }
}

bool hf_file_has_content(const char *path, struct hf_bytes expected)
{
    size_t size = 0;
    int fd = -1;

    if (open_regular(path, &fd, &size, NULL) != HF_OK)
        return false;
    bool is_same = size == expected.len && holds(fd, expected);
    close(fd);
    return is_same;
}

enum hf_err hf_file_read_link(const char *path, char **out, struct hf_why *why)
{
    char target[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof(target) - 1);

    if (n < 0 && (errno == ENOENT || errno == EINVAL || errno == ENOTDIR))
        return hf_fail(why, HF_E_NOT_FOUND, "there is no symbolic link %s", path);
    if (n < 0)
        return hf_file_fail(why, "read the symbolic link", path, errno);
    target[n] = '\0';
    char *copy = strdup(target);
    if (copy == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory reading the symbolic link %s", path);
    *out = copy;
    return HF_OK;
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
static int fill_and_close(int fd, struct hf_bytes bytes, mode_t mode)
{
    int error = write_all(fd, bytes);

    if (error == 0 && fchmod(fd, mode) != 0)
        error = errno;
    if (error == 0 && fsync(fd) != 0)
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

enum hf_err hf_file_place(const char *path, struct hf_bytes bytes, mode_t mode, struct hf_why *why)
{
    char *temp = NULL;
    enum hf_err err = HF_OK;

    HF_TRY(temp_name(path, &temp, why));
    int fd = mkostemp(temp, O_CLOEXEC);
    int error = fd < 0 ? errno : fill_and_close(fd, bytes, mode);
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

enum hf_err hf_file_replace(const char *path, struct hf_bytes bytes, mode_t mode,
                            struct hf_why *why)
{
    HF_TRY(hf_file_place(path, bytes, mode, why));
    return hf_file_sync_parent(path, why);
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
