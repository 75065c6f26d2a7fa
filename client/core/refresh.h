/* Signed metadata and targets, from the store and from the mirrors: mirrors.c, refresh.c, and the
 * content in obtain.c. */
#ifndef HF_CLIENT_CORE_REFRESH_H
#define HF_CLIENT_CORE_REFRESH_H

#include "client/core/client_internal.h"

/* ---- mirrors.c: one fetch over the configured mirrors ---------------------------------------- */

/* What it means that a mirror has no such file: 403, 404 or 410. */
enum hf_missing {
    HF_MISSING_IS_A_FAULT, /* it should have; the next one is asked */
    HF_MISSING_IS_FINE,    /* it may; the next one is asked all the same */
    HF_MISSING_ENDS,       /* there is none anywhere: HF_E_NOT_FOUND at once */
};

struct hf_fetch {
    const char *path; /* below the mirror's URL: "metadata/timestamp.json" */
    const char *etag; /* NULL for none; with one, `accept` sees 304 answers too */
    size_t max_bytes;
    enum hf_missing missing;

    /** NULL, or: is what `accept` took older than it should be? Then the other mirrors are asked
     *  for a newer one, until one has it. HF_OK also when none does. */
    bool (*is_stale)(const struct hf_client *c);

    /** Verify a 200 (or 304) answer; it may take the body. What a mirror is to blame for sends the
     *  fetch to the next one, any other error ends it. */
    enum hf_err (*accept)(struct hf_client *c, void *arg, struct hf_response *answer,
                          struct hf_why *why);
    void *arg;
};

/**
 * Ask one mirror after the other until one gives what `accept` takes. Otherwise the most telling
 * refusal, with the address in front.
 */
HF_MUST_USE enum hf_err hf_mirrors_fetch(struct hf_client *c, const struct hf_fetch *fetch,
                                         struct hf_why *why);

/** From what is stored: which mirror comes first, and which faults the journal has already. */
void hf_mirrors_init(struct hf_client *c);
/** A new check: begin with another mirror than the one before, and with the whole time. */
void hf_mirrors_begin_check(struct hf_client *c);
/** At the end of a check, in its transaction: which mirror answers well again, and what is known
 *  now. */
HF_MUST_USE enum hf_err hf_mirrors_end_check(struct hf_client *c, struct hf_why *why);

/** An answer may be too large for this device. HF_E_MEMORY from reading one becomes HF_E_LIMIT, so
 *  that the next mirror is asked; other errors stay. */
HF_MUST_USE enum hf_err hf_mirror_blame_answer(enum hf_err err, struct hf_why *why);

/** Was this a mirror's doing? Otherwise the fault is the device's own: disk, memory, a mistake. */
bool hf_mirror_is_to_blame(enum hf_err err);

/* ---- refresh.c ------------------------------------------------------------------------------- */

/** 5.6 for one role, "targets" (delegator NULL) or a delegated one: the cached file if it is the
 *  one announced, else a fetched one. HF_E_NOT_FOUND if the snapshot or all mirrors lack it. */
HF_MUST_USE enum hf_err hf_targets_obtain(struct hf_client *c, const char *role,
                                          const struct hf_trusted_targets *delegator,
                                          struct hf_why *why);

/** The whole of TUF 5.1 to 5.6 for the top-level roles. `c->trusted` holds the result; what was
 *  verified is saved, also if a later role fails. */
HF_MUST_USE enum hf_err hf_refresh(struct hf_client *c, struct hf_why *why);

/*
 * Receipts (common/tuf/receipts.h) in the store: a check that finds nothing new verifies no
 * signature again. They begin with the version of this program, because another one may verify
 * signatures better: what the earlier one accepted is verified again.
 */
#define HF_RECEIPTS_VALUE "metadata.verified"
/** What `text`, the value, says; nothing if another version of this program wrote it. */
void hf_receipts_of_value(const char *text, struct hf_receipts *out);
/** These replace the stored ones in the next transaction. */
void hf_receipts_keep(struct hf_client *c, const struct hf_receipts *receipts);

/* ---- obtain.c: the content of a target ------------------------------------------------------- */

/**
 * Its content, with the length and the hashes signed (5.7). HF_E_POLICY for a path that could lead
 * out of a folder, HF_E_LIMIT for more than `max_bytes`, HF_E_HASH, … `out` is empty before and
 * owned by the caller after; nothing is stored.
 */
HF_MUST_USE enum hf_err hf_fetch_target(struct hf_client *c, const struct hf_target *target,
                                        size_t max_bytes, struct hf_buf *out, struct hf_why *why);

#endif
