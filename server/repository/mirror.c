#include "server/repository/mirror.h"

#include "common/base/limits.h"
#include "common/os/file_util.h"
#include "common/base/timetext.h"
#include "server/repository/repo_read.h"
#include "server/repository/repo_verify.h"
#include "server/repository/repo_write.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what may leave -------------------------------------------------------------------------- */

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
static enum hf_err remove_old(struct hf_mirror *mirror, const struct hf_trusted_set *now,
                              struct hf_why *why)
{
    const struct hf_repo out = {.dir = mirror->out_dir};
    mirror->keep_s = keep_s(mirror, now);
    HF_TRY(collect_snapshots(mirror, &out, why));
    return collect_targets(mirror, &out, now, why);
}

/* ---- mirror ---------------------------------------------------------------------------------- */

/* A target that is no bundle may be larger than one; it passes through memory all the same. */
#define TARGET_BYTES_MAX (64u * 1024u * 1024u)

struct transfer {
    struct hf_repo
        from; /* its timestamp is read once: a publication meanwhile is for the next run */
    struct hf_trusted_set set;
    struct hf_repo to; /* staged: what OUT lacks, new roots at the end */
    size_t n_rest;     /* of what is staged, without the roots */
    struct hf_self_signed self_signed;
};

static void free_transfer(struct transfer *t)
{
    hf_repo_unstage(&t->from);
    hf_repo_unstage(&t->to);
    hf_trusted_set_free(&t->set);
    hf_self_signed_free(&t->self_signed);
}

/* ---- what is there ---------------------------------------------------------------------------- */

/* What this command would export wrongly, and holdfastctl never makes. */
static enum hf_err check_kind(const struct transfer *t, struct hf_why *why)
{
    if (!t->set.root->consistent_snapshot)
        return hf_fail(why, HF_E_POLICY,
                       "root %" PRId64
                       " is without consistent_snapshot: its files change under one "
                       "name, and no order of writing them is right at every instant",
                       t->set.root->env.version);
    if (t->set.snapshot->n_entries != 1)
        return hf_fail(why, HF_E_POLICY,
                       "snapshot %" PRId64 " names %zu files, expected targets.json alone: "
                       "delegated roles are not mirrored",
                       t->set.snapshot->env.version, t->set.snapshot->n_entries);
    return HF_OK;
}

static enum hf_err verify_source(struct transfer *t, int64_t now_s, struct hf_why *why)
{
    struct hf_repo_bundles bundles = {0};
    HF_TRY(hf_repo_verify_metadata(&t->from, now_s, &t->set, why));
    HF_TRY(check_kind(t, why));
    HF_TRY(
        hf_repo_verify_bundles(&t->from, hf_trusted_set_top_targets(&t->set), true, &bundles, why));
    hf_repo_bundles_free(&bundles);
    return HF_OK;
}

static enum hf_err open_source(struct transfer *t, int64_t now_s, struct hf_why *why)
{
    struct hf_buf timestamp = {0};
    enum hf_err err = hf_repo_read(&t->from, HF_TIMESTAMP_FILE, HF_TIMESTAMP_BYTES_MAX, &timestamp,
                                   why);
    if (err == HF_OK)
        err = hf_repo_stage_take(&t->from, HF_TIMESTAMP_FILE, &timestamp, why);
    if (err == HF_OK)
        err = verify_source(t, now_s, why);
    hf_buf_free(&timestamp);
    return err == HF_OK ? HF_OK : hf_fail_context(why, "nothing was mirrored");
}

/* ---- what is missing in OUT ------------------------------------------------------------------- */

/* Sets `has_any` and `has_same`. A file too large to be right is there, and is another. */
static enum hf_err compare(const struct hf_repo *to, const char *path, struct hf_bytes wanted,
                           bool *has_any, bool *has_same, struct hf_why *why)
{
    struct hf_buf present = {0};
    HF_TRY(hf_file_check_way(to->dir, path, why));
    enum hf_err err = hf_repo_read(to, path, wanted.len, &present, why);
    *has_any = err != HF_E_NOT_FOUND;
    *has_same = err == HF_OK && hf_bytes_equal(hf_buf_bytes(&present), wanted);
    hf_buf_free(&present);
    return err == HF_E_NOT_FOUND || err == HF_E_LIMIT ? HF_OK : err;
}

static enum hf_err stage_if_missing(struct transfer *t, const char *path, struct hf_buf *bytes,
                                    bool is_root, struct hf_why *why)
{
    bool has_any = false, has_same = false;
    HF_TRY(compare(&t->to, path, hf_buf_bytes(bytes), &has_any, &has_same, why));
    if (has_same)
        return HF_OK;
    if (is_root && has_any)
        return hf_fail(why, HF_E_STATE,
                       "%s/%s is not the one of %s: it is a mirror of another repository, or "
                       "it was changed; use another folder",
                       t->to.dir, path, t->from.dir);
    return hf_repo_stage_take(&t->to, path, bytes, why);
}

