#include "server/serve/repository_load.h"

#include "common/base/limits.h"
#include "server/serve/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char timestamp_name[] = "/metadata/timestamp.json";

/* What is not served, as hf_edition_skip remembers it. */
static const char link_kind[] = "a symbolic link";
static const char other_kind[] = "not a regular file";

struct load {
    const struct hf_edition *old; /* may be NULL */
    struct hf_edition *new;
    char name[HF_TARGET_PATH_MAX + 128]; /* of the file being looked at: "/targets/a/b" */
    size_t name_len;
    unsigned depth;
    struct hf_why *why;
};

enum hf_err hf_repository_require(const char *dir, struct hf_why *why)
{
    static const char what_to_do[] =
        "Check --repo, or pass --wait to start before the repository is there";
    struct stat st;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return hf_fail(why, HF_E_NOT_FOUND, "the repository %s cannot be opened: %s. %s", dir,
                       strerror(errno), what_to_do);
    int failed = fstatat(fd, timestamp_name + 1, &st, AT_SYMLINK_NOFOLLOW) != 0 ? errno : 0;
    close(fd);
    if (failed == 0)
        return HF_OK;
    return hf_fail(why, HF_E_NOT_FOUND, "%s is not a repository: %s: %s. %s", dir,
                   timestamp_name + 1, strerror(failed), what_to_do);
}

struct hf_repository_mark hf_repository_look(const char *dir)
{
    struct hf_repository_mark mark = {.is_there = false};
    struct stat folder, timestamp;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return mark;
    if (fstatat(fd, "metadata", &folder, AT_SYMLINK_NOFOLLOW) == 0 &&
        fstatat(fd, timestamp_name + 1, &timestamp, AT_SYMLINK_NOFOLLOW) == 0) {
        mark.is_there = true;
        mark.folder = hf_file_mark_of(&folder);
        mark.timestamp = hf_file_mark_of(&timestamp);
    }
    close(fd);
    return mark;
}

bool hf_repository_mark_same(const struct hf_repository_mark *a, const struct hf_repository_mark *b)
{
    if (!a->is_there || !b->is_there)
        return a->is_there == b->is_there;
    return hf_file_mark_same(&a->timestamp, &b->timestamp) &&
           hf_file_mark_same(&a->folder, &b->folder);
}

/* Names that a publisher's half-written files have, and what editors and copying tools leave. */
static bool is_temporary(const char *entry)
{
    return entry[0] == '.' || hf_name_ends_with(entry, "~") || hf_name_ends_with(entry, ".tmp") ||
           hf_name_ends_with(entry, ".part");
}

static bool is_served(const char *name)
{
    return strncmp(name, "/metadata/", 10) != 0 || hf_name_ends_with(name, ".json");
}

/* Append an entry to the name; false where the result is not a path that TUF could name. */
static bool push_name(struct load *l, const char *entry)
{
    int len = snprintf(l->name + l->name_len, sizeof l->name - l->name_len, "/%s", entry);
    if (len < 0 || (size_t)len >= sizeof l->name - l->name_len) {
        l->name[l->name_len] = '\0';
        return false;
    }
    l->name_len += (size_t)len;
    return true;
}

static void pop_name(struct load *l, size_t len)
{
    l->name_len = len;
    l->name[len] = '\0';
}

static enum hf_err read_whole(struct load *l, int fd, size_t len, uint8_t **out)
{
    /* One byte more is asked for than there should be, to notice a file that grows. */
    uint8_t *data = malloc(len + 1);
    if (data == NULL)
        return hf_fail(l->why, HF_E_MEMORY, "no memory for the %zu bytes of %s", len, l->name);
    size_t have = 0;
    while (have <= len) {
        ssize_t n = read(fd, data + have, len + 1 - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            free(data);
            return hf_fail(l->why, HF_E_STORAGE, "%s cannot be read: %s", l->name, strerror(errno));
        }
        if (n == 0)
            break;
        have += (size_t)n;
    }
    if (have != len) {
        free(data);
        return hf_fail(l->why, HF_E_STORAGE, "%s changed while it was being read", l->name);
    }
    *out = data;
    return HF_OK;
}

static enum hf_err add_open_file(struct load *l, int fd, const struct stat *st)
{
    struct hf_file_mark mark = hf_file_mark_of(st);
    struct hf_served_file *file = l->old != NULL ? hf_edition_find(l->old, l->name, l->name_len)
                                                 : NULL;
    if (file != NULL && hf_file_mark_same(&file->mark, &mark))
        return hf_edition_add_take(l->new, hf_served_file_ref(file), l->why);
    /* Asked before reading, so that a huge file does not get its memory first. */
    if ((uint64_t)st->st_size > HF_SERVE_REPOSITORY_BYTES_MAX)
        return hf_fail(l->why, HF_E_LIMIT, "%s is larger than %u MiB, the most that is served",
                       l->name, HF_SERVE_REPOSITORY_BYTES_MAX >> 20);
    uint8_t *body = NULL;
    HF_TRY(read_whole(l, fd, (size_t)st->st_size, &body));
    HF_TRY(hf_served_file_new_take(l->name, &mark, body, (size_t)st->st_size, &file, l->why));
    return hf_edition_add_take(l->new, file, l->why);
}

static enum hf_err load_folder(struct load *l, int fd_taken);

