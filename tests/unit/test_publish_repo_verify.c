/* server/repository/repo_verify.c: a repository on disk, seen as a device sees it. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "server/repository/repo_verify.h"
#include "server/repository/repo_write.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_pki.h"
#include "tests/support/tuf_repo.h"

#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#define NOW_S INT64_C(1793318400) /* 2026-10-30T00:00:00Z */

struct world {
    struct temp_dir *dir;
    struct tuf_repo publisher;
    struct hf_buf pem;
    struct hf_repo repo;
};
static struct world w;

static json_t *description(const char *set, int64_t version)
{
    return json_pack("{s:{s:s, s:s, s:I}}", "holdfast", "set", set, "profile", "p", "version",
                     (json_int_t)version);
}

static void add(const char *path, json_t *custom)
{
    tuf_repo_add_target(&w.publisher, path, hf_buf_bytes(&w.pem), custom);
}

/* What makes a repository visible is written by hf_file_replace_alone, because some tests write
 * what hf_repo_write would refuse. */
static bool is_visible(const char *path)
{
    return strcmp(path, HF_TIMESTAMP_FILE) == 0 || strstr(path, ".root.json") != NULL;
}

/* The publisher's files as they stand, on disk. */
static void write_out(void)
{
    if (!hf_file_exists(temp_path(w.dir, "metadata")))
        CHECK_OK(hf_file_make_new_dir(temp_path(w.dir, "metadata"), 0755, NULL));
    for (size_t i = 0; i < w.publisher.files.n_files; i++) {
        const struct tuf_file *file = &w.publisher.files.files[i];
        struct hf_repo one = {.dir = w.dir->path};
        struct hf_buf copy = {0};
        CHECK_OK(hf_buf_append(&copy, file->bytes.data, file->bytes.len));
        if (is_visible(file->path)) {
            CHECK_OK(
                hf_file_replace_alone(temp_path(w.dir, file->path), hf_buf_bytes(&copy), NULL));
            hf_buf_free(&copy);
            continue;
        }
        CHECK_OK(hf_repo_stage_take(&one, file->path, &copy, NULL));
        CHECK_OK(hf_repo_write(&one, NOW_S, NULL, NULL));
    }
}

static int setup(void **state)
{
    struct pki_key key;
    w = (struct world){0};
    if (temp_dir_setup((void **)&w.dir) != 0)
        return -1;
    *state = w.dir;
    pki_key_make(&key, PKI_P256);
    struct pki_cert cert = {.subject = "CN=Root", .key = &key, .is_ca = true};
    pki_issue_pem(&cert, &w.pem);
    pki_key_free(&key);
    w.repo.dir = w.dir->path;
    tuf_repo_init(&w.publisher, NOW_S);
    w.publisher.has_hashes = true;
    add("s/p/1.pem", description("s", 1));
    tuf_repo_publish_root(&w.publisher);
    tuf_repo_publish(&w.publisher);
    write_out();
    return 0;
}

static int teardown(void **state)
{
    tuf_repo_free(&w.publisher);
    hf_buf_free(&w.pem);
    return temp_dir_teardown(state);
}

static void publish_next(void)
{
    tuf_repo_publish_next(&w.publisher);
    write_out();
}

static void check_refused(int64_t now_s, enum hf_err wanted, const char *part)
{
    struct hf_why why;
    CHECK_REFUSED(hf_repo_verify(&w.repo, now_s, &why), wanted, &why, part);
}

/* ---- what verifies --------------------------------------------------------------------------- */

static void a_whole_repository_verifies(void **state)
{
    (void)state;
    CHECK_OK(hf_repo_verify(&w.repo, NOW_S, NULL));
}

static void every_root_version_is_walked(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        tuf_repo_rotate(&w.publisher, HF_ROLE_ROOT);
    tuf_repo_rotate(&w.publisher, HF_ROLE_TIMESTAMP);
    publish_next();
    CHECK_OK(hf_repo_verify(&w.repo, NOW_S, NULL));
    struct hf_trusted_set set;
    CHECK_OK(hf_repo_verify_metadata(&w.repo, NOW_S, &set, NULL));
    assert_int_equal(set.root->env.version, 5);
    hf_trusted_set_free(&set);
}

