/* client/port/posix/db_copy: a database that is damaged or lost is replaced by its copy. */
#include "tests/support/check.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tuf_repo.h"

#include "client/port/posix/db.h"
#include "client/port/posix/system.h"
#include "common/os/file_util.h"
#include "client/port/posix/sqlite_store.h"
#include "common/base/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The store does not look into bundles, so this need not be a certificate. */
static const char content[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

/* ---- helpers --------------------------------------------------------------------------------- */

static struct hf_sqlite_store *open_at(const char *path, bool create)
{
    struct hf_sqlite_store *store = NULL;
    struct hf_why why = {0};
    if (hf_sqlite_store_open(path, create, &store, &why) != HF_OK)
        fail_msg("%s", why.text);
    return store;
}

static struct hf_sqlite_store *open_in(void **state)
{
    return open_at(((const struct temp_dir *)*state)->path, false);
}

static void add_comment(void *ctx, const char *role, json_t *signed_part)
{
    (void)role;
    json_object_set_new(signed_part, "comment", json_string(ctx));
}

/* The store knows genuine root metadata from other bytes. */
static void make_root(int64_t version, const char *comment, struct hf_buf *out)
{
    struct tuf_repo repo;
    tuf_repo_init(&repo, 1800000000);
    repo.roles[HF_ROLE_ROOT].version = version;
    repo.hook_ctx = (void *)(uintptr_t)comment;
    repo.before_signing = add_comment;
    tuf_repo_build_root(&repo, out);
    tuf_repo_free(&repo);
}

static void save_root(struct hf_sqlite_store *store, int64_t version, const char *comment)
{
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct hf_buf root = {0};
    make_root(version, comment, &root);
    CHECK_OK(port.save_metadata(port.ctx, "root", version, hf_buf_bytes(&root), NULL));
    hf_buf_free(&root);
}

static void save(struct hf_sqlite_store *store, const char *role, int64_t version)
{
    struct hf_store_port port = hf_sqlite_store_port(store);
    if (strcmp(role, "root") == 0)
        save_root(store, version, "");
    else
        CHECK_OK(port.save_metadata(port.ctx, role, version, hf_bytes_of_text("{}"), NULL));
}

static void activate(struct hf_sqlite_store *store, int64_t version)
{
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct hf_bundle_record r = {.set = "amazon-iot", .profile = "full", .version = version};
    hf_sha256_hex(hf_bytes_of_text(content), r.sha256);
    CHECK_OK(hf_buf_append_text(&r.pem, content));
    CHECK_OK(hf_buf_append_text(&r.custom, "{}"));
    CHECK_OK(port.stage_bundle(port.ctx, &r, NULL));
    CHECK_OK(port.activate_staged(port.ctx, false, NULL));
    hf_bundle_record_free(&r);
}

static int64_t count(struct hf_sqlite_store *store, const char *sql)
{
    int64_t n = -1;
    CHECK_OK(hf_db_query_int64(store->db, sql, "count", &n, NULL));
    return n;
}

/* A state in which an update has brought root 2 and bundle 7, and has ended. */
static void make_state(void **state)
{
    const struct temp_dir *dir = *state;
    hf_sqlite_store_close(open_at(dir->path, true));
    struct hf_sqlite_store *store = open_in(state);
    save(store, "root", 2);
    activate(store, 7);
    CHECK_OK(hf_sqlite_store_sync(store, NULL));
    hf_sqlite_store_close(store);
}

static const char *database(void **state)
{
    return temp_path(*state, "holdfast.db");
}

static void damage(void **state)
{
    temp_write(database(state), "this was a database once, before the flash died");
}

static bool is_damaged_kept(void **state)
{
    return temp_exists(temp_path(*state, "holdfast.db.damaged"));
}

/* All that make_state made is there and can be added to, and the journal tells why. */
static void assert_restored(void **state, const char *part)
{
    struct hf_sqlite_store *store = open_in(state);
    char sql[256];

    CHECK_OK(hf_store_check_writable(store, NULL));
    assert_int_equal(count(store, "SELECT version FROM metadata WHERE role = 'root'"), 2);
    assert_int_equal(count(store, "SELECT version FROM bundle WHERE slot = 'active'"), 7);
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM event WHERE kind = 'restored' AND text LIKE '%%%s%%'",
                   part);
    assert_int_equal(count(store, sql), 1);
    assert_true(temp_exists(temp_path(*state, "bundles/active")));
    save(store, "root", 3);
    CHECK_OK(hf_sqlite_store_sync(store, NULL));
    hf_sqlite_store_close(store);
}

