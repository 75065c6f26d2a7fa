#include "server/repository/mirror_collect.h"

#include "server/repository/repo_read.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct versions {
    int64_t *items; /* owned, ascending */
    size_t n_items;
    size_t n_leaving; /* the first of them */
};

static enum hf_err out_of_memory(struct hf_why *why)
{
    return hf_fail(why, HF_E_MEMORY, "out of memory while old files are looked for");
}

/* ---- which versions leave --------------------------------------------------------------------- */

static enum hf_err add_version(struct versions *v, int64_t version, struct hf_why *why)
{
    int64_t *more = realloc(v->items, (v->n_items + 1) * sizeof *more);
    if (more == NULL)
        return out_of_memory(why);
    v->items = more;
    v->items[v->n_items++] = version;
    return HF_OK;
}

static int compare_versions(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Up to `current`: a higher one is not from here. */
static enum hf_err list_versions(const struct hf_repo *out, enum hf_top_role role, int64_t current,
                                 struct versions *v, struct hf_why *why)
{
    struct hf_path folder;
    HF_TRY(hf_path_set(&folder, why, "%s/metadata", out->dir));
    DIR *dir = opendir(folder.text);
    if (dir == NULL)
        return hf_fail(why, HF_E_STORAGE, "cannot read the folder %s: %s", folder.text,
                       strerror(errno));
    enum hf_err err = HF_OK;
    const struct dirent *entry;
    while (err == HF_OK && (entry = readdir(dir)) != NULL) {
        int64_t version = hf_repo_version_in_name(entry->d_name, role);
        if (version > 0 && version <= current)
            err = add_version(v, version, why);
    }
    closedir(dir);
    if (v->n_items > 0)
        qsort(v->items, v->n_items, sizeof *v->items, compare_versions);
    return err;
}

/* A version was replaced when the next one was written here. Times that a copy made younger, or
 * that cannot be read, keep more than is needed. */
static bool was_replaced_lately(const struct hf_mirror *m, enum hf_top_role role, int64_t next)
{
    struct hf_path name, path;
    struct stat st;
    if (m->keep_s == 0) /* the clock may have gone on since this run began */
        return false;
    if (hf_repo_role_path(role, next, true, &name, NULL) != HF_OK ||
        hf_path_set(&path, NULL, "%s/%s", m->out_dir, name.text) != HF_OK ||
        lstat(path.text, &st) != 0)
        return true;
    return (int64_t)st.st_mtime > m->now_s - m->keep_s;
}

/* The newest is what is published; before it, `keep_versions`, and what was replaced lately. */
static void choose_leaving(const struct hf_mirror *m, enum hf_top_role role, struct versions *v)
{
    size_t n_stay = (size_t)m->keep_versions + 1;
    size_t n = v->n_items > n_stay ? v->n_items - n_stay : 0;
    v->n_leaving = 0;
    while (v->n_leaving < n && !was_replaced_lately(m, role, v->items[v->n_leaving + 1]))
        v->n_leaving++;
}

static enum hf_err find_versions(const struct hf_mirror *m, const struct hf_repo *out,
                                 enum hf_top_role role, struct versions *v, struct hf_why *why)
{
    HF_TRY(list_versions(out, role, m->versions[role], v, why));
    choose_leaving(m, role, v);
    return HF_OK;
}

/* ---- what is known of a file ------------------------------------------------------------------ */

static enum hf_err read_role(const struct hf_repo *out, enum hf_top_role role, int64_t version,
                             size_t max_bytes, struct hf_buf *file)
{
    struct hf_path path;
    HF_TRY(hf_repo_role_path(role, version, true, &path, NULL));
    return hf_repo_read(out, path.text, max_bytes, file, NULL);
}

/* True with the metadata in `targets`, when the file is what its name says. Signatures are not
 * asked: it was signed by keys that may be gone, and only what it describes exactly is touched. */
static bool read_targets(const struct hf_repo *out, int64_t version, struct hf_targets *targets)
{
    struct hf_buf file = {0};
    bool is_known = false;
    if (read_role(out, HF_ROLE_TARGETS, version, HF_TARGETS_BYTES_MAX, &file) == HF_OK &&
        hf_targets_parse(hf_buf_bytes(&file), targets, NULL) == HF_OK) {
        is_known = targets->env.version == version;
        if (!is_known)
            hf_targets_free(targets);
    }
    hf_buf_free(&file);
    return is_known;
}

static bool is_snapshot(const struct hf_repo *out, int64_t version)
{
    struct hf_buf file = {0};
    struct hf_snapshot snapshot;
    bool is_known = false;
    if (read_role(out, HF_ROLE_SNAPSHOT, version, HF_SNAPSHOT_BYTES_MAX, &file) == HF_OK &&
        hf_snapshot_parse(hf_buf_bytes(&file), &snapshot, NULL) == HF_OK) {
        is_known = snapshot.env.version == version;
        hf_snapshot_free(&snapshot);
    }
    hf_buf_free(&file);
    return is_known;
}

/* ---- removing --------------------------------------------------------------------------------- */

static enum hf_err remove_file(struct hf_mirror *m, const char *path, struct hf_why *why)
{
    struct hf_path full;
    HF_TRY(hf_path_set(&full, why, "%s/%s", m->out_dir, path));
    if (unlink(full.text) != 0)
        return hf_fail(why, HF_E_STORAGE, "%s is up to date, but cannot remove %s: %s", m->out_dir,
                       full.text, strerror(errno));
    return json_array_append_new(m->removed, json_string(path)) == 0 ? HF_OK : out_of_memory(why);
}

static enum hf_err remove_role(struct hf_mirror *m, enum hf_top_role role, int64_t version,
                               struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_repo_role_path(role, version, true, &path, why));
    return remove_file(m, path.text, why);
}

