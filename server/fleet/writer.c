#include "server/fleet/writer.h"

#include <time.h>

static int64_t clock_s(const struct hf_writer *writer)
{
    return writer->now_s != NULL ? writer->now_s() : (int64_t)time(NULL);
}

static struct hf_tx tx_for(struct hf_writer *writer, const struct hf_job *job)
{
    return (struct hf_tx){.db = writer->db,
                          .now_s = clock_s(writer),
                          .actor = job->actor,
                          .effects = &writer->effects};
}

static enum hf_err act_in_savepoint(struct hf_writer *writer, struct hf_job *job, struct hf_tx *tx)
{
    HF_TRY(hf_db_begin(writer->db, &job->why));
    enum hf_err err = job->act(job, tx, &job->why);
    if (err == HF_OK)
        return hf_db_commit(writer->db, &job->why);
    hf_db_rollback(writer->db);
    return err;
}

/* False if it failed and something of it is left in the transaction, of which nothing may be
 * committed then, or if it has no transaction any more. */
static bool run_job(struct hf_writer *writer, struct hf_job *job)
{
    const struct hf_effects_mark mark = hf_effects_mark(&writer->effects);
    const uint64_t n_changes = hf_db_changes(writer->db);
    struct hf_tx tx = tx_for(writer, job);

    job->why = (struct hf_why){0};
    job->err = job->checks_first ? job->act(job, &tx, &job->why)
                                 : act_in_savepoint(writer, job, &tx);
    if (job->err == HF_OK)
        return true;
    hf_effects_cut(&writer->effects, mark);
    if (hf_db_has_ended(writer->db))
        return false;
    return !job->checks_first || hf_db_changes(writer->db) == n_changes;
}

/* What is in memory is made ready before the commit and changed after it. */
static enum hf_err commit(struct hf_writer *writer, struct hf_why *why)
{
    enum hf_err err = writer->port.prepare(writer->port.ctx, writer->db, &writer->effects, why);

    if (err != HF_OK)
        hf_db_rollback(writer->db);
    else
        err = hf_db_commit(writer->db, why);
    if (err == HF_OK)
        writer->port.apply(writer->port.ctx, &writer->effects);
    else
        writer->port.cancel(writer->port.ctx);
    return err;
}

/* From `first` up to `end` (NULL: the last one), in one transaction. On failure none of them
 * counts. */
static enum hf_err run_together(struct hf_writer *writer, struct hf_job *first,
                                const struct hf_job *end, struct hf_why *why)
{
    const uint64_t began_ns = uv_hrtime();
    size_t n_jobs = 0, n_done = 0;
    enum hf_err err = HF_OK;

    hf_effects_clear(&writer->effects);
    HF_TRY(hf_db_begin(writer->db, why));
    for (struct hf_job *job = first; job != end && err == HF_OK; job = STAILQ_NEXT(job, link)) {
        if (!run_job(writer, job))
            err = hf_fail(why, job->err, "%s", job->why.text);
        n_done += job->err == HF_OK;
        n_jobs++;
    }
    if (n_done > 0 && err == HF_OK)
        err = commit(writer, why);
    else
        hf_db_rollback(writer->db);
    hf_count(&writer->jobs, n_jobs);
    hf_count(&writer->commits, n_done > 0 && err == HF_OK);
    hf_count(&writer->failures, err != HF_OK);
    hf_count(&writer->commit_ns, uv_hrtime() - began_ns);
    return err;
}

static void fail_job(struct hf_job *job, enum hf_err err, const struct hf_why *why)
{
    job->err = err;
    job->why = *why;
}

/* In one transaction; if that fails because of one of them, each in its own. */
static void run_jobs(struct hf_writer *writer, struct hf_job *first, const struct hf_job *end)
{
    struct hf_why why = {0}, own = {0};
    enum hf_err err = run_together(writer, first, end, &why), own_err;

    if (err == HF_OK)
        return;
    for (struct hf_job *job = first; job != end; job = STAILQ_NEXT(job, link)) {
        if (hf_db_is_fault(err))
            fail_job(job, err, &why);
        else if ((own_err = run_together(writer, job, STAILQ_NEXT(job, link), &own)) != HF_OK)
            fail_job(job, own_err, &own);
    }
}

/* It makes its own transaction, and what it noted counts if it succeeds. */
static void run_alone(struct hf_writer *writer, struct hf_job *job)
{
    struct hf_tx tx = tx_for(writer, job);

    hf_effects_clear(&writer->effects);
    job->why = (struct hf_why){0};
    job->err = job->act(job, &tx, &job->why);
    while (hf_db_depth(writer->db) > 0)
        hf_db_rollback(writer->db);
    if (job->err == HF_OK)
        writer->port.apply(writer->port.ctx, &writer->effects);
    else
        writer->port.cancel(writer->port.ctx);
}

void hf_writer_run(void *ctx, struct hf_job_list *batch)
{
    struct hf_writer *writer = ctx;
    struct hf_job *job = STAILQ_FIRST(batch), *end;

    while (job != NULL) {
        if (job->runs_alone) {
            run_alone(writer, job);
            job = STAILQ_NEXT(job, link);
            continue;
        }
        for (end = job; end != NULL && !end->runs_alone;)
            end = STAILQ_NEXT(end, link);
        run_jobs(writer, job, end);
        job = end;
    }
    hf_effects_clear(&writer->effects);
}

void hf_writer_free(struct hf_writer *writer)
{
    hf_effects_free(&writer->effects);
}

void hf_reader_run(void *ctx, struct hf_job_list *batch)
{
    struct hf_db *db = ctx;
    struct hf_job *job;

    STAILQ_FOREACH(job, batch, link)
    {
        struct hf_tx tx = {.db = db, .now_s = (int64_t)time(NULL), .actor = job->actor};
        job->why = (struct hf_why){0};
        job->err = hf_db_begin(db, &job->why);
        if (job->err == HF_OK)
            job->err = job->act(job, &tx, &job->why);
        hf_db_rollback(db);
    }
}