static void assert_not_restored(void **state, const char *part)
{
    struct hf_sqlite_store *store = open_in(state);
    struct hf_why why = {0};

    CHECK_REFUSED(hf_store_check_writable(store, &why), HF_E_STORAGE, &why, part);
    assert_false(is_damaged_kept(state));
    hf_sqlite_store_close(store);
}

/* What a store that cannot be written gives. */
static void assert_active(void **state, int64_t version)
{
    struct hf_sqlite_store *store = open_in(state);
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct hf_bundle_record active = {0};

    assert_int_not_equal(hf_store_check_writable(store, NULL), HF_OK);
    CHECK_OK(port.load_bundle(port.ctx, HF_SLOT_ACTIVE, &active, NULL));
    assert_int_equal(active.version, version);
    hf_bundle_record_free(&active);
    hf_sqlite_store_close(store);
}

/* ---- when it is made ------------------------------------------------------------------------- */

static ino_t copy_of(void **state)
{
    struct stat st;
    assert_int_equal(stat(temp_path(*state, "holdfast.db.backup"), &st), 0);
    return st.st_ino;
}

static void the_copy_follows_what_must_not_be_lost_and_nothing_else(void **state)
{
    make_state(state);
    struct hf_sqlite_store *store = open_in(state);
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct hf_event event = {1, HF_LEVEL_INFO, "test", "text"};
    ino_t before = copy_of(state);

    assert_int_equal(temp_mode(temp_path(*state, "holdfast.db.backup")), 0600);
    save(store, "timestamp", 5);
    save(store, "snapshot", 5);
    CHECK_OK(port.append_event(port.ctx, &event, NULL));
    CHECK_OK(port.save_value(port.ctx, "check.time", "1", NULL));
    CHECK_OK(hf_sqlite_store_sync(store, NULL));
    assert_true(copy_of(state) == before);

    const char *const roles[] = {"root", "targets", "rollout"};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        save(store, roles[i], 3);
        CHECK_OK(hf_sqlite_store_sync(store, NULL));
        assert_false(copy_of(state) == before);
        before = copy_of(state);
    }
    CHECK_OK(port.save_value(port.ctx, "bundle.rejected", "8", NULL));
    CHECK_OK(hf_sqlite_store_sync(store, NULL));
    assert_false(copy_of(state) == before);
    hf_sqlite_store_close(store);
}

static void a_copy_that_a_power_cut_prevented_is_made_up_for(void **state)
{
    make_state(state);
    struct hf_sqlite_store *store = open_in(state);
    save(store, "root", 3);
    hf_sqlite_store_close(store);

    store = open_in(state);
    CHECK_OK(hf_sqlite_store_sync(store, NULL));
    assert_int_equal(hf_db_copy_changes(((const struct temp_dir *)*state)->path),
                     count(store, "SELECT count FROM change"));
    hf_sqlite_store_close(store);
}

static void a_copy_that_is_damaged_is_made_anew(void **state)
{
    make_state(state);
    temp_write(temp_path(*state, "holdfast.db.backup"), "garbage");
    struct hf_sqlite_store *store = open_in(state);
    CHECK_OK(hf_store_check_writable(store, NULL));
    CHECK_OK(hf_sqlite_store_sync(store, NULL));
    hf_sqlite_store_close(store);
    damage(state);
    assert_restored(state, "is damaged");
}

/* In a page that is not read for years: the page with the number of changes is still whole. */
static void a_copy_that_rots_in_the_middle_is_made_anew(void **state)
{
    char page[4096] = {0};
    make_state(state);
    temp_overwrite(temp_path(*state, "holdfast.db.backup"), 3 * 4096, page, sizeof page);
    struct hf_sqlite_store *store = open_in(state);
    CHECK_OK(hf_sqlite_store_sync(store, NULL));
    hf_sqlite_store_close(store);
    damage(state);
    assert_restored(state, "is damaged");
}

