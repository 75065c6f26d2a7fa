/* The verbs of the signer, by file: what is shared between them and the table in signer.c. */
#ifndef HF_SIGNER_VERBS_H
#define HF_SIGNER_VERBS_H

#include "server/signer/limits.h"
#include "server/signer/signer.h"

#define HF_SIGNER_REQUEST "a request to the signer" /* in sentences */

/** Do what `request` asks; `fd` is a descriptor that came with it, or -1. `*answer` is written on
 *  HF_OK only: a new reference, NULL without memory. */
typedef enum hf_err hf_signer_verb(struct hf_signer *signer, const json_t *request, int fd,
                                   const struct hf_moment *now, json_t **answer,
                                   struct hf_why *why);

/* repository.c */
hf_signer_verb hf_verb_refresh, hf_verb_publish;
/* rollout.c:
 *
 *     {"verb": "step", "path": "s/p/3.pem", "from": 7, "stage": 1, "state": "open",
 *      "reason": "…", "approvals": […]}
 *     -> {"version": 8, "stage": 1, "state": "open", "since": "…"}
 *
 * Stages count from 0. "state" where another step was signed meanwhile, "policy", "signature" and
 * "limit" where the rules forbid it, and as hf_online_step. */
hf_signer_verb hf_verb_step;

/* certificates.c */
hf_signer_verb hf_verb_issue, hf_verb_renew, hf_verb_cas;

/* log.c */
hf_signer_verb hf_verb_seal;

/** The repository and the online keys, for one call. */
struct hf_publication_context hf_signer_publication(const struct hf_signer *signer, int64_t now_s);

/** Note what devices find now of the roles that this process signs, where that is not noted yet. */
HF_MUST_USE enum hf_err hf_signer_note_published(struct hf_signer *signer,
                                                 const struct hf_online_result *result,
                                                 int64_t now_s, struct hf_why *why);
/** Of one role rollout-SET. */
HF_MUST_USE enum hf_err hf_signer_note_rollout(struct hf_signer *signer,
                                               const struct hf_online_rollout *rollout,
                                               const char *subject, int64_t now_s,
                                               struct hf_why *why);

/** Name and account of each device CA, with what is used of its quota by `now`, or without `now`
 *  (NULL) with its certificate: a new reference. */
HF_MUST_USE enum hf_err hf_signer_list_cas(struct hf_signer *signer, const struct hf_moment *now,
                                           json_t **out, struct hf_why *why);

#endif
