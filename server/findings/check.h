/*
 * What an audit looks for: one table row a check. A check reads the rows of one account in steps,
 * so it takes little memory and no time from others however many there are, and judges each row by
 * itself. Nothing is written here (auditor.h).
 */
#ifndef HF_FINDINGS_CHECK_H
#define HF_FINDINGS_CHECK_H

#include "common/base/limits.h"
#include "server/findings/crl.h"
#include "server/findings/finding.h"
#include "server/findings/weak_keys.h"
#include "server/fleet/census.h"
#include "server/fleet/published.h"

extern const struct hf_sql hf_check_sql[];

/* [audits] of the configuration: thresholds in seconds. All is borrowed. */
struct hf_check_settings {
    int64_t ca_expiring_s;
    int64_t certificate_expiring_s;
    int64_t certificate_age_s; /* 0: off */
    int64_t rotation_stuck_s;
    int64_t device_silent_s;
    int64_t device_silent_after_update_s;
    int64_t device_behind_s;
    int64_t anchor_ends_s; /* how long before its end an anchor without a forecast is a finding */
    int64_t clock_wrong_s;
    int64_t conflict_s;               /* how long after the last one */
    int64_t metadata_ending_s;        /* of roles that offline keys sign */
    int64_t online_metadata_ending_s; /* of timestamp and snapshot */
    const char *const *weak_keys;     /* files */
    size_t n_weak_keys;
    const char *const *crls; /* files */
    size_t n_crls;
};

/** A copy that borrows nothing, to be given to free(). NULL: no memory. */
struct hf_check_settings *hf_check_settings_copy(const struct hf_check_settings *settings);

/* Of the repository that is served: the roles that expire first, and when; 0: nothing is served. */
struct hf_metadata_ends {
    int64_t offline_s, first_s;
    char offline_role[HF_ROLE_NAME_MAX + 1]; /* of those that offline keys sign */
    char first_role[HF_ROLE_NAME_MAX + 1];   /* of all: the same, or an online one */
};

/* What the checks judge by, for one run. */
struct hf_check_ctx {
    const struct hf_check_settings *settings;
    int64_t now_s;
    struct hf_weak_keys weak_keys;
    struct hf_crls crls;
    struct hf_metadata_ends metadata;
    struct hf_published *published; /* NULL: nothing is served */
    int64_t *since_s;               /* of each published bundle: when the service saw it first */
    struct hf_census *census;       /* of the account, as far as its rows have been judged */
};

/* What one step found; the room for HF_CHECK_STEP_ROWS is the caller's. */
struct hf_check_step {
    struct hf_found *found;
    size_t n_found;
    int64_t after; /* of the next step */
    bool is_end;
};

/** Judge the row that `rows` is at. `out` is written, with a sentence, if there is something;
 *  `out->kind` is the check's. */
typedef enum hf_err hf_check_judge(const struct hf_check_ctx *ctx, const struct hf_rows *rows,
                                   struct hf_found *out, bool *is_found, struct hf_why *why);

/** After the rows of an account, when the census is kept: what they say together, into `step`. */
typedef enum hf_err hf_check_conclude(const struct hf_check_ctx *ctx, struct hf_db *db,
                                      int64_t account_id, struct hf_check_step *step,
                                      struct hf_why *why);

struct hf_check {
    const char *name;
    const char *kind; /* of its subjects */
    const char *what_to_do;
    /* Rows of :account after number :after, at most :limit, in the order of the number, which comes
     * first. NULL: the check is of the service itself, and judges once, without rows. */
    const struct hf_sql *rows;
    bool is_of_service; /* the rows are of no account: they are read once, as of account 0 */
    hf_check_judge *judge;
    hf_check_conclude *conclude; /* of a check that counts rows; NULL: none */
    /* Why it cannot run now; NULL: it can. May be NULL itself. */
    const char *(*why_not)(const struct hf_check_ctx *ctx);
    bool needs_keys; /* credential_key is brought up to date before (keys.h) */
    bool needs_crls; /* ctx->crls is read before */
};

extern const struct hf_check hf_checks[];
extern const size_t hf_n_checks;
/** NULL if there is none of that name. */
const struct hf_check *hf_check_find(const char *name);

/** The step after `step->after`. */
HF_MUST_USE enum hf_err hf_check_step(const struct hf_check *check, const struct hf_check_ctx *ctx,
                                      struct hf_db *db, int64_t account_id,
                                      struct hf_check_step *step, struct hf_why *why);

/* Judges, a file for each kind of subject. */
hf_check_judge hf_judge_ca_expiring, hf_judge_ca_key, hf_judge_ca_revoked;
hf_check_judge hf_judge_certificate_expiring, hf_judge_certificate_age, hf_judge_rotation_stuck;
hf_check_judge hf_judge_certificate_key, hf_judge_certificate_shared, hf_judge_certificate_revoked;
hf_check_judge hf_judge_device_silent, hf_judge_device_silent_after_update;
hf_check_judge hf_judge_device_update_failed;
hf_check_judge hf_judge_clock_wrong, hf_judge_conflicting_ids;
hf_check_judge hf_judge_device_behind, hf_judge_census;
hf_check_conclude hf_conclude_readiness;
hf_check_judge hf_judge_metadata_ending;
hf_check_judge hf_judge_rollout_paused, hf_judge_rollout_stalled;

/* The statements. */
enum {
    HF_CHECK_CAS,
    HF_CHECK_CERTIFICATES,
    HF_CHECK_KEYS,
    HF_CHECK_SHARED,
    HF_CHECK_REVOKED,
    HF_CHECK_DEVICES,
    HF_CHECK_RESULTS,
    HF_CHECK_ROLLOUTS,
};

#endif
