#include "client/port/posix/db.h"

#include "common/os/file_util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- faults ------------------------------------------------------------------------------------ */

static enum hf_err fail_input_output(sqlite3 *db, const char *action, const char *file,
                                     struct hf_why *why)
{
    int error = sqlite3_system_errno(db);

    if (error == ENOSPC || error == EDQUOT)
        return hf_fail(why, HF_E_STORAGE,
                       "cannot %s: the disk holding %s is full; free some space and try again",
                       action, file);
    return hf_fail(why, HF_E_STORAGE, "cannot %s: reading or writing %s failed: %s", action, file,
                   error != 0 ? strerror(error) : sqlite3_errmsg(db));
}

enum hf_err hf_db_fail(sqlite3 *db, const char *action, struct hf_why *why)
{
    const char *name = sqlite3_db_filename(db, "main");
    const char *file = name != NULL && name[0] != '\0' ? name : "the database";

    switch (sqlite3_errcode(db)) {
    case SQLITE_FULL:
        return hf_fail(why, HF_E_STORAGE,
                       "cannot %s: the disk holding %s is full; free some space and try again",
                       action, file);
    case SQLITE_READONLY:
        return hf_fail(why, HF_E_STORAGE, "cannot %s: %s is read-only", action, file);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return hf_fail(why, HF_E_STORAGE, "cannot %s: %s is damaged (%s)", action, file,
                       sqlite3_errmsg(db));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return hf_fail(why, HF_E_BUSY,
                       "cannot %s: another process is writing %s; wait for it to end and try again",
                       action, file);
    case SQLITE_NOMEM:
        return hf_fail(why, HF_E_MEMORY, "cannot %s: out of memory", action);
    case SQLITE_IOERR:
        return fail_input_output(db, action, file, why);
    default:
        return hf_fail(why, HF_E_STORAGE, "cannot %s: %s: %s", action, file, sqlite3_errmsg(db));
    }
}

/* ---- statements -------------------------------------------------------------------------------- */

enum hf_err hf_db_exec(sqlite3 *db, const char *sql, const char *action, struct hf_why *why)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? HF_OK
                                                                : hf_db_fail(db, action, why);
}

enum hf_err hf_db_prepare(sqlite3 *db, const char *sql, const char *action, sqlite3_stmt **out,
                          struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return hf_db_fail(db, action, why);
    *out = stmt;
    return HF_OK;
}

enum hf_err hf_db_finish(sqlite3 *db, sqlite3_stmt *stmt, const char *action, struct hf_why *why)
{
    enum hf_err err = HF_OK;

    if (sqlite3_step(stmt) != SQLITE_DONE)
        err = hf_db_fail(db, action, why);
    sqlite3_finalize(stmt);
    return err;
}

enum hf_err hf_db_query_int64(sqlite3 *db, const char *sql, const char *action, int64_t *out,
                              struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;

    HF_TRY(hf_db_prepare(db, sql, action, &stmt, why));
    if (sqlite3_step(stmt) == SQLITE_ROW)
        *out = sqlite3_column_int64(stmt, 0);
    else
        err = hf_db_fail(db, action, why);
    sqlite3_finalize(stmt);
    return err;
}

void hf_db_bind_text(sqlite3_stmt *stmt, int index, const char *text)
{
    (void)sqlite3_bind_text(stmt, index, text, -1, SQLITE_STATIC);
}

void hf_db_bind_bytes(sqlite3_stmt *stmt, int index, struct hf_bytes bytes)
{
    /* A NULL pointer would bind NULL; an empty value is not that. */
    (void)sqlite3_bind_blob64(stmt, index, bytes.len > 0 ? (const void *)bytes.data : "", bytes.len,
                              SQLITE_STATIC);
}

enum hf_err hf_db_column_append(sqlite3_stmt *stmt, int column, struct hf_buf *out,
                                struct hf_why *why)
{
    const void *data = sqlite3_column_blob(stmt, column);
    size_t len = (size_t)sqlite3_column_bytes(stmt, column);

