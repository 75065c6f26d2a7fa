/*
 * A thread that does what a loop must not wait for: the database, the signer. A loop submits a job;
 * the worker runs it among others; its end comes back to the loop's own thread through the loop's
 * mailbox.
 *
 *     struct change { struct hf_job job; int64_t id; … };    the job is the first member
 *
 *     on the loop      hf_worker_submit(worker, &change->job)
 *     on the worker    change->job.act(&change->job, tx, why)
 *     on the loop      change->job.done(&change->job), with `err` and `why` set
 */
#ifndef HF_FLEET_WORKER_H
#define HF_FLEET_WORKER_H

#include "server/fleet/tx.h"

#include <stdatomic.h>
#include <sys/queue.h>
#include <uv.h>

struct hf_job {
    /* On the worker's thread. The writer may run it a second time, when the transaction of the
     * first time failed: so it leaves its input as it is. */
    enum hf_err (*act)(struct hf_job *job, struct hf_tx *tx, struct hf_why *why);
    /* On the thread of `home`; the job is the caller's again, who may free it. */
    void (*done)(struct hf_job *job);
    struct hf_mailbox *home; /* NULL: `done` (may be NULL then) runs on the worker's thread */
    const char *actor;       /* hf_tx.actor; lives as long as the job */
    bool runs_alone;         /* the writer gives it no transaction: it makes its own */
    bool checks_first;       /* what may refuse it comes before its first change: writer.h */
    bool is_bulk;            /* it leaves room in the queue for others: hf_worker_config.bulk_max */

    enum hf_err err; /* what `act` returned, or why it was not committed */
    struct hf_why why;
    STAILQ_ENTRY(hf_job) link;
};
STAILQ_HEAD(hf_job_list, hf_job);

/* ---- a loop's side --------------------------------------------------------------------------- */

/* One for each loop; `loop->data` is the mailbox. */
struct hf_mailbox {
    uv_async_t wake;
    uv_mutex_t mutex;
    struct hf_job_list jobs; /* back from a worker */
    unsigned n_away;         /* submitted, and not back yet; the loop's */
    atomic_bool is_closing;
};

/** Before the loop runs, or on its thread. */
HF_MUST_USE enum hf_err hf_mailbox_init(struct hf_mailbox *mailbox, uv_loop_t *loop,
                                        struct hf_why *why);
/** That of a loop; NULL if it has none. */
struct hf_mailbox *hf_mailbox_of(const uv_loop_t *loop);
/** Close its handle once every job is back: the loop goes on until then, and the workers must run.
 *  From any thread; right after the loop is told to stop. */
void hf_mailbox_close(struct hf_mailbox *mailbox);
/** After the loop has ended. */
void hf_mailbox_free(struct hf_mailbox *mailbox);

/* ---- the worker ------------------------------------------------------------------------------ */

struct hf_worker_config {
    const char *name; /* of the thread, at most 15 characters */
    size_t queue_max; /* jobs */
    size_t bulk_max;  /* of these as many may be queued when another one that is_bulk comes */
    size_t batch_max; /* jobs that `run` is given at once */
    /* Run each job of the batch, in order, and set its err and why. */
    void (*run)(void *ctx, struct hf_job_list *batch);
    void *ctx;
};

struct hf_worker {
    struct hf_worker_config config;
    uv_thread_t thread;
    uv_mutex_t mutex;
    uv_cond_t filled;
    struct hf_job_list queue;
    size_t n_queued;
    bool is_stopping;
};

HF_MUST_USE enum hf_err hf_worker_start(struct hf_worker *worker,
                                        const struct hf_worker_config *config, struct hf_why *why);
/** From the thread of the job's home. On HF_OK the job is the worker's: without a home it may be
 *  done, and freed, before this returns. HF_E_BUSY: the queue is full, or the worker or the home
 *  stops; then `done` is not called, and the answer is 503. */
HF_MUST_USE enum hf_err hf_worker_submit(struct hf_worker *worker, struct hf_job *job,
                                         struct hf_why *why);
/** Jobs that wait. From any thread. */
size_t hf_worker_waiting(struct hf_worker *worker);
/** Finish what is queued, and end the thread. */
void hf_worker_stop(struct hf_worker *worker);

/** `run` of a worker without a database: each job for itself, with a tx that has none. */
void hf_worker_run_each(void *ctx, struct hf_job_list *batch);

#endif
