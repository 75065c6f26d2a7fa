#include "server/fleet/worker.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

/* ---- a loop's side --------------------------------------------------------------------------- */

static void close_if_empty(struct hf_mailbox *mailbox)
{
    if (atomic_load(&mailbox->is_closing) && mailbox->n_away == 0 &&
        !uv_is_closing((uv_handle_t *)&mailbox->wake))
        uv_close((uv_handle_t *)&mailbox->wake, NULL);
}

/* `done` may submit another job. */
static void on_wake(uv_async_t *wake)
{
    struct hf_mailbox *mailbox = wake->data;
    struct hf_job_list back = STAILQ_HEAD_INITIALIZER(back);
    struct hf_job *job;

    uv_mutex_lock(&mailbox->mutex);
    STAILQ_CONCAT(&back, &mailbox->jobs);
    uv_mutex_unlock(&mailbox->mutex);
    while ((job = STAILQ_FIRST(&back)) != NULL) {
        STAILQ_REMOVE_HEAD(&back, link);
        mailbox->n_away--;
        job->done(job);
    }
    close_if_empty(mailbox);
}

enum hf_err hf_mailbox_init(struct hf_mailbox *mailbox, uv_loop_t *loop, struct hf_why *why)
{
    memset(mailbox, 0, sizeof *mailbox);
    atomic_init(&mailbox->is_closing, false);
    STAILQ_INIT(&mailbox->jobs);
    if (uv_mutex_init(&mailbox->mutex) != 0)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a mailbox");
    if (uv_async_init(loop, &mailbox->wake, on_wake) != 0) {
        uv_mutex_destroy(&mailbox->mutex);
        return hf_fail(why, HF_E_MEMORY, "out of memory for a mailbox");
    }
    mailbox->wake.data = mailbox;
    loop->data = mailbox;
    return HF_OK;
}

struct hf_mailbox *hf_mailbox_of(const uv_loop_t *loop)
{
    return loop->data;
}

void hf_mailbox_close(struct hf_mailbox *mailbox)
{
    if (!atomic_exchange(&mailbox->is_closing, true))
        (void)uv_async_send(&mailbox->wake);
}

void hf_mailbox_free(struct hf_mailbox *mailbox)
{
    uv_mutex_destroy(&mailbox->mutex);
}

static struct hf_job *take_first(struct hf_job_list *batch)
{
    struct hf_job *job = STAILQ_FIRST(batch);
    STAILQ_REMOVE_HEAD(batch, link);
    return job;
}

/* The first of the batch, with those behind it that have the same home: it is woken once for all of
 * them. Its handle is open, as its mailbox waits for these jobs. */
static void send_home(struct hf_job_list *batch)
{
    struct hf_mailbox *home = STAILQ_FIRST(batch)->home;
    struct hf_job *job;

    if (home == NULL) {
        job = take_first(batch);
        if (job->done != NULL)
            job->done(job);
        return;
    }
    /* Within the lock: the loop, when it has seen the last job, closes the handle. */
    uv_mutex_lock(&home->mutex);
    do {
        job = take_first(batch);
        STAILQ_INSERT_TAIL(&home->jobs, job, link);
    } while (!STAILQ_EMPTY(batch) && STAILQ_FIRST(batch)->home == home);
    (void)uv_async_send(&home->wake);
    uv_mutex_unlock(&home->mutex);
}

/* ---- the worker ------------------------------------------------------------------------------ */

/* False at the end: nothing is queued, and nothing will be. */
static bool take_batch(struct hf_worker *worker, struct hf_job_list *batch)
{
    struct hf_job *job;

    uv_mutex_lock(&worker->mutex);
    while (worker->n_queued == 0 && !worker->is_stopping)
        uv_cond_wait(&worker->filled, &worker->mutex);
    for (size_t n = 0; n < worker->config.batch_max && worker->n_queued > 0; n++) {
        job = take_first(&worker->queue);
        STAILQ_INSERT_TAIL(batch, job, link);
        worker->n_queued--;
    }
    uv_mutex_unlock(&worker->mutex);
    return !STAILQ_EMPTY(batch);
}

/* While a batch is run, the next one gathers: no timer is needed. */
static void work(void *arg)
{
    struct hf_worker *worker = arg;
    struct hf_job_list batch = STAILQ_HEAD_INITIALIZER(batch);

    (void)pthread_setname_np(pthread_self(), worker->config.name);
    while (take_batch(worker, &batch)) {
        worker->config.run(worker->config.ctx, &batch);
        while (!STAILQ_EMPTY(&batch))
            send_home(&batch);
    }
}

enum hf_err hf_worker_start(struct hf_worker *worker, const struct hf_worker_config *config,
                            struct hf_why *why)
{
    *worker = (struct hf_worker){.config = *config};
    STAILQ_INIT(&worker->queue);
    if (uv_mutex_init(&worker->mutex) != 0)
        return hf_fail(why, HF_E_MEMORY, "%s: a thread cannot be made", config->name);
    if (uv_cond_init(&worker->filled) != 0) {
        uv_mutex_destroy(&worker->mutex);
        return hf_fail(why, HF_E_MEMORY, "%s: a thread cannot be made", config->name);
    }
    int failed = uv_thread_create(&worker->thread, work, worker);
    if (failed == 0)
        return HF_OK;
    uv_cond_destroy(&worker->filled);
    uv_mutex_destroy(&worker->mutex);
    return hf_fail(why, HF_E_MEMORY, "%s: a thread cannot be made: %s", config->name,
                   uv_strerror(failed));
}

enum hf_err hf_worker_submit(struct hf_worker *worker, struct hf_job *job, struct hf_why *why)
{
    const size_t max = job->is_bulk ? worker->config.bulk_max : worker->config.queue_max;
    bool is_taken = false;

    if (job->home != NULL) {
        if (uv_is_closing((uv_handle_t *)&job->home->wake))
            return hf_fail(why, HF_E_BUSY, "the server is stopping. Try again in a moment");
        job->home->n_away++;
    }
    uv_mutex_lock(&worker->mutex);
    is_taken = worker->n_queued < max && !worker->is_stopping;
    if (is_taken) {
        STAILQ_INSERT_TAIL(&worker->queue, job, link);
        worker->n_queued++;
        uv_cond_signal(&worker->filled);
    }
    uv_mutex_unlock(&worker->mutex);
    if (is_taken)
        return HF_OK;
    if (job->home != NULL)
        job->home->n_away--;
    return hf_fail(why, HF_E_BUSY, "the server has too much to do. Try again in a moment");
}

size_t hf_worker_waiting(struct hf_worker *worker)
{
    uv_mutex_lock(&worker->mutex);
    size_t n = worker->n_queued;
    uv_mutex_unlock(&worker->mutex);
    return n;
}

void hf_worker_stop(struct hf_worker *worker)
{
    uv_mutex_lock(&worker->mutex);
    worker->is_stopping = true;
    uv_cond_signal(&worker->filled);
    uv_mutex_unlock(&worker->mutex);
    (void)uv_thread_join(&worker->thread);
    uv_cond_destroy(&worker->filled);
    uv_mutex_destroy(&worker->mutex);
}

void hf_worker_run_each(void *ctx, struct hf_job_list *batch)
{
    struct hf_job *job;

    (void)ctx;
    STAILQ_FOREACH(job, batch, link)
    {
        struct hf_tx tx = {.now_s = (int64_t)time(NULL), .actor = job->actor};
        job->why = (struct hf_why){0};
        job->err = job->act(job, &tx, &job->why);
    }
}
