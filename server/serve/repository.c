#include "server/serve/repository.h"

#include "common/base/timetext.h"
#include "common/os/service.h"
#include "server/serve/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* In the thread pool. */
static void work(uv_work_t *req)
{
    struct hf_repository *r = req->data;
    struct hf_repository_job *job = &r->job;
    struct hf_edition *e = NULL;

    job->began_s = time(NULL);
    job->mark = hf_repository_mark_read(r->dir);
    job->is_loaded = job->must_load || !hf_repository_mark_same(&job->mark, &r->mark);
    if (!job->is_loaded)
        return;
    job->err = hf_repository_load(r->dir, job->old, &e, &job->why);
    if (job->err == HF_OK)
        job->err = hf_repository_check(e, &job->why);
    if (job->err == HF_OK) {
        job->err = hf_newest_check(&r->newest, e, &job->why);
        if (job->err != HF_OK)
            (void)hf_fail(&job->why, job->err,
                          "a device that has the metadata served before refuses it: %s. Put the "
                          "newer files back or publish newer versions; a restart%s%s%s serves it "
                          "all the same",
                          job->why.text, r->state != NULL ? " without " : "",
                          r->state != NULL ? r->state : "", r->state != NULL ? "/root.json" : "");
    }
    if (job->err != HF_OK) {
        hf_edition_unref(e);
        return;
    }
    hf_edition_prune(e, job->old);
    job->remembered = hf_newest_remember(&r->newest, e, r->state, &job->why_not_remembered);
    job->new = e;
}

static void set_status(struct hf_repository *r, const char *problem)
{
    uv_mutex_lock(&r->mutex);
    r->status.is_served = r->current != NULL;
    if (r->current != NULL)
        r->status.summary = r->current->summary;
    (void)snprintf(r->status.problem, sizeof r->status.problem, "%s", problem);
    uv_mutex_unlock(&r->mutex);
}

/* It is what is served already, to the last file. */
static bool is_no_news(const struct hf_repository *r, const struct hf_edition *taken)
{
    const struct hf_edition *current = r->current;
    if (current == NULL || r->retry_ms != 0 || current->n_files != taken->n_files)
        return false;
    for (size_t i = 0; i < taken->n_files; i++)
        if (taken->files[i].file != current->files[i].file)
            return false;
    return true;
}

static void accept_edition(struct hf_repository *r, struct hf_edition *taken)
{
    if (is_no_news(r, taken)) {
        hf_edition_unref(taken);
        return;
    }
    const struct hf_summary *s = &taken->summary;
    const struct hf_summary *old = r->current != NULL ? &r->current->summary : NULL;
    if (old == NULL || memcmp(old, s, sizeof *s) != 0 || r->retry_ms != 0) {
        char expires[HF_TIME_TEXT_MAX];
        hf_time_format(s->expires_s, expires);
        hf_service_log(HF_LOG_INFO,
                       "serving timestamp %" PRId64 ", snapshot %" PRId64 ", targets %" PRId64
                       ", root %" PRId64 " (%zu files, %" PRIu64 " KiB, %s expires first, at %s)",
                       s->timestamp_version, s->snapshot_version, s->targets_version,
                       s->root_version, taken->n_files, (taken->total_bytes + 1023) / 1024,
                       s->expires_role, expires);
    }
    hf_edition_unref(r->current);
    r->current = taken;
    r->retry_ms = 0;
    set_status(r, "");
    r->events.on_edition(r->events.ctx, r->current);
}

/* Logged once for each reason, tried again ever more slowly: the folder may stay so for long. */
static void refuse_edition(struct hf_repository *r, const char *why)
{
    if (strcmp(r->status.problem, why) != 0)
        hf_service_log(HF_LOG_WARNING, "the repository %s cannot be served as it is: %s; %s",
                       r->dir, why,
                       r->current != NULL ? "still serving the one before"
                                          : "answering 503 until it can");
    r->retry_ms = r->retry_ms == 0 ? HF_SERVE_POLL_MS : 2 * r->retry_ms;
    if (r->retry_ms > HF_SERVE_RETRY_MS_MAX)
        r->retry_ms = HF_SERVE_RETRY_MS_MAX;
    r->retry_at_ms = uv_now(r->timer.loop) + r->retry_ms;
    set_status(r, why);
}

