/* Which key is whose: what a root calls a key that lies here. No I/O. */
#ifndef HF_REPOSITORY_KEY_ROLE_H
#define HF_REPOSITORY_KEY_ROLE_H

#include "common/tuf/metadata.h"

#include <jansson.h>

/**
 * The id under which `root` lists this public key for `role`; NULL where it does not. An id is a label
 * (TUF 4.2.2): another program, which spells the same PEM in another way, gives another one. Borrowed
 * from `root`, which may be NULL.
 */
const char *hf_key_role_id(const struct hf_root *root, enum hf_top_role role,
                           const json_t *public_key);

#endif
