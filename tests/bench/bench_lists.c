/*
 * Lists, numbers and audits of a large fleet, as JSON: the slowest of some tries of each question
 * that the API asks the database, each audit and its longest step, in CPU time; look-ups of a
 * device while all audits run. Usage: bench_lists FOLDER [DEVICES], 1000000 by default.
 */
#include "common/base/timetext.h"
#include "server/db/driver.h"
#include "server/db/migrate.h"
#include "server/findings/auditor.h"
#include "server/findings/keys.h"
#include "server/fleet/account.h"
#include "server/fleet/explain.h"
#include "server/fleet/fleet.h"
#include "server/fleet/readiness.h"
#include "server/fleet/report_key.h"
#include "server/fleet/summary.h"
#include "tests/bench/measure.h"

#include <inttypes.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TRIES 5 /* of each question; the first reads from the disk, if it must */
#define PAGE 100
#define ACCOUNT INT64_C(1)
#define LOOK_UPS 2000

static char path[4096];
static struct hf_why why;
static int64_t n_devices, now_s;
static struct hf_published *published;

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_lists: %s: %s\n", what, why.text);
    exit(1);
}

static void must(enum hf_err err, const char *what)
{
    if (err != HF_OK)
        die(what);
}

/* Of this thread: other programs of a busy machine do not count. */
static double cpu_ms(void)
{
    return 1e3 * measure_s(CLOCK_THREAD_CPUTIME_ID);
}

static double wall_ms(void)
{
    return 1e3 * measure_s(CLOCK_MONOTONIC);
}

/* ---- the fleet ------------------------------------------------------------------------------- */

/* A tenth has never reported, a twentieth is revoked. A fifth has one key. They use versions 0 to
 * 4, and 5 is the newest: all are behind, which is the worst for the audits. */
static const char fill_sql[] =
    "CREATE TEMP TABLE number (i INTEGER PRIMARY KEY);"
    "INSERT INTO number WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
    "WHERE i < %1$lld) SELECT i FROM n;"
    "INSERT INTO device (id, account_id, name, group_name, created_s, version) SELECT i, 1, "
    "printf('pump-%%07d', i), CASE i %% 100 WHEN 0 THEN 'lab' WHEN 1 THEN '' ELSE 'field' END, "
    "%2$lld - 90 * 86400, 1 FROM number;"
    "INSERT INTO device_state (device_id, account_id) SELECT i, 1 FROM number WHERE i %% 10 = 0;"
    "INSERT INTO device_state (device_id, account_id, installation, sequence, seen, recent, nonce, "
    "credential_id, seen_s, kind, set_name, profile, active_version, active_sha256, result, "
    "result_s, result_version, outcome, reason, next_expiry_s, agent, group_names, reports, said) "
    "SELECT i, 1, randomblob(16), 90, -1, randomblob(128), i * 7919, i, "
    "%2$lld - (i * 7919 %% 86400) - CASE WHEN i %% 33 = 0 THEN 864000 ELSE 0 END, 'current', "
    "'amazon-iot', 'full', i %% 5, hex(randomblob(32)), CASE WHEN i %% 50 = 7 THEN 'refused' WHEN "
    "i %% 200 = 9 THEN 'rolled-back' ELSE 'confirmed' END, %2$lld - 864000, i %% 5 + 1, 'ok', "
    "CASE WHEN i %% 50 = 7 THEN 'mqtts://mqtt.example would not be reached' ELSE '' END, "
    "2147299200, '1.0.0', 'field', 2, 1 FROM number WHERE i %% 10 <> 0;"
    "INSERT INTO report (device_id, number, received_s, clock_s, kind, set_name, profile, "
    "from_version, to_version, sha256, outcome, reason, endpoint, root, root_name, agent) SELECT "
    "i, n, %2$lld - 864000, %2$lld - 864000, CASE WHEN i %% 50 = 7 THEN 'refused' ELSE 'confirmed' "
    "END, 'amazon-iot', 'full', i %% 5, i %% 5 + 1, '', 'ok', '', 'mqtts://mqtt.example', '', '', "
    "'1.0.0' FROM number, (SELECT 1 AS n UNION ALL SELECT 2) WHERE i %% 10 <> 0;"
    "INSERT INTO credential (account_id, sha256, subject, serial, kind, mode, status, source, "
    "device_id, not_before_s, not_after_s, created_s, is_confirmed, is_rotation_asked, version) "
    "SELECT 1, randomblob(32), 'CN=' || printf('pump-%%07d', i), '01', 'device', 'SNI_ONLY', "
    "CASE i %% 20 WHEN 3 THEN 'REVOKED' ELSE 'ACTIVE' END, 'registered', i, 0, 2524607999, "
    "%2$lld - 90 * 86400, 1, 0, 1 FROM number;"
    "INSERT INTO credential_key (credential_id, spki_sha256, fault, mark) SELECT id, CASE id %% 5 "
    "WHEN 0 THEN zeroblob(32) ELSE sha256 END, '', "
    "%3$lld FROM credential;"
    "INSERT INTO version_count SELECT 1, set_name, active_version, count(*) FROM device_state "
    "WHERE active_version >= 0 GROUP BY set_name, active_version;"
    "INSERT INTO series SELECT 1, %2$lld - %2$lld %% 3600 - h * 3600, 'amazon-iot', v, what, 1000 "
    "FROM (SELECT i - 1 AS h FROM number WHERE i <= 2160), (SELECT i - 1 AS v FROM number WHERE i "
    "<= 5), (SELECT 'active' AS what UNION ALL SELECT 'confirmed' UNION ALL SELECT 'refused');"
    "INSERT INTO bundle_since SELECT 'amazon-iot', 'full', i, %2$lld - 30 * 86400 FROM number "
    "WHERE i <= 5;";

