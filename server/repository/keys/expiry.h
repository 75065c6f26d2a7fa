/*
 * How long a signature lasts, role by role. The periods are chosen at init and remembered beside
 * the keys that sign with them: offline/expiry.json for root and targets, online/expiry.json for
 * snapshot and timestamp. They are no secret; edit the file to change them. Why the defaults are
 * what they are stands in README.md.
 */
#ifndef HF_REPOSITORY_EXPIRY_H
#define HF_REPOSITORY_EXPIRY_H

#include "server/repository/keys/key_set.h"

#define HF_EXPIRY_DAYS_MAX 36500 /* a hundred years: beyond is a slip of the finger */

#define HF_EXPIRY_ROOT_DAYS 540
#define HF_EXPIRY_TARGETS_DAYS 540
#define HF_EXPIRY_SNAPSHOT_DAYS 30
#define HF_EXPIRY_TIMESTAMP_DAYS 7

struct hf_expiry {
    int64_t days[HF_TOP_ROLES];
};

struct hf_expiry hf_expiry_default(void);

/** 1 to HF_EXPIRY_DAYS_MAX for every role, else HF_E_ARGUMENT. */
HF_MUST_USE enum hf_err hf_expiry_check(const struct hf_expiry *expiry, struct hf_why *why);

/** Write FOLDER/expiry.json for the roles of that half. */
HF_MUST_USE enum hf_err hf_expiry_create(const struct hf_key_folder *folder, enum hf_key_half half,
                                         const struct hf_expiry *expiry, struct hf_why *why);

/** Read the roles of that half into `expiry`, which keeps what it had without the file. */
HF_MUST_USE enum hf_err hf_expiry_read(const struct hf_key_folder *folder, enum hf_key_half half,
                                       struct hf_expiry *expiry, struct hf_why *why);

/** When a signature made at `now_s` ends. */
int64_t hf_expiry_of(const struct hf_expiry *expiry, enum hf_top_role role, int64_t now_s);

#endif
