/*
 * What the signer signed, in the audit log: an entry for each signature, taken over by its number
 * at the signer, so that none is missing and none is there twice.
 */
#ifndef HF_FLEET_SIGNATURE_H
#define HF_FLEET_SIGNATURE_H

#include "server/fleet/tx.h"

#include <jansson.h>

extern const struct hf_sql hf_signature_sql[];

/** The number of the newest one that was taken over; 0: none. */
HF_MUST_USE enum hf_err hf_signature_last(struct hf_db *db, int64_t *out, struct hf_why *why);

/** Those up to number `last` are in the log; a lower number than before changes nothing. */
HF_MUST_USE enum hf_err hf_signature_set_last(struct hf_db *db, int64_t last, struct hf_why *why);

/**
 * Enter what the signer's verb `signatures` answered: objects with "id", "time", "kind", "subject"
 * and "sha256", by number. Those up to the last one are skipped. HF_E_FORMAT for what is no such
 * list.
 */
HF_MUST_USE enum hf_err hf_signature_log(struct hf_tx *tx, const json_t *signatures,
                                         struct hf_why *why);

#endif
