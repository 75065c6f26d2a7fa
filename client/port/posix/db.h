/*
 * SQLite, with its faults as sentences.
 *
 * Write-ahead log with synchronous=NORMAL: a commit is one append, its frames carry checksums. A
 * power cut takes back the newest commits, in order, and never half of one; hf_db_sync says from
 * where on it takes back none. That is asked for where it matters (an activation, the end of an
 * update), not for each of the eight commits of an update. A rollback journal would cost three to
 * four fsyncs a commit, and readers would wait for the writer. The price is the -wal and -shm file
 * beside the database, which stay when it is closed.
 *
 * The log needs memory that processes share through a mapped file. File systems without such mappings
 * (JFFS2, 9p, FUSE with direct_io) get a rollback journal instead, synced at every commit; the
 * database's own header says which of the two it has. Other processes read it all the same. On a disk that cannot be written it is opened
 * for reading with them or, where they cannot be used, as "immutable", without them.
 */
#ifndef HF_CLIENT_PORT_POSIX_DB_H
#define HF_CLIENT_PORT_POSIX_DB_H

#include <holdfast/bytes.h>

#include <sqlite3.h>

#define HF_DB_LOG_PAGES "256" /* of 4 KiB: the log is folded in when it is longer */
#define HF_DB_BUSY_MS 5000 /* a writer holds the database for milliseconds; slow flash for more */

/**
 * Make a new, empty database, mode 0600, with a log or a journal, whichever works where it is.
 * HF_E_STATE if `path` exists. After hf_db_fold it may be closed and renamed.
 */
HF_MUST_USE enum hf_err hf_db_create(const char *path, sqlite3 **out, struct hf_why *why);

/**
 * Open an existing one and read through it once. Where it cannot be opened for writing (read-only or
 * full disk), it is opened for reading and `not_writable` says why; else that stays as it was.
 * HF_E_STORAGE when it is damaged or cannot be read at all, HF_E_BUSY, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_db_open(const char *path, sqlite3 **out, struct hf_why *not_writable,
                                   struct hf_why *why);

/** What was written stands in the database's own file; its log is empty. No other process has it open. */
HF_MUST_USE enum hf_err hf_db_fold(sqlite3 *db, struct hf_why *why);

/** Open for reading alone. With the log, if its files are there and can be read; else as of the last
 *  time that the log was folded in. HF_E_STORAGE, HF_E_BUSY, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_db_open_for_reading(const char *path, sqlite3 **out, struct hf_why *why);

/** A file may be anything: nothing in its schema is trusted, and its cells are checked. Of every
 *  connection, before its first statement. */
void hf_db_harden(sqlite3 *db);

/** A read-only view that needs no lock, no -wal and no -shm, and does not see what is in them. */
HF_MUST_USE enum hf_err hf_db_open_immutable(const char *path, sqlite3 **out, struct hf_why *why);

/** Is the file that was opened no longer where it was, because another one has taken its place? */
bool hf_db_is_replaced(sqlite3 *db);

/** Read all of it: damage is found here, before anything relies on it. Not what is damaged within a
 *  row: SQLite has no checksums. HF_E_STORAGE, … */
HF_MUST_USE enum hf_err hf_db_check_pages(sqlite3 *db, struct hf_why *why);

/** The sentence for what `db` has just met while it was to `action` ("save the timestamp"). */
enum hf_err hf_db_fail(sqlite3 *db, const char *action, struct hf_why *why);

/** What was committed until now survives a power cut. One fsync, of the write-ahead log. */
HF_MUST_USE enum hf_err hf_db_sync(sqlite3 *db, struct hf_why *why);

/** Run statements that give no rows. */
HF_MUST_USE enum hf_err hf_db_exec(sqlite3 *db, const char *sql, const char *action,
                                   struct hf_why *why);

/** One statement, to be bound and then handed to hf_db_finish or sqlite3_finalize. */
HF_MUST_USE enum hf_err hf_db_prepare(sqlite3 *db, const char *sql, const char *action,
                                      sqlite3_stmt **out, struct hf_why *why);

/** Run a prepared statement that gives no rows, and finalize it. */
HF_MUST_USE enum hf_err hf_db_finish(sqlite3 *db, sqlite3_stmt *stmt, const char *action,
                                     struct hf_why *why);

/** The whole number that a query of one row and one column gives. */
HF_MUST_USE enum hf_err hf_db_query_int64(sqlite3 *db, const char *sql, const char *action,
                                          int64_t *out, struct hf_why *why);

/* Bind; NULL text is NULL. What is bound must live until the statement is finished. A failure
 * (memory) shows when the statement runs, since its parameter is then NULL where none may be. */
void hf_db_bind_text(sqlite3_stmt *stmt, int index, const char *text);
void hf_db_bind_bytes(sqlite3_stmt *stmt, int index, struct hf_bytes bytes);

/** Append a column's bytes. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_db_column_append(sqlite3_stmt *stmt, int column, struct hf_buf *out,
                                            struct hf_why *why);

#endif
