/*
 * A copy of the audit log for a reader who trusts neither the server nor its database: a text of
 * lines, in order, each a JSON object.
 *
 *     {"entry":{"action":"account.create",…,"sequence":1,"time":"2026-11-29T18:00:00Z"},"hash":"…"}
 *     {"seal":{"sequence":1,"time":"2026-11-29T19:00:00Z"},"signature":"BASE64"}
 *
 * It begins at entry 1: otherwise the reader would have to believe the hash before its first line.
 * A seal stands right behind the entry that it covers. No I/O.
 */
#ifndef HF_AUDIT_COPY_H
#define HF_AUDIT_COPY_H

#include "server/audit/chain.h"

/* Bytes of one entry as canonical JSON: names, a reason, a handful of values. */
#define HF_AUDIT_ENTRY_MAX (16u * 1024u)
#define HF_AUDIT_LINE_MAX (20u * 1024u) /* bytes of one line */
#define HF_AUDIT_KEY_LEN 32u            /* Ed25519 */

/** Append the canonical form of `entry`, which then is one line of JSON. HF_E_FORMAT when it would
 *  hold a control character, HF_E_LIMIT, HF_E_MEMORY; then nothing is appended. */
HF_MUST_USE enum hf_err hf_audit_entry_text(const json_t *entry, struct hf_buf *out,
                                            struct hf_why *why);

/** Append the line of an entry (its canonical form), or of a seal, with a line feed.
 *  HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_audit_entry_line(struct hf_bytes entry,
                                            const uint8_t hash[HF_AUDIT_HASH_LEN],
                                            struct hf_buf *out, struct hf_why *why);
HF_MUST_USE enum hf_err hf_audit_seal_line(int64_t sequence, int64_t sealed_s,
                                           const uint8_t signature[HF_AUDIT_SIGNATURE_LEN],
                                           struct hf_buf *out, struct hf_why *why);

/** What is known of a copy while it is read. Zero it and set `key` (borrowed; NULL: signatures of
 *  seals are not verified). */
struct hf_audit_copy {
    const uint8_t *key;
    struct hf_audit_head head;
    int64_t sealed_sequence; /* entries up to here are covered by a verified seal */
    int64_t n_seals;
    int64_t n_restarts;
    /* Of the last restart: its entry, and the entry up to which the log had been sealed before.
     * With a key only one that this key signed counts; any other is HF_E_SIGNATURE. */
    int64_t restart_sequence, restart_lost;
    int64_t n_lines;
};

/**
 * One line, without its line feed. After a failure the copy is not to be used further: HF_E_HASH,
 * an entry was changed; HF_E_ROLLBACK, one is missing or out of order; HF_E_SIGNATURE, a seal is
 * not over this log, or not of this key; HF_E_FORMAT, HF_E_LIMIT, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_audit_copy_line(struct hf_audit_copy *copy, struct hf_bytes line,
                                           struct hf_why *why);

#endif
