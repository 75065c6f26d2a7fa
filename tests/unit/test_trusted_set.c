/* common/tuf/trusted_set: the client workflow of TUF section 5, clause by clause. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "common/tuf/trusted_set.h"
#include "tests/support/tuf_repo.h"

#include <stdlib.h>

#define NOW_S INT64_C(1900000000)
#define YEAR_S (365 * HF_DAY_S)

/* A repository, and the set of a device that holds its first root. */
struct fixture {
    struct tuf_repo repo;
    struct hf_trusted_set set;
    struct hf_why why;
};

static struct hf_bytes file(struct fixture *f, const char *path)
{
    struct hf_bytes bytes = tuf_files_find(&f->repo.files, path);
    if (bytes.data == NULL)
        fail_msg("the repository has no %s", path);
    return bytes;
}

static struct hf_bytes role_file(struct fixture *f, enum hf_top_role role)
{
    char path[128];
    tuf_repo_role_path(&f->repo, role, path);
    return file(f, path);
}

static int make(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    tuf_repo_init(&f->repo, NOW_S);
    f->repo.has_hashes = true;
    tuf_repo_add_target(&f->repo, "set/full/1.pem", hf_bytes_of_text("one"), NULL);
    tuf_repo_publish_root(&f->repo);
    tuf_repo_publish(&f->repo);
    CHECK_OK(hf_trusted_set_init(&f->set, file(f, "metadata/1.root.json"), NOW_S, &f->why));
    *state = f;
    return 0;
}

static int drop(void **state)
{
    struct fixture *f = *state;
    hf_trusted_set_free(&f->set);
    tuf_repo_free(&f->repo);
    free(f);
    return 0;
}

static enum hf_err timestamp(struct fixture *f, enum hf_origin origin)
{
    return hf_trusted_set_update_timestamp(&f->set, role_file(f, HF_ROLE_TIMESTAMP), origin,
                                           &f->why);
}

static enum hf_err snapshot(struct fixture *f, enum hf_origin origin)
{
    return hf_trusted_set_update_snapshot(&f->set, role_file(f, HF_ROLE_SNAPSHOT), origin, &f->why);
}

static enum hf_err targets(struct fixture *f)
{
    return hf_trusted_set_update_targets(&f->set, role_file(f, HF_ROLE_TARGETS), "targets", NULL,
                                         &f->why);
}

static void take_timestamp(struct fixture *f)
{
    CHECK_OK(hf_trusted_set_end_roots(&f->set, &f->why));
    CHECK_OK(timestamp(f, HF_FETCHED));
}

static void take_snapshot(struct fixture *f)
{
    take_timestamp(f);
    CHECK_OK(snapshot(f, HF_FETCHED));
}

static void the_whole_workflow_ends_in_trusted_targets(void **state)
{
    struct fixture *f = *state;
    take_snapshot(f);
    CHECK_OK(targets(f));
    const struct hf_targets *t = hf_trusted_set_top_targets(&f->set);
    assert_non_null(t);
    assert_non_null(hf_targets_find(t, "set/full/1.pem"));
    assert_null(hf_targets_find(t, "set/full/2.pem"));
    assert_int_equal(hf_trusted_set_signed_at(&f->set), NOW_S);
    assert_null(hf_trusted_set_find_targets(&f->set, "unknown", NULL));
}

static void steps_out_of_order_are_refused(void **state)
{
    struct fixture *f = *state;
    struct hf_bytes root = file(f, "metadata/1.root.json");
    CHECK_REFUSED(timestamp(f, HF_FETCHED), HF_E_STATE, &f->why, "after root");
    CHECK_REFUSED(snapshot(f, HF_FETCHED), HF_E_STATE, &f->why, "after timestamp");
    CHECK_REFUSED(targets(f), HF_E_STATE, &f->why, "no trusted snapshot");
    take_snapshot(f);
    CHECK_REFUSED(hf_trusted_set_update_root(&f->set, root, &f->why), HF_E_STATE, &f->why,
                  "before any other role");
    CHECK_REFUSED(timestamp(f, HF_FETCHED), HF_E_STATE, &f->why, "before snapshot");
    CHECK_OK(targets(f));
    CHECK_REFUSED(snapshot(f, HF_FETCHED), HF_E_STATE, &f->why, "before targets");
    CHECK_REFUSED(hf_trusted_set_update_targets(&f->set, role_file(f, HF_ROLE_TARGETS), "other",
                                                NULL, &f->why),
                  HF_E_NOT_FOUND, &f->why, "does not list other.json");
}

