#include "tests/fuzz/scratch.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[128];

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    (void)remove(path);
    return 0;
}

static void remove_dir(void)
{
    (void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_dir(void)
{
    if (dir[0] != '\0')
        return dir;
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.80s/holdfast-fuzz-XXXXXX", parent != NULL ? parent : "/tmp");
    FUZZ_CHECK(mkdtemp(dir) != NULL);
    (void)atexit(remove_dir);
    return dir;
}

const char *scratch_path(const char *name)
{
    static char paths[5][256];
    static size_t next;
    char *path = paths[next++ % 5];
    snprintf(path, sizeof paths[0], "%s/%.100s", scratch_dir(), name);
    return path;
}

void scratch_write(const char *path, struct hf_bytes bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0);
    FUZZ_CHECK(bytes.len == 0 || write(fd, bytes.data, bytes.len) == (ssize_t)bytes.len);
    FUZZ_CHECK(close(fd) == 0);
}