static void fill(void)
{
    const struct hf_weak_keys none = {0};
    struct hf_effects effects = {0};
    struct hf_account_row account;
    struct hf_db *db = NULL;
    sqlite3 *raw = NULL;
    char *text = NULL, *problem = NULL;

    must(hf_db_connect(&hf_db_sqlite, path, HF_DB_CREATE, &db, &why), "open");
    must(hf_db_migrate(db, hf_fleet_migrations, hf_fleet_migrations_len, &why), "migrate");
    struct hf_tx tx = {db, now_s, "bench", &effects};
    must(hf_account_create(&tx, "one", HF_ANONYMOUS_READ, &account, &why), "account");
    hf_effects_free(&effects);
    hf_db_close(db);
    if (asprintf(&text, fill_sql, (long long)n_devices, (long long)now_s,
                 (long long)hf_keys_mark(&none)) < 0 ||
        sqlite3_open(path, &raw) != SQLITE_OK ||
        sqlite3_exec(raw, "PRAGMA synchronous = OFF; PRAGMA cache_size = -262144;", NULL, NULL,
                     NULL) != SQLITE_OK ||
        sqlite3_exec(raw, text, NULL, NULL, &problem) != SQLITE_OK) {
        (void)fprintf(stderr, "bench_lists: %s\n", problem != NULL ? problem : "no memory");
        exit(1);
    }
    (void)sqlite3_close(raw);
    free(text);
}

/* Five versions of five roots; the newest has one more. */
static void publish(void)
{
    published = hf_published_new(5);
    for (int64_t version = 1; published != NULL && version <= 5; version++) {
        struct hf_published_bundle *bundle = &published->bundles[published->n++];
        struct hf_anchor anchors[6] = {0};
        const struct hf_bundle from = {.anchors = anchors, .n_anchors = version == 5 ? 6 : 5};
        for (size_t i = 0; i < from.n_anchors; i++) {
            anchors[i].cert.sha256[0] = anchors[i].cert.spki_sha256[0] = (uint8_t)(i + 1);
            anchors[i].cert.not_after_s = now_s + (int64_t)(i + 1) * 300 * HF_DAY_S;
            anchors[i].distrust_after_s = anchors[i].remove_after_s = HF_TIME_NONE;
        }
        (void)snprintf(bundle->description.set, sizeof bundle->description.set, "amazon-iot");
        (void)snprintf(bundle->description.profile, sizeof bundle->description.profile, "full");
        bundle->description.version = version;
        must(hf_published_set_anchors(bundle, &from), "anchors");
    }
    if (published == NULL)
        die("memory");
    hf_published_sort(published);
}

