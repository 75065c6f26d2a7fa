/*
 * Bits that flip on the disk, in the database as it lies there: the device gets home by itself, or
 * says what to do, and is never without anchors. SQLite has no checksums, so none of this is damage
 * to it.
 *
 * An update to a new bundle follows each flip. Everything is the real thing but the network and the
 * on-swap command, as in test_power_cut_vfs.c.
 */
#include "tests/support/check.h"
#include "tests/support/cut_world.h"
#include "tests/support/disk_image.h"

#include <holdfast/posix.h>

#include "client/port/posix/db.h"

#include <stdio.h>
#include <stdlib.h>

#define OLD 1
#define NEW 2

/* Every byte would take half an hour under a sanitizer, so every k-th has its turn. HOLDFAST_LONG=1
 * has them all. */
static size_t every(size_t k)
{
    return getenv("HOLDFAST_LONG") != NULL ? 1 : k;
}

static struct disk_image start;
static struct hf_bytes database;    /* in `start` */
static struct hf_buf old_timestamp; /* what is published under that name is newer */

/* ---- where it begins ------------------------------------------------------------------------- */

static const char *database_file(void)
{
    return temp_path(cut_world.dir, "device/holdfast.db");
}

/* What is in the log goes into the database, so that there is one place for each byte. */
static void fold_log_in(void)
{
    sqlite3 *db = NULL;
    struct hf_why why = {0};
    assert_int_equal(sqlite3_open(database_file(), &db), SQLITE_OK);
    CHECK_OK(hf_db_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", "test", &why));
    sqlite3_close(db);
}

static struct hf_bytes published(const char *path)
{
    struct hf_bytes file = tuf_files_find(&cut_world.repo.files, path);
    assert_non_null(file.data);
    return file;
}

/* A device at OLD, with NEW published. */
static int setup(void **state)
{
    cut_world_setup(state);
    cut_init_device();
    cut_update_to(OLD);
    struct hf_bytes timestamp = published("metadata/timestamp.json");
    CHECK_OK(hf_buf_append(&old_timestamp, timestamp.data, timestamp.len));
    /* How NEW looks to other programs is learnt by going there and back. */
    disk_image_read(cut_world.dir->path, &start);
    cut_update_to(NEW);
    disk_image_write(cut_world.dir->path, &start);
    cut_reports_forget();
    disk_image_free(&start);
    fold_log_in();
    disk_image_read(cut_world.dir->path, &start);
    database = hf_buf_bytes(&disk_image_find(&start, "device/holdfast.db")->content);
    return 0;
}

static int teardown(void **state)
{
    disk_image_free(&start);
    hf_buf_free(&old_timestamp);
    return cut_world_teardown(state);
}

/* ---- one flip -------------------------------------------------------------------------------- */

static void flip(size_t at)
{
    char byte = (char)(database.data[at] ^ (1U << (at % 8)));
    disk_image_write(cut_world.dir->path, &start);
    cut_reports_forget();
    temp_overwrite(database_file(), (long)at, &byte, 1);
}

static void check_all_is_well(void)
{
    struct cut_found found = cut_update_and_look();
    assert_int_equal(found.active, NEW);
    assert_int_equal(found.root, cut_world.repo.roles[HF_ROLE_ROOT].version);
    assert_int_equal(found.timestamp, cut_world.repo.roles[HF_ROLE_TIMESTAMP].version);
    assert_int_equal(found.targets, cut_world.repo.roles[HF_ROLE_TARGETS].version);
    assert_int_equal(cut_exported_version(), NEW);
}

/* Where `file` lies in the database. It lies there in one piece. */
static size_t place_of(struct hf_bytes file)
{
    const uint8_t *at = memmem(database.data, database.len, file.data, file.len);
    if (at == NULL)
        fail_msg("%zu bytes are not in the database in one piece", file.len);
    return (size_t)(at - database.data);
}

static void flip_through(const char *what, struct hf_bytes file, size_t k)
{
    size_t begin = place_of(file);
    unsigned n = 0;

    for (size_t i = 0; i < file.len; i += every(k), n++) {
        flip(begin + i);
        check_all_is_well();
    }
    print_message("%s: %zu bytes, %u flips, the device was updated after each\n", what, file.len,
                  n);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void check_is_sentence(size_t at, const struct hf_why *why, enum hf_err err)
{
    print_message("  byte %zu: %s\n", at, why->text);
    assert_int_equal(why->code, err);
    assert_true(strlen(why->text) > 20);
}

static void a_bit_in_the_root_metadata(void **state)
{
    (void)state;
    flip_through("root", published("metadata/1.root.json"), 7);
}

static void a_bit_in_the_other_metadata(void **state)
{
    (void)state;
    flip_through("timestamp", hf_buf_bytes(&old_timestamp), 29);
    flip_through("snapshot", published("metadata/2.snapshot.json"), 29);
    flip_through("targets", published("metadata/2.targets.json"), 29);
}

static void a_bit_in_the_active_bundle(void **state)
{
    (void)state;
    flip_through("bundle", hf_buf_bytes(&cut_world.versions[OLD].pem), 97);
}

/* SQLite takes a column for what it is called now. */
static void a_bit_in_the_schema(void **state)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    struct hf_why why = {0};

    (void)state;
    assert_int_equal(sqlite3_open(database_file(), &db), SQLITE_OK);
    CHECK_OK(hf_db_prepare(db, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL", "test", &stmt,
                           &why));
    struct hf_buf texts[32] = {0};
    size_t n = 0;
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        assert_true(n < 32);
        CHECK_OK(hf_db_column_append(stmt, 0, &texts[n++], &why));
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    for (size_t i = 0; i < n; i++) {
        flip_through("schema", hf_buf_bytes(&texts[i]), 61);
        hf_buf_free(&texts[i]);
    }
}

/* A value without a check, such as an address, looks correct when it is corrupt. Then there is an
 * error message, and the journal has it if it can be written. */
static void a_bit_anywhere(void **state)
{
    unsigned n_updated = 0, n_refused = 0;

    (void)state;
    for (size_t at = 0; at < database.len; at += every(499)) {
        struct hf_why why = {0};
        flip(at);
        enum hf_err err = cut_update(&why);
        if (err != HF_OK)
            check_is_sentence(at, &why, err);
        n_updated += err == HF_OK;
        n_refused += err != HF_OK;
    }
    print_message("anywhere: %zu bytes, %u updated, %u refused\n", database.len, n_updated,
                  n_refused);
    assert_true(n_updated > 20 * n_refused);
}

int main(void)
{
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_bit_in_the_root_metadata),
        IN_WORLD(a_bit_in_the_other_metadata),
        IN_WORLD(a_bit_in_the_active_bundle),
        IN_WORLD(a_bit_in_the_schema),
        IN_WORLD(a_bit_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
