/* Connections that never wait longer than they may, as hf_tls_look wants them. All of it is I/O. */
#ifndef HF_PUBLISH_LIVE_SOCKET_H
#define HF_PUBLISH_LIVE_SOCKET_H

#include "common/tls/tls_look.h"

#include <netdb.h>

/** Monotonic milliseconds. */
int64_t hf_live_now_ms(void);

/* The addresses of a server, found once. All zero is none. */
struct hf_live_route {
    struct addrinfo *addresses;
    const struct addrinfo *works; /* the one that answered; NULL: none has yet */
};

/** HF_E_NETWORK. */
HF_MUST_USE enum hf_err hf_live_route_find(const struct hf_endpoint *peer,
                                           struct hf_live_route *out, struct hf_why *why);
void hf_live_route_free(struct hf_live_route *route);

struct hf_live_wire {
    int fd;
    int64_t end_ms; /* by hf_live_now_ms */
    int limit_ms;   /* how long it was in the beginning, for messages */
};

/** Connect to the first address that answers; each gets its share of `limit_ms`, which is also all
 *  the time that the wire has. HF_E_NETWORK. */
HF_MUST_USE enum hf_err hf_live_connect(struct hf_live_route *route, int limit_ms,
                                        struct hf_live_wire *out, struct hf_why *why);
void hf_live_close(struct hf_live_wire *wire);

/** `wire` is borrowed. */
struct hf_tls_carrier hf_live_carrier(struct hf_live_wire *wire);

#endif
