#include "server/repository/mirror.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/rollout/role.h"
#include "server/repository/mirror_prune.h"
#include "server/repository/repo_verify.h"
#include "server/repository/repo_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A target that is no bundle may be larger than one; it passes through memory all the same. */
#define TARGET_BYTES_MAX (64u * 1024u * 1024u)

struct transfer {
    struct hf_repo from; /* its timestamp is read once; a later one is for the next run */
    struct hf_trusted_set set;
    struct hf_repo to; /* staged: what OUT lacks, new roots at the end */
    size_t n_rest;     /* of what is staged, without the roots */
    struct hf_self_signed self_signed;
};

/* The role of "rollout-SET.json". */
static bool role_of_file(const char *file, char role[HF_ROLLOUT_ROLE_SIZE])
{
    const size_t len = strlen(file), ending_len = sizeof ".json" - 1;
    if (len <= ending_len || strcmp(file + len - ending_len, ".json") != 0 ||
        len - ending_len >= HF_ROLLOUT_ROLE_SIZE)
        return false;
    (void)snprintf(role, HF_ROLLOUT_ROLE_SIZE, "%.*s", (int)(len - ending_len), file);
    return hf_rollout_role_set(role) != NULL;
}

/* Read and verify the repository, and refuse what cannot be exported rightly, which holdfastctl
 * never makes. */
static enum hf_err open_source(struct transfer *t, int64_t now_s, struct hf_why *why)
{
    struct hf_buf timestamp = {0};
    struct hf_repo_bundles bundles = {0};
    HF_TRY(hf_repo_read_role(&t->from, HF_ROLE_TIMESTAMP, 0, true, &timestamp, why));
    HF_TRY(hf_repo_stage_take(&t->from, HF_TIMESTAMP_FILE, &timestamp, why));
    HF_TRY(hf_repo_verify_metadata(&t->from, now_s, &t->set, why));
    if (!t->set.root->consistent_snapshot)
        return hf_fail(why, HF_E_POLICY,
                       "root %" PRId64
                       " is without consistent_snapshot: its files change under one "
                       "name, and no order of writing them is right at every instant",
                       t->set.root->env.version);
    for (size_t i = 0; i < t->set.snapshot->n_entries; i++) {
        const char *file = t->set.snapshot->entries[i].file;
        char role[HF_ROLLOUT_ROLE_SIZE];
        if (strcmp(file, "targets.json") != 0 && !role_of_file(file, role))
            return hf_fail(why, HF_E_POLICY,
                           "snapshot %" PRId64 " names %.80s, expected targets.json and roles of "
                           "rollouts: other delegated roles are not mirrored",
                           t->set.snapshot->env.version, file);
    }
    HF_TRY(
        hf_repo_verify_bundles(&t->from, hf_trusted_set_top_targets(&t->set), true, &bundles, why));
    hf_repo_bundles_free(&bundles);
    return HF_OK;
}

/* Stage the file if OUT lacks it. `info` is what other metadata says of it; NULL: what it is worth
 * is seen in check_out. A root is never replaced. */
