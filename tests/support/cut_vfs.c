#include "tests/support/cut_vfs.h"

#include "tests/support/check.h"
#include "tests/support/cut_disk.h"

#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#define PATH_BYTES 512

/* The system's own file lies behind this one. */
struct cut_file {
    sqlite3_file base;
    const char *path; /* SQLite's own text, which lives as long as the file; NULL for a temporary */
    bool syncs_folder;    /* with its first sync, as SQLite does for a new log or journal */
    sqlite3_file *system; /* right behind */
};

static sqlite3_vfs *system_vfs;

static struct cut_file *cut(sqlite3_file *file)
{
    return (struct cut_file *)file;
}

static sqlite3_file *sys(sqlite3_file *file)
{
    return cut(file)->system;
}

static bool is_off(sqlite3_file *file)
{
    return cut_disk_is_off() && cut(file)->path != NULL && cut_disk_holds(cut(file)->path);
}

/* ---- a file ---------------------------------------------------------------------------------- */

static int do_close(sqlite3_file *file)
{
    return sys(file)->pMethods != NULL ? sys(file)->pMethods->xClose(sys(file)) : SQLITE_OK;
}

static int do_read(sqlite3_file *file, void *out, int len, sqlite3_int64 offset)
{
    return is_off(file) ? SQLITE_IOERR_READ
                        : sys(file)->pMethods->xRead(sys(file), out, len, offset);
}

static int do_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 offset)
{
    if (cut(file)->path != NULL && !cut_disk_write(cut(file)->path, offset, data, (size_t)len))
        return SQLITE_IOERR_WRITE;
    return sys(file)->pMethods->xWrite(sys(file), data, len, offset);
}

static int do_truncate(sqlite3_file *file, sqlite3_int64 len)
{
    if (cut(file)->path != NULL && !cut_disk_truncate(cut(file)->path, len))
        return SQLITE_IOERR_TRUNCATE;
    return sys(file)->pMethods->xTruncate(sys(file), len);
}

static bool sync_folder_of(const char *path)
{
    char folder[PATH_BYTES];
    (void)snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    return cut_disk_sync(folder);
}

/* The real disk need not keep anything through a power cut. */
static int do_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    if (cut(file)->path == NULL)
        return SQLITE_OK;
    if (!cut_disk_sync(cut(file)->path))
        return SQLITE_IOERR_FSYNC;
    if (cut(file)->syncs_folder && !sync_folder_of(cut(file)->path))
        return SQLITE_IOERR_DIR_FSYNC;
    cut(file)->syncs_folder = false;
    return SQLITE_OK;
}

static int do_file_size(sqlite3_file *file, sqlite3_int64 *out)
{
    return is_off(file) ? SQLITE_IOERR_FSTAT : sys(file)->pMethods->xFileSize(sys(file), out);
}

static int do_lock(sqlite3_file *file, int level)
{
    return sys(file)->pMethods->xLock(sys(file), level);
}

static int do_unlock(sqlite3_file *file, int level)
{
    return sys(file)->pMethods->xUnlock(sys(file), level);
}

static int do_check_reserved_lock(sqlite3_file *file, int *out)
{
    return sys(file)->pMethods->xCheckReservedLock(sys(file), out);
}

static int do_file_control(sqlite3_file *file, int op, void *arg)
{
    return sys(file)->pMethods->xFileControl(sys(file), op, arg);
}

static int do_sector_size(sqlite3_file *file)
{
    return sys(file)->pMethods->xSectorSize(sys(file));
}

static int do_device_characteristics(sqlite3_file *file)
{
    return sys(file)->pMethods->xDeviceCharacteristics(sys(file));
}

/* ---- the log's index: memory, which no power cut leaves anything of -------------------------- */

static int do_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out)
{
    return is_off(file) ? SQLITE_IOERR_SHMMAP
                        : sys(file)->pMethods->xShmMap(sys(file), region, size, extend, out);
}

static int do_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return sys(file)->pMethods->xShmLock(sys(file), offset, n, flags);
}

static void do_shm_barrier(sqlite3_file *file)
{
    sys(file)->pMethods->xShmBarrier(sys(file));
}

static int do_shm_unmap(sqlite3_file *file, int delete_flag)
{
    return sys(file)->pMethods->xShmUnmap(sys(file), delete_flag);
}

/* Version 2: without the functions that map the database itself, whose writes could not be
 * counted. */
static const sqlite3_io_methods file_methods = {
    .iVersion = 2,
    .xClose = do_close,
    .xRead = do_read,
    .xWrite = do_write,
    .xTruncate = do_truncate,
    .xSync = do_sync,
    .xFileSize = do_file_size,
    .xLock = do_lock,
    .xUnlock = do_unlock,
    .xCheckReservedLock = do_check_reserved_lock,
    .xFileControl = do_file_control,
    .xSectorSize = do_sector_size,
    .xDeviceCharacteristics = do_device_characteristics,
    .xShmMap = do_shm_map,
    .xShmLock = do_shm_lock,
    .xShmBarrier = do_shm_barrier,
    .xShmUnmap = do_shm_unmap,
};

/* ---- the file system ------------------------------------------------------------------------- */

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static bool is_new_journal(int flags)
{
    const int journals = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;
    return (flags & SQLITE_OPEN_CREATE) != 0 && (flags & journals) != 0;
}

static int do_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
                   int *out_flags)
{
    struct cut_file *f = cut(file);
    bool is_ours = path != NULL && cut_disk_holds(path);

    (void)vfs;
    *f = (struct cut_file){.path = path, .system = (sqlite3_file *)(f + 1)};
    f->system->pMethods = NULL;
    if (is_ours && cut_disk_is_off())
        return SQLITE_CANTOPEN;
    bool is_new = is_ours && (flags & SQLITE_OPEN_CREATE) != 0 && !is_there(path);
    if (is_new && !cut_disk_create(path, DISK_FILE, 0600, NULL))
        return SQLITE_CANTOPEN;
    int rc = system_vfs->xOpen(system_vfs, path, f->system, flags, out_flags);
    if (rc != SQLITE_OK)
        return rc;
    f->syncs_folder = is_new_journal(flags);
    f->base.pMethods = &file_methods;
    return SQLITE_OK;
}

static int do_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    (void)vfs;
    if (!cut_disk_remove(path))
        return SQLITE_IOERR_DELETE;
    int rc = system_vfs->xDelete(system_vfs, path, 0);
    if (rc == SQLITE_OK && sync_folder != 0 && !sync_folder_of(path))
        return SQLITE_IOERR_DIR_FSYNC;
    return rc;
}

static int do_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
    (void)vfs;
    if (cut_disk_is_off() && cut_disk_holds(path))
        return SQLITE_IOERR_ACCESS;
    return system_vfs->xAccess(system_vfs, path, flags, out);
}

void cut_vfs_register(void)
{
    static sqlite3_vfs ours;

    if (system_vfs != NULL)
        return;
    assert_int_equal(sqlite3_initialize(), SQLITE_OK);
    system_vfs = sqlite3_vfs_find(NULL);
    assert_non_null(system_vfs);
    /* What is not replaced below (names, random, time) does not write, and uses no context. */
    ours = *system_vfs;
    ours.zName = "cut";
    ours.pNext = NULL;
    ours.szOsFile = (int)sizeof(struct cut_file) + system_vfs->szOsFile;
    ours.xOpen = do_open;
    ours.xDelete = do_delete;
    ours.xAccess = do_access;
    assert_int_equal(sqlite3_vfs_register(&ours, 1), SQLITE_OK);
}
