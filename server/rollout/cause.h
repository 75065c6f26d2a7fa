/* Why a rollout is paused, in one sentence for the people who are woken by it. */
#ifndef HF_ROLLOUT_CAUSE_H
#define HF_ROLLOUT_CAUSE_H

#include "server/db/db.h"
#include "server/rollout/ledger.h"

/**
 * `numbers` ("3 of 120 judged devices failed …"), and what most of the devices with `result` said: their sentence, the
 * endpoint and the root that are concerned. Looks at HF_ROLLOUT_CAUSE_DEVICES of them. If they cannot be read, the numbers
 * alone: a pause does not wait for its reason.
 */
void hf_rollout_cause(struct hf_db *db, const struct hf_rollout_ledger *ledger,
                      enum hf_rollout_result result, size_t stage, int64_t now_s,
                      const char *numbers, char out[HF_ROLLOUT_REASON_MAX + 1]);

#endif
