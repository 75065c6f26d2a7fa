#include "server/fleet/fleet.h"

#include "common/os/service.h"
#include "server/db/driver.h"
#include "server/db/migrate.h"
#include "server/db/sqlite_copy.h"
#include "server/fleet/credential.h"
#include "server/fleet/idempotency.h"
#include "server/fleet/report_row.h"
#include "server/fleet/series.h"

#include <stdatomic.h>
#include <stdlib.h>

struct hf_fleet {
    struct hf_db *writer_db;
    struct hf_db *reader_db;
    struct hf_events *events;
    struct hf_device_changes *changes;
    struct hf_live live;
    struct hf_writer writing;
    struct hf_worker writer;
    struct hf_worker reader;
    struct hf_job tick;
    atomic_bool is_ticking;
    atomic_bool is_behind; /* hf_fleet_set_behind */
    _Atomic int64_t report_keep_s;
    int64_t hour_kept_s;  /* the last hour whose counts were written; the writer's */
    int64_t hour_tried_s; /* the same, before the commit */
};

/* ---- opening --------------------------------------------------------------------------------- */

static enum hf_err open_databases(struct hf_fleet *fleet, const char *path, struct hf_why *why)
{
    bool has_changed;

    HF_TRY(hf_db_connect(&hf_db_sqlite, path, HF_DB_CREATE, &fleet->writer_db, why));
    if (hf_db_lock(fleet->writer_db, "writer", why) != HF_OK)
        return hf_fail_context(why, "%s: another holdfastd uses this database", path);
    HF_TRY(hf_db_migrate(fleet->writer_db, hf_fleet_migrations, hf_fleet_migrations_len, why));
    HF_TRY(hf_db_connect(&hf_db_sqlite, path, HF_DB_READ, &fleet->reader_db, why));
    HF_TRY(hf_live_load(&fleet->live, fleet->writer_db, why));
    return hf_db_listen(fleet->writer_db, &has_changed, why);
}

static enum hf_err start_workers(struct hf_fleet *fleet, struct hf_why *why)
{
    const struct hf_worker_config writer = {.name = "hf-writer",
                                            .queue_max = HF_FLEET_QUEUE_MAX,
                                            .bulk_max = HF_FLEET_QUEUE_REPORTS_MAX,
                                            .batch_max = HF_FLEET_BATCH_MAX,
                                            .run = hf_writer_run,
                                            .ctx = &fleet->writing};
    const struct hf_worker_config reader = {.name = "hf-reader",
                                            .queue_max = HF_FLEET_QUEUE_MAX,
                                            .bulk_max = HF_FLEET_QUEUE_MAX,
                                            .batch_max = 1,
                                            .run = hf_reader_run,
                                            .ctx = fleet->reader_db};

    fleet->writing.db = fleet->writer_db;
    fleet->writing.port = hf_live_port(&fleet->live);
    HF_TRY(hf_worker_start(&fleet->writer, &writer, why));
    enum hf_err err = hf_worker_start(&fleet->reader, &reader, why);
    if (err != HF_OK)
        hf_worker_stop(&fleet->writer);
    return err;
}

static void free_fleet(struct hf_fleet *fleet)
{
    hf_writer_free(&fleet->writing);
    hf_live_free(&fleet->live);
    hf_device_changes_free(fleet->changes);
    hf_events_free(fleet->events);
    hf_db_close(fleet->reader_db);
    hf_db_close(fleet->writer_db);
    free(fleet);
}

enum hf_err hf_fleet_open(const struct hf_fleet_config *config, struct hf_fleet **out,
                          struct hf_why *why)
{
    struct hf_fleet *fleet = calloc(1, sizeof *fleet);

