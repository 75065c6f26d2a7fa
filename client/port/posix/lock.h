/*
 * STATE/lock: one writer at a time. The lock is flock's, so it ends with the process that holds
 * it, however that ends; the file itself means nothing and stays.
 */
#ifndef HF_CLIENT_PORT_POSIX_LOCK_H
#define HF_CLIENT_PORT_POSIX_LOCK_H

#include <holdfast/error.h>

/**
 * Take the lock of `state_dir`, waiting for it at most `wait_ms`. `*out` is to be handed to
 * hf_lock_release. HF_E_BUSY when another process (or another hf_lock_take in this one) holds it
 * for longer, HF_E_STORAGE.
 */
HF_MUST_USE enum hf_err hf_lock_take(const char *state_dir, unsigned wait_ms, int *out,
                                     struct hf_why *why);

/** A negative `lock` is none. */
void hf_lock_release(int lock);

#endif
