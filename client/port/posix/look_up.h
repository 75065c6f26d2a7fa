/*
 * The addresses of a host, by the system's resolver and within a time that we set: that one knows
 * only its own, half a minute or for ever.
 */
#ifndef HF_CLIENT_PORT_POSIX_LOOK_UP_H
#define HF_CLIENT_PORT_POSIX_LOOK_UP_H

#include "client/port/posix/net.h"

struct addrinfo;

/* Look-ups that the resolver still owes an answer, though nobody waits for it any more. Each holds a
 * thread; with so many there is no further one until an answer comes. */
#define HF_LOOK_UPS_MAX 8

/**
 * Look `peer` up, for TCP. `*out` is the caller's, for freeaddrinfo. HF_E_NETWORK when there is no such
 * host or no answer until `deadline`, HF_E_MEMORY. The look-up has a thread of its own, which takes no
 * signals; one that comes too late ends by itself. An address needs neither.
 */
HF_MUST_USE enum hf_err hf_look_up(const struct hf_endpoint *peer,
                                   const struct hf_deadline *deadline, struct addrinfo **out,
                                   struct hf_why *why);

#endif
