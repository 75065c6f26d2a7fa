/*
 * The fleet's store, as JSON: answered changes of a status a second, many and one at a time, beside
 * bare SQLite that writes the same rows in the same batches; and the start with many certificates.
 * Usage: bench_fleet FOLDER [CERTIFICATES], 1000000 by default.
 */
#include "server/db/driver.h"
#include "server/db/migrate.h"
#include "server/fleet/account.h"
#include "server/fleet/credential.h"
#include "server/fleet/fleet.h"
#include "tests/bench/measure.h"

#include <inttypes.h>
#include <semaphore.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define DER_LEN 600  /* of a device's certificate */
#define ROUNDS 60    /* of AT_ONCE changes each */
#define AT_ONCE 1000 /* changes that wait for their answer */
#define ONE_AT_A_TIME 400

static char path[4096];
static struct hf_why why;

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_fleet: %s: %s\n", what, why.text);
    exit(1);
}

static void hash_of(uint64_t n, uint8_t sha256[HF_SHA256_LEN])
{
    (void)crypto_generichash(sha256, HF_SHA256_LEN, (const uint8_t *)&n, sizeof n, NULL, 0);
}

/* ---- a database with many certificates ------------------------------------------------------- */

static const struct hf_sql insert = {"bench_insert",
                                     "INSERT INTO credential (account_id, sha256, subject, "
                                     "serial, kind, mode, status, source, not_before_s, "
                                     "not_after_s, created_s, is_confirmed, is_rotation_asked, "
                                     "version) VALUES (1, :sha256, 'CN=device', "
                                     "'0123456789abcdef0123456789abcdef', 'device', 'SNI_ONLY', "
                                     "'ACTIVE', 'registered', 0, 1, 0, 1, 0, 1)",
                                     ""};

static const struct hf_sql insert_der =
    {"bench_insert_der", "INSERT INTO credential_der (credential_id, der) VALUES (:id, :der)", ""};

static void fill(uint64_t n)
{
    static uint8_t der[DER_LEN];
    struct hf_effects effects = {0};
    struct hf_account_row account;
    struct hf_db *db = NULL;

    if (hf_db_connect(&hf_db_sqlite, path, HF_DB_CREATE, &db, &why) != HF_OK ||
        hf_db_migrate(db, hf_fleet_migrations, hf_fleet_migrations_len, &why) != HF_OK)
        die("open");
    struct hf_tx tx = {db, 0, "bench", &effects};
    if (hf_account_create(&tx, "one", HF_ANONYMOUS_READ, &account, &why) != HF_OK)
        die("account");
    for (uint64_t i = 0; i < n; i++) {
        uint8_t sha256[HF_SHA256_LEN];
        if (i % 50000 == 0 && (hf_db_depth(db) > 0 ? hf_db_commit(db, &why) : HF_OK) != HF_OK)
            die("commit");
        if (hf_db_depth(db) == 0 && hf_db_begin(db, &why) != HF_OK)
            die("begin");
        hash_of(i, sha256);
        randombytes_buf(der, sizeof der);
        if (hf_db_execute(db, &insert, HF_PARAMS(hf_p_bytes("sha256", sha256, sizeof sha256)),
                          &why) != HF_OK ||
            hf_db_execute(db, &insert_der,
                          HF_PARAMS(hf_p_int("id", (int64_t)i + 1),
                                    hf_p_bytes("der", der, sizeof der)),
                          &why) != HF_OK)
            die("insert");
    }
    if (hf_db_commit(db, &why) != HF_OK)
        die("commit");
    hf_effects_free(&effects);
    hf_db_close(db);
}

/* ---- the store ------------------------------------------------------------------------------- */

/* A certificate is changed again as soon as its change was answered, so that the writer never
 * waits. */
struct change {
    struct hf_job job;
    struct hf_fleet *fleet;
    uint64_t n_certificates;
    int64_t id;
    int n_left;
    sem_t *is_done;
};

static enum hf_err act(struct hf_job *job, struct hf_tx *tx, struct hf_why *reason)
{
    struct change *change = (struct change *)job;
    struct hf_credential row;

    HF_TRY(hf_credential_get(tx->db, 1, change->id, &row, reason));
    return hf_credential_set_status(tx, 1, change->id, 0,
                                    row.status == HF_CERT_ACTIVE ? HF_CERT_INACTIVE
                                                                 : HF_CERT_ACTIVE,
                                    "a reason", &row, reason);
}

static void submit(struct change *change)
{
    change->id = 1 + (int64_t)randombytes_uniform((uint32_t)change->n_certificates);
    if (hf_fleet_write(change->fleet, &change->job, &why) != HF_OK)
        die("submit");
}

static void done(struct hf_job *job)
{
    struct change *change = (struct change *)job;

    if (job->err != HF_OK)
        die("change");
    if (--change->n_left > 0)
        submit(change);
    else
        (void)sem_post(change->is_done);
}

