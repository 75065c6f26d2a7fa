/* server/serve/repository_check: an edition is whole, or the sentence says what is missing. */
#include "tests/support/check.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "server/serve/repository_check.h"
#include "tests/support/serve_edition.h"

#include <stdlib.h>

#define NOW_S INT64_C(1900000000)

struct fixture {
    struct tuf_repo repo;
    struct hf_why why;
};

static int make(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    tuf_repo_init(&f->repo, NOW_S);
    f->repo.has_hashes = true;
    tuf_repo_add_target(&f->repo, "iot/full/1.pem", hf_bytes_of_text("one"), NULL);
    tuf_repo_publish_root(&f->repo);
    tuf_repo_publish(&f->repo);
    *state = f;
    return 0;
}

static int drop(void **state)
{
    struct fixture *f = *state;
    tuf_repo_free(&f->repo);
    free(f);
    return 0;
}

static struct hf_edition *load(const struct fixture *f)
{
    return serve_edition_of(&f->repo);
}

static bool is_served(const struct hf_edition *g, const char *name)
{
    return hf_edition_find(g, name, strlen(name)) != NULL;
}

static struct hf_edition *checked_and_pruned(struct hf_edition *g, const struct hf_edition *before)
{
    struct hf_why why = {.text = ""};
    if (hf_repository_check(g, &why) != HF_OK)
        fail_msg("not whole: %s", why.text);
    hf_edition_prune(g, before);
    return g;
}

static struct hf_summary assert_whole(const struct fixture *f)
{
    struct hf_edition *g = load(f);
    struct hf_why why = {.text = ""};
    if (hf_repository_check(g, &why) != HF_OK)
        fail_msg("not whole: %s", why.text);
    struct hf_summary summary = g->summary;
    hf_edition_unref(g);
    return summary;
}

static void assert_refused(struct fixture *f, enum hf_err code, const char *part)
{
    struct hf_edition *g = load(f);
    struct hf_summary nothing = {0};
    CHECK_REFUSED(hf_repository_check(g, &f->why), code, &f->why, part);
    assert_memory_equal(&g->summary, &nothing, sizeof nothing);
    hf_edition_unref(g);
}

static void assert_refused_without(struct fixture *f, const char *path)
{
    struct hf_buf kept = {0};
    struct hf_buf part = {0};
    struct hf_bytes bytes = tuf_files_find(&f->repo.files, path);
    assert_non_null(bytes.data);
    CHECK_OK(hf_buf_append(&kept, bytes.data, bytes.len));
    tuf_files_remove(&f->repo.files, path);
    CHECK_OK(hf_buf_printf(&part, "%s is missing", path));
    assert_refused(f, HF_E_NOT_FOUND, (const char *)part.data);
    tuf_files_put(&f->repo.files, path, hf_buf_bytes(&kept));
    hf_buf_free(&kept);
    hf_buf_free(&part);
}

static void a_whole_repository_is_summarised(void **state)
{
    struct fixture *f = *state;
    tuf_repo_publish_next(&f->repo);
    struct hf_summary s = assert_whole(f);
    assert_int_equal(s.root_version, 1);
    assert_int_equal(s.timestamp_version, 2);
    assert_int_equal(s.snapshot_version, 2);
    assert_int_equal(s.targets_version, 2);
    assert_int_equal(s.expires_s, f->repo.roles[HF_ROLE_ROOT].expires_s); /* all on one day */
    assert_string_equal(s.expires_role, "root");
}

static void the_role_that_expires_first_is_named(void **state)
{
    struct fixture *f = *state;
    struct tuf_delegated_role *role = tuf_repo_delegate(&f->repo, "targets", "mine", "m/*", false);
    int64_t *const expiries[] = {&f->repo.roles[HF_ROLE_ROOT].expires_s,
                                 &f->repo.roles[HF_ROLE_TIMESTAMP].expires_s,
                                 &f->repo.roles[HF_ROLE_SNAPSHOT].expires_s,
                                 &f->repo.roles[HF_ROLE_TARGETS].expires_s, &role->role.expires_s};
    static const char *const names[] = {"root", "timestamp", "snapshot", "targets", "mine"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        *expiries[i] -= HF_DAY_S;
        tuf_repo_publish_root(&f->repo);
        tuf_repo_publish(&f->repo);
        struct hf_summary s = assert_whole(f);
        assert_int_equal(s.expires_s, *expiries[i]);
        assert_string_equal(s.expires_role, names[i]);
        *expiries[i] += HF_DAY_S;
    }
}

static void each_missing_file_is_named(void **state)
{
    struct fixture *f = *state;
    char content[HF_TARGET_PATH_MAX + 160];
    tuf_repo_content_path(&f->repo, &f->repo.targets.items[0], content, sizeof content);
    assert_refused_without(f, "metadata/1.root.json");
    assert_refused_without(f, "metadata/timestamp.json");
    assert_refused_without(f, "metadata/1.snapshot.json");
    assert_refused_without(f, "metadata/1.targets.json");
    assert_refused_without(f, content);
    (void)assert_whole(f);
}

