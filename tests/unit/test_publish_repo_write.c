/* server/repository/repo_write.c: readers see a complete repository at any moment, old or new, also
 * after a power cut. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "server/repository/repo_verify.h"
#include "server/repository/repo_write.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_pki.h"
#include "tests/support/tuf_repo.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOW_S INT64_C(1793318400) /* 2026-10-30T00:00:00Z */

/* ---- the renames of the code under test come by here ----------------------------------------- */

static struct {
    void (*after)(void); /* called after each rename, if set */
    int fail_at;         /* the rename with this number fails; 0: none */
    int cut_at;          /* the process ends before this one; 0: never */
    int count;
} renames;

int renameat(int old_dir, const char *old_path, int new_dir, const char *new_path)
{
    renames.count++;
    if (renames.count == renames.cut_at)
        _exit(0);
    if (renames.count == renames.fail_at) {
        errno = ENOSPC;
        return -1;
    }
    int result = (int)syscall(SYS_renameat2, old_dir, old_path, new_dir, new_path, 0);
    if (result == 0 && renames.after != NULL)
        renames.after();
    return result;
}

/* ---- a repository of two versions ------------------------------------------------------------ */

struct world {
    struct temp_dir *dir;
    struct tuf_repo publisher;
    struct hf_buf pem;
    struct hf_repo repo;
};
static struct world w;

static void add_bundle(int64_t version)
{
    char path[32];
    (void)snprintf(path, sizeof path, "s/p/%lld.pem", (long long)version);
    tuf_repo_add_target(&w.publisher, path, hf_buf_bytes(&w.pem),
                        json_pack("{s:{s:s, s:s, s:I}}", "holdfast", "set", "s", "profile", "p",
                                  "version", (json_int_t)version));
}

/* Lay every published file over the repository, except the roots it has already. */
static void stage_published(bool with_root)
{
    for (size_t i = 0; i < w.publisher.files.n_files; i++) {
        const struct tuf_file *file = &w.publisher.files.files[i];
        struct hf_buf copy = {0};
        if (!with_root && strstr(file->path, ".root.json") != NULL)
            continue;
        CHECK_OK(hf_buf_append(&copy, file->bytes.data, file->bytes.len));
        CHECK_OK(hf_repo_stage_take(&w.repo, file->path, &copy, NULL));
    }
}

static int setup(void **state)
{
    struct pki_key key;
    w = (struct world){0};
    memset(&renames, 0, sizeof renames);
    if (temp_dir_setup((void **)&w.dir) != 0)
        return -1;
    *state = w.dir;
    pki_key_make(&key, PKI_P256);
    struct pki_cert cert = {.subject = "CN=Root", .key = &key, .is_ca = true};
    pki_issue_pem(&cert, &w.pem);
    pki_key_free(&key);
    tuf_repo_init(&w.publisher, NOW_S);
    add_bundle(1);
    tuf_repo_publish_root(&w.publisher);
    tuf_repo_publish(&w.publisher);
    w.repo.dir = w.dir->path;
    stage_published(true);
    CHECK_OK(hf_repo_write(&w.repo, NOW_S, NULL, NULL));
    /* Version 2 is staged and waits for the test to write it. */
    add_bundle(2);
    tuf_repo_publish_next(&w.publisher);
    stage_published(false);
    renames.count = 0;
    return 0;
}

static int teardown(void **state)
{
    memset(&renames, 0, sizeof renames);
    hf_repo_unstage(&w.repo);
    tuf_repo_free(&w.publisher);
    hf_buf_free(&w.pem);
    return temp_dir_teardown(state);
}

