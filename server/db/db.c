#include "server/db/db.h"

#include "server/db/driver.h"

#include <stdlib.h>
#include <string.h>

struct hf_db_statement {
    const struct hf_sql *sql; /* NULL: this place is free */
    void *handle;
    bool is_running;
    bool is_change;
};

struct hf_db {
    const struct hf_db_driver *driver;
    void *conn;
    char *where;
    unsigned depth;
    struct hf_db_statement statements[HF_DB_STATEMENTS_MAX]; /* by a hash of the address of `sql` */
    unsigned n_statements;
    uint64_t n_changes;
};

/* ---- values ---------------------------------------------------------------------------------- */

struct hf_param hf_p_int(const char *name, int64_t number)
{
    return (struct hf_param){name, {.type = HF_VALUE_INT, .number = number}};
}

struct hf_param hf_p_int_or_null(const char *name, int64_t number, int64_t none)
{
    return number != none ? hf_p_int(name, number) : (struct hf_param){.name = name};
}

struct hf_param hf_p_text(const char *name, const char *text)
{
    if (text == NULL)
        return (struct hf_param){.name = name};
    return (struct hf_param){name, {.type = HF_VALUE_TEXT, .bytes = hf_bytes_of_text(text)}};
}

struct hf_param hf_p_bytes(const char *name, const void *data, size_t len)
{
    return (struct hf_param){name, {.type = HF_VALUE_BYTES, .bytes = {data, len}}};
}

/* ---- a connection ---------------------------------------------------------------------------- */

enum hf_err hf_db_connect(const struct hf_db_driver *driver, const char *where,
                          enum hf_db_mode mode, struct hf_db **out, struct hf_why *why)
{
    struct hf_db *db = calloc(1, sizeof *db);
    enum hf_err err;

    if (db == NULL || (db->where = strdup(where)) == NULL)
        err = hf_fail(why, HF_E_MEMORY, "%s: out of memory while opening the database", where);
    else
        err = driver->open(where, mode, &db->conn, why);
    if (err != HF_OK) {
        if (db != NULL)
            free(db->where);
        free(db);
        return err;
    }
    db->driver = driver;
    *out = db;
    return HF_OK;
}

void hf_db_close(struct hf_db *db)
{
    if (db == NULL)
        return;
    while (db->depth > 0)
        hf_db_rollback(db);
    for (size_t i = 0; i < HF_DB_STATEMENTS_MAX; i++)
        if (db->statements[i].sql != NULL)
            db->driver->forget(db->statements[i].handle);
    db->driver->close(db->conn);
    free(db->where);
    free(db);
}

const char *hf_db_where(const struct hf_db *db)
{
    return db->where;
}

void *hf_db_connection(struct hf_db *db)
{
    return db->conn;
}

/* ---- statements ------------------------------------------------------------------------------ */

/* The statement, or the free place where it belongs: there always is one. */
static struct hf_db_statement *place_of(struct hf_db *db, const struct hf_sql *sql)
{
    size_t i = ((uintptr_t)sql / sizeof *sql) % HF_DB_STATEMENTS_MAX;

    while (db->statements[i].sql != NULL && db->statements[i].sql != sql)
        i = (i + 1) % HF_DB_STATEMENTS_MAX;
    return &db->statements[i];
}

static enum hf_err prepared(struct hf_db *db, const struct hf_sql *sql,
                            struct hf_db_statement **out, struct hf_why *why)
{
    struct hf_db_statement *statement = place_of(db, sql);

    if (statement->sql == NULL) {
        if (db->n_statements + 1 >= HF_DB_STATEMENTS_MAX)
            return hf_fail(why, HF_E_LIMIT, "%s: more than %u statements in one connection",
                           sql->name, HF_DB_STATEMENTS_MAX - 2);
        if (strlen(sql->columns) > HF_DB_COLUMNS_MAX)
            return hf_fail(why, HF_E_LIMIT, "%s: more than %u columns", sql->name,
                           HF_DB_COLUMNS_MAX);
        if (db->driver->prepare(db->conn, sql->text, &statement->handle, why) != HF_OK)
            return hf_fail_context(why, "statement %s", sql->name);
        statement->sql = sql;
        statement->is_change = strncmp(sql->text, "SELECT", strlen("SELECT")) != 0;
        db->n_statements++;
    }
    *out = statement;
    return HF_OK;
}

