/* What the process has of the machine: its state folder and its descriptors. */
#ifndef HF_SERVE_PROCESS_H
#define HF_SERVE_PROCESS_H

#include <holdfast/error.h>

/** Make the state folder `dir` if it is missing, and lock it, because two servers must never write
 *  it: the one that serves holds DIR/holdfastd.lock, which contains its process id. `*lock` is for
 *  hf_file_unlock. HF_E_BUSY and others, in words. */
HF_MUST_USE enum hf_err hf_take_state(const char *dir, int *lock, struct hf_why *why);

/** Raise the limit of descriptors as far as it goes: as many of `connections` as then fit, with a
 *  warning if these are fewer. */
unsigned hf_raise_descriptors(unsigned connections);

#endif
