/*
 * A TUF repository whose files a script changes: in the signed part before it is signed, so that
 * what is wrong arrives with good signatures, or afterwards, so that it does not.
 *
 * A script is letters, so that seeds can be written by hand; each takes what it needs from what
 * follows. R is a digit: 0 root, 1 timestamp, 2 snapshot, 3 targets. N is a byte. What no letter
 * stands for is skipped.
 *
 *     bR…   edit the signed part of R: … is a script for fuzz_edit, up to a byte 0xFF
 *     aR…   edit the file of R after signing
 *     cR    no edits of R any more
 *     kRN   N of the keys of R sign
 *     xRR   the keys of the second sign for the first
 *     qR    the first key of R once more, under another id
 *     hRN   the threshold of R is N
 *     o     the keys of the root before this one do not sign any more
 *     vRN   the version of R: N of a table
 *     eRN   the expiry of R: N of a table
 *     sRN   signed_at of R: N of a table
 *     lN    lengths, hashes, consistent snapshots: three bits
 *     rR    root rotates the keys of R
 *     n     the next version of targets, snapshot and timestamp
 *     d     targets delegates to one more role
 */
#ifndef HF_TESTS_FUZZ_PUBLISHER_H
#define HF_TESTS_FUZZ_PUBLISHER_H

#include "tests/fuzz/edit.h"
#include "tests/support/tuf_repo.h"

#define FUZZ_NOW_S INT64_C(1900000000) /* 2030-03-17 */

struct fuzz_publisher {
    struct tuf_repo repo;
    struct hf_bytes before[HF_TOP_ROLES]; /* borrowed from the script */
    struct hf_bytes after[HF_TOP_ROLES];
};

/** `to` becomes a repository of its own with the same keys, targets and files. */
void fuzz_repo_copy(struct tuf_repo *to, const struct tuf_repo *from);

/** Version 1 of everything, nothing published: two of three root keys, two of two targets keys. The
 *  same keys each time. Its address must not change. */
void fuzz_publisher_init(struct fuzz_publisher *p);
void fuzz_publisher_free(struct fuzz_publisher *p);

enum hf_top_role fuzz_role(struct fuzz_input *in);

/** Do what `letter` says; false if it is none of the above. */
bool fuzz_publisher_do(struct fuzz_publisher *p, uint8_t letter, struct fuzz_input *in);

/** The file as the repository stands, appended to `out`. */
void fuzz_publisher_build(const struct fuzz_publisher *p, enum hf_top_role role,
                          struct hf_buf *out);

/** Take the next root version, signed by the keys of before as well, and publish it. */
void fuzz_publisher_rotate(struct fuzz_publisher *p, enum hf_top_role role);

#endif
