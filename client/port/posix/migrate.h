/*
 * The database's schema: numbered steps forward (schema/client-migrations), compiled in. A new
 * database runs them all, so there is one way to come to today's schema and every start of a fleet
 * tests it. PRAGMA user_version says how many have been run.
 */
#ifndef HF_CLIENT_PORT_POSIX_MIGRATE_H
#define HF_CLIENT_PORT_POSIX_MIGRATE_H

#include <holdfast/bytes.h>

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

struct hf_migration {
    int64_t number; /* the user_version it leads to; the first is 1 */
    const char *name;
    const char *sql;
};
/* Generated at build time by schema/embed-sql.cmake, in order and without gaps. */
extern const struct hf_migration hf_client_migrations[];
extern const size_t hf_client_migrations_len;

/** SHA-256 of the schema that all of them make (hf_schema_compare). tests/unit/test_migrate.c says what
 *  it has to be after a new step. */
extern const char hf_client_schema_sha256[];

/** "HFCT" in the file's header: a client's database of ours. */
#define HF_CLIENT_APPLICATION_ID INT64_C(0x48464354)

/**
 * HF_OK with the schema's version in `*out`; HF_E_SCHEMA when it is above `newest`, HF_E_STORAGE
 * when the file is a database of something else.
 */
HF_MUST_USE enum hf_err hf_schema_check(sqlite3 *db, int64_t newest, int64_t *out,
                                        struct hf_why *why);

/** Everything that CREATE has made, as it was written: appended to `out`. */
HF_MUST_USE enum hf_err hf_schema_describe(sqlite3 *db, struct hf_buf *out, struct hf_why *why);

/**
 * Is the schema, every name and rule of it, what `steps` make of a new database up to `version`,
 * which hf_schema_check has found? What has rotted in its text is no damage to SQLite, which then
 * knows a column by another name. HF_E_FORMAT.
 */
HF_MUST_USE enum hf_err hf_schema_compare(sqlite3 *db, const struct hf_migration *steps,
                                          int64_t version, struct hf_why *why);

/**
 * Run the steps that `db` has not seen. Each is one transaction, so a power cut leaves the schema
 * at a step's end and the next start goes on; two processes may try at once.
 */
HF_MUST_USE enum hf_err hf_schema_migrate(sqlite3 *db, const struct hf_migration *steps,
                                          size_t n_steps, struct hf_why *why);

#endif
