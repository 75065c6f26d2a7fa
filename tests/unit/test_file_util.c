/* common/os/file_util. */
#include "tests/support/check.h"
#include "tests/support/temp_dir.h"

#include "common/os/file_util.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- reading --------------------------------------------------------------------------------- */

static void a_file_is_read_whole_and_appended(void **state)
{
    struct hf_buf out = {0};
    struct hf_why why = {0};
    const char *path = temp_path(*state, "a");
    temp_write(path, "content");

    CHECK_OK(hf_buf_append_text(&out, "before "));
    CHECK_OK(hf_file_read(path, 7, &out, &why));
    assert_string_equal((const char *)out.data, "before content");
    hf_buf_free(&out);
}

static void a_file_that_is_too_long_is_refused_and_nothing_is_appended(void **state)
{
    struct hf_buf out = {0};
    struct hf_why why = {0};
    temp_write(temp_path(*state, "a"), "content");

    CHECK_REFUSED(hf_file_read(temp_path(*state, "a"), 6, &out, &why), HF_E_LIMIT, &why,
                  "longer than the 6 bytes");
    assert_int_equal(out.len, 0);
}

static void what_is_no_regular_file_is_refused(void **state)
{
    struct hf_buf out = {0};
    struct hf_why why = {0};
    const char *pipe = temp_path(*state, "pipe");
    assert_int_equal(mkfifo(pipe, 0600), 0);

    CHECK_REFUSED(hf_file_read(pipe, 10, &out, &why), HF_E_STORAGE, &why, "not a regular file");
    CHECK_REFUSED(hf_file_read(temp_path(*state, "none"), 10, &out, &why), HF_E_NOT_FOUND, &why,
                  "there is no file");
    assert_int_equal(out.len, 0);
}

static void a_secret_is_read_if_no_other_user_may(void **state)
{
    struct hf_buf out = {0};
    struct hf_why why = {0};
    const char *path = temp_path(*state, "a");
    temp_write(path, "secret");
    assert_int_equal(chmod(path, 0644), 0);

    CHECK_REFUSED(hf_file_read_secret(path, 10, &out, &why), HF_E_KEY, &why, "every user may read");
    assert_int_equal(out.len, 0);
    assert_int_equal(chmod(path, 0600), 0);
    CHECK_OK(hf_file_read_secret(path, 10, &out, &why));
    assert_string_equal((const char *)out.data, "secret");
    hf_buf_free(&out);

    const char *pipe = temp_path(*state, "pipe");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    CHECK_REFUSED(hf_file_read_secret(pipe, 10, &out, &why), HF_E_STORAGE, &why,
                  "not a regular file"); /* nor waited for */
}

static void the_content_of_a_file_is_compared_to_the_last_byte(void **state)
{
    static char large[40000]; /* more than one read of it */
    struct hf_buf told = {0};
    const char *path = temp_path(*state, "a");
    memset(large, 'x', sizeof large - 1);
    temp_write(path, large);
    CHECK_OK(hf_buf_append_text(&told, large));

    assert_true(hf_file_has_content(path, hf_buf_bytes(&told)));
    told.data[told.len - 1] = 'y';
    assert_false(hf_file_has_content(path, hf_buf_bytes(&told)));
    told.data[told.len - 1] = 'x';
    assert_false(hf_file_has_content(path, (struct hf_bytes){told.data, told.len - 1}));
    CHECK_OK(hf_buf_append_text(&told, "x"));
    assert_false(hf_file_has_content(path, hf_buf_bytes(&told)));
    hf_buf_free(&told);
}

static void a_file_that_is_none_has_no_content(void **state)
{
    const struct hf_bytes nothing = {0};
    const char *path = temp_path(*state, "empty");
    temp_write(path, "");

    assert_true(hf_file_has_content(path, nothing));
    assert_false(hf_file_has_content(temp_path(*state, "none"), nothing));
    assert_false(hf_file_has_content(temp_path(*state, "."), nothing));
}

