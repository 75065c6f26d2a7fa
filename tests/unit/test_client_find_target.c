/* tests/support/find_target and client/core/refresh: which role speaks for a path (TUF 5.6.7). */
#include "tests/support/check.h"

#include "client/core/refresh.h"
#include "tests/support/find_target.h"
#include "tests/support/device.h"

#include <stdio.h>
#include <string.h>

#define A "http://a.test/repo/"

/* ---- helpers --------------------------------------------------------------------------------- */

static struct fake_mirror *mirror(struct device *d)
{
    return &d->fake.transport.mirrors[0];
}

static void add(struct tuf_delegated_role *role, const char *path, const char *content)
{
    tuf_targets_add(&role->targets, path, hf_bytes_of_text(content), NULL);
}

static struct tuf_delegated_role *delegate(struct device *d, const char *delegator,
                                           const char *role, const char *pattern)
{
    return tuf_repo_delegate(&d->repo, delegator, role, pattern, false);
}

/* One more delegation to a role that is there already, with the given keys. */
static void delegate_again(struct device *d, const char *delegator, const char *role,
                           const struct tuf_keys *keys)
{
    assert_true(d->repo.n_delegations < TUF_DELEGATED_MAX);
    struct tuf_delegation *by = &d->repo.delegations[d->repo.n_delegations++];
    *by = (struct tuf_delegation){.path_pattern = "*", .keys = *keys};
    snprintf(by->delegator, sizeof by->delegator, "%s", delegator);
    snprintf(by->role, sizeof by->role, "%s", role);
}

/* A new check of a device that runs on, or has just started: metadata up to date, nothing
 * sought. */
static void refresh(struct device *d)
{
    hf_state_load(d->client);
    hf_mirrors_begin_check(d->client);
    CHECK_OK(hf_refresh(d->client, &d->why));
    fake_transport_forget(&d->fake.transport);
    fake_store_forget_writes(&d->fake.store);
}

static void publish_and_refresh(struct device *d)
{
    tuf_repo_publish_next(&d->repo);
    refresh(d);
}

static bool finds(struct device *d, const char *path)
{
    const struct hf_target *target = NULL;
    CHECK_OK(hf_find_target(d->client, path, &target, &d->why));
    return target != NULL;
}

/* The search cannot tell; what was asked for stays unanswered. */
#define CHECK_UNTOLD(d, path, wanted, part)                                                        \
    do {                                                                                           \
        static const struct hf_target untouched;                                                   \
        const struct hf_target *found = &untouched;                                                \
        CHECK_REFUSED(hf_find_target((d)->client, path, &found, &(d)->why), wanted, &(d)->why,     \
                      part);                                                                       \
        assert_ptr_equal(found, &untouched);                                                       \
    } while (0)

/* Exactly these roles were fetched, in this order: "A C D". */
static void check_fetched(struct device *d, const char *roles)
{
    char found[512] = "";
    size_t len = 0;
    for (size_t i = 0; i < d->fake.transport.n_requests; i++) {
        char role[64] = "";
        if (sscanf(d->fake.transport.requests[i], A "metadata/1.%63[^.].json", role) == 1)
            len += (size_t)snprintf(found + len, sizeof found - len, "%s%s", len > 0 ? " " : "",
                                    role);
    }
    assert_string_equal(found, roles);
}

/* ---- order ----------------------------------------------------------------------------------- */

static void test_top_level_is_asked_first(void **state)
{
    struct device *d = *state;
    add(delegate(d, "targets", "A", "*"), "tool", "of A");
    tuf_repo_add_target(&d->repo, "tool", hf_bytes_of_text("of the top level"), NULL);
    publish_and_refresh(d);
    assert_true(finds(d, "tool"));
    assert_int_equal(d->fake.transport.n_requests, 0);
}

static void test_depth_first_in_the_order_of_delegations(void **state)
{
    struct device *d = *state;
    delegate(d, "targets", "A", "*");
    delegate(d, "targets", "B", "*");
    delegate(d, "A", "C", "*");
    delegate(d, "A", "D", "*");
    publish_and_refresh(d);
    assert_false(finds(d, "tool"));
    check_fetched(d, "A C D B");
}

static void test_first_role_that_lists_it_wins(void **state)
{
    struct device *d = *state;
    const struct hf_target *target = NULL;
    add(delegate(d, "targets", "A", "*"), "tool", "four");
    add(delegate(d, "targets", "B", "*"), "tool", "eleven byte");
    publish_and_refresh(d);
    CHECK_OK(hf_find_target(d->client, "tool", &target, &d->why));
    assert_int_equal(target->info.length, 4);
    check_fetched(d, "A");
}