/* ---- questions ------------------------------------------------------------------------------- */

static enum hf_err count(void *ctx, const void *row, struct hf_why *reason)
{
    (void)row;
    (void)reason;
    ++*(size_t *)ctx;
    return HF_OK;
}

typedef void question(struct hf_db *db, const void *with);

static void ask(struct hf_db *db, const char *name, question *run, const void *with)
{
    double worst = 0;

    for (int i = 0; i < TRIES; i++) {
        double start = cpu_ms();
        run(db, with);
        double took = cpu_ms() - start;
        worst = took > worst ? took : worst;
    }
    printf("\"%s\": %.2f, ", name, worst);
    (void)fflush(stdout);
}

struct list {
    struct hf_device_filter filter;
    const char *after;
};

static void list_devices(struct hf_db *db, const void *with)
{
    const struct list *list = with;
    struct hf_device_page page = {.limit = PAGE, .after = list->after != NULL ? list->after : ""};
    size_t n = 0;
    must(hf_device_view_list(db, ACCOUNT, &list->filter, &page, count, &n, &why), "list");
}

static void count_results(struct hf_db *db, const void *with)
{
    struct hf_result_counts results;
    (void)with;
    must(hf_summary_results(db, ACCOUNT, &results, &why), "results");
}

static void summarize(struct hf_db *db, const void *with)
{
    struct hf_contact_count contact;
    size_t n = 0;
    (void)with;
    must(hf_summary_contact(db, ACCOUNT, now_s - HF_EXPLAIN_SILENT_S, &contact, &why), "contact");
    must(hf_summary_versions(db, ACCOUNT, count, &n, &why), "versions");
}

static void list_series(struct hf_db *db, const void *with)
{
    const struct hf_version_count from = {.hour_s = now_s - 90 * HF_DAY_S};
    const struct hf_series_filter filter = {.from = &from,
                                            .until_s = now_s,
                                            .what = with,
                                            .limit = HF_FLEET_PAGE_MAX + 1};
    size_t n = 0;
    must(hf_summary_series(db, ACCOUNT, &filter, count, &n, &why), "series");
}

static void forecast(struct hf_db *db, const void *with)
{
    struct hf_census_days days = {.n = 0};
    struct hf_readiness *list = NULL;
    size_t n = 0;
    (void)with;
    must(hf_census_read(db, ACCOUNT, now_s, &days, &why), "census");
    must(hf_readiness_of(published, &days, &list, &n, &why), "readiness");
    if (n == 0)
        die("nothing was counted");
    free(list);
    hf_census_days_free(&days);
}

static void look_up(struct hf_db *db, const void *with)
{
    struct hf_device_view row;
    char name[32];
    (void)with;
    (void)snprintf(name, sizeof name, "pump-%07" PRId64,
                   1 + (int64_t)randombytes_uniform((uint32_t)n_devices));
    must(hf_device_view_find(db, ACCOUNT, name, &row, &why), "find");
}

/* What GET …/devices/{id}/explanation reads. */
static void explain(struct hf_db *db, const void *with)
{
    struct hf_report_key key;
    size_t n = 0;
    int64_t id = 1 + (int64_t)randombytes_uniform((uint32_t)n_devices);
    look_up(db, with);
    must(hf_credential_list(db,
                            &(struct hf_credential_filter){.account_id = ACCOUNT, .device_id = id},
                            0, HF_FLEET_PAGE_MAX, count, &n, &why),
         "credentials");
    must(hf_report_row_list(db, id, 0, 50, count, &n, &why), "reports");
    enum hf_err err = hf_report_key_find(db, id, &key, &why);
    must(err == HF_E_NOT_FOUND ? HF_OK : err, "key");
}

