/*
 * The fleet of an account in numbers. Which versions are in use is counted by the writer
 * (series.h); outcomes and silence are counted in an index of device_state that holds all that is
 * asked for; certificates are counted in the registry. So the answer reads no row of a device, and
 * takes a fraction of a second for a million of them.
 */
#ifndef HF_FLEET_SUMMARY_H
#define HF_FLEET_SUMMARY_H

#include "common/report/report.h"
#include "server/fleet/series.h"

extern const struct hf_sql hf_summary_sql[];

/* Devices by their last result. Kinds that this service does not know are HF_REPORT_OTHER together,
 * so the answer stays short whatever devices make up. */
struct hf_result_counts {
    int64_t none;
    int64_t of[HF_REPORT_KIND_COUNT];
};
HF_MUST_USE enum hf_err hf_summary_results(struct hf_db *db, int64_t account_id,
                                           struct hf_result_counts *out, struct hf_why *why);

struct hf_contact_count {
    int64_t never;  /* have never reported */
    int64_t silent; /* have, but not since */
};
HF_MUST_USE enum hf_err hf_summary_contact(struct hf_db *db, int64_t account_id, int64_t since_s,
                                           struct hf_contact_count *out, struct hf_why *why);

/** A number of devices under a version (series.h), or of reports. */
struct hf_version_count {
    int64_t hour_s; /* of the series */
    char set[HF_SET_NAME_MAX + 1];
    int64_t version;
    char what[HF_REPORT_WORD_MAX + 1]; /* of the series */
    int64_t n;
};
/** A struct hf_version_count each: how many devices use a version now. */
HF_MUST_USE enum hf_err hf_summary_versions(struct hf_db *db, int64_t account_id, hf_db_each *each,
                                            void *ctx, struct hf_why *why);

/** Of one set and version; 0 if no device uses it. */
HF_MUST_USE enum hf_err hf_summary_version(struct hf_db *db, int64_t account_id, const char *set,
                                           int64_t version, int64_t *out, struct hf_why *why);

/** The same hour by hour, from `from` (all four of hour, set, version and what; not itself) until
 *  before `until_s`; `set` and `what` NULL: all. */
struct hf_series_filter {
    const struct hf_version_count *from;
    int64_t until_s;
    const char *set, *what;
    size_t limit;
};
HF_MUST_USE enum hf_err hf_summary_series(struct hf_db *db, int64_t account_id,
                                          const struct hf_series_filter *filter, hf_db_each *each,
                                          void *ctx, struct hf_why *why);

#endif
