/*
 * A connection to the database: typed parameters in, typed columns out. One thread uses a
 * connection at a time.
 *
 *     static const struct hf_sql by_name = {
 *         "account_by_name", "SELECT id, version FROM account WHERE name = :name", "ii"};
 *
 *     struct hf_rows rows;
 *     HF_TRY(hf_db_run(db, &by_name, HF_PARAMS(hf_p_text("name", name)), &rows, why));
 *     enum hf_err err = hf_db_next(&rows, why);
 *     if (err == HF_OK)
 *         *id = hf_col_int(&rows, 0);
 *     hf_db_end(&rows);
 *
 * Errors: HF_E_STATE, a row of that key exists already, or one that another row needs is missing;
 * HF_E_ARGUMENT, a rule of the schema or a mistake of the caller; HF_E_BUSY, another process writes
 * for too long; HF_E_FORMAT, the database holds something else than the schema says; HF_E_STORAGE;
 * HF_E_MEMORY.
 */
#ifndef HF_DB_DB_H
#define HF_DB_DB_H

#include <holdfast/bytes.h>

#include "server/db/limits.h"

/* ---- values ---------------------------------------------------------------------------------- */

enum hf_value_type { HF_VALUE_NULL, HF_VALUE_INT, HF_VALUE_TEXT, HF_VALUE_BYTES };

/** Borrowed. `bytes` holds text (with a NUL behind it) or bytes, `number` an integer. */
struct hf_value {
    enum hf_value_type type;
    int64_t number;
    struct hf_bytes bytes;
};

struct hf_param {
    const char *name; /* without the colon */
    struct hf_value value;
};

struct hf_param hf_p_int(const char *name, int64_t number);
/** NULL is NULL. */
struct hf_param hf_p_text(const char *name, const char *text);
struct hf_param hf_p_bytes(const char *name, const void *data, size_t len);
/** NULL where `number` is `none`. */
struct hf_param hf_p_int_or_null(const char *name, int64_t number, int64_t none);

#define HF_PARAMS(...)                                                                             \
    ((const struct hf_param[]){__VA_ARGS__}),                                                      \
        (sizeof((const struct hf_param[]){__VA_ARGS__}) / sizeof(struct hf_param))
#define HF_NO_PARAMS NULL, 0

/* ---- statements ------------------------------------------------------------------------------ */

/** Static: a connection knows a statement by its address, and prepares it once. */
struct hf_sql {
    const char *name; /* for messages and tests */
    const char *text; /* one statement that SQLite and PostgreSQL both take */
    /* A letter for each column: i integer, t text, b bytes; a capital where it may be NULL. */
    const char *columns;
};

/* ---- a connection ---------------------------------------------------------------------------- */

enum hf_db_mode {
    HF_DB_READ,   /* an existing database, which this connection does not change */
    HF_DB_WRITE,  /* an existing one */
    HF_DB_CREATE, /* makes it if it is missing; the file has mode 0600 */
};

struct hf_db;
struct hf_db_driver;

/** Connect to `where`, with SQLite the path of a file. HF_E_NOT_FOUND, HF_E_FORMAT for a file that
 *  is no database of the service, HF_E_STORAGE, HF_E_BUSY, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_db_connect(const struct hf_db_driver *driver, const char *where,
                                      enum hf_db_mode mode, struct hf_db **out, struct hf_why *why);
/** What was not committed is rolled back. NULL is fine. */
void hf_db_close(struct hf_db *db);
/** As it was given to hf_db_connect. */
const char *hf_db_where(const struct hf_db *db);
/** The driver's own connection, for what only one database has (sqlite_copy.h). */
void *hf_db_connection(struct hf_db *db);

/** The rows of one statement. */
struct hf_rows {
    struct hf_db *db;
    struct hf_db_statement *statement;
    struct hf_value columns[HF_DB_COLUMNS_MAX];
};

/** Begin a statement; hf_db_next gives its rows, and hf_db_end must follow; until then lives what
 *  the parameters borrow. On failure there is nothing to end. A statement that is under way cannot
 *  be run a second time: HF_E_ARGUMENT. */
HF_MUST_USE enum hf_err hf_db_run(struct hf_db *db, const struct hf_sql *sql,
                                  const struct hf_param *params, size_t n_params,
                                  struct hf_rows *rows, struct hf_why *why);
