/*
 * The audit log as a chain: the hash of an entry is SHA-256(hash of the entry before || canonical
 * JSON of the entry), zeros before the first. One hash stands for all entries up to it. The signer
 * seals the newest hash with its log key now and then, so that an attacker who changes the database
 * cannot rewrite what was sealed. No I/O: shared by the store that writes the log, the signer that
 * seals it, and `holdfast-admin log verify`, which works offline.
 */
#ifndef HF_AUDIT_CHAIN_H
#define HF_AUDIT_CHAIN_H

#include "common/base/digest.h"
#include "common/json/json.h"

#define HF_AUDIT_HASH_LEN HF_SHA256_LEN
#define HF_AUDIT_SIGNATURE_LEN 64 /* Ed25519 */

struct hf_audit_head {
    int64_t sequence; /* of the newest entry; 0: none */
    uint8_t hash[HF_AUDIT_HASH_LEN];
};

/**
 * Extend the chain by `entry`, an object whose "sequence" is that of the head plus one; else
 * HF_E_ROLLBACK, and HF_E_FORMAT for what is no such object. `head` is changed on HF_OK only.
 */
HF_MUST_USE enum hf_err hf_audit_extend(struct hf_audit_head *head, const json_t *entry,
                                        struct hf_why *why);

/** What the log key signs: canonical JSON {"hash", "sequence", "time", "type": "holdfast-seal"}.
 *  Appended. */
HF_MUST_USE enum hf_err hf_audit_seal_text(const struct hf_audit_head *head, int64_t sealed_s,
                                           struct hf_buf *out, struct hf_why *why);

/*
 * A log that lost entries which were sealed, because its database was lost and a backup is older,
 * is restarted by the operator of the signer. The signer then signs a statement, which is an entry
 * of the log from then on: its details. The gap is thereby part of the chain for ever, with what
 * was lost, when, and why.
 */
#define HF_AUDIT_RESTART "log.restart" /* the action of that entry */

/** {"hash", "reason", "sequence", "signature", "time"}: `lost` was the newest sealed entry. A new
 *  reference, signed with `secret_key` (Ed25519); NULL without memory. */
json_t *hf_audit_restart_sign(const struct hf_audit_head *lost, int64_t now_s, const char *reason,
                              const uint8_t secret_key[64]);
/** Is it one, of this log key (NULL: not verified)? `*lost` and `*reason` (borrowed) say what it
 *  says. HF_E_SIGNATURE, HF_E_FORMAT. */
HF_MUST_USE enum hf_err hf_audit_restart_verify(const json_t *statement, const uint8_t *public_key,
                                                struct hf_audit_head *lost, const char **reason,
                                                struct hf_why *why);

/** Did the log key sign this head at this time? HF_E_SIGNATURE. */
HF_MUST_USE enum hf_err hf_audit_seal_verify(const struct hf_audit_head *head, int64_t sealed_s,
                                             const uint8_t signature[HF_AUDIT_SIGNATURE_LEN],
                                             const uint8_t public_key[32], struct hf_why *why);

#endif
