/*
 * Reports of devices, as JSON: answered reports a second, 1,000 requests at a time, beside bare
 * SQLite that writes the same rows in the same batches, in turn; and what a loop does for each
 * before. Usage: bench_reports FOLDER [DEVICES], 100000 by default.
 */
#include "common/base/timetext.h"
#include "common/report/signature.h"
#include "server/db/driver.h"
#include "server/db/migrate.h"
#include "server/fleet/account.h"
#include "server/fleet/fleet.h"
#include "server/fleet/report.h"

#include <inttypes.h>
#include <semaphore.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TURNS 3      /* of the store and of bare SQLite */
#define ROUNDS 20    /* of a turn, of AT_ONCE reports each */
#define AT_ONCE 1000 /* reports that wait for their answer */
#define PARSED 20000

static char path[4096];
static struct hf_why why;
static uint32_t n_devices;
static int64_t *sequences; /* of each device, the last one that it used */

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_reports: %s: %s\n", what, why.text);
    exit(1);
}

static double now_s(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- a database with many devices ------------------------------------------------------------ */

static const struct hf_sql inserts[] = {
    {"bench_device",
     "INSERT INTO device (id, account_id, name, group_name, created_s, version) "
     "VALUES (:id, 1, 'device-' || :id, '', 0, 1)",
     ""},
    {"bench_state", "INSERT INTO device_state (device_id, account_id) VALUES (:id, 1)", ""},
    {"bench_credential",
     "INSERT INTO credential (account_id, sha256, subject, serial, kind, mode, status, source, "
     "device_id, not_before_s, not_after_s, created_s, is_confirmed, is_rotation_asked, version) "
     "VALUES (1, randomblob(32), 'CN=device', '01', 'device', 'SNI_ONLY', 'ACTIVE', 'registered', "
     ":id, 0, 1, 0, 1, 0, 1)",
     ""},
};

static void fill(void)
{
    struct hf_effects effects = {0};
    struct hf_account_row account;
    struct hf_db *db = NULL;

    if (hf_db_connect(&hf_db_sqlite, path, HF_DB_CREATE, &db, &why) != HF_OK ||
        hf_db_migrate(db, hf_fleet_migrations, hf_fleet_migrations_len, &why) != HF_OK ||
        hf_db_begin(db, &why) != HF_OK)
        die("open");
    struct hf_tx tx = {db, 0, "bench", &effects};
    if (hf_account_create(&tx, "one", HF_ANONYMOUS_READ, &account, &why) != HF_OK)
        die("account");
    for (uint32_t id = 1; id <= n_devices; id++)
        for (size_t i = 0; i < sizeof inserts / sizeof inserts[0]; i++)
            if (hf_db_execute(db, &inserts[i], HF_PARAMS(hf_p_int("id", id)), &why) != HF_OK)
                die("insert");
    if (hf_db_commit(db, &why) != HF_OK)
        die("commit");
    hf_effects_free(&effects);
    hf_db_close(db);
}

static void make_report(uint32_t device, struct hf_report *out)
{
    *out = HF_REPORT_NOTHING;
    out->seq = ++sequences[device];
    out->kind = HF_REPORT_FAILED;
    out->from = 2;
    out->to = 3;
    out->clock_s = out->sent_s = 1800000000;
    (void)snprintf(out->device, sizeof out->device, "device-%" PRIu32, device);
    (void)snprintf(out->installation, sizeof out->installation, "%032" PRIu32, device);
    (void)snprintf(out->kind_name, sizeof out->kind_name, "failed");
    (void)snprintf(out->set, sizeof out->set, "amazon-iot");
    (void)snprintf(out->profile, sizeof out->profile, "full");
    (void)snprintf(out->sha256, sizeof out->sha256, "%064d", 7);
    (void)snprintf(out->outcome, sizeof out->outcome, "network");
    (void)snprintf(out->agent, sizeof out->agent, "1.0.0");
    (void)snprintf(out->text, sizeof out->text,
                   "https://updates.example: no answer within 10 s, attempt %" PRId64, out->seq);
}

/* ---- the store ------------------------------------------------------------------------------- */

/* The next report is sent as soon as this one was answered, so that the writer never waits. */
struct send {
    struct hf_job job;
    struct hf_fleet *fleet;
    struct hf_report report;
    struct hf_report_sender sender;
    int n_left;
    sem_t *is_done;
};

static enum hf_err act(struct hf_job *job, struct hf_tx *tx, struct hf_why *reason)
{
    struct send *send = (struct send *)job;
    struct hf_report_answer answer;
    bool is_conflict = false;

    HF_TRY(hf_report_take(tx, &send->sender, &send->report, 1, &answer, &is_conflict, reason));
    return is_conflict || answer.accepted != 1 ? HF_E_STATE : HF_OK;
}

static void submit(struct send *send)
{
    uint32_t device = 1 + randombytes_uniform(n_devices);

    make_report(device, &send->report);
    send->sender = (struct hf_report_sender){1, device, 0};
    if (hf_fleet_write(send->fleet, &send->job, &why) != HF_OK)
        die("submit");
}

static void done(struct hf_job *job)
{
    struct send *send = (struct send *)job;

    if (job->err != HF_OK)
        die(job->why.text);
    if (--send->n_left > 0)
        submit(send);
    else
        (void)sem_post(send->is_done);
}

static void measure_store(double *wall, double *cpu)
{
    static struct send sends[AT_ONCE];
    const struct hf_fleet_config config = {.path = path};
    struct hf_fleet *fleet = NULL;
    sem_t is_done;

    if (hf_fleet_open(&config, &fleet, &why) != HF_OK)
        die("open");
    (void)sem_init(&is_done, 0, 0);
    const double start = now_s(CLOCK_MONOTONIC), start_cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
    for (size_t i = 0; i < AT_ONCE; i++) {
        sends[i] = (struct send){.job = {.act = act,
                                         .done = done,
                                         .actor = "device:bench",
                                         .checks_first = true},
                                 .fleet = fleet,
                                 .n_left = ROUNDS,
                                 .is_done = &is_done};
        submit(&sends[i]);
    }
    for (size_t i = 0; i < AT_ONCE; i++)
        while (sem_wait(&is_done) != 0)
            ;
    *wall += now_s(CLOCK_MONOTONIC) - start;
    *cpu += now_s(CLOCK_PROCESS_CPUTIME_ID) - start_cpu;
    (void)sem_destroy(&is_done);
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

static void text(sqlite3_stmt *stmt, int i, const char *value)
{
    (void)sqlite3_bind_text(stmt, i, value, -1, SQLITE_STATIC);
}

static void step(sqlite3_stmt *stmt)
{
    if (sqlite3_step(stmt) != SQLITE_DONE)
        die(sqlite3_errmsg(sqlite3_db_handle(stmt)));
    (void)sqlite3_reset(stmt);
}

/* The rows that the store writes for a report, and nothing else: the state, the report, the count
 * of the hour. */
static void write_bare(sqlite3_stmt *const stmts[3], const struct hf_report *r, uint32_t device)
{
    static const uint8_t installation[16];

    (void)sqlite3_bind_int64(stmts[0], 1, device);
    (void)sqlite3_bind_blob(stmts[0], 2, installation, sizeof installation, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmts[0], 3, r->seq);
    text(stmts[0], 4, r->kind_name);
    text(stmts[0], 5, r->set);
    text(stmts[0], 6, r->text);
    step(stmts[0]);
    (void)sqlite3_bind_int64(stmts[1], 1, device);
    (void)sqlite3_bind_int64(stmts[1], 2, 1000000 + r->seq);
    text(stmts[1], 3, r->kind_name);
    text(stmts[1], 4, r->set);
    text(stmts[1], 5, r->sha256);
    text(stmts[1], 6, r->text);
    step(stmts[1]);
    step(stmts[2]);
}

static void measure_bare(double *wall, double *cpu)
{
    static struct hf_report r;
    sqlite3 *db = NULL;

    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db,
                     "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4096; PRAGMA "
                     "cache_size = -65536",
                     NULL, NULL, NULL) != SQLITE_OK)
        die(sqlite3_errmsg(db));
    sqlite3_stmt *const stmts[] = {
        prepare(db,
                "UPDATE device_state SET installation = ?2, sequence = ?3, seen = ?3, "
                "recent = zeroblob(128), nonce = ?3, credential_id = ?1, seen_s = 1800000000 + ?3, "
                "kind = ?4, set_name = ?5, profile = 'full', active_version = 2, result = ?4, "
                "result_s = ?3, result_version = 3, outcome = 'network', reason = ?6, "
                "clock_offset_s = ?3, agent = '1.0.0', reports = reports + 1, said = ?3 "
                "WHERE device_id = ?1"),
        prepare(db, "INSERT INTO report (device_id, number, received_s, clock_s, kind, set_name, "
                    "profile, from_version, to_version, sha256, outcome, reason, endpoint, root, "
                    "root_name, agent) VALUES (?1, ?2, 1800000000, 1800000000, ?3, ?4, 'full', 2, "
                    "3, ?5, 'network', ?6, '', '', '', '1.0.0')"),
        prepare(db, "UPDATE series SET n = n + 1 WHERE account_id = 1 AND hour_s = (SELECT "
                    "max(hour_s) FROM series) AND set_name = 'amazon-iot' AND version = 3 AND "
                    "what = 'failed'")};
    const double start = now_s(CLOCK_MONOTONIC), start_cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < ROUNDS; i++) {
        (void)sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        for (int k = 0; k < AT_ONCE; k++) {
            uint32_t device = 1 + randombytes_uniform(n_devices);
            make_report(device, &r);
            write_bare(stmts, &r, device);
        }
        if (sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
            die(sqlite3_errmsg(db));
    }
    *wall += now_s(CLOCK_MONOTONIC) - start;
    *cpu += now_s(CLOCK_PROCESS_CPUTIME_ID) - start_cpu;
    for (size_t i = 0; i < 3; i++)
        (void)sqlite3_finalize(stmts[i]);
    (void)sqlite3_exec(db, "DELETE FROM report WHERE number > 1000000", NULL, NULL, NULL);
    (void)sqlite3_exec(db, "UPDATE device_state SET installation = NULL", NULL, NULL, NULL);
    (void)sqlite3_close(db);
}

