/*
 * The server's own folder (--state). Fleet state will live here, and two servers must never write
 * it: whoever serves holds DIR/holdfastd.lock, in which its process id stands.
 */
#ifndef HF_SERVE_STATE_LOCK_H
#define HF_SERVE_STATE_LOCK_H

#include <holdfast/error.h>

/** Make the folder (0700) if missing and lock it until the process ends or `*fd` is closed.
 *  HF_E_BUSY with the other's process id, HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_state_lock(const char *dir, int *fd, struct hf_why *why);

#endif
