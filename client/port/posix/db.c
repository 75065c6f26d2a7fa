#include "client/port/posix/db.h"

#include "common/os/file_util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LOG_PAGES 256 /* of 4 KiB: the log is folded in when it is longer */
#define BUSY_MS 5000  /* a writer holds the database for milliseconds; slow flash for more */

enum hf_err hf_db_fail(sqlite3 *db, const char *action, struct hf_why *why)
{
    const char *name = sqlite3_db_filename(db, "main");
    const char *file = name != NULL && name[0] != '\0' ? name : "the database";
    int code = sqlite3_errcode(db) & 0xff;
    int error = code == SQLITE_IOERR ? sqlite3_system_errno(db) : 0;

    if (code == SQLITE_FULL || error == ENOSPC || error == EDQUOT)
        return hf_fail(why, HF_E_STORAGE,
                       "cannot %s: the disk holding %s is full; free some space and try again",
                       action, file);
    switch (code) {
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
        return hf_fail(why, HF_E_STORAGE, "cannot %s: reading or writing %s failed: %s", action,
                       file, error != 0 ? strerror(error) : sqlite3_errmsg(db));
    default:
        return hf_fail(why, HF_E_STORAGE, "cannot %s: %s: %s", action, file, sqlite3_errmsg(db));
    }
}

/* ---- statements ------------------------------------------------------------------------------ */

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
    enum hf_err err = sqlite3_step(stmt) == SQLITE_DONE ? HF_OK : hf_db_fail(db, action, why);

    sqlite3_finalize(stmt);
    return err;
}

