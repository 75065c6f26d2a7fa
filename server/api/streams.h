/*
 * The streams of GET /v1/events on one loop of operators: who watches, and where in the ring of
 * events each of them is (server/fleet/events.h). A stream is an answer that goes on
 * (server/http/feed.h). It takes from the ring what its client's socket accepts; one that falls so
 * far behind that events are lost to it is cut off, and its client connects again and is told of
 * the gap. Once a second the token of each is checked again.
 */
#ifndef HF_API_STREAMS_H
#define HF_API_STREAMS_H

#include "server/api/limits.h"
#include "server/fleet/fleet.h"

#include <sys/queue.h>

struct hf_api_call;
struct hf_api_stream;

struct hf_api_streams {
    struct hf_fleet *fleet;
    struct hf_events *events;
    uv_async_t wake;  /* there are events, or the streams end */
    uv_timer_t timer; /* of the checks */
    TAILQ_HEAD(hf_api_stream_list, hf_api_stream) list;
    unsigned n;
    atomic_bool is_closing;
};

/** Before the loop runs; `fleet` outlives the loop, which has a mailbox. */
HF_MUST_USE enum hf_err hf_api_streams_init(struct hf_api_streams *streams, struct hf_fleet *fleet,
                                            uv_loop_t *loop, struct hf_why *why);
/** No further events are sent; the loop closes the connections when it stops. From any thread,
 *  right after the loop is told to stop. */
void hf_api_streams_close(struct hf_api_streams *streams);

/** Answer `call`, whose token was checked, with the events of that account (-1: of all). 0, or the
 *  status to refuse it with and the sentence. On the loop's thread. */
unsigned hf_api_stream_open(struct hf_api_call *call, int64_t account_id, struct hf_why *why);

#endif
