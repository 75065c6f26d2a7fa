/*
 * The power goes at every operation on the disk in turn, of SQLite's and of our own: the device comes
 * back with the old trust store or the new one, whole, and the next update succeeds.
 *
 * Everything is the real thing (hf_posix, SQLite, files) but the network, the on-swap command and
 * the disk's power; see README.md.
 */
#include "tests/support/check.h"
#include "tests/support/cut_disk.h"
#include "tests/support/cut_vfs.h"
#include "tests/support/fake_transport.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_pki.h"
#include "tests/support/tuf_repo.h"

#include "client/port/posix/bundle_files.h"
#include "client/port/posix/on_swap.h"
#include "client/port/posix/posix_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#define URL "http://a.test/repo"
#define SET "amazon-iot"
#define PROFILE "full"
#define NONE (-1)
#define ROOTS_BYTES_MAX 8192

/* What is lost (cut_disk.h). A seed costs ten seconds under a sanitizer, so that CI makes do with
 * "all of it" and a throw of the dice; the long run begins with the same two. */
static const uint64_t seeds_short[] = {0, 2};
#define N_SEEDS_SHORT (sizeof seeds_short / sizeof seeds_short[0])
#define N_SEEDS_LONG 100

/* ---- the world ---------------------------------------------------------------------------------------- */

/* What one version is to be, wherever it is found. */
struct wanted {
    struct hf_buf pem;              /* as published */
    char exported[ROOTS_BYTES_MAX]; /* as programs read it */
};

static struct world {
    struct temp_dir *dir;
    struct tuf_repo repo;
    struct fake_transport transport;
    struct wanted versions[4]; /* by version; 0 is not used */
    int64_t old_version;
    int64_t new_version;
    enum hf_err (*work)(struct hf_why *why); /* what is cut */
    bool awaits_confirm;                     /* the application has its say */
    bool has_rotted;                         /* the database is damaged where it begins */
    int64_t told_version;                    /* what the on-swap command was told last */
    unsigned n_cuts;
    unsigned n_old;
    unsigned n_new;
} world;

struct hf_transport_port __wrap_hf_http_transport_port(struct hf_http_transport *transport);
struct hf_transport_port __wrap_hf_http_transport_port(struct hf_http_transport *transport)
{
    (void)transport;
    return fake_transport_port(&world.transport);
}

enum hf_err __wrap_hf_on_swap_run(const char *command, const struct hf_swap_notice *notice,
                                  unsigned timeout_ms, struct hf_why *why);
enum hf_err __wrap_hf_on_swap_run(const char *command, const struct hf_swap_notice *notice,
                                  unsigned timeout_ms, struct hf_why *why)
{
    (void)timeout_ms;
    (void)why;
    assert_string_equal(command, "tell the broker");
    world.told_version = strtoll(notice->new_version, NULL, 10);
    return HF_OK;
}

static const char *state_dir(void)
{
    return temp_path(world.dir, "device");
}

static const char *export_file(void)
{
    return temp_path(world.dir, "roots/roots.pem");
}

/* ---- the publisher ------------------------------------------------------------------------------------- */

/* Big enough to go over several pages of the database. */
static void make_roots(int64_t version, int n_roots, struct hf_buf *pem)
{
    char subject[80];
    struct pki_key key;

    pki_key_make(&key, PKI_P256);
    for (int i = 0; i < n_roots; i++) {
        (void)snprintf(subject, sizeof subject, "CN=Root %d of version %lld", i,
                       (long long)version);
        struct pki_cert cert = {.subject = subject, .key = &key, .is_ca = true};
        pki_issue_pem(&cert, pem);
    }
    pki_key_free(&key);
}

static void publish(int64_t version)
{
    char path[80];
    struct wanted *wanted = &world.versions[version];

    make_roots(version, 4 + (int)version, &wanted->pem);
    json_t *custom = json_pack("{s:{s:s, s:s, s:I}}", "holdfast", "set", SET, "profile", PROFILE,
                               "version", (json_int_t)version);
    (void)snprintf(path, sizeof path, SET "/" PROFILE "/%lld.pem", (long long)version);
    tuf_repo_add_target(&world.repo, path, hf_buf_bytes(&wanted->pem), custom);
    tuf_repo_publish_next(&world.repo);
}

