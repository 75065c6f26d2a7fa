/*
 * Findings in the database: what the audits have found, until it is gone, and what operators have
 * muted. Errors: as server/fleet/tx.h has them.
 */
#ifndef HF_FINDINGS_FINDING_H
#define HF_FINDINGS_FINDING_H

#include "common/base/names.h"
#include "server/findings/limits.h"
#include "server/fleet/tx.h"

extern const struct hf_sql hf_finding_sql[];

/* What a check has found. */
struct hf_found {
    /* Of the subject: "ca", "certificate", "device", "anchor", "repository"; static. */
    const char *kind;
    char subject[HF_FINDING_SUBJECT_MAX];
    char device[HF_DEVICE_ID_MAX + 1]; /* "": of no device */
    char sentence[HF_FINDING_SENTENCE_MAX];
};

/* A run of a check. */
struct hf_check_run {
    const char *check; /* static, or as long as the run */
    int64_t run;       /* 1 for the first */
    int64_t started_s;
    int64_t ended_s;
    int64_t found; /* in all accounts, also those that are too many to be listed */
    char problem[HF_FINDING_SENTENCE_MAX]; /* why it did not run, or did not end; "": it did */
};

/* ---- audits ---------------------------------------------------------------------------------- */

/** `found` is there: seen again, or opened if it `may_open`. `account_id` 0: of the service
 *  itself. */
HF_MUST_USE enum hf_err hf_finding_note(struct hf_tx *tx, const struct hf_check_run *run,
                                        int64_t account_id, const struct hf_found *found,
                                        bool may_open, bool *was_opened, struct hf_why *why);
/** How many of a check are open in an account. */
HF_MUST_USE enum hf_err hf_finding_count_open(struct hf_db *db, const char *check,
                                              int64_t account_id, int64_t *out, struct hf_why *why);
/** Is it open already? */
HF_MUST_USE enum hf_err hf_finding_is_open(struct hf_db *db, const char *check, int64_t account_id,
                                           const char *subject, bool *out, struct hf_why *why);
/** The run has ended: keep it, and close what it has not seen, unless it `must_keep` that since it
 *  failed. */
HF_MUST_USE enum hf_err hf_check_run_end(struct hf_tx *tx, const struct hf_check_run *run,
                                         bool must_keep, struct hf_why *why);
/** The newest run of `check`; run 0 without one. */
HF_MUST_USE enum hf_err hf_check_run_get(struct hf_db *db, const char *check,
                                         struct hf_check_run *out, struct hf_why *why);
/** End the mutes that are due, and forget what was closed long ago. */
HF_MUST_USE enum hf_err hf_finding_tidy(struct hf_tx *tx, struct hf_why *why);

/* ---- operators ------------------------------------------------------------------------------- */

enum hf_finding_state { HF_FINDING_OPEN, HF_FINDING_MUTED, HF_FINDING_CLOSED };
/** "open", "muted", "closed". */
const char *hf_finding_state_name(enum hf_finding_state state);
HF_MUST_USE bool hf_finding_state_parse(const char *name, enum hf_finding_state *out);

/* A row; texts are borrowed for the call. */
struct hf_finding {
    int64_t id;
    int64_t account_id;
    const char *account; /* its name; NULL: of the service, or of an account that is gone */
    const char *check, *kind, *subject, *device, *sentence;
    int64_t opened_s, seen_s;
    int64_t closed_s; /* 0: it is open or muted */
    int64_t version;
    enum hf_finding_state state;
    const char *mute_reason, *muted_by; /* NULL: not muted */
    int64_t muted_until_s;
};

struct hf_finding_filter {
    int64_t account_id; /* -1: any */
    const char *check;  /* "": any */
    enum hf_finding_state state;
};

/** A struct hf_finding each, by number, after `after`. A mute counts until `now_s`. */
HF_MUST_USE enum hf_err hf_finding_list(struct hf_db *db, const struct hf_finding_filter *filter,
                                        int64_t now_s, int64_t after, size_t limit,
                                        hf_db_each *each, void *ctx, struct hf_why *why);
/** Give the finding to `each`. HF_E_NOT_FOUND. */
HF_MUST_USE enum hf_err hf_finding_get(struct hf_db *db, int64_t id, int64_t now_s,
                                       hf_db_each *each, void *ctx, struct hf_why *why);

struct hf_finding_count {
    const char *check; /* borrowed for the call */
    bool is_muted;
    int64_t n;
};
/** A struct hf_finding_count each: those that are not closed. */
HF_MUST_USE enum hf_err hf_finding_count(struct hf_db *db, int64_t now_s, hf_db_each *each,
                                         void *ctx, struct hf_why *why);

/** Say nothing of it until `until_s`, at most HF_MUTE_LIFE_MAX_S from now; again to change reason
 *  and end. HF_E_STATE for one that is closed. */
HF_MUST_USE enum hf_err hf_finding_mute(struct hf_tx *tx, int64_t id, const char *reason,
                                        int64_t until_s, struct hf_why *why);
/** HF_E_STATE for one that is not muted. */
HF_MUST_USE enum hf_err hf_finding_unmute(struct hf_tx *tx, int64_t id, int64_t if_version,
                                          struct hf_why *why);

/* ---- delivery -------------------------------------------------------------------------------- */

/** Give `each` the first struct hf_finding after number `after` that has changed since it was
 *  delivered, if there is one. One that was opened and closed before anyone heard of it is none. */
HF_MUST_USE enum hf_err hf_finding_give_due(struct hf_db *db, int64_t now_s, int64_t after,
                                            hf_db_each *each, void *ctx, struct hf_why *why);
/** It was delivered as it was in `version`. */
HF_MUST_USE enum hf_err hf_finding_note_delivered(struct hf_tx *tx, int64_t id, int64_t version,
                                                  struct hf_why *why);

#endif
