/*
 * The power goes at every operation on the disk in turn, of SQLite's and of our own: the device
 * comes back with the old trust store or the new one, whole, and the next update succeeds.
 *
 * Everything is the real thing (hf_posix, SQLite, files) but the network, the on-swap command and
 * the disk's power; see README.md.
 */
#include "tests/support/check.h"
#include "tests/support/cut_disk.h"
#include "tests/support/cut_world.h"

#include <holdfast/posix.h>

#include "client/port/posix/db.h"
#include "client/port/posix/sqlite_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define N_SEEDS_LONG 100u /* the short run cuts each operation once: CUT_IN_TURN */

/* What is cut, and how it went. */
static struct run {
    int64_t old_version;
    int64_t new_version;
    enum hf_err (*work)(struct hf_why *why);
    bool has_rotted; /* the database is damaged where it begins */
    size_t n_lines;  /* of the journal, where it begins */
    unsigned n_cuts;
    unsigned n_old;
    unsigned n_new;
} run;

/* ---- one cut --------------------------------------------------------------------------------- */

/* No program was notified of, and no export contains, what a power cut could take back. */
static void check_after_cut(void)
{
    int64_t exported = cut_exported_version();
    struct cut_found found = cut_look();

    assert_true(found.active == run.old_version || found.active == run.new_version);
    assert_true(exported == run.old_version || exported == run.new_version);
    if (cut_world.told_version == run.new_version || exported == run.new_version)
        assert_int_equal(found.active, run.new_version);
    run.n_old += found.active == run.old_version;
    run.n_new += found.active == run.new_version;
}

/* A power cut right after it takes back nothing: not even the versions that floors are made of. */
static void check_after_finish(void)
{
    struct cut_found found = cut_look();

    assert_int_equal(found.active, run.new_version);
    assert_int_equal(cut_exported_version(), run.new_version);
    assert_int_equal(found.root, cut_world.repo.roles[HF_ROLE_ROOT].version);
    assert_int_equal(found.timestamp, cut_world.repo.roles[HF_ROLE_TIMESTAMP].version);
    assert_int_equal(found.targets, cut_world.repo.roles[HF_ROLE_TARGETS].version);
}

static void check_next_update(void)
{
    struct hf_why why = {0};

    if (run.work == cut_reject && cut_look().active == run.old_version)
        CHECK_OK(cut_reject(&why));
    struct cut_found found = cut_update_and_look();
    assert_int_equal(found.active, run.new_version);
    assert_int_equal(cut_exported_version(), run.new_version);
    assert_int_equal(cut_world.told_version, run.new_version);
    /* No report is lost, whenever the power went. */
    assert_true(run.new_version == run.old_version || cut_reports_has(run.new_version));
    if (!run.has_rotted) /* a copy of the database may lack lines */
        cut_reports_check_journal(run.n_lines);
    /* Two bundles with a .json each, two links; where version 1 is all there is, one of each. And
     * the list of revoked keys. */
    assert_int_equal(temp_count(temp_path(cut_world.dir, "device/bundles")),
                     run.new_version == 1 ? 4 : 7);
    /* No power cut is taken for damage, and none loses what was damaged. */
    assert_true(temp_exists(temp_path(cut_world.dir, "device/holdfast.db.damaged")) ==
                run.has_rotted);
}

/* True when the update came to its end before operation `cut`. */
static bool cut_update_at(const struct disk_image *start, unsigned cut, uint64_t seed)
{
    struct hf_why why = {0};

    disk_image_write(cut_world.dir->path, start);
    cut_reports_forget();
    cut_world.told_version = run.old_version;
    cut_disk_begin(cut_world.dir->path, cut, seed);
    enum hf_err err = run.work(&why);
    bool is_finished = !cut_disk_is_off();
    if (is_finished) {
        CHECK_OK(err);
        cut_disk_check_complete();
    }
    cut_disk_reboot();
    return is_finished;
}

static bool is_long(void)
{
    return getenv("HOLDFAST_LONG") != NULL;
}

static unsigned n_seeds(void)
{
    return is_long() ? N_SEEDS_LONG : 1;
}

static uint64_t seed_of(unsigned i)
{
    return is_long() ? i : CUT_IN_TURN;
}

/* Cut at the first operation, the second, … until there is nothing left to cut. How many there
 * are. */