/* ---- the device ------------------------------------------------------------------------------------------ */

static enum hf_err init(struct hf_why *why)
{
    static const char *const urls[] = {URL};
    struct hf_posix_config config = {
        .client = {.urls = urls,
                   .n_urls = 1,
                   .set = SET,
                   .profile = PROFILE,
                   .awaits_confirm = world.awaits_confirm},
        .device_id = "crash-test",
        .export_file = export_file(),
        .on_swap = "tell the broker",
    };
    struct hf_bytes root = tuf_files_find(&world.repo.files, "metadata/1.root.json");
    return hf_posix_init(state_dir(), &config, root, (struct hf_bytes){0}, (struct hf_log_port){0},
                         why);
}

static enum hf_err update(struct hf_why *why)
{
    struct hf_posix *posix = NULL;
    struct hf_update_result result = {0};

    fake_transport_forget(&world.transport);
    HF_TRY(hf_posix_open(state_dir(), (struct hf_log_port){0}, &posix, why));
    enum hf_err err = hf_posix_update(posix, &result, why);
    hf_posix_close(posix);
    return err;
}

/* The application says that it cannot work with the bundle on trial. */
static enum hf_err reject(struct hf_why *why)
{
    struct hf_posix *posix = NULL;

    HF_TRY(hf_posix_open(state_dir(), (struct hf_log_port){0}, &posix, why));
    enum hf_err err = hf_posix_reject(posix, "no connection to the broker", why);
    hf_posix_close(posix);
    return err;
}

/* ---- what is there ----------------------------------------------------------------------------------------- */

/* What `slot` holds, and its files say the same. */
static int64_t version_in(struct hf_posix *posix, enum hf_slot slot)
{
    struct hf_store_port store = hf_sqlite_store_port(posix->store);
    struct hf_bundle_record row = {0};
    struct hf_bundle_record file = {0};
    struct hf_why why = {0};

    enum hf_err err = store.load_bundle(store.ctx, slot, &row, &why);
    if (err == HF_E_NOT_FOUND) {
        assert_int_equal(hf_bundle_files_load(state_dir(), slot, &file, NULL), HF_E_NOT_FOUND);
        return NONE;
    }
    CHECK_OK(err);
    assert_true(row.version == 1 || row.version == 2 || row.version == 3);
    assert_true(
        hf_bytes_equal(hf_buf_bytes(&row.pem), hf_buf_bytes(&world.versions[row.version].pem)));
    if (hf_bundle_files_load(state_dir(), slot, &file, &why) != HF_OK)
        fail_msg("the files of slot %d: %s", (int)slot, why.text);
    assert_int_equal(file.version, row.version);
    assert_true(hf_bytes_equal(hf_buf_bytes(&file.pem), hf_buf_bytes(&row.pem)));
    int64_t version = row.version;
    hf_bundle_record_free(&row);
    hf_bundle_record_free(&file);
    return version;
}

static bool is_staged(struct hf_posix *posix)
{
    struct hf_store_port store = hf_sqlite_store_port(posix->store);
    struct hf_bundle_record row = {0};

    bool is_there = store.load_bundle(store.ctx, HF_SLOT_STAGED, &row, NULL) == HF_OK;
    hf_bundle_record_free(&row);
    return is_there;
}

/* Which version other programs read; every byte of it. */
static int64_t exported_version(void)
{
    if (!temp_exists(export_file()))
        return NONE;
    const char *found = temp_read(export_file());
    for (int64_t version = 1; version <= 3; version++) {
        if (strcmp(found, world.versions[version].exported) == 0)
            return version;
    }
    fail_msg("the export is no version, it has %zu bytes", strlen(found));
    return NONE;
}

struct device {
    int64_t active;
    bool has_staged;
    int64_t root, timestamp, targets;
};

static struct device look_at(struct hf_posix *posix)
{
    struct hf_status status = {0};
    struct hf_why why = {0};

