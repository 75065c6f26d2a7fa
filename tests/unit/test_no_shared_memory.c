/* client/port/posix/db.c: file systems without writable shared mappings (JFFS2, 9p, FUSE), where
 * SQLite's write-ahead log cannot have its index. SQLite's own table of system calls lets mmap fail
 * as there. */
#include "tests/support/check.h"
#include "tests/support/state_folder.h"
#include "tests/support/temp_dir.h"

#include <holdfast/posix.h>

#include "client/port/posix/db.h"
#include "client/port/posix/sqlite_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int mmap_errno;  /* 0: it works */
static int write_errno; /* likewise */

static void *mmap_that_may_fail(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    if (mmap_errno != 0 && (flags & MAP_SHARED) != 0 && (prot & PROT_WRITE) != 0) {
        errno = mmap_errno;
        return MAP_FAILED;
    }
    return mmap(at, len, prot, flags, fd, offset);
}

static ssize_t write_that_may_fail(int fd, const void *data, size_t len, off_t offset)
{
    if (write_errno != 0) {
        errno = write_errno;
        return -1;
    }
    return pwrite(fd, data, len, offset);
}

static int setup(void **state)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

    mmap_errno = write_errno = 0;
    assert_int_equal(vfs->xSetSystemCall(vfs, "mmap", (sqlite3_syscall_ptr)mmap_that_may_fail),
                     SQLITE_OK);
    assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)write_that_may_fail),
                     SQLITE_OK);
    assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)write_that_may_fail),
                     SQLITE_OK);
    return temp_dir_setup(state);
}

static int teardown(void **state)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

    (void)vfs->xSetSystemCall(vfs, NULL, NULL);
    return temp_dir_teardown(state);
}

static struct hf_sqlite_store *open_store(const char *path)
{
    struct hf_sqlite_store *store = NULL;
    struct hf_why why = {0};

    if (hf_sqlite_store_open(path, false, &store, &why) != HF_OK ||
        hf_store_check_writable(store, &why) != HF_OK)
        fail_msg("%s", why.text);
    return store;
}

static void save(struct hf_sqlite_store *store, const char *value)
{
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct hf_why why = {0};

    if (port.save_value(port.ctx, "test", value, &why) != HF_OK)
        fail_msg("%s", why.text);
}

static void check_saved(struct hf_sqlite_store *store, const char *value)
{
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct hf_buf found = {0};
    struct hf_why why = {0};

    if (port.load_value(port.ctx, "test", &found, &why) != HF_OK)
        fail_msg("%s", why.text);
    assert_string_equal((const char *)found.data, value);
    hf_buf_free(&found);
}

/* 2 for a write-ahead log, 1 for a journal: bytes 18 and 19 of a database. */
static int format_of(const char *database)
{
    unsigned char header[20];
    FILE *file = fopen(database, "rb");

    assert_non_null(file);
    assert_int_equal(fread(header, 1, sizeof header, file), sizeof header);
    (void)fclose(file);
    assert_int_equal(header[18], header[19]);
    return header[18];
}

static const int errnos[] = {EINVAL, ENODEV, EOPNOTSUPP};

static void test_init_and_everything_after_it_works(void **state)
{
    for (size_t i = 0; i < sizeof errnos / sizeof errnos[0]; i++) {
        char name[16];
        struct hf_why why = {0};
        (void)snprintf(name, sizeof name, "device-%zu", i);
        const char *path = temp_path(*state, name);

        mmap_errno = errnos[i];
        if (state_folder_make(path, &why) != HF_OK)
            fail_msg("%s", why.text);
        struct hf_sqlite_store *store = open_store(path);
        save(store, "kept");
        CHECK_OK(hf_sqlite_store_sync(store, &why));
        hf_sqlite_store_close(store);
        store = open_store(path);
        check_saved(store, "kept");
        hf_sqlite_store_close(store);
        char database[128];
        (void)snprintf(database, sizeof database, "%s/holdfast.db", path);
        assert_int_equal(format_of(database), 1);
    }
}

static void test_another_process_reads_and_writes_in_between(void **state)
{
    const char *path = temp_path(*state, "device");
    struct hf_why why = {0};
    int status = -1;

    mmap_errno = ENODEV;
    CHECK_OK(state_folder_make(path, &why));
    struct hf_sqlite_store *store = open_store(path);
    save(store, "first");
    pid_t child = fork();
    if (child == 0) {
        struct hf_sqlite_store *other = open_store(path);
        check_saved(other, "first");
        save(other, "second");
        hf_sqlite_store_close(other);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    check_saved(store, "second");
    hf_sqlite_store_close(store);
}

static void test_state_that_was_moved_there_keeps_what_is_in_its_log(void **state)
{
    const char *path = temp_path(*state, "device");
    struct hf_why why = {0};

    CHECK_OK(state_folder_make(path, &why));
    struct hf_sqlite_store *store = open_store(path);
    save(store, "in the log");
    hf_sqlite_store_close(store);
    assert_int_equal(format_of(temp_path(*state, "device/holdfast.db")), 2);
    assert_true(temp_exists(temp_path(*state, "device/holdfast.db-wal")));
    /* Of no use on another computer. */
    assert_int_equal(unlink(temp_path(*state, "device/holdfast.db-shm")), 0);

    mmap_errno = EINVAL;
    store = open_store(path);
    check_saved(store, "in the log");
    save(store, "in the journal");
    hf_sqlite_store_close(store);
    assert_int_equal(format_of(temp_path(*state, "device/holdfast.db")), 1);
    assert_false(temp_exists(temp_path(*state, "device/holdfast.db-shm")));

    mmap_errno = 0; /* and back again */
    store = open_store(path);
    check_saved(store, "in the journal");
    hf_sqlite_store_close(store);
}

static void test_init_that_cannot_write_leaves_nothing(void **state)
{
    const char *path = temp_path(*state, "device");
    struct hf_why why = {0};

    mmap_errno = EINVAL;
    write_errno = EIO;
    CHECK_REFUSED(state_folder_make(path, &why), HF_E_STORAGE, &why, "holdfast.db");
    assert_non_null(strstr(why.text, "Input/output error"));
    assert_false(temp_exists(path));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_init_and_everything_after_it_works),
        TEST(test_another_process_reads_and_writes_in_between),
        TEST(test_state_that_was_moved_there_keeps_what_is_in_its_log),
        TEST(test_init_that_cannot_write_leaves_nothing),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
