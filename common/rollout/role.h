/*
 * The role rollout-SET: targets metadata of an online key, which names the stage of each bundle of
 * a set that has a plan. The top-level role delegates exactly "SET/(profile)/(version).pem" to it,
 * not terminating, and lists the bundle itself; so the role can speak of genuine bundles only,
 * needs no target file of its own, and other TUF clients read it as they read any role. No I/O.
 */
#ifndef HF_COMMON_ROLLOUT_ROLE_H
#define HF_COMMON_ROLLOUT_ROLE_H

#include "common/rollout/rollout.h"
#include "common/tuf/metadata.h"

#define HF_ROLLOUT_ROLE_PREFIX "rollout-"
#define HF_ROLLOUT_ROLE_SIZE (sizeof HF_ROLLOUT_ROLE_PREFIX + HF_SET_NAME_MAX)

/** "rollout-SET" of a valid name of a set. */
void hf_rollout_role_name(const char *set, char out[HF_ROLLOUT_ROLE_SIZE]);

/** The SET of "rollout-SET", borrowed from `role`; NULL for every other role. */
const char *hf_rollout_role_set(const char *role);

/** The delegation to that role, or NULL. */
const struct hf_delegation *hf_rollout_delegation(const struct hf_targets *targets,
                                                  const char *role);

/** Of a role that hf_rollout_role_set knows. HF_E_POLICY for another form than the one above:
 *  devices would not ask for the role. */
HF_MUST_USE enum hf_err hf_rollout_delegation_check(const struct hf_delegation *delegation,
                                                    struct hf_why *why);

/** The stage that `role` names for that very file. HF_E_NOT_FOUND where it does not list it,
 *  HF_E_HASH where it speaks of another file, and as hf_rollout_activation_parse. */
HF_MUST_USE enum hf_err hf_rollout_find(const struct hf_targets *role,
                                        const struct hf_target *target,
                                        struct hf_rollout_activation *out, struct hf_why *why);

#endif
