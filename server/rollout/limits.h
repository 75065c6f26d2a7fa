/* The limits of rollouts that the service steers, each with its unit and its reason; those of a
 * plan are in common/rollout/limits.h. */
#ifndef HF_ROLLOUT_SERVICE_LIMITS_H
#define HF_ROLLOUT_SERVICE_LIMITS_H

/* How long a step counts as under way, in seconds: a little longer than an answer of the signer is
 * waited for (HF_SIGNER_CALL_TIMEOUT_MS). After that the repository says whether it was signed. */
#define HF_ROLLOUT_INTENT_S 75
#define HF_ROLLOUT_APPROVALS_MAX 32u /* of one step: a plan asks for a few */
/* Devices that an operator excludes one by one, of one rollout: with more of them the bundle is at
 * fault, or the group. */
#define HF_ROLLOUT_EXCLUDED_MAX 1000

/* The devices whose sentences are compared for the reason of a pause, and bytes of one sentence and
 * of the names in it: the reason has HF_ROLLOUT_REASON_MAX in all. */
#define HF_ROLLOUT_CAUSE_DEVICES 200u
#define HF_ROLLOUT_CAUSE_TEXT 160u
#define HF_ROLLOUT_CAUSE_NAME 100u

/* Rollouts that are steered at the same time: first those that are not over. More than a repository
 * has sets with rollouts (HF_ROLLOUT_ROLES_MAX) and profiles. */
#define HF_ROLLOUT_FOLLOWED_MAX 256u
#define HF_ROLLOUT_SCAN_EVERY_S 900 /* read all devices again, should a change have been missed */
#define HF_ROLLOUT_SCAN_ROWS 1000u  /* read at once: some milliseconds */
#define HF_ROLLOUT_SCAN_STEPS 10u   /* before anything else is looked at */
#define HF_ROLLOUT_CHANGES_AT_ONCE 1000u
#define HF_ROLLOUT_TELL_EVERY_S 5 /* events about numbers */
/* After a refusal of the signer, or while the database is away, in seconds: doubled each time. */
#define HF_ROLLOUT_RETRY_S 5
#define HF_ROLLOUT_RETRY_MAX_S 300
#define HF_ROLLOUT_LOOK_MAX_S 30 /* between two looks while the database is away */
/* Until the repository as it is served shows a step that was signed. It is read each second. */
#define HF_ROLLOUT_AWAIT_S 60

#endif
