/*
 * One event loop on a thread of its own, with its listening socket and its connections. Loops share
 * nothing that changes. Accepting pauses when the loop holds as many connections as it may or
 * descriptors have run out, and goes on when one of them has closed.
 */
#ifndef HF_HTTP_LOOP_H
#define HF_HTTP_LOOP_H

#include "server/http/connection.h"
#include "server/http/settings.h"

struct hf_loop {
    uv_loop_t uv;
    uv_thread_t thread;
    uv_async_t wake;
    uv_timer_t sweep;
    uv_timer_t recheck;  /* runs only where there are rules about certificates */
    uint64_t generation; /* of the rules at the last check of all connections */
    uint64_t checked_ms; /* when that was */

    int listener;
    uv_poll_t waiting; /* for clients, on the listener */
    bool is_listening;
    bool is_paused;

    atomic_bool is_stop_asked;                  /* from other threads, as the next */
    atomic_bool has_answered;                   /* hf_loop_is_alive */
    _Atomic(struct hf_http_settings *) offered; /* newer ones, or NULL */
    struct hf_http_settings *settings;          /* a reference; NULL: those of the configuration */

    bool is_ended; /* the last handles are closing */
    uint64_t drain_until_ms;
    uint64_t paused_warned_ms; /* 0: accepting was never paused */
    uint64_t full_warned_ms;   /* 0: no address ever had too many connections */

    struct hf_conns conns;
    unsigned n_conns; /* open */
    struct hf_conn_queue spare;
};

/** Make the loop and accept on `listener` (hf_listen), which is taken also on failure, but do not
 *  run yet. */
HF_MUST_USE enum hf_err hf_loop_init_take(struct hf_loop *loop, int listener,
                                          const struct hf_http_config *config, struct hf_why *why);
HF_MUST_USE enum hf_err hf_loop_start(struct hf_loop *loop, struct hf_why *why);
/** Go on with these settings from the next event on. From any thread, until hf_loop_join. */
void hf_loop_offer(struct hf_loop *loop, struct hf_http_settings *settings);
/** Has the loop run since the last call? Asks it again. From any thread. */
bool hf_loop_is_alive(struct hf_loop *loop);
/** Stop accepting, finish what is under way, end. From any thread. */
void hf_loop_stop(struct hf_loop *loop);
/** Wait for the end and free. */
void hf_loop_join(struct hf_loop *loop);

#endif
