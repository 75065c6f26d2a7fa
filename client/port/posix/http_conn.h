/*
 * One connection that carries HTTP requests, one after the other: to the server or to a proxy,
 * plain or in TLS, through a CONNECT tunnel where both are wanted.
 */
#ifndef HF_CLIENT_PORT_POSIX_HTTP_CONN_H
#define HF_CLIENT_PORT_POSIX_HTTP_CONN_H

#include "client/port/posix/http_message.h"
#include "client/port/posix/tls_conn.h"

struct hf_http_conn;

/**
 * Connect for requests to `url`'s server by way of `proxy`. `also` NULL: wherever its name leads; else
 * only to public addresses and those of that kind. A proxy looks the name up itself, so that `also`
 * does not matter there. HF_E_NETWORK, and as hf_tls_conn_open.
 */
HF_MUST_USE enum hf_err hf_http_conn_open(struct hf_tls_client *tls, const struct hf_url *url,
                                          const struct hf_proxy *proxy,
                                          const enum hf_address_kind *also,
                                          const struct hf_deadline *deadline,
                                          struct hf_http_conn **out, struct hf_why *why);
/** "TLSv1.3"; empty without TLS; static. */
const char *hf_http_conn_tls_version(const struct hf_http_conn *conn);
void hf_http_conn_close(struct hf_http_conn *conn);

/**
 * Send `request` and read into `answer`, which was initialised for it, until it is complete.
 * After an error, or where the answer says so (may_reuse), the connection is of no more use.
 */
HF_MUST_USE enum hf_err hf_http_conn_exchange(struct hf_http_conn *conn, struct hf_bytes request,
                                              const struct hf_deadline *deadline,
                                              struct hf_answer *answer, struct hf_why *why);

/** The kind of the server's address; HF_ADDRESS_PUBLIC where only a proxy knows it. */
enum hf_address_kind hf_http_conn_kind(const struct hf_http_conn *conn);

/** Could a request to `url` by way of `proxy` go over this connection? */
bool hf_http_conn_serves(const struct hf_http_conn *conn, const struct hf_url *url,
                         const struct hf_proxy *proxy);

/** Still up as far as can be seen without asking, and nothing unasked has come. */
bool hf_http_conn_is_quiet(struct hf_http_conn *conn);

#endif