static void what_may_not_be_looked_at_is_not_called_absent(void **state)
{
    temp_write(temp_path(*state, "file"), "");
    assert_int_equal(symlink("loop", temp_path(*state, "loop")), 0);

    assert_true(hf_file_is_absent(temp_path(*state, "none")));
    assert_true(hf_file_is_absent(temp_path(*state, "file/none")));
    assert_false(hf_file_is_absent(temp_path(*state, "file")));
    assert_false(hf_file_is_absent(temp_path(*state, "loop")));
    assert_false(hf_file_is_absent(temp_path(*state, "loop/x")));
}

/* ---- replacing ------------------------------------------------------------------------------- */

static void a_file_is_replaced_with_its_mode_and_nothing_is_left_beside_it(void **state)
{
    const struct temp_dir *dir = *state;
    struct hf_why why = {0};
    const char *path = temp_path(dir, "a");
    temp_write(path, "old");

    CHECK_OK(hf_file_replace(path, hf_bytes_of_text("new"), 0640, &why));
    assert_string_equal(temp_read(path), "new");
    assert_int_equal(temp_mode(path), 0640);
    assert_int_equal(temp_count(dir->path), 1);
}

/* FAT: all files have the mode of the mount, and none can be given another one. Some network file
 * systems sync no folder. */
static mode_t mode_of_mount; /* 0: a file system with modes */
static int fsync_errno;      /* of folders; 0: it works */

int __wrap_fchmod(int fd, mode_t mode);
int __real_fchmod(int fd, mode_t mode);
int __wrap_fstat(int fd, struct stat *st);
int __real_fstat(int fd, struct stat *st);
int __wrap_fsync(int fd);
int __real_fsync(int fd);

int __wrap_fchmod(int fd, mode_t mode)
{
    if (mode_of_mount == 0)
        return __real_fchmod(fd, mode);
    errno = EPERM;
    return -1;
}

int __wrap_fstat(int fd, struct stat *st)
{
    int code = __real_fstat(fd, st);
    if (code == 0 && mode_of_mount != 0)
        st->st_mode = (st->st_mode & ~0777U) | mode_of_mount;
    return code;
}

int __wrap_fsync(int fd)
{
    struct stat st;
    if (fsync_errno == 0 || __real_fstat(fd, &st) != 0 || !S_ISDIR(st.st_mode))
        return __real_fsync(fd);
    errno = fsync_errno;
    return -1;
}

static void a_file_system_without_modes_serves_for_what_it_keeps_from_nobody(void **state)
{
    static const struct {
        mode_t mount, mode;
        bool works;
    } cases[] = {{0755, 0644, true},  {0700, 0600, true},  {0777, 0666, true},
                 {0755, 0600, false}, {0777, 0644, false}, {0750, 0600, false}};
    struct hf_why why = {0};
    const char *path = temp_path(*state, "a");

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mode_of_mount = cases[i].mount;
        enum hf_err err = hf_file_replace(path, hf_bytes_of_text("new"), cases[i].mode, &why);
        mode_of_mount = 0;
        if (cases[i].works)
            CHECK_OK(err);
        else
            CHECK_REFUSED(err, HF_E_STORAGE, &why, "Operation not permitted");
    }
}

static void a_folder_that_cannot_be_synced_is_not_a_fault(void **state)
{
    static const struct {
        int error;
        enum hf_err err;
    } cases[] = {{EINVAL, HF_OK}, {EBADF, HF_OK}, {EIO, HF_E_STORAGE}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fsync_errno = cases[i].error;
        enum hf_err err = hf_file_sync_dir(temp_path(*state, "."), NULL);
        fsync_errno = 0;
        assert_int_equal(err, cases[i].err);
    }
}

