/*
 * The roles rollout-SET as part of a publication (publication.h): whatever signs a new snapshot or
 * timestamp signs those again that would expire before it, carries over the others, and brings each
 * in line with the targets that the snapshot will name:
 *
 *   - what targets no longer list, or list with other bytes, is left out;
 *   - a version that still rolls out while a higher one is listed is signed as aborted.
 *
 * Their keys are in KEYS/online. A role whose key is not there stays as it is: it may expire, and
 * then devices wait for `mandatory_from`. That never holds up a timestamp.
 */
#ifndef HF_REPOSITORY_ROLLOUT_PUBLISH_H
#define HF_REPOSITORY_ROLLOUT_PUBLISH_H

#include "server/repository/publication.h"

/** The new stage of one bundle. Borrowed. */
struct hf_rollout_change {
    const char *role;
    const struct hf_target *target; /* of the targets that are published */
    struct hf_rollout_activation activation;
};

/** Compose, sign and stage the roles that `targets` delegates to, where that is due and the key is
 *  at hand; `change` (NULL: none) is due. HF_E_NOT_FOUND in words where the key of a change, or of
 *  a role that has other keys now, is missing, HF_E_POLICY for a delegation of another form. */
HF_MUST_USE enum hf_err hf_rollouts_stage(struct hf_publication *p,
                                          const struct hf_targets *targets,
                                          const struct hf_rollout_change *change,
                                          struct hf_why *why);

/** Name in `snapshot` (composed) the files that were staged. */
HF_MUST_USE enum hf_err hf_rollouts_list(const struct hf_publication *p, json_t *snapshot,
                                         struct hf_why *why);

/** The role as published, its date not asked; NULL: none. */
const struct hf_targets *hf_rollout_published(const struct hf_trusted_set *set, const char *role);

/** Do `targets` list a version of the same set and profile above this one? */
bool hf_rollout_is_superseded(const struct hf_targets *targets, const struct hf_description *d);

#endif