enum hf_err hf_db_run(struct hf_db *db, const struct hf_sql *sql, const struct hf_param *params,
                      size_t n_params, struct hf_rows *rows, struct hf_why *why)
{
    struct hf_db_statement *statement = NULL;

    HF_TRY(prepared(db, sql, &statement, why));
    if (statement->is_running)
        return hf_fail(why, HF_E_ARGUMENT, "statement %s: it is under way already", sql->name);
    if (db->driver->run(statement->handle, params, n_params, why) != HF_OK)
        return hf_fail_context(why, "statement %s", sql->name);
    statement->is_running = true;
    db->n_changes += statement->is_change;
    rows->db = db;
    rows->statement = statement;
    return HF_OK;
}

static bool has_type(char wanted, enum hf_value_type type)
{
    switch (wanted) {
    case 'i':
        return type == HF_VALUE_INT;
    case 'I':
        return type == HF_VALUE_INT || type == HF_VALUE_NULL;
    case 't':
        return type == HF_VALUE_TEXT;
    case 'T':
        return type == HF_VALUE_TEXT || type == HF_VALUE_NULL;
    case 'b':
        return type == HF_VALUE_BYTES;
    case 'B':
        return type == HF_VALUE_BYTES || type == HF_VALUE_NULL;
    default:
        return false;
    }
}

enum hf_err hf_db_next(struct hf_rows *rows, struct hf_why *why)
{
    const struct hf_sql *sql = rows->statement->sql;
    const size_t n = strlen(sql->columns);

    enum hf_err err = rows->db->driver->next(rows->statement->handle, rows->columns, n, why);
    if (err == HF_E_NOT_FOUND)
        return err;
    if (err != HF_OK)
        return hf_fail_context(why, "statement %s", sql->name);
    for (size_t i = 0; i < n; i++)
        if (!has_type(sql->columns[i], rows->columns[i].type))
            return hf_fail(why, HF_E_FORMAT,
                           "%s: the database is damaged: column %zu of %s has another type than "
                           "\"%c\". Restore a backup",
                           rows->db->where, i + 1, sql->name, sql->columns[i]);
    return HF_OK;
}

void hf_db_end(struct hf_rows *rows)
{
    rows->db->driver->end(rows->statement->handle);
    rows->statement->is_running = false;
}

