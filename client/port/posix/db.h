/*
 * SQLite, with its faults as sentences: a write-ahead log with explicit syncs or, where processes
 * cannot share memory, a rollback journal. README.md (Power cuts) says why. On a disk that cannot
 * be written the database is opened for reading with the files of its log or, if they cannot be
 * used, as "immutable".
 */
#ifndef HF_CLIENT_PORT_POSIX_DB_H
#define HF_CLIENT_PORT_POSIX_DB_H

#include <holdfast/bytes.h>
#include <holdfast/error.h>

#include "common/base/digest.h"
#include "common/base/limits.h"

#include <sqlite3.h>

/**
 * Make a new, empty database, mode 0600, with a log or a journal, whichever works where it is.
 * HF_E_STATE if `path` exists. After hf_db_fold it may be closed and renamed.
 */
HF_MUST_USE enum hf_err hf_db_create(const char *path, sqlite3 **out, struct hf_why *why);

/**
 * Open an existing one and read through it once. Where it cannot be opened for writing (read-only
 * or full disk), it is opened for reading and `not_writable` says why; else that stays as it was.
 * HF_E_FORMAT, here or in `not_writable`, when its bytes are at fault, or it or its log is no file;
 * HF_E_STORAGE when it cannot be read for another reason, HF_E_BUSY, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_db_open(const char *path, sqlite3 **out, struct hf_why *not_writable,
                                   struct hf_why *why);

/** What was written stands in the database's own file; its log is empty. No other process has it
 *  open. */
HF_MUST_USE enum hf_err hf_db_fold(sqlite3 *db, struct hf_why *why);

/** Open for reading alone. With the log, if its files are there and can be read; else as of the
 *  last time that the log was folded in. HF_E_STORAGE, HF_E_BUSY, HF_E_MEMORY. */
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

/** The one column of the one row that a query gives, appended to `out`: nothing without a row. */
HF_MUST_USE enum hf_err hf_db_query(sqlite3 *db, const char *sql, const char *action,
                                    struct hf_buf *out, struct hf_why *why);

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

/*
 * The schema: numbered steps forward (schema/client-migrations), compiled in. A new database runs
 * them all, so there is one way to come to today's schema and every start of a fleet tests it.
 * PRAGMA user_version says how many have been run.
 */

struct hf_migration {
    int64_t number; /* the user_version it leads to; the first is 1 */
    const char *name;
    const char *sql;
};
/* Generated at build time by schema/embed-sql.cmake, in order and without gaps. */
extern const struct hf_migration hf_client_migrations[];
extern const size_t hf_client_migrations_len;

#define HF_SCHEMA_HASH_LEN 32
#define HF_SCHEMA_HASH_HEX_LEN 65 /* with its NUL */

/** hf_schema_hash of the schema that all of them make (hf_schema_compare).
 *  tests/unit/test_migrate.c says what it has to be after a new step. */
extern const char hf_client_schema_hash[];

/** BLAKE2b of what hf_schema_describe gives, as text. Each start computes it, and it takes a
 *  fraction of the time of SHA-256. */
void hf_schema_hash(struct hf_bytes description, char out[HF_SCHEMA_HASH_HEX_LEN]);

/** "HFCT" in the file's header: a client's database of ours. */
#define HF_CLIENT_APPLICATION_ID INT64_C(0x48464354)

/**
 * HF_OK with the schema's version in `*out`; HF_E_SCHEMA when it is above `newest`, HF_E_FORMAT
 * when the file is empty or a database of something else.
 */
HF_MUST_USE enum hf_err hf_schema_check(sqlite3 *db, int64_t newest, int64_t *out,
                                        struct hf_why *why);

/** Everything that CREATE has made, as it was written: appended to `out`. */
HF_MUST_USE enum hf_err hf_schema_describe(sqlite3 *db, struct hf_buf *out, struct hf_why *why);

/**
 * Is the schema, every name and rule of it, what `steps` make of a new database up to `version`,
 * which hf_schema_check has found? SQLite does not notice a bit that flipped in the text of its
 * schema: it then knows a column by another name. HF_E_FORMAT.
 */
HF_MUST_USE enum hf_err hf_schema_compare(sqlite3 *db, const struct hf_migration *steps,
                                          int64_t version, struct hf_why *why);

/**
 * Run the steps that `db` has not seen. Each is one transaction, so a power cut leaves the schema
 * at a step's end and the next start goes on; two processes may try at once.
 */
HF_MUST_USE enum hf_err hf_schema_migrate(sqlite3 *db, const struct hf_migration *steps,
                                          size_t n_steps, struct hf_why *why);

/*
 * What must not be corrupt in a row. SQLite keeps no checksums of its rows, so a bit that flips in
 * one is nothing to it.
 */

/**
 * Append the root metadata of `db` to `out`, with its version in `*version`. It is the only stored
 * data that cannot be fetched again, so it is compared with the receipt of its verification
 * (common/tuf/receipts.h) or, without one, verified (TUF 5.2). HF_E_NOT_FOUND where there is none,
 * HF_E_STORAGE where it is damaged, HF_E_BUSY, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_db_root_load(sqlite3 *db, struct hf_buf *out, int64_t *version,
                                        struct hf_why *why);

/** The same without the bytes. `known`, or NULL: the SHA-256 of root metadata that passed before,
 *  which passes at once; empty at first, and written when other root metadata passes. */
