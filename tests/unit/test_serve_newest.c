/* server/serve/repository_check, newest: what devices would refuse after what they saw, and what a
 * restart remembers. */
#include "tests/support/check.h"

#include "server/serve/repository_check.h"
#include "tests/support/serve_edition.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOW_S INT64_C(1900000000)

struct fixture {
    struct tuf_repo repo;
    struct hf_newest newest;
    struct hf_why why;
    char dir[64];
};

static void publish(struct fixture *f)
{
    tuf_repo_publish_next(&f->repo);
}

static int make(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    tuf_repo_init(&f->repo, NOW_S);
    tuf_repo_add_target(&f->repo, "iot/full/1.pem", hf_bytes_of_text("one"), NULL);
    tuf_repo_publish_root(&f->repo);
    tuf_repo_publish(&f->repo);
    publish(f);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/hf-newest-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    *state = f;
    return 0;
}

static const char *path_of(const struct fixture *f, const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", f->dir, name);
    return path;
}

static int drop(void **state)
{
    static const char *const names[] = {"root.json", "snapshot.json", "timestamp.json"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unlink(path_of(f, names[i]));
    assert_int_equal(rmdir(f->dir), 0);
    tuf_repo_free(&f->repo);
    hf_newest_free(&f->newest);
    free(f);
    return 0;
}

/* The repository as it stands, which is whole. */
static struct hf_edition *edition(struct fixture *f)
{
    struct hf_edition *g = serve_edition_of(&f->repo);
    if (hf_repository_check(g, &f->why) != HF_OK)
        fail_msg("not whole: %s", f->why.text);
    return g;
}

static void serve(struct fixture *f)
{
    struct hf_edition *g = edition(f);
    if (hf_newest_check(&f->newest, g, &f->why) != HF_OK)
        fail_msg("refused: %s", f->why.text);
    CHECK_OK(hf_newest_remember(&f->newest, g, f->dir, &f->why));
    hf_edition_unref(g);
}

static void assert_refused(struct fixture *f, enum hf_err code, const char *part)
{
    struct hf_edition *g = edition(f);
    CHECK_REFUSED(hf_newest_check(&f->newest, g, &f->why), code, &f->why, part);
    hf_edition_unref(g);
}

static void go_back_to(struct fixture *f, enum hf_top_role role, int64_t version)
{
    f->repo.roles[role].version = version;
    tuf_repo_publish(&f->repo);
}

static void newer_metadata_is_served(void **state)
{
    struct fixture *f = *state;
    serve(f);
    serve(f); /* the same again */
    publish(f);
    serve(f);
    tuf_repo_rotate(&f->repo, HF_ROLE_ROOT);
    publish(f);
    serve(f);
}

static void nothing_goes_back(void **state)
{
    struct fixture *f = *state;
    serve(f);
    go_back_to(f, HF_ROLE_TIMESTAMP, 1);
    assert_refused(f, HF_E_ROLLBACK, "timestamp version 1 is older than version 2");
    /* A newer timestamp does not make older metadata new. */
    f->repo.roles[HF_ROLE_SNAPSHOT].version = 1;
    go_back_to(f, HF_ROLE_TIMESTAMP, 3);
    assert_refused(f, HF_E_ROLLBACK, "timestamp version 3 names snapshot version 1");
    f->repo.roles[HF_ROLE_SNAPSHOT].version = 3;
    go_back_to(f, HF_ROLE_TARGETS, 1);
    assert_refused(f, HF_E_ROLLBACK, "names version 1 of targets.json");
    go_back_to(f, HF_ROLE_TARGETS, 2);
    serve(f);
}

/* Restored from a backup and signed again: devices that have the first do not look at the
 * second. */
static void a_second_timestamp_of_one_version_is_refused(void **state)
{
    struct fixture *f = *state;
    f->repo.has_hashes = true;
    go_back_to(f, HF_ROLE_TIMESTAMP, 2);
    serve(f);
    f->repo.roles[HF_ROLE_SNAPSHOT].expires_s += 1;
    go_back_to(f, HF_ROLE_TIMESTAMP, 2);
    assert_refused(f, HF_E_HASH, "snapshot");
}

static void a_root_that_went_away_is_missed(void **state)
{
    struct fixture *f = *state;
    tuf_repo_rotate(&f->repo, HF_ROLE_ROOT);
    publish(f);
    serve(f);
    tuf_files_remove(&f->repo.files, "metadata/2.root.json");
    publish(f);
    assert_refused(f, HF_E_ROLLBACK, "its newest root is version 1, and version 2 was served");
}

static void after_a_rotation_versions_begin_anew(void **state)
{
    static const enum hf_top_role roles[] = {HF_ROLE_TIMESTAMP, HF_ROLE_SNAPSHOT};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        publish(f);
        serve(f);
        tuf_repo_rotate(&f->repo, roles[i]);
        f->repo.roles[HF_ROLE_SNAPSHOT].version = 1;
        go_back_to(f, HF_ROLE_TIMESTAMP, 1);
        serve(f);
        /* Once: what is served since is the floor again. */
        publish(f);
        serve(f);
        go_back_to(f, HF_ROLE_TIMESTAMP, 1);
        assert_refused(f, HF_E_ROLLBACK, "timestamp version 1 is older than version 2");
        f->repo.roles[HF_ROLE_TIMESTAMP].version = 2;
    }
}

