/* The limits of the served repository, each with its unit and its reason. */
#ifndef HF_SERVE_LIMITS_H
#define HF_SERVE_LIMITS_H

/* The repository, all of which is held in memory. Ten years of monthly bundles of 220 KiB in four
 * profiles are 105 MiB. */
#define HF_SERVE_REPOSITORY_BYTES_MAX (256u * 1024u * 1024u)
#define HF_SERVE_REPOSITORY_FILES_MAX 100000u
#define HF_SERVE_SKIPPED_BYTES_MAX (1024u * 1024u) /* of names that are links or no files */
#define HF_SERVE_REPOSITORY_DEPTH_MAX 16u          /* folders within folders */
#define HF_SERVE_POLL_MS 1000u                     /* between two polls of timestamp.json */
/* Between two loads of a folder whose timestamp has not changed: a file that is lost or altered
 * must not be noticed at the next restart only. */
#define HF_SERVE_LOAD_MS 30000u
#define HF_SERVE_RETRY_MS_MAX 30000u /* between two tries on a repository that is not whole */

#endif
