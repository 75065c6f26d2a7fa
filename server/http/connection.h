/*
 * One client's connection, from accept to close, on the loop that accepted it; what the connections
 * of a loop share; and the functions that a handler calls.
 *
 *     OPEN ──▶ HANDSHAKE ──▶ HEAD     with TLS or behind a balancer; otherwise it begins with HEAD
 *     HEAD ──▶ IDLE ──▶ HEAD …        a request is arriving / none is
 *       ├──▶ BODY ──▶ IDLE …          its head is there and its body is arriving
 *       ├──▶ ANSWER ──▶ IDLE …        the handler answers later; nothing is read meanwhile
 *       ├──▶ WRITE ──▶ IDLE …         the client accepts its answer slowly; nothing is read
 *       ├──▶ FEED ──▶ WRITE ──▶ FEED …  an answer that goes on until the connection ends (feed.h)
 *       └──▶ LINGER ──▶ closed        refused; what it still sends is thrown away for a while
 *
 * It works on the socket directly and leaves only waiting to libuv (uv_poll): a request that came
 * with its connection is answered before the loop hears of it.
 *
 * hf_conn_close is the only place that closes. Nothing may touch a connection after a call that
 * may have closed it.
 */
#ifndef HF_HTTP_CONNECTION_H
#define HF_HTTP_CONNECTION_H

#include "server/http/access_log.h"
#include "server/http/counters.h"
#include "server/http/proxy.h"
#include "server/http/response.h"
#include "server/http/tls.h"

#include <sys/queue.h>
#include <uv.h>

/**
 * Answers `request`, which is whole and was not refused, by exactly one call of hf_answer_…, before
 * it returns or later. Until then the request belongs to it, even if the client is gone, and its
 * loop does not end. On the loop's thread, as that call, which must not come from within the
 * handler's work on another request: both would write into the one output of the loop.
 */
typedef void hf_handler(void *ctx, struct hf_request *request);

/** A text, which is copied, at most HF_HTTP_COPY_BYTES_MAX bytes; caches must not keep it. */
void hf_answer_text(struct hf_request *request, unsigned status, const char *type, const char *text,
                    size_t len);
/** `head` is copied: status line and headers, at most HF_HTTP_ANSWER_HEAD_MAX bytes, without Date,
 *  Connection and the empty line. `body` NULL: none; a reference is taken where one is needed. */
void hf_answer_body(struct hf_request *request, unsigned status, struct hf_bytes head,
                    struct hf_body *body);
/** "404 Not Found: SENTENCE" as plain text, with the sentence that the server has for `status`, or
 *  what its refusal_format makes of it. */
void hf_answer_refusal(struct hf_request *request, unsigned status);

/**
 * A status with a body of `type` and with `headers` (NULL: none), each with its line end; caches
 * must not keep it. `body` is taken, of any length, and empty after this; 204 and 304 have none,
 * and neither has `type` NULL. Head and headers together are at most HF_HTTP_ANSWER_HEAD_MAX bytes.
 */
void hf_answer_take(struct hf_request *request, unsigned status, const char *type,
                    const char *headers, struct hf_buf *body);

/** Who asks. */
struct hf_request_peer {
    /* The client itself, also behind a balancer; of a local client its process (hf_local_peer). */
    const union hf_peer *address;
    const struct hf_tls_peer *tls; /* NULL: it came without TLS */
};
/** Borrowed from the connection, until the answer. */
struct hf_request_peer hf_request_peer(const struct hf_request *request);

/** The loop that a request came from, for a handler that works elsewhere and answers later. */
uv_loop_t *hf_request_loop(const struct hf_request *request);

struct hf_refusal {
    unsigned status;
    const char *sentence;
    const char *header; /* one more, with its line end; NULL: none */
};

/**
 * Append the body of a refusal in a form of the server's own, at most HF_HTTP_COPY_BYTES_MAX bytes,
 * and return its media type; NULL for the plain text, also without memory. Of a request that HTTP
 * refused only what was read of it is there: its target may be cut or no path at all.
 */
typedef const char *hf_refusal_format(const struct hf_request *request, unsigned status,
                                      const char *sentence, struct hf_buf *out);

