/*
 * Files that hold a secret: passphrases, PINs, private keys. A program that reads one refuses it if
 * another user could read it too, or could put another secret in its place.
 */
#ifndef HF_OS_SECRET_FILE_H
#define HF_OS_SECRET_FILE_H

#include <holdfast/error.h>

#include <stdbool.h>
#include <sys/types.h>

/**
 * Open `path` for reading and judge the open file. The caller closes `*fd`, which is written on
 * HF_OK only. Pipes and devices are not judged: only their two ends see the data.
 *
 * A regular file is refused if a user other than this one and root may read or change it, by its
 * owner, its mode and its POSIX ACL as far as the ACL's mask lets it through. Root may use the
 * files of every user. Two places are provided for one service and are judged less strictly,
 * because the administrator does not choose the modes in them:
 *
 *  - the folder that $CREDENTIALS_DIRECTORY names (systemd.exec(5), "Credentials"): a group may
 *    read the file, and every user may if not every user may enter the folder;
 *  - /run/secrets, where container runtimes mount secrets, often with mode 0444: every user may
 *    read the file, because the runtime decides which processes are in the container. If nothing is
 *    mounted there, the host's rules hold.
 *
 * HF_E_ARGUMENT for an empty name; HF_E_NOT_FOUND; HF_E_STORAGE if it cannot be opened; HF_E_KEY
 * with the users that have access and what to do. I/O: reads the file's attributes, and those of
 * its folder.
 */
HF_MUST_USE enum hf_err hf_secret_file_open(const char *path, int *fd, struct hf_why *why);

/** The same for a file that is open already; `path` is its name. HF_E_STORAGE, HF_E_KEY. */
HF_MUST_USE enum hf_err hf_secret_file_check(const char *path, int fd, struct hf_why *why);

/* The POSIX access ACL of a file: users and groups, besides owner and mode, that have access. */

#define HF_ACL_ENTRIES_MAX 512 /* systemd writes 5 */

/* Tags (linux/posix_acl_xattr.h). */
#define HF_ACL_USER 0x02u
#define HF_ACL_GROUP_OBJ 0x04u
#define HF_ACL_GROUP 0x08u

struct hf_acl_entry {
    unsigned tag, rights, id; /* rights as in one class of a mode, before the ACL's mask */
};

/** How many entries the ACL of `path` has; a link's own. 0: there is none, and the mode says all.
 *  -1: there is one that is longer or cannot be understood. I/O: reads an attribute. */
ssize_t hf_acl_read_path(const char *path, struct hf_acl_entry out[HF_ACL_ENTRIES_MAX]);

#endif