/* `info` is what other metadata says of the file; NULL: what it is worth is seen in check_out. */
static enum hf_err add(struct transfer *t, const char *path, size_t max_bytes,
                       const struct hf_file_info *info, bool is_root, struct hf_why *why)
{
    struct hf_buf bytes = {0};
    enum hf_err err = hf_repo_read(&t->from, path, max_bytes, &bytes, why);
    if (err == HF_OK && info != NULL)
        err = hf_file_info_verify(info, hf_buf_bytes(&bytes), path, why);
    if (err == HF_OK)
        err = stage_if_missing(t, path, &bytes, is_root, why);
    hf_buf_free(&bytes);
    return err;
}

static enum hf_err add_role(struct transfer *t, enum hf_top_role role, int64_t version,
                            size_t max_bytes, const struct hf_file_info *info, struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_repo_role_path(role, version, true, &path, why));
    return add(t, path.text, max_bytes, info, role == HF_ROLE_ROOT, why);
}

static enum hf_err add_targets(struct transfer *t, const struct hf_targets *targets,
                               struct hf_why *why)
{
    for (size_t i = 0; i < targets->n_targets; i++) {
        const struct hf_target *target = &targets->targets[i];
        struct hf_path path;
        if (!hf_target_path_is_safe(target->path))
            return hf_fail(why, HF_E_FORMAT, "the target path %.200s cannot be a file of a mirror",
                           target->path);
        HF_TRY(hf_repo_target_path(target, true, &path, why));
        HF_TRY(add(t, path.text, TARGET_BYTES_MAX, &target->info, false, why));
    }
    return HF_OK;
}

static enum hf_err add_all(struct transfer *t, struct hf_why *why)
{
    const struct hf_targets *targets = hf_trusted_set_top_targets(&t->set);
    const struct hf_file_info *snapshot = &t->set.timestamp->snapshot;
    HF_TRY(add_targets(t, targets, why));
    HF_TRY(add_role(t, HF_ROLE_TARGETS, targets->env.version, HF_TARGETS_BYTES_MAX,
                    hf_snapshot_find(t->set.snapshot, "targets.json"), why));
    HF_TRY(add_role(t, HF_ROLE_SNAPSHOT, snapshot->version, HF_SNAPSHOT_BYTES_MAX, snapshot, why));
    HF_TRY(add_role(t, HF_ROLE_TIMESTAMP, 0, HF_TIMESTAMP_BYTES_MAX, NULL, why));
    t->n_rest = t->to.n_staged;
    for (int64_t version = 1; version <= t->set.root->env.version; version++)
        HF_TRY(add_role(t, HF_ROLE_ROOT, version, HF_ROOT_BYTES_MAX, NULL, why));
    return HF_OK;
}

/* ---- may OUT become it? ----------------------------------------------------------------------- */

/* Signed by a key that counts today: one that was stolen and rotated away holds nothing up. */
static bool is_genuine(const struct hf_timestamp *timestamp, const struct hf_root *root)
{
    return hf_envelope_verify(&timestamp->env, &root->ring, &root->roles[HF_ROLE_TIMESTAMP],
                              "timestamp", NULL) == HF_OK;
}

static enum hf_err judge_timestamp(const struct transfer *t, const struct hf_timestamp *present,
                                   struct hf_why *why)
{
    int64_t ours = t->set.timestamp->env.version;
    if (!is_genuine(present, t->set.root) || present->env.version <= ours)
        return HF_OK;
    return hf_fail(why, HF_E_ROLLBACK,
                   "%s has timestamp %" PRId64 ", %s only %" PRId64 ": it is an old copy; mirror "
                   "the newest one",
                   t->to.dir, present->env.version, t->from.dir, ours);
}

/* A timestamp in OUT that devices would refuse says nothing: it is replaced. */
static enum hf_err check_timestamp(const struct transfer *t, struct hf_why *why)
{
    const struct hf_repo as_it_is = {.dir = t->to.dir};
    struct hf_buf file = {0};
    struct hf_timestamp present;
    HF_TRY(hf_file_check_way(t->to.dir, HF_TIMESTAMP_FILE, why));
    enum hf_err err = hf_repo_read(&as_it_is, HF_TIMESTAMP_FILE, HF_TIMESTAMP_BYTES_MAX, &file,
                                   why);
    if (err == HF_E_NOT_FOUND || err == HF_E_LIMIT) {
        err = HF_OK;
    } else if (err == HF_OK && hf_timestamp_parse(hf_buf_bytes(&file), &present, NULL) == HF_OK) {
        err = judge_timestamp(t, &present, why);
        hf_timestamp_free(&present);
    }
    hf_buf_free(&file);
    return err;
}

/* OUT as it will be, newer roots that lie there included: a device would look for them. */
static enum hf_err check_out(const struct transfer *t, int64_t now_s, struct hf_why *why)
{
    struct hf_trusted_set seen = {0};
    HF_TRY(check_timestamp(t, why));
    if (hf_repo_verify_metadata(&t->to, now_s, &seen, why) != HF_OK)
        return hf_fail_context(why, "together with the files in %s devices would refuse it",
                               t->to.dir);
    int64_t newest = seen.root->env.version, ours = t->set.root->env.version;
    hf_trusted_set_free(&seen);
    if (newest == ours)
        return HF_OK;
    return hf_fail(why, HF_E_ROLLBACK,
                   "%s has root %" PRId64 ", %s only %" PRId64 ": it is an old copy; mirror the "
                   "newest one",
                   t->to.dir, newest, t->from.dir, ours);
}