    if (len > 0 && (data == NULL || hf_buf_append(out, data, len) != HF_OK))
        return hf_fail(why, HF_E_MEMORY, "out of memory reading %zu bytes from the database", len);
    return HF_OK;
}

/* SQLite has no call for it: a checkpoint would do, but not while there are readers. */
enum hf_err hf_db_sync(sqlite3 *db, struct hf_why *why)
{
    sqlite3_file *wal = NULL;

    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    if (rc == SQLITE_OK && wal != NULL && wal->pMethods != NULL)
        rc = wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
    if (rc == SQLITE_OK)
        return HF_OK;
    return hf_fail(why, HF_E_STORAGE, "what was written to %s could not be synced: %s",
                   sqlite3_db_filename(db, "main"), sqlite3_errstr(rc));
}

/* ---- log or journal ------------------------------------------------------------------------------ */

/* The log stays when the last program closes the database: to fold it in would cost two fsyncs and
 * a rewrite at every update, and the next one would begin a new log with two more. */
static enum hf_err use_log(sqlite3 *db, struct hf_why *why)
{
    HF_TRY(hf_db_exec(db,
                      "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                      "PRAGMA wal_autocheckpoint = " HF_DB_LOG_PAGES,
                      "open the database", why));
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return HF_OK;
}

/* Truncated, not deleted: its name is synced once and for all. */
static enum hf_err use_journal(sqlite3 *db, struct hf_why *why)
{
    return hf_db_exec(db, "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL",
                      "open the database", why);
}

/* The last failure of `db` was that its log's index cannot be mapped for several processes. */
static bool lacks_shared_memory(sqlite3 *db)
{
    switch (sqlite3_extended_errcode(db)) {
    case SQLITE_IOERR_SHMMAP:
    case SQLITE_IOERR_SHMOPEN:
    case SQLITE_IOERR_SHMSIZE:
    case SQLITE_IOERR_SHMLOCK:
        return true;
    default:
        return false;
    }
}

static enum hf_err has_log(sqlite3 *db, bool *out, struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;

    HF_TRY(hf_db_prepare(db, "PRAGMA journal_mode", "open the database", &stmt, why));
    if (sqlite3_step(stmt) != SQLITE_ROW)
        err = hf_db_fail(db, "open the database", why);
    else
        *out = strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0;
    sqlite3_finalize(stmt);
    return err;
}

/* In exclusive mode SQLite has the log's index in memory of its own, so that the log can be folded
 * in and given up where the index cannot be shared. For that no connection may be open. */
static enum hf_err leave_log(const char *path, struct hf_why *why)
{
    static const char statements[] = "PRAGMA locking_mode = EXCLUSIVE;"
                                     "SELECT count(*) FROM sqlite_schema;"
                                     "PRAGMA journal_mode = TRUNCATE";
    struct hf_buf index = {0};
    sqlite3 *db = NULL;
    bool is_log = true;
    enum hf_err err = HF_OK;

    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        err = db == NULL ? hf_fail(why, HF_E_MEMORY, "out of memory opening %s", path)
                         : hf_db_fail(db, "open the database", why);
        goto out;
    }
    hf_db_harden(db);
    (void)sqlite3_busy_timeout(db, HF_DB_BUSY_MS);
    err = hf_db_exec(db, statements, "do without a log", why);
    if (err == HF_OK)
        err = has_log(db, &is_log, why);
    if (err == HF_OK && is_log)
        err = hf_fail(why, HF_E_STORAGE, "the log of %s cannot be given up", path);
out:
    sqlite3_close(db);
    if (err != HF_OK)
        return hf_fail_context(why,
                               "the file system of %s has no memory that processes share "
                               "(mmap with MAP_SHARED), which the database's log needs",
                               path);
    if (hf_buf_printf(&index, "%s-shm", path) == HF_OK)
        (void)unlink((const char *)index.data);
    hf_buf_free(&index);
    return HF_OK;
}

enum hf_err hf_db_fold(sqlite3 *db, struct hf_why *why)
{
    return hf_db_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", "fold the log into the database", why);
}