    CHECK_OK(hf_client_status(hf_posix_client(posix), &status, &why));
    struct device found = {
        .active = version_in(posix, HF_SLOT_ACTIVE),
        .has_staged = is_staged(posix),
        .root = status.root.version,
        .timestamp = status.timestamp.version,
        .targets = status.targets.version,
    };
    assert_int_equal(status.active.is_present ? status.active.version : NONE, found.active);
    hf_status_free(&status);
    return found;
}

/* After a power cut the device must come up able to write, whatever was lost. */
static struct hf_posix *come_up(void)
{
    struct hf_posix *posix = NULL;
    struct hf_why why = {0};

    if (hf_posix_open(state_dir(), (struct hf_log_port){0}, &posix, &why) != HF_OK ||
        hf_posix_is_writable(posix, &why) != HF_OK)
        fail_msg("after the cut: %s", why.text);
    return posix;
}

static struct device look(void)
{
    struct hf_posix *posix = come_up();
    struct device found = look_at(posix);
    hf_posix_close(posix);
    return found;
}

static struct device update_and_look(void)
{
    struct hf_posix *posix = come_up();
    struct hf_update_result result = {0};
    struct hf_why why = {0};

    fake_transport_forget(&world.transport);
    if (hf_posix_update(posix, &result, &why) != HF_OK)
        fail_msg("the next update failed: %s", why.text);
    struct device found = look_at(posix);
    hf_posix_close(posix);
    return found;
}

/* ---- one cut ------------------------------------------------------------------------------------------------ */

/* Nobody was told, and nothing was exported, that a power cut could take back. */
static void check_after_cut(void)
{
    int64_t exported = exported_version();
    struct device found = look();

    assert_true(found.active == world.old_version || found.active == world.new_version);
    assert_true(exported == world.old_version || exported == world.new_version);
    if (world.told_version == world.new_version || exported == world.new_version)
        assert_int_equal(found.active, world.new_version);
    world.n_old += found.active == world.old_version;
    world.n_new += found.active == world.new_version;
}

/* A power cut right after it takes back nothing: not even the versions that floors are made of. */
static void check_after_finish(void)
{
    struct device found = look();

    assert_int_equal(found.active, world.new_version);
    assert_int_equal(exported_version(), world.new_version);
    assert_int_equal(found.root, world.repo.roles[HF_ROLE_ROOT].version);
    assert_int_equal(found.timestamp, world.repo.roles[HF_ROLE_TIMESTAMP].version);
    assert_int_equal(found.targets, world.repo.roles[HF_ROLE_TARGETS].version);
}

static void check_next_update(void)
{
    struct hf_why why = {0};

    if (world.work == reject && look().active == world.old_version)
        CHECK_OK(reject(&why));
    struct device found = update_and_look();
    assert_int_equal(found.active, world.new_version);
    assert_int_equal(exported_version(), world.new_version);
    assert_int_equal(world.told_version, world.new_version);
    /* Two bundles with a .json each, two links; where version 1 is all there is, one of each. */
    assert_int_equal(temp_count(temp_path(world.dir, "device/bundles")),
                     world.new_version == 1 ? 3 : 6);
    /* No power cut is taken for damage, and none loses what was damaged. */
    assert_true(temp_exists(temp_path(world.dir, "device/holdfast.db.damaged")) ==
                world.has_rotted);
}

/* True when the update came to its end before operation `cut`. */
static bool cut_update_at(const struct disk_image *start, unsigned cut, uint64_t seed)
{
    struct hf_why why = {0};

    disk_image_write(world.dir->path, start);
    world.told_version = world.old_version;
    cut_disk_begin(world.dir->path, cut, seed);
    enum hf_err err = world.work(&why);
    bool is_finished = !cut_disk_is_off();
    if (is_finished) {
        CHECK_OK(err);
        cut_disk_check_complete();
    }
    cut_disk_reboot();
    return is_finished;
}

static unsigned n_seeds(void)
{
    return getenv("HOLDFAST_LONG") != NULL ? N_SEEDS_LONG : N_SEEDS_SHORT;
}

static uint64_t seed_of(unsigned i)
{
    return i < N_SEEDS_SHORT ? seeds_short[i] : i == N_SEEDS_SHORT ? 1 : i;
}

/* Cut at the first operation, the second, … until there is nothing left to cut. How many there are. */
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
    }
    world.n_cuts += cut - 1;
    return cut - 1;
}