static void measure_questions(void)
{
    static const struct {
        const char *name;
        struct list list;
    } lists[] = {
        {"list, first page", {.after = NULL}},
        {"list, by prefix", {.filter = {.prefix = "pump-05"}}},
        {"list, by group", {.filter = {.group = "lab"}}},
        {"list, by version", {.filter = {.has_version = true, .version = 3}}},
        {"list, by result", {.filter = {.result = "refused"}}},
        {"list, that have reported no result", {.filter = {.result = ""}}},
        {"list, silent", {.filter = {.silent_since_s = 1}}},
        {"list, by version and group",
         {.filter = {.has_version = true, .version = 3, .group = "lab"}}},
        {"list, of a set that no device has", {.filter = {.set = "none"}}},
    };
    struct list middle = {.after = NULL};
    char after[32];
    struct hf_db *db = NULL;

    must(hf_db_connect(&hf_db_sqlite, path, HF_DB_READ, &db, &why), "connect");
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        ask(db, lists[i].name, list_devices, &lists[i].list);
    (void)snprintf(after, sizeof after, "%" PRId64, n_devices / 2);
    middle.after = after;
    ask(db, "list, page in the middle", list_devices, &middle);
    middle.filter.silent_since_s = now_s - HF_EXPLAIN_SILENT_S;
    middle.after = "0.1";
    ask(db, "list, silent, second page", list_devices, &middle);
    ask(db, "one device", look_up, NULL);
    ask(db, "explanation of one device", explain, NULL);
    ask(db, "summary, results", count_results, NULL);
    ask(db, "summary, the rest", summarize, NULL);
    ask(db, "series, a page of 1000", list_series, NULL);
    ask(db, "series, of a kind that is in none", list_series, "made-up");
    ask(db, "readiness", forecast, NULL);
    hf_db_close(db);
}

/* ---- audits ---------------------------------------------------------------------------------- */

static const struct hf_check_settings settings = {.ca_expiring_s = 30 * HF_DAY_S,
                                                  .certificate_expiring_s = 30 * HF_DAY_S,
                                                  .certificate_age_s = 365 * HF_DAY_S,
                                                  .rotation_stuck_s = 7 * HF_DAY_S,
                                                  .device_silent_s = 7 * HF_DAY_S,
                                                  .device_silent_after_update_s = 21600,
                                                  .device_behind_s = 1,
                                                  .anchor_ends_s = 365 * HF_DAY_S,
                                                  .clock_wrong_s = 3600,
                                                  .conflict_s = 7 * HF_DAY_S,
                                                  .metadata_ending_s = 30 * HF_DAY_S,
                                                  .online_metadata_ending_s = 2 * HF_DAY_S};

/* An audit on this thread, timed from outside: a step is what is between two questions whether the
 * service ends, a job is what waits for the writer. */
struct timing {
    struct hf_fleet *fleet;
    double last, longest_step, longest_job;
};

static enum hf_err timed_write(void *ctx, hf_fleet_act *act, void *what, struct hf_why *reason)
{
    struct timing *timing = ctx;
    double start = wall_ms();
    enum hf_err err = hf_fleet_write_wait(timing->fleet, act, what, reason);
    double took = wall_ms() - start;
    timing->longest_job = took > timing->longest_job ? took : timing->longest_job;
    return err;
}

static bool between_steps(void *ctx)
{
    struct timing *timing = ctx;
    double now = cpu_ms(), took = now - timing->last;
    timing->longest_step = took > timing->longest_step ? took : timing->longest_step;
    timing->last = now;
    return false;
}

