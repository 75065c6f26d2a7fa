/* What the device refuses for good, as it lies in the database: `bundle.floor`, `bundle.rejected` and
 * the revoked keys. */
#ifndef HF_CLIENT_PORT_POSIX_DB_FLOORS_H
#define HF_CLIENT_PORT_POSIX_DB_FLOORS_H

#include <holdfast/error.h>

#include <sqlite3.h>

/** Are they numbers still (client/core/floors.c), and is the list of revoked keys what its SHA-256 says?
 *  A floor that rotted would keep every update back, a list would bring back what was revoked.
 *  HF_E_FORMAT when not. */
HF_MUST_USE enum hf_err hf_db_check_floors(sqlite3 *db, struct hf_why *why);

#endif
