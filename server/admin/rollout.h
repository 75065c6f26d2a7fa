/*
 * Rollouts as the admin API shows them (schema/openapi.yaml, Rollout).
 */
#ifndef HF_ADMIN_ROLLOUT_H
#define HF_ADMIN_ROLLOUT_H

#include "server/admin/api.h"

#include <stdio.h>

/* Of commands that are about one rollout. */
#define HF_ADMIN_ROLLOUT "SET/PROFILE/VERSION"
#define HF_ADMIN_NEEDS_ROLLOUT "a rollout, SET/PROFILE/VERSION (rollout list)"

/** `call->method` on the rollout `name`, SET/PROFILE/VERSION, or on what `end` names behind it. */
HF_MUST_USE enum hf_err hf_admin_rollout_call(struct hf_admin_api *api, const char *name,
                                              const char *end, struct hf_admin_call *call,
                                              struct hf_why *why);
/** POST `body`, which is taken; NULL: HF_E_MEMORY. `*out` is a new reference. */
HF_MUST_USE enum hf_err hf_admin_rollout_post_take(struct hf_admin_api *api, const char *name,
                                                   const char *end, json_t *body, json_t **out,
                                                   struct hf_why *why);
/** GET the rollout `name`, SET/PROFILE/VERSION. `call->answer` is it, `call->etag` its version. */
HF_MUST_USE enum hf_err hf_admin_rollout_read(struct hf_admin_api *api, const char *name,
                                              struct hf_admin_call *call, struct hf_why *why);

/** Its state, why it does not go on, its stages and its devices beside the plan's conditions.
 *  HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_admin_rollout_print(const json_t *rollout, int64_t now_s, FILE *out,
                                               struct hf_why *why);
/** The same in a line. */
HF_MUST_USE enum hf_err hf_admin_rollout_print_line(const json_t *rollout, FILE *out,
                                                    struct hf_why *why);

/** --reason as it was typed, for the service to accept or refuse: it is signed. NULL without
 *  memory. */
json_t *hf_admin_reason(const char *typed);

#define HF_ADMIN_UNTIL_MAX 32u
/** "in 12 days", "in 3 hours", "now" for a time of the past. */
void hf_admin_until(const char *time, int64_t now_s, char out[HF_ADMIN_UNTIL_MAX]);

#endif
