/* Between the files that are one connection: connection.c (reading, writing, closing), opening.c
 * (what comes before HTTP), answer.c (what a handler calls) and feed.c (an answer that goes on). */
#ifndef HF_HTTP_CONNECTION_PARTS_H
#define HF_HTTP_CONNECTION_PARTS_H

#include "server/http/connection.h"

/** Into another phase, whose time begins. */
void hf_conn_enter(struct hf_conn *c, enum hf_phase phase);
/** Wait for HF_STREAM_INPUT, HF_STREAM_OUTPUT or both. */
void hf_conn_wait_for(struct hf_conn *c, unsigned what);
/** The last byte is sent: close, but first let the client read it if it must linger. */
void hf_conn_finish(struct hf_conn *c);

/** Close it, and forget what the client has not taken. */
void hf_conn_drop(struct hf_conn *c);
/** Send what the output has. False when the connection has to wait, or is closed; `rest` is kept
 *  meanwhile. */
bool hf_conn_send(struct hf_conn *c, const uint8_t *rest, size_t rest_len);

/** A feed's client has taken all. */
void hf_feed_go_on(struct hf_conn *c);
/** Nothing was appended to a feed for its time. */
void hf_feed_time_out(struct hf_conn *c);

/** The connection begins with a balancer's header. False without memory. */
bool hf_conn_expect_proxy(struct hf_conn *c);
/** Go on with what comes before HTTP (OPEN and HANDSHAKE). True: HTTP may begin. False: it waits,
 *  or ends. */
bool hf_conn_open(struct hf_conn *c);

/** The one way to an answer: `head`, then `text` or `body`, neither after HEAD. */
void hf_conn_answer(struct hf_request *request, unsigned status, struct hf_bytes head,
                    struct hf_bytes text, struct hf_body *body);

#endif
