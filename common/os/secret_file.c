#include "common/os/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

/* An ACL as the kernel hands it over (linux/posix_acl_xattr.h): a version, then entries of a tag,
 * the rights and an id, all little-endian. */
#define ACL_NAME "system.posix_acl_access"
#define ACL_VERSION 2u
#define ACL_HEAD_LEN 4u
#define ACL_ENTRY_LEN 8u
#define ACL_LEN_MAX (ACL_HEAD_LEN + HF_ACL_ENTRIES_MAX * ACL_ENTRY_LEN)

/* Bits of one class of a mode, and of an entry of an ACL. */
#define MAY_READ 4u
#define MAY_WRITE 2u
#define MAY_SEARCH 1u

#define WHO_MAX 48 /* "the members of group 4294967295" */

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

static ssize_t read_acl(int fd, struct hf_acl_entry out[HF_ACL_ENTRIES_MAX])
{
    uint8_t raw[ACL_LEN_MAX];
    return parse(raw, fgetxattr(fd, ACL_NAME, raw, sizeof raw), out);
}

ssize_t hf_acl_read_path(const char *path, struct hf_acl_entry out[HF_ACL_ENTRIES_MAX])
{
    uint8_t raw[ACL_LEN_MAX];
    return parse(raw, lgetxattr(path, ACL_NAME, raw, sizeof raw), out);
}

/* Is it this user, root, or for root the owner of the file? */
static bool is_ours(uid_t user, const struct stat *st)
{
    return user == 0 || user == geteuid() || (geteuid() == 0 && user == st->st_uid);
}

/* Does a user or group that the mode's group bits stand for have one of `rights`? */
static bool group_class_has(int fd, const struct stat *st, unsigned rights, char who[WHO_MAX])
{
    struct hf_acl_entry entries[HF_ACL_ENTRIES_MAX];
    rights &= st->st_mode >> 3; /* the group's, or the mask of an ACL */
    if (rights == 0)
        return false;
    ssize_t n = read_acl(fd, entries);
    if (n <= 0) { /* no ACL; of one that cannot be read, the mode's group bits are the mask */
        entries[0] = (struct hf_acl_entry){HF_ACL_GROUP_OBJ, rights, 0};
        n = 1;
    }
    for (ssize_t i = 0; i < n; i++) {
        const struct hf_acl_entry *entry = &entries[i];
        bool is_group = entry->tag == HF_ACL_GROUP || entry->tag == HF_ACL_GROUP_OBJ;
        unsigned gid = entry->tag == HF_ACL_GROUP ? entry->id : (unsigned)st->st_gid;
        /* Other tags are the owner, all others and the mask, which the mode shows. */
        if ((entry->rights & rights) == 0)
            continue;
        if (is_group)
            (void)snprintf(who, WHO_MAX, "the members of group %u", gid);
        else
            (void)snprintf(who, WHO_MAX, "user %u", entry->id);
        if (is_group || (entry->tag == HF_ACL_USER && !is_ours(entry->id, st)))
            return true;
    }
    return false;
}

enum place { ANY_PLACE, CREDENTIAL, CONTAINER_SECRET };

static enum place find_place(const char *path, const struct stat *st)
{
    static const char container[] = "/run/secrets/";
    const char *named = getenv("CREDENTIALS_DIRECTORY");
    char real[PATH_MAX];
    struct stat same, run, folder, credentials;
    if (realpath(path, real) == NULL || stat(real, &same) != 0 || same.st_dev != st->st_dev ||
        same.st_ino != st->st_ino)
        return ANY_PLACE;
    /* Docker, Podman and Kubernetes mount secrets there; on a host it is an ordinary folder. */
    if (strncmp(real, container, sizeof container - 1) == 0 && stat("/run", &run) == 0 &&
        run.st_dev != st->st_dev)
        return CONTAINER_SECRET;
    *strrchr(real, '/') = '\0';
    bool is_there = named != NULL && stat(real, &folder) == 0 && stat(named, &credentials) == 0;
    return is_there && folder.st_dev == credentials.st_dev && folder.st_ino == credentials.st_ino
               ? CREDENTIAL
               : ANY_PLACE;
}

