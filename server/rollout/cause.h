/* Why a rollout is paused, in one sentence for the people who are woken by it. */
#ifndef HF_ROLLOUT_CAUSE_H
#define HF_ROLLOUT_CAUSE_H

#include "server/db/db.h"
#include "server/rollout/ledger.h"

/**
 * `numbers` ("3 of 120 judged devices failed …"), and what most of these devices said, at most
 * HF_ROLLOUT_CAUSE_DEVICES of those that caused it: their sentence, the endpoint and the root that
 * are concerned. `has_failed`: they said something, and did not fall silent. If they cannot be
 * read, the numbers alone: a pause does not wait for its reason.
 */
void hf_rollout_cause(struct hf_db *db, const struct hf_rollout_entry *devices, size_t n_devices,
                      bool has_failed, const char *numbers, char out[HF_ROLLOUT_REASON_MAX + 1]);

#endif
