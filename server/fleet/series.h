/*
 * Counts of the fleet: how many devices use each version now, kept up by report.c, and the same
 * hour by hour with the reports of each kind. Only of devices that have proved who they are.
 */
#ifndef HF_FLEET_SERIES_H
#define HF_FLEET_SERIES_H

#include "server/fleet/tx.h"

extern const struct hf_sql hf_series_sql[];

#define HF_SERIES_HOUR_S 3600

/** One device more (`by` 1) or less (-1) uses that version. */
HF_MUST_USE enum hf_err hf_version_count_add(struct hf_tx *tx, int64_t account_id, const char *set,
                                             int64_t version, int64_t by, struct hf_why *why);
/** One report of `what` about that version came. */
HF_MUST_USE enum hf_err hf_series_add(struct hf_tx *tx, int64_t account_id, const char *set,
                                      int64_t version, const char *what, struct hf_why *why);
/** Write the counts of this hour, in place of those that it has; drop old hours. */
HF_MUST_USE enum hf_err hf_series_keep(struct hf_tx *tx, struct hf_why *why);

#endif
