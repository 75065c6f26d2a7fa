/*
 * Sockets that never wait longer than they may. All are non-blocking; whoever wants to wait says
 * until when.
 */
#ifndef HF_CLIENT_PORT_POSIX_NET_H
#define HF_CLIENT_PORT_POSIX_NET_H

#include "client/port/posix/address.h"
#include "common/tls/endpoint.h"

/* How long one request may take; the defaults are in limits.h. */
struct hf_timeouts {
    int connect_ms; /* from the look-up of the name to the end of the TLS handshake */
    int idle_ms;    /* without a byte in either direction */
    int total_ms;   /* all of it, redirects included */
};
struct hf_timeouts hf_timeouts_default(void);

/* Until when a step may wait, and which of the limits said so. */
struct hf_deadline {
    int64_t end_ms; /* by hf_net_now_ms */
    int idle_ms;    /* of one wait */
    int limit_ms;   /* how long it was in the beginning, for messages */
};

/** Monotonic: no change of the wall clock touches it. */
int64_t hf_net_now_ms(void);

struct hf_deadline hf_deadline_start(int limit_ms, int idle_ms);
/** At most `limit_ms` from now, and never later than `outer`. */
struct hf_deadline hf_deadline_within(const struct hf_deadline *outer, int limit_ms);

/** HF_E_NETWORK, saying how long it took, once the time is up. Does not wait. */
HF_MUST_USE enum hf_err hf_deadline_check(const struct hf_deadline *deadline, struct hf_why *why);

/** Wait for POLLIN or POLLOUT. HF_E_NETWORK, saying how long it took, when the time is up. */
HF_MUST_USE enum hf_err hf_net_wait(int fd, short events, const struct hf_deadline *deadline,
                                    struct hf_why *why);

/**
 * Look the name up and connect to the first of its addresses that answers; each gets its share of
 * the time that is left. `*out_fd` is the caller's to close. HF_E_NETWORK, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_net_connect(const struct hf_endpoint *peer,
                                       const struct hf_deadline *deadline, int *out_fd,
                                       struct hf_why *why);

/**
 * The same, but of the addresses only those that are public or of the kind `also`. HF_E_NETWORK when
 * there is none of them.
 */
HF_MUST_USE enum hf_err hf_net_connect_to_kind(const struct hf_endpoint *peer,
                                               enum hf_address_kind also,
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
