/*
 * Backup and restore of a SQLite database, both while the service runs. PostgreSQL has tools of its
 * own for this.
 */
#ifndef HF_DB_SQLITE_COPY_H
#define HF_DB_SQLITE_COPY_H

#include "server/db/db.h"

/**
 * Write what is committed now to the new file `to` (mode 0600), complete and on disk when this
 * returns; the copy is read and checked before it gets its name. `db` is a connection that nothing
 * else uses meanwhile; others may read and write. HF_E_STATE if `to` exists, HF_E_STORAGE.
 */
HF_MUST_USE enum hf_err hf_db_backup(struct hf_db *db, const char *to, struct hf_why *why);

/**
 * Make `db`, which is open for writing and in no transaction, what `from` is: in one transaction,
 * so that readers and a power cut find the old state or the new one. `from` was checked by the
 * caller. HF_E_BUSY while another connection writes.
 */
HF_MUST_USE enum hf_err hf_db_replace(struct hf_db *db, struct hf_db *from, struct hf_why *why);

#endif