static void test_role_without_a_say_is_not_asked(void **state)
{
    struct device *d = *state;
    add(delegate(d, "targets", "A", "docs/*"), "tool", "of A");
    delegate(d, "targets", "B", "*");
    publish_and_refresh(d);
    assert_false(finds(d, "tool"));
    check_fetched(d, "B");
}

static void test_terminating_delegation_ends_the_search(void **state)
{
    struct device *d = *state;
    delegate(d, "targets", "A", "*");
    add(delegate(d, "targets", "B", "*"), "tool", "of B");
    tuf_repo_delegate(&d->repo, "A", "C", "*", true);
    add(delegate(d, "A", "D", "*"), "tool", "of D");
    delegate(d, "C", "E", "*"); /* below it the search goes on */
    publish_and_refresh(d);
    assert_false(finds(d, "tool"));
    check_fetched(d, "A C E");
}

static void test_terminating_delegation_may_list_it_itself(void **state)
{
    struct device *d = *state;
    add(tuf_repo_delegate(&d->repo, "targets", "A", "*", true), "tool", "of A");
    publish_and_refresh(d);
    assert_true(finds(d, "tool"));
}

static void test_terminating_delegation_of_other_paths_ends_nothing(void **state)
{
    struct device *d = *state;
    tuf_repo_delegate(&d->repo, "targets", "A", "docs/*", true);
    add(delegate(d, "targets", "B", "*"), "tool", "of B");
    publish_and_refresh(d);
    assert_true(finds(d, "tool"));
    check_fetched(d, "B");
}

static void test_cycle_ends(void **state)
{
    struct device *d = *state;
    struct tuf_delegated_role *b = delegate(d, "targets", "B", "*");
    delegate(d, "B", "C", "*");
    delegate(d, "C", "D", "*");
    delegate_again(d, "D", "B", &b->role.keys);
    publish_and_refresh(d);
    assert_false(finds(d, "tool"));
    check_fetched(d, "B C D");
}

/* ---- hash prefixes --------------------------------------------------------------------------- */

static void delegate_by_prefix(void *ctx, const char *role, json_t *signed_part)
{
    const char *const *prefixes = ctx;
    json_t *roles = json_object_get(json_object_get(signed_part, "delegations"), "roles");
    if (strcmp(role, "targets") != 0)
        return;
    for (size_t i = 0; i < json_array_size(roles); i++) {
        json_t *delegation = json_array_get(roles, i);
        json_object_del(delegation, "paths");
        json_object_set_new(delegation, "path_hash_prefixes", json_pack("[s]", prefixes[i]));
    }
}

