#include "common/tuf/trusted_set.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "MUST be higher than the fixed update start time" (5.3.10, 5.4.4, 5.5.6, 5.6.5). */
static enum hf_err check_expiry(const struct hf_trusted_set *set, const struct hf_envelope *env,
                                const char *name, const char *clause, struct hf_why *why)
{
    if (env->expires_s > set->now_s)
        return HF_OK;
    char expired[HF_TIME_TEXT_MAX];
    char now[HF_TIME_TEXT_MAX];
    hf_time_format(env->expires_s, expired);
    hf_time_format(set->now_s, now);
    return hf_fail(
        why, HF_E_EXPIRED,
        "%.64s version %lld expired at %s, it is %s now (TUF %s): the repository has not "
        "been renewed, a mirror serves old files, or this device's clock is wrong",
        name, (long long)env->version, expired, now, clause);
}

/* Signed by the threshold that `root` names for a top-level role. A file with a receipt among
 * `known` was verified before; NULL: verify in any case. */
static enum hf_err verify_top_role(const struct hf_root *root, enum hf_top_role role,
                                   const struct hf_envelope *env, const struct hf_receipts *known,
                                   struct hf_why *why)
{
    char what[64];
    if (known != NULL && hf_receipts_include(known, root, role, env))
        return HF_OK;
    (void)snprintf(what, sizeof what, "%s version %lld", hf_top_role_name(role),
                   (long long)env->version);
    return hf_envelope_verify(env, &root->ring, &root->roles[role], what, why);
}

/* 5.3.11: an attacker may have pushed the cached file ahead with the keys of before. */
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

/* A genuine cached file stays as the floor even when it has expired: what it says about versions is
 * still true. A fetched one is worth nothing then. */
static bool is_kept(enum hf_err last_check, enum hf_origin origin)
{
    return last_check == HF_OK || origin == HF_CACHED;
}

/* ---- root, 5.2 and 5.3 ----------------------------------------------------------------------- */

static void free_root(struct hf_root *root)
{
    hf_root_free(root);
    free(root);
}