/* ---- root ------------------------------------------------------------------------------------ */

static void an_initial_root_must_be_signed_by_its_own_threshold(void **state)
{
    struct fixture *f = *state;
    struct hf_trusted_set set = {0};
    struct hf_buf root = {0};
    f->repo.roles[HF_ROLE_ROOT].keys.n_signers = 0;
    tuf_repo_build_root(&f->repo, &root);
    CHECK_REFUSED(hf_trusted_set_init(&set, hf_buf_bytes(&root), NOW_S, &f->why), HF_E_SIGNATURE,
                  &f->why, "signed by 0 of the keys of role root");
    assert_null(set.root);
    hf_buf_free(&root);
}

static void an_initial_root_may_have_expired(void **state)
{
    struct fixture *f = *state;
    struct hf_trusted_set set;
    CHECK_OK(
        hf_trusted_set_init(&set, file(f, "metadata/1.root.json"), NOW_S + 5 * YEAR_S, &f->why));
    CHECK_REFUSED(hf_trusted_set_end_roots(&set, &f->why), HF_E_EXPIRED, &f->why, "TUF 5.3.10");
    hf_trusted_set_free(&set);
}

static enum hf_err offer_root(struct fixture *f)
{
    struct hf_buf root = {0};
    tuf_repo_build_root(&f->repo, &root);
    enum hf_err err = hf_trusted_set_update_root(&f->set, hf_buf_bytes(&root), &f->why);
    hf_buf_free(&root);
    return err;
}

static void root_keys_rotate_when_old_and_new_sign(void **state)
{
    struct fixture *f = *state;
    for (int64_t version = 2; version <= 16; version++) {
        tuf_repo_rotate(&f->repo, HF_ROLE_ROOT);
        CHECK_OK(hf_trusted_set_update_root(&f->set, role_file(f, HF_ROLE_ROOT), &f->why));
        assert_int_equal(f->set.root->env.version, version);
    }
    CHECK_OK(hf_trusted_set_end_roots(&f->set, &f->why));
}

static void an_expired_intermediate_root_does_not_stop_the_walk(void **state)
{
    struct fixture *f = *state;
    f->repo.roles[HF_ROLE_ROOT].expires_s = NOW_S - 1;
    f->repo.roles[HF_ROLE_ROOT].version = 2;
    CHECK_OK(offer_root(f));
    f->repo.roles[HF_ROLE_ROOT].expires_s = NOW_S + 1;
    f->repo.roles[HF_ROLE_ROOT].version = 3;
    CHECK_OK(offer_root(f));
    CHECK_OK(hf_trusted_set_end_roots(&f->set, &f->why));
}

static void a_root_that_the_old_keys_did_not_sign_is_refused(void **state)
{
    struct fixture *f = *state;
    tuf_keys_make(&f->repo.roles[HF_ROLE_ROOT].keys, 1, 1);
    f->repo.roles[HF_ROLE_ROOT].version = 2;
    CHECK_REFUSED(offer_root(f), HF_E_SIGNATURE, &f->why, "root version 2 is signed by 0");
    assert_int_equal(f->set.root->env.version, 1);
}

static void a_root_that_its_own_keys_did_not_sign_is_refused(void **state)
{
    struct fixture *f = *state;
    f->repo.root_keys_before = f->repo.roles[HF_ROLE_ROOT].keys;
    tuf_keys_make(&f->repo.roles[HF_ROLE_ROOT].keys, 2, 2);
    f->repo.roles[HF_ROLE_ROOT].keys.n_signers = 1;
    f->repo.roles[HF_ROLE_ROOT].version = 2;
    CHECK_REFUSED(offer_root(f), HF_E_SIGNATURE, &f->why,
                  "by 1 of the keys of role root, its threshold is 2");
    assert_int_equal(f->set.root->env.version, 1);
}

static void a_root_of_another_version_than_the_next_is_refused(void **state)
{
    struct fixture *f = *state;
    static const int64_t versions[] = {1, 3, 1000000};
    for (size_t i = 0; i < 3; i++) {
        f->repo.roles[HF_ROLE_ROOT].version = versions[i];
        CHECK_REFUSED(offer_root(f), HF_E_ROLLBACK, &f->why, "expected root version 2");
        assert_int_equal(f->set.root->env.version, 1);
    }
}