static void test_hash_prefix_names_the_bin(void **state)
{
    struct device *d = *state;
    char hash[HF_SHA256_HEX_LEN], other[3], ours[3];
    const char *prefixes[] = {other, ours};

    hf_sha256_hex(hf_bytes_of_text("tool"), hash);
    snprintf(ours, sizeof ours, "%.2s", hash);
    snprintf(other, sizeof other, "%.2s", strcmp(ours, "00") == 0 ? "01" : "00");
    d->repo.before_signing = delegate_by_prefix;
    d->repo.hook_ctx = prefixes;
    add(delegate(d, "targets", "bin-0", "*"), "tool", "in the wrong bin");
    add(delegate(d, "targets", "bin-1", "*"), "tool", "of its bin");
    publish_and_refresh(d);
    assert_true(finds(d, "tool"));
    check_fetched(d, "bin-1");
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void test_search_is_bounded(void **state)
{
    struct device *d = *state;
    struct tuf_delegated_role *last = NULL;
    char name[24];
    for (int i = 1; i < HF_DELEGATIONS_VISITED_MAX; i++) { /* the top level is one */
        snprintf(name, sizeof name, "role-%d", i);
        last = delegate(d, "targets", name, "*");
    }
    add(last, "tool", "in the last one");
    publish_and_refresh(d);
    assert_true(finds(d, "tool"));
    assert_false(finds(d, "nothing"));

    add(delegate(d, "targets", "one-too-many", "*"), "nothing", "");
    publish_and_refresh(d);
    CHECK_UNTOLD(d, "nothing", HF_E_LIMIT, "more than 32 roles may speak for nothing");
    assert_int_equal(fake_transport_count(&d->fake.transport, "one-too-many"), 0);
}

static void test_chain_is_bounded(void **state)
{
    struct device *d = *state;
    char above[24] = "targets", name[24];
    for (int i = 1; i <= HF_DELEGATIONS_VISITED_MAX; i++) {
        snprintf(name, sizeof name, "role-%d", i);
        delegate(d, above, name, "*");
        memcpy(above, name, sizeof above);
    }
    publish_and_refresh(d);
    CHECK_UNTOLD(d, "tool", HF_E_LIMIT, "more than 32 roles");
}

static void test_nothing_is_found_before_a_refresh(void **state)
{
    struct device *d = *state;
    CHECK_UNTOLD(d, "tool", HF_E_STATE, "after a refresh");
}

/* ---- a role that cannot be had --------------------------------------------------------------- */

/* Two roles may speak; the first is damaged by the caller. The second must not gain by that. */
static struct tuf_delegated_role *publish_two(struct device *d)
{
    struct tuf_delegated_role *a = delegate(d, "targets", "A", "*");
    add(delegate(d, "targets", "B", "*"), "tool", "of B");
    tuf_repo_publish_next(&d->repo);
    return a;
}

static void test_missing_role_ends_the_search(void **state)
{
    struct device *d = *state;
    publish_two(d);
    fake_mirror_answer(mirror(d), "metadata/1.A.json", 404, NULL);
    refresh(d);
    CHECK_UNTOLD(d, "tool", HF_E_NOT_FOUND,
                 "the role A, delegated to by targets: " A "metadata/1.A.json");
    assert_null(fake_store_metadata(&d->fake.store, "A").data);
    check_fetched(d, "A");
}

static void forget_role_in_snapshot(void *ctx, const char *role, json_t *signed_part)
{
    (void)ctx;
    if (strcmp(role, "snapshot") == 0)
        json_object_del(json_object_get(signed_part, "meta"), "A.json");
}

static void test_role_that_snapshot_does_not_list(void **state)
{
    struct device *d = *state;
    d->repo.before_signing = forget_role_in_snapshot;
    publish_two(d);
    refresh(d);
    CHECK_UNTOLD(d, "tool", HF_E_NOT_FOUND, "does not list A.json");
    assert_int_equal(d->fake.transport.n_requests, 0);
}

static void test_expired_role(void **state)
{
    struct device *d = *state;
    publish_two(d)->role.expires_s = DEVICE_NOW_S;
    publish_and_refresh(d);
    CHECK_UNTOLD(d, "tool", HF_E_EXPIRED, "A version 1 expired");
    assert_null(fake_store_metadata(&d->fake.store, "A").data);
}

static void test_role_of_another_version(void **state)
{
    struct device *d = *state;
    struct hf_buf newer = {0};
    struct tuf_delegated_role *a = publish_two(d);
    d->repo.has_lengths = false;
    publish_and_refresh(d);
    a->role.version = 2;
    tuf_repo_build_delegated(&d->repo, a, &newer);
    fake_mirror_answer_bytes(mirror(d), "metadata/1.A.json", 200, hf_buf_bytes(&newer));
    hf_buf_free(&newer);
    CHECK_UNTOLD(d, "tool", HF_E_ROLLBACK, "version 1 of A, found version 2");
    assert_null(fake_store_metadata(&d->fake.store, "A").data);
}

static void test_role_broken_at_one_mirror_is_taken_from_another(void **state)
{
    struct device *d = *state;
    device_add_mirror(d, "http://b.test", NULL);
    device_reboot(d);
    publish_two(d);
    fake_mirror_answer(mirror(d), "metadata/1.A.json", 200, "{}");
    refresh(d);
    assert_true(finds(d, "tool"));
    assert_int_equal(fake_transport_count(&d->fake.transport, "http://b.test/metadata/1.A.json"),
                     1);
}

/* ---- what is cached -------------------------------------------------------------------------- */

static void test_cached_role_is_not_fetched_again(void **state)
{
    struct device *d = *state;
    add(delegate(d, "targets", "A", "*"), "tool", "of A");
    publish_and_refresh(d);
    assert_true(finds(d, "tool"));
    assert_true(finds(d, "tool"));
    check_fetched(d, "A");
    device_reboot(d);
    refresh(d);
    assert_true(finds(d, "tool"));
    check_fetched(d, "");
    assert_int_equal(d->fake.store.writes.n, 0);
}

static void test_cached_role_damaged_on_disk_is_fetched_again(void **state)
{
    struct device *d = *state;
    add(delegate(d, "targets", "A", "*"), "tool", "of A");
    publish_and_refresh(d);
    assert_true(finds(d, "tool"));
    fake_store_put_metadata(&d->fake.store, "A", hf_bytes_of_text("{}"));
    refresh(d);
    assert_true(finds(d, "tool"));
    check_fetched(d, "A");
}

static void test_cached_role_under_a_rotated_key_is_refused(void **state)
{
    struct device *d = *state;
    struct tuf_delegated_role *a = delegate(d, "targets", "A", "*");
    add(a, "tool", "of A");
    publish_and_refresh(d);
    assert_true(finds(d, "tool"));

    /* The delegator names another key; the role is not signed by it yet. */
    tuf_keys_make(&d->repo.delegations[0].keys, 1, 1);
    publish_and_refresh(d);
    device_remember(d);
    CHECK_UNTOLD(d, "tool", HF_E_SIGNATURE, "A is signed by 0 of the keys of role A");
    assert_true(fake_state_same_metadata(&d->before, &d->fake.store.state, "A"));
    check_fetched(d, "A");

    a->role.keys = d->repo.delegations[0].keys;
    publish_and_refresh(d);
    assert_true(finds(d, "tool"));
}

/* ---- one role, two delegators ---------------------------------------------------------------- */

/* parent-a and parent-b both delegate to release, each for its own paths and with a key of its
 * own. */
static void make_diamond(struct device *d, const struct tuf_keys *keys_of_b)
{
    delegate(d, "targets", "parent-a", "team-a/*");
    delegate(d, "targets", "parent-b", "team-b/*");
    struct tuf_delegated_role *release = delegate(d, "parent-a", "release", "team-a/*");
    add(release, "team-a/tool", "good");
    add(release, "team-b/tool", "smuggled");
    delegate_again(d, "parent-b", "release", keys_of_b);
    snprintf(d->repo.delegations[d->repo.n_delegations - 1].path_pattern, 128, "team-b/*");
}

static void test_role_verified_under_one_delegator_says_nothing_under_another(void **state)
{
    struct device *d = *state;
    struct tuf_keys other;
    tuf_keys_make(&other, 1, 1);
    make_diamond(d, &other);
    publish_and_refresh(d);
    assert_true(finds(d, "team-a/tool"));
    device_remember(d);
    CHECK_UNTOLD(d, "team-b/tool", HF_E_SIGNATURE, "the role release, delegated to by parent-b");
    assert_true(fake_state_same_metadata(&d->before, &d->fake.store.state, "release"));

    device_reboot(d); /* and the cached one says nothing either */
    refresh(d);
    CHECK_UNTOLD(d, "team-b/tool", HF_E_SIGNATURE, "the role release, delegated to by parent-b");
    assert_true(finds(d, "team-a/tool"));
}

static void test_role_signed_for_both_delegators_is_fetched_once(void **state)
{
    struct device *d = *state;
    struct tuf_keys both;
    tuf_keys_make(&both, 1, 1);
    make_diamond(d, &both);
    d->repo.delegated[2].role.keys.keys[1] = both.keys[0];
    d->repo.delegated[2].role.keys.n_keys = d->repo.delegated[2].role.keys.n_signers = 2;
    publish_and_refresh(d);
    assert_true(finds(d, "team-a/tool"));
    assert_true(finds(d, "team-b/tool"));
    check_fetched(d, "parent-a release parent-b");
}

static void test_role_reached_again_in_one_search_is_not_asked_again(void **state)
{
    struct device *d = *state;
    delegate(d, "targets", "A", "*");
    delegate(d, "targets", "B", "*");
    struct tuf_delegated_role *c = delegate(d, "A", "C", "*");
    delegate_again(d, "B", "C", &c->role.keys);
    publish_and_refresh(d);
    assert_false(finds(d, "tool"));
    check_fetched(d, "A C B");
}

/* ---- names ----------------------------------------------------------------------------------- */

static void test_odd_role_names_are_one_segment_of_the_path(void **state)
{
    struct device *d = *state;
    static const struct {
        const char *role, *path;
    } names[] = {
        {"?", "metadata/1.%3F.json"},
        {"#", "metadata/1.%23.json"},
        {"/role", "metadata/1.%2Frole.json"},
        {"../role", "metadata/1...%2Frole.json"},
        {"..", "metadata/1....json"},
        {"50% of a\\b", "metadata/1.50%25%20of%20a%5Cb.json"},
        {"\xc3\xa9-role", "metadata/1.%C3%A9-role.json"},
        {"A-z.0_9~", "metadata/1.A-z.0_9~.json"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct hf_buf file = {0};
        struct tuf_delegated_role *role = delegate(d, "targets", names[i].role, names[i].role);
        snprintf(d->repo.delegations[i].path_pattern, 128, "in-%zu", i);
        snprintf(role->name, sizeof role->name, "%s", names[i].role);
        char target[32];
        snprintf(target, sizeof target, "in-%zu", i);
        add(role, target, "content");
        publish_and_refresh(d);
        tuf_repo_build_delegated(&d->repo, role, &file);
        tuf_files_put(&d->repo.files, names[i].path, hf_buf_bytes(&file));
        assert_true(finds(d, target));
        assert_true(hf_bytes_equal(fake_store_metadata(&d->fake.store, names[i].role),
                                   hf_buf_bytes(&file)));
        assert_int_equal(fake_transport_count(&d->fake.transport, names[i].path), 1);
        hf_buf_free(&file);
    }
}

static void test_without_consistent_snapshots_names_have_no_version(void **state)
{
    struct device *d = *state;
    d->repo.consistent_snapshot = false;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    add(delegate(d, "targets", "A", "*"), "tool", "of A");
    publish_and_refresh(d);
    assert_true(finds(d, "tool"));
    assert_string_equal(d->fake.transport.requests[0], A "metadata/A.json");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_setup, device_teardown)

/* ---- patterns -------------------------------------------------------------------------------- */

static bool covers(const char *key, const char *pattern, const char *path)
{
    json_t *list = json_pack("[s]", pattern);
    struct hf_delegation d = {0};
    if (strcmp(key, "paths") == 0)
        d.paths = list;
    else
        d.path_hash_prefixes = list;
    bool result = hf_delegation_covers(&d, path);
    json_decref(list);
    return result;
}

static void test_patterns_match_part_by_part(void **state)
{
    (void)state;
    assert_true(covers("paths", "a/*.pem", "a/1.pem"));
    assert_true(covers("paths", "a/?.pem", "a/1.pem"));
    assert_true(covers("paths", "*/*", "a/1.pem"));
    assert_false(covers("paths", "*", "a/1.pem"));
    assert_false(covers("paths", "a/*.pem", "a/b/1.pem"));
    assert_false(covers("paths", "a/*.pem", "b/1.pem"));
    assert_false(covers("paths", "", "a"));
    /* printf 'a/1.pem' | sha256sum */
    assert_true(covers("prefixes", "", "a/1.pem"));
    char hash[HF_SHA256_HEX_LEN];
    hf_sha256_hex(hf_bytes_of_text("a/1.pem"), hash);
    assert_true(covers("prefixes", hash, "a/1.pem"));
    hash[4] = '\0';
    assert_true(covers("prefixes", hash, "a/1.pem"));
    hash[3] = hash[3] == '0' ? '1' : '0';
    assert_false(covers("prefixes", hash, "a/1.pem"));
    assert_false(hf_delegation_covers(&(struct hf_delegation){0}, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_top_level_is_asked_first),
        TEST(test_depth_first_in_the_order_of_delegations),
        TEST(test_first_role_that_lists_it_wins),
        TEST(test_role_without_a_say_is_not_asked),
        TEST(test_terminating_delegation_ends_the_search),
        TEST(test_terminating_delegation_may_list_it_itself),
        TEST(test_terminating_delegation_of_other_paths_ends_nothing),
        TEST(test_cycle_ends),
        TEST(test_hash_prefix_names_the_bin),
        TEST(test_search_is_bounded),
        TEST(test_chain_is_bounded),
        TEST(test_nothing_is_found_before_a_refresh),
        TEST(test_missing_role_ends_the_search),
        TEST(test_role_that_snapshot_does_not_list),
        TEST(test_expired_role),
        TEST(test_role_of_another_version),
        TEST(test_role_broken_at_one_mirror_is_taken_from_another),
        TEST(test_cached_role_is_not_fetched_again),
        TEST(test_cached_role_damaged_on_disk_is_fetched_again),
        TEST(test_cached_role_under_a_rotated_key_is_refused),
        TEST(test_role_verified_under_one_delegator_says_nothing_under_another),
        TEST(test_role_signed_for_both_delegators_is_fetched_once),
        TEST(test_role_reached_again_in_one_search_is_not_asked_again),
        TEST(test_odd_role_names_are_one_segment_of_the_path),
        TEST(test_without_consistent_snapshots_names_have_no_version),
        cmocka_unit_test(test_patterns_match_part_by_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