/* ---- opening ----------------------------------------------------------------------------------- */

/* `*lacks_memory` may be NULL; else it says whether that is what a failure came from. */
static enum hf_err open_with(const char *name, int flags, bool *lacks_memory, sqlite3 **out,
                             struct hf_why *why)
{
    sqlite3 *db = NULL;
    enum hf_err err = HF_OK;

    if (sqlite3_open_v2(name, &db, flags, NULL) != SQLITE_OK) {
        if (db == NULL)
            err = hf_fail(why, HF_E_MEMORY, "out of memory opening %s", name);
        else if (sqlite3_errcode(db) == SQLITE_CANTOPEN && sqlite3_system_errno(db) != 0)
            err = hf_file_fail(why, "open the database", name, sqlite3_system_errno(db));
        else
            err = hf_db_fail(db, "open the database", why);
        sqlite3_close(db);
        return err;
    }
    hf_db_harden(db);
    (void)sqlite3_busy_timeout(db, HF_DB_BUSY_MS);
    err = hf_db_exec(db, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
                     "open the database", why);
    if (err != HF_OK) {
        if (lacks_memory != NULL)
            *lacks_memory = lacks_shared_memory(db);
        sqlite3_close(db);
        return err;
    }
    *out = db;
    return HF_OK;
}

/* SQLite changes the header first and maps the index afterwards, so the first read tells. */
static enum hf_err open_new(const char *path, bool *lacks_memory, sqlite3 **out, struct hf_why *why)
{
    sqlite3 *db = NULL;

    HF_TRY(open_with(path, SQLITE_OPEN_READWRITE, lacks_memory, &db, why));
    enum hf_err err = hf_db_exec(db, "PRAGMA journal_mode = WAL", "open the database", why);
    if (err == HF_OK)
        err = hf_db_check_pages(db, why);
    if (err != HF_OK) {
        *lacks_memory = lacks_shared_memory(db);
        sqlite3_close(db);
        return err;
    }
    *out = db;
    return HF_OK;
}

enum hf_err hf_db_create(const char *path, sqlite3 **out, struct hf_why *why)
{
    /* SQLite would make it readable for others; its -wal and -shm take over the mode. */
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return hf_fail(why, HF_E_STATE, "%s exists already", path);
    if (fd < 0)
        return hf_file_fail(why, "make", path, errno);
    close(fd);

    bool lacks_memory = false;
    enum hf_err err = open_new(path, &lacks_memory, out, why);
    if (err == HF_OK || !lacks_memory)
        return err;
    HF_TRY(leave_log(path, why));
    return open_with(path, SQLITE_OPEN_READWRITE, NULL, out, why);
}

void hf_db_harden(sqlite3 *db)
{
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_exec(db, "PRAGMA cell_size_check = ON", NULL, NULL, NULL);
}

enum hf_err hf_db_open_immutable(const char *path, sqlite3 **out, struct hf_why *why)
{
    struct hf_buf uri = {0};

    enum hf_err err = hf_buf_append_text(&uri, "file:");
    for (const char *c = path; *c != '\0' && err == HF_OK; c++)
        err = strchr("?#%", *c) != NULL ? hf_buf_printf(&uri, "%%%02x", (unsigned)*c)
                                        : hf_buf_append(&uri, c, 1);
    if (err == HF_OK)
        err = hf_buf_append_text(&uri, "?immutable=1");
    if (err != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory opening %s", path);
    else
        err = open_with((const char *)uri.data, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL, out,
                        why);
    hf_buf_free(&uri);
    return err;
}

bool hf_db_is_replaced(sqlite3 *db)
{
    int has_moved = 0;

    return sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved) == SQLITE_OK &&
           has_moved != 0;
}

