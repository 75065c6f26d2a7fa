/*
 * The root metadata in a database: of all that is kept there, what nobody can fetch again.
 *
 * SQLite keeps no checksums of what is in its rows, so a bit that flips in one is nothing to it. Here
 * the file is held against the receipt of its verification (common/tuf/receipts.h); where it has none
 * it is verified (TUF 5.2).
 */
#ifndef HF_CLIENT_PORT_POSIX_DB_ROOT_H
#define HF_CLIENT_PORT_POSIX_DB_ROOT_H

#include <holdfast/bytes.h>

#include <sqlite3.h>

/**
 * Append the root metadata of `db` to `out`, with its version in `*version`. HF_E_NOT_FOUND where
 * there is none, HF_E_STORAGE where it is damaged, HF_E_BUSY, HF_E_MEMORY; both stay as they were then.
 */
HF_MUST_USE enum hf_err hf_db_root_load(sqlite3 *db, struct hf_buf *out, int64_t *version,
                                        struct hf_why *why);

/** The same without the bytes: is it what it was? */
HF_MUST_USE enum hf_err hf_db_root_check(sqlite3 *db, struct hf_why *why);

#endif
