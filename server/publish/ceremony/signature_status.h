/*
 * Who has signed a draft, and who is still to sign. A draft of root has two sides: the keys of the
 * root before and its own (TUF 5.3.4); one of targets has one, and under a root to come a second
 * that may sign too: the targets keys of the root in force. This is for people: what is published is
 * verified again the way a device does it. No I/O but printing.
 */
#ifndef HF_PUBLISH_SIGNATURE_STATUS_H
#define HF_PUBLISH_SIGNATURE_STATUS_H

#include "server/publish/ceremony/draft.h"

#define HF_TALLY_SIDES_MAX 2

struct hf_tally_key {
    const char *key_id; /* borrowed from the draft, as is the name */
    const char *name;
    bool is_of[HF_TALLY_SIDES_MAX];
    bool has_signed;
};

struct hf_tally_side {
    int64_t root_version;
    size_t n_keys;
    int64_t threshold;
    int64_t n_signed;
    bool is_optional; /* nothing depends on it but what devices see in passing */
};

struct hf_tally {
    enum hf_top_role role;
    struct hf_tally_key *keys; /* owned */
    size_t n_keys;
    struct hf_tally_side sides[HF_TALLY_SIDES_MAX];
    size_t n_sides;
};

/**
 * HF_E_SIGNATURE for a signature that does not verify, or of a key that is of no side: something
 * else was signed, or with a key that is not authorised. Borrows from `draft`.
 */
HF_MUST_USE enum hf_err hf_tally_make(const struct hf_draft *draft, struct hf_tally *out,
                                      struct hf_why *why);
void hf_tally_free(struct hf_tally *tally);

bool hf_tally_is_complete(const struct hf_tally *tally);

/**
 * What a key may do for the draft. `id` is under which id it should sign, borrowed from the draft: NULL
 * where it is not authorised, or where it has signed and counts once, which `has_signed` tells apart. Its public
 * part is compared, not its id, which other programs make in other ways.
 */
struct hf_tally_say {
    const char *id;
    bool has_signed;
};
struct hf_tally_say hf_tally_say_of(const struct hf_draft *draft, const struct hf_tally *tally,
                                    const json_t *public_key);

/** "2 of 3 keys of version 4 (2 must), 1 of 3 of version 5 (2 must)", of root; appended. */
HF_MUST_USE enum hf_err hf_tally_words(const struct hf_tally *tally, struct hf_buf *out,
                                       struct hf_why *why);

/** "root-2.key.json (1f…), …": keys that have not signed and would count on a side that lacks
 *  signatures; appended. */
HF_MUST_USE enum hf_err hf_tally_missing(const struct hf_tally *tally, struct hf_buf *out,
                                         struct hf_why *why);

void hf_tally_print(const struct hf_tally *tally, FILE *out);

/** The same for scripts: complete, the sides, the keys; a new reference, NULL without memory. */
json_t *hf_tally_to_json(const struct hf_tally *tally);

/** HF_E_SIGNATURE, with who is still to sign, unless it is complete. */
HF_MUST_USE enum hf_err hf_tally_require(const struct hf_tally *tally, struct hf_why *why);

#endif
