/*
 * Signatures on a draft: who has signed and who is still to sign; made here, or gathered from
 * copies that came back.
 *
 * A draft of root needs two quorums: of the keys of the root before, and of its own (TUF 5.3.4).
 * One of targets needs one, and under a root to come a second may sign too: the targets keys of the
 * root in force. This is for people: what is published is verified again the way a device does it.
 */
#ifndef HF_REPOSITORY_DRAFT_SIGNATURES_H
#define HF_REPOSITORY_DRAFT_SIGNATURES_H

#include "server/repository/drafts/draft.h"
#include "server/repository/keys/key_set.h"

#define HF_QUORUMS_MAX 2

struct hf_quorum_key {
    const char *key_id; /* borrowed from the draft, as is the name */
    const char *name;
    const struct hf_key *public; /* NULL: the root that lists it lacks it */
    bool is_of[HF_QUORUMS_MAX];
    bool has_signed;
    bool must_sign, may_sign; /* it has not, and a quorum that is needed, or optional, lacks it */
};

struct hf_quorum {
    int64_t root_version;
    size_t n_keys;
    int64_t threshold;
    int64_t n_signed;
    bool is_optional; /* with it, no device sees metadata that it must refuse */
};

struct hf_signature_status {
    struct hf_quorum_key *keys; /* owned */
    size_t n_keys;
    struct hf_quorum quorums[HF_QUORUMS_MAX];
    size_t n_quorums;
};

/**
 * HF_E_SIGNATURE for a signature that does not verify, or of a key that is of no quorum: something
 * else was signed, or with a key that is not authorised. Borrows from `draft`.
 */
HF_MUST_USE enum hf_err hf_signature_status_make(const struct hf_draft *draft,
                                                 struct hf_signature_status *out,
                                                 struct hf_why *why);
void hf_signature_status_free(struct hf_signature_status *status);

bool hf_signature_status_is_complete(const struct hf_signature_status *status);

/** HF_E_SIGNATURE, with who is still to sign, unless it is complete. */
HF_MUST_USE enum hf_err hf_signature_status_require(const struct hf_signature_status *status,
                                                    struct hf_why *why);
/** The same of a draft; as hf_signature_status_make. */
HF_MUST_USE enum hf_err hf_draft_require_signed(const struct hf_draft *draft, struct hf_why *why);

/**
 * What a key may do for the draft. `id` is the id under which it should sign, borrowed from the
 * draft: NULL where it is not authorised, or where it has signed and counts once, which
 * `has_signed` tells apart. Its public part is compared, not its id, which other programs make in
 * other ways.
 */
struct hf_eligibility {
    const char *id;
    bool has_signed;
};
struct hf_eligibility hf_signature_status_eligibility(const struct hf_signature_status *status,
                                                      const json_t *public_key);

/** "2 of 3 keys of version 4 (2 must), 1 of 3 of version 5 (2 must)", of root; appended. */
HF_MUST_USE enum hf_err hf_signature_status_words(const struct hf_signature_status *status,
                                                  struct hf_buf *out, struct hf_why *why);

/** "root-2.key.json (1f…), …": keys that must still sign; appended. */
HF_MUST_USE enum hf_err hf_signature_status_missing(const struct hf_signature_status *status,
                                                    struct hf_buf *out, struct hf_why *why);

/* draft_sign.c */

/**
 * Has the holder keys that may sign and have not, and are all given keys such? HF_E_KEY with words
 * on what is there and who is still to sign. Asks for no passphrase.
 */
HF_MUST_USE enum hf_err hf_draft_find_keys(const struct hf_draft *draft, struct hf_key_set *holder,
                                           struct hf_why *why);

/** Sign with every such key; `n_signed` says how many. The draft is as it was when this fails. */
HF_MUST_USE enum hf_err hf_draft_sign(struct hf_draft *draft, struct hf_key_set *holder,
                                      size_t *n_signed, struct hf_why *why);

/** Add what `other`, a copy of the same draft, has. HF_E_STATE in words for another draft. */
HF_MUST_USE enum hf_err hf_draft_merge(struct hf_draft *draft, const struct hf_draft *other,
                                       struct hf_why *why);

/** Read and merge all these files, at least one; every signature has been verified. */
HF_MUST_USE enum hf_err hf_draft_read_all(const char *const *paths, struct hf_draft *out,
                                          struct hf_why *why);

#endif