static unsigned cut_everywhere(const struct disk_image *start, uint64_t seed)
{
    bool is_finished = false;
    unsigned cut = 0;

    while (!is_finished) {
        is_finished = cut_update_at(start, ++cut, seed);
        if (is_finished)
            check_after_finish();
        else
            check_after_cut();
        check_next_update();
        run.n_cuts += !is_finished;
    }
    return cut - 1;
}

static void cut_with_all_seeds(const char *what, const struct disk_image *start,
                               unsigned points_min)
{
    unsigned n_points = 0;

    run.n_cuts = run.n_old = run.n_new = 0;
    for (unsigned i = 0; i < n_seeds(); i++) {
        unsigned n = cut_everywhere(start, seed_of(i));
        n_points = i == 0 ? n : n_points;
    }
    print_message("%s: %u operations, %u seeds: %u cuts, afterwards %u old, %u new\n", what,
                  n_points, n_seeds(), run.n_cuts, run.n_old, run.n_new);
    assert_true(n_points >= points_min);
    assert_true(run.n_old > 0 && run.n_new > 0);
}

/* ---- where it begins ------------------------------------------------------------------------- */

static void start_from(struct disk_image *start, int64_t old_version, int64_t new_version)
{
    disk_image_read(cut_world.dir->path, start);
    run.old_version = old_version;
    run.new_version = new_version;
    run.n_lines = temp_exists(temp_path(cut_world.dir, "device/holdfast.db")) ? cut_journal_lines()
                                                                              : 0;
}

/* A device at version 1; version 2 is there, with new online keys and new targets keys. */
static void start_an_update(struct disk_image *start)
{
    cut_init_device();
    cut_update_to(1);
    start_from(start, 1, 2);
    tuf_repo_rotate(&cut_world.repo, HF_ROLE_TIMESTAMP);
    tuf_repo_rotate(&cut_world.repo, HF_ROLE_TARGETS);
    cut_update_to(2);
}

static void the_first_update(void **state)
{
    struct disk_image start = {0};

    (void)state;
    cut_init_device();
    start_from(&start, CUT_NO_VERSION, 1);
    cut_update_to(1);
    cut_with_all_seeds("first update", &start, 50);
    disk_image_free(&start);
}

static void an_update(void **state)
{
    struct disk_image start = {0};

    (void)state;
    start_an_update(&start);
    cut_with_all_seeds("update", &start, 50);
    disk_image_free(&start);
}

/* Nothing but newer metadata: it is synced although nothing is activated. */
static void an_update_without_a_new_bundle(void **state)
{
    struct disk_image start = {0};

    (void)state;
    cut_init_device();
    cut_update_to(1);
    start_from(&start, 1, 1);
    tuf_repo_publish_next(&cut_world.repo);
    cut_with_all_seeds("update without a new bundle", &start, 10);
    disk_image_free(&start);
}

/* Lines in the journal until the log is as long as it gets, so that the update folds it in. */
static void fill_the_log(void)
{
    struct hf_sqlite_store *store = NULL;
    struct hf_event event = {1, HF_LEVEL_INFO, "test", "a line that makes the log longer"};
    struct stat st = {0};

    CHECK_OK(hf_sqlite_store_open(cut_state_dir(), false, &store, NULL));
    struct hf_store_port port = hf_sqlite_store_port(store);
    while (st.st_size < 245 * 4120) {
        CHECK_OK(port.append_event(port.ctx, &event, NULL));
        assert_int_equal(stat(temp_path(cut_world.dir, "device/holdfast.db-wal"), &st), 0);
    }
    hf_sqlite_store_close(store);
}

static void an_update_that_folds_in_the_log(void **state)
{
    struct disk_image start = {0};

    (void)state;
    cut_init_device();
    cut_update_to(1);
    fill_the_log();
    start_from(&start, 1, 2);
    cut_update_to(2);
    cut_with_all_seeds("update that folds in the log", &start, 60);
    disk_image_free(&start);
}

/* Back to the bundle before, which stays: the rejected one is not taken again. */
static void a_rejection(void **state)
{
    struct disk_image start = {0};

    (void)state;
    cut_world.awaits_confirm = true;
    cut_init_device();
    cut_update_to(1);
    cut_update_to(2);
    start_from(&start, 2, 1);
    run.work = cut_reject;
    cut_with_all_seeds("rejection of a bundle on trial", &start, 20);
    disk_image_free(&start);
}

