#include "common/os/acl.h"

#include <errno.h>
#include <stdint.h>
#include <sys/xattr.h>

/* An ACL as the kernel hands it over (linux/posix_acl_xattr.h): a version, then entries of a tag, the
 * rights and an id, all little-endian. */
#define ACL_NAME "system.posix_acl_access"
#define ACL_VERSION 2u
#define ACL_HEAD_LEN 4u
#define ACL_ENTRY_LEN 8u
#define ACL_LEN_MAX (ACL_HEAD_LEN + HF_ACL_ENTRIES_MAX * ACL_ENTRY_LEN)

static unsigned little_endian(const uint8_t *bytes, size_t len)
{
    unsigned value = 0;
    for (size_t i = len; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

/* `got` is what the kernel returned for `raw`. */
static ssize_t parse(const uint8_t *raw, ssize_t got, struct hf_acl_entry out[HF_ACL_ENTRIES_MAX])
{
    if (got < 0)
        return errno == ERANGE || errno == E2BIG ? -1 : 0;
    size_t len = (size_t)got;
    if (len < ACL_HEAD_LEN || (len - ACL_HEAD_LEN) % ACL_ENTRY_LEN != 0 ||
        little_endian(raw, ACL_HEAD_LEN) != ACL_VERSION)
        return -1;
    size_t n = (len - ACL_HEAD_LEN) / ACL_ENTRY_LEN;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *entry = raw + ACL_HEAD_LEN + i * ACL_ENTRY_LEN;
        out[i] = (struct hf_acl_entry){little_endian(entry, 2), little_endian(entry + 2, 2),
                                       little_endian(entry + 4, 4)};
    }
    return (ssize_t)n;
}

ssize_t hf_acl_read(int fd, struct hf_acl_entry out[HF_ACL_ENTRIES_MAX])
{
    uint8_t raw[ACL_LEN_MAX];
    return parse(raw, fgetxattr(fd, ACL_NAME, raw, sizeof raw), out);
}

ssize_t hf_acl_read_path(const char *path, struct hf_acl_entry out[HF_ACL_ENTRIES_MAX])
{
    uint8_t raw[ACL_LEN_MAX];
    return parse(raw, lgetxattr(path, ACL_NAME, raw, sizeof raw), out);
}
