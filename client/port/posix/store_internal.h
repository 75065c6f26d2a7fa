/*
 * What the files of the SQLite store share: sqlite_store.c opens it and is the port, store_bundles.c is
 * about bundles and revoked keys, store_rows.c about transactions, metadata, values and the journal.
 */
#ifndef HF_CLIENT_PORT_POSIX_STORE_INTERNAL_H
#define HF_CLIENT_PORT_POSIX_STORE_INTERNAL_H

#include "client/port/posix/db.h"
#include "client/port/posix/sqlite_store.h"

/* Another process holds the lock for this long at most while it restores. */
#define HF_STORE_LOCK_WAIT_MS 2000

struct hf_sqlite_store {
    char *state_dir;
    sqlite3 *db;               /* NULL where the database cannot be used at all */
    struct hf_why unusable;    /* why it cannot be written; code HF_OK where it can */
    struct hf_why root_damage; /* why its root metadata cannot be used; code HF_OK where it can */
    bool is_fresh;             /* opened, and no update has been made yet */
    bool is_in_transaction;    /* between begin and commit of the port */
    bool has_moved;            /* a slot was changed; the files follow after the commit */
    int64_t copied_changes;    /* what the copy beside the database has seen; -1 without one */
    bool is_unsynced;          /* metadata was committed that a power cut may still take back */
};

/** HF_OK if the database can be read, or written; else the reason. */
HF_MUST_USE enum hf_err hf_store_check_readable(const struct hf_sqlite_store *store,
                                                struct hf_why *why);
HF_MUST_USE enum hf_err hf_store_check_writable(const struct hf_sqlite_store *store,
                                                struct hf_why *why);

/** A line in the journal. What cannot be written is let go. */
void hf_store_note(struct hf_sqlite_store *store, enum hf_level level, const char *kind,
                   const char *text);

/** All that was committed survives a power cut. */
HF_MUST_USE enum hf_err hf_store_sync_log(struct hf_sqlite_store *store, struct hf_why *why);

/** A failed commit is rolled back. */
HF_MUST_USE enum hf_err hf_store_commit(struct hf_sqlite_store *store, struct hf_why *why);
void hf_store_roll_back(struct hf_sqlite_store *store);

/* A write of several statements that is a transaction of its own, unless one has begun. */
HF_MUST_USE enum hf_err hf_store_write_begin(struct hf_sqlite_store *store, struct hf_why *why);
/** Commit what hf_store_write_begin began, or take it back when `err` is not HF_OK. */
HF_MUST_USE enum hf_err hf_store_write_end(struct hf_sqlite_store *store, enum hf_err err,
                                           struct hf_why *why);

/* Port functions; `ctx` is the store. */
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
enum hf_err hf_store_load_bundle(void *ctx, enum hf_slot slot, struct hf_bundle_record *out,
                                 struct hf_why *why);
enum hf_err hf_store_stage_bundle(void *ctx, const struct hf_bundle_record *record,
                                  struct hf_why *why);
enum hf_err hf_store_activate_staged(void *ctx, bool keeps_previous, struct hf_why *why);
enum hf_err hf_store_restore_previous(void *ctx, struct hf_why *why);

/** Of a database that was opened for writing: is its root metadata as it was? Else that of the copy
 *  takes its place, with a line in the journal; where it cannot, `root_damage` says so. */
void hf_store_heal_root(struct hf_sqlite_store *store);

/** A bundle whose row is not what its SHA-256 says comes back from its file, with a line in the
 *  journal. The caller holds STATE/lock. */
void hf_store_heal_bundles(struct hf_sqlite_store *store);

/** A list of revoked keys that has rotted in its row comes back from its file. The caller holds
 *  STATE/lock. */
void hf_store_heal_revoked(struct hf_sqlite_store *store);

/** After the copy took the database's place: the file may hold what was revoked since the copy was made.
 *  The caller holds STATE/lock. */
void hf_store_adopt_revoked(struct hf_sqlite_store *store);

/** What belongs into STATE/bundles/revoked. HF_E_NOT_FOUND where no list was ever saved, HF_E_STORAGE
 *  where it has rotted. */
HF_MUST_USE enum hf_err hf_store_revoked_file(struct hf_sqlite_store *store, struct hf_buf *out,
                                              struct hf_why *why);

/** After a commit that moved a slot: the files and links follow. What cannot be moved is moved by the next
 *  commit or open; until then the journal says so. */
void hf_store_follow_moved(struct hf_sqlite_store *store);

/** Make STATE/bundles agree with the database. The caller holds STATE/lock. */
HF_MUST_USE enum hf_err hf_store_follow(struct hf_sqlite_store *store, struct hf_why *why);

#endif
