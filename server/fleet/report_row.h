/* The rows of reports: the history of each device, and what came unverified. */
#ifndef HF_FLEET_REPORT_ROW_H
#define HF_FLEET_REPORT_ROW_H

#include "common/report/report.h"
#include "server/fleet/tx.h"

extern const struct hf_sql hf_report_row_sql[];

struct hf_report_row {
    int64_t number; /* within the device or, unverified, within the account */
    int64_t received_s;
    /* As it came, but for what belongs to the request, and groups; device, installation and number
     * of unverified ones only. */
    struct hf_report report;
};

/** Add number `number` of the device, and forget what is older than its newest
 *  HF_FLEET_REPORTS_PER_DEVICE_MAX. */
HF_MUST_USE enum hf_err hf_report_row_add(struct hf_tx *tx, int64_t device_id, int64_t number,
                                          const struct hf_report *report, struct hf_why *why);
/** Add one of an account, and forget what is older than its newest `max`. *is_new is false, and
 *  nothing has changed, if it is there already. */
HF_MUST_USE enum hf_err hf_report_row_add_unverified(struct hf_tx *tx, int64_t account_id,
                                                     int64_t max, const struct hf_report *report,
                                                     bool *is_new, struct hf_why *why);
/** Forget those that came `keep_s` ago or before; at most HF_FLEET_PURGE_AT_ONCE of devices. */
HF_MUST_USE enum hf_err hf_report_row_purge(struct hf_tx *tx, int64_t keep_s, struct hf_why *why);
HF_MUST_USE enum hf_err hf_report_row_purge_unverified(struct hf_tx *tx, int64_t keep_s,
                                                       struct hf_why *why);

/** A struct hf_report_row each: the newest first, below `before` (0: from the newest one on). */
HF_MUST_USE enum hf_err hf_report_row_list(struct hf_db *db, int64_t device_id, int64_t before,
                                           size_t limit, hf_db_each *each, void *ctx,
                                           struct hf_why *why);
HF_MUST_USE enum hf_err hf_report_row_list_unverified(struct hf_db *db, int64_t account_id,
                                                      int64_t before, size_t limit,
                                                      hf_db_each *each, void *ctx,
                                                      struct hf_why *why);

#endif
