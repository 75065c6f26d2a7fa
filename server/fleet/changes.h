/*
 * Which devices have changed, for a thread that follows them: what they reported, their group, or
 * whether they may connect. The writer adds numbers of devices after a commit; the follower takes
 * them and reads the rows. The queue is bounded: if the follower is too slow, or a restore has
 * changed everything, it is told that changes are lost and reads all devices.
 */
#ifndef HF_FLEET_CHANGES_H
#define HF_FLEET_CHANGES_H

#include "server/fleet/effects.h"

#include <stddef.h>

struct hf_device_changes;

/** Nothing is known before it, so the first hf_device_changes_take says that changes are lost.
 *  HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_device_changes_new(struct hf_device_changes **out, struct hf_why *why);
/** NULL is fine. */
void hf_device_changes_free(struct hf_device_changes *changes);

/** Those of `effects`, and those whose certificates or keys have changed. On the writer's
 *  thread. */
void hf_device_changes_add(struct hf_device_changes *changes, const struct hf_effects *effects);

/** The oldest at most `cap` numbers, the same one perhaps several times. Returns how many.
 *  `*are_lost`: others are missing, and what was queued is dropped. By one follower. */
size_t hf_device_changes_take(struct hf_device_changes *changes, int64_t *ids, size_t cap,
                              bool *are_lost);

#endif
