#include "client/port/posix/db.h"

#include "common/os/file_util.h"
#include "client/port/posix/migrate.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COPY_MODE 0600

struct paths {
    char *database;
    char *log;
    char *journal;
    char *log_index; /* SQLite's shared memory: nothing in it outlives those who use it */
    char *copy;
    char *damaged;
    char *damaged_log;
    char *damaged_journal;
    char *damaged_index;
};

static enum hf_err paths_make(const char *state_dir, struct paths *p, struct hf_why *why)
{
    HF_TRY(hf_file_join(state_dir, "holdfast.db", &p->database, why));
    HF_TRY(hf_file_join(state_dir, "holdfast.db-wal", &p->log, why));
    HF_TRY(hf_file_join(state_dir, "holdfast.db-journal", &p->journal, why));
    HF_TRY(hf_file_join(state_dir, "holdfast.db-shm", &p->log_index, why));
    HF_TRY(hf_file_join(state_dir, "holdfast.db.backup", &p->copy, why));
    HF_TRY(hf_file_join(state_dir, "holdfast.db.damaged", &p->damaged, why));
    /* Where SQLite's own shell looks for it. */
    HF_TRY(hf_file_join(state_dir, "holdfast.db.damaged-wal", &p->damaged_log, why));
    HF_TRY(hf_file_join(state_dir, "holdfast.db.damaged-journal", &p->damaged_journal, why));
    return hf_file_join(state_dir, "holdfast.db.damaged-shm", &p->damaged_index, why);
}

static void paths_free(struct paths *p)
{
    free(p->database);
    free(p->log);
    free(p->journal);
    free(p->log_index);
    free(p->copy);
    free(p->damaged);
    free(p->damaged_log);
    free(p->damaged_journal);
    free(p->damaged_index);
}

/* ---- the copy ------------------------------------------------------------------------------------ */

enum hf_err hf_db_changes(sqlite3 *db, int64_t *out, struct hf_why *why)
{
    return hf_db_query_int64(db, "SELECT count FROM change", "count the changes", out, why);
}

/* Nothing is said of another's schema, and of the root metadata in it. */
static enum hf_err check_whole(sqlite3 *db, struct hf_why *why)
{
    int64_t version = 0;

    HF_TRY(hf_db_check_pages(db, why));
    if (hf_schema_check(db, (int64_t)hf_client_migrations_len, &version, NULL) != HF_OK)
        return HF_OK;
    HF_TRY(hf_schema_compare(db, hf_client_migrations, version, why));
    HF_TRY(hf_db_check_floors(db, why));
    return hf_db_root_check(db, why);
}

/* Nothing else is opened: a pipe would block, a link could lead elsewhere. */
static bool is_file(const char *path)
{
    return hf_file_exists(path) && !hf_file_is_link(path) && !hf_file_is_something_else(path);
}

static int64_t changes_in(const char *path)
{
    sqlite3 *db = NULL;
    int64_t changes = -1;

    if (!is_file(path) || hf_db_open_immutable(path, &db, NULL) != HF_OK)
        return -1;
    if (hf_db_changes(db, &changes, NULL) != HF_OK)
        changes = -1;
    sqlite3_close(db);
    return changes;
}

int64_t hf_db_copy_changes(const char *state_dir)
{
    char *path = NULL;

    if (hf_file_join(state_dir, "holdfast.db.backup", &path, NULL) != HF_OK)
        return -1;
    int64_t changes = changes_in(path);
    free(path);
    return changes;
}

bool hf_db_copy_is_whole(const char *state_dir)
{
    sqlite3 *db = NULL;
    char *path = NULL;

    if (hf_file_join(state_dir, "holdfast.db.backup", &path, NULL) != HF_OK)
        return false;
    bool is_whole = is_file(path) && hf_db_open_immutable(path, &db, NULL) == HF_OK &&
                    check_whole(db, NULL) == HF_OK;
    sqlite3_close(db);
    free(path);
    return is_whole;
}

/* What a power cut left of a copy in the making, as hf_file_replace names it: ".NAME.XXXXXX". */
static bool is_leftover(const char *name)
{
    static const char prefix[] = ".holdfast.db.backup.";
    const size_t len = sizeof prefix - 1;

    return strncmp(name, prefix, len) == 0 && strlen(name) == len + 6;
}

/* No other process makes one: the caller holds the lock. */
static void remove_leftovers(const char *state_dir)
{
    DIR *folder = opendir(state_dir);

    if (folder == NULL)
        return;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (is_leftover(entry->d_name))
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    closedir(folder);
}

/* One file, as if the log had been folded in. */
static enum hf_err write_to(const char *path, sqlite3 *db, struct hf_why *why)
{
    sqlite3_int64 len = 0;

    HF_TRY(check_whole(db, why));
    unsigned char *bytes = sqlite3_serialize(db, "main", &len, 0);
    if (bytes == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a copy of the database");
    enum hf_err err = hf_file_replace(path, (struct hf_bytes){bytes, (size_t)len}, COPY_MODE, why);
    sqlite3_free(bytes);
    return err;
}

enum hf_err hf_db_copy_write(const char *state_dir, sqlite3 *db, struct hf_why *why)
{
    char *path = NULL;