static void what_power_cuts_left_of_copies_is_removed(void **state)
{
    make_state(state);
    temp_write(temp_path(*state, ".holdfast.db.backup.aB3dE6"), "half of a copy");
    temp_write(temp_path(*state, ".holdfast.db.backup.000000"), "");
    temp_write(temp_path(*state, ".holdfast.db.backup-of-mine"), "another file");
    struct hf_sqlite_store *store = open_in(state);
    save(store, "root", 3);
    CHECK_OK(hf_sqlite_store_sync(store, NULL));
    hf_sqlite_store_close(store);
    assert_false(temp_exists(temp_path(*state, ".holdfast.db.backup.aB3dE6")));
    assert_false(temp_exists(temp_path(*state, ".holdfast.db.backup.000000")));
    assert_true(temp_exists(temp_path(*state, ".holdfast.db.backup-of-mine")));
}

static void a_database_that_rots_while_it_is_open_does_not_spoil_the_copy(void **state)
{
    char page[4096];
    make_state(state);
    struct hf_sqlite_store *store = open_in(state);
    struct hf_why why = {0};
    save(store, "root", 3);
    CHECK_OK(hf_db_exec(store->db, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA shrink_memory", "test",
                        &why));
    memset(page, 0xee, sizeof page);
    temp_overwrite(database(state), 4096, page, sizeof page);
    ino_t before = copy_of(state);

    CHECK_REFUSED(hf_sqlite_store_sync(store, &why), HF_E_STORAGE, &why, "is damaged");
    assert_true(copy_of(state) == before);
    hf_sqlite_store_close(store);
    assert_restored(state, "is damaged");
}

/* ---- when it is used ------------------------------------------------------------------------- */

static void a_database_that_is_garbage_is_replaced_and_kept(void **state)
{
    make_state(state);
    damage(state);
    assert_restored(state, "file is not a database");
    assert_string_equal(temp_read(temp_path(*state, "holdfast.db.damaged")),
                        "this was a database once, before the flash died");
}

static void a_database_with_a_damaged_page_is_replaced(void **state)
{
    char page[4096];
    make_state(state);
    memset(page, 0xee, sizeof page);
    temp_overwrite(database(state), 4096, page, sizeof page);
    /* Its log is whole and holds that page too; a flash that dies takes both. */
    assert_int_equal(unlink(temp_path(*state, "holdfast.db-wal")), 0);
    assert_restored(state, "is damaged");
}

/* As bits that flip in its text leave it. */
static void spoil(void **state, const char *sql)
{
    sqlite3 *db = NULL;
    struct hf_why why = {0};

    assert_int_equal(sqlite3_open(database(state), &db), SQLITE_OK);
    CHECK_OK(hf_db_exec(db, sql, "test", &why));
    sqlite3_close(db);
}

static void a_database_whose_schema_rotted_is_replaced(void **state)
{
    make_state(state);
    spoil(state, "ALTER TABLE config RENAME COLUMN on_swap TO on_swbp");
    assert_restored(state, "its schema is not that of version");
}

static void a_database_whose_schema_has_an_older_number_is_replaced(void **state)
{
    make_state(state);
    spoil(state, "PRAGMA user_version = 1");
    assert_restored(state, "its schema is not that of version 1");
}

static void a_database_whose_schema_has_no_number_is_replaced(void **state)
{
    make_state(state);
    spoil(state, "PRAGMA user_version = -2147483648");
    assert_restored(state, "its schema is not that of version -2147483648");
}

static void a_database_whose_floors_rotted_is_replaced(void **state)
{
    static const char *const rotten[] = {"('bundle.floor', '4x')", "('bundle.floor', '-4')",
                                         "('bundle.floor', '99999999999999999999')",
                                         "('bundle.rejected', '4 x')", "('bundle.rejected', '4 ')"};
    char sql[128];

    for (size_t i = 0; i < sizeof rotten / sizeof rotten[0]; i++) {
        const struct temp_dir *dir = *state;
        (void)snprintf(sql, sizeof sql, "rm -rf %s/*", dir->path);
        assert_int_equal(system(sql), 0);
        make_state(state);
        (void)snprintf(sql, sizeof sql, "INSERT INTO value (name, value) VALUES %s", rotten[i]);
        spoil(state, sql);
        assert_restored(state, "the versions that it refuses are no numbers");
    }
}