    if (fleet == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the store");
    hf_fleet_set_report_keep(fleet, config->report_keep_s);
    fleet->live.is_sni_optional = config->is_sni_optional;
    fleet->live.offer = config->offer;
    fleet->live.offer_ctx = config->offer_ctx;
    enum hf_err err = hf_events_new(&fleet->events, why);
    fleet->live.events = fleet->events;
    if (err == HF_OK)
        err = hf_device_changes_new(&fleet->changes, why);
    fleet->live.changes = fleet->changes;
    if (err == HF_OK)
        err = open_databases(fleet, config->path, why);
    if (err == HF_OK)
        err = start_workers(fleet, why);
    if (err == HF_OK)
        *out = fleet;
    else
        free_fleet(fleet);
    return err;
}

void hf_fleet_set_report_keep(struct hf_fleet *fleet, int64_t keep_s)
{
    atomic_store(&fleet->report_keep_s, keep_s != 0 ? keep_s : HF_FLEET_REPORT_KEEP_S);
}

void hf_fleet_close(struct hf_fleet *fleet)
{
    if (fleet == NULL)
        return;
    hf_worker_stop(&fleet->reader);
    hf_worker_stop(&fleet->writer);
    free_fleet(fleet);
}

const struct hf_registry *hf_fleet_registry(const struct hf_fleet *fleet)
{
    return fleet->live.registry;
}

struct hf_directory *hf_fleet_directory(const struct hf_fleet *fleet)
{
    return hf_directory_ref(fleet->live.directory);
}

struct hf_events *hf_fleet_events(struct hf_fleet *fleet)
{
    return fleet->events;
}

struct hf_device_changes *hf_fleet_changes(struct hf_fleet *fleet)
{
    return fleet->changes;
}

enum hf_err hf_fleet_write(struct hf_fleet *fleet, struct hf_job *job, struct hf_why *why)
{
    return hf_worker_submit(&fleet->writer, job, why);
}

enum hf_err hf_fleet_read(struct hf_fleet *fleet, struct hf_job *job, struct hf_why *why)
{
    return hf_worker_submit(&fleet->reader, job, why);
}

struct waited {
    struct hf_job job; /* the first member */
    hf_fleet_act *act;
    void *what;
    uv_sem_t ended;
};

static enum hf_err run_waited(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    struct waited *waited = (struct waited *)job;
    return waited->act(waited->what, tx, why);
}

static void end_waited(struct hf_job *job)
{
    uv_sem_post(&((struct waited *)job)->ended);
}

static enum hf_err wait_for(struct hf_worker *worker, hf_fleet_act *act, void *what,
                            struct hf_why *why)
{
    struct waited waited = {.job = {.act = run_waited, .done = end_waited, .actor = "holdfastd"},
                            .act = act,
                            .what = what};
    if (uv_sem_init(&waited.ended, 0) != 0)
        return hf_fail(why, HF_E_MEMORY, "no semaphore can be made");
    enum hf_err err = hf_worker_submit(worker, &waited.job, why);
    if (err == HF_OK) {
        uv_sem_wait(&waited.ended);
        err = waited.job.err;
        if (err != HF_OK && why != NULL)
            *why = waited.job.why;
    }
    uv_sem_destroy(&waited.ended);
    return err;
}

enum hf_err hf_fleet_write_wait(struct hf_fleet *fleet, hf_fleet_act *act, void *what,
                                struct hf_why *why)
{
    return wait_for(&fleet->writer, act, what, why);
}

enum hf_err hf_fleet_read_wait(struct hf_fleet *fleet, hf_fleet_act *act, void *what,
                               struct hf_why *why)
{
    return wait_for(&fleet->reader, act, what, why);
}

enum hf_err hf_fleet_connect(struct hf_fleet *fleet, struct hf_db **out, struct hf_why *why)
{
    return hf_db_connect(&hf_db_sqlite, hf_db_where(fleet->reader_db), HF_DB_READ, out, why);
}

void hf_fleet_numbers(struct hf_fleet *fleet, struct hf_fleet_numbers *out)
{
    *out = (struct hf_fleet_numbers){
        .certificates = hf_registry_count(fleet->live.registry),
        .waiting_writes = hf_worker_waiting(&fleet->writer),
        .waiting_reads = hf_worker_waiting(&fleet->reader),
        .writes = hf_counted(&fleet->writing.jobs),
        .commits = hf_counted(&fleet->writing.commits),
        .failures = hf_counted(&fleet->writing.failures),
        .commit_ns = hf_counted(&fleet->writing.commit_ns),
    };
}

/* ---- the policy about SNI -------------------------------------------------------------------- */

struct sni_change {
    struct hf_job job; /* the first member */
    struct hf_live *live;
    bool is_optional;
};

static enum hf_err change_sni(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    struct sni_change *change = (struct sni_change *)job;
    change->live->is_sni_optional = change->is_optional;
    return hf_effects_add(tx->effects, &(struct hf_effect){.kind = HF_EFFECT_DIRECTORY}, why);
}

static void sni_changed(struct hf_job *job)
{
    if (job->err != HF_OK)
        hf_service_log(
            HF_LOG_ERROR,
            "[devices] sni is not in force as the configuration has it now. Reload again: %s",
            job->why.text);
    free(job);
}

enum hf_err hf_fleet_set_sni_optional(struct hf_fleet *fleet, bool is_optional, struct hf_why *why)
{
    struct sni_change *change = calloc(1, sizeof *change);
    if (change == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a change");
    change->job = (struct hf_job){.act = change_sni, .done = sni_changed, .actor = "holdfastd"};
    change->live = &fleet->live;
    change->is_optional = is_optional;
    enum hf_err err = hf_fleet_write(fleet, &change->job, why);
    if (err != HF_OK)
        free(change);
    return err;
}

/* ---- what is due ----------------------------------------------------------------------------- */

static struct hf_fleet *fleet_of(struct hf_job *job)
{
    return (struct hf_fleet *)((char *)job - offsetof(struct hf_fleet, tick));
}

/* Old reports go; once an hour the counts of the fleet are written down. */
static enum hf_err tick_reports(struct hf_fleet *fleet, struct hf_tx *tx, struct hf_why *why)
{
    const int64_t hour_s = tx->now_s - tx->now_s % HF_SERIES_HOUR_S;
    const int64_t keep_s = atomic_load(&fleet->report_keep_s);

