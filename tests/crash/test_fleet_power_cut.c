/*
 * The power goes at every operation on the disk in turn while the fleet's store is at work: what
 * was answered is there afterwards, whole, and the log's chain verifies. See README.md.
 */
#include "tests/support/check.h"
#include "tests/support/cut_disk.h"
#include "tests/support/cut_vfs.h"
#include "tests/support/fleet_world.h"
#include "tests/support/whole_db.h"

#include "common/base/timetext.h"
#include "server/db/driver.h"
#include "server/db/migrate.h"
#include "server/db/sqlite_copy.h"
#include "server/fleet/device_view.h"
#include "server/fleet/report.h"
#include "server/fleet/report_row.h"
#include "server/fleet/restore.h"
#include "server/fleet/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define CERTIFICATES 6u
#define BATCHES 4u
#define REQUESTS 3u /* with reports, in a batch */
#define REPORTS 2u  /* of one request */
#define REPORT_BATCHES 2u
#define N_REPORTS (REPORT_BATCHES * REQUESTS * REPORTS)
#define DEVICE "pump-1" /* of the first certificate */

#define N_SEEDS_LONG 60u /* the short run cuts each operation once: CUT_IN_TURN */

static struct temp_dir *dir;

/* What the store has answered. A status that was not answered may be there or not. */
static struct known {
    int64_t account;
    int64_t ids[CERTIFICATES];
    enum hf_cert_status answered[CERTIFICATES];
    enum hf_cert_status under_way[CERTIFICATES];
    struct hf_audit_head log; /* the newest entry of an answered act */
    bool is_reported[N_REPORTS + 1];
} known;

static const char *path_of(const char *name)
{
    return temp_path(dir, name);
}

/* ---- a store, without threads ---------------------------------------------------------------- */

static enum hf_err prepare(void *ctx, struct hf_db *db, const struct hf_effects *effects,
                           struct hf_why *why)
{
    (void)ctx;
    (void)db;
    (void)effects;
    (void)why;
    return HF_OK;
}

static void apply(void *ctx, const struct hf_effects *effects)
{
    (void)ctx;
    (void)effects;
}

static void cancel(void *ctx)
{
    (void)ctx;
}

static const struct hf_effects_port no_port = {NULL, prepare, apply, cancel};

static enum hf_err open_store(struct hf_db **out, struct hf_why *why)
{
    struct hf_db *db = NULL;

    HF_TRY(hf_db_connect(&hf_db_sqlite, path_of("fleet.db"), HF_DB_CREATE, &db, why));
    enum hf_err err = hf_db_migrate(db, hf_fleet_migrations, hf_fleet_migrations_len, why);
    if (err == HF_OK)
        *out = db;
    else
        hf_db_close(db);
    return err;
}

static struct hf_db *open_surely(void)
{
    struct hf_why why = {0};
    struct hf_db *db = NULL;

    if (open_store(&db, &why) != HF_OK)
        fail_msg("%s", why.text);
    return db;
}

struct change {
    struct hf_job job;
    unsigned number;
    enum hf_cert_status status;
    struct hf_audit_head log; /* after the act */
};

static enum hf_err act(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    struct change *change = (struct change *)job;
    struct hf_credential row;

    HF_TRY(hf_credential_set_status(tx, known.account, known.ids[change->number], 0, change->status,
                                    "a power cut may come", &row, why));
    return hf_audit_log_head(tx->db, &change->log, why);
}

/* One batch that changes every certificate; what it answers is known from then on. False if it
 * failed. */
static bool run_batch(struct hf_writer *writer, enum hf_cert_status status)
{
    struct change changes[CERTIFICATES];
    struct hf_job_list batch = STAILQ_HEAD_INITIALIZER(batch);
    bool is_answered = true;

    for (unsigned i = 0; i < CERTIFICATES; i++) {
        changes[i] = (struct change){.number = i, .status = status};
        changes[i].job = (struct hf_job){.act = act, .actor = "uid:0"};
        STAILQ_INSERT_TAIL(&batch, &changes[i].job, link);
        known.under_way[i] = status;
    }
    hf_writer_run(writer, &batch);
    for (unsigned i = 0; i < CERTIFICATES; i++) {
        if (changes[i].job.err == HF_OK) {
            known.answered[i] = status;
            known.log = changes[i].log;
        }
        is_answered &= changes[i].job.err == HF_OK;
    }
    return is_answered;
}

/* ---- where it begins ------------------------------------------------------------------------- */

