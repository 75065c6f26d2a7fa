/*
 * The list of revoked keys as it lies in the database: 64 hexadecimal digits a line, and beside these
 * lines their SHA-256, since SQLite would not notice one that has rotted.
 */
#ifndef HF_CLIENT_PORT_POSIX_DB_REVOKED_H
#define HF_CLIENT_PORT_POSIX_DB_REVOKED_H

#include <holdfast/bytes.h>

#include "common/base/digest.h"
#include "common/base/limits.h"

#include <sqlite3.h>

#define HF_REVOKED_LINE_LEN                                                                        \
    HF_SHA256_HEX_LEN /* the digits, and a newline where their NUL would be */
#define HF_REVOKED_LINES_MAX (HF_REVOKED_MAX * HF_REVOKED_LINE_LEN) /* bytes of the longest list */

/** The keys of `lines`, whose SHA-256 is `sha256` (NULL: not known), appended to `out` as 32 bytes each.
 *  `where` names them in the sentence. HF_E_STORAGE where they are damaged. */
HF_MUST_USE enum hf_err hf_revoked_parse(struct hf_bytes lines, const char *sha256,
                                         const char *where, struct hf_buf *out, struct hf_why *why);

/** The lines, and the keys in them. HF_E_NOT_FOUND where no list was ever saved, HF_E_STORAGE where it is
 *  damaged. Either may be NULL. */
HF_MUST_USE enum hf_err hf_db_revoked_load(sqlite3 *db, struct hf_buf *lines, struct hf_buf *keys,
                                           struct hf_why *why);

/** `keys`: at most HF_REVOKED_MAX of 32 bytes each. */
HF_MUST_USE enum hf_err hf_db_revoked_save(sqlite3 *db, struct hf_bytes keys, struct hf_why *why);

/** HF_E_FORMAT where the list is damaged. HF_OK where there is none, and before schema 5. */
HF_MUST_USE enum hf_err hf_db_revoked_check(sqlite3 *db, struct hf_why *why);

#endif
