/*
 * A draft: metadata that waits for signatures, as one file that is carried from key holder to key
 * holder. It holds all that a holder needs to see what is signed, on a machine that has only this
 * file and a key:
 *
 *     {"format": "holdfast-draft", "version": 1, "role": "root" or "targets",
 *      "root":       the newest root metadata, byte for byte as text: whose keys must sign
 *      "roots":      those before it, oldest first, for holders who know an older one
 *      "root_to_come": true where that root is not published yet and comes out together with this
 *                    targets metadata; the last of the roots is in force until then
 *      "before":     targets only: the targets metadata before, likewise
 *      "files":      targets only: content of the target files that are new, by path
 *      "signed":     what is signed
 *      "signatures": those gathered so far
 *      "names":      names of key files by key id, for people}
 *
 * A draft of root must be signed by the thresholds of the root in it and of its own (TUF 5.3.4),
 * one of targets by that of the root in it. Under a root to come the targets keys of the root
 * before may sign too. Two ordinary ceremonies (add the new targets keys, later remove the old
 * ones) reach the same end, but devices accept a stolen targets key until the second one has
 * gathered its signatures; a root to come removes it with the first. Nothing in a draft is trusted
 * before a person has reviewed it.
 */
#ifndef HF_REPOSITORY_DRAFT_H
#define HF_REPOSITORY_DRAFT_H

#include "common/tuf/metadata.h"

#include <stdio.h>

#define HF_DRAFT_BYTES_MAX (16u * 1024u * 1024u) /* targets before and after, and some bundles */

struct hf_draft {
    json_t *json;               /* owned: the whole file */
    enum hf_top_role role;      /* HF_ROLE_ROOT or HF_ROLE_TARGETS */
    struct hf_root root;        /* whose keys must sign */
    struct hf_root next;        /* of a draft of root */
    struct hf_root root_before; /* of a draft of targets under a root to come; else version 0 */
    struct hf_targets before, targets; /* of a draft of targets */
    bool is_before_verified;           /* the targets before are signed as the root in force asks */
};

/**
 * Read a draft, and check that it could ever be published: it follows the root in it, thresholds
 * can be met, no key id means two keys, no text would confuse a terminal, and the files are those
 * that are listed. Signatures are not verified (draft_signatures.h). HF_E_FORMAT, HF_E_LIMIT,
 * HF_E_SIGNATURE for a root that its own keys, or a root to come that those before it, did not
 * sign. `out` is written on HF_OK only; hf_draft_free it.
 */
HF_MUST_USE enum hf_err hf_draft_parse(struct hf_bytes text, struct hf_draft *out,
                                       struct hf_why *why);
void hf_draft_free(struct hf_draft *draft);

/** What a new draft is made of. Borrowed. */
struct hf_draft_parts {
    enum hf_top_role role;
    struct hf_bytes root;
    const json_t *roots;    /* hf_draft_roots_read; NULL: none */
    bool is_root_to_come;   /* of targets: `root` is not published yet, the last of `roots` is */
    struct hf_bytes before; /* of targets */
    const json_t *files;    /* of targets; NULL: none */
    const json_t *names;    /* of keys, by key id; NULL: none */
    const json_t *signed_part;
};
HF_MUST_USE enum hf_err hf_draft_make(const struct hf_draft_parts *parts, struct hf_draft *out,
                                      struct hf_why *why);

/**
 * Put another value in place of "signed", "signatures" or "names" (taken, also on failure), and
 * check the draft again. The draft is unchanged when this fails.
 */
HF_MUST_USE enum hf_err hf_draft_set_take(struct hf_draft *draft, const char *member, json_t *value,
                                          struct hf_why *why);

/** The file as text; appended. */
HF_MUST_USE enum hf_err hf_draft_format(const struct hf_draft *draft, struct hf_buf *out,
                                        struct hf_why *why);

/** The metadata file that it will be; appended. */
HF_MUST_USE enum hf_err hf_draft_metadata(const struct hf_draft *draft, struct hf_buf *out,
                                          struct hf_why *why);

/** It is signed under a root that is not published yet. */
bool hf_draft_is_under_coming_root(const struct hf_draft *draft);

/** The root that is in force as long as the draft is not published. Borrowed. */
const struct hf_root *hf_draft_root_in_force(const struct hf_draft *draft);

/** The common part of what waits to be signed. Borrowed. */
const struct hf_envelope *hf_draft_envelope(const struct hf_draft *draft);

/** Are these the same bytes to sign? */
bool hf_draft_is_same_signed(const struct hf_envelope *a, const struct hf_envelope *b);

/** SHA-256 of exactly the signed bytes: more signatures do not change it. */
void hf_draft_digest(const struct hf_draft *draft, uint8_t out[HF_SHA256_LEN]);

/** The name that goes with a key id, "" without one. Borrowed. */
const char *hf_draft_key_name(const struct hf_draft *draft, const char *key_id);

/** Text of the root metadata (and targets before) as it is in the repository. Borrowed. */
struct hf_bytes hf_draft_root_file(const struct hf_draft *draft);
struct hf_bytes hf_draft_before_file(const struct hf_draft *draft);
/** Content of a target file that comes with the draft; data is NULL where it does not. */
struct hf_bytes hf_draft_content(const struct hf_draft *draft, const char *path);

/* As files. Reading prefixes every sentence with the name. */
HF_MUST_USE enum hf_err hf_draft_read(const char *path, struct hf_draft *out, struct hf_why *why);
/** Replaces the file, atomically. `is_new`: makes it, HF_E_STATE when the name is taken. */
HF_MUST_USE enum hf_err hf_draft_write(const char *path, const struct hf_draft *draft, bool is_new,
                                       struct hf_why *why);

/* draft_check.c: what a draft must be beyond well-formed, before a holder is asked to sign it. No
 * I/O. */

/** Everything hf_draft_parse promises besides the form; HF_E_FORMAT. Sets is_before_verified. */
HF_MUST_USE enum hf_err hf_draft_check(struct hf_draft *draft, struct hf_why *why);

/** Before a key signs: HF_E_STATE for a draft made more than a day after now. Its time of signing
 *  becomes the clock floor of devices. */
HF_MUST_USE enum hf_err hf_draft_check_clock(const struct hf_draft *draft, int64_t now_s,
                                             struct hf_why *why);

/** Before it is published: HF_E_STATE for a draft made after now. */
HF_MUST_USE enum hf_err hf_draft_check_made_before(const struct hf_draft *draft, int64_t now_s,
                                                   struct hf_why *why);

#endif