static void a_root_that_expires_this_second_has_expired(void **state)
{
    struct fixture *f = *state;
    f->repo.roles[HF_ROLE_ROOT].expires_s = NOW_S;
    f->repo.roles[HF_ROLE_ROOT].version = 2;
    CHECK_OK(offer_root(f));
    CHECK_REFUSED(hf_trusted_set_end_roots(&f->set, &f->why), HF_E_EXPIRED, &f->why,
                  "root version 2");
    CHECK_REFUSED(timestamp(f, HF_FETCHED), HF_E_STATE, &f->why, "after root");
}

/* ---- timestamp ------------------------------------------------------------------------------- */

static void a_timestamp_signed_by_another_role_is_refused(void **state)
{
    struct fixture *f = *state;
    f->repo.roles[HF_ROLE_TIMESTAMP].keys = f->repo.roles[HF_ROLE_SNAPSHOT].keys;
    tuf_repo_publish(&f->repo);
    CHECK_OK(hf_trusted_set_end_roots(&f->set, &f->why));
    CHECK_REFUSED(timestamp(f, HF_FETCHED), HF_E_SIGNATURE, &f->why, "role timestamp");
    assert_null(f->set.timestamp);
}

static void an_equal_timestamp_is_no_news_and_an_older_one_is_refused(void **state)
{
    struct fixture *f = *state;
    take_timestamp(f);
    CHECK_REFUSED(timestamp(f, HF_FETCHED), HF_E_SAME_VERSION, &f->why, "trusted already");
    tuf_repo_publish_next(&f->repo);
    CHECK_OK(timestamp(f, HF_FETCHED));
    f->repo.roles[HF_ROLE_TIMESTAMP].version = 1;
    tuf_repo_publish(&f->repo);
    CHECK_REFUSED(timestamp(f, HF_FETCHED), HF_E_ROLLBACK, &f->why, "is older than version 2");
    assert_int_equal(f->set.timestamp->env.version, 2);
}

static void a_timestamp_naming_an_older_snapshot_is_refused(void **state)
{
    struct fixture *f = *state;
    f->repo.roles[HF_ROLE_SNAPSHOT].version = 5;
    tuf_repo_publish(&f->repo);
    take_timestamp(f);
    f->repo.roles[HF_ROLE_SNAPSHOT].version = 4;
    f->repo.roles[HF_ROLE_TIMESTAMP].version = 2;
    tuf_repo_publish(&f->repo);
    CHECK_REFUSED(timestamp(f, HF_FETCHED), HF_E_ROLLBACK, &f->why, "names snapshot version 4");
    assert_int_equal(f->set.timestamp->env.version, 1);
}

static void an_expired_timestamp_is_discarded_when_fetched_and_a_floor_when_cached(void **state)
{
    struct fixture *f = *state;
    f->repo.roles[HF_ROLE_TIMESTAMP].expires_s = NOW_S;
    f->repo.roles[HF_ROLE_TIMESTAMP].version = 7;
    tuf_repo_publish(&f->repo);
    CHECK_OK(hf_trusted_set_end_roots(&f->set, &f->why));
    CHECK_REFUSED(timestamp(f, HF_FETCHED), HF_E_EXPIRED, &f->why, "TUF 5.4.4");
    assert_null(f->set.timestamp);
    CHECK_REFUSED(timestamp(f, HF_CACHED), HF_E_EXPIRED, &f->why, "TUF 5.4.4");
    assert_int_equal(f->set.timestamp->env.version, 7);
    CHECK_REFUSED(snapshot(f, HF_FETCHED), HF_E_EXPIRED, &f->why, "timestamp version 7 expired");

    f->repo.roles[HF_ROLE_TIMESTAMP].version = 6;
    f->repo.roles[HF_ROLE_TIMESTAMP].expires_s = NOW_S + 1;
    tuf_repo_publish(&f->repo);
    CHECK_REFUSED(timestamp(f, HF_FETCHED), HF_E_ROLLBACK, &f->why, "older than version 7");
    f->repo.roles[HF_ROLE_TIMESTAMP].version = 8;
    tuf_repo_publish(&f->repo);
    CHECK_OK(timestamp(f, HF_FETCHED));
}

/* ---- snapshot -------------------------------------------------------------------------------- */

