/* Names that devices, the signer and the service share: they stand in URLs, logs, certificates and
 * file names. */
#ifndef HF_COMMON_NAMES_H
#define HF_COMMON_NAMES_H

#include "common/base/limits.h"

#include <stdbool.h>
#include <string.h>

#define HF_DEVICE_ID_MAX 128 /* characters; AWS IoT allows a thing's name as many */
/* Of an account and of a device CA: a common name holds 64 characters. */
#define HF_ACCOUNT_NAME_MAX 64
#define HF_DEVICE_GROUPS_MAX 8 /* of one device: site, ring, model, and room */

/** 1 to HF_DEVICE_ID_MAX of A-Z a-z 0-9 . _ : - */
static inline bool hf_device_id_is_valid(const char *id)
{
    size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-");
    return len >= 1 && len <= HF_DEVICE_ID_MAX && id[len] == '\0';
}

/** An account or a device CA: 1 to HF_ACCOUNT_NAME_MAX of a-z 0-9 and '-', which is at no end. */
static inline bool hf_account_name_is_valid(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return len >= 1 && len <= HF_ACCOUNT_NAME_MAX && name[len] == '\0' && name[0] != '-' &&
           name[len - 1] != '-';
}

/** A set, a profile or a group of devices: [a-z0-9][a-z0-9._-]*, at most HF_SET_NAME_MAX. */
static inline bool hf_set_name_is_valid(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-");
    return len > 0 && len <= HF_SET_NAME_MAX && name[len] == '\0' && strchr("._-", name[0]) == NULL;
}

#endif