/** What a server decides; borrowed. */
struct hf_http_config {
    unsigned connections_max; /* of one loop */
    uint64_t header_timeout_ms;
    uint64_t idle_timeout_ms;
    size_t body_max; /* see hf_request_begin */
    const struct hf_body_rule *body_rules;
    size_t n_body_rules;
    struct hf_tls_server *tls;            /* NULL: plain */
    const struct hf_tls_rules *tls_rules; /* with this loop's ctx; NULL: no client certificates */
    uint64_t handshake_timeout_ms;        /* 0: HF_TLS_HANDSHAKE_TIMEOUT_MS */
    unsigned handshakes_max;              /* of one loop; 0: HF_TLS_HANDSHAKES_MAX */
    /* From addresses in these, and from no others, a connection begins with a PROXY header
     * (proxy.h). */
    const struct hf_network *balancers;
    size_t n_balancers;
    hf_handler *handler;
    void *handler_ctx; /* of one loop, for instance */
    /* http itself uses 400, 405, 408, 411, 413, 414, 417, 431, 503 and 505. */
    const struct hf_refusal *refusals;
    size_t n_refusals;
    hf_refusal_format *refusal_format; /* NULL: plain text */
    struct hf_access_log *access_log;  /* NULL: off */
    struct hf_address_count *addresses;
};

/* What a connection waits for. Each phase has one time limit, so the loop keeps a queue for each
 * in which the first is the next to run out. */
enum hf_phase {
    HF_PHASE_OPEN,      /* for a balancer's header, or for the first byte of TLS */
    HF_PHASE_HANDSHAKE, /* OpenSSL has memory for it */
    HF_PHASE_HEAD,
    HF_PHASE_BODY,
    HF_PHASE_IDLE,
    HF_PHASE_ANSWER,
    HF_PHASE_WRITE,
    HF_PHASE_FEED, /* for the owner of the feed, who has something to append */
    HF_PHASE_LINGER,
    HF_PHASES,
};

struct hf_conn {
    struct hf_conns *conns;
    struct hf_stream stream;
    enum hf_phase phase;
    uint64_t since_ms; /* when the phase began, or progress was last found (WRITE) */
    TAILQ_ENTRY(hf_conn) link;

    uv_poll_t poll;
    bool is_balanced;  /* it came from a balancer */
    bool is_counted;   /* with its address */
    bool is_polled;    /* `poll` is initialised: closing goes through libuv */
    int polled_events; /* what is waited for; 0 for nothing */

    bool is_last;     /* no further request is parsed; the connection ends when all is sent */
    bool must_linger; /* … but not before the client had a chance to read the refusal */
    bool is_handled;  /* the handler has the request */
    bool is_closed;   /* … and the client is gone: its answer goes nowhere */
    size_t moved;     /* bytes sent since since_ms (WRITE), or thrown away (LINGER) */
    size_t unacked;   /* bytes sent before since_ms and not acknowledged then (WRITE) */

    llhttp_t parser;
    struct hf_request *request;   /* NULL between requests */
    struct hf_pending *pending;   /* NULL unless in WRITE or ANSWER */
    struct hf_feed *feed;         /* NULL unless its answer goes on; borrowed */
    struct hf_proxy_input *proxy; /* NULL unless a balancer's header is arriving */
    union hf_peer peer;
};
TAILQ_HEAD(hf_conn_queue, hf_conn);

/* What the connections of a loop share; all of it belongs to the loop's thread. */
struct hf_conns {
    uv_loop_t *uv;
    struct hf_http_config config;
    uint64_t timeout_ms[HF_PHASES];
    /* A connection is closed and goes back to its loop: the only call in that direction. */
    void (*on_end)(struct hf_conn *conn);
    /* An address has as many connections as it may. */
    void (*on_too_many)(struct hf_conn *conn);
    void *on_end_ctx;                 /* of both */
    struct hf_http_counters counters; /* read by other threads, too */
    char date_line[HF_DATE_LINE_MAX]; /* of this second */
    bool is_draining;                 /* the server is stopping */

    struct hf_conn_queue phases[HF_PHASES];
    unsigned n_handshakes; /* in HANDSHAKE */
    struct hf_request *spare_requests;

    uint8_t input[HF_HTTP_READ_BYTES]; /* what was just read, by whichever connection */
    struct hf_output output;           /* what is about to be sent, by the same one */
};

/** Begin to serve an accepted, non-blocking socket, which is taken. `conn` is zero but for `conns`,
 *  is_balanced and is_counted. */
void hf_conn_begin_take(struct hf_conn *conn, int fd, const union hf_peer *peer);

/** Its phase has lasted too long; one that makes progress (WRITE) gets a new time limit. */
void hf_conn_time_out(struct hf_conn *conn);

/** The server is stopping: a request that is there is answered, then, or at once, it closes. */
void hf_conn_drain(struct hf_conn *conn);

/** Close it if the rules about its certificate do not allow it any more. */
void hf_conn_recheck(struct hf_conn *conn);

/** Close now, whatever is under way. */
void hf_conn_close(struct hf_conn *conn);

#endif