static void audit(struct hf_fleet *fleet, struct hf_db *db, const struct hf_check *check,
                  bool is_shown)
{
    struct timing timing = {.fleet = fleet, .last = cpu_ms()};
    const struct hf_audit_port port = {db, &timing, timed_write, between_steps};
    const int64_t far_s = now_s + 365 * HF_DAY_S;
    struct hf_check_ctx ctx = {.settings = &settings,
                               .now_s = now_s,
                               .metadata = {.first_s = far_s, .offline_s = far_s},
                               .published = published};
    struct hf_check_run run;
    const double start = wall_ms(), start_cpu = timing.last;

    must(hf_audit_run(&port, check, &ctx, &why), check->name);
    if (!is_shown)
        return;
    must(hf_check_run_get(db, check->name, &run, &why), check->name);
    printf("%s\"%s\": {\"s\": %.2f, \"cpu_s\": %.3f, \"longest_step_ms\": %.2f, "
           "\"longest_job_ms\": %.2f, \"found\": %" PRId64 ", \"problem\": \"%s\"}",
           check == hf_checks ? "" : ", ", check->name, (wall_ms() - start) / 1e3,
           (cpu_ms() - start_cpu) / 1e3, timing.longest_step, timing.longest_job, run.found,
           run.problem);
    (void)fflush(stdout);
}

static void measure_audits(struct hf_fleet *fleet)
{
    struct hf_db *db = NULL;

    must(hf_fleet_connect(fleet, &db, &why), "connect");
    printf("\"audits\": {");
    for (size_t i = 0; i < hf_n_checks; i++)
        audit(fleet, db, &hf_checks[i], true);
    printf("}, ");
    hf_db_close(db);
}

/* ---- look-ups meanwhile ---------------------------------------------------------------------- */

static atomic_bool is_ending;

static void audit_for_ever(void *arg)
{
    struct hf_fleet *fleet = arg;
    struct hf_db *db = NULL;

    must(hf_fleet_connect(fleet, &db, &why), "connect");
    while (!atomic_load(&is_ending))
        for (size_t i = 0; i < hf_n_checks && !atomic_load(&is_ending); i++)
            audit(fleet, db, &hf_checks[i], false);
    hf_db_close(db);
}

static enum hf_err look_up_act(void *what, struct hf_tx *tx, struct hf_why *reason)
{
    (void)what;
    (void)reason;
    look_up(tx->db, NULL);
    return HF_OK;
}

static int compare(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void measure_look_ups(struct hf_fleet *fleet, const char *name)
{
    static double took[LOOK_UPS];

    for (size_t i = 0; i < LOOK_UPS; i++) {
        const struct timespec pause = {0, 2000000};
        double start = wall_ms();
        must(hf_fleet_read_wait(fleet, look_up_act, NULL, &why), "look-up");
        took[i] = wall_ms() - start;
        (void)nanosleep(&pause, NULL);
    }
    qsort(took, LOOK_UPS, sizeof took[0], compare);
    printf("\"%s\": {\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}, ", name,
           took[LOOK_UPS / 2], took[LOOK_UPS * 99 / 100], took[LOOK_UPS - 1]);
    (void)fflush(stdout);
}

static void measure_together(struct hf_fleet *fleet)
{
    uv_thread_t thread;

    measure_look_ups(fleet, "look_up_alone");
    if (uv_thread_create(&thread, audit_for_ever, fleet) != 0)
        die("thread");
    measure_look_ups(fleet, "look_up_while_audits_run");
    atomic_store(&is_ending, true);
    (void)uv_thread_join(&thread);
}

int main(int argc, char **argv)
{
    struct hf_fleet *fleet = NULL;

    n_devices = argc > 2 ? strtoll(argv[2], NULL, 10) : 1000000;
    now_s = (int64_t)time(NULL);
    if (argc < 2 || n_devices < 1000 || sodium_init() < 0) {
        (void)fprintf(stderr, "Usage: bench_lists FOLDER [DEVICES]\n");
        return 2;
    }
    (void)snprintf(path, sizeof path, "%s/fleet.db", argv[1]);
    fill();
    publish();
    const struct hf_fleet_config config = {.path = path};
    must(hf_fleet_open(&config, &fleet, &why), "open");
    const double before_mb = measure_memory_mb();
    printf("{\"devices\": %" PRId64 ", ", n_devices);
    measure_audits(fleet);
    printf("\"questions_ms\": {");
    measure_questions();
    printf("\"end\": 0}, ");
    measure_together(fleet);
    printf("\"memory_before_mb\": %.0f, \"memory_mb\": %.0f}\n", before_mb, measure_memory_mb());
    hf_fleet_close(fleet);
    hf_published_unref(published);
    return 0;
}
