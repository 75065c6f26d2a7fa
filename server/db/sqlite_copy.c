#include "server/db/sqlite_copy.h"

#include "server/db/sqlite.h"

#include "common/os/file_util.h"

#include <fcntl.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* All pages in one step, from one snapshot: a copy in several would begin again with each commit of
 * the writer. In a write-ahead log a snapshot keeps no writer waiting. */
static enum hf_err copy(sqlite3 *to, sqlite3 *from, const char *action, struct hf_why *why)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");

    if (backup == NULL)
        return hf_sqlite_fail(to, action, why);
    int rc = sqlite3_backup_step(backup, -1);
    int end = sqlite3_backup_finish(backup);
    if (rc == SQLITE_DONE && end == SQLITE_OK)
        return HF_OK;
    if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
        return hf_fail(why, HF_E_BUSY, "cannot %s: the database is in use. Try again", action);
    if (rc == SQLITE_READONLY)
        return hf_fail(why, HF_E_STORAGE,
                       "cannot %s: the destination is read-only or has pages of another size",
                       action);
    return hf_sqlite_fail(to, action, why);
}

static enum hf_err expect_text(sqlite3 *db, const char *sql, const char *expected,
                               struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return hf_sqlite_fail(db, "check the database", why);
    int rc = sqlite3_step(stmt);
    const char *found = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        err = hf_sqlite_fail(db, "check the database", why);
    else if ((found == NULL) != (expected == NULL) ||
             (found != NULL && strcmp(found, expected) != 0))
        err = hf_fail(why, HF_E_FORMAT, "%s: the database is damaged (%.160s). Restore a backup",
                      sqlite3_db_filename(db, "main"), found != NULL ? found : "no answer");
    (void)sqlite3_finalize(stmt);
    return err;
}

/* Read all of it: pages, indexes, and that each row that another one names is there. */
static enum hf_err check(sqlite3 *db, struct hf_why *why)
{
    HF_TRY(expect_text(db, "PRAGMA integrity_check(1)", "ok", why));
    return expect_text(db, "PRAGMA foreign_key_check", NULL, why);
}

/* A copy to be renamed: one file, without a log. */
static enum hf_err write_copy(sqlite3 *from, const char *path, struct hf_why *why)
{
    sqlite3 *to = NULL;
    enum hf_err err = HF_OK;

    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return hf_file_fail(why, "make", path, errno);
    if (sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        err = hf_fail(why, HF_E_STORAGE, "%s: cannot open the copy", path);
    if (err == HF_OK)
        err = copy(to, from, "write the backup", why);
    /* It carries the mark of a log, which the one who opens it will make. */
    if (err == HF_OK)
        err = hf_sqlite_exec(to, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE",
                             "write the backup", why);
    if (err == HF_OK)
        err = check(to, why);
    (void)sqlite3_close(to);
    if (err == HF_OK && fsync(fd) != 0)
        err = hf_file_fail(why, "sync", path, errno);
    close(fd);
    return err;
}

enum hf_err hf_db_backup(struct hf_db *db, const char *to, struct hf_why *why)
{
    const struct hf_sqlite *conn = hf_db_connection(db);
    struct hf_path unfinished;

    if (hf_file_exists(to))
        return hf_fail(why, HF_E_STATE, "%s: the file exists. Name a new one", to);
    HF_TRY(hf_path_set(&unfinished, why, "%s.unfinished", to));
    (void)unlink(unfinished.text); /* of a backup that was killed */
    enum hf_err err = write_copy(conn->db, unfinished.text, why);
    if (err == HF_OK)
        err = hf_file_rename(unfinished.text, to, why);
    if (err != HF_OK)
        (void)unlink(unfinished.text);
    return err;
}

enum hf_err hf_db_replace(struct hf_db *db, struct hf_db *from, struct hf_why *why)
{
    const struct hf_sqlite *to_conn = hf_db_connection(db);
    const struct hf_sqlite *from_conn = hf_db_connection(from);

    if (hf_db_depth(db) > 0)
        return hf_fail(why, HF_E_ARGUMENT, "%s: a transaction is open", hf_db_where(db));
    return copy(to_conn->db, from_conn->db, "restore the backup", why);
}