HF_MUST_USE enum hf_err hf_db_root_check(sqlite3 *db, char known[HF_SHA256_HEX_LEN],
                                         struct hf_why *why);

/* The list of revoked keys as it is stored: 64 hexadecimal digits a line, and beside these lines
 * their SHA-256. */
#define HF_REVOKED_LINE_LEN                                                                        \
    HF_SHA256_HEX_LEN /* the digits, and a newline where their NUL would be */
#define HF_REVOKED_LINES_MAX (HF_REVOKED_MAX * HF_REVOKED_LINE_LEN) /* bytes of the longest list */

/** The keys of `lines`, whose SHA-256 is `sha256`, appended to `out` as 32 bytes each.
 *  `where` names them in the sentence. HF_E_STORAGE where they are damaged. */
HF_MUST_USE enum hf_err hf_revoked_parse(struct hf_bytes lines, const char *sha256,
                                         const char *where, struct hf_buf *out, struct hf_why *why);
/** The other way round. `lines` is a text also where there are no keys. */
HF_MUST_USE enum hf_err hf_revoked_format(struct hf_bytes keys, struct hf_buf *lines,
                                          char sha256[HF_SHA256_HEX_LEN], struct hf_why *why);

/** The keys, appended to `out`. HF_E_NOT_FOUND where no list was ever saved, HF_E_STORAGE where it
 *  is damaged. */
HF_MUST_USE enum hf_err hf_db_revoked_load(sqlite3 *db, struct hf_buf *out, struct hf_why *why);
/** `keys`: at most HF_REVOKED_MAX of 32 bytes each. */
HF_MUST_USE enum hf_err hf_db_revoked_save(sqlite3 *db, struct hf_bytes keys, struct hf_why *why);
/** HF_E_FORMAT where the list is damaged. HF_OK where there is none. */
HF_MUST_USE enum hf_err hf_db_revoked_check(sqlite3 *db, struct hf_why *why);

/** What the device refuses permanently: are `bundle.floor` and `bundle.rejected` numbers still
 *  (client/core/state.c), and is the list of revoked keys whole? A floor that is none would stop
 *  every update, a damaged list would bring back what was revoked. HF_E_FORMAT. */
HF_MUST_USE enum hf_err hf_db_check_floors(sqlite3 *db, struct hf_why *why);

/*
 * The copy of the database, STATE/holdfast.db.backup, which replaces it when it is damaged or lost:
 * such a device repairs itself and keeps its floors.
 *
 * The schema counts changes that must not be lost (table change). The copy is made again when it
 * has seen fewer; a database that has seen fewer than its copy has lost some, with its write-ahead
 * log for instance, which SQLite alone would not notice.
 */

/** How many changes the database has seen. */
HF_MUST_USE enum hf_err hf_db_changes(sqlite3 *db, int64_t *out, struct hf_why *why);
/** How many its copy has; -1 without one that can be read. */
int64_t hf_db_copy_changes(const char *state_dir);

/** Is there one, and is it whole? Reads all of it. `known_root` as of hf_db_root_check. */
bool hf_db_copy_is_whole(const char *state_dir, char known_root[HF_SHA256_HEX_LEN]);

/** Make what was committed until now the copy. Reads all of `db` and refuses to copy a damaged one.
 *  HF_E_STORAGE, HF_E_MEMORY; the copy of before stays then. The caller holds STATE/lock. */
HF_MUST_USE enum hf_err hf_db_copy_write(const char *state_dir, sqlite3 *db,
                                         char known_root[HF_SHA256_HEX_LEN], struct hf_why *why);

/**
 * The root metadata in the copy, for a database in which that alone is damaged: appended to `out`.
 * HF_E_NOT_FOUND without a copy, HF_E_STORAGE where it is damaged as well, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_db_copy_load_root(const char *state_dir, struct hf_buf *out,
                                             int64_t *version, struct hf_why *why);

/** The copy for reading alone, if it is whole and of today's schema, for a database whose place it
 *  cannot take, as on a read-only disk. HF_E_NOT_FOUND, HF_E_STORAGE, HF_E_SCHEMA, … */
HF_MUST_USE enum hf_err hf_db_copy_open(const char *state_dir, sqlite3 **out, struct hf_why *why);

/** What stands where SQLite's shared memory should be, and is no file, is moved away: it is not
 *  used, and nothing is lost. If that fails, opening the database says so. */
void hf_db_clear_index(const char *state_dir);

/**
 * The copy becomes the database; what was there is kept as STATE/holdfast.db.damaged. Needs no
 * space on the disk, may be cut anywhere and done again. The caller holds STATE/lock and has the
 * database not open. HF_E_NOT_FOUND without a copy that is whole, HF_E_STORAGE; nothing has changed
 * then.
 */
HF_MUST_USE enum hf_err hf_db_copy_restore(const char *state_dir, struct hf_why *why);

#endif
