/*
 * Restore a backup while the service runs. The backup is copied, checked and brought up to date; then
 * the database becomes that copy in one transaction, and registry and directory follow.
 *
 * A restore takes back what operators did since the backup, but not what protects the fleet: what was revoked
 * stays revoked, used uses of tokens stay used, and the log keeps every entry and gets one more. Without
 * that, a stolen device would be let in again, and the signer's seals would show a log that was cut.
 */
#ifndef HF_FLEET_RESTORE_H
#define HF_FLEET_RESTORE_H

#include "server/fleet/tx.h"

extern const struct hf_sql hf_restore_sql[];

/**
 * `tx->db` is in no transaction (hf_job.runs_alone). On HF_OK, `tx->effects` is prepared and to be applied.
 * HF_E_NOT_FOUND, HF_E_FORMAT (damaged, or no database of the service), HF_E_SCHEMA (of a newer one),
 * HF_E_POLICY (the backup of another service: its log is not the beginning of this one), HF_E_HASH (its log
 * was changed), HF_E_BUSY, HF_E_STORAGE; then nothing has changed.
 */
HF_MUST_USE enum hf_err hf_fleet_restore(struct hf_tx *tx, const struct hf_effects_port *port,
                                         const char *backup, struct hf_why *why);

#endif
