/*
 * A listening socket. Every loop has its own on the same address (SO_REUSEPORT), and the kernel
 * spreads connections over them. Accepting pauses when the loop holds as many connections as it
 * may or descriptors have run out, and goes on when one of them has closed.
 */
#ifndef HF_SERVE_LISTENER_H
#define HF_SERVE_LISTENER_H

#include "server/serve/connection.h"

struct hf_listener {
    struct hf_loop *loop;
    int fd;
    uv_poll_t poll;
    bool is_open;
    bool is_paused;
};

#define HF_ADDRESS_TEXT_MAX 64

/** "127.0.0.1:8080" or "[::1]:8080". HF_E_ARGUMENT in words. */
HF_MUST_USE enum hf_err hf_address_parse(const char *text, union hf_peer *out, struct hf_why *why);
void hf_address_format(const union hf_peer *address, char out[HF_ADDRESS_TEXT_MAX]);

/**
 * Bind and listen. `*address` with port 0 gets the port that the kernel chose, so that the next
 * listener can share it. `is_first` makes sure that no other server is there: with SO_REUSEPORT
 * the kernel would let us take half of its connections. HF_E_NETWORK in words.
 */
HF_MUST_USE enum hf_err hf_listener_open(struct hf_listener *l, union hf_peer *address,
                                         bool is_first, struct hf_why *why);
/** Accept on `loop` from now on. */
HF_MUST_USE enum hf_err hf_listener_start(struct hf_listener *l, struct hf_loop *loop,
                                          struct hf_why *why);
/** Something closed, or some time has passed: go on if paused. */
void hf_listener_resume(struct hf_listener *l);
/** Accept what is waiting, then listen no more. */
void hf_listener_close(struct hf_listener *l);

#endif
