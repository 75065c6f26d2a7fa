/*
 * One client's connection, from accept to close, on the loop that accepted it.
 *
 *     HEAD ──▶ IDLE ──▶ HEAD …       a request's head is arriving / none is
 *       └──▶ WRITE ──▶ IDLE …        the client takes its answer slowly; nothing is read meanwhile
 *       └──▶ LINGER ──▶ closed       refused; what it still sends is thrown away for a while
 *
 * It works on the socket directly and leaves only waiting to libuv (uv_poll): a request that came
 * with its connection is answered before the loop hears of it.
 *
 * hf_conn_close is the only place that closes. Nothing may touch a connection after a call that
 * may have closed it.
 */
#ifndef HF_SERVE_CONNECTION_H
#define HF_SERVE_CONNECTION_H

#include "server/serve/access_log.h"
#include "server/serve/output.h"
#include "server/serve/request.h"

#include <sys/queue.h>
#include <uv.h>

struct hf_loop;

/* What a connection waits for. Each phase has one time limit, so the loop keeps a queue for each
 * in which the first is the next to run out. */
enum hf_phase {
    HF_PHASE_HEAD,
    HF_PHASE_IDLE,
    HF_PHASE_WRITE,
    HF_PHASE_LINGER,
    HF_PHASES,
};

struct hf_conn {
    struct hf_loop *loop;
    int fd;
    enum hf_phase phase;
    uint64_t since_ms; /* when the phase began, or progress was last found (WRITE) */
    TAILQ_ENTRY(hf_conn) link;

    uv_poll_t poll;
    bool is_polled;    /* `poll` is initialised: closing goes through libuv */
    int polled_events; /* what is waited for; 0 at first */

    bool is_last;     /* no further request is looked at; the connection ends when all is sent */
    bool must_linger; /* … but not before the client had a chance to read the refusal */
    size_t moved;     /* bytes sent since since_ms (WRITE), or thrown away (LINGER) */
    size_t unacked;   /* bytes sent before since_ms and not acknowledged then (WRITE) */

    llhttp_t parser;
    struct hf_request *request; /* NULL between requests */
    struct hf_pending *pending; /* NULL unless in WRITE */
    union hf_peer peer;
};
TAILQ_HEAD(hf_conn_queue, hf_conn);

/** Begin to serve an accepted, non-blocking socket, which is taken. `conn` is zeroed. */
void hf_conn_begin_take(struct hf_conn *conn, struct hf_loop *loop, int fd,
                        const union hf_peer *peer);

/** Its phase has lasted too long; one that makes progress (WRITE) gets its time anew. */
void hf_conn_time_out(struct hf_conn *conn);

/** The server is stopping: a request that is there is answered, then, or at once, it closes. */
void hf_conn_drain(struct hf_conn *conn);

/** Close now, whatever is under way. */
void hf_conn_close(struct hf_conn *conn);

#endif