static void a_target_with_other_bytes_is_refused(void **state)
{
    struct fixture *f = *state;
    char content[HF_TARGET_PATH_MAX + 160];
    tuf_repo_content_path(&f->repo, &f->repo.targets.items[0], content, sizeof content);
    static const char *const others[] = {"onf", "on", "onee", ""};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        tuf_files_put(&f->repo.files, content, hf_bytes_of_text(others[i]));
        assert_refused(f, HF_E_HASH, content);
    }
}

static void add_second_hash(void *ctx, const char *role, json_t *signed_part)
{
    json_t *target, *targets = json_object_get(signed_part, "targets");
    const char *path;
    if (strcmp(role, "targets") != 0)
        return;
    json_object_foreach(targets, path, target)
        assert_int_equal(json_object_set_new(json_object_get(target, "hashes"), "sha512",
                                             json_string(ctx)),
                         0);
}

/* A device compares both hashes (TUF 5.7.2). */
static void a_target_with_a_second_hash_that_is_wrong_is_refused(void **state)
{
    struct fixture *f = *state;
    uint8_t digest[HF_SHA512_LEN];
    char hex[HF_SHA512_HEX_LEN];
    hf_sha512(hf_bytes_of_text("one"), digest);
    hf_hex_encode(digest, sizeof digest, hex);
    f->repo.before_signing = add_second_hash;
    f->repo.hook_ctx = hex;
    tuf_repo_publish_next(&f->repo);
    (void)assert_whole(f);
    hex[0] = hex[0] == '0' ? '1' : '0';
    tuf_repo_publish_next(&f->repo);
    assert_refused(f, HF_E_HASH, "targets/iot/full/");
}

static void an_unsigned_change_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = {"metadata/1.root.json", "metadata/timestamp.json"};
    for (size_t i = 0; i < 2; i++) {
        struct hf_buf changed = {0};
        struct hf_bytes bytes = tuf_files_find(&f->repo.files, paths[i]);
        CHECK_OK(hf_buf_append(&changed, bytes.data, bytes.len));
        char *expires = strstr((char *)changed.data, "\"expires\": \"2");
        assert_non_null(expires);
        expires[12] = '3';
        tuf_files_put(&f->repo.files, paths[i], hf_buf_bytes(&changed));
        hf_buf_free(&changed);
        assert_refused(f, HF_E_SIGNATURE, i == 0 ? "root" : "timestamp");
        drop(state);
        make(state);
        f = *state;
    }
}

static void files_of_two_publications_do_not_make_one(void **state)
{
    struct fixture *f = *state;
    struct tuf_files old = {0};
    tuf_files_copy(&old, &f->repo.files);
    tuf_repo_add_target(&f->repo, "iot/full/2.pem", hf_bytes_of_text("two"), NULL);
    tuf_repo_publish_next(&f->repo);
    /* The new timestamp over the old rest. */
    tuf_files_put(&old, "metadata/timestamp.json",
                  tuf_files_find(&f->repo.files, "metadata/timestamp.json"));
    tuf_files_copy(&f->repo.files, &old);
    tuf_files_free(&old);
    assert_refused(f, HF_E_NOT_FOUND, "metadata/2.snapshot.json is missing");
}

static void an_expired_repository_is_whole(void **state)
{
    struct fixture *f = *state;
    for (int role = 0; role < HF_TOP_ROLES; role++)
        f->repo.roles[role].expires_s = HF_DAY_S; /* 1970 */
    tuf_repo_publish_root(&f->repo);
    tuf_repo_publish(&f->repo);
    assert_int_equal(assert_whole(f).expires_s, HF_DAY_S);
}

static void every_root_up_to_the_newest_is_walked(void **state)
{
    struct fixture *f = *state;
    tuf_repo_rotate(&f->repo, HF_ROLE_TIMESTAMP);
    tuf_repo_rotate(&f->repo, HF_ROLE_ROOT);
    /* The old timestamp under the new root: a publisher that is not done yet. */
    assert_refused(f, HF_E_SIGNATURE, "timestamp");
    tuf_repo_publish_next(&f->repo);
    assert_int_equal(assert_whole(f).root_version, 3);
    /* Without the second, the third is not reached, and timestamp is signed by an unknown key. */
    tuf_files_remove(&f->repo.files, "metadata/2.root.json");
    assert_refused(f, HF_E_SIGNATURE, "timestamp");
}

