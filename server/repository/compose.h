/*
 * The signed part of each kind of metadata as a JSON value (TUF 1.0.34, 4.3 to 4.6), ready for the
 * signer. A successor is a copy of what came before with its changes, so that members this program
 * does not know (delegations, other target files) stay. No I/O, no clock.
 */
#ifndef HF_REPOSITORY_COMPOSE_H
#define HF_REPOSITORY_COMPOSE_H

#include "common/rollout/role.h"
#include "common/tuf/metadata.h"
#include "server/repository/keys/key_set.h"

#define HF_SPEC_VERSION "1.0.34"

/** What every signed part says of itself. */
struct hf_signing {
    int64_t version;
    int64_t expires_s;
    int64_t signed_at_s; /* into root and targets; HF_TIME_NONE for the others */
};

/** The keys of each role in a first root, and how many of them must sign. */
struct hf_root_plan {
    struct hf_signers keys[HF_TOP_ROLES];
    int64_t thresholds[HF_TOP_ROLES];
};

/** consistent_snapshot is true. `*out` is a new reference, as in all that follow. */
HF_MUST_USE enum hf_err hf_compose_root(const struct hf_root_plan *plan,
                                        const struct hf_signing *signing, json_t **out,
                                        struct hf_why *why);

/** The root after `before`, with its keys and thresholds. */
HF_MUST_USE enum hf_err hf_compose_next_root(const json_t *before, const struct hf_signing *signing,
                                             json_t **out, struct hf_why *why);

/** `before` NULL: the first one, without targets. */
HF_MUST_USE enum hf_err hf_compose_targets(const json_t *before, const struct hf_signing *signing,
                                           json_t **out, struct hf_why *why);

/** List `content` under `path` with its length, SHA-256 and `custom` (borrowed). */
HF_MUST_USE enum hf_err hf_compose_add_target(json_t *targets, const char *path,
                                              struct hf_bytes content, json_t *custom,
                                              struct hf_why *why);

/** No longer list `path`. */
void hf_compose_remove_target(json_t *targets, const char *path);

/** A snapshot that names this targets file; of version 0, the same as `before`. `before` NULL: the
 *  first one. */
HF_MUST_USE enum hf_err hf_compose_snapshot(const json_t *before, const struct hf_signing *signing,
                                            int64_t targets_version, struct hf_bytes targets_file,
                                            json_t **out, struct hf_why *why);

/** And this file of a delegated role, such as "rollout-amazon-iot". */
HF_MUST_USE enum hf_err hf_compose_add_to_snapshot(json_t *snapshot, const char *role,
                                                   int64_t version, struct hf_bytes file,
                                                   struct hf_why *why);

/** Delegate the stages of that set to rollout-SET with this one key, in the place of a delegation
 *  that is there (common/rollout/role.h). */
HF_MUST_USE enum hf_err hf_compose_delegate_rollout(json_t *targets, const char *set,
                                                    const json_t *public_key, struct hf_why *why);

/** The stage of `target` in the document of rollout-SET, which hf_compose_targets makes; in the
 *  place of one that is there. */
HF_MUST_USE enum hf_err hf_compose_set_stage(json_t *rollout, const struct hf_target *target,
                                             const struct hf_rollout_activation *activation,
                                             struct hf_why *why);

HF_MUST_USE enum hf_err hf_compose_timestamp(const struct hf_signing *signing,
                                             int64_t snapshot_version,
                                             struct hf_bytes snapshot_file, json_t **out,
                                             struct hf_why *why);

/*
 * How long a signature lasts, role by role. The periods are chosen at init and remembered beside
 * the keys that sign with them: offline/expiry.json for root and targets, online/expiry.json for
 * snapshot and timestamp. They are no secret; edit the file to change them. Why the defaults are
 * what they are stands in README.md.
 */

#define HF_EXPIRY_DAYS_MAX 36500 /* a hundred years: beyond is a typo */

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

/** Write FOLDER/expiry.json for the roles whose keys are there. */
HF_MUST_USE enum hf_err hf_expiry_create(const struct hf_key_folder *folder,
                                         enum hf_key_location location,
                                         const struct hf_expiry *expiry, struct hf_why *why);

/** Read the roles whose keys are there into `expiry`, which keeps what it had without the file. */
HF_MUST_USE enum hf_err hf_expiry_read(const struct hf_key_folder *folder,
                                       enum hf_key_location location, struct hf_expiry *expiry,
                                       struct hf_why *why);

/** When a signature made at `now_s` ends. */
int64_t hf_expiry_of(const struct hf_expiry *expiry, enum hf_top_role role, int64_t now_s);

#endif
