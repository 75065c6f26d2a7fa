/* server/serve/repository_load: a folder as an edition, read once and shared while it stays. */
#include "tests/support/check.h"

#include "server/serve/limits.h"
#include "server/serve/repository_load.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    struct hf_why why;
};

/* DIR/name with `content`, by rename, folders made as needed. */
static void put(const struct fixture *f, const char *name, const char *content)
{
    char path[512], temporary[520];
    assert_in_range(snprintf(path, sizeof path, "%s/%s", f->dir, name), 1, sizeof path - 1);
    for (char *slash = strchr(path + strlen(f->dir) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    (void)snprintf(temporary, sizeof temporary, "%s.tmp", path);
    FILE *file = fopen(temporary, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, strlen(content), file), strlen(content));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(temporary, path), 0);
}

static int make(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/holdfast-load-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    put(f, "metadata/timestamp.json", "{\"t\":1}");
    put(f, "metadata/1.root.json", "{\"r\":1}");
    put(f, "targets/a/1.pem", "one");
    *state = f;
    return 0;
}

static int drop_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static int drop(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(nftw(f->dir, drop_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(f);
    return 0;
}

static struct hf_edition *load(struct fixture *f, const struct hf_edition *old)
{
    struct hf_edition *e = NULL;
    if (hf_repository_load(f->dir, old, &e, &f->why) != HF_OK)
        fail_msg("%s", f->why.text);
    return e;
}

static struct hf_served_file *find(const struct hf_edition *e, const char *name)
{
    return hf_edition_find(e, name, strlen(name));
}

static void files_that_stay_are_shared_with_the_edition_before(void **state)
{
    struct fixture *f = *state;
    struct hf_edition *first = load(f, NULL);
    put(f, "metadata/timestamp.json", "{\"t\":2}"); /* as long as before */
    put(f, "targets/a/2.pem", "two");
    struct hf_edition *second = load(f, first);
    assert_int_equal(first->n_files, 3);
    assert_int_equal(second->n_files, 4);
    assert_ptr_equal(find(first, "/targets/a/1.pem"), find(second, "/targets/a/1.pem"));
    assert_ptr_equal(find(first, "/metadata/1.root.json"), find(second, "/metadata/1.root.json"));
    const struct hf_served_file *timestamp = find(second, "/metadata/timestamp.json");
    assert_ptr_not_equal(find(first, "/metadata/timestamp.json"), timestamp);
    assert_memory_equal(timestamp->body.bytes.data, "{\"t\":2}", 7);
    /* Each goes on its own. */
    hf_edition_unref(first);
    assert_memory_equal(find(second, "/targets/a/1.pem")->body.bytes.data, "one", 3);
    hf_edition_unref(second);
}

static void a_look_tells_whether_anything_was_published(void **state)
{
    struct fixture *f = *state;
    struct hf_repository_mark before = hf_repository_mark_read(f->dir);
    struct hf_repository_mark again = hf_repository_mark_read(f->dir);
    assert_true(before.is_there);
    assert_true(hf_repository_mark_same(&before, &again));
    put(f, "metadata/timestamp.json", "{\"t\":1}");
    again = hf_repository_mark_read(f->dir);
    assert_false(hf_repository_mark_same(&before, &again));
    struct hf_repository_mark nothing = hf_repository_mark_read("/nonexistent");
    assert_false(nothing.is_there);
    assert_false(hf_repository_mark_same(&again, &nothing));
    assert_true(hf_repository_mark_same(&nothing, &nothing));
}

static void what_is_not_a_repository_is_refused(void **state)
{
    struct fixture *f = *state;
    struct hf_edition *e = NULL;
    CHECK_REFUSED(hf_repository_load("/nonexistent", NULL, &e, &f->why), HF_E_NOT_FOUND, &f->why,
                  "the folder cannot be opened");
    char path[512];
    (void)snprintf(path, sizeof path, "%s/targets", f->dir);
    CHECK_REFUSED(hf_repository_load(path, NULL, &e, &f->why), HF_E_NOT_FOUND, &f->why,
                  "metadata is missing");
    (void)snprintf(path, sizeof path, "%s/metadata/timestamp.json", f->dir);
    assert_int_equal(unlink(path), 0);
    CHECK_REFUSED(hf_repository_load(f->dir, NULL, &e, &f->why), HF_E_NOT_FOUND, &f->why,
                  "metadata/timestamp.json is missing");
    assert_null(e);
}

static void a_repository_is_required_in_words(void **state)
{
    struct fixture *f = *state;
    char path[512];
    CHECK_OK(hf_repository_require(f->dir, &f->why));
    CHECK_REFUSED(hf_repository_require("/nonexistent", &f->why), HF_E_NOT_FOUND, &f->why,
                  "the repository /nonexistent cannot be opened: No such file or directory. Check "
                  "--repo, or pass --wait");
    (void)snprintf(path, sizeof path, "%s/targets", f->dir);
    CHECK_REFUSED(
        hf_repository_require(path, &f->why), HF_E_NOT_FOUND, &f->why,
        "targets is not a repository: metadata/timestamp.json: No such file or directory");
}

static void assert_missing(const struct hf_edition *e, const char *name, const char *sentence)
{
    struct hf_why why;
    CHECK_REFUSED(hf_edition_fail_missing(e, name, &why), HF_E_NOT_FOUND, &why, sentence);
}

static void links_and_other_things_are_named(void **state)
{
    struct fixture *f = *state;
    char path[512], folder[512];
    (void)snprintf(path, sizeof path, "%s/metadata/link.json", f->dir);
    assert_int_equal(symlink("1.root.json", path), 0);
    (void)snprintf(path, sizeof path, "%s/metadata/pipe.json", f->dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    (void)snprintf(path, sizeof path, "%s/targets/linked", f->dir);
    assert_int_equal(symlink("a", path), 0);
    struct hf_edition *e = load(f, NULL);
    assert_missing(e, "/metadata/link.json", "metadata/link.json is a symbolic link, which is not");
    assert_missing(e, "/metadata/pipe.json", "metadata/pipe.json is not a regular file, which is");
    assert_missing(e, "/targets/linked/1.pem", "targets/linked is a symbolic link");
    assert_missing(e, "/targets/linked2", "targets/linked2 is missing");
    assert_missing(e, "/metadata/link.jso", "metadata/link.jso is missing");
    hf_edition_unref(e);
    e = NULL;

    (void)snprintf(path, sizeof path, "%s/metadata/timestamp.json", f->dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("1.root.json", path), 0);
    CHECK_REFUSED(hf_repository_load(f->dir, NULL, &e, &f->why), HF_E_NOT_FOUND, &f->why,
                  "metadata/timestamp.json is a symbolic link");
    (void)snprintf(path, sizeof path, "%s/metadata", f->dir);
    (void)snprintf(folder, sizeof folder, "%s/elsewhere", f->dir);
    assert_int_equal(rename(path, folder), 0);
    assert_int_equal(symlink("elsewhere", path), 0);
    CHECK_REFUSED(hf_repository_load(f->dir, NULL, &e, &f->why), HF_E_NOT_FOUND, &f->why,
                  "metadata is a symbolic link");
    assert_null(e);
}

static void folders_nest_only_so_deep(void **state)
{
    struct fixture *f = *state;
    struct hf_edition *e = NULL;
    char name[256] = "targets";
    for (unsigned depth = 1; depth < HF_SERVE_REPOSITORY_DEPTH_MAX; depth++)
        (void)snprintf(name + strlen(name), sizeof name - strlen(name), "/d");
    char deepest[300];
    (void)snprintf(deepest, sizeof deepest, "%s/file", name);
    put(f, deepest, "x");
    hf_edition_unref(load(f, NULL));
    (void)snprintf(deepest, sizeof deepest, "%s/d/file", name);
    put(f, deepest, "x");
    CHECK_REFUSED(hf_repository_load(f->dir, NULL, &e, &f->why), HF_E_LIMIT, &f->why,
                  "folders nest deeper than 16");
    assert_null(e);
}

static void a_huge_file_is_refused_before_it_is_read(void **state)
{
    struct fixture *f = *state;
    struct hf_edition *e = NULL;
    char path[512];
    put(f, "targets/huge", "");
    (void)snprintf(path, sizeof path, "%s/targets/huge", f->dir);
    assert_int_equal(truncate(path, (off_t)HF_SERVE_REPOSITORY_BYTES_MAX + 1), 0);
    CHECK_REFUSED(hf_repository_load(f->dir, NULL, &e, &f->why), HF_E_LIMIT, &f->why,
                  "/targets/huge is larger than 256 MiB");
    assert_null(e);
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    struct fixture *f = *state;
    struct hf_edition *e = NULL;
    char path[512];
    if (geteuid() == 0) {
        print_message("root reads every file\n");
        skip();
    }
    (void)snprintf(path, sizeof path, "%s/targets/a/1.pem", f->dir);
    assert_int_equal(chmod(path, 0), 0);
    CHECK_REFUSED(hf_repository_load(f->dir, NULL, &e, &f->why), HF_E_STORAGE, &f->why,
                  "/targets/a/1.pem cannot be opened: Permission denied");
    assert_null(e);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_that_stay_are_shared_with_the_edition_before),
        TEST(a_look_tells_whether_anything_was_published),
        TEST(what_is_not_a_repository_is_refused),
        TEST(a_repository_is_required_in_words),
        TEST(links_and_other_things_are_named),
        TEST(folders_nest_only_so_deep),
        TEST(a_huge_file_is_refused_before_it_is_read),
        TEST(a_file_that_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
