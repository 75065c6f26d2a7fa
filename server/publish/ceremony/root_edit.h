/*
 * Changes to a draft of root that is not signed yet. Each works on a copy of its signed part, so
 * that several make one step: keys are added and removed, then the whole is looked at.
 */
#ifndef HF_PUBLISH_ROOT_EDIT_H
#define HF_PUBLISH_ROOT_EDIT_H

#include "server/publish/ceremony/draft.h"
#include "server/repository/keys/public_key.h"

struct hf_root_edit {
    struct hf_draft *draft; /* borrowed */
    json_t *signed_part;    /* owned copies */
    json_t *names;
};

/** HF_E_STATE when it is signed, unless `discards_signatures`. */
HF_MUST_USE enum hf_err hf_root_edit_begin(struct hf_draft *draft, bool discards_signatures,
                                           struct hf_root_edit *out, struct hf_why *why);
void hf_root_edit_free(struct hf_root_edit *edit);

/** HF_E_STATE when the role has that key already. `name` is for people. */
HF_MUST_USE enum hf_err hf_root_edit_add_key(struct hf_root_edit *edit, enum hf_top_role role,
                                             const struct hf_public_key *key, const char *name,
                                             struct hf_why *why);

/** `digits`: the key id or its first 16 digits or more. HF_E_NOT_FOUND when the role has no such. */
HF_MUST_USE enum hf_err hf_root_edit_remove_key(struct hf_root_edit *edit, enum hf_top_role role,
                                                const char *digits, struct hf_why *why);

HF_MUST_USE enum hf_err hf_root_edit_set_threshold(struct hf_root_edit *edit, enum hf_top_role role,
                                                   int64_t threshold, struct hf_why *why);

/** Let the draft be what was edited, without signatures; refused (hf_draft_parse) it stays. */
HF_MUST_USE enum hf_err hf_root_edit_end(struct hf_root_edit *edit, struct hf_why *why);

#endif