static void make_store(void)
{
    struct fleet_world w = {0};

    w.tx = (struct hf_tx){.db = open_surely(),
                          .now_s = FLEET_NOW_S,
                          .actor = "uid:0",
                          .effects = &w.effects};
    memset(&known, 0, sizeof known);
    known.account = fleet_account(&w, "one");
    for (unsigned i = 0; i < CERTIFICATES; i++) {
        struct hf_credential_new wanted = fleet_new(known.account, i);
        wanted.device = i == 0 ? DEVICE : NULL;
        known.ids[i] = fleet_register(&w, &wanted).id;
        known.answered[i] = known.under_way[i] = HF_CERT_ACTIVE;
    }
    CHECK_OK(hf_audit_log_head(w.tx.db, &known.log, &w.why));
    hf_effects_free(&w.effects);
    hf_db_close(w.tx.db);
}

/* ---- what must be there afterwards ----------------------------------------------------------- */

static enum hf_err check_entry(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_audit_entry *entry = data;
    (void)why;
    if (entry->sequence == known.log.sequence) {
        assert_memory_equal(entry->hash, known.log.hash, sizeof entry->hash);
        *(bool *)ctx = true;
    }
    return HF_OK;
}

static void check_store(void)
{
    struct hf_audit_copy copy;
    struct hf_why why = {0};
    bool has_answered = known.log.sequence == 0;
    struct hf_db *db = open_surely();

    check_db_is_whole(db);
    CHECK_OK(hf_audit_log_verify(db, NULL, &copy, &why));
    CHECK_OK(hf_audit_log_list(db, 0, 0, INT64_MAX, check_entry, &has_answered, &why));
    assert_true(has_answered);
    for (unsigned i = 0; i < CERTIFICATES; i++) {
        struct hf_credential row;
        CHECK_OK(hf_credential_get(db, known.account, known.ids[i], &row, &why));
        assert_true(row.status == known.answered[i] || row.status == known.under_way[i]);
    }
    hf_db_close(db);
}

/* The store goes on: a change after the power cut is answered. */
static void check_next_change(void)
{
    struct hf_writer writer = {.db = open_surely(), .port = no_port};

    assert_true(run_batch(&writer, HF_CERT_REVOKED));
    hf_writer_free(&writer);
    hf_db_close(writer.db);
    check_store();
}

/* ---- cutting everywhere ---------------------------------------------------------------------- */

/* Cut `work` at its first operation on the disk, its second, … until it comes to its end. */
static void cut_everywhere(const char *what, const struct disk_image *start, void (*work)(void),
                           void (*check)(void), unsigned points_min)
{
    const bool is_long = getenv("HOLDFAST_LONG") != NULL;
    const unsigned n_seeds = is_long ? N_SEEDS_LONG : 1;
    unsigned n_points = 0, n_cuts = 0;

    for (unsigned i = 0; i < n_seeds; i++) {
        bool is_finished = false;
        for (unsigned cut = 1; !is_finished; cut++) {
            const struct known before = known;
            disk_image_write(dir->path, start);
            cut_disk_begin(dir->path, cut, is_long ? i : CUT_IN_TURN);
            work();
            is_finished = !cut_disk_is_off();
            if (is_finished)
                cut_disk_check_complete();
            cut_disk_reboot();
            check();
            known = before;
            n_points = cut - 1 > n_points ? cut - 1 : n_points;
            n_cuts += !is_finished;
        }
    }
    print_message("%s: %u operations, %u seeds: %u cuts\n", what, n_points, n_seeds, n_cuts);
    assert_true(n_points >= points_min);
}

/* ---- changes --------------------------------------------------------------------------------- */

/* Several batches, and the end of the process, which folds the log into the database. */
static void change_statuses(void)
{
    struct hf_writer writer = {.port = no_port};

    if (open_store(&writer.db, NULL) != HF_OK)
        return;
    bool is_answered = true;
    for (unsigned i = 0; i < BATCHES && is_answered; i++)
        is_answered = run_batch(&writer, i % 2 == 0 ? HF_CERT_INACTIVE : HF_CERT_ACTIVE);
    hf_writer_free(&writer);
    hf_db_close(writer.db);
}

static void check_changes(void)
{
    check_store();
    check_next_change();
}

static void changes_that_were_answered_are_there(void **state)
{
    struct disk_image start = {0};

    (void)state;
    make_store();
    disk_image_read(dir->path, &start);
    cut_everywhere("changes of statuses", &start, change_statuses, check_changes, 20);
    disk_image_free(&start);
}