enum hf_err hf_db_query(sqlite3 *db, const char *sql, const char *action, struct hf_buf *out,
                        struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;

    HF_TRY(hf_db_prepare(db, sql, action, &stmt, why));
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        err = hf_db_column_append(stmt, 0, out, why);
    else if (rc != SQLITE_DONE)
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

enum hf_err hf_db_fold(sqlite3 *db, struct hf_why *why)
{
    return hf_db_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", "fold the log into the database", why);
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
    struct hf_buf found = {0};

    enum hf_err err = hf_db_query(db, "PRAGMA quick_check(1)", "read the database", &found, why);
    if (err == HF_OK && !hf_bytes_equal(hf_buf_bytes(&found), hf_bytes_of_text("ok")))
        err = hf_fail(why, HF_E_STORAGE, "cannot read the database: %s is damaged (%s)",
                      sqlite3_db_filename(db, "main"),
                      found.len > 0 ? (const char *)found.data : "it cannot be checked");
    hf_buf_free(&found);
    return err;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* HF_E_FORMAT where the bytes of the file are at fault: what `err` on `db` came from. Also a block
 * that the disk cannot give back any more. Not so with rights, memory or another process. */
static enum hf_err tell_damage(sqlite3 *db, enum hf_err err)
{
    int code = sqlite3_extended_errcode(db); /* SQLITE_OK: pages were read, and are damaged */
    bool is_damage = code == SQLITE_OK || (code & 0xff) == SQLITE_CORRUPT ||
                     (code & 0xff) == SQLITE_NOTADB || code == SQLITE_IOERR_READ ||
                     code == SQLITE_IOERR_SHORT_READ || code == SQLITE_IOERR_CORRUPTFS;

    return err == HF_E_STORAGE && is_damage ? HF_E_FORMAT : err;
}

/* On failure too `*out` may be a connection, to be asked for its error and closed. One thread at a
 * time uses a connection, so it needs no mutex. */
static enum hf_err open_with(const char *name, int flags, sqlite3 **out, struct hf_why *why)
{
    int code = sqlite3_open_v2(name, out, flags | SQLITE_OPEN_NOMUTEX, NULL);

    if (*out == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory opening %s", name);
    if (code == SQLITE_CANTOPEN && sqlite3_system_errno(*out) != 0)
        return hf_file_fail(why, "open the database", name, sqlite3_system_errno(*out));
    if (code != SQLITE_OK)
        return hf_db_fail(*out, "open the database", why);
    hf_db_harden(*out);
    (void)sqlite3_busy_timeout(*out, BUSY_MS);
    return HF_OK;
}

void hf_db_harden(sqlite3 *db)
{
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_exec(db, "PRAGMA cell_size_check = ON", NULL, NULL, NULL);
}

static enum hf_err has_log(sqlite3 *db, bool *out, struct hf_why *why)
{
    struct hf_buf mode = {0};

    HF_TRY(hf_db_query(db, "PRAGMA journal_mode", "open the database", &mode, why));
    *out = hf_bytes_equal(hf_buf_bytes(&mode), hf_bytes_of_text("wal"));
    hf_buf_free(&mode);
    return HF_OK;
}

/* In exclusive mode SQLite has the log's index in memory of its own, so that the log can be folded
 * in and given up where the index cannot be shared. For that no connection may be open. */
static enum hf_err leave_log(const char *path, struct hf_why *why)
{
    static const char statements[] = "PRAGMA locking_mode = EXCLUSIVE;"
                                     "SELECT count(*) FROM sqlite_schema;"
                                     "PRAGMA journal_mode = TRUNCATE";
    struct hf_path index;
    sqlite3 *db = NULL;
    bool is_log = true;

    enum hf_err err = open_with(path, SQLITE_OPEN_READWRITE, &db, why);
    if (err == HF_OK)
        err = hf_db_exec(db, statements, "do without a log", why);
    if (err == HF_OK)
        err = has_log(db, &is_log, why);
    if (err == HF_OK && is_log)
        err = hf_fail(why, HF_E_STORAGE, "the log of %s cannot be given up", path);
    sqlite3_close(db);
    if (err != HF_OK)
        return hf_fail_context(why,
                               "the file system of %s has no memory that processes share "
                               "(mmap with MAP_SHARED), which the database's log needs",
                               path);
    if (hf_path_set(&index, NULL, "%s-shm", path) == HF_OK)
        (void)unlink(index.text);
    return HF_OK;
}

/* Read it once, and go on with the log or the journal that it has; a new one gets a log. SQLite
 * changes the header first and maps the log's index afterwards, so the first read tells whether
 * that works. */
static enum hf_err try_to_write(const char *path, bool is_new, bool *lacks_memory, sqlite3 **out,
                                struct hf_why *why)
{
    static const char action[] = "open the database";
    sqlite3 *db = NULL;
    bool is_log = false;

    enum hf_err err = open_with(path, SQLITE_OPEN_READWRITE, &db, why);
    if (err == HF_OK && is_new)
        err = hf_db_exec(db, "PRAGMA journal_mode = WAL", action, why);
    if (err == HF_OK)
        err = hf_db_check_pages(db, why);
    if (err == HF_OK)
        err = has_log(db, &is_log, why);
    if (err == HF_OK && is_log) {
        err = hf_db_exec(db, "PRAGMA synchronous = NORMAL", action, why);
        (void)sqlite3_wal_autocheckpoint(db, LOG_PAGES);
        /* To fold the log in at each close would cost two fsyncs and a rewrite at every update, and
         * the next one would begin a new log with two more. */
        (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_new ? 0 : 1, NULL);
    } else if (err == HF_OK) {
        /* Truncated, not deleted: its name is synced once and for all. */
        err = hf_db_exec(db, "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL", action,
                         why);
    }
    if (err == HF_OK) {
        (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
        *out = db;
        return HF_OK;
    }
    switch (sqlite3_extended_errcode(db)) {
    case SQLITE_IOERR_SHMMAP:
    case SQLITE_IOERR_SHMOPEN:
    case SQLITE_IOERR_SHMSIZE:
    case SQLITE_IOERR_SHMLOCK:
        *lacks_memory = true;
        break;
    default:
        err = tell_damage(db, err);
        break;
    }
    sqlite3_close(db);
    return err;
}

static enum hf_err open_to_write(const char *path, bool is_new, sqlite3 **out, struct hf_why *why)
{
    bool lacks_memory = false;

    enum hf_err err = try_to_write(path, is_new, &lacks_memory, out, why);
    if (err == HF_OK || !lacks_memory)
        return err;
    HF_TRY(leave_log(path, why));
    return try_to_write(path, false, &lacks_memory, out, why);
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
    return open_to_write(path, true, out, why);
}

enum hf_err hf_db_open_immutable(const char *path, sqlite3 **out, struct hf_why *why)
{
    struct hf_buf uri = {0};
    sqlite3 *db = NULL;

    enum hf_err err = hf_buf_append_text(&uri, "file:");
    for (const char *c = path; *c != '\0' && err == HF_OK; c++)
        err = strchr("?#%", *c) != NULL ? hf_buf_printf(&uri, "%%%02x", (unsigned)*c)
                                        : hf_buf_append(&uri, c, 1);
    if (err == HF_OK)
        err = hf_buf_append_text(&uri, "?immutable=1");
    if (err != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory opening %s", path);
    else
        err = open_with((const char *)uri.data, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, &db, why);
    hf_buf_free(&uri);
    if (err == HF_OK)
        *out = db;
    else
        sqlite3_close(db);
    return err;
}

enum hf_err hf_db_open_for_reading(const char *path, sqlite3 **out, struct hf_why *why)
{
    sqlite3 *db = NULL;

    if (open_with(path, SQLITE_OPEN_READONLY, &db, NULL) == HF_OK &&
        hf_db_check_pages(db, NULL) == HF_OK) {
        *out = db;
        return HF_OK;
    }
    sqlite3_close(db);
    HF_TRY(hf_db_open_immutable(path, &db, why));
    enum hf_err err = hf_db_check_pages(db, why);
    if (err == HF_OK) {
        *out = db;
        return HF_OK;
    }
    err = tell_damage(db, err);
    sqlite3_close(db);
    return err;
}

enum hf_err hf_db_open(const char *path, sqlite3 **out, struct hf_why *not_writable,
                       struct hf_why *why)
{
    static const char *const suffixes[] = {"-wal", "-journal", "-shm"};
    struct hf_why reason = {0};
    enum hf_err err = HF_OK;

    if (hf_file_is_something_else(path))
        return hf_fail(why, HF_E_FORMAT,
                       "%s should be a file, it is a folder or leads nowhere; move it away", path);
    if (!hf_file_is_writable(path))
        err = hf_fail(&reason, HF_E_STORAGE,
                      "%s cannot be written: its disk or its folder is read-only for this user",
                      path);
    /* Of these SQLite says no more than "unable to open database file". */
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0] && err == HF_OK; i++) {
        struct hf_path beside;
        HF_TRY(hf_path_set(&beside, why, "%s%s", path, suffixes[i]));
        if (hf_file_is_something_else(beside.text)) /* without a log, the database lacks its end */
            err = hf_fail(&reason, i < 2 ? HF_E_FORMAT : HF_E_STORAGE,
                          "%s should be a file of the database, it is a folder or leads nowhere; "
                          "move it away",
                          beside.text);
        else if (hf_file_exists(beside.text) &&
                 faccessat(AT_FDCWD, beside.text, R_OK | W_OK, AT_EACCESS) != 0)
            err = hf_fail(&reason, HF_E_STORAGE,
                          "%s cannot be opened: %s; give it the owner and the mode of %s",
                          beside.text, strerror(errno), path);
    }
    if (err == HF_OK)
        err = open_to_write(path, false, out, &reason);
    if (err == HF_E_STORAGE || err == HF_E_FORMAT) {
        HF_TRY(hf_db_open_for_reading(path, out, why));
        (void)hf_fail(not_writable, err, "%s", reason.text);
        return HF_OK;
    }
    return err == HF_OK ? HF_OK : hf_fail(why, err, "%s", reason.text);
}
