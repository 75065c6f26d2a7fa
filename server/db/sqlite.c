#include "server/db/sqlite.h"

#include "common/os/file_util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *file_of(sqlite3 *db)
{
    const char *name = db != NULL ? sqlite3_db_filename(db, "main") : NULL;
    return name != NULL && name[0] != '\0' ? name : "the database";
}

enum hf_err hf_sqlite_fail(sqlite3 *db, const char *action, struct hf_why *why)
{
    const int code = sqlite3_extended_errcode(db);
    const int error = (code & 0xff) == SQLITE_IOERR ? sqlite3_system_errno(db) : 0;
    const char *file = file_of(db);

    if (code == SQLITE_FULL || error == ENOSPC || error == EDQUOT)
        return hf_fail(why, HF_E_STORAGE, "cannot %s: the disk that holds %s is full. Free space",
                       action, file);
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
        if (code == SQLITE_CONSTRAINT_CHECK || code == SQLITE_CONSTRAINT_NOTNULL)
            return hf_fail(why, HF_E_ARGUMENT, "cannot %s: %s", action, sqlite3_errmsg(db));
        return hf_fail(why, HF_E_STATE, "cannot %s: %s", action, sqlite3_errmsg(db));
    case SQLITE_READONLY:
        return hf_fail(why, HF_E_STORAGE, "cannot %s: %s is read-only", action, file);
    case SQLITE_CORRUPT:
        return hf_fail(why, HF_E_STORAGE, "cannot %s: %s is damaged (%s). Restore a backup", action,
                       file, sqlite3_errmsg(db));
    case SQLITE_NOTADB:
        return hf_fail(why, HF_E_FORMAT, "cannot %s: %s is not a database", action, file);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return hf_fail(why, HF_E_BUSY, "cannot %s: another process is writing %s. Try again",
                       action, file);
    case SQLITE_NOMEM:
        return hf_fail(why, HF_E_MEMORY, "cannot %s: out of memory", action);
    case SQLITE_IOERR:
        return hf_fail(why, HF_E_STORAGE, "cannot %s: reading or writing %s failed: %s", action,
                       file, error != 0 ? strerror(error) : sqlite3_errmsg(db));
    default:
        return hf_fail(why, HF_E_STORAGE, "cannot %s: %s: %s", action, file, sqlite3_errmsg(db));
    }
}

enum hf_err hf_sqlite_exec(sqlite3 *db, const char *sql, const char *action, struct hf_why *why)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? HF_OK
                                                                : hf_sqlite_fail(db, action, why);
}

/* The integer that a query of one row and one column gives. */
static enum hf_err get_int(sqlite3 *db, const char *sql, const char *action, int64_t *out,
                           struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return hf_sqlite_fail(db, action, why);
    if (sqlite3_step(stmt) == SQLITE_ROW)
        *out = sqlite3_column_int64(stmt, 0);
    else
        err = hf_sqlite_fail(db, action, why);
    (void)sqlite3_finalize(stmt);
    return err;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* With an own mode: SQLite would let others read it, and -wal and -shm take over the mode. */
static enum hf_err create_file(const char *path, struct hf_why *why)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 && errno != EEXIST)
        return hf_file_fail(why, "make", path, errno);
    if (fd >= 0) {
        close(fd);
        return hf_file_sync_parent(path, why);
    }
    return HF_OK;
}

/* A file may be anything: nothing in its schema is trusted, and its cells are checked. */
static enum hf_err harden(sqlite3 *db, struct hf_why *why)
{
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    (void)sqlite3_busy_timeout(db, HF_DB_BUSY_MS);
    return hf_sqlite_exec(db, "PRAGMA cell_size_check = ON", "open the database", why);
}

/* A new file becomes ours; another one must be. */
static enum hf_err check_owner(sqlite3 *db, enum hf_db_mode mode, struct hf_why *why)
{
    int64_t id = 0, n_tables = 0;
    char mark[64];

    HF_TRY(get_int(db, "PRAGMA application_id", "open the database", &id, why));
    if (id == HF_DB_APPLICATION_ID)
        return HF_OK;
    HF_TRY(get_int(db, "SELECT count(*) FROM sqlite_schema", "open the database", &n_tables, why));
    if (mode != HF_DB_CREATE || n_tables > 0 || id != 0)
        return hf_fail(why, HF_E_FORMAT,
                       "%s: it is empty or not a database of the fleet service. Name another file",
                       file_of(db));
    (void)snprintf(mark, sizeof mark, "PRAGMA application_id = %" PRId64, HF_DB_APPLICATION_ID);
    return hf_sqlite_exec(db, mark, "make the database", why);
}

