/* Every statement of the store, so that a test can hold each of them against another database. */
#ifndef HF_FLEET_STATEMENTS_H
#define HF_FLEET_STATEMENTS_H

#include "server/db/db.h"

/** One array a table family, each ended by one without a name; the list is ended by NULL. */
extern const struct hf_sql *const hf_fleet_statements[];

#endif