/* ---- reports --------------------------------------------------------------------------------- */

struct request {
    struct hf_job job;
    int64_t first; /* number of its first report */
    struct hf_report_answer answer;
};

static enum hf_err act_report(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    struct request *request = (struct request *)job;
    const struct hf_report_sender sender = {known.account, known.ids[0], 0};
    struct hf_report reports[REPORTS];
    bool is_conflict = false;

    for (unsigned i = 0; i < REPORTS; i++) {
        struct hf_report *r = &reports[i];
        *r = HF_REPORT_NOTHING;
        r->kind = HF_REPORT_FAILED;
        r->seq = request->first + i;
        (void)snprintf(r->device, sizeof r->device, DEVICE);
        (void)snprintf(r->installation, sizeof r->installation, "%032d", 1);
        (void)snprintf(r->kind_name, sizeof r->kind_name, "failed");
        (void)snprintf(r->set, sizeof r->set, "one");
        (void)snprintf(r->profile, sizeof r->profile, "full");
        (void)snprintf(r->text, sizeof r->text, "%d", (int)r->seq);
    }
    HF_TRY(hf_report_take(tx, &sender, reports, REPORTS, &request->answer, &is_conflict, why));
    assert_false(is_conflict);
    return HF_OK;
}

/* Some requests in one transaction; what it answers is known from then on. */
static bool report_batch(struct hf_writer *writer, unsigned batch)
{
    struct request requests[REQUESTS];
    struct hf_job_list list = STAILQ_HEAD_INITIALIZER(list);
    bool is_answered = true;

    for (unsigned i = 0; i < REQUESTS; i++) {
        requests[i] = (struct request){.first = 1 + (batch * REQUESTS + i) * REPORTS};
        requests[i].job = (struct hf_job){.act = act_report, .actor = "device:1"};
        STAILQ_INSERT_TAIL(&list, &requests[i].job, link);
    }
    hf_writer_run(writer, &list);
    for (unsigned i = 0; i < REQUESTS; i++) {
        bool is_ok = requests[i].job.err == HF_OK;
        for (unsigned k = 0; k < REPORTS; k++)
            known.is_reported[requests[i].first + k] |= is_ok;
        assert_true(!is_ok ||
                    requests[i].answer.accepted + requests[i].answer.duplicates == REPORTS);
        is_answered &= is_ok;
    }
    return is_answered;
}

static bool report_all(struct hf_writer *writer)
{
    bool is_answered = true;

    for (unsigned i = 0; i < REPORT_BATCHES && is_answered; i++)
        is_answered = report_batch(writer, i);
    return is_answered;
}

static void send_reports(void)
{
    struct hf_writer writer = {.port = no_port};

    if (open_store(&writer.db, NULL) != HF_OK)
        return;
    (void)report_all(&writer);
    hf_writer_free(&writer);
    hf_db_close(writer.db);
}

static enum hf_err count_report(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_report_row *row = data;
    unsigned *n = ctx;
    int number = 0;

    (void)why;
    assert_int_equal(sscanf(row->report.text, "%d", &number), 1);
    assert_in_range(number, 1, N_REPORTS);
    n[number]++;
    return HF_OK;
}

/* Each that was answered is there, and none twice. */
static void check_history(struct hf_db *db)
{
    unsigned n[N_REPORTS + 1] = {0};
    struct hf_device_view view;
    struct hf_why why = {0};

    check_db_is_whole(db);
    CHECK_OK(hf_device_view_find(db, known.account, DEVICE, &view, &why));
    CHECK_OK(hf_report_row_list(db, view.device.id, 0, 1000, count_report, n, &why));
    for (unsigned i = 1; i <= N_REPORTS; i++) {
        assert_true(n[i] <= 1);
        assert_true(n[i] == 1 || !known.is_reported[i]);
    }
}

/* The device sends all of them again, since it does not know which were taken. */
static void check_reports(void)
{
    struct hf_writer writer = {.db = open_surely(), .port = no_port};

    check_history(writer.db);
    assert_true(report_all(&writer));
    check_history(writer.db);
    hf_writer_free(&writer);
    hf_db_close(writer.db);
}

static void reports_that_were_answered_are_there_once(void **state)
{
    struct disk_image start = {0};

    (void)state;
    make_store();
    disk_image_read(dir->path, &start);
    cut_everywhere("reports", &start, send_reports, check_reports, 10);
    disk_image_free(&start);
}

