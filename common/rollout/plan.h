/*
 * How fast a bundle may reach a fleet. The plan is signed offline, with the bundle, as the member
 * "rollout" of its description; devices keep to it, whatever an online key says. No I/O.
 *
 *     {"not_before": "2026-12-01T09:00:00Z", "mandatory_from": "2027-02-01T00:00:00Z",
 *      "min_version": 2,
 *      "stages": [{"groups": ["lab"], "ppm": 0, "bake_s": 86400, "min_count": 3},
 *                 {"ppm": 1000, "bake_s": 86400}, {"ppm": 50000, "bake_s": 172800},
 *                 {"ppm": 1000000}],
 *      "pause": {"failed_ppm": 20000, "silent_ppm": 30000, "min_count": 50,
 *                "silent_after_s": 21600},
 *      "promote": {"confirmed_ppm": 500000, "min_count": 50},
 *      "approval": "auto", "approvals": 1, "approvers": []}
 *
 * Unknown members are ignored, known ones are strict, and a plan that cannot be kept is refused.
 */
#ifndef HF_COMMON_ROLLOUT_PLAN_H
#define HF_COMMON_ROLLOUT_PLAN_H

#include "common/base/names.h"
#include "common/rollout/limits.h"

#include <holdfast/bytes.h>
#include <jansson.h>

#define HF_ROLLOUT_APPROVER_LEN 32 /* bytes of a public key of Ed25519 */

/* Each stage holds the devices of the stages before it. */
struct hf_rollout_stage {
    char groups[HF_DEVICE_GROUPS_MAX][HF_SET_NAME_MAX + 1];
    size_t n_groups;
    int64_t ppm;       /* the devices whose position is below it */
    int64_t bake_s;    /* before the next one may open; 0 of the last */
    int64_t min_count; /* devices that must be judged before the next one; 0: as in `promote` */
};

/* Who lets the next stage open. */
enum hf_rollout_approval {
    HF_ROLLOUT_AUTO,   /* the results alone */
    HF_ROLLOUT_API,    /* and `approvals` different users of the service */
    HF_ROLLOUT_SIGNED, /* and `approvals` of the approvers' signatures */
};

struct hf_rollout_plan {
    int64_t not_before_s;     /* before it no device installs the bundle */
    int64_t mandatory_from_s; /* from then on every device does, whatever the stage is */
    int64_t min_version;      /* devices with a lower one do not wait; 0: none */
    struct hf_rollout_stage stages[HF_ROLLOUT_STAGES_MAX];
    size_t n_stages; /* at least 1; the last one holds all devices */
    struct {
        /* More than that pauses it: of those that began, of those judged. */
        int64_t failed_ppm, silent_ppm;
        int64_t min_count;      /* fewer devices count as so many */
        int64_t silent_after_s; /* after an announcement without a result */
    } pause;
    struct {
        int64_t confirmed_ppm; /* of the devices of the stage */
        int64_t min_count;
    } promote;
    enum hf_rollout_approval approval;
    int64_t approvals; /* 0 with HF_ROLLOUT_AUTO */
    uint8_t approvers[HF_ROLLOUT_APPROVERS_MAX][HF_ROLLOUT_APPROVER_LEN];
    size_t n_approvers;
};

/** `out` is written on HF_OK only. HF_E_FORMAT, HF_E_LIMIT, and HF_E_POLICY where stages shrink or
 *  add no device, the last one does not hold all devices or opens after `mandatory_from`, or
 *  approvals are asked of too few. */
HF_MUST_USE enum hf_err hf_rollout_plan_parse(const json_t *object, struct hf_rollout_plan *out,
                                              struct hf_why *why);

/** A new reference, or NULL when memory is short (common/json/json.h). */
json_t *hf_rollout_plan_to_json(const struct hf_rollout_plan *plan);

/** The earliest moment at which that stage may open: `not_before` and the bake times before it. */
int64_t hf_rollout_opens_s(const struct hf_rollout_plan *plan, size_t stage);

/** "auto", "api", "signed". */
const char *hf_rollout_approval_name(enum hf_rollout_approval approval);

#endif