/* The log comes before the first write, so that a new database never has a rollback journal. */
static enum hf_err set_up(struct hf_sqlite *conn, enum hf_db_mode mode, struct hf_why *why)
{
    char pragmas[160];

    HF_TRY(harden(conn->db, why));
    if (mode != HF_DB_READ) /* a backup that an operator copied into place has none */
        HF_TRY(hf_sqlite_exec(conn->db, "PRAGMA journal_mode = WAL", "open the database", why));
    (void)snprintf(pragmas, sizeof pragmas,
                   "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = %d;"
                   "PRAGMA cache_size = -%d; PRAGMA query_only = %d",
                   HF_DB_LOG_PAGES, HF_DB_CACHE_KIB, mode == HF_DB_READ);
    HF_TRY(hf_sqlite_exec(conn->db, pragmas, "open the database", why));
    return check_owner(conn->db, mode, why);
}

static void sqlite_close(void *arg)
{
    struct hf_sqlite *conn = arg;

    if (conn == NULL)
        return;
    for (unsigned depth = 0; depth < HF_DB_DEPTH_MAX; depth++)
        for (unsigned step = 0; step < HF_SQLITE_STEPS; step++)
            (void)sqlite3_finalize(conn->steps[depth][step]);
    (void)sqlite3_close(conn->db);
    for (unsigned i = 0; i < conn->n_locks; i++)
        hf_file_unlock(conn->locks[i]);
    free(conn);
}

/* A connection for reading is opened for writing too, and changes nothing by query_only: SQLite
 * must be able to write the shared memory of its log. */
static enum hf_err sqlite_open(const char *where, enum hf_db_mode mode, void **out,
                               struct hf_why *why)
{
    enum hf_err err = HF_OK;

    if (mode == HF_DB_CREATE)
        HF_TRY(create_file(where, why));
    else if (hf_file_is_absent(where))
        return hf_fail(why, HF_E_NOT_FOUND,
                       "%s: there is no database. Check the path, or restore a backup", where);
    if (hf_file_is_something_else(where)) /* a pipe or a device could hold the thread for ever */
        return hf_fail(why, HF_E_STORAGE,
                       "%s: expected a regular file that is a database. Name another file", where);
    struct hf_sqlite *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return hf_fail(why, HF_E_MEMORY, "%s: out of memory while opening the database", where);
    conn->is_writer = mode != HF_DB_READ;
    conn->data_version = -1;
    int rc = sqlite3_open_v2(where, &conn->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (conn->db == NULL)
        err = hf_fail(why, HF_E_MEMORY, "%s: out of memory while opening the database", where);
    else if (rc == SQLITE_CANTOPEN && sqlite3_system_errno(conn->db) != 0)
        err = hf_file_fail(why, "open the database", where, sqlite3_system_errno(conn->db));
    else if (rc != SQLITE_OK)
        err = hf_sqlite_fail(conn->db, "open the database", why);
    else
        err = set_up(conn, mode, why);
    if (err != HF_OK)
        sqlite_close(conn);
    else
        *out = conn;
    return err;
}

/* ---- statements ------------------------------------------------------------------------------ */

static enum hf_err sqlite_prepare(void *arg, const char *text, void **out, struct hf_why *why)
{
    struct hf_sqlite *conn = arg;
    sqlite3_stmt *stmt = NULL;
    const char *rest = NULL;

