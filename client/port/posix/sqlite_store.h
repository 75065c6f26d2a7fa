/*
 * The store port over SQLite (schema/client.sql) and the bundle files beside it.
 *
 * The database decides; the files follow. Files and symbolic links are brought in line after each
 * activation and at every open. Where the database cannot be used (damaged, of a newer schema),
 * bundles are loaded from the files and every write is refused with the reason. A damaged or lost
 * database is first replaced by its copy, if there is one (db.h); on a read-only disk the copy is
 * read in its place.
 *
 * sqlite_store.c opens, repairs and syncs it; store_bundles.c is about bundles, revoked keys and
 * the transactions that move them; store_rows.c about statements, metadata, values and the journal,
 * store_reports.c about reports that wait to be sent.
 */
#ifndef HF_CLIENT_PORT_POSIX_SQLITE_STORE_H
#define HF_CLIENT_PORT_POSIX_SQLITE_STORE_H

#include <holdfast/port.h>

#include "client/port/posix/db.h"

/* Statements that an update runs again and again. Each is prepared once for a connection. */
enum hf_sql {
    HF_SQL_BEGIN,
    HF_SQL_COMMIT,
    HF_SQL_LOAD_METADATA,
    HF_SQL_SAVE_METADATA,
    HF_SQL_REMOVE_METADATA,
    HF_SQL_LOAD_VALUE,
    HF_SQL_SAVE_VALUE,
    HF_SQL_APPEND_EVENT,
    HF_SQL_APPEND_REPORT,
    HF_SQL_REMOVE_REPORT,
    HF_SQL_LOAD_BUNDLE,
    HF_SQL_COUNT,
};

struct hf_sqlite_store {
    char *state_dir;
    sqlite3 *db; /* or its copy, for reading; NULL where neither can be used */
    sqlite3_stmt *statements[HF_SQL_COUNT];
    struct hf_why unusable;    /* why it cannot be written; code HF_OK where it can */
    struct hf_why root_damage; /* why its root metadata cannot be used; code HF_OK where it can */
    char known_root[HF_SHA256_HEX_LEN]; /* of hf_db_root_check */
    bool is_fresh;                      /* opened, and no update has been made yet */
    bool is_in_transaction;             /* between begin and commit of the port */
    bool has_moved;                     /* a slot was changed; the files follow after the commit */
    bool is_unsynced;       /* what was committed must be synced before the update ends */
    int64_t synced_changes; /* what had been seen at the last sync; -1 before the first */
    int64_t copied_changes; /* what the copy beside the database has seen; -1 without one */
};

/**
 * `create`: make a new database, HF_E_STATE if there is one; else HF_E_NOT_FOUND if there is
 * neither one nor an active bundle among the files, HF_E_STORAGE where this user may not read them.
 * HF_OK also when the database cannot be used or written: what needs it then fails with the reason,
 * which hf_store_check_writable gives. So does what would write to a state folder that is not safe
 * (owner.h), in which this leaves every file as it is.
 */
HF_MUST_USE enum hf_err hf_sqlite_store_open(const char *state_dir, bool create,
                                             struct hf_sqlite_store **out, struct hf_why *why);
void hf_sqlite_store_close(struct hf_sqlite_store *store);
struct hf_store_port hf_sqlite_store_port(struct hf_sqlite_store *store);

/** A write that changes nothing but the count of changes, synced. HF_E_STORAGE, … */
HF_MUST_USE enum hf_err hf_sqlite_store_try(struct hf_sqlite_store *store, struct hf_why *why);

/**
 * Before an update of a store that has been open for long: open the database again, as another
 * process may have restored it, or the disk be writable again. The caller does not hold STATE/lock
 * and no transaction has begun. HF_E_MEMORY, HF_E_BUSY; HF_OK also where it cannot be used, as
 * above.
 */
HF_MUST_USE enum hf_err hf_sqlite_store_refresh(struct hf_sqlite_store *store, struct hf_why *why);

/** All metadata saved until now survives a power cut; an activation sees to that by itself. And all
 *  that must not be lost with the database is in its copy. The caller holds STATE/lock. */
HF_MUST_USE enum hf_err hf_sqlite_store_sync(struct hf_sqlite_store *store, struct hf_why *why);

/** The journal's newest events first, at most `max`. */
HF_MUST_USE enum hf_err hf_sqlite_store_events(struct hf_sqlite_store *store, size_t max,
                                               void (*each)(void *ctx,
                                                            const struct hf_event *event),
                                               void *ctx, struct hf_why *why);

/** HF_OK if the database can be read, or written; else the reason: HF_E_SCHEMA, HF_E_STORAGE,
 *  HF_E_POLICY where another user owns the state folder or may write to it. */
