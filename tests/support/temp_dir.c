#include "tests/support/temp_dir.h"

#include "tests/support/check.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534

int temp_dir_setup(void **state)
{
    struct temp_dir *dir = calloc(1, sizeof *dir);
    assert_non_null(dir);
    (void)snprintf(dir->path, sizeof dir->path, "/tmp/holdfast-test-XXXXXX");
    assert_non_null(mkdtemp(dir->path));
    *state = dir;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

int temp_dir_teardown(void **state)
{
    struct temp_dir *dir = *state;
    int failed = nftw(dir->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(dir);
    return failed;
}

const char *temp_path(const struct temp_dir *dir, const char *name)
{
    static char paths[9][512];
    static size_t next;

    char *path = paths[next++ % 9];
    (void)snprintf(path, sizeof paths[0], "%s/%s", dir->path, name);
    return path;
}

void temp_write(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

const char *temp_read(const char *path)
{
    static char text[65536];

    FILE *f = fopen(path, "r");
    if (f == NULL)
        fail_msg("%s cannot be read", path);
    size_t len = fread(text, 1, sizeof text - 1, f);
    assert_int_equal(fclose(f), 0);
    text[len] = '\0';
    return text;
}

bool temp_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

size_t temp_count(const char *path)
{
    size_t n = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n - 2;
}

unsigned temp_mode(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

void temp_overwrite(const char *path, long offset, const char *bytes, size_t len)
{
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, offset, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static int give_away(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return lchown(path, NOBODY, NOBODY);
}

static int take_back(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return lchown(path, 0, 0);
}

static char given_away[256];

void temp_become_nobody(const char *path)
{
    if (geteuid() != 0)
        return;
    assert_true(strlen(path) < sizeof given_away);
    memcpy(given_away, path, strlen(path) + 1);
    assert_int_equal(nftw(path, give_away, 8, FTW_PHYS), 0);
    assert_int_equal(seteuid(NOBODY), 0);
}

void temp_become_root_again(void)
{
    if (getuid() != 0)
        return;
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(nftw(given_away, take_back, 8, FTW_PHYS), 0);
    /* Changing users forbids tracing, and LeakSanitizer looks for leaks by tracing. */
    assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
}
