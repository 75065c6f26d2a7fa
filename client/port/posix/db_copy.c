#include "client/port/posix/db.h"

#include "common/os/file_util.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATABASE "holdfast.db"
#define COPY "holdfast.db.backup"
#define DAMAGED "holdfast.db.damaged" /* its log is where SQLite's own shell looks for it */

enum hf_err hf_db_changes(sqlite3 *db, int64_t *out, struct hf_why *why)
{
    return hf_db_query_int64(db, "SELECT count FROM change", "count the changes", out, why);
}

/* Another program's schema, or a newer one, is not judged, nor what is stored under it. */
static enum hf_err check_whole(sqlite3 *db, char known_root[HF_SHA256_HEX_LEN], struct hf_why *why)
{
    int64_t version = 0;

    HF_TRY(hf_db_check_pages(db, why));
    if (hf_schema_check(db, (int64_t)hf_client_migrations_len, &version, NULL) != HF_OK)
        return HF_OK;
    HF_TRY(hf_schema_compare(db, hf_client_migrations, version, why));
    HF_TRY(hf_db_check_floors(db, why));
    return hf_db_root_check(db, known_root, why);
}

static enum hf_err open_copy(const char *state_dir, sqlite3 **out, struct hf_why *why)
{
    struct hf_path path;

    HF_TRY(hf_path_set(&path, why, "%s/" COPY, state_dir));
    /* Nothing but a file is opened: a pipe would block, a link could lead elsewhere. */
    if (!hf_file_exists(path.text) || hf_file_is_link(path.text) ||
        hf_file_is_something_else(path.text))
        return hf_fail(why, HF_E_NOT_FOUND, "there is no copy %s", path.text);
    return hf_db_open_immutable(path.text, out, why);
}

int64_t hf_db_copy_changes(const char *state_dir)
{
    sqlite3 *db = NULL;
    int64_t changes = -1;

    if (open_copy(state_dir, &db, NULL) == HF_OK && hf_db_changes(db, &changes, NULL) != HF_OK)
        changes = -1;
    sqlite3_close(db);
    return changes;
}

bool hf_db_copy_is_whole(const char *state_dir, char known_root[HF_SHA256_HEX_LEN])
{
    sqlite3 *db = NULL;

    bool is_whole = open_copy(state_dir, &db, NULL) == HF_OK &&
                    check_whole(db, known_root, NULL) == HF_OK;
    sqlite3_close(db);
    return is_whole;
}

/* What power cuts left of copies in the making, which hf_file_replace names ".NAME.XXXXXX". The
 * caller holds the lock, so no other process makes one. */
static void remove_leftovers(const char *state_dir)
{
    static const char prefix[] = "." COPY ".";
    const size_t len = sizeof prefix - 1;

    DIR *folder = opendir(state_dir);
    if (folder == NULL)
        return;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (strncmp(entry->d_name, prefix, len) == 0 && strlen(entry->d_name) == len + 6)
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    closedir(folder);
}

/* The copy is as readable as the database, also where the file system gives all files one mode. */
static mode_t mode_of(sqlite3 *db)
{
    struct stat st;
    return stat(sqlite3_db_filename(db, "main"), &st) == 0 ? st.st_mode & 0666 : 0600;
}

enum hf_err hf_db_copy_write(const char *state_dir, sqlite3 *db, char known_root[HF_SHA256_HEX_LEN],
                             struct hf_why *why)
{
    struct hf_path path;
    unsigned char *bytes = NULL;
    sqlite3_int64 len = 0;

    remove_leftovers(state_dir);
    enum hf_err err = hf_path_set(&path, why, "%s/" COPY, state_dir);
    if (err == HF_OK)
        err = check_whole(db, known_root, why);
    /* One file, as if the log had been folded in. */
    if (err == HF_OK && (bytes = sqlite3_serialize(db, "main", &len, 0)) == NULL)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for a copy of the database");
    if (err == HF_OK)
        err = hf_file_replace(path.text, (struct hf_bytes){bytes, (size_t)len}, mode_of(db), why);
    sqlite3_free(bytes);
    return err == HF_OK ? HF_OK : hf_fail_context(why, "the database's copy is not up to date");
}

