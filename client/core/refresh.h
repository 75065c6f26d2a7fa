/* Signed metadata and targets, from the store and from the mirrors: mirrors.c, refresh.c, and the content in obtain.c. */
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

    /** NULL, or: is what `accept` took older than it should be? Then the other mirrors are asked for
     *  a newer one, until one has it. HF_OK also when none does. */
    bool (*is_stale)(const struct hf_client *c);

    /** Verify a 200 (or 304) answer. What a mirror is to blame for sends the fetch to the next one,
     *  any other error ends it. */
    enum hf_err (*accept)(struct hf_client *c, void *arg, const struct hf_response *answer,
                          struct hf_why *why);
    void *arg;
};

/**
 * Ask one mirror after the other until one gives what `accept` takes. Otherwise the most telling
 * refusal, with the address in front.
 */
HF_MUST_USE enum hf_err hf_mirrors_fetch(struct hf_client *c, const struct hf_fetch *fetch,
                                         struct hf_why *why);

/** A new check: begin with another mirror than the one before, and with the whole time. */
void hf_mirrors_begin_check(struct hf_client *c);

/** What a mirror sends may be too large for this device. HF_E_MEMORY from reading an answer becomes
 *  HF_E_LIMIT, so that the next mirror is asked; other errors stay. */
HF_MUST_USE enum hf_err hf_mirror_blame_answer(enum hf_err err, struct hf_why *why);

/** Was this a mirror's doing? Otherwise the fault is the device's own: disk, memory, a mistake. */
bool hf_mirror_is_to_blame(enum hf_err err);

/* ---- mirrors.c: what the journal says of each of several mirrors ----------------------------- */

/** Which faults the journal has already. What cannot be read counts as none. */
void hf_mirror_faults_load(struct hf_client *c);
void hf_mirror_faults_begin_check(struct hf_client *c);

/** It did what `why` says. To the log, and to the journal unless that has this kind of fault of this
 *  mirror already. */
void hf_mirror_faults_note(struct hf_client *c, size_t mirror, const struct hf_why *why);

/** At the end of a check, in its transaction: who answers well again, and what is known now. Writes
 *  nothing where nothing changed. */
HF_MUST_USE enum hf_err hf_mirror_faults_write(struct hf_client *c, struct hf_why *why);

/* ---- refresh.c: one metadata file below root, from the store or from a mirror ---------------- */

struct hf_role_file {
    const char *role; /* names it in the store and, percent-encoded, in the repository */
    const struct hf_file_info *announced;       /* by its parent; NULL for timestamp */
    size_t max_bytes;                           /* where it is not announced with fewer */
    const struct hf_trusted_targets *delegator; /* of targets: in whose name; NULL for root's */

    /** Hand it to the trusted set. */
    enum hf_err (*offer)(struct hf_client *c, const struct hf_role_file *file,
                         struct hf_bytes bytes, enum hf_origin origin, struct hf_why *why);
};

/** Offer the cached one, through the same door as a fetched one. `*out` says what became of it,
 *  HF_E_NOT_FOUND where there is none; what is returned is about the store. */
HF_MUST_USE enum hf_err hf_role_file_offer_cached(struct hf_client *c,
                                                  const struct hf_role_file *file, enum hf_err *out,
                                                  struct hf_why *why);

/** The cached one where it is the one announced, else fetch it and keep it (TUF 5.5, 5.6). */
HF_MUST_USE enum hf_err hf_role_file_obtain(struct hf_client *c, struct hf_role_file *file,
                                            struct hf_why *why);

/** 5.6 for one role, "targets" (delegator NULL) or a delegated one: in the trusted set after this.
 *  HF_E_NOT_FOUND where snapshot or all mirrors lack it. */
HF_MUST_USE enum hf_err hf_targets_obtain(struct hf_client *c, const char *role,
                                          const struct hf_trusted_targets *delegator,
                                          struct hf_why *why);

/* ---- refresh.c: which metadata files need not be verified again ------------------------------ */

#define HF_VERIFIED_NAME "metadata.verified"

/** What `text`, the value, says; nothing where another version of this program wrote it. */
void hf_verified_parse(const char *text, struct hf_receipts *out);
/** The receipts kept by this very version of the program. What cannot be read counts as none. */
void hf_verified_load(struct hf_client *c, struct hf_receipts *out);
/** Keep those of `c->trusted`, after a refresh that succeeded; else nothing is written, as where
 *  nothing changed. */
HF_MUST_USE enum hf_err hf_verified_write(struct hf_client *c, struct hf_why *why);

/* ---- refresh.c: the whole -------------------------------------------------------------------- */

/* Who may say that there is no newer root. */
enum hf_walk_end {
    HF_WALK_TAKES_ONE_WORD, /* the first mirror that answers */
    HF_WALK_ASKS_ALL,
};

/** 5.3: every root metadata from the held one to the newest, each saved as soon as it is verified.
 *  `c->trusted` is reset. */
HF_MUST_USE enum hf_err hf_root_walk(struct hf_client *c, enum hf_walk_end end, struct hf_why *why);

/** The whole of TUF 5.1 to 5.6 for the top-level roles. `c->trusted` holds the result. */
HF_MUST_USE enum hf_err hf_refresh(struct hf_client *c, struct hf_why *why);

/* ---- obtain.c: the content of a target ------------------------------------------------------- */

/**
 * Its content, with the length and the hashes signed (5.7). HF_E_POLICY for a path that could lead
 * out of a folder, HF_E_LIMIT for more than `max_bytes`, HF_E_HASH, … `out` is empty before and
 * owned by the caller after; nothing is stored.
 */
HF_MUST_USE enum hf_err hf_fetch_target(struct hf_client *c, const struct hf_target *target,
                                        size_t max_bytes, struct hf_buf *out, struct hf_why *why);

#endif
