/*
 * Restore a backup while the service runs. The backup is copied, checked and brought up to date;
 * then the database becomes that copy in one transaction, and registry and directory follow.
 *
 * A restore takes back what operators did since the backup, but not what protects the fleet: what
 * was revoked stays revoked, used uses of tokens stay used, a CA that was stopped stays stopped,
 * the log keeps every entry and gets one more, and a bundle that rolls out is known since the same
 * moment. Without that, a stolen device would be let in again, and the signer's seals would show a
 * log that was cut. A revoked certificate that the backup does not have is never registered again.
 *
 * On a new machine there is nothing of this; then a copy of the log (`holdfast-admin log export`)
 * brings it: its entries after the backup continue the log, and what they say about rights is done
 * again (restore_log.c, restore_redo.c).
 */
#ifndef HF_FLEET_RESTORE_H
#define HF_FLEET_RESTORE_H

#include "server/fleet/tx.h"

extern const struct hf_sql hf_restore_sql[];

struct hf_restore_from {
    const char *backup; /* path of what hf_db_backup wrote */
    const char *log;    /* path of a copy of the log; NULL: none */
};

/* What became of the database. */
struct hf_restored {
    int64_t state_of_entry;  /* the backup's newest entry of the log */
    int64_t entries;         /* the newest one now */
    int64_t entries_of_copy; /* taken from the copy of the log */
    int64_t entries_kept;    /* of the database as it was, after the backup */
    int64_t gone;            /* certificates that the backup does not have */
    int64_t back;            /* … that only the backup has */
    int64_t changed;         /* … with another status than before */
    int64_t kept_revoked;    /* … that are revoked, and were not in the backup */
    int64_t redone;          /* changes that were made again as the log says */
    int64_t unknown; /* certificates that only the copy of the log knows: to be enrolled again */
};

/**
 * `tx->db` is in no transaction (hf_job.runs_alone). On HF_OK, `tx->effects` is prepared and to be
 * applied. HF_E_NOT_FOUND, HF_E_FORMAT (damaged, or no database of the service), HF_E_SCHEMA (of a
 * newer one), HF_E_POLICY (the backup or the copy of the log is of another service: the logs
 * differ), HF_E_HASH (a log was changed), HF_E_BUSY, HF_E_STORAGE; then nothing has changed.
 */
HF_MUST_USE enum hf_err hf_fleet_restore(struct hf_tx *tx, const struct hf_effects_port *port,
                                         const struct hf_restore_from *from,
                                         struct hf_restored *out, struct hf_why *why);

#endif
