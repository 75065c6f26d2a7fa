/*
 * The events of the service, over as many connections as it takes. Ctrl-C and SIGTERM end it.
 */
#ifndef HF_ADMIN_FOLLOW_H
#define HF_ADMIN_FOLLOW_H

#include "server/admin/commands.h"
#include "server/admin/event_stream.h"

struct hf_admin_follower {
    /* There is a connection (again): what happened before it was perhaps not told. NULL:
     * ignored. */
    enum hf_err (*connected)(void *ctx, struct hf_why *why);
    enum hf_err (*take)(void *ctx, const struct hf_stream_event *event, struct hf_why *why);
    void *ctx;
};

/**
 * Give each event to `follower`, whose error ends it. A connection that breaks is made again, after
 * longer and longer pauses, each told on standard error; if the first one fails, its error is
 * returned. HF_OK: stopped.
 */
HF_MUST_USE enum hf_err hf_admin_follow_events(const struct hf_admin_options *options,
                                               const struct hf_admin_follower *follower,
                                               struct hf_why *why);

/** End it with HF_OK, within a second. */
void hf_admin_follow_stop(void);

#endif
