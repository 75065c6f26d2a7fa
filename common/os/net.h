/*
 * Sockets with deadlines. All are non-blocking; a caller that waits gives the time limit.
 */
#ifndef HF_OS_NET_H
#define HF_OS_NET_H

#include "common/os/address.h"
#include "common/tls/endpoint.h"

struct addrinfo;

/* How long one request may take; the defaults are in limits.h. */
struct hf_timeouts {
    int connect_ms; /* from the look-up of the name to the end of the TLS handshake */
    int idle_ms;    /* without a byte in either direction */
    int total_ms;   /* all of it, redirects included */
};
struct hf_timeouts hf_timeouts_default(void);

/* Until when a step may wait, and which of the limits said so. */
struct hf_deadline {
    int64_t end_ms; /* by hf_monotonic_ms */
    int idle_ms;    /* of one wait */
    int limit_ms;   /* how long it was in the beginning, for messages */
};

struct hf_deadline hf_deadline_start(int limit_ms, int idle_ms);
/** At most `limit_ms` from now, and never later than `outer`. */
struct hf_deadline hf_deadline_within(const struct hf_deadline *outer, int limit_ms);

/** HF_E_NETWORK, saying how long it took, once the time is up. Does not wait. */
HF_MUST_USE enum hf_err hf_deadline_check(const struct hf_deadline *deadline, struct hf_why *why);

/** Wait for POLLIN or POLLOUT. HF_E_NETWORK, saying how long it took, when the time is up. */
HF_MUST_USE enum hf_err hf_net_wait(int fd, short events, const struct hf_deadline *deadline,
                                    struct hf_why *why);

/* Limit of look-ups whose caller has given up while the resolver has not answered. Each holds a
 * thread. At the limit no further look-up starts until an answer comes. */
#define HF_LOOK_UPS_MAX 8

/* The addresses of a server, found once. All zero is none. */
struct hf_route {
    struct addrinfo *addresses;
    const struct addrinfo *works; /* the one that answered; NULL: none has yet */
};

/**
 * Look `peer` up, for TCP. HF_E_NETWORK when there is no such host or no answer until `deadline`,
 * HF_E_MEMORY. The look-up has a thread of its own, which takes no signals; one that comes too late
 * ends by itself. An address needs no thread. hf_route_free it.
 */
HF_MUST_USE enum hf_err hf_route_find(const struct hf_endpoint *peer,
                                      const struct hf_deadline *deadline, struct hf_route *out,
                                      struct hf_why *why);
void hf_route_free(struct hf_route *route);

/**
 * Connect to the address that works, else to the first that answers; each gets its share of the
 * time that is left. `also`: only addresses that are public or of that kind (HF_E_NETWORK when
 * there is none of them); NULL: any. `*out_fd` is the caller's to close. HF_E_NETWORK.
 */
HF_MUST_USE enum hf_err hf_route_connect(struct hf_route *route, const enum hf_address_kind *also,
                                         const struct hf_deadline *deadline, int *out_fd,
                                         struct hf_why *why);

/** Both, for one connection. HF_E_NETWORK, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_net_connect(const struct hf_endpoint *peer,
                                       const enum hf_address_kind *also,
                                       const struct hf_deadline *deadline, int *out_fd,
                                       struct hf_why *why);

/** The kind of the address at the other end. */
enum hf_address_kind hf_net_peer_kind(int fd);

/** Send all of it. HF_E_NETWORK. A closed peer is an error, never a signal. */
HF_MUST_USE enum hf_err hf_net_send(int fd, struct hf_bytes data,
                                    const struct hf_deadline *deadline, struct hf_why *why);

/** Receive at least one byte; `*out_len` 0: the peer has closed its side. HF_E_NETWORK. */
HF_MUST_USE enum hf_err hf_net_receive(int fd, void *data, size_t cap,
                                       const struct hf_deadline *deadline, size_t *out_len,
                                       struct hf_why *why);

/** Nothing has come: no byte, no end, no error. */
bool hf_net_is_quiet(int fd);

#endif
