/*
 * How many devices a claim certificate enrols: at most HF_FLEET_CLAIM_USES_MAX within an hour that
 * begins with the first. One claim certificate is in the hands of a factory, or in each device that
 * leaves it, so it is the secret that is stolen most easily; and each enrolment with it takes one
 * of the day's certificates of its CA. Errors: tx.h.
 */
#ifndef HF_FLEET_CLAIM_USE_H
#define HF_FLEET_CLAIM_USE_H

#include "server/fleet/tx.h"

extern const struct hf_sql hf_claim_use_sql[];

/**
 * Take one use of the claim certificate, before the signer is asked. HF_E_LIMIT when the hour's are
 * taken: `*wait_s` says after how many seconds there are others, and is written then only. A clock
 * that was ahead blocks no longer than an hour: an hour that ends later than one that begins now
 * has ended.
 */
HF_MUST_USE enum hf_err hf_claim_use_take(struct hf_tx *tx, int64_t credential_id, int64_t *wait_s,
                                          struct hf_why *why);

#endif