static void cut_with_all_seeds(const char *what, const struct disk_image *start,
                               unsigned points_min)
{
    unsigned n_points = 0;

    world.n_cuts = world.n_old = world.n_new = 0;
    for (unsigned i = 0; i < n_seeds(); i++)
        n_points = cut_everywhere(start, seed_of(i));
    print_message("%s: %u operations, each cut with %u seeds: %u cuts, afterwards %u old, %u new\n",
                  what, n_points, n_seeds(), world.n_cuts, world.n_old, world.n_new);
    assert_true(n_points >= points_min);
    assert_true(world.n_old > 0 && world.n_new > 0);
}

/* ---- where it begins ---------------------------------------------------------------------------------------- */

static void remember_export(int64_t version)
{
    struct wanted *wanted = &world.versions[version];
    (void)snprintf(wanted->exported, sizeof wanted->exported, "%s", temp_read(export_file()));
}

static void init_device(void)
{
    struct hf_why why = {0};
    if (init(&why) != HF_OK)
        fail_msg("%s", why.text);
}

/* What every version looks like to other programs, told by a device that nothing happens to. */
static void update_to(int64_t version)
{
    publish(version);
    assert_int_equal(update_and_look().active, version);
    remember_export(version);
}

static void start_from(struct disk_image *start, int64_t old_version, int64_t new_version)
{
    disk_image_read(world.dir->path, start);
    world.old_version = old_version;
    world.new_version = new_version;
}

/* A device at version 1; version 2 is there, with new online keys and new targets keys. */
static void start_an_update(struct disk_image *start)
{
    init_device();
    update_to(1);
    start_from(start, 1, 2);
    tuf_repo_rotate(&world.repo, HF_ROLE_TIMESTAMP);
    tuf_repo_rotate(&world.repo, HF_ROLE_TARGETS);
    update_to(2);
}

static void the_first_update(void **state)
{
    struct disk_image start = {0};

    (void)state;
    init_device();
    start_from(&start, NONE, 1);
    update_to(1);
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
    init_device();
    update_to(1);
    start_from(&start, 1, 1);
    tuf_repo_publish_next(&world.repo);
    cut_with_all_seeds("update without a new bundle", &start, 10);
    disk_image_free(&start);
}

/* Cut where a bundle is staged and not active; from there, cut everywhere again. */
static void an_update_after_an_interrupted_stage(void **state)
{
    struct disk_image start = {0};
    struct disk_image staged = {0};
    struct device found = {0};

    (void)state;
    start_an_update(&start);
    for (unsigned cut = 1; !found.has_staged; cut++) {
        assert_false(cut_update_at(&start, cut, 1));
        found = look();
    }
    assert_int_equal(found.active, 1);
    start_from(&staged, 1, 2);
    cut_with_all_seeds("update after an interrupted stage", &staged, 20);
    disk_image_free(&start);
    disk_image_free(&staged);
}

/* Lines in the journal until the log is as long as it gets, so that the update folds it in. */
static void fill_the_log(void)
{
    struct hf_sqlite_store *store = NULL;
    struct hf_event event = {1, HF_LEVEL_INFO, "test", "a line that makes the log longer"};
    struct stat st = {0};

    CHECK_OK(hf_sqlite_store_open(state_dir(), false, &store, NULL));
    struct hf_store_port port = hf_sqlite_store_port(store);
    while (st.st_size < 245 * 4120) {
        CHECK_OK(port.append_event(port.ctx, &event, NULL));
        assert_int_equal(stat(temp_path(world.dir, "device/holdfast.db-wal"), &st), 0);
    }
    hf_sqlite_store_close(store);
}

static void an_update_that_folds_in_the_log(void **state)
{
    struct disk_image start = {0};

    (void)state;
    init_device();
    update_to(1);
    fill_the_log();
    start_from(&start, 1, 2);
    update_to(2);
    cut_with_all_seeds("update that folds in the log", &start, 60);
    disk_image_free(&start);
}

