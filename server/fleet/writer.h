/*
 * What the two workers of the database do with a batch of jobs.
 *
 * The writer is the only one that writes. A batch is one transaction, and one sync of the disk;
 * each job is a savepoint in it, so a job that fails takes nothing with it. A savepoint costs a
 * copy of each page that is changed in it. A job that `checks_first` needs none: if it is refused,
 * it has changed nothing; if it fails later, which only a fault of the database should cause, the
 * batch as a whole fails. Then, in order: what the jobs change in memory is made ready, the
 * transaction is committed, the changes are applied, the loops are told. If the batch as a whole
 * fails because of one job, each is tried alone: one that cannot be committed does not fail the
 * others. If the database itself fails, all of them do.
 */
#ifndef HF_FLEET_WRITER_H
#define HF_FLEET_WRITER_H

#include "common/base/counter.h"
#include "server/fleet/worker.h"

struct hf_writer {
    struct hf_db *db; /* open for writing */
    struct hf_effects_port port;
    struct hf_effects effects; /* of the batch under way */
    int64_t (*now_s)(void);    /* NULL: the clock */
    /* For monitoring, by the writer's thread */
    hf_counter jobs, commits, failures; /* failures: of transactions */
    hf_counter commit_ns;               /* spent on transactions */
};

/** hf_worker_config.run; `ctx` is a struct hf_writer. */
void hf_writer_run(void *ctx, struct hf_job_list *batch);
void hf_writer_free(struct hf_writer *writer);

/** The same for a struct hf_db that is open for reading: each job sees one state. */
void hf_reader_run(void *ctx, struct hf_job_list *batch);

#endif