static void a_link_is_replaced_itself_and_not_what_it_points_to(void **state)
{
    struct hf_why why = {0};
    const char *path = temp_path(*state, "link");
    temp_write(temp_path(*state, "victim"), "untouched");
    assert_int_equal(symlink("victim", path), 0);

    CHECK_OK(hf_file_replace(path, hf_bytes_of_text("new"), 0600, &why));
    assert_string_equal(temp_read(temp_path(*state, "victim")), "untouched");
    assert_string_equal(temp_read(path), "new");
}

static void a_relative_name_without_a_folder_is_replaced(void **state)
{
    const struct temp_dir *dir = *state;
    struct hf_why why = {0};
    char before[4096];

    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(dir->path), 0);
    enum hf_err err = hf_file_replace("a", hf_bytes_of_text("new"), 0600, &why);
    assert_int_equal(chdir(before), 0);
    CHECK_OK(err);
    assert_string_equal(temp_read(temp_path(dir, "a")), "new");
}

/* A limit on the size of files stands in for a full disk: both end a write in the middle. */
static void a_write_that_fails_leaves_the_old_file_and_nothing_else(void **state)
{
    const struct temp_dir *dir = *state;
    struct hf_why why = {0};
    const char *path = temp_path(dir, "a");
    uint8_t *big = calloc(1, 65536);
    struct rlimit before;
    assert_non_null(big);
    temp_write(path, "old");

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {4096, before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum hf_err err = hf_file_replace(path, (struct hf_bytes){big, 65536}, 0600, &why);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    free(big);

    CHECK_REFUSED(err, HF_E_STORAGE, &why, "cannot write");
    assert_string_equal(temp_read(path), "old");
    assert_int_equal(temp_count(dir->path), 1);
}

static void a_folder_that_does_not_exist_is_named(void **state)
{
    struct hf_why why = {0};

    CHECK_REFUSED(hf_file_replace(temp_path(*state, "none/a"), hf_bytes_of_text("new"), 0600, &why),
                  HF_E_STORAGE, &why, "none/a: No such file or directory");
}

static void a_full_disk_is_called_that(void **state)
{
    (void)state;
    struct hf_why why = {0};

    assert_int_equal(hf_file_fail(&why, "write", "/x", ENOSPC), HF_E_STORAGE);
    assert_non_null(strstr(why.text, "the disk holding it is full; free some space"));
}

/* ---- links and folders ----------------------------------------------------------------------- */

static void a_link_moves_in_one_step_past_the_rest_of_an_interrupted_move(void **state)
{
    const struct temp_dir *dir = *state;
    struct hf_why why = {0};
    char *target = NULL;
    const char *path = temp_path(dir, "link");
    assert_int_equal(symlink("left over", temp_path(dir, "link.new")), 0);

    CHECK_OK(hf_file_replace_link(path, "one", &why));
    CHECK_OK(hf_file_replace_link(path, "two", &why));
    CHECK_OK(hf_file_read_link(path, &target, &why));
    assert_string_equal(target, "two");
    assert_int_equal(temp_count(dir->path), 1);
    free(target);
}

static void what_is_no_link_is_not_found(void **state)
{
    struct hf_why why = {0};
    char *target = NULL;
    temp_write(temp_path(*state, "file"), "x");

    CHECK_REFUSED(hf_file_read_link(temp_path(*state, "file"), &target, &why), HF_E_NOT_FOUND, &why,
                  "there is no symbolic link");
    CHECK_REFUSED(hf_file_read_link(temp_path(*state, "none"), &target, &why), HF_E_NOT_FOUND, &why,
                  "there is no symbolic link");
    assert_null(target);
}

static void a_folder_is_made_for_its_owner_only(void **state)
{
    struct hf_why why = {0};
    bool was_made = false;
    const char *path = temp_path(*state, "d");

    CHECK_OK(hf_file_make_dir(path, &was_made, &why));
    assert_true(was_made);
    assert_int_equal(temp_mode(path), 0700);
    CHECK_OK(hf_file_make_dir(path, &was_made, &why));
    assert_false(was_made);
    temp_write(temp_path(*state, "f"), "");
    CHECK_REFUSED(hf_file_make_dir(temp_path(*state, "f"), &was_made, &why), HF_E_STORAGE, &why,
                  "is in the way");
}

static void removing_a_tree_does_not_follow_links_out_of_it(void **state)
{
    struct hf_why why = {0};
    bool was_made = false;
    temp_write(temp_path(*state, "outside"), "stays");
    CHECK_OK(hf_file_make_dir(temp_path(*state, "d"), &was_made, &why));
    temp_write(temp_path(*state, "d/inside"), "goes");
    assert_int_equal(symlink("../outside", temp_path(*state, "d/link")), 0);

    hf_file_remove_tree(temp_path(*state, "d"));
    assert_false(temp_exists(temp_path(*state, "d")));
    assert_string_equal(temp_read(temp_path(*state, "outside")), "stays");
}

/* ---- the lock -------------------------------------------------------------------------------- */

static void the_lock_is_held_by_one_at_a_time(void **state)
{
    const char *path = temp_path(*state, "lock");
    struct hf_why why = {0};
    int first = -1;
    int second = -1;

    CHECK_OK(hf_file_lock(path, 0, &first, &why));
    CHECK_REFUSED(hf_file_lock(path, 50, &second, &why), HF_E_BUSY, &why,
                  "is locked by another process");
    assert_int_equal(second, -1);
    hf_file_unlock(first);
    CHECK_OK(hf_file_lock(path, 0, &second, &why));
    hf_file_unlock(second);
    assert_int_equal(temp_mode(path), 0600);
}

static void the_lock_ends_with_its_process(void **state)
{
    const char *path = temp_path(*state, "lock");
    struct hf_why why = {0};
    int lock = -1;

    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(hf_file_lock(path, 0, &lock, NULL) == HF_OK ? 0 : 1);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    CHECK_OK(hf_file_lock(path, 0, &lock, &why));
    hf_file_unlock(lock);
}

int main(void)
{
#define IN_TEMP(test) cmocka_unit_test_setup_teardown(test, temp_dir_setup, temp_dir_teardown)
    const struct CMUnitTest tests[] = {
        IN_TEMP(a_file_is_read_whole_and_appended),
        IN_TEMP(a_file_that_is_too_long_is_refused_and_nothing_is_appended),
        IN_TEMP(what_is_no_regular_file_is_refused),
        IN_TEMP(a_secret_is_read_if_no_other_user_may),
        IN_TEMP(the_content_of_a_file_is_compared_to_the_last_byte),
        IN_TEMP(a_file_that_is_none_has_no_content),
        IN_TEMP(what_may_not_be_looked_at_is_not_called_absent),
        IN_TEMP(a_file_is_replaced_with_its_mode_and_nothing_is_left_beside_it),
        IN_TEMP(a_file_system_without_modes_serves_for_what_it_keeps_from_nobody),
        IN_TEMP(a_folder_that_cannot_be_synced_is_not_a_fault),
        IN_TEMP(a_link_is_replaced_itself_and_not_what_it_points_to),
        IN_TEMP(a_relative_name_without_a_folder_is_replaced),
        IN_TEMP(a_write_that_fails_leaves_the_old_file_and_nothing_else),
        IN_TEMP(a_folder_that_does_not_exist_is_named),
        IN_TEMP(a_full_disk_is_called_that),
        IN_TEMP(a_link_moves_in_one_step_past_the_rest_of_an_interrupted_move),
        IN_TEMP(what_is_no_link_is_not_found),
        IN_TEMP(a_folder_is_made_for_its_owner_only),
        IN_TEMP(removing_a_tree_does_not_follow_links_out_of_it),
        IN_TEMP(the_lock_is_held_by_one_at_a_time),
        IN_TEMP(the_lock_ends_with_its_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