/* ---- a new database -------------------------------------------------------------------------- */

static void make_new(void)
{
    struct hf_db *db = NULL;

    if (open_store(&db, NULL) == HF_OK)
        hf_db_close(db);
}

static void check_new(void)
{
    struct hf_db *db = open_surely();

    check_db_is_whole(db);
    hf_db_close(db);
}

static void a_database_that_was_begun_is_finished(void **state)
{
    struct disk_image start = {0};

    (void)state;
    disk_image_read(dir->path, &start);
    cut_everywhere("new database", &start, make_new, check_new, 20);
    disk_image_free(&start);
}

/* ---- backup and restore ---------------------------------------------------------------------- */

static void make_backup(void)
{
    struct hf_db *db = NULL;

    if (open_store(&db, NULL) != HF_OK)
        return;
    (void)(hf_db_backup(db, path_of("backup"), NULL) == HF_OK);
    hf_db_close(db);
}

/* None, or a whole one. */
static void check_backup(void)
{
    struct hf_db *db = NULL;
    struct hf_why why = {0};

    check_store();
    if (!temp_exists(path_of("backup")))
        return;
    CHECK_OK(hf_db_connect(&hf_db_sqlite, path_of("backup"), HF_DB_READ, &db, &why));
    check_db_is_whole(db);
    /* All steps of the schema are there: this connection could make none. */
    CHECK_OK(hf_db_migrate(db, hf_fleet_migrations, hf_fleet_migrations_len, &why));
    hf_db_close(db);
}

static void a_backup_is_whole_or_not_there(void **state)
{
    struct disk_image start = {0};

    (void)state;
    make_store();
    disk_image_read(dir->path, &start);
    cut_everywhere("backup", &start, make_backup, check_backup, 10);
    disk_image_free(&start);
}

static bool is_restored;

static void restore(void)
{
    struct hf_effects effects = {0};
    struct hf_tx tx = {.now_s = FLEET_NOW_S, .actor = "uid:0", .effects = &effects};

    is_restored = false;
    if (open_store(&tx.db, NULL) != HF_OK)
        return;
    const struct hf_restore_from from = {path_of("backup"), NULL};
    struct hf_restored restored;
    is_restored = hf_fleet_restore(&tx, &no_port, &from, &restored, NULL) == HF_OK;
    hf_effects_free(&effects);
    hf_db_close(tx.db);
}

/* All as it was, or all as in the backup; if the restore was answered, the latter. */
static void check_restored(void)
{
    struct hf_audit_copy copy;
    struct hf_why why = {0};
    unsigned n_active = 0;
    struct hf_db *db = open_surely();

    check_db_is_whole(db);
    CHECK_OK(hf_audit_log_verify(db, NULL, &copy, &why));
    for (unsigned i = 0; i < CERTIFICATES; i++) {
        struct hf_credential row;
        CHECK_OK(hf_credential_get(db, known.account, known.ids[i], &row, &why));
        n_active += row.status == HF_CERT_ACTIVE;
    }
    assert_true(n_active == (is_restored ? CERTIFICATES : 0) || n_active == CERTIFICATES);
    assert_int_equal(copy.head.sequence, known.log.sequence + (n_active == CERTIFICATES ? 1 : 0));
    hf_db_close(db);
    restore();
    assert_true(is_restored);
}

static void a_restore_is_whole_or_did_not_happen(void **state)
{
    struct disk_image start = {0};
    struct hf_writer writer = {.port = no_port};

    (void)state;
    make_store();
    make_backup();
    writer.db = open_surely();
    assert_true(run_batch(&writer, HF_CERT_INACTIVE));
    hf_writer_free(&writer);
    hf_db_close(writer.db);
    disk_image_read(dir->path, &start);
    cut_everywhere("restore", &start, restore, check_restored, 30);
    disk_image_free(&start);
}

static int setup(void **state)
{
    if (temp_dir_setup(state) != 0)
        return -1;
    dir = *state;
    cut_vfs_register();
    return 0;
}

int main(void)
{
#define ON_A_DISK(test) cmocka_unit_test_setup_teardown(test, setup, temp_dir_teardown)
    const struct CMUnitTest tests[] = {
        ON_A_DISK(changes_that_were_answered_are_there),
        ON_A_DISK(reports_that_were_answered_are_there_once),
        ON_A_DISK(a_database_that_was_begun_is_finished),
        ON_A_DISK(a_backup_is_whole_or_not_there),
        ON_A_DISK(a_restore_is_whole_or_did_not_happen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
