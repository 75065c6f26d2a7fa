/*
 * The copy of the database, STATE/holdfast.db.backup, which takes its place when it is damaged or
 * lost: a device whose database has rotted gets home by itself, with the floors it had.
 *
 * The schema counts changes that must not be lost (table change). The copy is made anew when it has
 * seen fewer; a database that has seen fewer than its copy has lost some, with its write-ahead log
 * for instance, which SQLite alone would not notice.
 */
#ifndef HF_CLIENT_PORT_POSIX_DB_COPY_H
#define HF_CLIENT_PORT_POSIX_DB_COPY_H

#include <holdfast/bytes.h>

#include <sqlite3.h>

/** How many changes the database has seen. */
HF_MUST_USE enum hf_err hf_db_changes(sqlite3 *db, int64_t *out, struct hf_why *why);
/** How many its copy has; -1 without one that can be read. */
int64_t hf_db_copy_changes(const char *state_dir);

/** Is there one, and is neither a page nor the root metadata damaged? Reads all of it. */
bool hf_db_copy_is_whole(const char *state_dir);

/** Make what was committed until now the copy. Reads all of `db` and refuses to copy a damaged one.
 *  HF_E_STORAGE, HF_E_MEMORY; the copy of before stays then. The caller holds STATE/lock. */
HF_MUST_USE enum hf_err hf_db_copy_write(const char *state_dir, sqlite3 *db, struct hf_why *why);

/**
 * The root metadata in the copy, for a database in which that alone has rotted: appended to `out`.
 * HF_E_NOT_FOUND without a copy, HF_E_STORAGE where it is damaged as well, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_db_copy_load_root(const char *state_dir, struct hf_buf *out,
                                             int64_t *version, struct hf_why *why);

/** What stands where SQLite's shared memory should be, and is no file, is moved away: nobody uses that,
 *  and nothing is lost. Where it stays, opening the database says so. */
void hf_db_clear_index(const char *state_dir);

/** Is there no database, are its bytes at fault, or is it or its log no file? Not so with rights, memory or
 *  another process. */
bool hf_db_is_damaged(const char *state_dir);

/**
 * The copy becomes the database; what was there is kept as STATE/holdfast.db.damaged. Needs no space
 * on the disk, may be cut anywhere and done again. The caller holds STATE/lock and has the database
 * not open. HF_E_NOT_FOUND without a copy that is whole, HF_E_STORAGE; nothing has changed then.
 */
HF_MUST_USE enum hf_err hf_db_copy_restore(const char *state_dir, struct hf_why *why);

#endif
