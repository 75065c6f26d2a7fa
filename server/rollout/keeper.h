/*
 * The thread that steers rollouts: it looks each second (steering.h), over a database connection of
 * its own for reading, and writes in small jobs among those of requests. While the database is away
 * it looks more and more rarely, says so once, and goes on where it was; the timestamp of the
 * repository is the signer's business and goes on meanwhile.
 */
#ifndef HF_ROLLOUT_KEEPER_H
#define HF_ROLLOUT_KEEPER_H

#include "server/rollout/steering.h"

struct hf_rollout_keeper_config {
    struct hf_fleet *fleet;
    const char *signer_socket; /* NULL: rollouts are shown, and none is steered */
    /* What is published, with a reference for the keeper; NULL: nothing is. On the keeper's
     * thread. */
    struct hf_published *(*published)(void *ctx);
    void (*alarm)(void *ctx); /* hf_rollout_port.alarm */
    void *ctx;                /* of both */
};

struct hf_rollout_keeper;

/** What the config borrows outlives the keeper. */
HF_MUST_USE enum hf_err hf_rollout_keeper_start(const struct hf_rollout_keeper_config *config,
                                                struct hf_rollout_keeper **out, struct hf_why *why);
/** Give up what is under way and end. The fleet is still open. NULL is fine. */
void hf_rollout_keeper_stop(struct hf_rollout_keeper *keeper);

/** What it knows; for as long as it runs. */
struct hf_rollout_steering *hf_rollout_keeper_steering(struct hf_rollout_keeper *keeper);

#endif
