#include "common/tuf/trusted_set.h"

#include "common/base/timetext.h"
#include "common/tuf/trusted_checks.h"

#include <stdlib.h>

/* ---- root, 5.2 and 5.3 ------------------------------------------------------------------------ */

static struct hf_root *parse_root(struct hf_bytes file, enum hf_err *err, struct hf_why *why)
{
    struct hf_root *root = calloc(1, sizeof *root);
    *err = root == NULL ? hf_fail(why, HF_E_MEMORY, "out of memory while reading root metadata")
                        : hf_root_parse(file, root, why);
    if (*err == HF_OK)
        return root;
    free(root);
    return NULL;
}

static void free_root(struct hf_root *root)
{
    hf_root_free(root);
    free(root);
}

enum hf_err hf_trusted_set_resume(struct hf_trusted_set *set, struct hf_bytes root, int64_t now_s,
                                  const struct hf_receipts *known, struct hf_why *why)
{
    enum hf_err err = HF_E_SIGNATURE;
    struct hf_root *first = parse_root(root, &err, why);
    if (first == NULL)
        return err;
    err = hf_verify_top_role(first, HF_ROLE_ROOT, &first->env, known, why);
    if (err != HF_OK) {
        free_root(first);
        return err;
    }
    *set = (struct hf_trusted_set){.now_s = now_s, .root = first, .known = *known};
    return HF_OK;
}

enum hf_err hf_trusted_set_init(struct hf_trusted_set *set, struct hf_bytes root, int64_t now_s,
                                struct hf_why *why)
{
    static const struct hf_receipts none;
    return hf_trusted_set_resume(set, root, now_s, &none, why);
}

static enum hf_err accept_root(const struct hf_trusted_set *set, const struct hf_root *next,
                               struct hf_why *why)
{
    /* 5.3.4: by the keys trusted so far, and by its own */
    HF_TRY(hf_verify_top_role(set->root, HF_ROLE_ROOT, &next->env, NULL, why));
    HF_TRY(hf_verify_top_role(next, HF_ROLE_ROOT, &next->env, NULL, why));
    /* 5.3.5 */
    if (next->env.version != set->root->env.version + 1)
        return hf_fail(why, HF_E_ROLLBACK,
                       "expected root version %lld, found version %lld (TUF 5.3.5)",
                       (long long)set->root->env.version + 1, (long long)next->env.version);
    return HF_OK;
}

enum hf_err hf_trusted_set_update_root(struct hf_trusted_set *set, struct hf_bytes file,
                                       struct hf_why *why)
{
    if (set->root == NULL || set->roots_ended)
        return hf_fail(why, HF_E_STATE, "root metadata is updated before any other role");
    enum hf_err err = HF_E_SIGNATURE;
    struct hf_root *next = parse_root(file, &err, why);
    if (next == NULL)
        return err;
    err = accept_root(set, next, why);
    if (err != HF_OK) {
        free_root(next);
        return err;
    }
    if (!hf_role_keys_same(set->root, next, HF_ROLE_TIMESTAMP) ||
        !hf_role_keys_same(set->root, next, HF_ROLE_SNAPSHOT))
        set->online_keys_rotated = true;
    free_root(set->root);
    set->root = next;
    return HF_OK;
}

enum hf_err hf_trusted_set_end_roots(struct hf_trusted_set *set, struct hf_why *why)
{
    if (set->root == NULL)
        return hf_fail(why, HF_E_STATE, "there is no root metadata yet");
    HF_TRY(hf_check_expiry(set, &set->root->env, "root", "5.3.10", why));
    set->roots_ended = true;
    return HF_OK;
}

/* ---- timestamp, 5.4 --------------------------------------------------------------------------- */

/* 5.4.3: neither this file nor the snapshot it names goes back. */
static enum hf_err check_timestamp_rollback(const struct hf_timestamp *trusted,
                                            const struct hf_timestamp *next, struct hf_why *why)
{
    if (next->env.version < trusted->env.version)
        return hf_fail(
            why, HF_E_ROLLBACK,
            "timestamp version %lld is older than version %lld, which this device trusts "
            "already (TUF 5.4.3)",
            (long long)next->env.version, (long long)trusted->env.version);
    if (next->env.version == trusted->env.version)
        return hf_fail(why, HF_E_SAME_VERSION, "timestamp version %lld is trusted already",
                       (long long)next->env.version);
    if (next->snapshot.version < trusted->snapshot.version)
        return hf_fail(why, HF_E_ROLLBACK,
                       "timestamp version %lld names snapshot version %lld, version %lld was named "
                       "before (TUF 5.4.3)",
                       (long long)next->env.version, (long long)next->snapshot.version,
                       (long long)trusted->snapshot.version);
    return HF_OK;
}

