/* Is nothing in a database of the service lost or damaged? */
#ifndef HF_TESTS_SUPPORT_WHOLE_DB_H
#define HF_TESTS_SUPPORT_WHOLE_DB_H

#include "server/db/db.h"

/** Its pages and indexes are sound, and each row that another one names is there. */
void check_db_is_whole(struct hf_db *db);

#endif
