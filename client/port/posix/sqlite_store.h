/*
 * The store port over SQLite (schema/client.sql) and the bundle files beside it.
 *
 * The database decides; the files follow. A bundle's files are written and synced before the
 * transaction that activates it, the symbolic links are moved after it and are repaired at every
 * open. Where the database cannot be used (damaged, of a newer schema, read-only disk), bundles are
 * loaded from the files and every write is refused with the reason. A damaged or lost one is
 * replaced by its copy first, where there is one (db.h).
 */
#ifndef HF_CLIENT_PORT_POSIX_SQLITE_STORE_H
#define HF_CLIENT_PORT_POSIX_SQLITE_STORE_H

#include <holdfast/port.h>

struct hf_sqlite_store;

/**
 * `create`: make a new database, HF_E_STATE if there is one; else HF_E_NOT_FOUND if there is neither
 * one nor an active bundle among the files, HF_E_STORAGE where this user may not read them. HF_OK also when the database cannot be used or written:
 * what needs it then fails with the reason, which hf_sqlite_store_is_writable gives. So does what
 * would write to a state folder that is not safe (owner.h), in which this leaves every file as it is.
 */
HF_MUST_USE enum hf_err hf_sqlite_store_open(const char *state_dir, bool create,
                                             struct hf_sqlite_store **out, struct hf_why *why);
void hf_sqlite_store_close(struct hf_sqlite_store *store);
/** All of a new store is in holdfast.db, which may be renamed after hf_sqlite_store_close. */
HF_MUST_USE enum hf_err hf_sqlite_store_fold(struct hf_sqlite_store *store, struct hf_why *why);
struct hf_store_port hf_sqlite_store_port(struct hf_sqlite_store *store);

/** Write to it for nothing, and read. HF_E_STORAGE, … */
HF_MUST_USE enum hf_err hf_sqlite_store_try(struct hf_sqlite_store *store, struct hf_why *why);

/** HF_OK, or why nothing can be written (HF_E_SCHEMA, HF_E_STORAGE; HF_E_POLICY where another user
 *  owns the state folder or may write to it). */
HF_MUST_USE enum hf_err hf_sqlite_store_is_writable(const struct hf_sqlite_store *store,
                                                    struct hf_why *why);

/**
 * Before an update of a store that has been open for long: open the database again, as another process
 * may have restored it, or the disk be writable again. The caller does not hold STATE/lock and no
 * transaction has begun. HF_E_MEMORY, HF_E_BUSY; HF_OK also where it cannot be used, as above.
 */
HF_MUST_USE enum hf_err hf_sqlite_store_refresh(struct hf_sqlite_store *store, struct hf_why *why);

/** All metadata saved until now survives a power cut; an activation sees to that by itself. And all
 *  that must not be lost with the database is in its copy. The caller holds STATE/lock. */
HF_MUST_USE enum hf_err hf_sqlite_store_sync(struct hf_sqlite_store *store, struct hf_why *why);

/** The journal's newest events first, at most `max`; for status and for tests. */
HF_MUST_USE enum hf_err hf_sqlite_store_events(struct hf_sqlite_store *store, size_t max,
                                               void (*each)(void *ctx,
                                                            const struct hf_event *event),
                                               void *ctx, struct hf_why *why);

#endif