enum hf_err hf_db_execute(struct hf_db *db, const struct hf_sql *sql, const struct hf_param *params,
                          size_t n_params, struct hf_why *why)
{
    struct hf_rows rows;
    enum hf_err err;

    HF_TRY(hf_db_run(db, sql, params, n_params, &rows, why));
    do
        err = hf_db_next(&rows, why);
    while (err == HF_OK);
    hf_db_end(&rows);
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

enum hf_err hf_db_execute_text(struct hf_db *db, const char *text, struct hf_why *why)
{
    void *handle;
    enum hf_err err;

    HF_TRY(db->driver->prepare(db->conn, text, &handle, why));
    err = db->driver->run(handle, HF_NO_PARAMS, why);
    if (err == HF_OK) {
        err = db->driver->next(handle, NULL, 0, why);
        db->driver->end(handle);
    }
    db->driver->forget(handle);
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

enum hf_err hf_db_get_int(struct hf_db *db, const struct hf_sql *sql, const struct hf_param *params,
                          size_t n_params, int64_t *out, struct hf_why *why)
{
    struct hf_rows rows;

    HF_TRY(hf_db_run(db, sql, params, n_params, &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_OK)
        *out = hf_col_int(&rows, 0);
    hf_db_end(&rows);
    return err;
}

enum hf_err hf_db_read_one(struct hf_db *db, const struct hf_sql *sql,
                           const struct hf_param *params, size_t n_params, hf_db_reader *reader,
                           void *out, const char *missing, struct hf_why *why)
{
    struct hf_rows rows;

    HF_TRY(hf_db_run(db, sql, params, n_params, &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_OK)
        err = reader(&rows, out, why);
    else if (err == HF_E_NOT_FOUND)
        err = hf_fail(why, HF_E_NOT_FOUND, "%s", missing);
    hf_db_end(&rows);
    return err;
}

enum hf_err hf_db_read_each(struct hf_db *db, const struct hf_sql *sql,
                            const struct hf_param *params, size_t n_params, hf_db_reader *reader,
                            void *row, hf_db_each *each, void *ctx, struct hf_why *why)
{
    struct hf_rows rows;
    enum hf_err err;

    HF_TRY(hf_db_run(db, sql, params, n_params, &rows, why));
    while ((err = hf_db_next(&rows, why)) == HF_OK) {
        err = reader(&rows, row, why);
        if (err == HF_OK)
            err = each(ctx, row, why);
        if (err != HF_OK) {
            hf_db_end(&rows);
            return err;
        }
    }
    hf_db_end(&rows);
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

/* ---- columns --------------------------------------------------------------------------------- */

int64_t hf_col_int(const struct hf_rows *rows, unsigned column)
{
    return rows->columns[column].number;
}

int64_t hf_col_int_or(const struct hf_rows *rows, unsigned column, int64_t none)
{
    return rows->columns[column].type == HF_VALUE_NULL ? none : rows->columns[column].number;
}

const char *hf_col_text(const struct hf_rows *rows, unsigned column)
{
    const struct hf_value *value = &rows->columns[column];
    return value->type == HF_VALUE_NULL ? NULL : (const char *)value->bytes.data;
}

struct hf_bytes hf_col_bytes(const struct hf_rows *rows, unsigned column)
{
    return rows->columns[column].bytes;
}

static enum hf_err fail_size(const struct hf_rows *rows, unsigned column, size_t size,
                             struct hf_why *why)
{
    return hf_fail(why, HF_E_FORMAT,
                   "%s: the database is damaged: column %u of %s has %zu bytes (expected %zu). "
                   "Restore a backup",
                   rows->db->where, column + 1, rows->statement->sql->name,
                   rows->columns[column].bytes.len, size);
}

enum hf_err hf_col_copy_text(const struct hf_rows *rows, unsigned column, char *out, size_t size,
                             struct hf_why *why)
{
    struct hf_bytes text = rows->columns[column].bytes;

    if (text.len >= size || memchr(text.data, '\0', text.len) != NULL)
        return fail_size(rows, column, size - 1, why);
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    return HF_OK;
}

enum hf_err hf_col_copy_bytes(const struct hf_rows *rows, unsigned column, void *out, size_t size,
                              struct hf_why *why)
{
    struct hf_bytes bytes = rows->columns[column].bytes;

    if (bytes.len != size)
        return fail_size(rows, column, size, why);
    memcpy(out, bytes.data, size);
    return HF_OK;
}

/* ---- transactions ---------------------------------------------------------------------------- */

enum hf_err hf_db_begin(struct hf_db *db, struct hf_why *why)
{
    if (db->depth >= HF_DB_DEPTH_MAX)
        return hf_fail(why, HF_E_LIMIT, "more than %u transactions in one another",
                       HF_DB_DEPTH_MAX);
    HF_TRY(db->driver->begin(db->conn, db->depth, why));
    db->depth++;
    return HF_OK;
}

enum hf_err hf_db_commit(struct hf_db *db, struct hf_why *why)
{
    if (db->depth == 0)
        return hf_fail(why, HF_E_ARGUMENT, "there is no transaction to commit");
    db->depth--;
    return db->driver->commit(db->conn, db->depth, why);
}

void hf_db_rollback(struct hf_db *db)
{
    if (db->depth == 0)
        return;
    db->depth--;
    db->driver->rollback(db->conn, db->depth);
}

unsigned hf_db_depth(const struct hf_db *db)
{
    return db->depth;
}

bool hf_db_has_ended(const struct hf_db *db)
{
    return db->depth > 0 && db->driver->has_ended(db->conn);
}

uint64_t hf_db_changes(const struct hf_db *db)
{
    return db->n_changes;
}

enum hf_err hf_db_lock(struct hf_db *db, const char *name, struct hf_why *why)
{
    return db->driver->lock(db->conn, name, why);
}

enum hf_err hf_db_listen(struct hf_db *db, bool *has_changed, struct hf_why *why)
{
    return db->driver->listen(db->conn, has_changed, why);
}