/* ---- writing ---------------------------------------------------------------------------------- */

static enum hf_err write_staged(struct hf_repo *repo, int64_t now_s, struct hf_why *why)
{
    return repo->n_staged == 0 ? HF_OK : hf_repo_write(repo, now_s, why);
}

static enum hf_err take_roots(struct transfer *t, struct hf_repo *roots, struct hf_why *why)
{
    for (size_t i = t->n_rest; i < t->to.n_staged; i++)
        HF_TRY(hf_repo_stage_take(roots, t->to.staged[i].path, &t->to.staged[i].bytes, why));
    while (t->to.n_staged > t->n_rest)
        free(t->to.staged[--t->to.n_staged].path);
    return HF_OK;
}

/* Where the keys before signed too, the new timestamp is good under the root that OUT has, and a
 * root that comes after it is never seen beside a timestamp that it does not accept. */
static bool can_roots_wait(const struct transfer *t, int64_t now_s)
{
    const struct hf_repo rest = {.dir = t->to.dir,
                                 .staged = t->to.staged,
                                 .n_staged = t->n_rest,
                                 .self_signed = t->to.self_signed};
    return t->n_rest < t->to.n_staged && hf_repo_verify(&rest, now_s, NULL) == HF_OK;
}

static enum hf_err write_in_order(struct transfer *t, int64_t now_s, struct hf_why *why)
{
    struct hf_repo roots = {.dir = t->to.dir, .self_signed = t->to.self_signed};
    enum hf_err err = HF_OK;
    if (can_roots_wait(t, now_s))
        err = take_roots(t, &roots, why);
    if (err == HF_OK)
        err = write_staged(&t->to, now_s, why);
    if (err == HF_OK)
        err = write_staged(&roots, now_s, why);
    hf_repo_unstage(&roots);
    return err;
}

/* ---- the whole -------------------------------------------------------------------------------- */

static enum hf_err note(struct hf_mirror *m, const struct transfer *t, struct hf_why *why)
{
    const struct hf_trusted_set *set = &t->set;
    m->versions[HF_ROLE_ROOT] = set->root->env.version;
    m->versions[HF_ROLE_TIMESTAMP] = set->timestamp->env.version;
    m->versions[HF_ROLE_SNAPSHOT] = set->snapshot->env.version;
    m->versions[HF_ROLE_TARGETS] = hf_trusted_set_top_targets(set)->env.version;
    m->written = json_array();
    m->removed = json_array();
    int failures = m->written == NULL || m->removed == NULL;
    for (size_t i = 0; i < t->to.n_staged; i++)
        failures += json_array_append_new(m->written, json_string(t->to.staged[i].path)) != 0;
    return failures == 0 ? HF_OK : hf_fail(why, HF_E_MEMORY, "out of memory for the report");
}

static enum hf_err update_locked(struct hf_mirror *m, struct transfer *t, struct hf_why *why)
{
    HF_TRY(add_all(t, why));
    HF_TRY(check_out(t, m->now_s, why));
    HF_TRY(note(m, t, why));
    HF_TRY(write_in_order(t, m->now_s, why));
    return remove_old(m, &t->set, why);
}

static enum hf_err prepare_out(const struct hf_mirror *m, struct hf_why *why)
{
    struct stat from, to;
    if (!hf_file_exists(m->out_dir))
        return hf_file_make_new_dir(m->out_dir, 0755, why);
    if (stat(m->out_dir, &to) != 0 || !S_ISDIR(to.st_mode))
        return hf_fail(why, HF_E_STORAGE, "%s is no folder", m->out_dir);
    if (stat(m->repo_dir, &from) == 0 && from.st_dev == to.st_dev && from.st_ino == to.st_ino)
        return hf_fail(why, HF_E_ARGUMENT,
                       "--out %s is the repository itself; a mirror needs another folder",
                       m->out_dir);
    return HF_OK;
}

enum hf_err hf_mirror_run(struct hf_mirror *m, struct hf_why *why)
{
    struct transfer t = {.from = {.dir = m->repo_dir, .trusted_root = m->root},
                         .to = {.dir = m->out_dir}};
    int lock = -1;
    t.from.self_signed = t.to.self_signed = &t.self_signed;
    enum hf_err err = open_source(&t, m->now_s, why);
    if (err == HF_OK)
        err = prepare_out(m, why);
    if (err == HF_OK)
        err = hf_repo_lock(m->out_dir, &lock, why);
    if (err == HF_OK)
        err = update_locked(m, &t, why);
    hf_file_unlock(lock);
    free_transfer(&t);
    return err;
}

void hf_mirror_free(struct hf_mirror *m)
{
    json_decref(m->written);
    json_decref(m->removed);
    m->written = NULL;
    m->removed = NULL;
}
