#include "common/os/file_util.h"

#include "common/os/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_CHUNK 16384 /* bytes, on the stack */

static enum hf_err open_file(const char *path, int flags, const char *noun, int *out_fd,
                             struct stat *st, struct hf_why *why)
{
    if (path[0] == '\0')
        return hf_fail(why, HF_E_ARGUMENT, "the name of the file is empty");
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return hf_fail(why, HF_E_NOT_FOUND, "there is no %s%s", noun, path);
    if (fd < 0)
        return hf_file_fail(why, "open", path, errno);
    if (fstat(fd, st) != 0) {
        enum hf_err err = hf_file_fail(why, "read", path, errno);
        close(fd);
        return err;
    }
    *out_fd = fd;
    return HF_OK;
}

/* Non-blocking, so that a pipe of that name is refused rather than waited for. */
static enum hf_err open_regular(const char *path, int *out_fd, size_t *out_size, struct hf_why *why)
{
    struct stat st;
    int fd = -1;
    HF_TRY(open_file(path, O_NONBLOCK, "file ", &fd, &st, why));
    if (!S_ISREG(st.st_mode)) {
        close(fd);
        return hf_fail(why, HF_E_STORAGE, "%s is not a regular file", path);
    }
    *out_fd = fd;
    *out_size = (size_t)st.st_size;
    return HF_OK;
}

enum hf_err hf_file_open_stream(const char *path, FILE **out, struct hf_why *why)
{
    size_t size = 0;
    int fd = -1;
    HF_TRY(open_regular(path, &fd, &size, why));
    FILE *stream = fdopen(fd, "r");
    if (stream == NULL) {
        close(fd);
        return hf_fail(why, HF_E_MEMORY, "no memory to read %s", path);
    }
    *out = stream;
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

/* `fd` is taken; `size` is what is expected, 0 where that is unknown. */
static enum hf_err read_take(int fd, const char *path, size_t size, size_t max_bytes,
                             struct hf_buf *out, struct hf_why *why)
{
    struct hf_buf content = {0};
    uint8_t chunk[READ_CHUNK];
    ssize_t n = 0;
    bool is_memory_short = size > 0 && size <= max_bytes && hf_buf_reserve(&content, size) != HF_OK;
    while (!is_memory_short && content.len <= max_bytes && (n = read_some(fd, chunk)) > 0)
        is_memory_short = hf_buf_append(&content, chunk, (size_t)n) != HF_OK;
    enum hf_err err = HF_OK;
    if (n < 0)
        err = hf_file_fail(why, "read", path, errno);
    else if (content.len > max_bytes)
        err = hf_fail(why, HF_E_LIMIT, "%s is longer than the %zu bytes it may have", path,
                      max_bytes);
    close(fd);
    if (err == HF_OK && !is_memory_short && out->data == NULL && content.len > 0) {
        *out = content; /* most often, and a bundle is large: no second copy */
        return HF_OK;
    }
    if (err == HF_OK && !is_memory_short && content.len > 0)
        is_memory_short = hf_buf_append(out, content.data, content.len) != HF_OK;
    if (err == HF_OK && is_memory_short)
        err = hf_fail(why, HF_E_MEMORY, "out of memory reading %s", path);
    hf_buf_free(&content);
    return err;
}

enum hf_err hf_file_read(const char *path, size_t max_bytes, struct hf_buf *out, struct hf_why *why)
{
    size_t size = 0;
    int fd = -1;
    HF_TRY(open_regular(path, &fd, &size, why));
    return read_take(fd, path, size, max_bytes, out, why);
}

enum hf_err hf_file_read_secret(const char *path, size_t max_bytes, struct hf_buf *out,
                                struct hf_why *why)
{
    size_t size = 0;
    int fd = -1;
    HF_TRY(open_regular(path, &fd, &size, why));
    enum hf_err err = hf_secret_file_check(path, fd, why);
    if (err == HF_OK)
        return read_take(fd, path, size, max_bytes, out, why);
    close(fd);
    return err;
}

enum hf_err hf_file_read_any(const char *path, size_t max_bytes, struct hf_buf *out,
                             struct hf_why *why)
{
    struct stat st;
    int fd = -1;
    HF_TRY(open_file(path, 0, "", &fd, &st, why));
    return read_take(fd, path, 0, max_bytes, out, why);
}

enum hf_err hf_file_read_any_secret(const char *path, size_t max_bytes, struct hf_buf *out,
                                    uid_t *owner, struct hf_why *why)
{
    struct stat st;
    int fd = -1;
    HF_TRY(hf_secret_file_open(path, &fd, why));
    if (fstat(fd, &st) != 0) {
        enum hf_err err = hf_file_fail(why, "look at", path, errno);
        close(fd);
        return err;
    }
    *owner = st.st_uid;
    return read_take(fd, path, 0, max_bytes, out, why);
}

enum hf_err hf_file_read_published(const char *path, size_t max_bytes, struct hf_buf *out,
                                   struct hf_why *why)
{
    struct stat st;
    int fd = -1;
    bool is_regular = lstat(path, &st) != 0 || S_ISREG(st.st_mode);
    /* Checked again once it is open: the folder may belong to another user. */
    if (is_regular)
        HF_TRY(open_file(path, O_NONBLOCK | O_NOFOLLOW | O_NOCTTY, "", &fd, &st, why));
    if (is_regular && S_ISREG(st.st_mode))
        return read_take(fd, path, 0, max_bytes, out, why);
    if (fd >= 0)
        close(fd);
    return hf_fail(why, HF_E_STORAGE,
                   "%s is no regular file; a repository holds nothing else, take it away", path);
}

bool hf_file_has_content(const char *path, struct hf_bytes expected)
{
    uint8_t chunk[READ_CHUNK];
    size_t size = 0, at = 0;
    ssize_t n = 0;
    int fd = -1;
    if (open_regular(path, &fd, &size, NULL) != HF_OK)
        return false;
    bool is_same = size == expected.len;
    while (is_same && (n = read_some(fd, chunk)) > 0) {
        is_same = (size_t)n <= expected.len - at &&
                  memcmp(chunk, expected.data + at, (size_t)n) == 0;
        at += (size_t)n;
    }
    close(fd);
    return is_same && n == 0 && at == expected.len;
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