/* What a device that looks now would have as its newest bundle; it must always have one. */
static int64_t version_on_disk(void)
{
    const struct hf_repo disk = {.dir = w.dir->path};
    struct hf_trusted_set set;
    struct hf_repo_bundles bundles;
    CHECK_OK(hf_repo_verify_metadata(&disk, NOW_S, &set, NULL));
    CHECK_OK(hf_repo_verify_bundles(&disk, hf_trusted_set_top_targets(&set), true, &bundles, NULL));
    int64_t version = hf_repo_bundles_newest(&bundles, "s", "p")->description.version;
    hf_repo_bundles_free(&bundles);
    hf_trusted_set_free(&set);
    return version;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static int looks;
static int64_t last_seen;

static void look(void)
{
    int64_t seen = version_on_disk();
    assert_true(seen >= last_seen);
    last_seen = seen;
    looks++;
}

static void a_reader_after_each_rename_sees_a_whole_repository(void **state)
{
    (void)state;
    int n_files = (int)w.repo.n_staged;
    looks = 0;
    last_seen = 1;
    renames.after = look;
    CHECK_OK(hf_repo_write(&w.repo, NOW_S, NULL, NULL));
    assert_int_equal(looks, n_files);
    assert_int_equal(last_seen, 2);
    assert_int_equal(w.repo.n_staged, 0);
}

static void only_the_last_rename_makes_it_visible(void **state)
{
    (void)state;
    struct hf_why why;
    renames.fail_at = (int)w.repo.n_staged;
    CHECK_REFUSED(hf_repo_write(&w.repo, NOW_S, NULL, &why), HF_E_STORAGE, &why,
                  "metadata/timestamp.json: the disk holding it is full");
    assert_int_equal(version_on_disk(), 1);
}

static void write_until_cut(int cut_at)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        renames.cut_at = cut_at;
        _exit(hf_repo_write(&w.repo, NOW_S, NULL, NULL) == HF_OK ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_power_cut_at_any_rename_leaves_old_or_new_and_the_next_run_goes_on(void **state)
{
    (void)state;
    for (int cut = 1; cut <= (int)w.repo.n_staged; cut++) {
        write_until_cut(cut);
        assert_int_equal(version_on_disk(), 1);
    }
    CHECK_OK(hf_repo_write(&w.repo, NOW_S, NULL, NULL));
    assert_int_equal(version_on_disk(), 2);
}

static size_t files_below(const char *folder)
{
    return temp_count(temp_path(w.dir, folder));
}

static void a_failure_takes_the_new_files_away(void **state)
{
    (void)state;
    struct hf_why why;
    size_t metadata = files_below("metadata"), targets = files_below("targets/s/p");
    for (int fail = 1; fail < (int)w.repo.n_staged; fail++) {
        renames.count = 0;
        renames.fail_at = fail;
        CHECK_REFUSED(hf_repo_write(&w.repo, NOW_S, NULL, &why), HF_E_STORAGE, &why,
                      "the disk holding it is full");
        assert_int_equal(files_below("metadata"), metadata);
        assert_int_equal(files_below("targets/s/p"), targets);
        assert_int_equal(version_on_disk(), 1); /* 1.pem was written again, and stays */
        renames.fail_at = 0;
    }
}

static void what_devices_would_refuse_is_not_published(void **state)
{
    (void)state;
    struct hf_why why;
    size_t metadata = files_below("metadata");
    /* Two years on, everything has expired. */
    CHECK_REFUSED(hf_repo_write(&w.repo, NOW_S + 730 * HF_DAY_S, NULL, &why), HF_E_EXPIRED, &why,
                  "nothing was published, devices would refuse it: ");
    assert_int_equal(files_below("metadata"), metadata);
}

static void published_files_are_readable_by_a_server(void **state)
{
    (void)state;
    mode_t before = umask(077);
    CHECK_OK(hf_repo_write(&w.repo, NOW_S, NULL, NULL));
    (void)umask(before);
    assert_int_equal(temp_mode(temp_path(w.dir, "metadata/timestamp.json")), 0644);
    assert_int_equal(temp_mode(temp_path(w.dir, "metadata/2.targets.json")), 0644);
    assert_int_equal(temp_mode(temp_path(w.dir, "targets/s")), 0755);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_reader_after_each_rename_sees_a_whole_repository),
        TEST(only_the_last_rename_makes_it_visible),
        TEST(a_power_cut_at_any_rename_leaves_old_or_new_and_the_next_run_goes_on),
        TEST(a_failure_takes_the_new_files_away),
        TEST(what_devices_would_refuse_is_not_published),
        TEST(published_files_are_readable_by_a_server),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
