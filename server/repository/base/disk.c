#include "server/repository/base/disk.h"

#include "common/os/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

bool hf_disk_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static enum hf_err cannot(struct hf_why *why, const char *verb, const char *path)
{
    return hf_fail(why, HF_E_STORAGE, "cannot %s %s: %s", verb, path, strerror(errno));
}

static ssize_t read_some(int fd, void *out, size_t len)
{
    ssize_t n;
    do
        n = read(fd, out, len);
    while (n < 0 && errno == EINTR);
    return n;
}

static enum hf_err read_all(int fd, const char *path, size_t max_bytes, struct hf_buf *out,
                            struct hf_why *why)
{
    char chunk[16384];
    size_t total = 0;
    for (;;) {
        ssize_t n = read_some(fd, chunk, sizeof chunk);
        if (n < 0)
            return cannot(why, "read", path);
        if (n == 0)
            return HF_OK;
        total += (size_t)n;
        if (total > max_bytes)
            return hf_fail(why, HF_E_LIMIT, "%s is larger than the %zu bytes allowed", path,
                           max_bytes);
        if (hf_buf_append(out, chunk, (size_t)n) != HF_OK)
            return hf_fail(why, HF_E_MEMORY, "out of memory while reading %s", path);
    }
}

static enum hf_err open_to_read(const char *path, int flags, int *out, struct hf_why *why)
{
    if (path[0] == '\0')
        return hf_fail(why, HF_E_ARGUMENT, "the name of the file is empty");
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return hf_fail(why, HF_E_NOT_FOUND, "there is no %s", path);
    if (fd < 0)
        return cannot(why, "open", path);
    *out = fd;
    return HF_OK;
}

/* Takes the descriptor. */
static enum hf_err read_take(int fd, const char *path, size_t max_bytes, struct hf_buf *out,
                             struct hf_why *why)
{
    struct hf_buf read_bytes = {0};
    enum hf_err err = read_all(fd, path, max_bytes, &read_bytes, why);
    if (err == HF_OK && hf_buf_append(out, read_bytes.data, read_bytes.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory while reading %s", path);
    hf_buf_free(&read_bytes);
    close(fd);
    return err;
}

enum hf_err hf_disk_read(const char *path, size_t max_bytes, struct hf_buf *out, struct hf_why *why)
{
    int fd = -1;
    HF_TRY(open_to_read(path, 0, &fd, why));
    return read_take(fd, path, max_bytes, out, why);
}

enum hf_err hf_disk_read_secret(const char *path, size_t max_bytes, struct hf_buf *out,
                                uid_t *owner, struct hf_why *why)
{
    struct stat st;
    int fd = -1;
    HF_TRY(hf_secret_file_open(path, &fd, why));
    if (fstat(fd, &st) != 0) {
        close(fd);
        return cannot(why, "look at", path);
    }
    *owner = st.st_uid;
    return read_take(fd, path, max_bytes, out, why);
}

static enum hf_err not_a_file(struct hf_why *why, const char *path)
{
    return hf_fail(why, HF_E_STORAGE,
                   "%s is no regular file; a repository holds nothing else, take it away", path);
}

enum hf_err hf_disk_read_regular(const char *path, size_t max_bytes, struct hf_buf *out,
                                 struct hf_why *why)
{
    struct stat st;
    int fd = -1;
    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return not_a_file(why, path);
    /* Looked at again once it is open: the folder may be somebody else's to change. */
    HF_TRY(open_to_read(path, O_NONBLOCK | O_NOFOLLOW | O_NOCTTY, &fd, why));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return not_a_file(why, path);
    }
    return read_take(fd, path, max_bytes, out, why);
}

static enum hf_err write_all(int fd, const char *path, struct hf_bytes bytes, struct hf_why *why)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.data, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cannot(why, "write", path);
        bytes.data += n;
        bytes.len -= (size_t)n;
    }
    return HF_OK;
}

/* Takes the descriptor. The mode is set here because the umask is not ours to rely on. */
static enum hf_err fill_take(int fd, const char *path, mode_t mode, struct hf_bytes bytes,
                             struct hf_why *why)
{
    enum hf_err err = write_all(fd, path, bytes, why);
    if (err == HF_OK && fchmod(fd, mode) != 0)
        err = cannot(why, "set the mode of", path);
    if (err == HF_OK && fsync(fd) != 0)
        err = cannot(why, "write", path);
    if (close(fd) != 0 && err == HF_OK)
        err = cannot(why, "write", path);
    return err;
}

static enum hf_err sync_parent(const char *path, struct hf_why *why)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return hf_disk_sync_folder(".", why);
    if (slash == path)
        return hf_disk_sync_folder("/", why);
    struct hf_path folder;
    HF_TRY(hf_path_set(&folder, why, "%.*s", (int)(slash - path), path));
    return hf_disk_sync_folder(folder.text, why);
}

enum hf_err hf_disk_create(const char *path, mode_t mode, struct hf_bytes bytes, struct hf_why *why)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (fd < 0 && errno == EEXIST)
        return hf_fail(why, HF_E_STATE, "%s exists already; it is never overwritten", path);
    if (fd < 0)
        return cannot(why, "create", path);
    enum hf_err err = fill_take(fd, path, mode, bytes, why);
    if (err == HF_OK)
        err = sync_parent(path, why);
    if (err != HF_OK)
        unlink(path);
    return err;
}

/* The temporary file must be in the same folder: a rename does not cross file systems. */
static enum hf_err temporary_beside(const char *path, struct hf_path *out, struct hf_why *why)
{
    const char *slash = strrchr(path, '/');
    int folder_len = slash == NULL ? 0 : (int)(slash + 1 - path);
    return hf_path_set(out, why, "%.*s.new", folder_len, path);
}

enum hf_err hf_disk_replace(const char *path, struct hf_bytes bytes, struct hf_why *why)
{
    struct hf_path temporary;
    HF_TRY(temporary_beside(path, &temporary, why));
    /* Whatever has the name, a crashed writer's rest or a trap, is not written into. */
    if (unlink(temporary.text) != 0 && errno != ENOENT)
        return cannot(why, "take away", temporary.text);
    int fd = open(temporary.text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                  S_IRUSR | S_IWUSR);
    if (fd < 0)
        return cannot(why, "create", temporary.text);
    enum hf_err err = fill_take(fd, path, 0644, bytes, why);
    if (err == HF_OK && renameat(AT_FDCWD, temporary.text, AT_FDCWD, path) != 0)
        err = cannot(why, "put in place", path);
    if (err != HF_OK) {
        unlink(temporary.text);
        return err;
    }
    return sync_parent(path, why);
}

enum hf_err hf_disk_make_folder(const char *path, mode_t mode, struct hf_why *why)
{
    if (mkdir(path, S_IRWXU) != 0) {
        if (errno == EEXIST)
            return hf_fail(why, HF_E_STATE, "%s exists already", path);
        return cannot(why, "create the folder", path);
    }
    enum hf_err err = HF_OK;
    if (chmod(path, mode) != 0)
        err = cannot(why, "set the mode of", path);
    if (err == HF_OK)
        err = sync_parent(path, why);
    if (err != HF_OK)
        rmdir(path);
    return err;
}

enum hf_err hf_disk_check_way(const char *top, const char *path, struct hf_why *why)
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

enum hf_err hf_disk_sync_folder(const char *folder, struct hf_why *why)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return cannot(why, "open the folder", folder);
    enum hf_err err = fsync(fd) == 0 ? HF_OK : cannot(why, "write the folder", folder);
    close(fd);
    return err;
}
