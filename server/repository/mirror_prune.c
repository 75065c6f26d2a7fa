#include "server/repository/mirror_prune.h"

#include "common/rollout/role.h"
#include "server/repository/repo_read.h"

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

static int compare_versions(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* A version was replaced when the next one was written here. Times that a copy made younger, or
 * that cannot be read, keep more than is needed. */
static bool was_replaced_lately(const struct hf_mirror_prune *m, const char *role, int64_t next)
{
    struct hf_path name, path;
    struct stat st;
    if (m->keep_s == 0) /* the clock may have gone on since this run began */
        return false;
    if (hf_repo_delegated_path(role, next, true, &name, NULL) != HF_OK ||
        hf_path_set(&path, NULL, "%s/%s", m->out_dir, name.text) != HF_OK ||
        lstat(path.text, &st) != 0)
        return true;
    return (int64_t)st.st_mtime > m->now_s - m->keep_s;
}

/* The versions in OUT up to what is published: a higher one is not from here. What is published
 * stays; before it, `keep_versions` and what was replaced lately. */
static enum hf_err find_versions(const struct hf_mirror_prune *m, const char *role,
                                 int64_t published, struct versions *v, struct hf_why *why)
{
    struct hf_path folder;
    HF_TRY(hf_path_set(&folder, why, "%s/metadata", m->out_dir));
    DIR *dir = opendir(folder.text);
    if (dir == NULL)
        return hf_fail(why, HF_E_STORAGE, "cannot read the folder %s: %s", folder.text,
                       strerror(errno));
    enum hf_err err = HF_OK;
    const struct dirent *entry;
    while (err == HF_OK && (entry = readdir(dir)) != NULL) {
        int64_t version = hf_repo_version_in_name(entry->d_name, role);
        if (version <= 0 || version > published)
            continue;
        int64_t *more = realloc(v->items, (v->n_items + 1) * sizeof *more);
        if (more == NULL) {
            err = out_of_memory(why);
        } else {
            v->items = more;
            v->items[v->n_items++] = version;
        }
    }
    closedir(dir);
    if (v->n_items > 0)
        qsort(v->items, v->n_items, sizeof *v->items, compare_versions);

    size_t n_stay = (size_t)m->keep_versions + 1;
    while (v->n_leaving + n_stay < v->n_items &&
           !was_replaced_lately(m, role, v->items[v->n_leaving + 1]))
        v->n_leaving++;
    return err;
}

/* True with the metadata in `targets`, when the file is what its name says. Signatures are not
 * asked: it was signed by keys that may be gone, and only what it describes exactly is touched. */
static bool read_targets(const struct hf_repo *out, int64_t version, struct hf_targets *targets)
{
    struct hf_buf file = {0};
    bool is_known = false;
    if (hf_repo_read_role(out, HF_ROLE_TARGETS, version, true, &file, NULL) == HF_OK &&
        hf_targets_parse(hf_buf_bytes(&file), targets, NULL) == HF_OK) {
        is_known = targets->env.version == version;
        if (!is_known)
            hf_targets_free(targets);
    }
    hf_buf_free(&file);
    return is_known;
}

static enum hf_err remove_file(const struct hf_mirror_prune *m, const char *path,
                               struct hf_why *why)
{
    struct hf_path full;
    HF_TRY(hf_path_set(&full, why, "%s/%s", m->out_dir, path));
    if (unlink(full.text) != 0)
        return hf_fail(why, HF_E_STORAGE, "%s is up to date, but cannot remove %s: %s", m->out_dir,
                       full.text, strerror(errno));
    return json_array_append_new(m->removed, json_string(path)) == 0 ? HF_OK : out_of_memory(why);
}

static enum hf_err remove_role(const struct hf_mirror_prune *m, const char *role, int64_t version,
                               struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_repo_delegated_path(role, version, true, &path, why));
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

static enum hf_err remove_files(const struct hf_mirror_prune *m, const struct hf_repo *out,
                                const struct hf_targets *targets, const json_t *kept,
                                struct hf_why *why)
{
    for (size_t i = 0; i < targets->n_targets; i++) {
        const struct hf_target *target = &targets->targets[i];
        struct hf_path path;
        struct hf_buf bytes = {0};
        if (hf_repo_target_path(target, true, &path, NULL) != HF_OK ||
            json_object_get(kept, path.text) != NULL)
            continue;
        /* Below OUT, not through a link, and the very bytes that the metadata describes. */
        bool is_it = hf_target_path_is_safe(target->path) &&
                     hf_file_check_way(out->dir, path.text, NULL) == HF_OK &&
                     hf_repo_read(out, path.text, (size_t)target->info.length, &bytes, NULL) ==
                         HF_OK &&
                     hf_file_info_verify(&target->info, hf_buf_bytes(&bytes), path.text, NULL) ==
                         HF_OK;
        hf_buf_free(&bytes);
        if (is_it)
            HF_TRY(remove_file(m, path.text, why));
    }
    return HF_OK;
}

static enum hf_err prune_snapshots(const struct hf_mirror_prune *m, const struct hf_repo *out,
                                   const struct hf_trusted_set *now, struct hf_why *why)
{
    struct versions v = {0};
    enum hf_err err = find_versions(m, "snapshot", now->snapshot->env.version, &v, why);
    for (size_t i = 0; i < v.n_leaving && err == HF_OK; i++) {
        const int64_t version = v.items[i];
        struct hf_buf file = {0};
        struct hf_snapshot snapshot = {0};
        if (hf_repo_read_role(out, HF_ROLE_SNAPSHOT, version, true, &file, NULL) == HF_OK &&
            hf_snapshot_parse(hf_buf_bytes(&file), &snapshot, NULL) == HF_OK &&
            snapshot.env.version == version)
            err = remove_role(m, "snapshot", version, why);
        hf_snapshot_free(&snapshot);
        hf_buf_free(&file);
    }
    free(v.items);
    return err;
}

/* A kept snapshot finds its targets: these are replaced no oftener than snapshots, and not before
 * the snapshot that names them. */
static enum hf_err prune_targets(const struct hf_mirror_prune *m, const struct hf_repo *out,
                                 const struct hf_trusted_set *now, struct hf_why *why)
{
    struct versions v = {0};
    const struct hf_targets *published = hf_trusted_set_top_targets(now);
    json_t *kept = json_object();
    enum hf_err err = kept == NULL ? out_of_memory(why)
                                   : find_versions(m, "targets", published->env.version, &v, why);
    if (err == HF_OK)
        err = keep_files(published, kept, why);
    for (size_t i = v.n_leaving; i < v.n_items && err == HF_OK; i++) {
        struct hf_targets targets;
        if (!read_targets(out, v.items[i], &targets))
            continue; /* no device takes it, so it leads to nothing */
        err = keep_files(&targets, kept, why);
        hf_targets_free(&targets);
    }
    for (size_t i = 0; i < v.n_leaving && err == HF_OK; i++) {
        struct hf_targets targets;
        if (!read_targets(out, v.items[i], &targets))
            continue;
        /* Files first: after a power cut the metadata still says what was left behind. */
        err = remove_files(m, out, &targets, kept, why);
        hf_targets_free(&targets);
        if (err == HF_OK)
            err = remove_role(m, "targets", v.items[i], why);
    }
    json_decref(kept);
    free(v.items);
    return err;
}

/* As of snapshots: a kept snapshot finds its roles, which are replaced no oftener. Only what is
 * metadata of that number is touched. */
static enum hf_err prune_rollout(const struct hf_mirror_prune *m, const struct hf_repo *out,
                                 const struct hf_trusted_targets *role, struct hf_why *why)
{
    struct versions v = {0};
    enum hf_err err = find_versions(m, role->role, role->targets.env.version, &v, why);
    for (size_t i = 0; i < v.n_leaving && err == HF_OK; i++) {
        struct hf_buf file = {0};
        struct hf_path path;
        struct hf_targets targets = {0};
        if (hf_repo_delegated_path(role->role, v.items[i], true, &path, NULL) == HF_OK &&
            hf_repo_read(out, path.text, HF_TARGETS_BYTES_MAX, &file, NULL) == HF_OK &&
            hf_targets_parse(hf_buf_bytes(&file), &targets, NULL) == HF_OK &&
            targets.env.version == v.items[i])
            err = remove_role(m, role->role, v.items[i], why);
        hf_targets_free(&targets);
        hf_buf_free(&file);
    }
    free(v.items);
    return err;
}

enum hf_err hf_mirror_prune(const struct hf_mirror_prune *prune, const struct hf_trusted_set *now,
                            struct hf_why *why)
{
    const struct hf_repo out = {.dir = prune->out_dir};
    HF_TRY(prune_snapshots(prune, &out, now, why));
    for (size_t i = 0; i < now->n_targets; i++) {
        if (hf_rollout_role_set(now->targets[i]->role) != NULL)
            HF_TRY(prune_rollout(prune, &out, now->targets[i], why));
    }
    return prune_targets(prune, &out, now, why);
}
