/*
 * Who has signed a draft, and who is still to sign. A draft of root has two sides: the keys of the
 * root before and its own (TUF 5.3.4); one of targets has one, and under a root to come a second
 * that may sign too: the targets keys of the root in force. This is for people: what is published is
 * verified again the way a device does it. No I/O but printing.
 */
#ifndef HF_PUBLISH_SIGNATURE_STATUS_H
#define HF_PUBLISH_SIGNATURE_STATUS_H

#include "server/publish/ceremony/draft.h"

#define HF_QUORUMS_MAX 2

struct hf_quorum_key {
    const char *key_id; /* borrowed from the draft, as is the name */
    const char *name;
    bool is_of[HF_QUORUMS_MAX];
    bool has_signed;
};

struct hf_quorum {
    int64_t root_version;
    size_t n_keys;
    int64_t threshold;
    int64_t n_signed;
    bool is_optional; /* nothing depends on it but what devices see in passing */
};

struct hf_signature_status {
    enum hf_top_role role;
    struct hf_quorum_key *keys; /* owned */
    size_t n_keys;
    struct hf_quorum quorums[HF_QUORUMS_MAX];
    size_t n_quorums;
};

/**
 * HF_E_SIGNATURE for a signature that does not verify, or of a key that is of no side: something
 * else was signed, or with a key that is not authorised. Borrows from `draft`.
 */
HF_MUST_USE enum hf_err hf_signature_status_make(const struct hf_draft *draft,
                                                 struct hf_signature_status *out,
                                                 struct hf_why *why);
void hf_signature_status_free(struct hf_signature_status *status);

bool hf_signature_status_is_complete(const struct hf_signature_status *status);

/**
 * What a key may do for the draft. `id` is under which id it should sign, borrowed from the draft: NULL
 * where it is not authorised, or where it has signed and counts once, which `has_signed` tells apart. Its public
 * part is compared, not its id, which other programs make in other ways.
 */
struct hf_eligibility {
    const char *id;
    bool has_signed;
};
struct hf_eligibility hf_signature_status_eligibility(const struct hf_draft *draft,
                                                      const struct hf_signature_status *status,
                                                      const json_t *public_key);

/** "2 of 3 keys of version 4 (2 must), 1 of 3 of version 5 (2 must)", of root; appended. */
HF_MUST_USE enum hf_err hf_signature_status_words(const struct hf_signature_status *status,
                                                  struct hf_buf *out, struct hf_why *why);

/** "root-2.key.json (1f…), …": keys that have not signed and would count on a side that lacks
 *  signatures; appended. */
HF_MUST_USE enum hf_err hf_signature_status_missing(const struct hf_signature_status *status,
                                                    struct hf_buf *out, struct hf_why *why);

void hf_signature_status_print(const struct hf_signature_status *status, FILE *out);

/** The same for scripts: complete, the sides, the keys; a new reference, NULL without memory. */
json_t *hf_signature_status_to_json(const struct hf_signature_status *status);

/** HF_E_SIGNATURE, with who is still to sign, unless it is complete. */
HF_MUST_USE enum hf_err hf_signature_status_require(const struct hf_signature_status *status,
                                                    struct hf_why *why);

#endif