/* The copy comes in its place, and the update goes on from there. */
static void an_update_of_a_device_whose_database_has_rotted(void **state)
{
    struct disk_image start = {0};

    (void)state;
    cut_init_device();
    cut_update_to(1);
    struct disk_image sound = {0};
    disk_image_read(cut_world.dir->path, &sound);
    cut_update_to(2);
    disk_image_write(cut_world.dir->path, &sound);
    /* In the middle of its log, so that the frames before would spoil the copy if they stayed. */
    const char *log = temp_path(cut_world.dir, "device/holdfast.db-wal");
    struct stat st = {0};
    assert_int_equal(stat(log, &st), 0);
    temp_overwrite(log, st.st_size / 2, "rotten", 6);
    run.has_rotted = true;
    start_from(&start, 1, 2);
    cut_with_all_seeds("update of a device whose database has rotted", &start, 70);
    disk_image_free(&start);
    disk_image_free(&sound);
}

/* That row alone comes from the copy. */
static void an_update_of_a_device_whose_root_metadata_has_rotted(void **state)
{
    struct disk_image start = {0};
    struct hf_why why = {0};
    sqlite3 *db = NULL;

    (void)state;
    cut_init_device();
    cut_update_to(1);
    struct disk_image sound = {0};
    disk_image_read(cut_world.dir->path, &sound);
    cut_update_to(2);
    disk_image_write(cut_world.dir->path, &sound);
    assert_int_equal(sqlite3_open(temp_path(cut_world.dir, "device/holdfast.db"), &db), SQLITE_OK);
    CHECK_OK(
        hf_db_exec(db, "UPDATE metadata SET bytes = x'7b7d' WHERE role = 'root'", "rot", &why));
    sqlite3_close(db);
    start_from(&start, 1, 2);
    cut_with_all_seeds("update of a device whose root metadata has rotted", &start, 70);
    disk_image_free(&start);
    disk_image_free(&sound);
}

/* ---- init ------------------------------------------------------------------------------------ */

/* Initialised or not, nothing between; and if not, it can be done again. */
static bool cut_init_at(const struct disk_image *start, unsigned cut, uint64_t seed)
{
    struct hf_posix *posix = NULL;
    struct hf_why why = {0};

    disk_image_write(cut_world.dir->path, start);
    cut_disk_begin(cut_world.dir->path, cut, seed);
    enum hf_err err = cut_init(&why);
    bool is_finished = !cut_disk_is_off();
    if (is_finished)
        cut_disk_check_complete();
    cut_disk_reboot();
    enum hf_err opened = hf_posix_open(cut_state_dir(), (struct hf_log_port){0}, &posix, &why);
    hf_posix_close(posix);
    if (is_finished)
        CHECK_OK(err);
    if (is_finished || opened != HF_E_NOT_FOUND)
        CHECK_OK(opened);
    else
        cut_init_device();
    run.n_old += opened == HF_E_NOT_FOUND;
    run.n_new += opened == HF_OK;
    return is_finished;
}

static void an_init(void **state)
{
    struct disk_image start = {0};
    unsigned cut = 0;

    (void)state;
    disk_image_read(cut_world.dir->path, &start);
    cut_publish(1);
    for (unsigned i = 0; i < n_seeds(); i++) {
        bool is_finished = false;
        for (cut = 0; !is_finished;) {
            is_finished = cut_init_at(&start, ++cut, seed_of(i));
            assert_int_equal(cut_update_and_look().active, 1);
        }
    }
    print_message("init: %u operations, each cut with %u seeds, afterwards %u times not "
                  "initialised\n",
                  cut - 1, n_seeds(), run.n_old);
    assert_true(cut - 1 >= 20);
    assert_true(run.n_old > 0 && run.n_new > 0);
    disk_image_free(&start);
}

/* ---- all ------------------------------------------------------------------------------------- */

static int setup(void **state)
{
    run = (struct run){.work = cut_update};
    return cut_world_setup(state);
}

int main(void)
{
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, cut_world_teardown)
    const struct CMUnitTest tests[] = {
        IN_WORLD(an_init),
        IN_WORLD(the_first_update),
        IN_WORLD(an_update),
        IN_WORLD(an_update_without_a_new_bundle),
        IN_WORLD(an_update_that_folds_in_the_log),
        IN_WORLD(a_rejection),
        IN_WORLD(an_update_of_a_device_whose_database_has_rotted),
        IN_WORLD(an_update_of_a_device_whose_root_metadata_has_rotted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
