/*
 * The log of a restore: how the log of the backup goes on, and what its entries say about rights
 * that were taken away after the backup (restore_redo.c). Part of restore.c.
 */
#ifndef HF_FLEET_RESTORE_LOG_H
#define HF_FLEET_RESTORE_LOG_H

#include "server/fleet/restore.h"

#include <jansson.h>

extern const struct hf_sql hf_restore_log_sql[], hf_restore_redo_sql[];

struct hf_restore_log {
    struct hf_db *from;           /* the database as it is */
    struct hf_tx *to;             /* the copy of the backup, in one transaction */
    struct hf_restored *restored; /* is added to */
};

/**
 * Check the log of the backup, and continue it: with the entries of the copy of the log `path`
 * (NULL: none), whose changes of certificates, CAs, tokens and policies are made again, and with
 * those of the database as it is. An entry of the database that does not continue the copy is kept
 * inside of a new one, "log.carried". HF_E_POLICY when one of the three is of another log.
 */
HF_MUST_USE enum hf_err hf_restore_carry_log(struct hf_restore_log *log, const char *path,
                                             struct hf_why *why);

/** Do again what one entry of the log says of certificates, CAs, tokens, policies and signatures;
 *  other entries change nothing. A certificate that is REVOKED stays so. */
HF_MUST_USE enum hf_err hf_restore_redo(struct hf_restore_log *log, const json_t *entry,
                                        struct hf_why *why);

/** That a certificate was revoked which the copy does not have: it is never registered again. */
HF_MUST_USE enum hf_err hf_restore_keep_lost(struct hf_db *to, int64_t account_id,
                                             const uint8_t sha256[HF_SHA256_LEN],
                                             struct hf_why *why);

#endif
