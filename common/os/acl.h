/* The POSIX access ACL of a file: the users and groups, besides owner and mode, that have access. */
#ifndef HF_OS_ACL_H
#define HF_OS_ACL_H

#include <sys/types.h>

#define HF_ACL_ENTRIES_MAX 512 /* systemd writes 5 */

/* Tags (linux/posix_acl_xattr.h). */
#define HF_ACL_USER 0x02u
#define HF_ACL_GROUP_OBJ 0x04u
#define HF_ACL_GROUP 0x08u

struct hf_acl_entry {
    unsigned tag, rights, id; /* rights as in one class of a mode, before the ACL's mask */
};

/** How many entries the ACL has. 0: there is none, and the mode says all. -1: there is one that is longer
 *  or cannot be understood. I/O: reads an attribute. */
ssize_t hf_acl_read(int fd, struct hf_acl_entry out[HF_ACL_ENTRIES_MAX]);
/** The same of what `path` names itself, be it a link. */
ssize_t hf_acl_read_path(const char *path, struct hf_acl_entry out[HF_ACL_ENTRIES_MAX]);

#endif
