/*
 * One event loop on a thread of its own, with its listener and its connections. Loops share
 * nothing that changes; new editions and the order to stop are handed over by uv_async.
 */
#ifndef HF_SERVE_LOOP_H
#define HF_SERVE_LOOP_H

#include "server/serve/address_count.h"
#include "server/serve/listener.h"
#include "server/serve/repository.h"
#include "server/serve/respond.h"

struct hf_loop_config {
    unsigned connections_max; /* of this loop */
    uint64_t timeout_ms[HF_PHASES];
    struct hf_repository *repository; /* borrowed, as the next */
    struct hf_access_log *access_log; /* NULL: off */
    struct hf_address_count *addresses;
};

struct hf_loop {
    uv_loop_t uv;
    uv_thread_t thread;
    uv_async_t wake;
    uv_timer_t sweep;
    struct hf_loop_config config;
    struct hf_repository *repository;
    struct hf_access_log *access_log;
    struct hf_address_count *addresses;
    struct hf_listener listener;

    uv_mutex_t mutex;           /* over the three that others write */
    struct hf_edition *offered; /* a reference, or NULL */
    bool is_stop_asked;
    bool has_answered; /* hf_loop_is_alive */

    struct hf_edition *edition; /* what is served; a reference; NULL: nothing yet */
    char date_line[HF_DATE_LINE_MAX];
    bool is_draining;
    bool is_ended; /* the last handles are closing */
    uint64_t drain_until_ms;
    uint64_t paused_said_ms; /* 0: accepting was never paused */
    uint64_t full_said_ms;   /* 0: no address ever had too many connections */

    struct hf_conn_queue phases[HF_PHASES];
    unsigned n_conns;
    struct hf_conn_queue spare_conns;
    struct hf_request *spare_requests;

    uint8_t input[HF_SERVE_READ_BYTES]; /* what was just read, by whichever connection */
    struct hf_output output;            /* what is about to be sent, by the same one */
};

/**
 * Make the loop and accept on `listener`, whose socket is taken also on failure, but do not run
 * yet.
 */
HF_MUST_USE enum hf_err hf_loop_init_take(struct hf_loop *loop, const struct hf_listener *listener,
                                          const struct hf_loop_config *config, struct hf_why *why);
HF_MUST_USE enum hf_err hf_loop_start(struct hf_loop *loop, struct hf_why *why);
/** Serve `g` from now on. From any thread. */
void hf_loop_offer(struct hf_loop *loop, struct hf_edition *g);
/** Has the loop run since the last call? Asks it anew. From any thread. */
bool hf_loop_is_alive(struct hf_loop *loop);
/** Stop accepting, finish what is under way, end. From any thread. */
void hf_loop_stop(struct hf_loop *loop);
/** Wait for the end and free. */
void hf_loop_join(struct hf_loop *loop);

/* For connections and the listener, on the loop's thread. */

/** A zeroed connection; NULL when there are as many as allowed, or no memory. */
struct hf_conn *hf_loop_take_conn(struct hf_loop *loop);
void hf_loop_release_conn(struct hf_loop *loop, struct hf_conn *conn);
/** NULL without memory. Its content is undefined until hf_request_begin. */
struct hf_request *hf_loop_take_request(struct hf_loop *loop);
/** NULL is fine. */
void hf_loop_release_request(struct hf_loop *loop, struct hf_request *request);
/** Tell the operator that accepting pauses, at most once a minute. */
void hf_loop_say_paused(struct hf_loop *loop, const char *reason);
/** … that a connection of `peer` was closed since it has too many, at most once a minute. */
void hf_loop_say_full(struct hf_loop *loop, const union hf_peer *peer);

#endif
