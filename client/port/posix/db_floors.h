/* What the device refuses for good, as it lies in the database: `bundle.floor` and `bundle.rejected`. */
#ifndef HF_CLIENT_PORT_POSIX_DB_FLOORS_H
#define HF_CLIENT_PORT_POSIX_DB_FLOORS_H

#include <holdfast/error.h>

#include <sqlite3.h>

/** Are they numbers still (client/core/floors.c)? One that rotted would keep every update back.
 *  HF_E_FORMAT when not. */
HF_MUST_USE enum hf_err hf_db_check_floors(sqlite3 *db, struct hf_why *why);

#endif
