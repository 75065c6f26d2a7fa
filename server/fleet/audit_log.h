/*
 * The audit log in the database: an entry in the same transaction as the act, and the signer's
 * seals. The chain itself and copies for offline verification are in server/audit.
 */
#ifndef HF_FLEET_AUDIT_LOG_H
#define HF_FLEET_AUDIT_LOG_H

#include "server/audit/copy.h"
#include "server/fleet/tx.h"

extern const struct hf_sql hf_audit_log_sql[];

/**
 * Log `action` ("credential.status") of `tx->actor`. `account_id` 0: of no account. `details` is
 * taken, also on failure; NULL fails with HF_E_MEMORY, so that what json_pack gave needs no check.
 */
HF_MUST_USE enum hf_err hf_audit_append_take(struct hf_tx *tx, const char *action,
                                             int64_t account_id, json_t *details,
                                             struct hf_why *why);

/** The newest entry's number and hash; all zero for an empty log. */
HF_MUST_USE enum hf_err hf_audit_log_head(struct hf_db *db, struct hf_audit_head *out,
                                          struct hf_why *why);

struct hf_audit_entry {
    int64_t sequence;
    uint8_t hash[HF_AUDIT_HASH_LEN];
    struct hf_bytes text; /* canonical JSON; borrowed for the call */
};
/** A struct hf_audit_entry each: entries after number `after`, oldest first, at most `limit`;
 *  `account_id` 0: of all accounts and of none. */
HF_MUST_USE enum hf_err hf_audit_log_list(struct hf_db *db, int64_t account_id, int64_t after,
                                          size_t limit, hf_db_each *each, void *ctx,
                                          struct hf_why *why);

struct hf_seal {
    int64_t sequence; /* the last entry that it covers */
    int64_t sealed_s;
    uint8_t signature[HF_AUDIT_SIGNATURE_LEN];
};
/** A struct hf_seal each: of entries after `after`, oldest first. */
HF_MUST_USE enum hf_err hf_seal_list(struct hf_db *db, int64_t after, size_t limit,
                                     hf_db_each *each, void *ctx, struct hf_why *why);
/** The newest seal; zero without one. */
HF_MUST_USE enum hf_err hf_seal_last(struct hf_db *db, struct hf_seal *out, struct hf_why *why);
/**
 * Keep a seal that the signer made over the entry with that number of this log. HF_E_SIGNATURE when
 * it is not over this log or not of `key` (NULL: not verified); HF_E_ROLLBACK when this log has no
 * such entry, or a newer seal. One that is there already is HF_OK.
 */
HF_MUST_USE enum hf_err hf_seal_save(struct hf_tx *tx, const struct hf_seal *seal,
                                     const uint8_t *key, struct hf_why *why);

/** Compute every hash again and compare it, and verify the seals with `key` (NULL: only count
 *  them). The errors of hf_audit_copy_line. */
HF_MUST_USE enum hf_err hf_audit_log_verify(struct hf_db *db, const uint8_t *key,
                                            struct hf_audit_copy *out, struct hf_why *why);

#endif