/* 5.3.11: what was cached may be what an attacker pushed ahead with the keys of before. */
static enum hf_err check_cache_counts(const struct hf_trusted_set *set, enum hf_origin origin,
                                      struct hf_why *why)
{
    if (origin == HF_FETCHED || !set->online_keys_rotated)
        return HF_OK;
    return hf_fail(
        why, HF_E_STATE,
        "the keys of timestamp or snapshot were rotated; what was cached before does not "
        "count any more (TUF 5.3.11)");
}

static enum hf_err accept_timestamp(const struct hf_trusted_set *set,
                                    const struct hf_timestamp *next, struct hf_why *why)
{
    HF_TRY(hf_verify_top_role(set->root, HF_ROLE_TIMESTAMP, &next->env, &set->known, why));
    return set->timestamp == NULL ? HF_OK : check_timestamp_rollback(set->timestamp, next, why);
}

static void free_timestamp(struct hf_timestamp *timestamp)
{
    hf_timestamp_free(timestamp);
    free(timestamp);
}

/* A genuine cached file stays as the floor even when it has expired: what it says about versions is
 * still true. A fetched one is worth nothing then. */
static bool is_kept(enum hf_err last_check, enum hf_origin origin)
{
    return last_check == HF_OK || origin == HF_CACHED;
}