static void floors_are_no_damage(void **state)
{
    make_state(state);
    spoil(state, "INSERT INTO value (name, value) VALUES ('bundle.floor', '12'), "
                 "('bundle.rejected', '4 10 11')");
    struct hf_sqlite_store *store = open_in(state);
    assert_false(is_damaged_kept(state));
    CHECK_OK(hf_sqlite_store_sync(store, NULL)); /* the copy holds them too */
    hf_sqlite_store_close(store);
    damage(state);
    store = open_in(state);
    assert_int_equal(count(store, "SELECT value FROM value WHERE name = 'bundle.floor'"), 12);
    hf_sqlite_store_close(store);
}

static void an_empty_database_is_replaced(void **state)
{
    make_state(state);
    temp_write(database(state), "");
    assert_restored(state, "is empty or not a database of holdfast");
}

static void a_truncated_database_is_replaced(void **state)
{
    make_state(state);
    assert_int_equal(unlink(temp_path(*state, "holdfast.db-wal")), 0);
    assert_int_equal(truncate(database(state), 3 * 4096 + 100), 0);
    assert_restored(state, "is damaged");
}

static void a_lost_database_is_replaced(void **state)
{
    make_state(state);
    assert_int_equal(unlink(database(state)), 0);
    assert_restored(state, "is missing");
    assert_false(is_damaged_kept(state));
}

/* SQLite takes what is left for the whole: without the copy the loss would not be noticed. */
static void a_database_without_its_log_is_replaced(void **state)
{
    make_state(state);
    assert_int_equal(unlink(temp_path(*state, "holdfast.db-wal")), 0);
    assert_restored(state, "has lost the newest");
}

static void a_database_whose_log_is_damaged_is_replaced(void **state)
{
    make_state(state);
    temp_overwrite(temp_path(*state, "holdfast.db-wal"), 32 + 24 + 100, "damage", 6);
    assert_restored(state, "has lost the newest");
    assert_true(temp_exists(temp_path(*state, "holdfast.db.damaged-wal")));
}

/* A mistake with tar, or a link of an operator who wanted it on another disk. */
static void put_in_the_way(void **state, const char *name, bool is_link)
{
    const char *path = temp_path(*state, name);
    (void)unlink(path);
    if (is_link) {
        assert_int_equal(symlink("/nonexistent/file", path), 0);
        return;
    }
    char inside[96];
    (void)snprintf(inside, sizeof inside, "%s/file", name);
    assert_int_equal(mkdir(path, 0700), 0);
    temp_write(temp_path(*state, inside), "another file");
}

static void what_is_in_the_way_is_moved_away(void **state)
{
    static const char *const names[] = {"holdfast.db-wal", "holdfast.db-shm", "holdfast.db"};
    make_state(state);
    for (size_t i = 0; i < 4 * sizeof names / sizeof names[0]; i++) {
        put_in_the_way(state, names[i / 4], i % 2 == 1);
        struct hf_sqlite_store *store = open_in(state);
        struct hf_why why = {0};
        if (hf_store_check_writable(store, &why) != HF_OK)
            fail_msg("%s: %s", names[i / 4], why.text);
        assert_int_equal(count(store, "SELECT version FROM metadata WHERE role = 'root'"), 2);
        assert_int_equal(count(store, "SELECT version FROM bundle WHERE slot = 'active'"), 7);
        CHECK_OK(hf_sqlite_store_sync(store, NULL));
        hf_sqlite_store_close(store);
    }
}

/* An operator must decide about its owner: it may hold what is not copied yet. */
static void a_log_of_somebody_else_is_named_and_left_alone(void **state)
{
    const struct temp_dir *dir = *state;
    make_state(state);
    temp_become_nobody(dir->path);
    assert_int_equal(chmod(temp_path(dir, "holdfast.db-wal"), 0), 0);
    assert_not_restored(state, "holdfast.db-wal cannot be opened: Permission denied; give it the "
                               "owner and the mode of");
    assert_int_equal(chmod(temp_path(dir, "holdfast.db-wal"), 0600), 0);
    struct hf_sqlite_store *store = open_in(state);
    CHECK_OK(hf_store_check_writable(store, NULL));
    assert_int_equal(count(store, "SELECT version FROM bundle WHERE slot = 'active'"), 7);
    hf_sqlite_store_close(store);
    temp_become_root_again();
}

