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
    char name[HF_TARGET_PATH_MAX + 128]; /* of the current file: "/targets/a/b" */
    unsigned depth;
    struct hf_why *why;
};

enum hf_err hf_repository_require(const char *dir, struct hf_why *why)
{
    static const char what_to_do[] =
        "Check --repo, or pass --wait to start before the repository is there";
    static const char *const parts[] = {timestamp_name + 1, "metadata", "targets"};
    const char *part = parts[0];
    struct stat st;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return hf_fail(why, HF_E_NOT_FOUND, "the repository %s cannot be opened: %s. %s", dir,
                       strerror(errno), what_to_do);
    int failed = fstatat(fd, timestamp_name + 1, &st, AT_SYMLINK_NOFOLLOW) != 0 ? errno : 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && failed == 0; i++) {
        if (faccessat(fd, parts[i], i > 0 ? R_OK | X_OK : R_OK, AT_EACCESS) != 0 &&
            errno == EACCES) {
            failed = errno;
            part = parts[i];
        }
    }
    close(fd);
    if (failed == 0)
        return HF_OK;
    if (failed == EACCES)
        return hf_fail(
            why, HF_E_STORAGE,
            "the repository %s cannot be read by this user: %s: %s. Let the user read it "
            "(chmod, chown)",
            dir, part, strerror(failed));
    return hf_fail(why, HF_E_NOT_FOUND, "%s is not a repository: %s: %s. %s", dir, part,
                   strerror(failed), what_to_do);
}

struct hf_repository_mark hf_repository_mark_read(const char *dir)
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

static enum hf_err add_file(struct load *l, int fd, const struct stat *st)
{
    struct hf_file_mark mark = hf_file_mark_of(st);
    struct hf_served_file *file = NULL;
    if (l->old != NULL)
        file = hf_edition_find(l->old, l->name, strlen(l->name));
    if (file != NULL && hf_file_mark_same(&file->mark, &mark)) {
        (void)hf_body_ref(&file->body);
        return hf_edition_add_take(l->new, file, l->why);
    }
    /* Checked before reading, so that a huge file does not get its memory first. */
    if ((uint64_t)st->st_size > HF_SERVE_REPOSITORY_BYTES_MAX)
        return hf_fail(l->why, HF_E_LIMIT, "%s is larger than %u MiB, the most that is served",
                       l->name, HF_SERVE_REPOSITORY_BYTES_MAX >> 20);

    /* Up to one byte more than there should be is read, to notice a file that grows. */
    size_t len = (size_t)st->st_size, n_read = 0;
    uint8_t *data = malloc(len + 1);
    if (data == NULL)
        return hf_fail(l->why, HF_E_MEMORY, "no memory for the %zu bytes of %s", len, l->name);
    enum hf_err err = HF_OK;
    ssize_t n = 1;
    while (err == HF_OK && n != 0 && n_read <= len) {
        n = read(fd, data + n_read, len + 1 - n_read);
        if (n > 0)
            n_read += (size_t)n;
        else if (n < 0 && errno != EINTR)
            err = hf_fail(l->why, HF_E_STORAGE, "%s cannot be read: %s", l->name, strerror(errno));
    }
    if (err == HF_OK && n_read != len)
        err = hf_fail(l->why, HF_E_STORAGE, "%s changed while it was being read", l->name);
    if (err != HF_OK) {
        free(data);
        return err;
    }
    HF_TRY(hf_served_file_new_take(l->name, &mark, data, len, &file, l->why));
    return hf_edition_add_take(l->new, file, l->why);
}

static enum hf_err load_folder_take(struct load *l, int fd);

/* One directory entry, whose name is `l->name`. What is neither file nor folder is not served. */
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
        err = hf_fail(l->why, HF_E_STORAGE, "%s cannot be read: %s", l->name, strerror(errno));
    else if (S_ISDIR(st.st_mode))
        return load_folder_take(l, fd);
    else if (!S_ISREG(st.st_mode))
        hf_edition_skip(l->new, l->name, other_kind);
    else if (strncmp(l->name, "/metadata/", 10) != 0 || hf_name_ends_with(l->name, ".json"))
        err = add_file(l, fd, &st);
    close(fd);
    return err;
}

