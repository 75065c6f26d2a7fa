/* The name of a device: it stands in URLs, logs and certificates. */
#ifndef HF_COMMON_DEVICE_ID_H
#define HF_COMMON_DEVICE_ID_H

#include <stdbool.h>
#include <string.h>

#define HF_DEVICE_ID_MAX 128 /* characters; AWS IoT allows a thing's name as many */

/** 1 to HF_DEVICE_ID_MAX of A-Z a-z 0-9 . _ : - */
static inline bool hf_device_id_is_valid(const char *id)
{
    size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-");
    return len >= 1 && len <= HF_DEVICE_ID_MAX && id[len] == '\0';
}

#endif