    if (sqlite3_prepare_v3(conn->db, text, -1, SQLITE_PREPARE_PERSISTENT, &stmt, &rest) !=
        SQLITE_OK)
        return hf_sqlite_fail(conn->db, "prepare a statement", why);
    if (stmt == NULL || rest[strspn(rest, " ;\n")] != '\0') {
        (void)sqlite3_finalize(stmt);
        return hf_fail(why, HF_E_ARGUMENT, "%s: expected one statement: %.80s", file_of(conn->db),
                       text);
    }
    *out = stmt;
    return HF_OK;
}

static void sqlite_forget(void *stmt)
{
    (void)sqlite3_finalize(stmt);
}

static int bind(sqlite3_stmt *stmt, int index, const struct hf_value *value)
{
    /* A NULL pointer would bind NULL; an empty value is not that. */
    const void *data = value->bytes.len > 0 ? (const void *)value->bytes.data : "";

    switch (value->type) {
    case HF_VALUE_NULL:
        return sqlite3_bind_null(stmt, index);
    case HF_VALUE_INT:
        return sqlite3_bind_int64(stmt, index, value->number);
    case HF_VALUE_TEXT:
        return sqlite3_bind_text64(stmt, index, data, value->bytes.len, SQLITE_STATIC, SQLITE_UTF8);
    case HF_VALUE_BYTES:
        return sqlite3_bind_blob64(stmt, index, data, value->bytes.len, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

/* As many are given as there are, and each of them is found: so none is left out or given twice, as
 * long as no two have one name. */
static enum hf_err sqlite_run(void *arg, const struct hf_param *params, size_t n_params,
                              struct hf_why *why)
{
    sqlite3_stmt *stmt = arg;
    char name[64] = ":";

    if ((size_t)sqlite3_bind_parameter_count(stmt) != n_params)
        return hf_fail(why, HF_E_ARGUMENT, "expected %d parameters, found %zu",
                       sqlite3_bind_parameter_count(stmt), n_params);
    for (size_t i = 0; i < n_params; i++) {
        (void)memccpy(name + 1, params[i].name, '\0', sizeof name - 2);
        int index = sqlite3_bind_parameter_index(stmt, name);
        if (index == 0) {
            (void)sqlite3_clear_bindings(stmt);
            return hf_fail(why, HF_E_ARGUMENT, "there is no parameter %s", name);
        }
        if (bind(stmt, index, &params[i].value) != SQLITE_OK) {
            enum hf_err err = hf_sqlite_fail(sqlite3_db_handle(stmt), "bind a parameter", why);
            (void)sqlite3_clear_bindings(stmt);
            return err;
        }
    }
    return HF_OK;
}

static enum hf_err read_column(sqlite3_stmt *stmt, int i, struct hf_value *out, struct hf_why *why)
{
    const void *data = NULL;

    *out = (struct hf_value){0};
    switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_NULL:
        return HF_OK;
    case SQLITE_INTEGER:
        out->type = HF_VALUE_INT;
        out->number = sqlite3_column_int64(stmt, i);
        return HF_OK;
    case SQLITE_TEXT:
        out->type = HF_VALUE_TEXT;
        data = sqlite3_column_text(stmt, i);
        break;
    case SQLITE_BLOB:
        out->type = HF_VALUE_BYTES;
        data = sqlite3_column_blob(stmt, i);
        break;
    default: /* a real number, which no column of ours has */
        return hf_fail(why, HF_E_FORMAT, "%s: column %d is a number with a fraction",
                       file_of(sqlite3_db_handle(stmt)), i + 1);
    }
    out->bytes = (struct hf_bytes){data, (size_t)sqlite3_column_bytes(stmt, i)};
    if (data == NULL && (out->type == HF_VALUE_TEXT || out->bytes.len > 0))
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading a row");
    return HF_OK;
}

static enum hf_err sqlite_next(void *arg, struct hf_value *columns, size_t n, struct hf_why *why)
{
    sqlite3_stmt *stmt = arg;

    if (columns != NULL && (size_t)sqlite3_column_count(stmt) != n)
        return hf_fail(why, HF_E_ARGUMENT, "expected %zu columns, found %d", n,
                       sqlite3_column_count(stmt));
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_DONE)
        return HF_E_NOT_FOUND;
    if (rc != SQLITE_ROW)
        return hf_sqlite_fail(sqlite3_db_handle(stmt), "read or change rows", why);
    for (size_t i = 0; i < n; i++)
        HF_TRY(read_column(stmt, (int)i, &columns[i], why));
    return HF_OK;
}

static void sqlite_end(void *arg)
{
    (void)sqlite3_reset(arg);
    (void)sqlite3_clear_bindings(arg); /* they point to what the caller may free now */
}

/* ---- transactions ---------------------------------------------------------------------------- */

static enum hf_err prepare_step(struct hf_sqlite *conn, unsigned depth, enum hf_sqlite_step step,
                                struct hf_why *why)
{
    static const char *const outer[] = {"BEGIN", "COMMIT", "ROLLBACK"};
    static const char *const inner[] = {"SAVEPOINT s%u", "RELEASE s%u", "ROLLBACK TO s%u"};
    char text[32];

    if (depth > 0)
        (void)snprintf(text, sizeof text, inner[step], depth);
    else if (step == HF_SQLITE_BEGIN && conn->is_writer)
        (void)snprintf(text, sizeof text, "BEGIN IMMEDIATE");
    else
        (void)snprintf(text, sizeof text, "%s", outer[step]);
    if (sqlite3_prepare_v3(conn->db, text, -1, SQLITE_PREPARE_PERSISTENT, &conn->steps[depth][step],
                           NULL) != SQLITE_OK)
        return hf_sqlite_fail(conn->db, "prepare a transaction", why);
    return HF_OK;
}

static enum hf_err take_step(struct hf_sqlite *conn, unsigned depth, enum hf_sqlite_step step,
                             struct hf_why *why)
{
    static const char *const actions[] = {"begin a transaction", "commit a transaction",
                                          "roll back a transaction"};
    enum hf_err err = HF_OK;

    if (conn->steps[depth][step] == NULL)
        HF_TRY(prepare_step(conn, depth, step, why));
    if (sqlite3_step(conn->steps[depth][step]) != SQLITE_DONE)
        err = hf_sqlite_fail(conn->db, actions[step], why);
    (void)sqlite3_reset(conn->steps[depth][step]);
    return err;
}

/* SQLite itself ends a transaction that met a full disk or a damaged page. */
static enum hf_err fail_ended(sqlite3 *db, struct hf_why *why)
{
    return hf_fail(why, HF_E_STORAGE,
                   "%s: the transaction ended early because the disk was full or failed",
                   file_of(db));
}

static enum hf_err sqlite_begin(void *arg, unsigned depth, struct hf_why *why)
{
    struct hf_sqlite *conn = arg;

    /* A savepoint outside of a transaction would begin one of its own, and commit it. */
    if (depth > 0 && sqlite3_get_autocommit(conn->db))
        return fail_ended(conn->db, why);
    return take_step(conn, depth, HF_SQLITE_BEGIN, why);
}

static bool sqlite_has_ended(void *arg)
{
    const struct hf_sqlite *conn = arg;
    return sqlite3_get_autocommit(conn->db) != 0;
}

static void sqlite_rollback(void *arg, unsigned depth)
{
    struct hf_sqlite *conn = arg;

    if (sqlite3_get_autocommit(conn->db))
        return;
    /* If a savepoint cannot be undone, nothing of its transaction may be committed. */
    enum hf_err err = take_step(conn, depth, HF_SQLITE_ROLLBACK, NULL);
    if (err == HF_OK && depth > 0)
        err = take_step(conn, depth, HF_SQLITE_COMMIT, NULL);
    if (err != HF_OK)
        (void)sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL);
}

static enum hf_err sqlite_commit(void *arg, unsigned depth, struct hf_why *why)
{
    struct hf_sqlite *conn = arg;