    HF_TRY(hf_report_row_purge(tx, keep_s, why));
    if (hour_s == fleet->hour_kept_s)
        return HF_OK;
    HF_TRY(hf_report_row_purge_unverified(tx, keep_s, why));
    HF_TRY(hf_series_keep(tx, why));
    fleet->hour_tried_s = hour_s;
    return HF_OK;
}

static enum hf_err tick(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    bool has_changed = false;
    size_t n_retired = 0;

    HF_TRY(hf_db_listen(tx->db, &has_changed, why));
    if (has_changed)
        hf_service_log(HF_LOG_ERROR,
                       "another process has changed %s: the certificates in memory may differ from "
                       "it. Restart holdfastd",
                       hf_db_where(tx->db));
    HF_TRY(hf_credential_retire_due(tx, &n_retired, why));
    if (n_retired > 0)
        hf_service_log(HF_LOG_INFO, "%zu certificates were due to be retired after a rotation",
                       n_retired);
    HF_TRY(tick_reports(fleet_of(job), tx, why));
    return hf_idempotency_purge(tx, why);
}

static void tick_done(struct hf_job *job)
{
    if (job->err != HF_OK)
        hf_service_log(HF_LOG_ERROR, "regular work in the database failed: %s", job->why.text);
    else
        fleet_of(job)->hour_kept_s = fleet_of(job)->hour_tried_s;
    atomic_store(&fleet_of(job)->is_ticking, false);
}

void hf_fleet_tick(struct hf_fleet *fleet)
{
    if (atomic_exchange(&fleet->is_ticking, true))
        return;
    fleet->tick = (struct hf_job){.act = tick, .done = tick_done, .actor = "holdfastd"};
    if (hf_fleet_write(fleet, &fleet->tick, NULL) != HF_OK) /* the next one will do */
        atomic_store(&fleet->is_ticking, false);
}

/* ---- backup and restore ---------------------------------------------------------------------- */

enum hf_err hf_fleet_backup(struct hf_fleet *fleet, const char *to, struct hf_why *why)
{
    struct hf_db *db = NULL;

    HF_TRY(hf_fleet_connect(fleet, &db, why));
    enum hf_err err = hf_db_backup(db, to, why);
    hf_db_close(db);
    return err;
}

enum hf_err hf_fleet_restore_backup(struct hf_fleet *fleet, struct hf_tx *tx,
                                    const struct hf_restore_from *from, struct hf_restored *out,
                                    struct hf_why *why)
{
    return hf_fleet_restore(tx, &fleet->writing.port, from, out, why);
}

void hf_fleet_set_behind(struct hf_fleet *fleet, bool is_behind)
{
    atomic_store(&fleet->is_behind, is_behind);
}

bool hf_fleet_is_behind(const struct hf_fleet *fleet)
{
    return atomic_load(&fleet->is_behind);
}
