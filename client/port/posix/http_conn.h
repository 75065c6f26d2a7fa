/*
 * One connection that carries HTTP requests, one after the other: to the server or to a proxy,
 * plain or in TLS, through a CONNECT tunnel where both are wanted. The transport makes and keeps
 * them.
 */
#ifndef HF_CLIENT_PORT_POSIX_HTTP_CONN_H
#define HF_CLIENT_PORT_POSIX_HTTP_CONN_H

#include "client/port/posix/http.h"

struct hf_http_conn {
    int fd;
    struct hf_tls_conn *tls; /* NULL for plain HTTP */
    bool is_https;
    bool is_identified;      /* the server may see the client certificate */
    struct hf_endpoint peer; /* of the URL, not of the proxy */
    struct hf_proxy proxy;
};

/* Where a request goes, and how. `also`: which kind of address, besides the public ones, the name
 * may lead to; NULL: wherever it leads. A proxy looks the name up itself, so that it does not
 * matter there. */
struct hf_http_way {
    const struct hf_url *url;
    const struct hf_proxy *proxy;
    const enum hf_address_kind *also;
    bool is_identified;
};

/** Connect. HF_E_NETWORK, and as hf_tls_conn_open. */
HF_MUST_USE enum hf_err hf_http_conn_open(struct hf_tls_client *tls, const struct hf_http_way *way,
                                          const struct hf_deadline *deadline,
                                          struct hf_http_conn **out, struct hf_why *why);
void hf_http_conn_close(struct hf_http_conn *conn);

/** Send `request` and read into `answer`, which was initialised for it, until it is complete. After
 *  an error, or where the answer says so (may_reuse), the connection is of no more use. */
HF_MUST_USE enum hf_err hf_http_conn_exchange(struct hf_http_conn *conn, struct hf_bytes request,
                                              const struct hf_deadline *deadline,
                                              struct hf_answer *answer, struct hf_why *why);

/** The kind of the server's address; HF_ADDRESS_PUBLIC where only a proxy knows it. */
enum hf_address_kind hf_http_conn_kind(const struct hf_http_conn *conn);

/** Could a request go over this connection? */
bool hf_http_conn_serves(const struct hf_http_conn *conn, const struct hf_http_way *way);

#endif