static void delegated_roles_and_their_targets_belong_to_it(void **state)
{
    struct fixture *f = *state;
    struct tuf_delegated_role *a = tuf_repo_delegate(&f->repo, "targets", "a", "a/*", false);
    struct tuf_delegated_role *b = tuf_repo_delegate(&f->repo, "a", "b", "a/*", false);
    (void)tuf_repo_delegate(&f->repo, "b", "c", "a/*", false);
    tuf_targets_add(&a->targets, "a/1", hf_bytes_of_text("in a"), NULL);
    tuf_targets_add(&b->targets, "a/2", hf_bytes_of_text("in b"), NULL);
    tuf_repo_publish_next(&f->repo);
    (void)assert_whole(f);

    char content[HF_TARGET_PATH_MAX + 160];
    tuf_repo_content_path(&f->repo, &b->targets.items[0], content, sizeof content);
    assert_refused_without(f, content);
    assert_refused_without(f, "metadata/1.a.json");
    assert_refused_without(f, "metadata/1.c.json");
}

static void without_consistent_snapshots_names_are_plain(void **state)
{
    struct fixture *f = *state;
    f->repo.consistent_snapshot = false;
    tuf_files_free(&f->repo.files);
    f->repo.files = (struct tuf_files){0};
    tuf_repo_publish_root(&f->repo);
    tuf_repo_publish(&f->repo);
    (void)assert_whole(f);
    assert_refused_without(f, "metadata/snapshot.json");
    assert_refused_without(f, "targets/iot/full/1.pem");
}

static void everything_a_device_would_fetch_stays(void **state)
{
    struct fixture *f = *state;
    struct tuf_delegated_role *a = tuf_repo_delegate(&f->repo, "targets", "a", "a/*", false);
    tuf_targets_add(&a->targets, "a/1", hf_bytes_of_text("in a"), NULL);
    tuf_repo_rotate(&f->repo, HF_ROLE_TIMESTAMP);
    tuf_files_remove(&f->repo.files, "metadata/1.snapshot.json");
    tuf_files_remove(&f->repo.files, "metadata/1.targets.json");
    tuf_repo_publish_next(&f->repo);
    struct hf_edition *g = load(f);
    size_t n_files = g->n_files;
    uint64_t total_bytes = g->total_bytes;
    (void)checked_and_pruned(g, NULL);
    assert_int_equal(g->n_files, n_files);
    assert_int_equal(g->total_bytes, total_bytes);
    (void)checked_and_pruned(g, NULL); /* still whole */
    hf_edition_unref(g);
}

static void what_no_timestamp_named_is_dropped(void **state)
{
    static const char *const strays[] = {
        "metadata/2.snapshot.json",  "metadata/2.targets.json", "metadata/1.unknown.json",
        "metadata/3.root.json",      "metadata/root.json",      "metadata/01.root.json",
        "targets/iot/full/next.pem",
    };
    struct hf_edition *g = load(*state);
    size_t n_files = g->n_files;
    uint64_t total_bytes = g->total_bytes;
    for (size_t i = 0; i < sizeof strays / sizeof strays[0]; i++)
        serve_edition_add(g, strays[i], hf_bytes_of_text("not published"));
    hf_edition_sort(g);
    (void)checked_and_pruned(g, NULL);
    assert_int_equal(g->n_files, n_files);
    assert_int_equal(g->total_bytes, total_bytes);
    assert_false(is_served(g, "/metadata/2.snapshot.json"));
    assert_false(is_served(g, "/targets/iot/full/next.pem"));
    hf_edition_unref(g);
}

static void what_was_served_before_stays_with_the_same_bytes_only(void **state)
{
    struct fixture *f = *state;
    struct hf_edition *first = checked_and_pruned(load(f), NULL);
    tuf_repo_publish_next(&f->repo);
    struct hf_edition *second = checked_and_pruned(load(f), first);
    assert_true(is_served(second, "/metadata/1.snapshot.json"));
    tuf_repo_publish_next(&f->repo);
    tuf_files_put(&f->repo.files, "metadata/1.snapshot.json", hf_bytes_of_text("other"));
    tuf_files_remove(&f->repo.files, "metadata/2.targets.json");
    struct hf_edition *third = checked_and_pruned(load(f), second);
    assert_true(is_served(third, "/metadata/1.targets.json"));   /* by way of the second */
    assert_false(is_served(third, "/metadata/1.snapshot.json")); /* not what was published */
    assert_false(is_served(third, "/metadata/2.targets.json"));  /* no longer on disk */
    assert_true(is_served(third, "/metadata/3.targets.json"));
    hf_edition_unref(first);
    hf_edition_unref(second);
    hf_edition_unref(third);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_repository_is_summarised),
        TEST(the_role_that_expires_first_is_named),
        TEST(each_missing_file_is_named),
        TEST(a_target_with_other_bytes_is_refused),
        TEST(a_target_with_a_second_hash_that_is_wrong_is_refused),
        TEST(an_unsigned_change_is_refused),
        TEST(files_of_two_publications_do_not_make_one),
        TEST(an_expired_repository_is_whole),
        TEST(every_root_up_to_the_newest_is_walked),
        TEST(delegated_roles_and_their_targets_belong_to_it),
        TEST(without_consistent_snapshots_names_are_plain),
        TEST(everything_a_device_would_fetch_stays),
        TEST(what_no_timestamp_named_is_dropped),
        TEST(what_was_served_before_stays_with_the_same_bytes_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