static void after_work(uv_work_t *req, int status)
{
    struct hf_repository *r = req->data;
    struct hf_repository_job *job = &r->job;
    (void)status; /* never cancelled */
    r->is_working = false;
    hf_edition_unref(job->old);
    job->old = NULL;
    if (!job->is_loaded)
        return;
    if (!hf_repository_mark_same(&job->mark, &r->mark) && job->err != HF_OK)
        r->retry_ms = 0; /* something was published: be quick again */
    r->mark = job->mark;
    r->loaded_ms = uv_now(r->timer.loop);
    /* File times move in steps of some milliseconds: what was changed in the step of the poll could
     * change once more without a trace. So one more load follows. */
    r->is_settled = !job->mark.is_there || job->mark.folder.changed.tv_sec < job->began_s - 1;
    if (job->err == HF_OK && job->remembered != HF_OK)
        hf_service_log(HF_LOG_WARNING, "after a restart an older repository may be served: %s",
                       job->why_not_remembered.text);
    if (job->err == HF_OK)
        accept_edition(r, job->new);
    else
        refuse_edition(r, job->why.text);
    job->new = NULL;
    r->events.on_read(r->events.ctx, job->was_asked);
}

static void prepare_job(struct hf_repository *r)
{
    const uint64_t now_ms = uv_now(r->timer.loop);
    bool is_due = now_ms >= (r->retry_ms != 0 ? r->retry_at_ms : r->loaded_ms + HF_SERVE_LOAD_MS);
    r->job.work.data = r;
    r->job.was_asked = r->is_asked;
    r->job.must_load = r->is_asked || is_due || !r->is_settled;
    r->job.old = r->current != NULL ? hf_edition_ref(r->current) : NULL;
    r->job.new = NULL;
    r->job.err = HF_OK;
    r->is_asked = false;
    r->is_working = true;
}

static void on_tick(uv_timer_t *timer)
{
    struct hf_repository *r = timer->data;
    if (r->is_working || r->is_stopped)
        return;
    prepare_job(r);
    if (uv_queue_work(timer->loop, &r->job.work, work, after_work) != 0) {
        r->job.is_loaded = false;
        r->is_asked = r->job.was_asked;
        after_work(&r->job.work, 0); /* the next tick tries again */
    }
}

enum hf_err hf_repository_start(struct hf_repository *r, uv_loop_t *loop, const char *dir,
                                const char *state, const struct hf_repository_events *events,
                                struct hf_why *why)
{
    *r = (struct hf_repository){.dir = dir, .state = state, .events = *events};
    if (uv_mutex_init(&r->mutex) != 0 || uv_timer_init(loop, &r->timer) != 0)
        return hf_fail(why, HF_E_MEMORY, "no memory to watch the repository %s", dir);
    if (state != NULL && hf_newest_load(state, &r->newest, why) != HF_OK)
        hf_service_log(HF_LOG_WARNING, "not all that was served before this start is known: %s",
                       why->text);
    r->timer.data = r;
    prepare_job(r);
    work(&r->job.work);
    after_work(&r->job.work, 0);
    int failed = uv_timer_start(&r->timer, on_tick, HF_SERVE_POLL_MS, HF_SERVE_POLL_MS);
    if (failed != 0)
        return hf_fail(why, HF_E_STATE, "the repository cannot be watched: %s",
                       uv_strerror(failed));
    return HF_OK;
}

void hf_repository_reload(struct hf_repository *r)
{
    r->is_asked = true;
    on_tick(&r->timer);
}

void hf_repository_stop(struct hf_repository *r)
{
    if (!r->is_stopped)
        uv_close((uv_handle_t *)&r->timer, NULL);
    r->is_stopped = true;
}

void hf_repository_free(struct hf_repository *r)
{
    hf_edition_unref(r->current);
    hf_newest_free(&r->newest);
    uv_mutex_destroy(&r->mutex);
}

void hf_repository_status(struct hf_repository *r, struct hf_repository_status *out)
{
    uv_mutex_lock(&r->mutex);
    *out = r->status;
    uv_mutex_unlock(&r->mutex);
}
