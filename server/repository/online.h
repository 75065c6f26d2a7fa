/*
 * What the online keys do without a person: sign a new timestamp in time, and publish what the
 * offline keys have signed. `holdfastctl refresh` and `publish` are one of these calls and a
 * report; a daemon makes the same calls with keys that it holds (hf_publication_context.keys).
 *
 * Each call takes the lock, verifies the repository from the trusted root beside the keys, compares
 * it with the rollback record and the clock, signs in memory, verifies the result as a device does,
 * and writes it, timestamp.json last. After any failure before that last rename, devices see what
 * they saw. KEYS/offline is not opened.
 */
#ifndef HF_REPOSITORY_ONLINE_H
#define HF_REPOSITORY_ONLINE_H

#include "server/repository/publication.h"
#include "server/repository/rollout_rules.h"

/* A role rollout-SET as devices find it. */
struct hf_online_rollout {
    char role[HF_ROLLOUT_ROLE_SIZE];
    int64_t version;
    int64_t expires_s;
    bool is_signed_now; /* by this call */
};

struct hf_online_result {
    int64_t signed_now[HF_TOP_ROLES]; /* versions that this call signed or published; 0: none */
    int64_t versions[HF_TOP_ROLES];   /* what devices find now */
    int64_t expires_s[HF_TOP_ROLES];  /* until when that is valid */
    struct hf_online_rollout rollouts[HF_ROLLOUT_ROLES_MAX];
    size_t n_rollouts;
    int64_t waiting;           /* version of signed targets that wait to be published; 0: none */
    struct hf_why waiting_why; /* why targets that wait must not be published; else empty */
};

/**
 * Sign a new timestamp, and a new snapshot if the present one would expire before it. Publishes
 * nothing else. `at` says where, with which keys and at what time; at->location counts as
 * HF_KEYS_ONLINE. As hf_publication_open, hf_key_set_open and hf_repo_write.
 */
HF_MUST_USE enum hf_err hf_online_refresh(const struct hf_publication_context *at,
                                          struct hf_online_result *out, struct hf_why *why);

/**
 * Publish the newest targets that the offline keys have signed: verify them under the root of the
 * repository, sign a new snapshot and timestamp, and write. If none wait, sign a new timestamp only
 * if the present one expires soon; out->signed_now of targets is 0 then.
 *
 * `from_dir` is a copy of the repository in which they were signed; what the repository lacks is
 * taken from there, each file verified before. NULL: they wait in the repository itself.
 * HF_E_ROLLBACK for a copy without the repository's newest targets: what it adds would lose their
 * changes. As hf_repo_verify_pending besides, and as above.
 */
HF_MUST_USE enum hf_err hf_online_publish(const struct hf_publication_context *at,
                                          const char *from_dir, struct hf_online_result *out,
                                          struct hf_why *why);

/** What devices find now in an open publication, in which nothing is staged. */
void hf_online_read(const struct hf_publication *p, struct hf_online_result *out);

/** What is signed now about the rollout of one bundle, with its plan. */
struct hf_online_stage {
    struct hf_rollout_plan plan;
    uint8_t sha256[HF_SHA256_LEN];
    bool is_signed; /* `now` says something */
    struct hf_rollout_activation now;
    int64_t version; /* of rollout-SET; 0: none */
};

/**
 * Sign the stage of the bundle `path` ("SET/PROFILE/VERSION.pem") that `request` asks for, if the
 * rules allow it (rollout_rules.h), with a new snapshot and timestamp. `reason` is one line. `out`
 * says what is signed after it, and `result` (may be NULL) which files that took. HF_E_NOT_FOUND
 * for a bundle that is not listed, and where the key of the role is not in KEYS/online; HF_E_POLICY
 * for a bundle without a plan, or a set without the delegation; as hf_rollout_rules_check besides,
 * and as above.
 */
HF_MUST_USE enum hf_err hf_online_step(const struct hf_publication_context *at, const char *path,
                                       const struct hf_rollout_request *request, const char *reason,
                                       struct hf_online_stage *out, struct hf_online_result *result,
                                       struct hf_why *why);

/** The same reading from a verified set. HF_E_NOT_FOUND, HF_E_POLICY as above. */
HF_MUST_USE enum hf_err hf_online_read_stage(const struct hf_trusted_set *set, const char *path,
                                             struct hf_online_stage *out, struct hf_why *why);

#endif
