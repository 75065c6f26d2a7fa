/*
 * What is known of the keys of certificates (table credential_key): computed once for each
 * certificate, and again when the rules or the list of weak keys have changed, so that an audit of
 * a million certificates reads few of them.
 */
#ifndef HF_FINDINGS_KEYS_H
#define HF_FINDINGS_KEYS_H

#include "common/base/digest.h"
#include "server/findings/limits.h"
#include "server/findings/weak_keys.h"
#include "server/fleet/tx.h"

extern const struct hf_sql hf_key_sql[];

struct hf_key_row {
    int64_t credential_id;
    uint8_t spki_sha256[HF_SHA256_LEN];
    char fault[HF_KEY_FAULT_MAX]; /* "": none */
};

/* The certificates that one step has judged; the room for HF_CHECK_STEP_ROWS is the caller's. */
struct hf_key_step {
    struct hf_key_row *rows;
    size_t n_rows;
    int64_t after; /* of the next step */
    bool is_end;
};

/** Names the rules and this list: rows with another mark are judged again. */
int64_t hf_keys_mark(const struct hf_weak_keys *list);
/** Judge those of the next HF_CHECK_STEP_ROWS certificates after `step->after` that were not judged
 *  by `mark`. */
HF_MUST_USE enum hf_err hf_keys_step(struct hf_db *db, const struct hf_weak_keys *list,
                                     int64_t mark, struct hf_key_step *step, struct hf_why *why);
HF_MUST_USE enum hf_err hf_key_save(struct hf_tx *tx, const struct hf_key_row *row, int64_t mark,
                                    struct hf_why *why);

#endif
