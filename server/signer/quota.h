/*
 * How often the signer signs for whom: what bounds a stolen token, claim certificate or holdfastd.
 *
 * A limit allows so many signatures within a time that begins with the first of them. Times are
 * counted by the signer's own time, which no change of the time of day moves:
 *
 *     while the machine runs    it goes on as CLOCK_BOOTTIME does
 *     over a restart of it      by the difference of the time of day, but at least by 0 and at most
 *                               by a day
 *
 * So a clock that is put ahead opens no limit early, except at a restart of the machine, and then
 * once; and one that was far ahead, or is put back, keeps none closed for longer than a day in
 * which the machine runs.
 */
#ifndef HF_SIGNER_QUOTA_H
#define HF_SIGNER_QUOTA_H

#include "server/signer/moment.h"
#include "server/signer/signer_state.h"

enum hf_quota_kind {
    HF_QUOTA_SIGNER,  /* new certificates of all its CAs, a day */
    HF_QUOTA_CA,      /* those of one CA, a day */
    HF_QUOTA_ISSUE,   /* those of one device, an hour */
    HF_QUOTA_RENEWAL, /* renewals of one device, an hour */
    HF_QUOTA_SEAL,    /* seals of the log, an hour */
    HF_QUOTA_OPENING, /* stages of one bundle that are opened or resumed, a day */
};

struct hf_quota {
    enum hf_quota_kind kind;
    /* Borrowed: the name of the CA, "account/device", the path of the bundle; "" for the signer. */
    const char *of;
    int64_t most;
};

/** Note that time has passed, when the signer starts: what passes from then on counts after the
 *  next restart, too. */
HF_MUST_USE enum hf_err hf_quota_keep_time(struct hf_signer_state *state,
                                           const struct hf_moment *now, struct hf_why *why);

/**
 * Count one signature in each of `quotas`, and leave the transaction open, which hf_quota_commit
 * ends together with the note of the signature. HF_E_LIMIT, with the first that is used up and when
 * it opens again; then nothing is counted but the time that has passed, and no transaction is open.
 */
HF_MUST_USE enum hf_err hf_quota_take(struct hf_signer_state *state, const struct hf_quota *quotas,
                                      size_t n, const struct hf_moment *now, struct hf_why *why);
/** If `err` is HF_OK note the signature (NULL: it is noted) and commit; otherwise what was counted
 *  does not count, and `err` is returned. */
HF_MUST_USE enum hf_err hf_quota_commit(struct hf_signer_state *state, enum hf_err err,
                                        const struct hf_signature_note *note, struct hf_why *why);

struct hf_quota_use {
    int64_t used;
    int64_t opens_s; /* when it begins again, in the time of day; HF_TIME_NONE: nothing is used */
};
/** What is used of the quota of that kind. */
HF_MUST_USE enum hf_err hf_quota_look(struct hf_signer_state *state, enum hf_quota_kind kind,
                                      const char *of, const struct hf_moment *now,
                                      struct hf_quota_use *out, struct hf_why *why);

#endif