/* Names that a publisher's half-written files have, and what editors and copying tools leave. */
static bool is_temporary(const char *entry)
{
    return entry[0] == '.' || hf_name_ends_with(entry, "~") || hf_name_ends_with(entry, ".tmp") ||
           hf_name_ends_with(entry, ".part");
}

/* All of the folder `fd`, whose name is `l->name`. */
static enum hf_err load_folder_take(struct load *l, int fd)
{
    if (l->depth >= HF_SERVE_REPOSITORY_DEPTH_MAX) {
        close(fd);
        return hf_fail(l->why, HF_E_LIMIT, "%s: folders nest deeper than %u", l->name,
                       HF_SERVE_REPOSITORY_DEPTH_MAX);
    }
    DIR *folder = fdopendir(fd);
    if (folder == NULL) {
        close(fd);
        return hf_fail(l->why, HF_E_MEMORY, "%s cannot be listed: %s", l->name, strerror(errno));
    }
    size_t name_len = strlen(l->name);
    enum hf_err err = HF_OK;
    l->depth++;
    while (err == HF_OK) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL && errno != 0)
            err = hf_fail(l->why, HF_E_STORAGE, "%s cannot be listed: %s", l->name,
                          strerror(errno));
        if (entry == NULL)
            break;
        if (is_temporary(entry->d_name))
            continue;
        size_t room = sizeof l->name - name_len;
        int len = snprintf(l->name + name_len, room, "/%s", entry->d_name);
        /* A longer name is no path that TUF could name; the timestamp was the first. */
        if (len > 0 && (size_t)len < room && strcmp(l->name, timestamp_name) != 0)
            err = load_entry(l, dirfd(folder), entry->d_name);
        l->name[name_len] = '\0';
    }
    l->depth--;
    closedir(folder);
    return err;
}

/* Open DIR/metadata or DIR/targets. `*out` is -1 if an optional one is missing. */
static enum hf_err open_folder(struct load *l, int dir, const char *entry, bool is_optional,
                               int *out)
{
    (void)snprintf(l->name, sizeof l->name, "/%s", entry);
    int fd = openat(dir, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int failed = errno;
    struct stat st;
    if (fd >= 0 || (failed == ENOENT && is_optional)) {
        *out = fd;
        return HF_OK;
    }
    if (fstatat(dir, entry, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
        hf_edition_skip(l->new, l->name, link_kind);
    else if (failed != ENOENT)
        return hf_fail(l->why, HF_E_STORAGE, "the folder %s cannot be opened: %s", entry,
                       strerror(failed));
    return hf_edition_fail_missing(l->new, l->name, l->why);
}

static enum hf_err load_all(struct load *l, int dir)
{
    int folder = -1;
    HF_TRY(open_folder(l, dir, "metadata", false, &folder));
    (void)snprintf(l->name, sizeof l->name, "%s", timestamp_name);
    enum hf_err err = load_entry(l, folder, "timestamp.json");
    if (err == HF_OK && l->new->n_files == 0)
        err = hf_edition_fail_missing(l->new, timestamp_name, l->why);
    if (err != HF_OK) {
        close(folder);
        return err;
    }
    (void)snprintf(l->name, sizeof l->name, "/metadata");
    HF_TRY(load_folder_take(l, folder));
    /* A repository without any target may have no folder for them. */
    HF_TRY(open_folder(l, dir, "targets", true, &folder));
    return folder >= 0 ? load_folder_take(l, folder) : HF_OK;
}

enum hf_err hf_repository_load(const char *dir, const struct hf_edition *old,
                               struct hf_edition **out, struct hf_why *why)
{
    struct load l = {.old = old, .why = why};
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return hf_fail(why, errno == ENOENT ? HF_E_NOT_FOUND : HF_E_STORAGE,
                       "the folder cannot be opened: %s", strerror(errno));
    enum hf_err err = hf_edition_new(&l.new, why);
    if (err == HF_OK)
        err = load_all(&l, fd);
    close(fd);
    if (err != HF_OK) {
        hf_edition_unref(l.new);
        return err;
    }
    hf_edition_sort(l.new);
    *out = l.new;
    return HF_OK;
}
