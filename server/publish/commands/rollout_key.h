/* The online key of rollout-SET, as init and rollout delegate make it. */
#ifndef HF_PUBLISH_ROLLOUT_KEY_H
#define HF_PUBLISH_ROLLOUT_KEY_H

#include "server/repository/repo_write.h"
#include "server/repository/keys/key_seal.h"

/** Write a new key to FOLDER/rollout-SET-N.key.json, N the first that is free, and note it in
 *  `undo`. `*public_key` is a new reference. */
HF_MUST_USE enum hf_err hf_rollout_key_make(const char *folder, const char *set,
                                            const struct hf_key_seal *seal, struct hf_undo *undo,
                                            json_t **public_key, struct hf_why *why);

#endif
