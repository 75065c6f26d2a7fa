/* Making a publisher's first keys: a folder of offline ones and a folder of online ones. */
#ifndef HF_PUBLISH_KEY_MAKE_H
#define HF_PUBLISH_KEY_MAKE_H

#include "server/repository/compose.h"
#include "server/repository/base/undo.h"

struct hf_key_plan {
    int64_t counts[HF_TOP_ROLES]; /* given ones included */
    int64_t thresholds[HF_TOP_ROLES];
    /* Files and PKCS#11 URIs, NULL-terminated, borrowed: these are the role's keys and none is made.
     * NULL: all are made. */
    const char *const *given[HF_TOP_ROLES];
    /* Of the files among them; borrowed. NULL: that of the folder that the key goes to. */
    const char *given_passphrase_file;
    bool is_insecure; /* --insecure-no-passphrase */
};

/** 1 to HF_ROLE_KEYS_MAX keys a role, and a threshold that they can reach; else HF_E_ARGUMENT. */
HF_MUST_USE enum hf_err hf_key_plan_check(const struct hf_key_plan *plan, struct hf_why *why);

/**
 * Ask for the passphrases, generate all keys and write them to the folders of `set` with the
 * periods of `expiry`. A given key is opened; one in a file is sealed again as those beside it, of one
 * in a token the folder gets a reference. What was made is noted in `undo`, also on failure. `out`
 * holds the keys, to sign the first metadata with; hf_root_plan_free it before `set`.
 */
HF_MUST_USE enum hf_err hf_key_make(struct hf_key_set *set, const struct hf_key_plan *plan,
                                    const struct hf_expiry *expiry, struct hf_undo *undo,
                                    struct hf_root_plan *out, struct hf_why *why);
void hf_root_plan_free(struct hf_root_plan *plan);

#endif