/* Back to the bundle before, which stays: the rejected one is not taken again. */
static void a_rejection(void **state)
{
    struct disk_image start = {0};

    (void)state;
    world.awaits_confirm = true;
    init_device();
    update_to(1);
    update_to(2);
    start_from(&start, 2, 1);
    world.work = reject;
    cut_with_all_seeds("rejection of a bundle on trial", &start, 20);
    disk_image_free(&start);
}

/* The copy comes in its place, and the update goes on from there. */
static void an_update_of_a_device_whose_database_has_rotted(void **state)
{
    struct disk_image start = {0};

    (void)state;
    init_device();
    update_to(1);
    struct disk_image sound = {0};
    disk_image_read(world.dir->path, &sound);
    update_to(2);
    disk_image_write(world.dir->path, &sound);
    /* In the middle of its log, so that the frames before would spoil the copy if they stayed. */
    const char *log = temp_path(world.dir, "device/holdfast.db-wal");
    struct stat st = {0};
    assert_int_equal(stat(log, &st), 0);
    temp_overwrite(log, st.st_size / 2, "rotten", 6);
    world.has_rotted = true;
    start_from(&start, 1, 2);
    cut_with_all_seeds("update of a device whose database has rotted", &start, 70);
    disk_image_free(&start);
    disk_image_free(&sound);
}

/* ---- init ------------------------------------------------------------------------------------------------------ */

/* Initialised or not, nothing between; and if not, it can be done again. */
static bool cut_init_at(const struct disk_image *start, unsigned cut, uint64_t seed)
{
    struct hf_posix *posix = NULL;
    struct hf_why why = {0};

    disk_image_write(world.dir->path, start);
    cut_disk_begin(world.dir->path, cut, seed);
    enum hf_err err = init(&why);
    bool is_finished = !cut_disk_is_off();
    if (is_finished)
        cut_disk_check_complete();
    cut_disk_reboot();
    enum hf_err opened = hf_posix_open(state_dir(), (struct hf_log_port){0}, &posix, &why);
    hf_posix_close(posix);
    if (is_finished)
        CHECK_OK(err);
    if (is_finished || opened != HF_E_NOT_FOUND)
        CHECK_OK(opened);
    else
        init_device();
    world.n_old += opened == HF_E_NOT_FOUND;
    world.n_new += opened == HF_OK;
    return is_finished;
}

static void an_init(void **state)
{
    struct disk_image start = {0};
    unsigned cut = 0;

    (void)state;
    disk_image_read(world.dir->path, &start);
    publish(1);
    for (unsigned i = 0; i < n_seeds(); i++) {
        bool is_finished = false;
        for (cut = 0; !is_finished;) {
            is_finished = cut_init_at(&start, ++cut, seed_of(i));
            assert_int_equal(update_and_look().active, 1);
        }
    }
    print_message("init: %u operations, each cut with %u seeds, afterwards %u times not "
                  "initialised\n",
                  cut - 1, n_seeds(), world.n_old);
    assert_true(cut - 1 >= 20);
    assert_true(world.n_old > 0 && world.n_new > 0);
    disk_image_free(&start);
}

/* ---- all ------------------------------------------------------------------------------------------------------- */

static int setup(void **state)
{
    world = (struct world){.work = update};
    temp_dir_setup(state);
    world.dir = *state;
    cut_vfs_register();
    assert_int_equal(mkdir(temp_path(world.dir, "roots"), 0700), 0);
    tuf_repo_init(&world.repo, (int64_t)time(NULL) - 86400);
    tuf_repo_publish_root(&world.repo);
    fake_transport_add(&world.transport, URL, &world.repo.files);
    return 0;
}

static int teardown(void **state)
{
    for (size_t i = 0; i < sizeof world.versions / sizeof world.versions[0]; i++)
        hf_buf_free(&world.versions[i].pem);
    fake_transport_free(&world.transport);
    tuf_repo_free(&world.repo);
    return temp_dir_teardown(state);
}

int main(void)
{
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_WORLD(an_init),
        IN_WORLD(the_first_update),
        IN_WORLD(an_update),
        IN_WORLD(an_update_without_a_new_bundle),
        IN_WORLD(an_update_after_an_interrupted_stage),
        IN_WORLD(an_update_that_folds_in_the_log),
        IN_WORLD(a_rejection),
        IN_WORLD(an_update_of_a_device_whose_database_has_rotted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