static void a_snapshot_that_timestamp_does_not_announce_is_refused(void **state)
{
    struct fixture *f = *state;
    struct hf_buf other = {0};
    take_timestamp(f);
    /* the same version, other bytes: mix and match */
    f->repo.roles[HF_ROLE_SNAPSHOT].expires_s += 1;
    tuf_repo_build_snapshot(&f->repo, &other);
    CHECK_REFUSED(hf_trusted_set_update_snapshot(&f->set, hf_buf_bytes(&other), HF_FETCHED,
                                                 &f->why),
                  HF_E_HASH, &f->why, "does not have a hash that the signed metadata announces");
    assert_null(f->set.snapshot);
    hf_buf_free(&other);
}

static void a_snapshot_of_another_version_is_refused_where_no_hash_is_given(void **state)
{
    struct fixture *f = *state;
    struct hf_buf other = {0};
    f->repo.has_hashes = false;
    f->repo.has_lengths = false;
    tuf_repo_publish(&f->repo);
    take_timestamp(f);
    f->repo.roles[HF_ROLE_SNAPSHOT].version = 2;
    tuf_repo_build_snapshot(&f->repo, &other);
    CHECK_REFUSED(hf_trusted_set_update_snapshot(&f->set, hf_buf_bytes(&other), HF_FETCHED,
                                                 &f->why),
                  HF_E_ROLLBACK, &f->why, "names snapshot version 1, found version 2");
    assert_null(f->set.snapshot);
    hf_buf_free(&other);
}

static void a_cached_snapshot_of_before_is_a_floor_only(void **state)
{
    struct fixture *f = *state;
    struct hf_buf before = {0};
    struct hf_bytes old = role_file(f, HF_ROLE_SNAPSHOT);
    CHECK_OK(hf_buf_append(&before, old.data, old.len));
    f->repo.roles[HF_ROLE_TARGETS].version = 4;
    tuf_repo_publish_next(&f->repo); /* targets 5, snapshot 2 */
    take_timestamp(f);
    CHECK_REFUSED(hf_trusted_set_update_snapshot(&f->set, hf_buf_bytes(&before), HF_CACHED,
                                                 &f->why),
                  HF_E_ROLLBACK, &f->why, "TUF 5.5.4");
    CHECK_REFUSED(hf_trusted_set_snapshot_is_final(&f->set, &f->why), HF_E_ROLLBACK, &f->why,
                  "is not the one that timestamp names");
    CHECK_REFUSED(targets(f), HF_E_ROLLBACK, &f->why, "is not the one that timestamp names");
    CHECK_OK(snapshot(f, HF_FETCHED));
    CHECK_OK(targets(f));
    hf_buf_free(&before);
}

/* The floor is a cached snapshot; the hostile one is genuine in every other respect. */
static void a_snapshot_that_takes_targets_back_is_refused(void **state)
{
    struct fixture *f = *state;
    f->repo.roles[HF_ROLE_TARGETS].version = 4;
    tuf_repo_publish_next(&f->repo); /* snapshot 2, targets 5 */
    f->repo.roles[HF_ROLE_TARGETS].version = 3;
    tuf_repo_publish_next(&f->repo); /* snapshot 3, targets 4 */
    take_timestamp(f);
    struct hf_bytes floor = file(f, "metadata/2.snapshot.json");
    CHECK_REFUSED(hf_trusted_set_update_snapshot(&f->set, floor, HF_CACHED, &f->why), HF_E_ROLLBACK,
                  &f->why, "TUF 5.5.4");
    CHECK_REFUSED(snapshot(f, HF_FETCHED), HF_E_ROLLBACK, &f->why, "version 4 of targets.json");
    assert_int_equal(f->set.snapshot->env.version, 2);
    CHECK_REFUSED(targets(f), HF_E_ROLLBACK, &f->why, "is not the one that timestamp names");
}

static void forget_extra(void *ctx, const char *role, json_t *signed_part)
{
    (void)ctx;
    if (strcmp(role, "snapshot") == 0)
        json_object_del(json_object_get(signed_part, "meta"), "extra.json");
}

static void a_snapshot_that_forgets_a_role_is_refused(void **state)
{
    struct fixture *f = *state;
    tuf_repo_delegate(&f->repo, "targets", "extra", "*", false);
    tuf_repo_publish_next(&f->repo);
    f->repo.before_signing = forget_extra;
    tuf_repo_publish_next(&f->repo);
    take_timestamp(f);
    assert_int_equal(hf_trusted_set_update_snapshot(&f->set, file(f, "metadata/2.snapshot.json"),
                                                    HF_CACHED, &f->why),
                     HF_E_ROLLBACK);
    CHECK_REFUSED(snapshot(f, HF_FETCHED), HF_E_ROLLBACK, &f->why, "no longer lists extra.json");
}

