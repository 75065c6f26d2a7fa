/*
 * Devices as a ledger and as people see them: rows of the store. A device is read by its number,
 * which never changes; what of it counts is decided by the ledger.
 */
#ifndef HF_ROLLOUT_DEVICE_ROWS_H
#define HF_ROLLOUT_DEVICE_ROWS_H

#include "server/fleet/device_state.h"
#include "server/fleet/report_row.h"
#include "server/rollout/ledger.h"

extern const struct hf_sql hf_rollout_device_sql[];

/** A struct hf_rollout_member each, whose texts live until `each` returns, of devices of all
 *  accounts: by number, after `after`, at most `limit`. Whether it is excluded, the caller
 *  knows. */
HF_MUST_USE enum hf_err hf_rollout_member_list(struct hf_db *db, int64_t after, size_t limit,
                                               hf_db_each *each, void *ctx, struct hf_why *why);
/** The same of one device. HF_E_NOT_FOUND: it was deleted. */
HF_MUST_USE enum hf_err hf_rollout_member_get(struct hf_db *db, int64_t device_id, hf_db_each *each,
                                              void *ctx, struct hf_why *why);

/* What a device said when it reported its result; "" where it did not, or where that report is not
 * kept any more. */
struct hf_rollout_said {
    int64_t device_id;
    char account[HF_ACCOUNT_NAME_MAX + 1];
    char device[HF_DEVICE_ID_MAX + 1];
    char kind[HF_REPORT_WORD_MAX + 1]; /* of its last report about an update */
    int64_t since_s;
    char text[HF_REPORT_TEXT_MAX + 1];
    char endpoint[HF_REPORT_ENDPOINT_MAX + 1];
    char root[HF_SHA256_HEX_LEN];
    char root_name[HF_REPORT_ROOT_NAME_MAX + 1];
};
/** HF_E_NOT_FOUND: it was deleted. */
HF_MUST_USE enum hf_err hf_rollout_said_get(struct hf_db *db, int64_t device_id,
                                            struct hf_rollout_said *out, struct hf_why *why);

#endif