/** HF_E_NOT_FOUND after the last row, without a sentence. HF_E_FORMAT for a column of another
 *  type. */
HF_MUST_USE enum hf_err hf_db_next(struct hf_rows *rows, struct hf_why *why);
void hf_db_end(struct hf_rows *rows);

/** Run a statement to its end and ignore its rows. */
HF_MUST_USE enum hf_err hf_db_execute(struct hf_db *db, const struct hf_sql *sql,
                                      const struct hf_param *params, size_t n_params,
                                      struct hf_why *why);
/** The same of a text that is used once. */
HF_MUST_USE enum hf_err hf_db_execute_text(struct hf_db *db, const char *text, struct hf_why *why);
/** The integer in the first column of the only row; HF_E_NOT_FOUND, without a sentence, if there is
 *  no row. */
HF_MUST_USE enum hf_err hf_db_get_int(struct hf_db *db, const struct hf_sql *sql,
                                      const struct hf_param *params, size_t n_params, int64_t *out,
                                      struct hf_why *why);

/** Reads the row that `rows` is at into `out`, a struct of its table's own. */
typedef enum hf_err hf_db_reader(const struct hf_rows *rows, void *out, struct hf_why *why);
/** Is given each row of a list, as a reader has read it. An error ends the list. */
typedef enum hf_err hf_db_each(void *ctx, const void *row, struct hf_why *why);

/** Read the first row. HF_E_NOT_FOUND with the sentence `missing`. */
HF_MUST_USE enum hf_err hf_db_read_one(struct hf_db *db, const struct hf_sql *sql,
                                       const struct hf_param *params, size_t n_params,
                                       hf_db_reader *reader, void *out, const char *missing,
                                       struct hf_why *why);
/** Read each row into `row`, and give it to `each`. What the row borrows lives until `each`
 *  returns. */
HF_MUST_USE enum hf_err hf_db_read_each(struct hf_db *db, const struct hf_sql *sql,
                                        const struct hf_param *params, size_t n_params,
                                        hf_db_reader *reader, void *row, hf_db_each *each,
                                        void *ctx, struct hf_why *why);

int64_t hf_col_int(const struct hf_rows *rows, unsigned column);
/** `none` where it is NULL. */
int64_t hf_col_int_or(const struct hf_rows *rows, unsigned column, int64_t none);
/** Borrowed until the next row; NULL where it is NULL. */
const char *hf_col_text(const struct hf_rows *rows, unsigned column);
struct hf_bytes hf_col_bytes(const struct hf_rows *rows, unsigned column);
/** Copy text into `out` of `size` bytes, or exactly `size` bytes: HF_E_FORMAT when it does not
 *  fit. */
HF_MUST_USE enum hf_err hf_col_copy_text(const struct hf_rows *rows, unsigned column, char *out,
                                         size_t size, struct hf_why *why);
HF_MUST_USE enum hf_err hf_col_copy_bytes(const struct hf_rows *rows, unsigned column, void *out,
                                          size_t size, struct hf_why *why);

/** A fault that no act is the cause of, and that each would meet: the disk, a lock, or memory. */
static inline bool hf_db_is_fault(enum hf_err err)
{
    return err == HF_E_BUSY || err == HF_E_STORAGE || err == HF_E_MEMORY;
}

/** Transactions nest: an inner one is a savepoint. */
HF_MUST_USE enum hf_err hf_db_begin(struct hf_db *db, struct hf_why *why);
/** Of the outermost: on disk when this returns HF_OK. On failure it is rolled back. */
HF_MUST_USE enum hf_err hf_db_commit(struct hf_db *db, struct hf_why *why);
void hf_db_rollback(struct hf_db *db);
/** 0 outside of all transactions. */
unsigned hf_db_depth(const struct hf_db *db);
/** Has the database itself ended the transaction that is under way? All of it is undone, and no
 *  more may be done in it: it is rolled back now. */
bool hf_db_has_ended(const struct hf_db *db);
/** How many statements were run that may have changed something. */
uint64_t hf_db_changes(const struct hf_db *db);

/** Hold the lock `name` until the connection closes. HF_E_BUSY when another process does. */
HF_MUST_USE enum hf_err hf_db_lock(struct hf_db *db, const char *name, struct hf_why *why);
/** Has another connection committed since the last call? True at the first. */
HF_MUST_USE enum hf_err hf_db_listen(struct hf_db *db, bool *has_changed, struct hf_why *why);

#endif
