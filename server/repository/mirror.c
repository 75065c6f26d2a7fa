#include "server/repository/mirror.h"

#include "server/repository/mirror_collect.h"
#include "server/repository/repo_verify.h"
#include "server/repository/repo_write.h"

#include "common/base/limits.h"
#include "common/os/file_util.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
                       "somebody changed it; use a folder of its own",
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
        return hf_fail_context(why, "with what lies in %s devices would refuse it", t->to.dir);
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

/* Where the keys before signed along, the new timestamp is good under the root that OUT has, and a
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
    return hf_mirror_collect(m, &t->set, why);
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
                       "--out %s is the repository itself; a mirror needs a folder of its own",
                       m->out_dir);
    return HF_OK;
}

enum hf_err hf_mirror_run(struct hf_mirror *m, struct hf_why *why)
{
    struct transfer t = {.from = {.dir = m->repo_dir, .pinned_root = m->root},
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