static void nothing_but_a_copy_is_enough(void **state)
{
    const struct temp_dir *dir = *state;
    char command[256];
    make_state(state);
    (void)snprintf(command, sizeof command, "rm -r %s/holdfast.db %s/holdfast.db-* %s/bundles",
                   dir->path, dir->path, dir->path);
    assert_int_equal(system(command), 0);
    assert_restored(state, "is missing");
}

/* ---- when it is not -------------------------------------------------------------------------- */

static void when_both_are_damaged_nothing_is_moved(void **state)
{
    make_state(state);
    damage(state);
    char page[4096] = {0};
    temp_overwrite(temp_path(*state, "holdfast.db.backup"), 3 * 4096, page, sizeof page);
    assert_not_restored(state, "cannot be used either");
    assert_string_equal(temp_read(database(state)),
                        "this was a database once, before the flash died");
}

/* Every row of it may be good; only what asks for that column is in trouble. */
static void a_schema_that_rotted_is_lived_with_where_there_is_no_copy(void **state)
{
    make_state(state);
    spoil(state, "ALTER TABLE config RENAME COLUMN on_swap TO on_swbp");
    temp_write(temp_path(*state, "holdfast.db.backup"), "this was a copy once");
    struct hf_sqlite_store *store = open_in(state);

    CHECK_OK(hf_store_check_writable(store, NULL));
    assert_int_equal(count(store, "SELECT version FROM metadata WHERE role = 'root'"), 2);
    assert_false(is_damaged_kept(state));
    hf_sqlite_store_close(store);
}

static void whoever_holds_the_lock_may_be_restoring(void **state)
{
    const struct temp_dir *dir = *state;
    int lock = -1;
    make_state(state);
    damage(state);
    CHECK_OK(hf_lock_take(dir->path, 0, &lock, NULL));
    assert_not_restored(state, "another process");
    hf_file_unlock(lock);
    assert_restored(state, "is damaged");
}

static void a_folder_that_cannot_be_written_is_left_alone(void **state)
{
    const struct temp_dir *dir = *state;
    make_state(state);
    damage(state);
    assert_int_equal(unlink(temp_path(dir, "bundles/active")), 0);
    assert_int_equal(chmod(temp_path(dir, "lock"), 0400), 0);
    assert_int_equal(chmod(dir->path, 0500), 0);
    temp_become_nobody(dir->path);
    assert_not_restored(state, "its copy cannot take its place");
    assert_active(state, 7); /* of the copy: a power cut may have taken the files */
    temp_become_root_again();
    assert_int_equal(chmod(dir->path, 0700), 0);
    assert_int_equal(chmod(temp_path(dir, "lock"), 0600), 0);
    assert_restored(state, "is damaged");
}

/* A power cut takes back links that were not synced, and then the disk is mounted read-only. */
static void links_that_are_behind_do_not_bring_back_the_bundle_before(void **state)
{
    const struct temp_dir *dir = *state;
    char sha256[HF_SHA256_HEX_LEN], target[128];
    make_state(state);
    struct hf_sqlite_store *store = open_in(state);
    activate(store, 8);
    CHECK_OK(hf_sqlite_store_sync(store, NULL));
    hf_sqlite_store_close(store);
    hf_sha256_hex(hf_bytes_of_text(content), sha256);
    (void)snprintf(target, sizeof target, "%s.7.pem", sha256);
    assert_int_equal(unlink(temp_path(dir, "bundles/active")), 0);
    assert_int_equal(symlink(target, temp_path(dir, "bundles/active")), 0);

    assert_int_equal(chmod(dir->path, 0500), 0);
    temp_become_nobody(dir->path);
    assert_active(state, 8);
    temp_become_root_again();
    assert_int_equal(chmod(dir->path, 0700), 0);
}