/* Adds the paths of all its files to the keys of `kept`. */
static enum hf_err keep_files(const struct hf_targets *targets, json_t *kept, struct hf_why *why)
{
    for (size_t i = 0; i < targets->n_targets; i++) {
        struct hf_path path;
        HF_TRY(hf_repo_target_path(&targets->targets[i], true, &path, why));
        if (json_object_set_new(kept, path.text, json_true()) != 0)
            return out_of_memory(why);
    }
    return HF_OK;
}

static enum hf_err keep_listed(const struct hf_repo *out, const struct versions *v, json_t *kept,
                               struct hf_why *why)
{
    enum hf_err err = HF_OK;
    for (size_t i = v->n_leaving; i < v->n_items && err == HF_OK; i++) {
        struct hf_targets targets;
        if (!read_targets(out, v->items[i], &targets))
            continue; /* no device takes it, so it leads to nothing */
        err = keep_files(&targets, kept, why);
        hf_targets_free(&targets);
    }
    return err;
}

/* Below OUT, not through a link, and the very bytes that the metadata describes. */
static bool is_its_file(const struct hf_repo *out, const struct hf_target *target, const char *path)
{
    struct hf_buf bytes = {0};
    bool is_it = hf_target_path_is_safe(target->path) &&
                 hf_file_check_way(out->dir, path, NULL) == HF_OK &&
                 hf_repo_read(out, path, (size_t)target->info.length, &bytes, NULL) == HF_OK &&
                 hf_file_info_verify(&target->info, hf_buf_bytes(&bytes), path, NULL) == HF_OK;
    hf_buf_free(&bytes);
    return is_it;
}

static enum hf_err remove_files(struct hf_mirror *m, const struct hf_repo *out,
                                const struct hf_targets *targets, const json_t *kept,
                                struct hf_why *why)
{
    for (size_t i = 0; i < targets->n_targets; i++) {
        const struct hf_target *target = &targets->targets[i];
        struct hf_path path;
        if (hf_repo_target_path(target, true, &path, NULL) == HF_OK &&
            json_object_get(kept, path.text) == NULL && is_its_file(out, target, path.text))
            HF_TRY(remove_file(m, path.text, why));
    }
    return HF_OK;
}

/* Files first: after a cut the metadata still says what was left behind. */
static enum hf_err remove_targets(struct hf_mirror *m, const struct hf_repo *out,
                                  const struct versions *v, const json_t *kept, struct hf_why *why)
{
    enum hf_err err = HF_OK;
    for (size_t i = 0; i < v->n_leaving && err == HF_OK; i++) {
        struct hf_targets targets;
        if (!read_targets(out, v->items[i], &targets))
            continue;
        err = remove_files(m, out, &targets, kept, why);
        hf_targets_free(&targets);
        if (err == HF_OK)
            err = remove_role(m, HF_ROLE_TARGETS, v->items[i], why);
    }
    return err;
}

static enum hf_err collect_snapshots(struct hf_mirror *m, const struct hf_repo *out,
                                     struct hf_why *why)
{
    struct versions v = {0};
    enum hf_err err = find_versions(m, out, HF_ROLE_SNAPSHOT, &v, why);
    for (size_t i = 0; i < v.n_leaving && err == HF_OK; i++) {
        if (is_snapshot(out, v.items[i]))
            err = remove_role(m, HF_ROLE_SNAPSHOT, v.items[i], why);
    }
    free(v.items);
    return err;
}

static enum hf_err collect_targets(struct hf_mirror *m, const struct hf_repo *out,
                                   const struct hf_trusted_set *now, struct hf_why *why)
{
    struct versions v = {0};
    json_t *kept = json_object();
    enum hf_err err = kept == NULL ? out_of_memory(why)
                                   : find_versions(m, out, HF_ROLE_TARGETS, &v, why);
    if (err == HF_OK)
        err = keep_files(hf_trusted_set_top_targets(now), kept, why);
    if (err == HF_OK)
        err = keep_listed(out, &v, kept, why);
    if (err == HF_OK)
        err = remove_targets(m, out, &v, kept, why);
    json_decref(kept);
    free(v.items);
    return err;
}

/* A timestamp that was replaced today may be held, and believed, for as long as the new one lasts. */
static int64_t keep_s(const struct hf_mirror *mirror, const struct hf_trusted_set *now)
{
    int64_t asked_s = mirror->keep_days * HF_DAY_S;
    int64_t lasts_s = now->timestamp->env.expires_s - mirror->now_s;
    return asked_s > 0 && lasts_s > asked_s ? lasts_s : asked_s;
}

/* A kept snapshot finds its targets: these are replaced no oftener than snapshots, and not before
 * the snapshot that names them. */
enum hf_err hf_mirror_collect(struct hf_mirror *mirror, const struct hf_trusted_set *now,
                              struct hf_why *why)
{
    const struct hf_repo out = {.dir = mirror->out_dir};
    mirror->keep_s = keep_s(mirror, now);
    HF_TRY(collect_snapshots(mirror, &out, why));
    return collect_targets(mirror, &out, now, why);
}