static void the_newest_of_each_set_is_marked(void **state)
{
    (void)state;
    struct hf_trusted_set set;
    struct hf_repo_bundles bundles;
    add("s/p/2.pem", description("s", 2));
    add("s/p/10.pem", description("s", 10));
    add("t/p/1.pem", description("t", 1));
    add("readme.txt", NULL); /* a target of another program is left alone */
    publish_next();
    CHECK_OK(hf_repo_verify_metadata(&w.repo, NOW_S, &set, NULL));
    CHECK_OK(
        hf_repo_verify_bundles(&w.repo, hf_trusted_set_top_targets(&set), true, &bundles, NULL));
    assert_int_equal(bundles.n_items, 4);
    assert_int_equal(hf_repo_bundles_newest(&bundles, "s", "p")->description.version, 10);
    assert_null(hf_repo_bundles_newest(&bundles, "s", "q"));
    size_t n_newest = 0;
    for (size_t i = 0; i < bundles.n_items; i++)
        n_newest += bundles.items[i].is_newest;
    assert_int_equal(n_newest, 2);
    hf_repo_bundles_free(&bundles);
    hf_trusted_set_free(&set);
}

/* ---- what does not --------------------------------------------------------------------------- */

static void a_repository_that_is_not_there_is_refused(void **state)
{
    (void)state;
    struct hf_why why;
    const struct hf_repo nowhere = {.dir = "/nonexistent"};
    CHECK_REFUSED(hf_repo_verify(&nowhere, NOW_S, &why), HF_E_NOT_FOUND, &why,
                  "there is no repository in /nonexistent");
}

static void expired_roles_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        enum hf_top_role role;
        const char *part;
    } cases[] = {{HF_ROLE_TARGETS, "targets"},
                 {HF_ROLE_SNAPSHOT, "snapshot"},
                 {HF_ROLE_TIMESTAMP, "timestamp"}};
    for (size_t i = 0; i < 3; i++) {
        w.publisher.roles[cases[i].role].expires_s = NOW_S - 1;
        publish_next();
        check_refused(NOW_S, HF_E_EXPIRED, cases[i].part);
        CHECK_OK(hf_repo_verify(&w.repo, HF_REPO_ANY_TIME, NULL));
        w.publisher.roles[cases[i].role].expires_s = NOW_S + 30 * HF_DAY_S;
    }
}

static void missing_files_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const files[] = {"metadata/timestamp.json", "metadata/1.snapshot.json",
                                        "metadata/1.targets.json"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(unlink(temp_path(w.dir, files[i])), 0);
        check_refused(NOW_S, HF_E_NOT_FOUND, files[i]);
        write_out();
    }
}

static void content_path(char *out, size_t size)
{
    char path[HF_TARGET_PATH_MAX + 160];
    tuf_repo_content_path(&w.publisher, &w.publisher.targets.items[0], path, sizeof path);
    (void)snprintf(out, size, "%s", temp_path(w.dir, path));
}

static void a_bundle_that_changed_on_disk_is_refused(void **state)
{
    (void)state;
    char path[HF_TARGET_PATH_MAX + 300];
    content_path(path, sizeof path);
    temp_overwrite(path, 40, "AAA", 3);
    check_refused(NOW_S, HF_E_HASH, "bundle s/p/1.pem: ");
    assert_int_equal(unlink(path), 0);
    check_refused(NOW_S, HF_E_NOT_FOUND, "bundle s/p/1.pem: ");
}

static void a_description_of_another_path_is_refused(void **state)
{
    (void)state;
    add("s/p/2.pem", description("s", 3));
    publish_next();
    check_refused(NOW_S, HF_E_FORMAT, "its description belongs to s/p/3.pem");
}

static void a_leaf_as_the_newest_bundle_is_refused(void **state)
{
    (void)state;
    struct pki_key key;
    struct hf_buf leaf = {0};
    pki_key_make(&key, PKI_P256);
    struct pki_cert cert = {.subject = "CN=Leaf", .key = &key};
    pki_issue_pem(&cert, &leaf);
    pki_key_free(&key);
    tuf_repo_add_target(&w.publisher, "s/p/2.pem", hf_buf_bytes(&leaf), description("s", 2));
    hf_buf_free(&leaf);
    publish_next();
    check_refused(NOW_S, HF_E_POLICY, "bundle s/p/2.pem: ");
    add("s/p/3.pem", description("s", 3)); /* no device would take 2 any more */
    publish_next();
    CHECK_OK(hf_repo_verify(&w.repo, NOW_S, NULL));
}

