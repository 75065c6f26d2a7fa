/* client/port/posix: the store over SQLite and the bundle files beside it, on a real disk. */
#include "tests/support/check.h"
#include "tests/support/temp_dir.h"

#include "client/port/posix/system.h"
#include "common/os/file_util.h"
#include "client/port/posix/sqlite_store.h"
#include "common/base/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The store does not look into bundles, so these need not be certificates. */
static const char content_a[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
static const char content_b[] = "-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n";

/* ---- helpers --------------------------------------------------------------------------------- */

static struct hf_sqlite_store *open_at(const char *path, bool create)
{
    struct hf_sqlite_store *store = NULL;
    struct hf_why why = {0};
    if (hf_sqlite_store_open(path, create, &store, &why) != HF_OK)
        fail_msg("%s", why.text);
    return store;
}

static struct hf_sqlite_store *create_in(void **state)
{
    const struct temp_dir *dir = *state;
    hf_sqlite_store_close(open_at(dir->path, true));
    return open_at(dir->path, false);
}

static struct hf_sqlite_store *reopen(void **state, struct hf_sqlite_store *store)
{
    const struct temp_dir *dir = *state;
    hf_sqlite_store_close(store);
    return open_at(dir->path, false);
}

static struct hf_bundle_record record_of(int64_t version, const char *pem)
{
    struct hf_bundle_record r = {.set = "amazon-iot", .profile = "full", .version = version};
    hf_sha256_hex(hf_bytes_of_text(pem), r.sha256);
    CHECK_OK(hf_buf_append_text(&r.pem, pem));
    if (version > 0)
        CHECK_OK(hf_buf_printf(&r.custom, "{\"holdfast\":{\"version\":%d}}", (int)version));
    return r;
}

static void stage(struct hf_sqlite_store *store, int64_t version, const char *pem)
{
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct hf_bundle_record r = record_of(version, pem);
    struct hf_why why = {0};
    if (port.stage_bundle(port.ctx, &r, &why) != HF_OK)
        fail_msg("%s", why.text);
    hf_bundle_record_free(&r);
}

static void activate(struct hf_sqlite_store *store, int64_t version, const char *pem)
{
    struct hf_store_port port = hf_sqlite_store_port(store);
    stage(store, version, pem);
    CHECK_OK(port.activate_staged(port.ctx, false, NULL));
}

/* -1 where the slot is empty. Checks all of the record. */
static int64_t version_in(struct hf_sqlite_store *store, enum hf_slot slot, const char *pem)
{
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct hf_bundle_record r = {0};
    struct hf_why why = {0};

    enum hf_err err = port.load_bundle(port.ctx, slot, &r, &why);
    if (err == HF_E_NOT_FOUND)
        return -1;
    if (err != HF_OK)
        fail_msg("%s", why.text);
    struct hf_bundle_record expected = record_of(r.version, pem);
    assert_string_equal(r.set, expected.set);
    assert_string_equal(r.profile, expected.profile);
    assert_string_equal(r.sha256, expected.sha256);
    assert_true(hf_bytes_equal(hf_buf_bytes(&r.pem), hf_buf_bytes(&expected.pem)));
    assert_true(hf_bytes_equal(hf_buf_bytes(&r.custom), hf_buf_bytes(&expected.custom)));
    int64_t version = r.version;
    hf_bundle_record_free(&expected);
    hf_bundle_record_free(&r);
    return version;
}

static void assert_writes_refused(struct hf_sqlite_store *store, enum hf_err wanted,
                                  const char *part)
{
    struct hf_store_port p = hf_sqlite_store_port(store);
    struct hf_bundle_record r = record_of(9, content_b);
    struct hf_event event = {1, HF_LEVEL_INFO, "test", "text"};
    struct hf_why why = {0};

    CHECK_REFUSED(hf_store_check_writable(store, &why), wanted, &why, part);
    CHECK_REFUSED(p.begin(p.ctx, &why), wanted, &why, part);
    CHECK_REFUSED(p.save_metadata(p.ctx, "root", 2, hf_bytes_of_text("x"), &why), wanted, &why,
                  part);
    CHECK_REFUSED(p.remove_metadata(p.ctx, "root", &why), wanted, &why, part);
    CHECK_REFUSED(p.save_value(p.ctx, "a", "b", &why), wanted, &why, part);
    CHECK_REFUSED(p.stage_bundle(p.ctx, &r, &why), wanted, &why, part);
    CHECK_REFUSED(p.activate_staged(p.ctx, false, &why), wanted, &why, part);
    CHECK_REFUSED(p.restore_previous(p.ctx, &why), wanted, &why, part);
    CHECK_REFUSED(p.append_event(p.ctx, &event, &why), wanted, &why, part);
    hf_bundle_record_free(&r);
}

/* Another program changes the database. */
static void sql(void **state, const char *text)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(temp_path(*state, "holdfast.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static const char *file_of(void **state, int64_t version, const char *pem, const char *extension)
{
    char name[128];
    struct hf_bundle_record r = record_of(version, pem);
    (void)snprintf(name, sizeof name, "bundles/%s.%d%s", r.sha256, (int)version, extension);
    hf_bundle_record_free(&r);
    return temp_path(*state, name);
}

static void assert_link(void **state, const char *link, int64_t version, const char *pem)
{
    char target[256] = {0};
    char name[32];
    (void)snprintf(name, sizeof name, "bundles/%s", link);
    assert_true(readlink(temp_path(*state, name), target, sizeof target - 1) > 0);
    assert_string_equal(target, strrchr(file_of(state, version, pem, ".pem"), '/') + 1);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void a_new_store_is_empty_and_for_its_owner_only(void **state)
{
    const struct temp_dir *dir = *state;
    struct hf_sqlite_store *store = create_in(state);
    struct hf_sqlite_store *other = NULL;
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct hf_buf out = {0};
    struct hf_why why = {0};

    CHECK_OK(hf_store_check_writable(store, &why));
    CHECK_REFUSED(port.load_metadata(port.ctx, "root", &out, &why), HF_E_NOT_FOUND, &why,
                  "\"root\"");
    CHECK_REFUSED(port.load_value(port.ctx, "x", &out, &why), HF_E_NOT_FOUND, &why, "\"x\"");
    assert_int_equal(version_in(store, HF_SLOT_ACTIVE, ""), -1);
    assert_int_equal(version_in(store, HF_SLOT_STAGED, ""), -1);
    activate(store, 1, content_a);
    assert_int_equal(temp_mode(temp_path(dir, "holdfast.db")), 0600);
    assert_int_equal(temp_mode(temp_path(dir, "holdfast.db-wal")), 0600);
    assert_int_equal(temp_mode(temp_path(dir, "bundles")), 0700);
    assert_int_equal(temp_mode(file_of(state, 1, content_a, ".pem")), 0644);
    assert_int_equal(temp_mode(file_of(state, 1, content_a, ".json")), 0644);
    CHECK_REFUSED(hf_sqlite_store_open(dir->path, true, &other, &why), HF_E_STATE, &why,
                  "exists already");
    assert_null(other);
    hf_sqlite_store_close(store);
}

static void a_folder_that_was_never_initialised_is_not_found(void **state)
{
    const struct temp_dir *dir = *state;
    struct hf_sqlite_store *store = NULL;
    struct hf_why why = {0};

    CHECK_REFUSED(hf_sqlite_store_open(dir->path, false, &store, &why), HF_E_NOT_FOUND, &why,
                  "is not initialised: run holdfast init first");
    assert_null(store);
    assert_int_equal(temp_count(dir->path), 0);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void metadata_is_kept_byte_for_byte_newest_only(void **state)
{
    struct hf_sqlite_store *store = create_in(state);
    struct hf_store_port port = hf_sqlite_store_port(store);
    const uint8_t bytes[] = {'{', 0, 0xff, '}'};
    struct hf_buf out = {0};

    CHECK_OK(port.save_metadata(port.ctx, "timestamp", 1, hf_bytes_of_text("one"), NULL));
    CHECK_OK(port.save_metadata(port.ctx, "timestamp", 2, (struct hf_bytes){bytes, 4}, NULL));
    store = reopen(state, store);
    port = hf_sqlite_store_port(store);
    CHECK_OK(hf_buf_append_text(&out, "before"));
    CHECK_OK(port.load_metadata(port.ctx, "timestamp", &out, NULL));
    assert_int_equal(out.len, 10);
    assert_memory_equal(out.data + 6, bytes, 4);

    CHECK_OK(port.remove_metadata(port.ctx, "timestamp", NULL));
    CHECK_OK(port.remove_metadata(port.ctx, "timestamp", NULL));
    assert_int_equal(port.load_metadata(port.ctx, "timestamp", &out, NULL), HF_E_NOT_FOUND);
    assert_int_equal(out.len, 10);
    hf_buf_free(&out);
    hf_sqlite_store_close(store);
}

static void a_value_is_replaced_and_has_a_limit(void **state)
{
    struct hf_sqlite_store *store = create_in(state);
    struct hf_store_port port = hf_sqlite_store_port(store);
    char longest[4096 + 2];
    struct hf_buf out = {0};
    struct hf_why why = {0};

    memset(longest, 'v', sizeof longest);
    longest[4097] = '\0';
    CHECK_OK(port.save_value(port.ctx, "name", "one", &why));
    CHECK_REFUSED(port.save_value(port.ctx, "name", longest, &why), HF_E_LIMIT, &why,
                  "4097 bytes, at most 4096");
    CHECK_OK(port.load_value(port.ctx, "name", &out, &why));
    assert_string_equal((const char *)out.data, "one");
    longest[4096] = '\0';
    CHECK_OK(port.save_value(port.ctx, "name", longest, &why));
    CHECK_OK(port.save_value(port.ctx, "empty", "", &why));
    CHECK_OK(port.load_value(port.ctx, "empty", &out, &why));
    assert_int_equal(out.len, 3);
    hf_buf_free(&out);
    hf_sqlite_store_close(store);
}

struct seen {
    size_t n;
    char first[32];
    char last[32];
};

static void look(void *ctx, const struct hf_event *event)
{
    struct seen *seen = ctx;
    assert_string_equal(event->kind, "count");
    assert_int_equal(event->level, HF_LEVEL_WARNING);
    (void)snprintf(seen->n++ == 0 ? seen->first : seen->last, sizeof seen->last, "%s", event->text);
}

static void the_journal_keeps_the_newest_thousand_lines(void **state)
{
    struct hf_sqlite_store *store = create_in(state);
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct seen all = {0};
    struct seen two = {0};

    CHECK_OK(port.begin(port.ctx, NULL));
    for (int i = 1; i <= 1234; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "line %d", i);
        struct hf_event event = {i, HF_LEVEL_WARNING, "count", text};
        CHECK_OK(port.append_event(port.ctx, &event, NULL));
    }
    CHECK_OK(port.commit(port.ctx, NULL));
    CHECK_OK(hf_sqlite_store_events(store, 5000, look, &all, NULL));
    assert_int_equal(all.n, 1000);
    assert_string_equal(all.first, "line 1234");
    assert_string_equal(all.last, "line 235");
    CHECK_OK(hf_sqlite_store_events(store, 2, look, &two, NULL));
    assert_int_equal(two.n, 2);
    assert_string_equal(two.last, "line 1233");
    hf_sqlite_store_close(store);
}

/* ---- transactions ---------------------------------------------------------------------------- */

static void what_is_aborted_never_was(void **state)
{
    struct hf_sqlite_store *store = create_in(state);
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct hf_buf out = {0};
    activate(store, 1, content_a);

    CHECK_OK(port.begin(port.ctx, NULL));
    CHECK_OK(port.save_value(port.ctx, "name", "value", NULL));
    activate(store, 2, content_b);
    port.abort(port.ctx);

    assert_int_equal(port.load_value(port.ctx, "name", &out, NULL), HF_E_NOT_FOUND);
    assert_int_equal(version_in(store, HF_SLOT_ACTIVE, content_a), 1);
    assert_link(state, "active", 1, content_a);
    store = reopen(state, store);
    assert_int_equal(version_in(store, HF_SLOT_ACTIVE, content_a), 1);
    assert_int_equal(version_in(store, HF_SLOT_STAGED, ""), -1);
    assert_false(temp_exists(file_of(state, 2, content_b, ".pem")));
    hf_sqlite_store_close(store);
}

static void transactions_are_not_nested(void **state)
{
    struct hf_sqlite_store *store = create_in(state);
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct hf_why why = {0};

    CHECK_REFUSED(port.commit(port.ctx, &why), HF_E_STATE, &why, "no transaction has begun");
    CHECK_OK(port.begin(port.ctx, &why));
    CHECK_REFUSED(port.begin(port.ctx, &why), HF_E_STATE, &why, "has begun already");
    CHECK_OK(port.save_value(port.ctx, "name", "value", &why));
    CHECK_OK(port.commit(port.ctx, &why));
    struct hf_buf out = {0};
    CHECK_OK(port.load_value(port.ctx, "name", &out, &why));
    hf_buf_free(&out);
    port.abort(port.ctx);
    hf_sqlite_store_close(store);
}

static void a_database_in_use_by_another_is_called_busy(void **state)
{
    struct hf_sqlite_store *one = create_in(state);
    struct hf_sqlite_store *other = open_at(((struct temp_dir *)*state)->path, false);
    struct hf_store_port p = hf_sqlite_store_port(one);
    struct hf_store_port q = hf_sqlite_store_port(other);
    struct hf_why why = {0};
    struct hf_buf out = {0};

    CHECK_OK(p.save_value(p.ctx, "name", "old", &why));
    CHECK_OK(p.begin(p.ctx, &why));
    CHECK_OK(p.save_value(p.ctx, "name", "new", &why));
    assert_int_equal(sqlite3_busy_timeout(other->db, 10), SQLITE_OK);
    CHECK_REFUSED(q.save_value(q.ctx, "name", "mine", &why), HF_E_BUSY, &why,
                  "another process is writing");
    /* A reader does not wait, and sees what was committed. */
    CHECK_OK(q.load_value(q.ctx, "name", &out, &why));
    assert_string_equal((const char *)out.data, "old");
    CHECK_OK(p.commit(p.ctx, &why));
    CHECK_OK(q.save_value(q.ctx, "name", "mine", &why));
    hf_buf_free(&out);
    hf_sqlite_store_close(other);
    hf_sqlite_store_close(one);
}

/* ---- bundles --------------------------------------------------------------------------------- */

static void a_staged_bundle_is_durable_but_inert(void **state)
{
    struct hf_sqlite_store *store = create_in(state);
    activate(store, 1, content_a);

    stage(store, 2, content_b);
    store = reopen(state, store);
    assert_int_equal(version_in(store, HF_SLOT_STAGED, content_b), 2);
    assert_int_equal(version_in(store, HF_SLOT_ACTIVE, content_a), 1);
    assert_link(state, "active", 1, content_a);
    assert_true(temp_exists(file_of(state, 2, content_b, ".pem")));
    hf_sqlite_store_close(store);
}

static void activation_moves_slots_and_links_and_removes_what_is_unused(void **state)
{
    struct hf_sqlite_store *store = create_in(state);

    activate(store, 0, "factory");
    activate(store, 1, content_a);
    activate(store, 2, content_b);
    assert_int_equal(version_in(store, HF_SLOT_ACTIVE, content_b), 2);
    assert_int_equal(version_in(store, HF_SLOT_PREVIOUS, content_a), 1);
    assert_int_equal(version_in(store, HF_SLOT_STAGED, ""), -1);
    assert_link(state, "active", 2, content_b);
    assert_link(state, "previous", 1, content_a);
    assert_string_equal(temp_read(temp_path(*state, "bundles/active")), content_b);
    assert_int_equal(temp_count(temp_path(*state, "bundles")), 6);
    hf_sqlite_store_close(store);
}

static void nothing_staged_is_nothing_to_activate(void **state)
{
    struct hf_sqlite_store *store = create_in(state);
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct hf_why why = {0};
    activate(store, 1, content_a);

    CHECK_REFUSED(port.activate_staged(port.ctx, false, &why), HF_E_STATE, &why,
                  "no bundle is staged");
    assert_int_equal(version_in(store, HF_SLOT_ACTIVE, content_a), 1);
    assert_link(state, "active", 1, content_a);
    hf_sqlite_store_close(store);
}

static void a_bundle_whose_hash_lies_is_not_staged(void **state)
{
    struct hf_sqlite_store *store = create_in(state);
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct hf_bundle_record r = record_of(1, content_a);
    struct hf_why why = {0};

    r.sha256[0] = r.sha256[0] == '0' ? '1' : '0';
    CHECK_REFUSED(port.stage_bundle(port.ctx, &r, &why), HF_E_ARGUMENT, &why, "should have");
    assert_int_equal(version_in(store, HF_SLOT_STAGED, ""), -1);
    assert_int_equal(temp_count(temp_path(*state, "bundles")), 0);
    hf_bundle_record_free(&r);
    hf_sqlite_store_close(store);
}

/* To go back, a publisher publishes the old content as a higher version. */
static void two_versions_of_one_content_are_told_apart_without_the_database(void **state)
{
    const struct temp_dir *dir = *state;
    struct hf_sqlite_store *store = create_in(state);

    activate(store, 3, content_a);
    activate(store, 4, content_b);
    activate(store, 5, content_a);
    activate(store, 6, content_a);
    hf_sqlite_store_close(store);
    temp_write(temp_path(dir, "holdfast.db"), "no database");

    store = open_at(dir->path, false);
    assert_int_equal(version_in(store, HF_SLOT_ACTIVE, content_a), 6);
    assert_int_equal(version_in(store, HF_SLOT_PREVIOUS, content_a), 5);
    hf_sqlite_store_close(store);
}

/* ---- power cuts ------------------------------------------------------------------------------ */

/* What is in the files at this instant, as a cut would leave it, opened as after a reboot. */
static int64_t active_after_cut(void **state)
{
    char command[512];
    const struct temp_dir *dir = *state;
    const char *copy = temp_path(dir, "copy");

    (void)snprintf(command, sizeof command,
                   "rm -rf %s && mkdir %s && cp -a %s/bundles %s/holdfast.db* %s", copy, copy,
                   dir->path, dir->path, copy);
    assert_int_equal(system(command), 0);
    struct hf_sqlite_store *store = open_at(copy, false);
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct hf_bundle_record r = {0};
    CHECK_OK(hf_store_check_writable(store, NULL));
    CHECK_OK(port.load_bundle(port.ctx, HF_SLOT_ACTIVE, &r, NULL));
    int64_t version = r.version;
    assert_int_equal(version_in(store, HF_SLOT_ACTIVE, (const char *)r.pem.data), version);
    hf_bundle_record_free(&r);
    hf_sqlite_store_close(store);
    return version;
}

static void a_cut_after_any_step_leaves_old_or_new(void **state)
{
    struct hf_sqlite_store *store = create_in(state);
    struct hf_store_port port = hf_sqlite_store_port(store);
    activate(store, 1, content_a);

    stage(store, 2, content_b);
    assert_int_equal(active_after_cut(state), 1);
    CHECK_OK(port.begin(port.ctx, NULL));
    assert_int_equal(active_after_cut(state), 1);
    CHECK_OK(port.activate_staged(port.ctx, false, NULL));
    assert_int_equal(active_after_cut(state), 1);
    CHECK_OK(port.save_value(port.ctx, "floor", "2", NULL));
    assert_int_equal(active_after_cut(state), 1);
    CHECK_OK(port.commit(port.ctx, NULL));
    assert_int_equal(active_after_cut(state), 2);
    hf_sqlite_store_close(store);
}

static void a_commit_torn_in_the_log_never_was(void **state)
{
    const struct temp_dir *dir = *state;
    char command[512];
    struct hf_sqlite_store *store = create_in(state);
    activate(store, 1, content_a);
    activate(store, 2, content_b);

    /* The log's last 100 bytes did not reach the disk; the files had not followed yet. */
    (void)
        snprintf(command, sizeof command,
                 "cp -a %s %s-cut && truncate -s -100 %s-cut/holdfast.db-wal && rm -rf %s/copy && "
                 "mv %s-cut %s/copy",
                 dir->path, dir->path, dir->path, dir->path, dir->path, dir->path);
    assert_int_equal(system(command), 0);
    struct hf_sqlite_store *cut = open_at(temp_path(dir, "copy"), false);
    assert_int_equal(version_in(cut, HF_SLOT_ACTIVE, content_a), 1);
    assert_int_equal(version_in(cut, HF_SLOT_STAGED, content_b), 2);
    hf_sqlite_store_close(cut);
    hf_sqlite_store_close(store);
}

static void links_and_files_are_put_right_at_the_next_open(void **state)
{
    const struct temp_dir *dir = *state;
    struct hf_sqlite_store *store = create_in(state);
    activate(store, 1, content_a);
    activate(store, 2, content_b);
    hf_sqlite_store_close(store);

    /* Cut between the commit and the links; and a file torn, one gone, one left over. */
    const char *active = temp_path(dir, "bundles/active");
    assert_int_equal(unlink(active), 0);
    assert_int_equal(symlink("nowhere.pem", active), 0);
    assert_int_equal(unlink(temp_path(dir, "bundles/previous")), 0);
    temp_write(file_of(state, 2, content_b, ".pem"), "torn");
    assert_int_equal(unlink(file_of(state, 1, content_a, ".json")), 0);
    temp_write(temp_path(dir, "bundles/.00000000000000000000000000000000"
                              "00000000000000000000000000000000.1.pem.abcdef"),
               "left over");
    temp_write(temp_path(dir, "bundles/notes.txt"), "another file");
    assert_int_equal(symlink("x", temp_path(dir, "bundles/active.new")), 0);

    store = open_at(dir->path, false);
    assert_link(state, "active", 2, content_b);
    assert_link(state, "previous", 1, content_a);
    assert_string_equal(temp_read(temp_path(dir, "bundles/active")), content_b);
    assert_true(temp_exists(file_of(state, 1, content_a, ".json")));
    assert_string_equal(temp_read(temp_path(dir, "bundles/notes.txt")), "another file");
    assert_int_equal(temp_count(temp_path(dir, "bundles")), 7);
    hf_sqlite_store_close(store);
}

/* Another user who can write STATE must not redirect the agent to another folder. */
static void a_link_in_place_of_the_bundle_folder_is_not_followed(void **state)
{
    const struct temp_dir *dir = *state;
    struct hf_sqlite_store *store = create_in(state);
    activate(store, 1, content_a);
    hf_sqlite_store_close(store);
    assert_int_equal(rename(temp_path(dir, "bundles"), temp_path(dir, "elsewhere")), 0);
    assert_int_equal(symlink("elsewhere", temp_path(dir, "bundles")), 0);
    long before = (long)temp_count(temp_path(dir, "elsewhere"));

    store = open_at(dir->path, false);
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct hf_bundle_record record = record_of(2, content_b);
    struct hf_why why = {0};
    CHECK_REFUSED(port.stage_bundle(port.ctx, &record, &why), HF_E_STORAGE, &why,
                  "it is a symbolic link");
    assert_int_equal(temp_count(temp_path(dir, "elsewhere")), before);
    hf_bundle_record_free(&record);
    hf_sqlite_store_close(store);
}

static void whoever_holds_the_lock_puts_right_and_others_leave_it(void **state)
{
    const struct temp_dir *dir = *state;
    struct hf_why why = {0};
    struct hf_sqlite_store *store = create_in(state);
    activate(store, 1, content_a);
    assert_int_equal(unlink(temp_path(dir, "bundles/active")), 0);
    int lock = -1;
    CHECK_OK(hf_lock_take(dir->path, 0, &lock, &why));

    store = reopen(state, store);
    assert_false(temp_exists(temp_path(dir, "bundles/active")));
    hf_file_unlock(lock);
    store = reopen(state, store);
    assert_link(state, "active", 1, content_a);
    hf_sqlite_store_close(store);
}

/* ---- a database that cannot be used ---------------------------------------------------------- */

static void fill_and_close(void **state)
{
    struct hf_sqlite_store *store = create_in(state);
    struct hf_store_port port = hf_sqlite_store_port(store);
    CHECK_OK(port.save_metadata(port.ctx, "root", 1, hf_bytes_of_text("{}"), NULL));
    activate(store, 1, content_a);
    activate(store, 2, content_b);
    hf_sqlite_store_close(store);
}

static void assert_lives_on_files(void **state, enum hf_err wanted, const char *part)
{
    const struct temp_dir *dir = *state;
    struct hf_sqlite_store *store = open_at(dir->path, false);
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct hf_buf out = {0};
    struct hf_why why = {0};

    assert_int_equal(version_in(store, HF_SLOT_ACTIVE, content_b), 2);
    assert_int_equal(version_in(store, HF_SLOT_PREVIOUS, content_a), 1);
    assert_int_equal(version_in(store, HF_SLOT_STAGED, ""), -1);
    assert_writes_refused(store, wanted, part);
    CHECK_REFUSED(port.load_metadata(port.ctx, "root", &out, &why), wanted, &why, part);
    CHECK_REFUSED(port.load_value(port.ctx, "x", &out, &why), wanted, &why, part);
    CHECK_REFUSED(hf_sqlite_store_events(store, 1, look, NULL, &why), wanted, &why, part);
    assert_int_equal(out.len, 0);
    assert_int_equal(temp_count(temp_path(dir, "bundles")), 6);
    hf_sqlite_store_close(store);
}

static void a_database_that_is_garbage_leaves_the_bundles_in_use(void **state)
{
    fill_and_close(state);
    temp_write(temp_path(*state, "holdfast.db"), "this was a database once, before the flash died");
    assert_lives_on_files(state, HF_E_STORAGE, "is damaged (file is not a database)");
    assert_string_equal(temp_read(temp_path(*state, "holdfast.db")),
                        "this was a database once, before the flash died");
}

static void a_database_with_damaged_pages_leaves_the_bundles_in_use(void **state)
{
    fill_and_close(state);
    char zeros[4096];
    memset(zeros, 0xee, sizeof zeros);
    temp_overwrite(temp_path(*state, "holdfast.db"), 4096, zeros, sizeof zeros);
    assert_lives_on_files(state, HF_E_STORAGE, "is damaged");
}

static void an_empty_database_leaves_the_bundles_in_use(void **state)
{
    fill_and_close(state);
    temp_write(temp_path(*state, "holdfast.db"), "");
    assert_lives_on_files(state, HF_E_STORAGE, "is empty or not a database of holdfast");
}

static void a_lost_database_leaves_the_bundles_in_use(void **state)
{
    fill_and_close(state);
    assert_int_equal(unlink(temp_path(*state, "holdfast.db")), 0);
    assert_lives_on_files(state, HF_E_STORAGE, "is missing");
    assert_false(temp_exists(temp_path(*state, "holdfast.db")));
}

static void a_newer_schema_is_not_touched(void **state)
{
    fill_and_close(state);
    sql(state, "PRAGMA user_version = 7; ALTER TABLE bundle RENAME TO bundles_of_tomorrow");
    assert_lives_on_files(state, HF_E_SCHEMA,
                          "was written by a newer holdfast: its schema is 7, this one writes");
}

static void a_damaged_file_is_not_taken_for_a_bundle(void **state)
{
    const struct temp_dir *dir = *state;
    struct hf_bundle_record r = {0};
    struct hf_why why = {0};
    fill_and_close(state);
    temp_write(temp_path(dir, "holdfast.db"), "garbage");
    temp_overwrite(file_of(state, 2, content_b, ".pem"), 30, "C", 1);
    assert_int_equal(unlink(file_of(state, 1, content_a, ".json")), 0);

    /* The active one is still named by its link, so the store opens and says what it found. */
    struct hf_sqlite_store *store = open_at(dir->path, false);
    struct hf_store_port port = hf_sqlite_store_port(store);
    CHECK_REFUSED(port.load_bundle(port.ctx, HF_SLOT_ACTIVE, &r, &why), HF_E_STORAGE, &why,
                  "is damaged: its SHA-256 should be");
    CHECK_REFUSED(port.load_bundle(port.ctx, HF_SLOT_PREVIOUS, &r, &why), HF_E_STORAGE, &why,
                  "is missing");
    assert_null(r.pem.data);
    hf_sqlite_store_close(store);
}

static void a_link_out_of_the_folder_is_not_followed(void **state)
{
    const struct temp_dir *dir = *state;
    struct hf_bundle_record r = {0};
    struct hf_why why = {0};
    fill_and_close(state);
    temp_write(temp_path(dir, "holdfast.db"), "garbage");
    const char *active = temp_path(dir, "bundles/active");
    assert_int_equal(unlink(active), 0);
    assert_int_equal(symlink("../../etc/ssl/evil.pem", active), 0);

    struct hf_sqlite_store *store = open_at(dir->path, false);
    struct hf_store_port port = hf_sqlite_store_port(store);
    CHECK_REFUSED(port.load_bundle(port.ctx, HF_SLOT_ACTIVE, &r, &why), HF_E_STORAGE, &why,
                  "points to \"../../etc/ssl/evil.pem\", not to a bundle file");
    hf_sqlite_store_close(store);
}

static void a_row_that_rots_is_replaced_by_its_file(void **state)
{
    struct hf_sqlite_store *store = create_in(state);
    activate(store, 1, content_a);
    sql(state, "UPDATE bundle SET pem = CAST('rotten' AS BLOB)");

    assert_int_equal(version_in(store, HF_SLOT_ACTIVE, content_a), 1);
    /* And the file, the last copy, is not changed to match the row. */
    store = reopen(state, store);
    assert_int_equal(version_in(store, HF_SLOT_ACTIVE, content_a), 1);
    hf_sqlite_store_close(store);
}

/* Before the links follow the rows, which they could not as long as one cannot be read. */
static void rows_that_rot_are_mended_from_their_files(void **state)
{
    struct hf_sqlite_store *store = create_in(state);
    int64_t n = 0;
    activate(store, 1, content_a);
    activate(store, 2, content_b);
    sql(state, "UPDATE bundle SET pem = CAST('rotten' AS BLOB)");

    store = reopen(state, store);
    store = reopen(state, store);
    CHECK_OK(hf_db_query_int64(store->db,
                               "SELECT count(*) FROM bundle WHERE CAST(pem AS TEXT) LIKE '-----%'",
                               "count", &n, NULL));
    assert_int_equal(n, 2);
    CHECK_OK(hf_db_query_int64(store->db,
                               "SELECT count(*) FROM event WHERE kind = 'restored' AND text LIKE "
                               "'%; its file has taken its place'",
                               "count", &n, NULL));
    assert_int_equal(n, 2);
    activate(store, 3, content_a);
    assert_link(state, "active", 3, content_a);
    hf_sqlite_store_close(store);
}

/* Links that are behind, after a power cut: what they lead to is another version. */
static void a_row_is_not_mended_from_the_file_of_another_version(void **state)
{
    struct hf_sqlite_store *store = create_in(state);
    int64_t n = 0;
    activate(store, 1, content_a);
    sql(state, "UPDATE bundle SET pem = CAST('rotten' AS BLOB), version = 2");
    store = reopen(state, store);
    CHECK_OK(hf_db_query_int64(store->db,
                               "SELECT count(*) FROM bundle WHERE CAST(pem AS TEXT) = 'rotten'",
                               "count", &n, NULL));
    assert_int_equal(n, 1);
    hf_sqlite_store_close(store);
}

/* ---- disks ----------------------------------------------------------------------------------- */

static void a_read_only_folder_is_read_and_not_written(void **state)
{
    const struct temp_dir *dir = *state;
    struct hf_buf out = {0};
    struct hf_why why = {0};
    fill_and_close(state);
    assert_int_equal(chmod(dir->path, 0500), 0);
    temp_become_nobody(dir->path);

    struct hf_sqlite_store *store = open_at(dir->path, false);
    struct hf_store_port port = hf_sqlite_store_port(store);
    assert_int_equal(version_in(store, HF_SLOT_ACTIVE, content_b), 2);
    assert_writes_refused(store, HF_E_STORAGE, "cannot be written");
    CHECK_OK(port.load_metadata(port.ctx, "root", &out, &why));
    assert_string_equal((const char *)out.data, "{}");
    hf_buf_free(&out);
    hf_sqlite_store_close(store);
    temp_become_root_again();
    assert_int_equal(chmod(dir->path, 0700), 0);
}

static void a_full_disk_is_called_that_and_takes_back_everything(void **state)
{
    struct hf_sqlite_store *store = create_in(state);
    struct hf_store_port port = hf_sqlite_store_port(store);
    struct hf_buf big = {0};
    struct hf_buf out = {0};
    struct hf_why why = {0};
    activate(store, 1, content_a);
    CHECK_OK(hf_buf_reserve(&big, 200000));
    memset(big.data, 'x', 200000);

    assert_int_equal(sqlite3_exec(store->db, "PRAGMA max_page_count = 20", NULL, NULL, NULL), 0);
    CHECK_OK(port.begin(port.ctx, &why));
    CHECK_OK(port.save_value(port.ctx, "name", "value", &why));
    CHECK_REFUSED(port.save_metadata(port.ctx, "targets", 1, (struct hf_bytes){big.data, 200000},
                                     &why),
                  HF_E_STORAGE, &why, "is full; free some space and try again");
    port.abort(port.ctx);
    assert_int_equal(port.load_metadata(port.ctx, "targets", &out, NULL), HF_E_NOT_FOUND);
    assert_int_equal(port.load_value(port.ctx, "name", &out, NULL), HF_E_NOT_FOUND);
    CHECK_OK(port.save_value(port.ctx, "name", "small", &why));
    assert_int_equal(version_in(store, HF_SLOT_ACTIVE, content_a), 1);
    hf_buf_free(&big);
    hf_sqlite_store_close(store);
}

int main(void)
{
#define IN_TEMP(test) cmocka_unit_test_setup_teardown(test, temp_dir_setup, temp_dir_teardown)
    const struct CMUnitTest tests[] = {
        IN_TEMP(a_new_store_is_empty_and_for_its_owner_only),
        IN_TEMP(a_folder_that_was_never_initialised_is_not_found),
        IN_TEMP(metadata_is_kept_byte_for_byte_newest_only),
        IN_TEMP(a_value_is_replaced_and_has_a_limit),
        IN_TEMP(the_journal_keeps_the_newest_thousand_lines),
        IN_TEMP(what_is_aborted_never_was),
        IN_TEMP(transactions_are_not_nested),
        IN_TEMP(a_database_in_use_by_another_is_called_busy),
        IN_TEMP(a_staged_bundle_is_durable_but_inert),
        IN_TEMP(activation_moves_slots_and_links_and_removes_what_is_unused),
        IN_TEMP(nothing_staged_is_nothing_to_activate),
        IN_TEMP(a_bundle_whose_hash_lies_is_not_staged),
        IN_TEMP(two_versions_of_one_content_are_told_apart_without_the_database),
        IN_TEMP(a_cut_after_any_step_leaves_old_or_new),
        IN_TEMP(a_commit_torn_in_the_log_never_was),
        IN_TEMP(links_and_files_are_put_right_at_the_next_open),
        IN_TEMP(a_link_in_place_of_the_bundle_folder_is_not_followed),
        IN_TEMP(whoever_holds_the_lock_puts_right_and_others_leave_it),
        IN_TEMP(a_database_that_is_garbage_leaves_the_bundles_in_use),
        IN_TEMP(a_database_with_damaged_pages_leaves_the_bundles_in_use),
        IN_TEMP(an_empty_database_leaves_the_bundles_in_use),
        IN_TEMP(a_lost_database_leaves_the_bundles_in_use),
        IN_TEMP(a_newer_schema_is_not_touched),
        IN_TEMP(a_damaged_file_is_not_taken_for_a_bundle),
        IN_TEMP(a_link_out_of_the_folder_is_not_followed),
        IN_TEMP(a_row_that_rots_is_replaced_by_its_file),
        IN_TEMP(rows_that_rot_are_mended_from_their_files),
        IN_TEMP(a_row_is_not_mended_from_the_file_of_another_version),
        IN_TEMP(a_read_only_folder_is_read_and_not_written),
        IN_TEMP(a_full_disk_is_called_that_and_takes_back_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
