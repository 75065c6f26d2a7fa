#include "client/port/posix/owner.h"

#include "common/os/secret_file.h"
#include "common/os/file_util.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40     /* as the kernel follows on the way to one file */
#define GROUPS_MAX 256   /* that are looked at, of those a process has */
#define USER_TEXT_MAX 64 /* of longer names the number is shown */

/* "alice", or "#1000" for a user without a name; sudo takes both. */
static void name_user(uid_t uid, char out[USER_TEXT_MAX])
{
    struct passwd entry, *found = NULL;
    char buffer[4096];

    if (getpwuid_r(uid, &entry, buffer, sizeof buffer, &found) == 0 && found != NULL &&
        strlen(found->pw_name) < USER_TEXT_MAX)
        (void)snprintf(out, USER_TEXT_MAX, "%s", found->pw_name);
    else
        (void)snprintf(out, USER_TEXT_MAX, "#%lu", (unsigned long)uid);
}

/* ---- one path -------------------------------------------------------------------------------- */

/* A group whose members may do all that this program may, as the administrator wants it. */
static bool is_own_group(gid_t gid)
{
    gid_t groups[GROUPS_MAX];

    if (gid == 0)
        return true;
    if (geteuid() == 0)
        return false;
    int n = getgroups(GROUPS_MAX, groups);
    for (int i = 0; i < n; i++) {
        if (groups[i] == gid)
            return true;
    }
    return gid == getegid();
}

static bool is_own_user(uid_t uid)
{
    return uid == 0 || uid == geteuid();
}

/* Has the group no member but this user and root, as the group staff of Debian, to which /var/local
 * belongs? Also not as the group that a user logs in with. False where that is unknown. */
static bool is_without_others(gid_t gid)
{
    struct group entry, *found = NULL;
    struct passwd user, *member = NULL;
    char buffer[4096], user_buffer[4096];
    int code;

    if (getgrgid_r(gid, &entry, buffer, sizeof buffer, &found) != 0 || found == NULL)
        return false;
    for (char **name = found->gr_mem; *name != NULL; name++) {
        if (getpwnam_r(*name, &user, user_buffer, sizeof user_buffer, &member) != 0 ||
            member == NULL || !is_own_user(member->pw_uid))
            return false;
    }
    FILE *users = fopen("/etc/passwd", "re");
    if (users == NULL)
        return false;
    while ((code = fgetpwent_r(users, &user, user_buffer, sizeof user_buffer, &member)) == 0) {
        if (user.pw_gid == gid && !is_own_user(user.pw_uid))
            break;
    }
    (void)fclose(users);
    return code == ENOENT;
}

static bool may_group_write(gid_t gid, bool is_on_the_way)
{
    return is_own_group(gid) || (is_on_the_way && is_without_others(gid));
}

/* With an ACL, the group bits of the mode are its mask. */
static bool others_may_write(const char *path, const struct stat *st, bool is_on_the_way)
{
    struct hf_acl_entry acl[HF_ACL_ENTRIES_MAX];

    if ((st->st_mode & S_IWOTH) != 0)
        return true;
    if ((st->st_mode & S_IWGRP) == 0)
        return false;
    ssize_t n = hf_acl_read_path(path, acl);
    if (n <= 0)
        return n < 0 || !may_group_write(st->st_gid, is_on_the_way);
    for (ssize_t i = 0; i < n; i++) {
        bool is_allowed = (acl[i].rights & S_IWOTH) == 0 ||
                          (acl[i].tag != HF_ACL_USER && acl[i].tag != HF_ACL_GROUP_OBJ &&
                           acl[i].tag != HF_ACL_GROUP) ||
                          (acl[i].tag == HF_ACL_USER && is_own_user(acl[i].id)) ||
                          (acl[i].tag == HF_ACL_GROUP_OBJ &&
                           may_group_write(st->st_gid, is_on_the_way)) ||
                          (acl[i].tag == HF_ACL_GROUP && may_group_write(acl[i].id, is_on_the_way));
        if (!is_allowed)
            return true;
    }
    return false;
}

static enum hf_err check_entry(const char *path, const struct stat *st, bool is_on_the_way,
                               struct hf_why *why)
{
    bool is_sticky = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX) != 0;
    char owner[USER_TEXT_MAX], own[USER_TEXT_MAX];

    if (!is_own_user(st->st_uid)) {
        name_user(st->st_uid, owner);
        name_user(geteuid(), own);
        return hf_fail(why, HF_E_POLICY,
                       "%s belongs to user %s, and this program runs as %s, which must not act on "
                       "the files of another user; run `sudo -u %s holdfast ...`",
                       path, owner, own, strchr(owner, '#') != NULL ? "'#UID'" : owner);
    }
    if (S_ISLNK(st->st_mode) || (is_sticky && is_on_the_way) ||
        !others_may_write(path, st, is_on_the_way))
        return HF_OK;
    return hf_fail(why, HF_E_POLICY,
                   "other users may write %s (its mode is %04o); run `chmod go-w %s`", path,
                   (unsigned)(st->st_mode & 07777), path);
}

