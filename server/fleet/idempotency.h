/*
 * Answers to requests with an Idempotency-Key, kept for a day: a client that did not get its answer
 * sends the request again and gets the same one. The answer is saved in the transaction of the act.
 */
#ifndef HF_FLEET_IDEMPOTENCY_H
#define HF_FLEET_IDEMPOTENCY_H

#include "server/fleet/tx.h"

extern const struct hf_sql hf_idempotency_sql[];

/**
 * The answer to the request with this key of this actor: HF_OK, appended to `answer`, with its HTTP
 * status. HF_E_NOT_FOUND, without a sentence: it is new. HF_E_STATE: the key was used for another
 * request.
 */
HF_MUST_USE enum hf_err hf_idempotency_find(struct hf_tx *tx, const char *key,
                                            const uint8_t request_sha256[HF_SHA256_LEN],
                                            int64_t *status, struct hf_buf *answer,
                                            struct hf_why *why);
/** `answer` is text, at most HF_FLEET_ANSWER_MAX bytes. An answer that shows a secret is not saved:
 *  save one without it. */
HF_MUST_USE enum hf_err hf_idempotency_save(struct hf_tx *tx, const char *key,
                                            const uint8_t request_sha256[HF_SHA256_LEN],
                                            int64_t status, const char *answer, struct hf_why *why);
/** Forget those older than HF_FLEET_IDEMPOTENCY_LIFE_S. */
HF_MUST_USE enum hf_err hf_idempotency_purge(struct hf_tx *tx, struct hf_why *why);

#endif
