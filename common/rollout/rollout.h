/*
 * May this device install that bundle now? Decided by the device, from what was signed: the plan by
 * the offline keys of the bundle (plan.h), the stage by an online key. The same code decides in the
 * agent, in the service's engine and in the simulation. No I/O.
 *
 * The stage stands in the targets metadata of the delegated role rollout-SET, which lists the
 * bundle's path with the length and the hashes that the top-level role lists, and in its `custom`:
 *
 *     {"holdfast": {"activation": {"stage": 1, "state": "open",
 *                                  "since": "2026-12-02T09:03:11Z", "reason": ""}}}
 *
 * What a stolen online key can do: stop a rollout until `mandatory_from`, and let it go on as
 * fast as the plan's calendar allows. Not more.
 */
#ifndef HF_COMMON_ROLLOUT_ROLLOUT_H
#define HF_COMMON_ROLLOUT_ROLLOUT_H

#include "common/base/digest.h"
#include "common/base/names.h"
#include "common/rollout/plan.h"

enum hf_rollout_state {
    HF_ROLLOUT_OPEN,
    HF_ROLLOUT_PAUSED,
    HF_ROLLOUT_ABORTED,  /* permanently */
    HF_ROLLOUT_COMPLETE, /* as open; the last stage has been judged */
    HF_ROLLOUT_STATES
};

struct hf_rollout_activation {
    int64_t stage; /* of the plan, from 0; stages up to it are open */
    enum hf_rollout_state state;
    int64_t since_s;
    char reason[HF_ROLLOUT_REASON_MAX + 1]; /* one line, printable */
};

/** From the `custom` of a target of rollout-SET. HF_E_NOT_FOUND where it says nothing about a
 *  stage. */
HF_MUST_USE enum hf_err hf_rollout_activation_parse(const json_t *custom,
                                                    struct hf_rollout_activation *out,
                                                    struct hf_why *why);
/** That `custom`: a new reference, or NULL when memory is short. */
json_t *hf_rollout_activation_to_json(const struct hf_rollout_activation *activation);

/** "open", "paused", "aborted", "complete". */
const char *hf_rollout_state_name(enum hf_rollout_state state);
/** The state of that name; false for every other text. */
bool hf_rollout_state_parse(const char *name, enum hf_rollout_state *out);

/* ---- the decision ---------------------------------------------------------------------------- */

struct hf_rollout_device {
    const char *id; /* NULL: its turn comes with the last */
    const char (*groups)[HF_SET_NAME_MAX + 1];
    size_t n_groups;
    int64_t active; /* version in use, of the same set and profile; -1: none */
};

/** Where a device stands in the fleet for this bundle, 0 to HF_ROLLOUT_PPM - 1: the first 64 bits
 *  of SHA-256("holdfast rollout" || the bundle's SHA-256 || id), scaled. Another order for each
 *  bundle, so that no device is always the first. */
int64_t hf_rollout_position(const uint8_t sha256[HF_SHA256_LEN], const char *id);

/** The first stage that holds the device; the last one holds all. */
size_t hf_rollout_stage_of(const struct hf_rollout_plan *plan, const uint8_t sha256[HF_SHA256_LEN],
                           const struct hf_rollout_device *device);

enum hf_rollout_reason {
    HF_ROLLOUT_NO_DOCUMENT, /* no valid one for this bundle */
    HF_ROLLOUT_TOO_EARLY,   /* before `not_before` */
    HF_ROLLOUT_IS_PAUSED,
    HF_ROLLOUT_IS_ABORTED,
    HF_ROLLOUT_NOT_ITS_TURN, /* its stage is not open */
    HF_ROLLOUT_MAY_TAKE,
};

struct hf_rollout_decision {
    bool takes;
    enum hf_rollout_reason reason;
    size_t open;      /* stages 0 to this are open */
    size_t own;       /* the device's stage */
    int64_t turn_s;   /* where it does not take: the earliest that the plan allows, past or not */
    int64_t latest_s; /* and when it takes whatever happens */
};

/**
 * The first rule that applies decides:
 *   no plan                            take
 *   from `mandatory_from` on           take
 *   before `not_before`                hold
 *   no valid document for this bundle  hold
 *   paused, aborted                    hold
 *   in use is less than `min_version`  take
 *   its stage is open, by the document and by the calendar   take; else hold
 * `plan` and `activation` may be NULL.
 */
struct hf_rollout_decision hf_rollout_decide(const struct hf_rollout_plan *plan,
                                             const struct hf_rollout_activation *activation,
                                             const uint8_t sha256[HF_SHA256_LEN],
                                             const struct hf_rollout_device *device, int64_t now_s);

/** Why a device waits, for people, who count stages from 1: "stage 1 of 4 is open, this device is
 *  in stage 2; its turn may come from 2026-12-04T09:00:00Z on, and comes on …". Cut to `cap` bytes,
 *  the stage or the reason first. */
void hf_rollout_explain(const struct hf_rollout_decision *decision,
                        const struct hf_rollout_plan *plan,
                        const struct hf_rollout_activation *activation, int64_t now_s, char *out,
                        size_t cap);

#endif