/* The log cannot be read and holds the newest bundle: then the links know more than the rows. */
static void rows_that_are_behind_do_not_bring_back_the_bundle_before(void **state)
{
    const struct temp_dir *dir = *state;
    make_state(state);
    struct hf_sqlite_store *store = open_in(state);
    CHECK_OK(hf_db_fold(store->db, NULL));
    activate(store, 8);
    CHECK_OK(hf_sqlite_store_sync(store, NULL));
    hf_sqlite_store_close(store);

    temp_become_nobody(dir->path);
    assert_int_equal(chmod(temp_path(dir, "holdfast.db-wal"), 0), 0);
    assert_active(state, 8);
    assert_int_equal(chmod(temp_path(dir, "holdfast.db-wal"), 0600), 0);
    temp_become_root_again();
}

static void a_newer_schema_is_no_damage(void **state)
{
    make_state(state);
    struct hf_sqlite_store *store = open_in(state);
    struct hf_why why = {0};
    CHECK_OK(hf_db_exec(store->db, "PRAGMA user_version = 99", "test", NULL));
    hf_sqlite_store_close(store);

    store = open_in(state);
    CHECK_REFUSED(hf_store_check_writable(store, &why), HF_E_SCHEMA, &why, "newer holdfast");
    assert_false(is_damaged_kept(state));
    hf_sqlite_store_close(store);
}

static void a_store_that_is_open_for_long_sees_what_another_has_restored(void **state)
{
    make_state(state);
    struct hf_sqlite_store *old = open_in(state);
    CHECK_OK(hf_sqlite_store_refresh(old, NULL));
    damage(state);
    assert_restored(state, "is damaged");

    CHECK_OK(hf_sqlite_store_refresh(old, NULL));
    assert_int_equal(count(old, "SELECT version FROM metadata WHERE role = 'root'"), 3);
    hf_sqlite_store_close(old);
}

/* A program that was started and waits for its first check, which may be a day. */
static void a_store_that_waits_for_its_first_update_sees_it_too(void **state)
{
    make_state(state);
    struct hf_sqlite_store *old = open_in(state);
    damage(state);
    assert_restored(state, "is damaged");

    CHECK_OK(hf_sqlite_store_refresh(old, NULL));
    assert_int_equal(count(old, "SELECT version FROM metadata WHERE role = 'root'"), 3);
    hf_sqlite_store_close(old);
}

/* After a sync that failed, for instance, and without a copy. */
static void a_store_that_lost_its_database_refuses_and_has_nothing_to_sync(void **state)
{
    const struct temp_dir *dir = *state;
    char command[256];
    make_state(state);
    struct hf_sqlite_store *store = open_in(state);
    CHECK_OK(hf_sqlite_store_refresh(store, NULL));
    save(store, "timestamp", 1);
    (void)snprintf(command, sizeof command, "rm -r %s/holdfast.db* %s/bundles", dir->path,
                   dir->path);
    assert_int_equal(system(command), 0);

    assert_int_equal(hf_sqlite_store_refresh(store, NULL), HF_E_NOT_FOUND);
    assert_int_equal(hf_store_check_writable(store, NULL), HF_E_STORAGE);
    assert_int_equal(hf_store_check_readable(store, NULL), HF_E_STORAGE);
    CHECK_OK(hf_sqlite_store_sync(store, NULL));
    hf_sqlite_store_close(store);
}

static void what_could_not_be_opened_at_first_is_tried_again_by_the_first_update(void **state)
{
    const struct temp_dir *dir = *state;
    int lock = -1;
    make_state(state);
    damage(state);
    CHECK_OK(hf_lock_take(dir->path, 0, &lock, NULL));
    struct hf_sqlite_store *store = open_in(state);
    hf_file_unlock(lock);

    CHECK_OK(hf_sqlite_store_refresh(store, NULL));
    CHECK_OK(hf_store_check_writable(store, NULL));
    hf_sqlite_store_close(store);
    assert_restored(state, "is damaged");
}

/* ---- the list of revoked keys ---------------------------------------------------------------- */

static const uint8_t two_keys[2 * HF_SHA256_LEN] = {1, 2, 3};
static const struct hf_bytes newest_list = {two_keys, sizeof two_keys};
static const struct hf_bytes older_list = {two_keys, HF_SHA256_LEN};

