#include "common/tuf/trusted_set.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- shared by all roles ------------------------------------------------------------------------
 */

static const char what_is_it_when_expired[] = "the repository has not been renewed, a mirror "
                                              "serves old files, or this device's clock is wrong";

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
    return hf_fail(why, HF_E_EXPIRED, "%s version %lld expired at %s, it is %s now (TUF %s): %s",
                   name, (long long)env->version, expired, now, clause, what_is_it_when_expired);
}

static enum hf_err verify_top_role(const struct hf_root *root, enum hf_top_role role,
                                   const struct hf_envelope *env, struct hf_why *why)
{
    char what[64];
    (void)snprintf(what, sizeof what, "%s version %lld", hf_top_role_name(role),
                   (long long)env->version);
    return hf_envelope_verify(env, &root->ring, &root->roles[role], what, why);
}

/* ---- root, 5.2 and 5.3 --------------------------------------------------------------------------
 */

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

enum hf_err hf_trusted_set_init(struct hf_trusted_set *set, struct hf_bytes root, int64_t now_s,
                                struct hf_why *why)
{
    enum hf_err err = HF_E_SIGNATURE;
    *set = (struct hf_trusted_set){0};
    struct hf_root *first = parse_root(root, &err, why);
    if (first == NULL)
        return err;
    err = verify_top_role(first, HF_ROLE_ROOT, &first->env, why);
    if (err != HF_OK) {
        free_root(first);
        return err;
    }
    set->now_s = now_s;
    set->root = first;
    return HF_OK;
}