static void metadata_of_another_repository_is_refused(void **state)
{
    (void)state;
    struct tuf_repo other;
    tuf_repo_init(&other, NOW_S);
    tuf_repo_publish_root(&other);
    tuf_repo_publish(&other);
    struct hf_bytes forged = tuf_files_find(&other.files, HF_TIMESTAMP_FILE);
    CHECK_OK(hf_file_replace_alone(temp_path(w.dir, HF_TIMESTAMP_FILE), forged, NULL));
    tuf_repo_free(&other);
    check_refused(NOW_S, HF_E_SIGNATURE, "timestamp");
}

/* ---- signed, but not published --------------------------------------------------------------- */

static enum hf_err find_pending(int64_t *version, struct hf_why *why)
{
    struct hf_trusted_set set;
    struct hf_targets pending;
    struct hf_buf file = {0};
    CHECK_OK(hf_repo_verify_metadata(&w.repo, NOW_S, &set, NULL));
    enum hf_err err = hf_repo_verify_pending(&w.repo, &set, &pending, &file, why);
    if (err == HF_OK) {
        *version = pending.env.version;
        assert_true(file.len > 0);
        hf_targets_free(&pending);
    }
    hf_buf_free(&file);
    hf_trusted_set_free(&set);
    return err;
}

/* Targets of `version`, signed by `keys`, as metadata/NAME. */
static void leave_pending(const char *name, int64_t version, const struct tuf_keys *keys)
{
    struct hf_buf file = {0};
    json_t *part = tuf_signed_part("targets", version, NOW_S + HF_DAY_S, NOW_S);
    json_object_set_new(part, "targets", json_object());
    json_t *envelope = tuf_sign(part, keys, NULL);
    tuf_write(envelope, &file);
    json_decref(envelope);
    CHECK_OK(hf_file_replace_alone(temp_path(w.dir, name), hf_buf_bytes(&file), NULL));
    hf_buf_free(&file);
}

static void nothing_waits_at_first(void **state)
{
    (void)state;
    int64_t version = 0;
    struct hf_why why;
    temp_write(temp_path(w.dir, "metadata/99x.targets.json"), "no version");
    temp_write(temp_path(w.dir, "metadata/099.targets.json"), "no version of ours");
    CHECK_REFUSED(find_pending(&version, &why), HF_E_NOT_FOUND, &why,
                  "nothing waits to be published; targets 1 is the newest");
}

static void signed_targets_wait(void **state)
{
    (void)state;
    int64_t version = 0;
    const struct tuf_keys *keys = &w.publisher.roles[HF_ROLE_TARGETS].keys;
    leave_pending("metadata/2.targets.json", 2, keys);
    leave_pending("metadata/10.targets.json", 10, keys);
    CHECK_OK(find_pending(&version, NULL));
    assert_int_equal(version, 10);
}

static void targets_signed_by_others_do_not_wait(void **state)
{
    (void)state;
    int64_t version = 0;
    struct hf_why why;
    leave_pending("metadata/2.targets.json", 2, &w.publisher.roles[HF_ROLE_SNAPSHOT].keys);
    CHECK_REFUSED(find_pending(&version, &why), HF_E_SIGNATURE, &why,
                  "metadata/2.targets.json waits to be published but must not be");
}

static void old_targets_under_a_new_name_do_not_wait(void **state)
{
    (void)state;
    int64_t version = 0;
    struct hf_why why;
    leave_pending("metadata/3.targets.json", 2, &w.publisher.roles[HF_ROLE_TARGETS].keys);
    CHECK_REFUSED(find_pending(&version, &why), HF_E_ROLLBACK, &why,
                  "it says that it is version 2");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_repository_verifies),
        TEST(every_root_version_is_walked),
        TEST(the_newest_of_each_set_is_marked),
        TEST(a_repository_that_is_not_there_is_refused),
        TEST(expired_roles_are_refused_by_name),
        TEST(missing_files_are_refused_by_name),
        TEST(a_bundle_that_changed_on_disk_is_refused),
        TEST(a_description_of_another_path_is_refused),
        TEST(a_leaf_as_the_newest_bundle_is_refused),
        TEST(metadata_of_another_repository_is_refused),
        TEST(nothing_waits_at_first),
        TEST(signed_targets_wait),
        TEST(targets_signed_by_others_do_not_wait),
        TEST(old_targets_under_a_new_name_do_not_wait),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