/* Put what a symbolic link says in place of the link: `rest` is what was to follow it. */
static enum hf_err follow_link(const char *path, char *at, char *rest, struct hf_why *why)
{
    char target[PATH_MAX], joined[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof target - 1);

    if (n < 0)
        return hf_file_fail(why, "read the symbolic link", path, errno);
    target[n] = '\0';
    if (snprintf(joined, sizeof joined, "%s/%s", target, rest) >= (int)sizeof joined)
        return hf_file_fail(why, "follow the symbolic link", path, ENAMETOOLONG);
    memcpy(rest, joined, strlen(joined) + 1);
    if (target[0] == '/')
        at[0] = '\0';
    return HF_OK;
}

/* Take the first name off `rest`; false where there is none. */
static bool take_name(char *rest, char name[PATH_MAX])
{
    size_t slashes = strspn(rest, "/");
    size_t len = strcspn(rest + slashes, "/");

    if (len == 0)
        return false;
    memcpy(name, rest + slashes, len);
    name[len] = '\0';
    memmove(rest, rest + slashes + len, strlen(rest + slashes + len) + 1);
    return true;
}

static enum hf_err check_absolute(const char *path, struct hf_why *why)
{
    /* `at` is a folder that was checked, without links in it and empty for "/"; `rest` what
     * follows. */
    char at[PATH_MAX] = "", rest[PATH_MAX], next[PATH_MAX], name[PATH_MAX];
    struct stat st;
    int n_links = 0;

    if (snprintf(rest, sizeof rest, "%s", path) >= (int)sizeof rest)
        return hf_file_fail(why, "check the owner of", path, ENAMETOOLONG);
    while (take_name(rest, name)) {
        if (strcmp(name, ".") == 0)
            continue;
        if (strcmp(name, "..") == 0) {
            char *slash = strrchr(at, '/');
            if (slash != NULL)
                *slash = '\0';
            continue;
        }
        if (snprintf(next, sizeof next, "%s/%s", at, name) >= (int)sizeof next)
            return hf_file_fail(why, "check the owner of", path, ENAMETOOLONG);
        if (lstat(next, &st) != 0)
            return errno == ENOENT || errno == ENOTDIR
                       ? HF_OK
                       : hf_file_fail(why, "check the owner of", next, errno);
        HF_TRY(check_entry(next, &st, rest[strspn(rest, "/")] != '\0', why));
        if (!S_ISLNK(st.st_mode))
            memcpy(at, next, strlen(next) + 1);
        else if (++n_links > LINKS_MAX)
            return hf_file_fail(why, "check the owner of", path, ELOOP);
        else
            HF_TRY(follow_link(next, at, rest, why));
    }
    return HF_OK;
}

enum hf_err hf_owner_check_path(const char *path, struct hf_why *why)
{
    char *absolute = NULL;

    HF_TRY(hf_file_absolute(path, &absolute, why));
    enum hf_err err = check_absolute(absolute, why);
    free(absolute);
    return err;
}

/* Also standard output, as /dev/stdout names it, that is redirected to a file now. */
static bool leads_to_no_file(const char *path)
{
    struct stat st;
    char *target = NULL;
    bool is_of_process = hf_file_read_link(path, &target, NULL) == HF_OK &&
                         strncmp(target, "/proc/", 6) == 0;

    free(target);
    return is_of_process || (stat(path, &st) == 0 && !S_ISREG(st.st_mode));
}

enum hf_err hf_owner_check_output(const char *path, struct hf_why *why)
{
    if (leads_to_no_file(path))
        return hf_fail(why, HF_E_STORAGE,
                       "%s is not a regular file, and it would be replaced by one; name another "
                       "file, or use `holdfast export --out -` for standard output",
                       path);
    return hf_owner_check_path(path, why);
}

/* ---- a state folder -------------------------------------------------------------------------- */

enum hf_err hf_owner_check_state(const char *state_dir, struct hf_why *why)
{
    static const char *const names[] = {"holdfast.db",
                                        "holdfast.db-wal",
                                        "holdfast.db-shm",
                                        "holdfast.db-journal",
                                        "holdfast.db.backup",
                                        "bundles",
                                        "lock",
                                        "identity.lock",
                                        ".init"};
    struct hf_path path;
    struct stat st;

    HF_TRY(hf_owner_check_path(state_dir, why));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        HF_TRY(hf_path_set(&path, why, "%s/%s", state_dir, names[i]));
        if (lstat(path.text, &st) == 0)
            HF_TRY(check_entry(path.text, &st, false, why));
    }
    return HF_OK;
}