static enum hf_err accept_root(const struct hf_trusted_set *set, const struct hf_root *next,
                               struct hf_why *why)
{
    /* 5.3.4: by the keys trusted so far, and by its own */
    HF_TRY(verify_top_role(set->root, HF_ROLE_ROOT, &next->env, why));
    HF_TRY(verify_top_role(next, HF_ROLE_ROOT, &next->env, why));
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

/* ---- timestamp, 5.4 -----------------------------------------------------------------------------
 */

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

static enum hf_err accept_timestamp(const struct hf_trusted_set *set,
                                    const struct hf_timestamp *next, struct hf_why *why)
{
    HF_TRY(verify_top_role(set->root, HF_ROLE_TIMESTAMP, &next->env, why));
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

/* ---- snapshot, 5.5 ------------------------------------------------------------------------------
 */

/* 5.5.2 and 5.5.4: is this the snapshot that timestamp names? */
static enum hf_err check_announced(const struct hf_trusted_set *set, const struct hf_snapshot *next,
                                   struct hf_bytes file, struct hf_why *why)
{
    const struct hf_file_info *announced = &set->timestamp->snapshot;
    if (next->env.version != announced->version)
        return hf_fail(why, HF_E_ROLLBACK,
                       "timestamp names snapshot version %lld, found version %lld (TUF 5.5.4)",
                       (long long)announced->version, (long long)next->env.version);
    return hf_file_info_verify(announced, file, "snapshot metadata", why);
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
    HF_TRY(verify_top_role(set->root, HF_ROLE_SNAPSHOT, &next->env, why));
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
    HF_TRY(hf_trusted_set_timestamp_is_final(set, why));
    struct hf_snapshot *next = calloc(1, sizeof *next);
    if (next == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading snapshot metadata");
    enum hf_err err = read_snapshot(set, file, origin, next, why);
    if (err != HF_OK) {
        free(next);
        return err;
    }
    err = check_announced(set, next, file, why);
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

/* ---- targets, 5.6 -------------------------------------------------------------------------------
 */

static struct hf_trusted_targets *find_targets(const struct hf_trusted_set *set, const char *role,
                                               const char *delegator)
{
    for (size_t i = 0; i < set->n_targets; i++) {
        struct hf_trusted_targets *t = &set->targets[i];
        if (strcmp(t->role, role) == 0 && strcmp(t->delegator, delegator) == 0)
            return t;
    }
    return NULL;
}

const struct hf_targets *hf_trusted_set_targets(const struct hf_trusted_set *set, const char *role,
                                                const char *delegator)
{
    const struct hf_trusted_targets *found = find_targets(set, role, delegator);
    return found == NULL ? NULL : &found->targets;
}

/* The same role may have been loaded under several delegators. Its content is the same each time:
 * snapshot names one version of it. */
static const struct hf_targets *find_delegator(const struct hf_trusted_set *set, const char *name)
{
    for (size_t i = 0; i < set->n_targets; i++) {
        if (strcmp(set->targets[i].role, name) == 0)
            return &set->targets[i].targets;
    }
    return NULL;
}

static enum hf_err verify_delegated(const struct hf_trusted_set *set, const char *role,
                                    const char *delegator, const struct hf_envelope *env,
                                    struct hf_why *why)
{
    const struct hf_targets *from = find_delegator(set, delegator);
    if (from == NULL)
        return hf_fail(why, HF_E_STATE,
                       "the role %.64s is loaded before %.64s, which delegates to it", role,
                       delegator);
    for (size_t i = 0; i < from->n_delegations; i++) {
        if (strcmp(from->delegations[i].role.name, role) == 0)
            return hf_envelope_verify(env, &from->ring, &from->delegations[i].role, role, why);
    }
    return hf_fail(why, HF_E_SIGNATURE, "the role %.64s does not delegate to %.64s", delegator,
                   role);
}

static enum hf_err verify_targets(const struct hf_trusted_set *set, const char *role,
                                  const char *delegator, const struct hf_envelope *env,
                                  struct hf_why *why)
{
    if (strcmp(delegator, hf_top_role_name(HF_ROLE_ROOT)) != 0)
        return verify_delegated(set, role, delegator, env, why);
    if (strcmp(role, hf_top_role_name(HF_ROLE_TARGETS)) != 0)
        return hf_fail(why, HF_E_STATE, "root delegates targets to the role \"targets\" only");
    return verify_top_role(set->root, HF_ROLE_TARGETS, env, why);
}

static enum hf_err announced_targets(const struct hf_trusted_set *set, const char *role,
                                     const struct hf_file_info **out, struct hf_why *why)
{
    char file[HF_ROLE_NAME_MAX + sizeof ".json"];
    if (strlen(role) > HF_ROLE_NAME_MAX)
        return hf_fail(why, HF_E_LIMIT, "a role name of more than %d bytes", HF_ROLE_NAME_MAX);
    (void)snprintf(file, sizeof file, "%s.json", role);
    *out = hf_snapshot_find(set->snapshot, file);
    if (*out == NULL)
        return hf_fail(why, HF_E_NOT_FOUND, "snapshot version %lld does not list %.200s",
                       (long long)set->snapshot->env.version, file);
    return HF_OK;
}

static enum hf_err accept_targets(const struct hf_trusted_set *set, const struct hf_targets *next,
                                  const char *role, const char *delegator,
                                  const struct hf_file_info *announced, struct hf_why *why)
{
    HF_TRY(verify_targets(set, role, delegator, &next->env, why));
    if (next->env.version != announced->version)
        return hf_fail(why, HF_E_ROLLBACK,
                       "snapshot names version %lld of %.64s, found version %lld (TUF 5.6.4)",
                       (long long)announced->version, role, (long long)next->env.version);
    return check_expiry(set, &next->env, role, "5.6.5", why);
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    return copy == NULL ? NULL : memcpy(copy, text, size);
}

/* Takes `next` on HF_OK. */
static enum hf_err keep_targets_take(struct hf_trusted_set *set, struct hf_targets *next,
                                     const char *role, const char *delegator, struct hf_why *why)
{
    struct hf_trusted_targets *old = find_targets(set, role, delegator);
    if (old != NULL) {
        hf_targets_free(&old->targets);
        old->targets = *next;
        return HF_OK;
    }
    if (set->n_targets >= HF_DELEGATIONS_VISITED_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       "more than %d targets roles in one search; the rest is not read",
                       HF_DELEGATIONS_VISITED_MAX);
    struct hf_trusted_targets entry = {copy_text(role), copy_text(delegator), *next};
    struct hf_trusted_targets *grown =
        realloc(set->targets, (set->n_targets + 1) * sizeof *set->targets);
    if (grown != NULL)
        set->targets = grown;
    if (grown == NULL || entry.role == NULL || entry.delegator == NULL) {
        free(entry.role);
        free(entry.delegator);
        return hf_fail(why, HF_E_MEMORY, "out of memory while keeping targets metadata");
    }
    set->targets[set->n_targets++] = entry;
    return HF_OK;
}

enum hf_err hf_trusted_set_update_targets(struct hf_trusted_set *set, struct hf_bytes file,
                                          const char *role, const char *delegator,
                                          struct hf_why *why)
{
    const struct hf_file_info *announced = NULL;
    HF_TRY(hf_trusted_set_snapshot_is_final(set, why));
    HF_TRY(announced_targets(set, role, &announced, why));
    HF_TRY(hf_file_info_verify(announced, file, role, why)); /* 5.6.2 */
    struct hf_targets next = {0};
    HF_TRY(hf_targets_parse(file, &next, why));
    enum hf_err err = accept_targets(set, &next, role, delegator, announced, why);
    if (err == HF_OK)
        err = keep_targets_take(set, &next, role, delegator, why);
    if (err != HF_OK)
        hf_targets_free(&next);
    return err;
}

/* ---- the whole set ------------------------------------------------------------------------------
 */

int64_t hf_trusted_set_signed_at(const struct hf_trusted_set *set)
{
    int64_t newest = set->root == NULL ? HF_TIME_NONE : set->root->env.signed_at_s;
    const struct hf_targets *targets = hf_trusted_set_targets(set, "targets", "root");
    if (targets != NULL && targets->env.signed_at_s > newest)
        newest = targets->env.signed_at_s;
    return newest;
}

void hf_trusted_set_free(struct hf_trusted_set *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->n_targets; i++) {
        free(set->targets[i].role);
        free(set->targets[i].delegator);
        hf_targets_free(&set->targets[i].targets);
    }
    free(set->targets);
    free_snapshot(set->snapshot);
    free_timestamp(set->timestamp);
    free_root(set->root);
    *set = (struct hf_trusted_set){0};
}
