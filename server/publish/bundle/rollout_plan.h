/*
 * A rollout plan as people write it: a preset, or a JSON file (schema/rollout-plan.schema.json)
 * with shares as "0.1%", spans as "90m", "24h" or "3d", and dates as YYYY-MM-DD (midnight UTC) or
 * YYYY-MM-DDTHH:MM:SSZ:
 *
 *     {"stages": [{"groups": ["lab"], "bake": "24h"}, {"share": "0.1%", "bake": "24h"},
 *                 {"share": "100%"}],
 *      "mandatory_after": "30d", "pause": {"failed": "2%"}, "promote": {"confirmed": "50%"}}
 *
 * A file says what differs from the preset "normal": what it leaves out of `pause` and `promote` is
 * as there. The stages and the end are its own; a plan begins now, unless it says `not_before`.
 * What is signed is in common/rollout/plan.h.
 */
#ifndef HF_PUBLISH_ROLLOUT_PLAN_H
#define HF_PUBLISH_ROLLOUT_PLAN_H

#include "common/rollout/plan.h"

/** `name` is careful, normal, urgent, or a file. HF_E_FORMAT for a member or value that is none,
 *  HF_E_POLICY for a plan that cannot be kept, or whose `mandatory_from` has passed at `now_s`; the
 *  sentence names the file. */
HF_MUST_USE enum hf_err hf_rollout_plan_read(const char *name, int64_t now_s,
                                             struct hf_rollout_plan *out, struct hf_why *why);

/** The same of the text of a file. No I/O. */
HF_MUST_USE enum hf_err hf_rollout_plan_read_text(struct hf_bytes text, int64_t now_s,
                                                  struct hf_rollout_plan *out, struct hf_why *why);

/** What the presets hold, for help. */
#define HF_ROLLOUT_PRESETS                                                                         \
    "  careful  0.1% for 2 days, 1% for 2 days, 10% for 3 days, 50% for 3 days, 100%; paused by\n" \
    "           more than 1% failed or 2% silent; mandatory after 60 days\n"                       \
    "  normal   0.1% for 2 days, 5% for 2 days, 30% for 2 days, 100%; paused by more than 2%\n"    \
    "           failed or 3% silent; mandatory after 30 days\n"                                    \
    "  urgent   1% for 1 hour, 10% for 2 hours, 100%; paused by more than 5% failed or 10%\n"      \
    "           silent; mandatory after 3 days\n"

#endif