/* The database is small: a read of all its pages takes about a millisecond. */
enum hf_err hf_db_check_pages(sqlite3 *db, struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;

    HF_TRY(hf_db_prepare(db, "PRAGMA quick_check(1)", "read the database", &stmt, why));
    if (sqlite3_step(stmt) != SQLITE_ROW)
        err = hf_db_fail(db, "read the database", why);
    else if (strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0)
        err = hf_fail(why, HF_E_STORAGE, "cannot read the database: %s is damaged (%s)",
                      sqlite3_db_filename(db, "main"), sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    return err;
}

/* Of these SQLite says no more than "unable to open database file". */
static enum hf_err check_beside(const char *path, const char *suffix, struct hf_why *why)
{
    struct hf_buf file = {0};
    enum hf_err err = HF_OK;

    if (hf_buf_printf(&file, "%s%s", path, suffix) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory opening %s", path);
    const char *name = (const char *)file.data;
    if (hf_file_is_something_else(name))
        err =
            hf_fail(why, HF_E_STORAGE,
                    "%s should be a file of the database, it is a folder or leads nowhere; move it "
                    "away",
                    name);
    else if (hf_file_exists(name) && faccessat(AT_FDCWD, name, R_OK | W_OK, AT_EACCESS) != 0)
        err = hf_fail(why, HF_E_STORAGE,
                      "%s cannot be opened: %s; give it the owner and the mode of %s", name,
                      strerror(errno), path);
    hf_buf_free(&file);
    return err;
}

/* Read it once, and go on with the log or the journal that it has. */
static enum hf_err try_for_writing(const char *path, bool *lacks_memory, sqlite3 **out,
                                   struct hf_why *why)
{
    sqlite3 *db = NULL;
    bool is_log = false;

    HF_TRY(open_with(path, SQLITE_OPEN_READWRITE, lacks_memory, &db, why));
    enum hf_err err = hf_db_check_pages(db, why);
    if (err == HF_OK)
        err = has_log(db, &is_log, why);
    if (err == HF_OK)
        err = is_log ? use_log(db, why) : use_journal(db, why);
    if (err != HF_OK) {
        *lacks_memory = lacks_shared_memory(db);
        sqlite3_close(db);
        return err;
    }
    *out = db;
    return HF_OK;
}

static enum hf_err open_for_writing(const char *path, sqlite3 **out, struct hf_why *why)
{
    bool lacks_memory = false;

    if (!hf_file_is_writable(path))
        return hf_fail(why, HF_E_STORAGE,
                       "%s cannot be written: its disk or its folder is read-only for this user",
                       path);
    HF_TRY(check_beside(path, "-wal", why));
    HF_TRY(check_beside(path, "-shm", why));
    HF_TRY(check_beside(path, "-journal", why));
    enum hf_err err = try_for_writing(path, &lacks_memory, out, why);
    if (err == HF_OK || !lacks_memory)
        return err;
    HF_TRY(leave_log(path, why));
    return try_for_writing(path, &lacks_memory, out, why);
}

static enum hf_err keep_if_whole_take(sqlite3 *db, sqlite3 **out, struct hf_why *why)
{
    enum hf_err err = hf_db_check_pages(db, why);
    if (err == HF_OK)
        *out = db;
    else
        sqlite3_close(db);
    return err;
}

enum hf_err hf_db_open_for_reading(const char *path, sqlite3 **out, struct hf_why *why)
{
    sqlite3 *db = NULL;

    if (open_with(path, SQLITE_OPEN_READONLY, NULL, &db, NULL) == HF_OK &&
        keep_if_whole_take(db, out, NULL) == HF_OK)
        return HF_OK;
    HF_TRY(hf_db_open_immutable(path, &db, why));
    return keep_if_whole_take(db, out, why);
}

enum hf_err hf_db_open(const char *path, sqlite3 **out, struct hf_why *not_writable,
                       struct hf_why *why)
{
    struct hf_why reason = {0};

    enum hf_err err = open_for_writing(path, out, &reason);
    if (err == HF_E_STORAGE) {
        HF_TRY(hf_db_open_for_reading(path, out, why));
        (void)hf_fail(not_writable, err, "%s", reason.text);
        return HF_OK;
    }
    return err == HF_OK ? HF_OK : hf_fail(why, err, "%s", reason.text);
}
