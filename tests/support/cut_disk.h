/*
 * A disk whose power goes at an operation of the test's choice.
 *
 * Everything that changes the disk below one folder is counted and remembered here: by cut_calls.c
 * what our own code does, by cut_vfs.c what SQLite does. It happens to the real folder too, so that
 * the program sees what it wrote. When the power goes, what was not synced is on disk or not, as a
 * seed decides:
 *
 *     seed 0   nothing that was not synced is there
 *     seed 1   all of it is there, as after kill -9
 *     others   each operation for itself: there, lost, or a part of its sectors there; so a later
 *              one may be there and an earlier one not, and what a write made longer may be garbage
 *     CUT_IN_TURN
 *              as seed 0 where the power goes at a sync or not at all, elsewhere as seed 1 or
 *              another in turn. Since a disk that keeps only what was synced is the same from one
 *              sync to the next, cutting each operation once with this seed leaves out no disk of
 *              seed 0
 *
 * A sync keeps the bytes of a file, or the names of a folder: a new or renamed file is there after
 * the cut for certain when both were synced. From the cut on every operation fails.
 *
 * There is one such disk, since system calls have no context.
 */
#ifndef HF_TESTS_SUPPORT_CUT_DISK_H
#define HF_TESTS_SUPPORT_CUT_DISK_H

#include "tests/support/disk_image.h"

#define CUT_NEVER 0U
#define CUT_IN_TURN UINT64_MAX

/** Begin: what is in `folder` now is on disk. Power goes at operation `cut_at`, counted from 1. */
void cut_disk_begin(const char *folder, unsigned cut_at, uint64_t seed);
/** How many operations there were; with the one at which the power went. */
unsigned cut_disk_count(void);
bool cut_disk_is_off(void);
/** Power goes now, unless it is off, and comes back: the folder holds what the disk holds. Nothing
 *  in it may be open. Nothing is counted from now on. */
void cut_disk_reboot(void);
/** Is the real folder what the operations seen here make of it? Else something changed it that was
 *  not counted, and nothing would be proven. Fails the test. Before the reboot. */
void cut_disk_check_complete(void);

/* ---- for cut_calls.c and cut_vfs.c ----------------------------------------------------------- */

/* Each says whether the operation happens: false where there is no power (any more). For a path
 * outside the folder: true. Paths are absolute. */
bool cut_disk_create(const char *path, enum disk_kind kind, unsigned mode, const char *target);
bool cut_disk_write(const char *path, int64_t offset, const void *data, size_t len);
bool cut_disk_truncate(const char *path, int64_t len);
bool cut_disk_chmod(const char *path, unsigned mode);
bool cut_disk_rename(const char *from, const char *to);
bool cut_disk_remove(const char *path);
/** Of a file its bytes, of a folder the names in it. */
bool cut_disk_sync(const char *path);

/** Below the folder, while operations are counted. */
bool cut_disk_holds(const char *path);

#endif
