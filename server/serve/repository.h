/*
 * Keeps the served edition up to date with the folder on disk: polls it each second, reads and
 * checks what changed in libuv's thread pool, and hands an edition on only when it is whole.
 * Until then, and whatever happens to the folder, the one before stays.
 *
 * Belongs to one loop's thread; only hf_repository_status may be called from others.
 */
#ifndef HF_SERVE_REPOSITORY_H
#define HF_SERVE_REPOSITORY_H

#include "server/serve/repository_check.h"
#include "server/serve/repository_load.h"

#include <uv.h>

struct hf_repository_events {
    /* A new edition, borrowed for the call. */
    void (*on_edition)(void *ctx, struct hf_edition *e);
    /* The folder was read, and hf_repository_status has the result. `was_asked`: because of
     * hf_repository_reload. */
    void (*on_read)(void *ctx, bool was_asked);
    void *ctx;
};

struct hf_repository_status {
    bool is_served;            /* there is an edition */
    struct hf_summary summary; /* of it */
    char problem[HF_WHY_MAX];  /* why the folder's newest state is not it; "" when it is */
};

/* One poll of the folder, in the thread pool. */
struct hf_repository_job {
    uv_work_t work;
    bool must_load;
    bool was_asked;
    bool is_loaded;         /* false: nothing had changed */
    struct hf_edition *old; /* a reference of its own; may be NULL */
    struct hf_edition *new; /* when is_loaded and err is HF_OK */
    struct hf_repository_mark mark;
    int64_t began_s;
    enum hf_err err;
    struct hf_why why;
    enum hf_err remembered; /* the result of hf_newest_remember */
    struct hf_why why_not_remembered;
};

struct hf_repository {
    const char *dir;   /* borrowed, as the next */
    const char *state; /* NULL: none */
    struct hf_repository_events events;
    uv_timer_t timer;
    bool is_stopped;

    struct hf_edition *current; /* NULL before the first whole one */
    struct hf_newest newest;    /* belongs to the job while one works */
    struct hf_repository_job job;
    bool is_working;
    bool is_asked; /* for a reload (SIGHUP) */

    struct hf_repository_mark mark; /* as of the last load, good or bad */
    bool is_settled;                /* nothing can have changed since without changing the mark */
    uint64_t loaded_ms;             /* when the last load ended */
    uint64_t retry_ms;              /* 0: it was good */
    uint64_t retry_at_ms;

    uv_mutex_t mutex; /* over status */
    struct hf_repository_status status;
};

/** Reads the folder once, blocking, so that a whole repository is served from the first request
 *  on; then watches it on `loop`. A folder that is missing or not whole is no failure: the log says
 *  so, and it is polled again. `state` is the server's own folder, or NULL. */
HF_MUST_USE enum hf_err hf_repository_start(struct hf_repository *r, uv_loop_t *loop,
                                            const char *dir, const char *state,
                                            const struct hf_repository_events *events,
                                            struct hf_why *why);
/** Read now (SIGHUP), also when nothing seems to have changed. */
void hf_repository_reload(struct hf_repository *r);
/** Stop watching. The loop ends when a load that is running has ended. */
void hf_repository_stop(struct hf_repository *r);
/** After the loop has ended. */
void hf_repository_free(struct hf_repository *r);

/** From any thread. */
void hf_repository_status(struct hf_repository *r, struct hf_repository_status *out);

#endif
