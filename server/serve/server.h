/*
 * The whole server: the repository is watched and signals are heard on one loop, which serves
 * nobody; the serving loops run beside it.
 */
#ifndef HF_SERVE_SERVER_H
#define HF_SERVE_SERVER_H

#include "server/serve/loop.h"
#include "server/serve/options.h"

struct hf_server {
    const struct hf_serve_options *options; /* borrowed */
    int state_lock;                         /* -1: none */
    struct hf_access_log *access_log;       /* NULL: off */
    struct hf_address_count *addresses;
    struct hf_listener *listeners; /* one for each loop, until the loop takes it */
    struct hf_loop *loops;
    unsigned n_loops; /* running */

    uv_loop_t control;
    uv_signal_t signals[3];
    uv_timer_t watchdog; /* active only when systemd expects a sign of life */
    struct hf_repository repository;
};

/** Serve until SIGTERM or SIGINT; SIGHUP looks at the repository and opens the log anew.
 *  HF_OK after an orderly end. */
HF_MUST_USE enum hf_err hf_server_run(const struct hf_serve_options *options, struct hf_why *why);

#endif
