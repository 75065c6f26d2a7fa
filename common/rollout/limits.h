/* The maxima of rollouts, each with its unit and its reason. */
#ifndef HF_COMMON_ROLLOUT_LIMITS_H
#define HF_COMMON_ROLLOUT_LIMITS_H

#define HF_ROLLOUT_STAGES_MAX 16   /* each ten times the one before reaches any fleet in seven */
#define HF_ROLLOUT_APPROVERS_MAX 8 /* keys of people who sign that a rollout may go on */
#define HF_ROLLOUT_REASON_MAX 500  /* bytes of why it was paused: a sentence, cut */
#define HF_ROLLOUT_ROLES_MAX 32 /* sets of one repository that have rollouts: as many keys online */
#define HF_ROLLOUT_PPM 1000000  /* all devices, in millionths */
#define HF_ROLLOUT_SILENT_MIN_S 60 /* between announcement and result: a device needs a moment */
#define HF_ROLLOUT_SPAN_MAX_S (INT64_C(3660) * 86400) /* of a bake time: ten years is a mistake */

#endif