static void an_expired_snapshot_is_discarded_when_fetched(void **state)
{
    struct fixture *f = *state;
    f->repo.roles[HF_ROLE_SNAPSHOT].expires_s = NOW_S - 1;
    tuf_repo_publish(&f->repo);
    take_timestamp(f);
    CHECK_REFUSED(snapshot(f, HF_FETCHED), HF_E_EXPIRED, &f->why, "TUF 5.5.6");
    assert_null(f->set.snapshot);
    CHECK_REFUSED(snapshot(f, HF_CACHED), HF_E_EXPIRED, &f->why, "TUF 5.5.6");
    assert_non_null(f->set.snapshot);
    CHECK_REFUSED(targets(f), HF_E_EXPIRED, &f->why, "TUF 5.5.6");
}

/* Fast-forward and recovery, 5.3.11: whichever of the two keys was rotated, neither cached file
 * counts, so that versions may fall again. */
static void check_recovery(struct fixture *f, enum hf_top_role rotated)
{
    struct hf_buf timestamp_before = {0};
    struct hf_buf snapshot_before = {0};
    f->repo.roles[HF_ROLE_TIMESTAMP].version = 1000;
    f->repo.roles[HF_ROLE_SNAPSHOT].version = 1000;
    tuf_repo_build_timestamp(&f->repo, &timestamp_before);
    tuf_repo_build_snapshot(&f->repo, &snapshot_before);
    f->repo.roles[HF_ROLE_TIMESTAMP].version = 2;
    f->repo.roles[HF_ROLE_SNAPSHOT].version = 2;
    tuf_repo_rotate(&f->repo, rotated);
    tuf_repo_publish(&f->repo);
    CHECK_OK(hf_trusted_set_update_root(&f->set, role_file(f, HF_ROLE_ROOT), &f->why));
    assert_true(f->set.online_keys_rotated);
    CHECK_OK(hf_trusted_set_end_roots(&f->set, &f->why));
    CHECK_REFUSED(hf_trusted_set_update_timestamp(&f->set, hf_buf_bytes(&timestamp_before),
                                                  HF_CACHED, &f->why),
                  HF_E_STATE, &f->why, "TUF 5.3.11");
    assert_null(f->set.timestamp);
    CHECK_OK(timestamp(f, HF_FETCHED));
    CHECK_REFUSED(hf_trusted_set_update_snapshot(&f->set, hf_buf_bytes(&snapshot_before), HF_CACHED,
                                                 &f->why),
                  HF_E_STATE, &f->why, "TUF 5.3.11");
    assert_null(f->set.snapshot);
    CHECK_OK(snapshot(f, HF_FETCHED));
    CHECK_OK(targets(f));
    hf_buf_free(&timestamp_before);
    hf_buf_free(&snapshot_before);
}

static void rotating_the_timestamp_key_lets_versions_fall(void **state)
{
    check_recovery(*state, HF_ROLE_TIMESTAMP);
}

static void rotating_the_snapshot_key_lets_versions_fall(void **state)
{
    check_recovery(*state, HF_ROLE_SNAPSHOT);
}

static void rotating_other_keys_keeps_the_floor(void **state)
{
    struct fixture *f = *state;
    tuf_repo_rotate(&f->repo, HF_ROLE_TARGETS);
    CHECK_OK(hf_trusted_set_update_root(&f->set, role_file(f, HF_ROLE_ROOT), &f->why));
    tuf_repo_rotate(&f->repo, HF_ROLE_ROOT);
    CHECK_OK(hf_trusted_set_update_root(&f->set, role_file(f, HF_ROLE_ROOT), &f->why));
    assert_false(f->set.online_keys_rotated);
    CHECK_OK(hf_trusted_set_end_roots(&f->set, &f->why));
    CHECK_OK(timestamp(f, HF_CACHED));
}

static void a_cached_snapshot_comes_before_a_fetched_one(void **state)
{
    struct fixture *f = *state;
    take_snapshot(f);
    CHECK_REFUSED(snapshot(f, HF_CACHED), HF_E_STATE, &f->why, "before the fetched one");
    CHECK_OK(targets(f));
}

