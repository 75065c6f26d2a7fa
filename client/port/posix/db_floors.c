#include "client/port/posix/db_floors.h"

#include "client/port/posix/db.h"
#include "client/port/posix/db_revoked.h"

enum hf_err hf_db_check_floors(sqlite3 *db, struct hf_why *why)
{
    int64_t n = 0;

    HF_TRY(hf_db_query_int64(
        db,
        "SELECT count(*) FROM value WHERE"
        " ((name = 'bundle.floor' OR name GLOB 'bundle.floor.*') AND (value GLOB '*[^0-9]*' OR "
        "length(value) > 19)) OR"
        " ((name = 'bundle.rejected' OR name GLOB 'bundle.rejected.*') AND"
        "  (value GLOB '*[^0-9 ]*' OR value GLOB ' *' OR value GLOB '* ' OR value GLOB '*  *'))",
        "read the floors", &n, why));
    if (n > 0)
        return hf_fail(why, HF_E_FORMAT,
                       "%s is damaged: the versions that it refuses are no numbers",
                       sqlite3_db_filename(db, "main"));
    return hf_db_revoked_check(db, why);
}