/* `n` at a time, each `rounds` times. Answered changes a second. */
static double change_all(struct hf_fleet *fleet, struct change *changes, size_t n, int rounds,
                         uint64_t n_certificates)
{
    const double start = measure_s(CLOCK_MONOTONIC);
    sem_t is_done;

    (void)sem_init(&is_done, 0, 0);
    for (size_t i = 0; i < n; i++) {
        changes[i] = (struct change){.job = {.act = act, .done = done, .actor = "token:bench"},
                                     .fleet = fleet,
                                     .n_certificates = n_certificates,
                                     .n_left = rounds,
                                     .is_done = &is_done};
        submit(&changes[i]);
    }
    for (size_t i = 0; i < n; i++)
        while (sem_wait(&is_done) != 0)
            ;
    (void)sem_destroy(&is_done);
    return (double)n * rounds / (measure_s(CLOCK_MONOTONIC) - start);
}

static void measure_store(uint64_t n)
{
    static struct change changes[AT_ONCE];
    const struct hf_fleet_config config = {.path = path};
    const double memory_before = measure_memory_mb(), start = measure_s(CLOCK_MONOTONIC);
    const double start_cpu = measure_s(CLOCK_PROCESS_CPUTIME_ID);
    struct hf_fleet *fleet = NULL;

    if (hf_fleet_open(&config, &fleet, &why) != HF_OK)
        die("open");
    const double load = measure_s(CLOCK_MONOTONIC) - start;
    printf("\"load_s\": %.2f, \"load_cpu_s\": %.2f, \"load_mb\": %.0f, ", load,
           measure_s(CLOCK_PROCESS_CPUTIME_ID) - start_cpu, measure_memory_mb() - memory_before);

    const double cpu = measure_s(CLOCK_PROCESS_CPUTIME_ID);
    const double many = change_all(fleet, changes, AT_ONCE, ROUNDS, n);
    printf("\"changes_s\": %.0f, \"changes_cpu_us\": %.1f, ", many,
           (measure_s(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e6 / (ROUNDS * AT_ONCE));
    printf("\"one_at_a_time_s\": %.0f, ", change_all(fleet, changes, 1, ONE_AT_A_TIME, n));
    hf_fleet_close(fleet);
}

/* ---- bare SQLite ----------------------------------------------------------------------------- */

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        die(sqlite3_errmsg(db));
    return stmt;
}

static void step(sqlite3_stmt *stmt)
{
    if (sqlite3_step(stmt) != SQLITE_DONE)
        die(sqlite3_errmsg(sqlite3_db_handle(stmt)));
    (void)sqlite3_reset(stmt);
}

/* The same two rows for each change, in transactions of the same size, and nothing else. */
static void measure_bare(uint64_t n)
{
    static char entry[260];
    uint8_t hash[HF_SHA256_LEN] = {0};
    sqlite3_int64 sequence = 0;
    sqlite3 *db = NULL;

    memset(entry, 'x', sizeof entry - 1);
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db,
                     "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4096; PRAGMA "
                     "cache_size = -65536; "
                     "DELETE FROM audit_log",
                     NULL, NULL, NULL) != SQLITE_OK)
        die(sqlite3_errmsg(db));
    sqlite3_stmt *update =
        prepare(db, "UPDATE credential SET status = CASE status WHEN 'ACTIVE' THEN 'INACTIVE' ELSE "
                    "'ACTIVE' END, version = version + 1 WHERE id = ?1");
    sqlite3_stmt *log = prepare(
        db, "INSERT INTO audit_log (sequence, hash, account_id, entry) VALUES (?1, ?2, 1, ?3)");
    const double start = measure_s(CLOCK_MONOTONIC), cpu = measure_s(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < ROUNDS; i++) {
        (void)sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        for (int k = 0; k < AT_ONCE; k++) {
            (void)sqlite3_bind_int64(update, 1,
                                     1 + (sqlite3_int64)randombytes_uniform((uint32_t)n));
            step(update);
            (void)sqlite3_bind_int64(log, 1, ++sequence);
            (void)sqlite3_bind_blob(log, 2, hash, sizeof hash, SQLITE_STATIC);
            (void)sqlite3_bind_text(log, 3, entry, sizeof entry - 1, SQLITE_STATIC);
            step(log);
        }
        if (sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
            die(sqlite3_errmsg(db));
    }
    printf("\"bare_changes_s\": %.0f, \"bare_cpu_us\": %.1f",
           ROUNDS * AT_ONCE / (measure_s(CLOCK_MONOTONIC) - start),
           (measure_s(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e6 / (ROUNDS * AT_ONCE));
    (void)sqlite3_finalize(update);
    (void)sqlite3_finalize(log);
    (void)sqlite3_close(db);
}

int main(int argc, char **argv)
{
    const uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;

    if (argc < 2 || n == 0) {
        (void)fprintf(stderr, "Usage: bench_fleet FOLDER [CERTIFICATES]\n");
        return 2;
    }
    (void)snprintf(path, sizeof path, "%s/fleet.db", argv[1]);
    fill(n);
    printf("{\"certificates\": %" PRIu64 ", ", n);
    measure_store(n);
    measure_bare(n);
    printf("}\n");
    return 0;
}