/* ---- targets and delegations ----------------------------------------------------------------- */

static void targets_that_snapshot_does_not_announce_are_refused(void **state)
{
    struct fixture *f = *state;
    struct hf_buf other = {0};
    take_snapshot(f);
    f->repo.roles[HF_ROLE_TARGETS].expires_s += 1;
    tuf_repo_build_targets(&f->repo, &other);
    CHECK_REFUSED(hf_trusted_set_update_targets(&f->set, hf_buf_bytes(&other), "targets", NULL,
                                                &f->why),
                  HF_E_HASH, &f->why, "does not have a hash that the signed metadata announces");
    assert_null(hf_trusted_set_top_targets(&f->set));
    hf_buf_free(&other);
}

static void expired_targets_are_refused(void **state)
{
    struct fixture *f = *state;
    f->repo.roles[HF_ROLE_TARGETS].expires_s = NOW_S;
    tuf_repo_publish(&f->repo);
    take_snapshot(f);
    CHECK_REFUSED(targets(f), HF_E_EXPIRED, &f->why, "TUF 5.6.5");
    assert_null(hf_trusted_set_top_targets(&f->set));
}

static void targets_of_another_version_are_refused_where_no_hash_is_given(void **state)
{
    struct fixture *f = *state;
    struct hf_buf other = {0};
    f->repo.has_hashes = false;
    f->repo.has_lengths = false;
    tuf_repo_publish(&f->repo);
    take_snapshot(f);
    f->repo.roles[HF_ROLE_TARGETS].version = 2;
    tuf_repo_build_targets(&f->repo, &other);
    CHECK_REFUSED(hf_trusted_set_update_targets(&f->set, hf_buf_bytes(&other), "targets", NULL,
                                                &f->why),
                  HF_E_ROLLBACK, &f->why, "TUF 5.6.4");
    hf_buf_free(&other);
}

static const struct hf_trusted_targets *find(struct fixture *f, const char *role,
                                             const struct hf_trusted_targets *delegator)
{
    return hf_trusted_set_find_targets(&f->set, role, delegator);
}

static enum hf_err delegated(struct fixture *f, const char *role,
                             const struct hf_trusted_targets *delegator)
{
    char path[128];
    (void)snprintf(path, sizeof path, "metadata/1.%s.json", role);
    return hf_trusted_set_update_targets(&f->set, file(f, path), role, delegator, &f->why);
}

/* `delegator` delegates to `role` as well, under a key of its own. */
static struct tuf_keys *delegate_too(struct fixture *f, const char *delegator, const char *role)
{
    struct tuf_delegation *d = &f->repo.delegations[f->repo.n_delegations++];
    *d = (struct tuf_delegation){.path_pattern = "*"};
    (void)snprintf(d->delegator, sizeof d->delegator, "%s", delegator);
    (void)snprintf(d->role, sizeof d->role, "%s", role);
    tuf_keys_make(&d->keys, 1, 1);
    return &d->keys;
}

static void a_delegated_role_is_verified_under_the_role_it_was_reached_through(void **state)
{
    struct fixture *f = *state;
    tuf_repo_delegate(&f->repo, "targets", "a", "*", false);
    tuf_repo_delegate(&f->repo, "targets", "b", "*", false);
    tuf_repo_delegate(&f->repo, "a", "c", "*", false);
    (void)delegate_too(f, "b", "c"); /* a key that c's file is not signed with */
    tuf_repo_publish(&f->repo);
    take_snapshot(f);
    CHECK_OK(targets(f));
    const struct hf_trusted_targets *top = find(f, "targets", NULL);
    CHECK_OK(delegated(f, "a", top));
    CHECK_OK(delegated(f, "b", top));
    CHECK_OK(delegated(f, "c", find(f, "a", top)));
    assert_non_null(find(f, "c", find(f, "a", top)));
    CHECK_REFUSED(delegated(f, "c", find(f, "b", top)), HF_E_SIGNATURE, &f->why, "role c");
    assert_null(find(f, "c", find(f, "b", top)));
    CHECK_REFUSED(delegated(f, "c", top), HF_E_SIGNATURE, &f->why, "does not delegate to c");
    CHECK_REFUSED(delegated(f, "a", NULL), HF_E_STATE, &f->why, "\"targets\" only");
    CHECK_REFUSED(delegated(f, "a", top), HF_E_STATE, &f->why, "trusted already");
}