bool hf_owner_is_one(const char *database)
{
    static const char *const suffixes[] = {"-wal", "-shm", "-journal"};
    struct hf_path beside;
    struct stat own, other;

    if (lstat(database, &own) != 0)
        return false;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (hf_path_set(&beside, NULL, "%s%s", database, suffixes[i]) != HF_OK ||
            (lstat(beside.text, &other) == 0 && other.st_uid != own.st_uid))
            return false;
    }
    return true;
}

enum hf_err hf_owner_check_readable(const char *state_dir, const char *database, struct hf_why *why)
{
    char name[USER_TEXT_MAX] = "its owner";
    struct stat st;
    const char *denied = NULL;

    if (stat(state_dir, &st) != 0) {
        denied = errno == EACCES ? state_dir : NULL;
    } else {
        name_user(st.st_uid, name);
        if (faccessat(AT_FDCWD, state_dir, R_OK | X_OK, AT_EACCESS) != 0 && errno == EACCES)
            denied = state_dir;
        else if (faccessat(AT_FDCWD, database, R_OK, AT_EACCESS) != 0 && errno == EACCES)
            denied = database;
    }
    if (denied == NULL)
        return HF_OK;
    return hf_fail(why, HF_E_STORAGE,
                   "cannot read %s: permission denied for this user; run the command as %s, with "
                   "`sudo%s%s holdfast ...`",
                   denied, name, strcmp(name, "root") == 0 ? "" : " -u ",
                   strcmp(name, "root") == 0                                     ? ""
                   : strchr(name, '#') != NULL || strcmp(name, "its owner") == 0 ? "OWNER"
                                                                                 : name);
}

/* ---- a command ------------------------------------------------------------------------------- */

/* What ends a word for a shell, roughly: quotes do too, and the file that stands in them is
 * found. */
static const char word_ends[] = " \t\n;&|()<>\"'`$={}";

static bool is_regular(const char *path, bool must_be_executable)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
           (!must_be_executable || (st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0);
}

/* As the shell finds a command without a slash; empty for one that it does not find so. */
static void find_in_path(const char *name, char out[PATH_MAX])
{
    const char *folders = getenv("PATH");

    out[0] = '\0';
    while (folders != NULL && *folders != '\0') {
        size_t len = strcspn(folders, ":");
        char path[PATH_MAX];
        int n = snprintf(path, sizeof path, "%.*s/%s", (int)len, folders, name);
        if (len > 0 && n < (int)sizeof path && is_regular(path, true)) {
            memcpy(out, path, (size_t)n + 1);
            return;
        }
        folders += len + (folders[len] == ':');
    }
}

/* Does it run the file that is named next, executable or not? python3.11 and perl5 as well. */
static bool is_interpreter(const char *word)
{
    static const char *const names[] = {"sh",   "bash", "dash", "ash", "ksh",   "zsh",    "busybox",
                                        "perl", "ruby", "node", "php", "lua",   "python", "awk",
                                        "gawk", "make", "env",  ".",   "source"};
    const char *slash = strrchr(word, '/');
    const char *name = slash != NULL ? slash + 1 : word;
    size_t len = strlen(name) > 0 && name[0] != '.' ? strcspn(name, "0123456789.") : strlen(name);

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (len == strlen(names[i]) && memcmp(name, names[i], len) == 0)
            return true;
    }
    return false;
}

enum hf_err hf_owner_check_command(const char *command, struct hf_why *why)
{
    const char *first = command + strspn(command, word_ends);
    bool is_read = false, is_folder = false;
    char word[PATH_MAX], path[PATH_MAX], folder[PATH_MAX] = "";
    size_t len;

    for (const char *at = command; *at != '\0'; at += len) {
        at += strspn(at, word_ends);
        len = strcspn(at, word_ends);
        if (len == 0 || len >= sizeof word)
            continue;
        memcpy(word, at, len);
        word[len] = '\0';
        /* After `cd FOLDER` a relative name is one in that folder. */
        const char *in = word[0] == '/' || folder[0] == '\0' ? "" : folder;
        if (snprintf(path, sizeof path, "%s%s%s", in, *in != '\0' ? "/" : "", word) >=
            (int)sizeof path)
            continue;
        bool is_program = false;
        if (is_folder) {
            memcpy(folder, path, strlen(path) + 1);
        } else if (strchr(word, '/') != NULL || is_read) {
            is_program = is_regular(path, !is_read && at != first);
        } else if (at == first) {
            find_in_path(word, path);
            is_program = path[0] != '\0';
        }
        if (is_program && hf_owner_check_path(path, why) != HF_OK)
            return hf_fail_context(why, "the on-swap command is not run");
        is_folder = strcmp(word, "cd") == 0;
        is_read = is_interpreter(word) || (is_read && word[0] == '-');
    }
    return HF_OK;
}