HF_MUST_USE enum hf_err hf_store_check_readable(const struct hf_sqlite_store *store,
                                                struct hf_why *why);
HF_MUST_USE enum hf_err hf_store_check_writable(const struct hf_sqlite_store *store,
                                                struct hf_why *why);

/** A statement, to be bound and then handed to hf_store_run or, after its rows, to sqlite3_reset.
 *  Checks that the database can be read or written, whichever it does. */
HF_MUST_USE enum hf_err hf_store_prepare(struct hf_sqlite_store *store, enum hf_sql sql,
                                         const char *action, sqlite3_stmt **out,
                                         struct hf_why *why);
HF_MUST_USE enum hf_err hf_store_run(struct hf_sqlite_store *store, sqlite3_stmt *stmt,
                                     const char *action, struct hf_why *why);

/** A line in the journal, unless it cannot be written. */
void hf_store_note(struct hf_sqlite_store *store, enum hf_level level, const char *kind,
                   const char *text);

/** All that was committed survives a power cut. */
HF_MUST_USE enum hf_err hf_store_sync_log(struct hf_sqlite_store *store, struct hf_why *why);

/** After the copy took the database's place, or is about to: it may hold numbers of reports that
 *  were used since for others. The next report begins a new installation. The caller holds
 *  STATE/lock. */
HF_MUST_USE enum hf_err hf_store_doubt_reports(struct hf_sqlite_store *store, struct hf_why *why);
/** At each open: do so, if that was begun. */
HF_MUST_USE enum hf_err hf_store_settle_reports(struct hf_sqlite_store *store, struct hf_why *why);

/** A write of several statements that is a transaction of its own, unless one has begun. */
HF_MUST_USE enum hf_err hf_store_write_begin(struct hf_sqlite_store *store, struct hf_why *why);
/** Commit what hf_store_write_begin began, or take it back when `err` is not HF_OK. */
HF_MUST_USE enum hf_err hf_store_write_end(struct hf_sqlite_store *store, enum hf_err err,
                                           struct hf_why *why);

/** Bundles, and a list of revoked keys, whose rows are damaged come back from their files, with a
 *  line in the journal; then STATE/bundles is made to agree with the database. The caller holds
 *  STATE/lock. */
void hf_store_repair_files(struct hf_sqlite_store *store);

/** After the copy took the database's place: the file may hold what was revoked since the copy was
 *  made. The caller holds STATE/lock. */
void hf_store_adopt_revoked(struct hf_sqlite_store *store);

/* Port functions; `ctx` is the store. */
enum hf_err hf_store_begin(void *ctx, struct hf_why *why);
enum hf_err hf_store_commit(void *ctx, struct hf_why *why);
void hf_store_abort(void *ctx);
enum hf_err hf_store_load_metadata(void *ctx, const char *role, struct hf_buf *out,
                                   struct hf_why *why);
enum hf_err hf_store_save_metadata(void *ctx, const char *role, int64_t version,
                                   struct hf_bytes file, struct hf_why *why);
enum hf_err hf_store_remove_metadata(void *ctx, const char *role, struct hf_why *why);
enum hf_err hf_store_load_value(void *ctx, const char *name, struct hf_buf *out,
                                struct hf_why *why);
enum hf_err hf_store_save_value(void *ctx, const char *name, const char *value, struct hf_why *why);
enum hf_err hf_store_load_revoked(void *ctx, struct hf_buf *out, struct hf_why *why);
enum hf_err hf_store_save_revoked(void *ctx, struct hf_bytes keys, struct hf_why *why);
enum hf_err hf_store_append_event(void *ctx, const struct hf_event *event, struct hf_why *why);
enum hf_err hf_store_append_report(void *ctx, int64_t seq, struct hf_bytes json,
                                   struct hf_why *why);
enum hf_err hf_store_load_reports(void *ctx,
                                  void (*each)(void *each_ctx, int64_t seq, struct hf_bytes json),
                                  void *each_ctx, struct hf_why *why);
enum hf_err hf_store_remove_report(void *ctx, int64_t seq, struct hf_why *why);
enum hf_err hf_store_load_bundle(void *ctx, enum hf_slot slot, struct hf_bundle_record *out,
                                 struct hf_why *why);
enum hf_err hf_store_stage_bundle(void *ctx, const struct hf_bundle_record *record,
                                  struct hf_why *why);
enum hf_err hf_store_activate_staged(void *ctx, bool keeps_previous, struct hf_why *why);
enum hf_err hf_store_restore_previous(void *ctx, struct hf_why *why);

#endif