/*
 * a and b both delegate to x under keys of their own, and the snapshot gives no hashes: a mirror
 * can serve one x to those who come through a and another to those who come through b. Who x lets
 * speak for y is then a matter of the way taken, never of the name.
 */
static void authority_does_not_cross_from_one_branch_to_another(void **state)
{
    struct fixture *f = *state;
    struct hf_buf x_of_b = {0};
    f->repo.has_hashes = false;
    f->repo.has_lengths = false;
    tuf_repo_delegate(&f->repo, "targets", "a", "*", false);
    tuf_repo_delegate(&f->repo, "targets", "b", "*", false);
    struct tuf_delegated_role *x = tuf_repo_delegate(&f->repo, "a", "x", "*", false);
    struct tuf_delegated_role *y = tuf_repo_delegate(&f->repo, "x", "y", "*", false);
    struct tuf_keys *x_keys_of_b = delegate_too(f, "b", "x");
    struct tuf_keys honest_y = y->role.keys;
    tuf_repo_publish(&f->repo);
    take_snapshot(f);
    CHECK_OK(targets(f));
    const struct hf_trusted_targets *top = find(f, "targets", NULL);
    CHECK_OK(delegated(f, "a", top));
    CHECK_OK(delegated(f, "b", top));
    CHECK_OK(delegated(f, "x", find(f, "a", top)));

    /* through b comes another x, which names another key for y */
    x->role.keys = *x_keys_of_b;
    for (size_t i = 0; i < f->repo.n_delegations; i++) {
        if (strcmp(f->repo.delegations[i].role, "y") == 0)
            tuf_keys_make(&f->repo.delegations[i].keys, 1, 1);
    }
    tuf_repo_build_delegated(&f->repo, x, &x_of_b);
    const struct hf_trusted_targets *b = find(f, "b", top);
    CHECK_OK(hf_trusted_set_update_targets(&f->set, hf_buf_bytes(&x_of_b), "x", b, &f->why));

    y->role.keys = honest_y;
    CHECK_REFUSED(delegated(f, "y", find(f, "x", b)), HF_E_SIGNATURE, &f->why, "role y");
    CHECK_OK(delegated(f, "y", find(f, "x", find(f, "a", top))));
    hf_buf_free(&x_of_b);
}

/* ---- thresholds ------------------------------------------------------------------------------ */

static void set_threshold(struct fixture *f, size_t n_keys, int64_t threshold)
{
    tuf_keys_make(&f->repo.roles[HF_ROLE_TIMESTAMP].keys, n_keys, threshold);
    f->repo.roles[HF_ROLE_ROOT].version = 2;
    CHECK_OK(offer_root(f));
    CHECK_OK(hf_trusted_set_end_roots(&f->set, &f->why));
}

static void two_of_three_signatures_suffice_and_one_does_not(void **state)
{
    struct fixture *f = *state;
    set_threshold(f, 3, 2);
    f->repo.roles[HF_ROLE_TIMESTAMP].keys.n_signers = 1;
    tuf_repo_publish(&f->repo);
    CHECK_REFUSED(timestamp(f, HF_FETCHED), HF_E_SIGNATURE, &f->why,
                  "by 1 of the keys of role timestamp, its threshold is 2");
    f->repo.roles[HF_ROLE_TIMESTAMP].keys.n_signers = 2;
    tuf_repo_publish(&f->repo);
    CHECK_OK(timestamp(f, HF_FETCHED));
}

static void one_key_under_two_ids_counts_once(void **state)
{
    struct fixture *f = *state;
    struct tuf_keys *keys = &f->repo.roles[HF_ROLE_TIMESTAMP].keys;
    tuf_keys_make(keys, 2, 2);
    keys->keys[1] = keys->keys[0];
    memset(keys->keys[1].key_id, 'b', 64);
    f->repo.roles[HF_ROLE_ROOT].version = 2;
    CHECK_OK(offer_root(f));
    CHECK_OK(hf_trusted_set_end_roots(&f->set, &f->why));
    tuf_repo_publish(&f->repo);
    CHECK_REFUSED(timestamp(f, HF_FETCHED), HF_E_SIGNATURE, &f->why, "by 1 of the keys");
}

static void repeat_signature(void *ctx, const char *role, json_t *envelope)
{
    (void)ctx;
    json_t *signatures = json_object_get(envelope, "signatures");
    if (strcmp(role, "timestamp") == 0)
        json_array_append(signatures, json_array_get(signatures, 0));
}

