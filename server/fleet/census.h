/*
 * A census of an account: how many devices hold each version of each set and profile, of those that
 * may connect. Counted device by device in steps, so in no request; the last one of each day is
 * kept, and what changes from day to day is the pace at which the fleet adopts a version
 * (readiness.h).
 */
#ifndef HF_FLEET_CENSUS_H
#define HF_FLEET_CENSUS_H

#include "common/base/limits.h"
#include "server/fleet/tx.h"

extern const struct hf_sql hf_census_sql[];

struct hf_census_version {
    char set[HF_SET_NAME_MAX + 1];
    char profile[HF_SET_NAME_MAX + 1];
    int64_t version; /* 0: the factory's */
    int64_t devices;
};

/* All zero: no device is counted yet. */
struct hf_census {
    int64_t counted_s;
    int64_t unknown;  /* devices whose version is unknown: most of them have never reported */
    int64_t shut_out; /* devices that do not count: no ACTIVE certificate and no report key */
    struct hf_census_version *versions; /* owned */
    size_t n_versions, room;
};
void hf_census_free(struct hf_census *census);

/** One device that may connect; `version` -1: unknown. A version that does not fit
 *  (HF_FLEET_CENSUS_MAX) is unknown too. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_census_add(struct hf_census *census, const char *set,
                                      const char *profile, int64_t version, struct hf_why *why);

/** Keep it as that of the day of counted_s, in place of the one before; forget days that are too
 *  old. */
HF_MUST_USE enum hf_err hf_census_put(struct hf_tx *tx, int64_t account_id,
                                      const struct hf_census *census, struct hf_why *why);

/* The newest days, the oldest first. */
struct hf_census_days {
    struct hf_census days[HF_FLEET_CENSUS_DAYS]; /* owned */
    size_t n;
};
HF_MUST_USE enum hf_err hf_census_read(struct hf_db *db, int64_t account_id, int64_t now_s,
                                       struct hf_census_days *out, struct hf_why *why);
void hf_census_days_free(struct hf_census_days *days);

#endif