enum hf_err hf_db_copy_load_root(const char *state_dir, struct hf_buf *out, int64_t *version,
                                 struct hf_why *why)
{
    sqlite3 *db = NULL;

    HF_TRY(open_copy(state_dir, &db, why));
    enum hf_err err = hf_db_check_pages(db, why);
    if (err == HF_OK)
        err = hf_db_root_load(db, out, version, why);
    sqlite3_close(db);
    return err;
}

enum hf_err hf_db_copy_open(const char *state_dir, sqlite3 **out, struct hf_why *why)
{
    const int64_t newest = (int64_t)hf_client_migrations_len;
    char known_root[HF_SHA256_HEX_LEN] = "";
    sqlite3 *db = NULL;
    int64_t version = 0;

    HF_TRY(open_copy(state_dir, &db, why));
    enum hf_err err = check_whole(db, known_root, why);
    if (err == HF_OK)
        err = hf_schema_check(db, newest, &version, why);
    if (err == HF_OK && version < newest)
        err = hf_fail(why, HF_E_SCHEMA, "%s is of an older schema",
                      sqlite3_db_filename(db, "main"));
    if (err == HF_OK)
        *out = db;
    else
        sqlite3_close(db);
    return err;
}

static enum hf_err move_if_there(const char *state_dir, const char *from, const char *to,
                                 struct hf_why *why)
{
    struct hf_path source, target;

    HF_TRY(hf_path_set(&source, why, "%s/%s", state_dir, from));
    HF_TRY(hf_path_set(&target, why, "%s/%s", state_dir, to));
    if (!hf_file_exists(source.text))
        return HF_OK;
    hf_file_remove_tree(target.text); /* of an earlier time; maybe a folder that was in the way */
    return rename(source.text, target.text) == 0
               ? HF_OK
               : hf_file_fail(why, "move away", source.text, errno);
}

void hf_db_clear_index(const char *state_dir)
{
    struct hf_path index;

    if (hf_path_set(&index, NULL, "%s/" DATABASE "-shm", state_dir) == HF_OK &&
        hf_file_is_something_else(index.text))
        (void)move_if_there(state_dir, DATABASE "-shm", DAMAGED "-shm", NULL);
}

enum hf_err hf_db_copy_restore(const char *state_dir, struct hf_why *why)
{
    struct hf_path database, index, copy;
    char known_root[HF_SHA256_HEX_LEN] = "";
    sqlite3 *db = NULL;
    int64_t version = 0;

    HF_TRY(hf_path_set(&database, why, "%s/" DATABASE, state_dir));
    HF_TRY(hf_path_set(&index, why, "%s/" DATABASE "-shm", state_dir));
    HF_TRY(hf_path_set(&copy, why, "%s/" COPY, state_dir));
    enum hf_err err = open_copy(state_dir, &db, why);
    if (err == HF_E_NOT_FOUND)
        return err;
    if (err == HF_OK)
        err = check_whole(db, known_root, why);
    if (err == HF_OK)
        err = hf_schema_check(db, (int64_t)hf_client_migrations_len, &version, why);
    sqlite3_close(db);
    if (err != HF_OK)
        return hf_fail(why, HF_E_NOT_FOUND, "the copy %s cannot be used either", copy.text);
    /* Log and journal belong to what is damaged: they must be gone for certain before the copy
     * comes, or SQLite would apply them. */
    HF_TRY(move_if_there(state_dir, DATABASE "-wal", DAMAGED "-wal", why));
    HF_TRY(move_if_there(state_dir, DATABASE "-journal", DAMAGED "-journal", why));
    (void)unlink(index.text);
    HF_TRY(move_if_there(state_dir, DATABASE, DAMAGED, why));
    HF_TRY(hf_file_sync_dir(state_dir, why));
    return hf_file_rename(copy.text, database.text, why);
}
