/*
 * What a database must be able to do: ten functions, and the two that give back what they made.
 * SQLite is one (sqlite.c). Everything above speaks SQL that SQLite 3.40 and PostgreSQL 15 both
 * take, so that a second driver is a second table of these.
 *
 * `db.h` is what the rest of the server calls. It counts transactions, keeps prepared statements
 * and checks the types of columns, so that a driver does not have to.
 */
#ifndef HF_DB_DRIVER_H
#define HF_DB_DRIVER_H

#include "server/db/db.h"

struct hf_db_driver {
    const char *name; /* "SQLite" */

    /** `where` is what the configuration says: for SQLite a path. */
    enum hf_err (*open)(const char *where, enum hf_db_mode mode, void **conn, struct hf_why *why);
    /** Gives back everything but statements, which were forgotten before. NULL is fine. */
    void (*close)(void *conn);

    /** One statement with parameters `:name`. */
    enum hf_err (*prepare)(void *conn, const char *text, void **stmt, struct hf_why *why);
    void (*forget)(void *stmt);

    /** Bind by name and begin. Each parameter of the statement is given exactly once, and no other:
     *  otherwise HF_E_ARGUMENT. What is bound lives until `end`. */
    enum hf_err (*run)(void *stmt, const struct hf_param *params, size_t n_params,
                       struct hf_why *why);
    /** The next row, its columns borrowed until the next call; HF_E_NOT_FOUND after the last one.
     *  `n` is how many are expected, and HF_E_ARGUMENT if the statement has another number of
     *  them. */
    enum hf_err (*next)(void *stmt, struct hf_value *columns, size_t n, struct hf_why *why);
    /** Done with the rows; the statement may be run again. */
    void (*end)(void *stmt);

    /** `depth` 0 is a transaction, more is a savepoint in it. A transaction of a connection for
     *  writing takes the right to write at once, so that it cannot fail for want of it later. */
    enum hf_err (*begin)(void *conn, unsigned depth, struct hf_why *why);
    /** Of depth 0: on disk when it returns HF_OK. Otherwise nothing of it is, and it has ended. */
    enum hf_err (*commit)(void *conn, unsigned depth, struct hf_why *why);
    void (*rollback)(void *conn, unsigned depth);
    /** Is no transaction under way? SQLite ends one by itself when it cannot read or write, also in
     *  a SELECT, and what is run after that would be committed at once. */
    bool (*has_ended)(void *conn);

    /** Hold the lock `name` of this database until `close`. HF_E_BUSY when another process does. */
    enum hf_err (*lock)(void *conn, const char *name, struct hf_why *why);
    /** Has another connection committed since the last call? True at the first. */
    enum hf_err (*listen)(void *conn, bool *has_changed, struct hf_why *why);
};

extern const struct hf_db_driver hf_db_sqlite;

#endif