enum hf_err hf_trusted_set_resume(struct hf_trusted_set *set, struct hf_bytes root, int64_t now_s,
                                  const struct hf_receipts *known, struct hf_why *why)
{
    struct hf_root *first = calloc(1, sizeof *first);
    if (first == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading root metadata");
    enum hf_err err = hf_root_parse(root, first, why);
    if (err == HF_OK)
        err = verify_top_role(first, HF_ROLE_ROOT, &first->env, known, why);
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

enum hf_err hf_trusted_set_update_root(struct hf_trusted_set *set, struct hf_bytes file,
                                       struct hf_why *why)
{
    if (set->root == NULL || set->roots_ended)
        return hf_fail(why, HF_E_STATE, "root metadata is updated before any other role");
    struct hf_root *next = calloc(1, sizeof *next);
    if (next == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading root metadata");
    enum hf_err err = hf_root_parse(file, next, why);
    /* 5.3.4: by the keys trusted so far, and by its own */
    if (err == HF_OK)
        err = verify_top_role(set->root, HF_ROLE_ROOT, &next->env, NULL, why);
    if (err == HF_OK)
        err = verify_top_role(next, HF_ROLE_ROOT, &next->env, NULL, why);
    /* 5.3.5 */
    if (err == HF_OK && next->env.version != set->root->env.version + 1)
        err = hf_fail(why, HF_E_ROLLBACK,
                      "expected root version %lld, found version %lld (TUF 5.3.5)",
                      (long long)set->root->env.version + 1, (long long)next->env.version);
    if (err != HF_OK) {
        free_root(next);
        return err;
    }
    if (!hf_root_role_keys_same(set->root, next, HF_ROLE_TIMESTAMP) ||
        !hf_root_role_keys_same(set->root, next, HF_ROLE_SNAPSHOT))
        set->online_keys_rotated = true;
    free_root(set->root);
    set->root = next;
    return HF_OK;
}

enum hf_err hf_trusted_set_end_roots(struct hf_trusted_set *set, struct hf_why *why)
{
    if (set->root == NULL)
        return hf_fail(why, HF_E_STATE, "there is no root metadata yet");
    HF_TRY(check_expiry(set, &set->root->env, "root", "5.3.10", why));
    set->roots_ended = true;
    return HF_OK;
}

/* ---- timestamp, 5.4 -------------------------------------------------------------------------- */

/* 5.4.3: neither this file nor the snapshot it names goes back. `trusted` NULL: the first one. */
static enum hf_err check_timestamp_rollback(const struct hf_timestamp *trusted,
                                            const struct hf_timestamp *next, struct hf_why *why)
{
    if (trusted == NULL)
        return HF_OK;
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

static void free_timestamp(struct hf_timestamp *timestamp)
{
    hf_timestamp_free(timestamp);
    free(timestamp);
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
        err = verify_top_role(set->root, HF_ROLE_TIMESTAMP, &next->env, &set->known, why);
    if (err == HF_OK)
        err = check_timestamp_rollback(set->timestamp, next, why);
    if (err != HF_OK) {
        free_timestamp(next);
        return err;
    }
    err = check_expiry(set, &next->env, "timestamp", "5.4.4", why);
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
    return check_expiry(set, &set->timestamp->env, "timestamp", "5.4.4", why);
}

/* ---- snapshot, 5.5 --------------------------------------------------------------------------- */

/* 5.5.5: no targets file goes back or disappears. `trusted` NULL: the first one. */
static enum hf_err check_snapshot_rollback(const struct hf_snapshot *trusted,
                                           const struct hf_snapshot *next, struct hf_why *why)
{
    for (size_t i = 0; trusted != NULL && i < trusted->n_entries; i++) {
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

static void free_snapshot(struct hf_snapshot *snapshot)
{
    hf_snapshot_free(snapshot);
    free(snapshot);
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
    /* Hashes come from a verified role, so they may be checked before the parser runs (5.5.2). */
    const struct hf_file_info *announced = &set->timestamp->snapshot;
    if (origin == HF_FETCHED)
        HF_TRY(hf_file_info_verify(announced, file, "snapshot metadata", why));
    struct hf_snapshot *next = calloc(1, sizeof *next);
    if (next == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading snapshot metadata");
    enum hf_err err = hf_snapshot_parse(file, next, why);
    if (err == HF_OK)
        err = verify_top_role(set->root, HF_ROLE_SNAPSHOT, &next->env, &set->known, why);
    if (err == HF_OK)
        err = check_snapshot_rollback(set->snapshot, next, why);
    if (err != HF_OK) {
        free_snapshot(next);
        return err;
    }
    if (next->env.version != announced->version)
        err = hf_fail(why, HF_E_ROLLBACK,
                      "timestamp names snapshot version %lld, found version %lld (TUF 5.5.4)",
                      (long long)announced->version, (long long)next->env.version);
    if (err == HF_OK && origin == HF_CACHED) /* a fetched one passed this above */
        err = hf_file_info_verify(announced, file, "the cached snapshot", why);
    bool is_announced = err == HF_OK;
    if (is_announced)
        err = check_expiry(set, &next->env, "snapshot", "5.5.6", why);
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
    return check_expiry(set, &set->snapshot->env, "snapshot", "5.5.6", why);
}

/* ---- targets, 5.6 ---------------------------------------------------------------------------- */

const struct hf_trusted_targets *
hf_trusted_set_find_targets(const struct hf_trusted_set *set, const char *role,
                            const struct hf_trusted_targets *delegator)
{
    for (size_t i = 0; i < set->n_targets; i++) {
        const struct hf_trusted_targets *t = set->targets[i];
        if (t->delegator == delegator && strcmp(t->role, role) == 0)
            return t;
    }
    return NULL;
}

const struct hf_targets *hf_trusted_set_top_targets(const struct hf_trusted_set *set)
{
    const char *role = hf_top_role_name(HF_ROLE_TARGETS);
    const struct hf_trusted_targets *top = hf_trusted_set_find_targets(set, role, NULL);
    return top == NULL ? NULL : &top->targets;
}

/* With the keys of this very delegator, not of another role of the same name. */
static enum hf_err verify_targets(const struct hf_trusted_set *set,
                                  const struct hf_trusted_targets *entry, struct hf_why *why)
{
    const struct hf_envelope *env = &entry->targets.env;
    if (entry->delegator == NULL) {
        if (strcmp(entry->role, hf_top_role_name(HF_ROLE_TARGETS)) != 0)
            return hf_fail(why, HF_E_STATE,
                           "root delegates to the role \"targets\" only, not to %.64s",
                           entry->role);
        return verify_top_role(set->root, HF_ROLE_TARGETS, env, &set->known, why);
    }
    const struct hf_targets *from = &entry->delegator->targets;
    for (size_t i = 0; i < from->n_delegations; i++) {
        const struct hf_role *role = &from->delegations[i].role;
        if (strcmp(role->name, entry->role) != 0)
            continue;
        uint8_t receipt[HF_SHA256_LEN];
        hf_receipt_make_delegated(set->root, &from->env, entry->role, env, receipt);
        if (memcmp(set->known.of_delegated, receipt, sizeof receipt) == 0)
            return HF_OK;
        return hf_envelope_verify(env, &from->ring, role, entry->role, why);
    }
    return hf_fail(why, HF_E_SIGNATURE, "the role %.64s does not delegate to %.64s",
                   entry->delegator->role, entry->role);
}

static enum hf_err read_targets(const struct hf_trusted_set *set, struct hf_bytes file,
                                struct hf_trusted_targets *entry, struct hf_why *why)
{
    char name[HF_ROLE_NAME_MAX + sizeof ".json"];
    if (strlen(entry->role) > HF_ROLE_NAME_MAX)
        return hf_fail(why, HF_E_LIMIT, "a role name of more than %d bytes", HF_ROLE_NAME_MAX);
    (void)snprintf(name, sizeof name, "%s.json", entry->role);
    const struct hf_file_info *announced = hf_snapshot_find(set->snapshot, name);
    if (announced == NULL)
        return hf_fail(why, HF_E_NOT_FOUND, "snapshot version %lld does not list %.200s",
                       (long long)set->snapshot->env.version, name);
    HF_TRY(hf_file_info_verify(announced, file, entry->role, why)); /* 5.6.2 */
    HF_TRY(hf_targets_parse(file, &entry->targets, why));
    HF_TRY(verify_targets(set, entry, why)); /* 5.6.3 */
    if (entry->targets.env.version != announced->version)
        return hf_fail(why, HF_E_ROLLBACK,
                       "snapshot names version %lld of %.64s, found version %lld (TUF 5.6.4)",
                       (long long)announced->version, entry->role,
                       (long long)entry->targets.env.version);
    return check_expiry(set, &entry->targets.env, entry->role, "5.6.5", why);
}

static void free_targets(struct hf_trusted_targets *entry)
{
    hf_targets_free(&entry->targets);
    free(entry);
}

enum hf_err hf_trusted_set_update_targets(struct hf_trusted_set *set, struct hf_bytes file,
                                          const char *role,
                                          const struct hf_trusted_targets *delegator,
                                          struct hf_why *why)
{
    size_t name_size = strlen(role) + 1;
    HF_TRY(hf_trusted_set_snapshot_is_final(set, why));
    if (hf_trusted_set_find_targets(set, role, delegator) != NULL)
        return hf_fail(why, HF_E_STATE, "the role %.64s is trusted already", role);
    struct hf_trusted_targets **grown = realloc(set->targets,
                                                (set->n_targets + 1) * sizeof *set->targets);
    if (grown == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while keeping targets metadata");
    set->targets = grown;
    struct hf_trusted_targets *entry = calloc(1, sizeof *entry + name_size);
    if (entry == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading targets metadata");
    entry->delegator = delegator;
    entry->role = memcpy(entry + 1, role, name_size);
    enum hf_err err = read_targets(set, file, entry, why);
    if (err == HF_OK && set->n_targets >= HF_TARGETS_ROLES_MAX)
        err = hf_fail(why, HF_E_LIMIT, "more than %d targets roles; the rest is not read",
                      HF_TARGETS_ROLES_MAX);
    if (err == HF_OK)
        set->targets[set->n_targets++] = entry;
    else
        free_targets(entry);
    return err;
}

/* ---- the whole set --------------------------------------------------------------------------- */

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
    /* The first one that targets delegates to, or none. */
    memset(out->of_delegated, 0, sizeof out->of_delegated);
    for (size_t i = set->n_targets; i-- > 1;) {
        const struct hf_trusted_targets *t = set->targets[i];
        if (t->delegator != NULL && &t->delegator->targets == targets)
            hf_receipt_make_delegated(set->root, &targets->env, t->role, &t->targets.env,
                                      out->of_delegated);
    }
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
    if (set->timestamp != NULL)
        hf_envelope_shed_json(&set->timestamp->env);
    for (size_t i = 0; i < set->n_targets; i++)
        hf_envelope_shed(&set->targets[i]->targets.env);
    if (set->root != NULL)
        HF_TRY(hf_root_shed(set->root, why));
    return set->snapshot != NULL ? hf_snapshot_shed(set->snapshot, why) : HF_OK;
}

void hf_trusted_set_free(struct hf_trusted_set *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->n_targets; i++)
        free_targets(set->targets[i]);
    free(set->targets);
    free_snapshot(set->snapshot);
    free_timestamp(set->timestamp);
    free_root(set->root);
    *set = (struct hf_trusted_set){0};
}
