/*
 * The system calls of our own code on their way to the disk of cut_disk.h. A test named
 * *_power_cut_* is linked with --wrap for each (tests/CMakeLists.txt).
 */
#include "tests/support/cut_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 512

/* Names that the linker makes of --wrap=open and so on. */
int __real_open(const char *path, int flags, ...);
int __real_mkostemp(char *name, int flags);
ssize_t __real_read(int fd, void *out, size_t len);
ssize_t __real_write(int fd, const void *data, size_t len);
int __real_fchmod(int fd, mode_t mode);
int __real_ftruncate(int fd, off_t len);
int __real_rename(const char *from, const char *to);
int __real_symlink(const char *target, const char *path);
int __real_unlink(const char *path);
int __real_unlinkat(int folder, const char *name, int flags);
int __real_remove(const char *path);
int __real_mkdir(const char *path, mode_t mode);
int __real_rmdir(const char *path);

int __wrap_open(const char *path, int flags, ...);
int __wrap_mkostemp(char *name, int flags);
ssize_t __wrap_read(int fd, void *out, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_ftruncate(int fd, off_t len);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_renameat(int from_folder, const char *from, int to_folder, const char *to);
int __wrap_symlink(const char *target, const char *path);
int __wrap_unlink(const char *path);
int __wrap_unlinkat(int folder, const char *name, int flags);
int __wrap_remove(const char *path);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_rmdir(const char *path);

static int no_power(void)
{
    errno = EIO;
    return -1;
}

/* The path an open file has now, after renames too. */
static const char *path_of(int fd)
{
    static char path[PATH_BYTES];
    char link[64];

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    return path;
}

static bool is_there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* ---- making ---------------------------------------------------------------------------------- */

int __wrap_open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    bool is_ours = cut_disk_holds(path);
    if (is_ours && cut_disk_is_off())
        return no_power();
    if (is_ours && (flags & O_CREAT) != 0 && !is_there(path) &&
        !cut_disk_create(path, DISK_FILE, mode, NULL))
        return no_power();
    return __real_open(path, flags, mode);
}

int __wrap_mkostemp(char *name, int flags)
{
    if (cut_disk_holds(name) && cut_disk_is_off())
        return no_power();
    int fd = __real_mkostemp(name, flags);
    if (fd < 0 || cut_disk_create(name, DISK_FILE, 0600, NULL))
        return fd;
    close(fd);
    return no_power();
}

int __wrap_symlink(const char *target, const char *path)
{
    if (is_there(path)) {
        errno = EEXIST;
        return -1;
    }
    return cut_disk_create(path, DISK_LINK, 0777, target) ? __real_symlink(target, path)
                                                          : no_power();
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    if (is_there(path)) {
        errno = EEXIST;
        return -1;
    }
    return cut_disk_create(path, DISK_FOLDER, mode, NULL) ? __real_mkdir(path, mode) : no_power();
}

/* ---- bytes ----------------------------------------------------------------------------------- */

ssize_t __wrap_read(int fd, void *out, size_t len)
{
    if (cut_disk_is_off() && cut_disk_holds(path_of(fd)))
        return no_power();
    return __real_read(fd, out, len);
}

ssize_t __wrap_write(int fd, const void *data, size_t len)
{
    const char *path = path_of(fd);
    if (cut_disk_holds(path) && !cut_disk_write(path, lseek(fd, 0, SEEK_CUR), data, len))
        return no_power();
    return __real_write(fd, data, len);
}

int __wrap_ftruncate(int fd, off_t len)
{
    return cut_disk_truncate(path_of(fd), len) ? __real_ftruncate(fd, len) : no_power();
}

int __wrap_fchmod(int fd, mode_t mode)
{
    return cut_disk_chmod(path_of(fd), mode) ? __real_fchmod(fd, mode) : no_power();
}

/* The real disk need not keep anything through a power cut. */
int __wrap_fsync(int fd)
{
    return cut_disk_sync(path_of(fd)) ? 0 : no_power();
}

int __wrap_fdatasync(int fd)
{
    return __wrap_fsync(fd);
}

/* ---- names ----------------------------------------------------------------------------------- */

int __wrap_rename(const char *from, const char *to)
{
    return cut_disk_rename(from, to) ? __real_rename(from, to) : no_power();
}

/* Of paths from the current folder, as ours all are. */
int __wrap_renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    if (from_folder == AT_FDCWD && to_folder == AT_FDCWD)
        return __wrap_rename(from, to);
    errno = ENOSYS;
    return -1;
}

int __wrap_unlink(const char *path)
{
    return cut_disk_remove(path) ? __real_unlink(path) : no_power();
}

int __wrap_unlinkat(int folder, const char *name, int flags)
{
    char path[2 * PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", path_of(folder), name);
    return cut_disk_remove(path) ? __real_unlinkat(folder, name, flags) : no_power();
}

int __wrap_remove(const char *path)
{
    return cut_disk_remove(path) ? __real_remove(path) : no_power();
}

int __wrap_rmdir(const char *path)
{
    return cut_disk_remove(path) ? __real_rmdir(path) : no_power();
}