/* Other keys of root or targets do not reset the floor. */
static void other_rotations_change_nothing(void **state)
{
    struct fixture *f = *state;
    publish(f);
    serve(f);
    tuf_repo_rotate(&f->repo, HF_ROLE_TARGETS);
    tuf_repo_rotate(&f->repo, HF_ROLE_ROOT);
    go_back_to(f, HF_ROLE_TIMESTAMP, 1);
    assert_refused(f, HF_E_ROLLBACK, "timestamp version 1 is older than version 3");
}

static void another_repository_is_refused(void **state)
{
    struct fixture *f = *state;
    serve(f);
    tuf_repo_free(&f->repo);
    tuf_repo_init(&f->repo, NOW_S);
    tuf_repo_publish_root(&f->repo);
    tuf_repo_publish(&f->repo);
    assert_refused(f, HF_E_SIGNATURE, "timestamp");
    tuf_repo_rotate(&f->repo, HF_ROLE_ROOT);
    publish(f);
    assert_refused(f, HF_E_SIGNATURE, "root");
}

static void a_restart_remembers(void **state)
{
    struct fixture *f = *state;
    struct hf_newest loaded;
    CHECK_OK(hf_newest_load(f->dir, &loaded, &f->why));
    assert_int_equal(loaded.root.bytes.len, 0); /* the first start */
    serve(f);
    publish(f);
    serve(f);
    hf_newest_free(&f->newest);
    CHECK_OK(hf_newest_load(f->dir, &f->newest, &f->why));
    serve(f);
    go_back_to(f, HF_ROLE_TIMESTAMP, 2);
    assert_refused(f, HF_E_ROLLBACK, "timestamp version 2 is older than version 3");
}

static void a_damaged_memory_is_none(void **state)
{
    struct fixture *f = *state;
    struct hf_newest loaded;
    serve(f);
    assert_int_equal(truncate(path_of(f, "root.json"), 100), 0);
    assert_int_equal(hf_newest_load(f->dir, &loaded, &f->why), HF_E_FORMAT);
    assert_int_equal(loaded.root.bytes.len, 0);
    assert_int_equal(loaded.timestamp.bytes.len, 0);
    struct hf_edition *g = edition(f);
    CHECK_OK(hf_newest_check(&loaded, g, &f->why));
    hf_edition_unref(g);
}

/* A file that is too long is damaged, whatever it holds. */
static void a_damaged_file_takes_no_other_along(void **state)
{
    struct fixture *f = *state;
    serve(f);
    hf_newest_free(&f->newest);
    assert_int_equal(truncate(path_of(f, "snapshot.json"), HF_SNAPSHOT_BYTES_MAX + 1), 0);
    assert_int_not_equal(hf_newest_load(f->dir, &f->newest, &f->why), HF_OK);
    assert_non_null(strstr(f->why.text, "snapshot.json"));
    assert_int_equal(f->newest.snapshot.bytes.len, 0);
    go_back_to(f, HF_ROLE_TIMESTAMP, 1);
    assert_refused(f, HF_E_ROLLBACK, "timestamp version 1 is older than version 2");
    /* What is served next replaces it. */
    go_back_to(f, HF_ROLE_TIMESTAMP, 3);
    serve(f);
    hf_newest_free(&f->newest);
    CHECK_OK(hf_newest_load(f->dir, &f->newest, &f->why));
    assert_true(f->newest.snapshot.bytes.len > 0);
}

/* A disk that was full for a while: nothing newer need come before what is missing is written. */
static void what_was_not_written_is_written_next_time(void **state)
{
    struct fixture *f = *state;
    struct hf_edition *g = edition(f);
    CHECK_REFUSED(hf_newest_remember(&f->newest, g, "/nonexistent", &f->why), HF_E_STORAGE, &f->why,
                  "/nonexistent/root.json");
    hf_edition_unref(g);
    go_back_to(f, HF_ROLE_TIMESTAMP, 1);
    assert_refused(f, HF_E_ROLLBACK, "timestamp version 1 is older than version 2");
    go_back_to(f, HF_ROLE_TIMESTAMP, 2);
    serve(f); /* the same again */
    hf_newest_free(&f->newest);
    CHECK_OK(hf_newest_load(f->dir, &f->newest, &f->why));
    go_back_to(f, HF_ROLE_TIMESTAMP, 1);
    assert_refused(f, HF_E_ROLLBACK, "timestamp version 1 is older than version 2");
}

static void a_folder_that_takes_nothing_is_said(void **state)
{
    struct fixture *f = *state;
    struct hf_edition *g = edition(f);
    CHECK_REFUSED(hf_newest_remember(&f->newest, g, "/nonexistent", &f->why), HF_E_STORAGE, &f->why,
                  "/nonexistent/root.json");
    hf_edition_unref(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(newer_metadata_is_served, make, drop),
        cmocka_unit_test_setup_teardown(nothing_goes_back, make, drop),
        cmocka_unit_test_setup_teardown(a_second_timestamp_of_one_version_is_refused, make, drop),
        cmocka_unit_test_setup_teardown(a_root_that_went_away_is_missed, make, drop),
        cmocka_unit_test_setup_teardown(after_a_rotation_versions_begin_anew, make, drop),
        cmocka_unit_test_setup_teardown(other_rotations_change_nothing, make, drop),
        cmocka_unit_test_setup_teardown(another_repository_is_refused, make, drop),
        cmocka_unit_test_setup_teardown(a_restart_remembers, make, drop),
        cmocka_unit_test_setup_teardown(a_damaged_memory_is_none, make, drop),
        cmocka_unit_test_setup_teardown(a_damaged_file_takes_no_other_along, make, drop),
        cmocka_unit_test_setup_teardown(what_was_not_written_is_written_next_time, make, drop),
        cmocka_unit_test_setup_teardown(a_folder_that_takes_nothing_is_said, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