/* The user that may read the file although it should not; NULL: there is none. */
static const char *find_reader(const char *path, int fd, const struct stat *st, char who[WHO_MAX])
{
    enum place place = find_place(path, st);
    struct stat folder;
    if (place == CONTAINER_SECRET)
        return NULL;
    if (!is_ours(st->st_uid, st)) {
        (void)snprintf(who, WHO_MAX, "its owner, user %u,", (unsigned)st->st_uid);
        return who;
    }
    /* If every user may read the file, a closed folder of credentials keeps them out. */
    bool is_open = place != CREDENTIAL || stat(getenv("CREDENTIALS_DIRECTORY"), &folder) != 0 ||
                   (folder.st_mode & MAY_SEARCH) != 0;
    if ((st->st_mode & MAY_READ) != 0 && is_open)
        return "every user";
    return place != CREDENTIAL && group_class_has(fd, st, MAY_READ, who) ? who : NULL;
}

static const char *find_writer(int fd, const struct stat *st, char who[WHO_MAX])
{
    if ((st->st_mode & MAY_WRITE) != 0)
        return "every user";
    return group_class_has(fd, st, MAY_WRITE, who) ? who : NULL;
}

/* With what to do about it. On a read-only or foreign file system the mode cannot be changed. */
static enum hf_err refuse(const char *path, int fd, const struct stat *st, const char *who,
                          const char *verb, struct hf_why *why)
{
    struct statvfs fs;
    unsigned mode = st->st_mode & 07777;
    if (fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0)
        return hf_fail(why, HF_E_KEY,
                       "%s: %s may %s this secret (mode %04o), and its file system is read-only. "
                       "Copy it to a file that only its owner may read, or mount it with other "
                       "rights (in a container, below /run/secrets)",
                       path, who, verb, mode);
    if (!is_ours(st->st_uid, st))
        return hf_fail(why, HF_E_KEY,
                       "%s: %s may %s this secret. Run this command as that user, or give the file "
                       "to the user that runs it",
                       path, who, verb);
    if (st->st_uid != geteuid() && geteuid() != 0) /* root's: mode 600 would end our own access */
        return hf_fail(why, HF_E_KEY,
                       "%s: %s may %s this secret (mode %04o), and it belongs to root. If it is "
                       "still secret, give it to the user that runs this command; as root, run: "
                       "chown %u %s && chmod 600 %s",
                       path, who, verb, mode, (unsigned)geteuid(), path, path);
    return hf_fail(why, HF_E_KEY,
                   "%s: %s may %s this secret (mode %04o). If it is still secret, run: "
                   "chmod 600 %s",
                   path, who, verb, mode, path);
}

enum hf_err hf_secret_file_check(const char *path, int fd, struct hf_why *why)
{
    char buffer[WHO_MAX];
    const char *who = NULL;
    struct stat st;

    if (fstat(fd, &st) != 0)
        return hf_fail(why, HF_E_STORAGE, "cannot look at %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return HF_OK;
    if ((who = find_reader(path, fd, &st, buffer)) != NULL)
        return refuse(path, fd, &st, who, "read", why);
    if ((who = find_writer(fd, &st, buffer)) != NULL)
        return refuse(path, fd, &st, who, "change", why);
    return HF_OK;
}

enum hf_err hf_secret_file_open(const char *path, int *fd, struct hf_why *why)
{
    if (path[0] == '\0')
        return hf_fail(why, HF_E_ARGUMENT, "the name of the file is empty");
    int opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (opened < 0 && (errno == ENOENT || errno == ENOTDIR))
        return hf_fail(why, HF_E_NOT_FOUND, "there is no %s", path);
    if (opened < 0)
        return hf_fail(why, HF_E_STORAGE, "cannot open %s: %s", path, strerror(errno));

    enum hf_err err = hf_secret_file_check(path, opened, why);
    if (err != HF_OK) {
        close(opened);
        return err;
    }
    *fd = opened;
    return HF_OK;
}