static void a_repeated_key_id_among_the_signatures_refuses_the_file(void **state)
{
    struct fixture *f = *state;
    set_threshold(f, 2, 2);
    f->repo.roles[HF_ROLE_TIMESTAMP].keys.n_signers = 1;
    f->repo.after_signing = repeat_signature;
    tuf_repo_publish(&f->repo);
    CHECK_REFUSED(timestamp(f, HF_FETCHED), HF_E_FORMAT, &f->why,
                  "two signatures under one key id");
}

static void add_odd_signatures(void *ctx, const char *role, json_t *envelope)
{
    (void)ctx;
    if (strcmp(role, "timestamp") != 0)
        return;
    json_t *signatures = json_object_get(envelope, "signatures");
    json_array_insert_new(signatures, 0, json_pack("{s:s,s:s}", "keyid", "unknown", "sig", "abcd"));
    json_array_insert_new(signatures, 0, json_pack("{s:s,s:s}", "keyid", "empty", "sig", ""));
    json_array_insert_new(signatures, 0, json_pack("{s:s,s:s}", "keyid", "odd", "sig", "no hex"));
}

static void unknown_and_empty_signatures_are_ignored(void **state)
{
    struct fixture *f = *state;
    CHECK_OK(hf_trusted_set_end_roots(&f->set, &f->why));
    f->repo.after_signing = add_odd_signatures;
    tuf_repo_publish(&f->repo);
    CHECK_OK(timestamp(f, HF_FETCHED));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(the_whole_workflow_ends_in_trusted_targets),
        WITH_FIXTURE(steps_out_of_order_are_refused),
        WITH_FIXTURE(an_initial_root_must_be_signed_by_its_own_threshold),
        WITH_FIXTURE(an_initial_root_may_have_expired),
        WITH_FIXTURE(root_keys_rotate_when_old_and_new_sign),
        WITH_FIXTURE(an_expired_intermediate_root_does_not_stop_the_walk),
        WITH_FIXTURE(a_root_that_the_old_keys_did_not_sign_is_refused),
        WITH_FIXTURE(a_root_that_its_own_keys_did_not_sign_is_refused),
        WITH_FIXTURE(a_root_of_another_version_than_the_next_is_refused),
        WITH_FIXTURE(a_root_that_expires_this_second_has_expired),
        WITH_FIXTURE(a_timestamp_signed_by_another_role_is_refused),
        WITH_FIXTURE(an_equal_timestamp_is_no_news_and_an_older_one_is_refused),
        WITH_FIXTURE(a_timestamp_naming_an_older_snapshot_is_refused),
        WITH_FIXTURE(an_expired_timestamp_is_discarded_when_fetched_and_a_floor_when_cached),
        WITH_FIXTURE(a_snapshot_that_timestamp_does_not_announce_is_refused),
        WITH_FIXTURE(a_snapshot_of_another_version_is_refused_where_no_hash_is_given),
        WITH_FIXTURE(a_cached_snapshot_of_before_is_a_floor_only),
        WITH_FIXTURE(a_snapshot_that_takes_targets_back_is_refused),
        WITH_FIXTURE(a_snapshot_that_forgets_a_role_is_refused),
        WITH_FIXTURE(an_expired_snapshot_is_discarded_when_fetched),
        WITH_FIXTURE(rotating_the_timestamp_key_lets_versions_fall),
        WITH_FIXTURE(rotating_the_snapshot_key_lets_versions_fall),
        WITH_FIXTURE(rotating_other_keys_keeps_the_floor),
        WITH_FIXTURE(a_cached_snapshot_comes_before_a_fetched_one),
        WITH_FIXTURE(targets_that_snapshot_does_not_announce_are_refused),
        WITH_FIXTURE(expired_targets_are_refused),
        WITH_FIXTURE(targets_of_another_version_are_refused_where_no_hash_is_given),
        WITH_FIXTURE(a_delegated_role_is_verified_under_the_role_it_was_reached_through),
        WITH_FIXTURE(authority_does_not_cross_from_one_branch_to_another),
        WITH_FIXTURE(two_of_three_signatures_suffice_and_one_does_not),
        WITH_FIXTURE(one_key_under_two_ids_counts_once),
        WITH_FIXTURE(a_repeated_key_id_among_the_signatures_refuses_the_file),
        WITH_FIXTURE(unknown_and_empty_signatures_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
