/* SQLite's files on the disk of cut_disk.h: a VFS over the system's own that counts every write,
 * sync, truncation, creation and removal, and fails them all once the power is gone. */
#ifndef HF_TESTS_SUPPORT_CUT_VFS_H
#define HF_TESTS_SUPPORT_CUT_VFS_H

/** Make it the one that databases are opened with from now on. */
void cut_vfs_register(void);

#endif
