/* What the files of the SQLite driver share. */
#ifndef HF_DB_SQLITE_H
#define HF_DB_SQLITE_H

#include "server/db/driver.h"

#include <sqlite3.h>

/** "HFFL" in the file's header: a database of the fleet service. */
#define HF_DB_APPLICATION_ID INT64_C(0x4846464C)

#define HF_DB_LOCKS_MAX 4

/* What begins and ends a transaction (depth 0) or a savepoint, prepared once: a batch has a
 * thousand. */
enum hf_sqlite_step { HF_SQLITE_BEGIN, HF_SQLITE_COMMIT, HF_SQLITE_ROLLBACK, HF_SQLITE_STEPS };

/** What the driver's `conn` is. */
struct hf_sqlite {
    sqlite3 *db;
    bool is_writer;
    sqlite3_stmt *steps[HF_DB_DEPTH_MAX][HF_SQLITE_STEPS];
    int locks[HF_DB_LOCKS_MAX];
    unsigned n_locks;
    int64_t data_version; /* hf_db_listen; -1: never asked */
};

/** The sentence for what `db` has just met while it was to `action` ("save a credential"). */
enum hf_err hf_sqlite_fail(sqlite3 *db, const char *action, struct hf_why *why);

/** Run statements that give no rows. */
HF_MUST_USE enum hf_err hf_sqlite_exec(sqlite3 *db, const char *sql, const char *action,
                                       struct hf_why *why);

#endif