static enum hf_err add(struct transfer *t, const char *path, size_t max_bytes,
                       const struct hf_file_info *info, bool is_root, struct hf_why *why)
{
    struct hf_buf bytes = {0}, present = {0};
    enum hf_err err = hf_repo_read(&t->from, path, max_bytes, &bytes, why);
    if (err == HF_OK && info != NULL)
        err = hf_file_info_verify(info, hf_buf_bytes(&bytes), path, why);
    if (err == HF_OK)
        err = hf_file_check_way(t->to.dir, path, why);
    if (err != HF_OK)
        goto out;
    err = hf_repo_read(&t->to, path, bytes.len, &present, why);
    bool has_any = err != HF_E_NOT_FOUND;
    bool has_same = err == HF_OK && hf_bytes_equal(hf_buf_bytes(&present), hf_buf_bytes(&bytes));
    /* A file that is too large to be right is there, and is another. */
    if (err == HF_E_NOT_FOUND || err == HF_E_LIMIT)
        err = HF_OK;
    if (err != HF_OK || has_same)
        goto out;
    if (is_root && has_any)
        err = hf_fail(why, HF_E_STATE,
                      "%s/%s is not the one of %s: it is a mirror of another repository, or "
                      "it was changed; use another folder",
                      t->to.dir, path, t->from.dir);
    else
        err = hf_repo_stage_take(&t->to, path, &bytes, why);
out:
    hf_buf_free(&present);
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

static enum hf_err add_all(struct transfer *t, struct hf_why *why)
{
    const struct hf_targets *targets = hf_trusted_set_top_targets(&t->set);
    const struct hf_file_info *snapshot = &t->set.timestamp->snapshot;
    for (size_t i = 0; i < targets->n_targets; i++) {
        const struct hf_target *target = &targets->targets[i];
        struct hf_path path;
        if (!hf_target_path_is_safe(target->path))
            return hf_fail(why, HF_E_FORMAT, "the target path %.200s cannot be a file of a mirror",
                           target->path);
        HF_TRY(hf_repo_target_path(target, true, &path, why));
        HF_TRY(add(t, path.text, TARGET_BYTES_MAX, &target->info, false, why));
    }
    HF_TRY(add_role(t, HF_ROLE_TARGETS, targets->env.version, HF_TARGETS_BYTES_MAX,
                    hf_snapshot_find(t->set.snapshot, "targets.json"), why));
    for (size_t i = 0; i < t->set.snapshot->n_entries; i++) {
        const struct hf_snapshot_entry *entry = &t->set.snapshot->entries[i];
        char role[HF_ROLLOUT_ROLE_SIZE];
        struct hf_path path;
        if (!role_of_file(entry->file, role))
            continue;
        HF_TRY(hf_repo_delegated_path(role, entry->info.version, true, &path, why));
        HF_TRY(add(t, path.text, HF_TARGETS_BYTES_MAX, &entry->info, false, why));
    }
    HF_TRY(add_role(t, HF_ROLE_SNAPSHOT, snapshot->version, HF_SNAPSHOT_BYTES_MAX, snapshot, why));
    HF_TRY(add_role(t, HF_ROLE_TIMESTAMP, 0, HF_TIMESTAMP_BYTES_MAX, NULL, why));
    t->n_rest = t->to.n_staged;
    for (int64_t version = 1; version <= t->set.root->env.version; version++)
        HF_TRY(add_role(t, HF_ROLE_ROOT, version, HF_ROOT_BYTES_MAX, NULL, why));
    return HF_OK;
}

/* A timestamp in OUT counts if a key of today signed it: one that was stolen and rotated away holds
 * nothing up. One that devices would refuse is replaced. */
static enum hf_err check_timestamp(const struct transfer *t, struct hf_why *why)
{
    const struct hf_repo as_it_is = {.dir = t->to.dir};
    const struct hf_root *root = t->set.root;
    struct hf_buf file = {0};
    struct hf_timestamp present = {0};
    int64_t ours = t->set.timestamp->env.version;
    HF_TRY(hf_file_check_way(t->to.dir, HF_TIMESTAMP_FILE, why));
    enum hf_err err = hf_repo_read_role(&as_it_is, HF_ROLE_TIMESTAMP, 0, true, &file, why);
    if (err == HF_E_NOT_FOUND || err == HF_E_LIMIT)
        return HF_OK;
    if (err == HF_OK && hf_timestamp_parse(hf_buf_bytes(&file), &present, NULL) == HF_OK &&
        hf_envelope_verify(&present.env, &root->ring, &root->roles[HF_ROLE_TIMESTAMP], "timestamp",
                           NULL) == HF_OK &&
        present.env.version > ours)
        err = hf_fail(why, HF_E_ROLLBACK,
                      "%s has timestamp %" PRId64 ", %s only %" PRId64
                      ": it is an old copy; mirror "
                      "the newest one",
                      t->to.dir, present.env.version, t->from.dir, ours);
    hf_timestamp_free(&present);
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

static enum hf_err write_staged(struct hf_repo *repo, int64_t now_s, struct hf_why *why)
{
    return repo->n_staged == 0 ? HF_OK : hf_repo_write(repo, now_s, NULL, why);
}

static enum hf_err write_in_order(struct transfer *t, int64_t now_s, struct hf_why *why)
{
    struct hf_repo roots = {.dir = t->to.dir, .self_signed = t->to.self_signed};
    const struct hf_repo rest = {.dir = t->to.dir,
                                 .staged = t->to.staged,
                                 .n_staged = t->n_rest,
                                 .self_signed = t->to.self_signed};
    enum hf_err err = HF_OK;
    /* Where the keys before signed too, the new timestamp is good under the root that OUT has, and
     * a root that comes after it is never seen beside a timestamp that it does not accept. */
    if (t->n_rest < t->to.n_staged && hf_repo_verify(&rest, now_s, NULL) == HF_OK) {
        for (size_t i = t->n_rest; i < t->to.n_staged && err == HF_OK; i++)
            err = hf_repo_stage_take(&roots, t->to.staged[i].path, &t->to.staged[i].bytes, why);
        while (err == HF_OK && t->to.n_staged > t->n_rest)
            free(t->to.staged[--t->to.n_staged].path);
    }
    if (err == HF_OK)
        err = write_staged(&t->to, now_s, why);
    if (err == HF_OK)
        err = write_staged(&roots, now_s, why);
    hf_repo_unstage(&roots);
    return err;
}

/* What the report says of the run. */
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
    if (err != HF_OK)
        (void)hf_fail_context(why, "nothing was mirrored");
    if (err == HF_OK)
        err = prepare_out(m, why);
    if (err == HF_OK)
        err = hf_repo_lock(m->out_dir, &lock, why);
    if (err == HF_OK)
        err = add_all(&t, why);
    if (err == HF_OK)
        err = check_out(&t, m->now_s, why);
    if (err == HF_OK)
        err = note(m, &t, why);
    if (err == HF_OK)
        err = write_in_order(&t, m->now_s, why);
    if (err == HF_OK) {
        /* A timestamp that was replaced today may be held, and believed, for as long as the new one
         * lasts. */
        int64_t lasts_s = t.set.timestamp->env.expires_s - m->now_s;
        m->keep_s = m->keep_days * HF_DAY_S;
        if (m->keep_s > 0 && lasts_s > m->keep_s)
            m->keep_s = lasts_s;
        const struct hf_mirror_prune prune = {m->out_dir, m->now_s, m->keep_versions, m->keep_s,
                                              m->removed};
        err = hf_mirror_prune(&prune, &t.set, why);
    }
    hf_file_unlock(lock);
    hf_repo_unstage(&t.from);
    hf_repo_unstage(&t.to);
    hf_trusted_set_free(&t.set);
    hf_self_signed_free(&t.self_signed);
    return err;
}

void hf_mirror_free(struct hf_mirror *m)
{
    json_decref(m->written);
    json_decref(m->removed);
    m->written = NULL;
    m->removed = NULL;
}