static void assert_list(void **state, struct hf_bytes expected)
{
    struct hf_sqlite_store *store = open_in(state);
    struct hf_buf found = {0};

    CHECK_OK(hf_store_check_writable(store, NULL));
    CHECK_OK(hf_store_load_revoked(store, &found, NULL));
    assert_true(hf_bytes_equal(hf_buf_bytes(&found), expected));
    hf_buf_free(&found);
    hf_sqlite_store_close(store);
}

/* A copy with one key; two are in the file and were in the database before it was damaged. */
static void make_revoked(void **state)
{
    make_state(state);
    struct hf_sqlite_store *store = open_in(state);
    CHECK_OK(hf_store_save_revoked(store, older_list, NULL));
    CHECK_OK(hf_sqlite_store_sync(store, NULL));
    CHECK_OK(hf_store_save_revoked(store, newest_list, NULL));
    hf_sqlite_store_close(store);
    damage(state);
}

static void what_was_revoked_after_the_copy_was_made_stays_revoked(void **state)
{
    make_revoked(state);
    assert_list(state, newest_list);
    assert_list(state, newest_list); /* the file did not follow the copy either */
    assert_true(is_damaged_kept(state));
}

static void a_file_that_has_rotted_is_not_believed(void **state)
{
    make_revoked(state);
    temp_write(temp_path(*state, "bundles/revoked"), "rot");
    assert_list(state, older_list);
}

int main(void)
{
#define IN_TEMP(test) cmocka_unit_test_setup_teardown(test, temp_dir_setup, temp_dir_teardown)
    const struct CMUnitTest tests[] = {
        IN_TEMP(the_copy_follows_what_must_not_be_lost_and_nothing_else),
        IN_TEMP(a_copy_that_a_power_cut_prevented_is_made_up_for),
        IN_TEMP(a_copy_that_is_damaged_is_made_anew),
        IN_TEMP(a_copy_that_rots_in_the_middle_is_made_anew),
        IN_TEMP(what_power_cuts_left_of_copies_is_removed),
        IN_TEMP(a_database_that_rots_while_it_is_open_does_not_spoil_the_copy),
        IN_TEMP(a_database_that_is_garbage_is_replaced_and_kept),
        IN_TEMP(a_database_with_a_damaged_page_is_replaced),
        IN_TEMP(a_database_whose_schema_rotted_is_replaced),
        IN_TEMP(a_database_whose_schema_has_an_older_number_is_replaced),
        IN_TEMP(a_database_whose_schema_has_no_number_is_replaced),
        IN_TEMP(a_database_whose_floors_rotted_is_replaced),
        IN_TEMP(floors_are_no_damage),
        IN_TEMP(an_empty_database_is_replaced),
        IN_TEMP(a_truncated_database_is_replaced),
        IN_TEMP(a_lost_database_is_replaced),
        IN_TEMP(a_database_without_its_log_is_replaced),
        IN_TEMP(a_database_whose_log_is_damaged_is_replaced),
        IN_TEMP(what_is_in_the_way_is_moved_away),
        IN_TEMP(nothing_but_a_copy_is_enough),
        IN_TEMP(when_both_are_damaged_nothing_is_moved),
        IN_TEMP(a_schema_that_rotted_is_lived_with_where_there_is_no_copy),
        IN_TEMP(whoever_holds_the_lock_may_be_restoring),
        IN_TEMP(a_folder_that_cannot_be_written_is_left_alone),
        IN_TEMP(a_log_of_somebody_else_is_named_and_left_alone),
        IN_TEMP(links_that_are_behind_do_not_bring_back_the_bundle_before),
        IN_TEMP(rows_that_are_behind_do_not_bring_back_the_bundle_before),
        IN_TEMP(a_newer_schema_is_no_damage),
        IN_TEMP(a_store_that_is_open_for_long_sees_what_another_has_restored),
        IN_TEMP(a_store_that_waits_for_its_first_update_sees_it_too),
        IN_TEMP(a_store_that_lost_its_database_refuses_and_has_nothing_to_sync),
        IN_TEMP(what_could_not_be_opened_at_first_is_tried_again_by_the_first_update),
        IN_TEMP(what_was_revoked_after_the_copy_was_made_stays_revoked),
        IN_TEMP(a_file_that_has_rotted_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