enum hf_err hf_trusted_set_update_timestamp(struct hf_trusted_set *set, struct hf_bytes file,
                                            enum hf_origin origin, struct hf_why *why)
{
    if (!set->roots_ended || set->snapshot != NULL)
        return hf_fail(why, HF_E_STATE, "timestamp is updated after root and before snapshot");
    HF_TRY(check_cache_counts(set, origin, why));
    struct hf_timestamp *next = calloc(1, sizeof *next);
    if (next == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading timestamp metadata");
    enum hf_err err = hf_timestamp_parse(file, next, why);
    if (err == HF_OK)
        err = accept_timestamp(set, next, why);
    if (err != HF_OK) {
        free_timestamp(next);
        return err;
    }
    err = hf_check_expiry(set, &next->env, "timestamp", "5.4.4", why);
    if (!is_kept(err, origin)) {
        free_timestamp(next);
        return err;
    }
    free_timestamp(set->timestamp);
    set->timestamp = next;
    return err;
}

enum hf_err hf_trusted_set_timestamp_is_final(const struct hf_trusted_set *set, struct hf_why *why)
{
    if (set->timestamp == NULL)
        return hf_fail(why, HF_E_STATE, "there is no trusted timestamp");
    return hf_check_expiry(set, &set->timestamp->env, "timestamp", "5.4.4", why);
}

/* ---- snapshot, 5.5 ---------------------------------------------------------------------------- */

/* 5.5.4 */
static enum hf_err check_announced_version(const struct hf_trusted_set *set,
                                           const struct hf_snapshot *next, struct hf_why *why)
{
    int64_t announced = set->timestamp->snapshot.version;
    if (next->env.version == announced)
        return HF_OK;
    return hf_fail(why, HF_E_ROLLBACK,
                   "timestamp names snapshot version %lld, found version %lld (TUF 5.5.4)",
                   (long long)announced, (long long)next->env.version);
}

/* 5.5.5: no targets file goes back or disappears. */
static enum hf_err check_snapshot_rollback(const struct hf_snapshot *trusted,
                                           const struct hf_snapshot *next, struct hf_why *why)
{
    for (size_t i = 0; i < trusted->n_entries; i++) {
        const struct hf_snapshot_entry *before = &trusted->entries[i];
        const struct hf_file_info *after = hf_snapshot_find(next, before->file);
        if (after == NULL)
            return hf_fail(why, HF_E_ROLLBACK,
                           "snapshot version %lld no longer lists %.200s (TUF 5.5.5)",
                           (long long)next->env.version, before->file);
        if (after->version < before->info.version)
            return hf_fail(
                why, HF_E_ROLLBACK,
                "snapshot version %lld names version %lld of %.200s, version %lld was named "
                "before (TUF 5.5.5)",
                (long long)next->env.version, (long long)after->version, before->file,
                (long long)before->info.version);
    }
    return HF_OK;
}

static enum hf_err accept_snapshot(const struct hf_trusted_set *set, const struct hf_snapshot *next,
                                   struct hf_why *why)
{
    HF_TRY(hf_verify_top_role(set->root, HF_ROLE_SNAPSHOT, &next->env, &set->known, why));
    return set->snapshot == NULL ? HF_OK : check_snapshot_rollback(set->snapshot, next, why);
}

static void free_snapshot(struct hf_snapshot *snapshot)
{
    hf_snapshot_free(snapshot);
    free(snapshot);
}

static enum hf_err read_snapshot(const struct hf_trusted_set *set, struct hf_bytes file,
                                 enum hf_origin origin, struct hf_snapshot *next,
                                 struct hf_why *why)
{
    /* Hashes come from a verified role, so they may be checked before the parser runs (5.5.2). */
    if (origin == HF_FETCHED)
        HF_TRY(hf_file_info_verify(&set->timestamp->snapshot, file, "snapshot metadata", why));
    HF_TRY(hf_snapshot_parse(file, next, why));
    enum hf_err err = accept_snapshot(set, next, why);
    if (err != HF_OK)
        hf_snapshot_free(next);
    return err;
}

enum hf_err hf_trusted_set_update_snapshot(struct hf_trusted_set *set, struct hf_bytes file,
                                           enum hf_origin origin, struct hf_why *why)
{
    if (set->timestamp == NULL || set->n_targets > 0)
        return hf_fail(why, HF_E_STATE, "snapshot is updated after timestamp and before targets");
    if (origin == HF_CACHED && set->snapshot != NULL)
        return hf_fail(why, HF_E_STATE, "a cached snapshot comes before the fetched one");
    HF_TRY(check_cache_counts(set, origin, why));
    HF_TRY(hf_trusted_set_timestamp_is_final(set, why));
    struct hf_snapshot *next = calloc(1, sizeof *next);
    if (next == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading snapshot metadata");
    enum hf_err err = read_snapshot(set, file, origin, next, why);
    if (err != HF_OK) {
        free(next);
        return err;
    }
    err = check_announced_version(set, next, why);
    if (err == HF_OK && origin == HF_CACHED) /* a fetched one passed this at the door */
        err = hf_file_info_verify(&set->timestamp->snapshot, file, "the cached snapshot", why);
    bool is_announced = err == HF_OK;
    if (is_announced)
        err = hf_check_expiry(set, &next->env, "snapshot", "5.5.6", why);
    if (!is_kept(err, origin)) {
        free_snapshot(next);
        return err;
    }
    free_snapshot(set->snapshot);
    set->snapshot = next;
    set->snapshot_is_announced = is_announced;
    return err;
}

enum hf_err hf_trusted_set_snapshot_is_final(const struct hf_trusted_set *set, struct hf_why *why)
{
    if (set->snapshot == NULL)
        return hf_fail(why, HF_E_STATE, "there is no trusted snapshot");
    HF_TRY(hf_trusted_set_timestamp_is_final(set, why));
    if (!set->snapshot_is_announced)
        return hf_fail(why, HF_E_ROLLBACK,
                       "the trusted snapshot, version %lld, is not the one that timestamp names, "
                       "version %lld",
                       (long long)set->snapshot->env.version,
                       (long long)set->timestamp->snapshot.version);
    return hf_check_expiry(set, &set->snapshot->env, "snapshot", "5.5.6", why);
}

/* ---- the whole set ---------------------------------------------------------------------------- */

bool hf_trusted_set_receipts(const struct hf_trusted_set *set, struct hf_receipts *out)
{
    const struct hf_targets *targets = hf_trusted_set_top_targets(set);
    if (targets == NULL) /* which come last */
        return false;
    const struct hf_envelope *const files[HF_TOP_ROLES] = {
        [HF_ROLE_ROOT] = &set->root->env,
        [HF_ROLE_TIMESTAMP] = &set->timestamp->env,
        [HF_ROLE_SNAPSHOT] = &set->snapshot->env,
        [HF_ROLE_TARGETS] = &targets->env,
    };
    for (int i = 0; i < HF_TOP_ROLES; i++)
        hf_receipt_make(set->root, (enum hf_top_role)i, files[i], out->of[i]);
    return true;
}

int64_t hf_trusted_set_signed_at(const struct hf_trusted_set *set)
{
    int64_t newest = set->root == NULL ? HF_TIME_NONE : hf_envelope_signed_at(&set->root->env);
    const struct hf_targets *targets = hf_trusted_set_top_targets(set);
    if (targets != NULL && hf_envelope_signed_at(&targets->env) > newest)
        newest = hf_envelope_signed_at(&targets->env);
    return newest;
}

enum hf_err hf_trusted_set_shed(struct hf_trusted_set *set, struct hf_why *why)
{
    if (set->root != NULL)
        hf_envelope_shed(&set->root->env);
    if (set->timestamp != NULL)
        hf_envelope_shed(&set->timestamp->env);
    for (size_t i = 0; i < set->n_targets; i++)
        hf_envelope_shed(&set->targets[i]->targets.env);
    if (set->snapshot == NULL || set->snapshot->env.json == NULL)
        return HF_OK;
    return hf_snapshot_shed(set->snapshot, why);
}

void hf_trusted_set_free(struct hf_trusted_set *set)
{
    if (set == NULL)
        return;
    hf_trusted_targets_free_all(set);
    free_snapshot(set->snapshot);
    free_timestamp(set->timestamp);
    free_root(set->root);
    *set = (struct hf_trusted_set){0};
}
