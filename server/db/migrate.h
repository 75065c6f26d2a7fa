/*
 * The schema: numbered steps forward (schema/fleet-migrations), compiled in with the words of one
 * database. Table `migration` says which have been run. A new database runs them all, so that there
 * is one way to today's schema.
 */
#ifndef HF_DB_MIGRATE_H
#define HF_DB_MIGRATE_H

#include "server/db/db.h"

struct hf_migration {
    int64_t number; /* the first is 1 */
    const char *name;
    const char *sql; /* each statement ends with a ";" at the end of a line */
};
/* Generated at build time by schema/embed-sql.cmake, in order and without gaps; for SQLite. */
extern const struct hf_migration hf_fleet_migrations[];
extern const size_t hf_fleet_migrations_len;
/* The same for PostgreSQL. */
extern const struct hf_migration hf_fleet_pg_migrations[];
extern const size_t hf_fleet_pg_migrations_len;

/**
 * Run the steps that `db` has not seen, each in one transaction. HF_E_SCHEMA, and nothing is
 * changed, when the database has seen more than these; HF_E_FORMAT when it has seen others.
 */
HF_MUST_USE enum hf_err hf_db_migrate(struct hf_db *db, const struct hf_migration *steps,
                                      size_t n_steps, struct hf_why *why);

#endif
