/*
 * What a device has last said of itself: one row for each device, made and deleted with it. Written
 * by report.c; a hint for operators, which decides nothing.
 */
#ifndef HF_FLEET_DEVICE_STATE_H
#define HF_FLEET_DEVICE_STATE_H

#include "common/report/report.h"
#include "server/fleet/device.h"

extern const struct hf_sql hf_device_state_sql[];

#define HF_INSTALLATION_LEN 16
#define HF_REPORTS_RECENT 64 /* numbers of which it is known whether they were taken */
#define HF_FLEET_GROUPS_TEXT_MAX (HF_DEVICE_GROUPS_MAX * (HF_SET_NAME_MAX + 1))

/* Texts are "" and times 0 where the device has not said it; versions are -1. */
struct hf_device_state {
    int64_t device_id;
    int64_t account_id;

    bool has_installation; /* it has reported */
    uint8_t installation[HF_INSTALLATION_LEN];
    int64_t sequence;                     /* the highest of it */
    uint64_t seen;                        /* bit n: number `sequence` - n was taken */
    uint8_t recent[HF_REPORTS_RECENT][2]; /* of a hash of number n, at n modulo their number */
    uint64_t nonce;                       /* 0: none */
    int64_t credential_id, report_key_id;
    bool has_other; /* the installation before, or one that was refused */
    uint8_t other_installation[HF_INSTALLATION_LEN];
    int64_t other_sequence;
    int64_t conflicts;
    int64_t conflict_s;

    int64_t seen_s;
    char kind[HF_REPORT_WORD_MAX + 1];
    char set[HF_SET_NAME_MAX + 1];
    char profile[HF_SET_NAME_MAX + 1];
    int64_t active_version;
    char active_sha256[HF_SHA256_HEX_LEN];
    char result[HF_REPORT_WORD_MAX + 1];
    int64_t result_s;
    int64_t result_version;
    char outcome[HF_REPORT_WORD_MAX + 1];
    char reason[HF_REPORT_TEXT_MAX + 1];
    int64_t next_expiry_s;
    int64_t clock_offset_s;
    char agent[HF_REPORT_WORD_MAX + 1];
    char groups[HF_FLEET_GROUPS_TEXT_MAX];

    int64_t reports;
    uint64_t said;
};

/** For a device that was just made, and before it is deleted; with what it reported. */
HF_MUST_USE enum hf_err hf_device_state_insert(struct hf_tx *tx, int64_t account_id,
                                               int64_t device_id, struct hf_why *why);
HF_MUST_USE enum hf_err hf_device_state_delete(struct hf_tx *tx, int64_t device_id,
                                               struct hf_why *why);

/** The device of an ACTIVE certificate, or of a key for reports that is not revoked, and its name.
 *  HF_E_POLICY: there is none. */
HF_MUST_USE enum hf_err hf_device_state_of_credential(struct hf_db *db, int64_t account_id,
                                                      int64_t credential_id,
                                                      struct hf_device_state *out,
                                                      char name[HF_DEVICE_ID_MAX + 1],
                                                      struct hf_why *why);
HF_MUST_USE enum hf_err hf_device_state_of_key(struct hf_db *db, int64_t account_id, int64_t key_id,
                                               struct hf_device_state *out,
                                               char name[HF_DEVICE_ID_MAX + 1], struct hf_why *why);

/** Write `state` in place of `before`, which is what was read. */
HF_MUST_USE enum hf_err hf_device_state_put(struct hf_tx *tx, const struct hf_device_state *state,
                                            const struct hf_device_state *before,
                                            struct hf_why *why);

/* For statements that read it with other columns. */
#define HF_DEVICE_STATE_COLUMNS                                                                    \
    "s.device_id, s.account_id, s.installation, s.sequence, s.seen, s.nonce, s.credential_id, "    \
    "s.report_key_id, s.other_installation, s.other_sequence, s.conflicts, s.conflict_s, "         \
    "s.seen_s, s.kind, s.set_name, s.profile, s.active_version, s.active_sha256, s.result, "       \
    "s.result_s, s.result_version, s.outcome, s.reason, s.next_expiry_s, s.clock_offset_s, "       \
    "s.agent, s.group_names, s.reports, s.said, s.recent"
#define HF_DEVICE_STATE_TYPES "iiBiiiiiBiiiitttittiittiittiiB"
#define HF_DEVICE_STATE_N 30u
/** From the first HF_DEVICE_STATE_N columns. */
HF_MUST_USE enum hf_err hf_device_state_read(const struct hf_rows *rows,
                                             struct hf_device_state *out, struct hf_why *why);

#endif