    HF_TRY(hf_file_join(state_dir, "holdfast.db.backup", &path, why));
    remove_leftovers(state_dir);
    enum hf_err err = write_to(path, db, why);
    free(path);
    return err == HF_OK ? HF_OK : hf_fail_context(why, "the database's copy is not up to date");
}

enum hf_err hf_db_copy_load_root(const char *state_dir, struct hf_buf *out, int64_t *version,
                                 struct hf_why *why)
{
    sqlite3 *db = NULL;
    char *path = NULL;

    HF_TRY(hf_file_join(state_dir, "holdfast.db.backup", &path, why));
    enum hf_err err = is_file(path) ? hf_db_open_immutable(path, &db, why)
                                    : hf_fail(why, HF_E_NOT_FOUND, "there is no copy %s", path);
    if (err == HF_OK)
        err = hf_db_check_pages(db, why);
    if (err == HF_OK)
        err = hf_db_root_load(db, out, version, why);
    sqlite3_close(db);
    free(path);
    return err;
}

/* ---- damage -------------------------------------------------------------------------------------- */

/* Also a block that the disk cannot give back any more. */
static bool is_damage(int code)
{
    return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB ||
           code == SQLITE_IOERR_READ || code == SQLITE_IOERR_SHORT_READ ||
           code == SQLITE_IOERR_CORRUPTFS;
}

/* All is read; what is no database of ours, an empty file for instance, counts as damaged. */
static bool is_unreadable(sqlite3 *db)
{
    struct hf_why why = {0};
    int64_t application = 0;

    (void)sqlite3_extended_result_codes(db, 1);
    if (hf_db_check_pages(db, &why) != HF_OK)
        return sqlite3_errcode(db) == SQLITE_OK || is_damage(sqlite3_errcode(db));
    return hf_db_query_int64(db, "PRAGMA application_id", "read the database", &application,
                             &why) == HF_OK &&
           application != HF_CLIENT_APPLICATION_ID;
}

static bool is_damaged(const char *path)
{
    sqlite3 *db = NULL;

    if (access(path, F_OK) != 0)
        return errno == ENOENT;
    if (hf_file_is_something_else(path))
        return true;
    /* For reading only, SQLite passes over a schema that it cannot make sense of. */
    int code = sqlite3_open_v2(path, &db,
                               hf_file_is_writable(path) ? SQLITE_OPEN_READWRITE
                                                         : SQLITE_OPEN_READONLY,
                               NULL);
    if (code == SQLITE_OK)
        hf_db_harden(db);
    bool is = code == SQLITE_OK ? is_unreadable(db) : is_damage(code);
    sqlite3_close(db);
    return is;
}

bool hf_db_is_damaged(const char *state_dir)
{
    struct paths paths = {0};
    bool is = false;

    if (paths_make(state_dir, &paths, NULL) == HF_OK)
        is = hf_file_is_something_else(paths.log) || hf_file_is_something_else(paths.journal) ||
             is_damaged(paths.database);
    paths_free(&paths);
    return is;
}

/* ---- restoring ----------------------------------------------------------------------------------- */

static enum hf_err check_copy(const char *path, struct hf_why *why)
{
    sqlite3 *db = NULL;
    int64_t version = 0;

    if (!is_file(path))
        return hf_fail(why, HF_E_NOT_FOUND, "there is no copy %s", path);
    enum hf_err err = hf_db_open_immutable(path, &db, why);
    if (err == HF_OK)
        err = check_whole(db, why);
    if (err == HF_OK)
        err = hf_schema_check(db, (int64_t)hf_client_migrations_len, &version, why);
    sqlite3_close(db);
    return err == HF_OK ? HF_OK
                        : hf_fail(why, HF_E_NOT_FOUND, "the copy %s cannot be used either", path);
}

static enum hf_err move_if_there(const char *from, const char *to, struct hf_why *why)
{
    if (!hf_file_exists(from))
        return HF_OK;
    hf_file_remove_tree(to); /* of an earlier time; maybe a folder, where one was in the way */
    return rename(from, to) == 0 ? HF_OK : hf_file_fail(why, "move away", from, errno);
}

/* Log and journal belong to what is damaged: they must be gone for certain before the copy comes, or SQLite
 * would apply them. */
static enum hf_err put_in_place(const char *state_dir, const struct paths *p, struct hf_why *why)
{
    HF_TRY(check_copy(p->copy, why));
    HF_TRY(move_if_there(p->log, p->damaged_log, why));
    HF_TRY(move_if_there(p->journal, p->damaged_journal, why));
    (void)unlink(p->log_index);
    HF_TRY(move_if_there(p->database, p->damaged, why));
    HF_TRY(hf_file_sync_dir(state_dir, why));
    return hf_file_rename(p->copy, p->database, why);
}

void hf_db_clear_index(const char *state_dir)
{
    struct paths paths = {0};

    if (paths_make(state_dir, &paths, NULL) == HF_OK && hf_file_is_something_else(paths.log_index))
        (void)move_if_there(paths.log_index, paths.damaged_index, NULL);
    paths_free(&paths);
}

enum hf_err hf_db_copy_restore(const char *state_dir, struct hf_why *why)
{
    struct paths paths = {0};

    enum hf_err err = paths_make(state_dir, &paths, why);
    if (err == HF_OK)
        err = put_in_place(state_dir, &paths, why);
    paths_free(&paths);
    return err;
}