/* One directory entry, whose name has been pushed. What is neither file nor folder is not served. */
static enum hf_err load_entry(struct load *l, int folder, const char *entry)
{
    /* O_NONBLOCK, so that a FIFO does not make us wait for its writer. */
    int fd = openat(folder, entry, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT) /* removed since it was listed; if it matters, the check says so */
            return HF_OK;
        if (errno == ELOOP || errno == ENXIO) { /* ENXIO: a socket */
            hf_edition_skip(l->new, l->name, errno == ELOOP ? link_kind : other_kind);
            return HF_OK;
        }
        return hf_fail(l->why, HF_E_STORAGE, "%s cannot be opened: %s", l->name, strerror(errno));
    }
    struct stat st;
    enum hf_err err = HF_OK;
    if (fstat(fd, &st) != 0)
        err = hf_fail(l->why, HF_E_STORAGE, "%s cannot be looked at: %s", l->name, strerror(errno));
    else if (S_ISDIR(st.st_mode))
        return load_folder(l, fd);
    else if (!S_ISREG(st.st_mode))
        hf_edition_skip(l->new, l->name, other_kind);
    else if (is_served(l->name))
        err = add_open_file(l, fd, &st);
    close(fd);
    return err;
}

static enum hf_err load_entries(struct load *l, DIR *folder)
{
    size_t len = l->name_len;
    struct dirent *entry;
    while (errno = 0, (entry = readdir(folder)) != NULL) {
        if (is_temporary(entry->d_name) || !push_name(l, entry->d_name))
            continue;
        enum hf_err err = HF_OK;
        if (strcmp(l->name, timestamp_name) != 0) /* it was the first */
            err = load_entry(l, dirfd(folder), entry->d_name);
        pop_name(l, len);
        if (err != HF_OK)
            return err;
    }
    if (errno != 0)
        return hf_fail(l->why, HF_E_STORAGE, "%s cannot be listed: %s", l->name, strerror(errno));
    return HF_OK;
}

/* All of the folder `fd_taken`, whose name has been pushed. */
static enum hf_err load_folder(struct load *l, int fd_taken)
{
    if (l->depth >= HF_SERVE_REPOSITORY_DEPTH_MAX) {
        close(fd_taken);
        return hf_fail(l->why, HF_E_LIMIT, "%s: folders nest deeper than %u", l->name,
                       HF_SERVE_REPOSITORY_DEPTH_MAX);
    }
    DIR *folder = fdopendir(fd_taken);
    if (folder == NULL) {
        close(fd_taken);
        return hf_fail(l->why, HF_E_MEMORY, "%s cannot be listed: %s", l->name, strerror(errno));
    }
    l->depth++;
    enum hf_err err = load_entries(l, folder);
    l->depth--;
    closedir(folder);
    return err;
}

/* Why a folder of the repository, whose name has been pushed, could not be opened. */
static enum hf_err fail_folder(struct load *l, int dir, int failed)
{
    struct stat st;
    if (fstatat(dir, l->name + 1, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
        hf_edition_skip(l->new, l->name, link_kind);
    else if (failed != ENOENT)
        return hf_fail(l->why, HF_E_STORAGE, "the folder %s cannot be opened: %s", l->name + 1,
                       strerror(failed));
    return hf_edition_fail_missing(l->new, l->name, l->why);
}

/* DIR/metadata or DIR/targets; a repository without any target may have no folder for them. */
static enum hf_err load_top(struct load *l, int dir, const char *entry, bool is_optional)
{
    pop_name(l, 0);
    if (!push_name(l, entry))
        return hf_fail(l->why, HF_E_LIMIT, "the name %s is too long", entry);
    int fd = openat(dir, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && is_optional)
        return HF_OK;
    return fd < 0 ? fail_folder(l, dir, errno) : load_folder(l, fd);
}

static enum hf_err load_timestamp(struct load *l, int dir)
{
    l->name_len = (size_t)snprintf(l->name, sizeof l->name, "/metadata");
    int folder = openat(dir, "metadata", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return fail_folder(l, dir, errno);
    l->name_len = strlen(timestamp_name);
    memcpy(l->name, timestamp_name, sizeof timestamp_name);
    enum hf_err err = load_entry(l, folder, "timestamp.json");
    close(folder);
    if (err == HF_OK && l->new->n_files == 0)
        err = hf_edition_fail_missing(l->new, timestamp_name, l->why);
    return err;
}

static enum hf_err load_all(struct load *l, const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return hf_fail(l->why, errno == ENOENT ? HF_E_NOT_FOUND : HF_E_STORAGE,
                       "the folder cannot be opened: %s", strerror(errno));
    enum hf_err err = load_timestamp(l, fd);
    if (err == HF_OK)
        err = load_top(l, fd, "metadata", false);
    if (err == HF_OK)
        err = load_top(l, fd, "targets", true);
    close(fd);
    return err;
}

enum hf_err hf_repository_load(const char *dir, const struct hf_edition *old,
                               struct hf_edition **out, struct hf_why *why)
{
    struct load l = {.old = old, .why = why};
    HF_TRY(hf_edition_new(&l.new, why));
    enum hf_err err = load_all(&l, dir);
    if (err != HF_OK) {
        hf_edition_unref(l.new);
        return err;
    }
    hf_edition_seal(l.new);
    *out = l.new;
    return HF_OK;
}