/* ---- a loop ---------------------------------------------------------------------------------- */

/* What a loop does for a signed report: read the headers, verify, parse. */
static void measure_loop(void)
{
    uint8_t key[32], secret[64];
    struct hf_report_headers headers;
    struct hf_report_signature signature;
    struct hf_report r, *read = NULL;
    struct hf_buf body = {0};
    size_t n = 0;

    (void)crypto_sign_keypair(key, secret);
    make_report(1, &r);
    if (hf_report_write(&r, &body, &why) != HF_OK)
        die("write");
    const struct hf_report_message message = {"POST", "updates.example", "/v1/reports",
                                              HF_REPORT_CONTENT_TYPE, hf_buf_bytes(&body)};
    if (hf_report_sign(&message, 1800000000, secret, &headers, &why) != HF_OK)
        die("sign");
    double start = now_s(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < PARSED; i++)
        if (hf_report_signature_parse(headers.content_digest, headers.signature_input,
                                      headers.signature, &signature, &why) != HF_OK ||
            hf_report_signature_verify(&signature, &message, &why) != HF_OK)
            die("verify");
    printf("\"verify_us\": %.1f, ", (now_s(CLOCK_PROCESS_CPUTIME_ID) - start) * 1e6 / PARSED);
    start = now_s(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < PARSED; i++) {
        if (hf_report_list_read(hf_buf_bytes(&body), &read, &n, &why) != HF_OK)
            die("read");
        free(read);
    }
    printf("\"parse_us\": %.1f, \"report_bytes\": %zu, ",
           (now_s(CLOCK_PROCESS_CPUTIME_ID) - start) * 1e6 / PARSED, body.len);
    hf_buf_free(&body);
}

int main(int argc, char **argv)
{
    double wall[2] = {0}, cpu[2] = {0};

    n_devices = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 100000;
    if (argc < 2 || n_devices == 0 || sodium_init() < 0) {
        (void)fprintf(stderr, "Usage: bench_reports FOLDER [DEVICES]\n");
        return 2;
    }
    (void)snprintf(path, sizeof path, "%s/reports.db", argv[1]);
    sequences = calloc(n_devices + 1u, sizeof *sequences);
    if (sequences == NULL)
        die("memory");
    fill();
    printf("{\"devices\": %" PRIu32 ", ", n_devices);
    measure_loop();
    for (int i = 0; i < TURNS; i++) {
        measure_store(&wall[0], &cpu[0]);
        measure_bare(&wall[1], &cpu[1]);
    }
    const double n = TURNS * ROUNDS * AT_ONCE;
    printf(
        "\"reports_s\": %.0f, \"reports_cpu_us\": %.1f, \"bare_s\": %.0f, \"bare_cpu_us\": %.1f, "
        "\"ratio\": %.2f}\n",
        n / wall[0], cpu[0] * 1e6 / n, n / wall[1], cpu[1] * 1e6 / n, wall[1] / wall[0]);
    free(sequences);
    return 0;
}
