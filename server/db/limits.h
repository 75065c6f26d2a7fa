/* The limits of the database driver, each with its reason; those of what is stored are in
 * server/fleet/limits.h. */
#ifndef HF_DB_LIMITS_H
#define HF_DB_LIMITS_H

#define HF_DB_COLUMNS_MAX 40u /* of one row; a device with all it reports has 33 */
/* Statements that one connection keeps prepared: a power of two, at least twice as many as there
 * are. */
#define HF_DB_STATEMENTS_MAX 512u
#define HF_DB_DEPTH_MAX 4u /* transactions within one another: batch, job, and room */

/* A writer waits so long for another process, such as a shell that an operator opened on the
 * file. */
#define HF_DB_BUSY_MS 5000
#define HF_DB_LOCK_WAIT_MS 1000 /* for a process that is just ending */
/* Pages of 4 KiB after which the write-ahead log is folded into the database: 16 MiB. A batch of a
 * thousand changes writes about 2 MiB, and folding in after each would double what a disk must
 * write. */
#define HF_DB_LOG_PAGES 4096
/* Of the page cache: the inner pages of the indexes over a million credentials take about 8 MiB. */
#define HF_DB_CACHE_KIB 65536

#endif