    if (sqlite3_get_autocommit(conn->db))
        return fail_ended(conn->db, why);
    enum hf_err err = take_step(conn, depth, HF_SQLITE_COMMIT, why);
    if (err != HF_OK)
        sqlite_rollback(conn, depth);
    return err;
}

/* ---- other processes ------------------------------------------------------------------------- */

static enum hf_err sqlite_lock(void *arg, const char *name, struct hf_why *why)
{
    struct hf_sqlite *conn = arg;
    struct hf_path path;

    if (conn->n_locks == HF_DB_LOCKS_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s: more than %d locks", file_of(conn->db),
                       HF_DB_LOCKS_MAX);
    HF_TRY(hf_path_set(&path, why, "%s.%s.lock", file_of(conn->db), name));
    HF_TRY(hf_file_lock(path.text, HF_DB_LOCK_WAIT_MS, &conn->locks[conn->n_locks], why));
    conn->n_locks++;
    return HF_OK;
}

static enum hf_err sqlite_listen(void *arg, bool *has_changed, struct hf_why *why)
{
    struct hf_sqlite *conn = arg;
    int64_t version = 0;

    HF_TRY(get_int(conn->db, "PRAGMA data_version", "read the database", &version, why));
    *has_changed = version != conn->data_version;
    conn->data_version = version;
    return HF_OK;
}

const struct hf_db_driver hf_db_sqlite = {
    .name = "SQLite",
    .open = sqlite_open,
    .close = sqlite_close,
    .prepare = sqlite_prepare,
    .forget = sqlite_forget,
    .run = sqlite_run,
    .next = sqlite_next,
    .end = sqlite_end,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .has_ended = sqlite_has_ended,
    .lock = sqlite_lock,
    .listen = sqlite_listen,
};
