/*
 * Which devices count for a rollout, in which stage each of them is, and with which result: in
 * memory, for one bundle. Built by reading all devices once, then kept up to date by reading those
 * that have changed. Its counts are kept with each change, so a tally costs the same for ten
 * devices and ten million. No I/O, no lock: one thread.
 *
 * A device counts if all of this is true:
 *   - the operator registered it before the service first saw the bundle, or before `not_before` if
 *     that is later: later ones come in unknown numbers
 *   - it can prove who it is: an ACTIVE certificate, or a report key that is not revoked
 *   - it has reported, and the set and the profile that it uses are the bundle's; or it has never
 *     reported, and the plan names its group: then it is waited for, since the publisher meant it.
 *     Otherwise the first stage would pass although no device has tried the bundle. Others that
 *     have never reported are only numbered, as `unreported`
 *   - the operator has not excluded it
 * Its stage follows from its id and its group in the registry. A group that it reports itself
 * decides nothing: otherwise a device could choose the stage that it is counted in.
 *
 * It counts once, by its last result:
 *   about this version: announce, swapped             on trial since then
 *                       confirmed                     confirmed
 *                       rolled-back, refused, failed  failed
 *                       held                          waiting
 *                       current, recovered            as below
 *   otherwise, if `current` is its last report and names this version and this hash as the one in
 *     use: confirmed. It came with the firmware, or the report of its trial was lost; its last
 *     check was good.
 *   otherwise waiting. So `recovered` alone confirms nothing, and a failed check that names no
 *     version takes a confirmation back until the next good one.
 *
 * What a device says of this version before its stage can be open, by the signed calendar, is not
 * heard: it waits until it reports in its turn. Otherwise a few devices that lie would collect
 * failures, or announcements that nothing follows, which all count at once when their stage opens,
 * against the few that have begun by then. Heard are a confirmation, and a device whose version is
 * below the plan's `min_version`, which waits for no stage.
 *
 * A device on trial is silent `silent_after_s` after that report. An announcement that is repeated
 * does not begin again: a device that restarts for ever falls silent. One that has sent its daily
 * `current` since the swap has reached the service with the new bundle; it may be up for a few
 * minutes a day only, so that its trial takes days. It is silent when HF_ROLLOUT_DAILY_S have
 * passed without another one.
 */
#ifndef HF_ROLLOUT_LEDGER_H
#define HF_ROLLOUT_LEDGER_H

#include "common/rollout/rollout.h"
#include "server/rollout/tally.h"

/* Devices report daily, with jitter; so long without a report is one that is missing. */
#define HF_ROLLOUT_DAILY_S (INT64_C(2) * 86400)

/* The bundle that is rolled out. Borrowed; the ledger copies what it keeps. */
struct hf_rollout_subject {
    const struct hf_rollout_plan *plan;
    const char *set, *profile;
    int64_t version;
    const uint8_t *sha256; /* HF_SHA256_LEN bytes */
    int64_t seen_s;        /* when the service saw it first */
};

/* What the service knows of a device. Borrowed. Texts are "" where it has not said it. */
struct hf_rollout_member {
    int64_t device_id; /* its row: 1 or more */
    const char *name;  /* its id, from which its position follows */
    const char *group; /* of the registry; "": none */
    int64_t created_s;
    bool is_trusted;  /* it can prove who it is */
    bool is_excluded; /* by the operator */
    /* as device_state has it */
    const char *set, *profile;
    int64_t seen_s;   /* when it reported last */
    const char *kind; /* of its last report */
    int64_t active_version;
    const char *active_sha256; /* hexadecimal */
    const char *result;        /* of its last report but `current` */
    int64_t result_version;
    int64_t result_s; /* by the service's clock */
};

struct hf_rollout_ledger;

/** Without devices yet. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_rollout_ledger_new(const struct hf_rollout_subject *subject,
                                              struct hf_rollout_ledger **out, struct hf_why *why);
/** NULL is fine. */
void hf_rollout_ledger_free(struct hf_rollout_ledger *ledger);

/** What is known of a device now, in place of what was known. One that does not count is removed.
 *  HF_E_MEMORY, after which the ledger is stale. */
HF_MUST_USE enum hf_err hf_rollout_ledger_put(struct hf_rollout_ledger *ledger,
                                              const struct hf_rollout_member *member,
                                              struct hf_why *why);
/** The device was deleted. */
void hf_rollout_ledger_remove(struct hf_rollout_ledger *ledger, int64_t device_id);

/* All devices are read again: begin, put each of them, end. Those that were not put in between are
 * removed. The ledger stays as usable meanwhile as it was before. A scan that failed is begun
 * again. */
void hf_rollout_ledger_begin_scan(struct hf_rollout_ledger *ledger);
void hf_rollout_ledger_end_scan(struct hf_rollout_ledger *ledger);
/** Changes may have been missed: it is stale until a scan that begins after this has ended. */
void hf_rollout_ledger_mark_stale(struct hf_rollout_ledger *ledger);
enum hf_rollout_counted hf_rollout_ledger_counted(const struct hf_rollout_ledger *ledger);

/** The devices of stages 0 to `stage`. Silence is seen at most a 64th of `silent_after_s`, or a
 *  minute, late (ledger.c). A clock that goes back brings a device back on trial. */
struct hf_rollout_tally hf_rollout_ledger_tally(struct hf_rollout_ledger *ledger, size_t stage,
                                                int64_t now_s);

struct hf_rollout_entry {
    int64_t device_id;
    size_t stage;
    enum hf_rollout_result result;
};

/** The first `cap` devices with that result, in stages 0 to `stage`, whose ids are above `after`;
 *  by id. Returns how many. Walks the devices: for pages that people read. */
size_t hf_rollout_ledger_list(const struct hf_rollout_ledger *ledger, enum hf_rollout_result result,
                              size_t stage, int64_t after, int64_t now_s,
                              struct hf_rollout_entry *out, size_t cap);

/** Bytes that it has allocated. */
size_t hf_rollout_ledger_bytes(const struct hf_rollout_ledger *ledger);

/** "waiting", "on-trial", "confirmed", "failed", "silent". */
const char *hf_rollout_result_name(enum hf_rollout_result result);

#endif
