#include "tests/support/tuf_repo.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define YEAR_S (365 * HF_DAY_S)

static void set_new(json_t *object, const char *key, json_t *value)
{
    assert_int_equal(json_object_set_new(object, key, value), 0);
}

/* ---- setting up ------------------------------------------------------------------------------ */

static struct tuf_role new_role(int64_t now_s, bool has_signed_at)
{
    struct tuf_role role = {.version = 1, .expires_s = now_s + YEAR_S};
    role.signed_at_s = has_signed_at ? now_s : HF_TIME_NONE;
    tuf_keys_make(&role.keys, 1, 1);
    return role;
}

void tuf_repo_init(struct tuf_repo *repo, int64_t now_s)
{
    *repo = (struct tuf_repo){.consistent_snapshot = true, .has_lengths = true};
    repo->roles[HF_ROLE_ROOT] = new_role(now_s, true);
    repo->roles[HF_ROLE_TARGETS] = new_role(now_s, true);
    repo->roles[HF_ROLE_SNAPSHOT] = new_role(now_s, false);
    repo->roles[HF_ROLE_TIMESTAMP] = new_role(now_s, false);
}

static void target_free(struct tuf_target *target)
{
    free(target->path);
    hf_buf_free(&target->content);
    json_decref(target->custom);
}

static void targets_free(struct tuf_targets *targets)
{
    for (size_t i = 0; i < targets->n_items; i++)
        target_free(&targets->items[i]);
    free(targets->items);
    *targets = (struct tuf_targets){0};
}

void tuf_repo_free(struct tuf_repo *repo)
{
    targets_free(&repo->targets);
    for (size_t i = 0; i < repo->n_delegated; i++)
        targets_free(&repo->delegated[i].targets);
    tuf_files_free(&repo->files);
    *repo = (struct tuf_repo){0};
}

static struct tuf_target *find_target(struct tuf_targets *targets, const char *path)
{
    for (size_t i = 0; i < targets->n_items; i++) {
        if (strcmp(targets->items[i].path, path) == 0)
            return &targets->items[i];
    }
    return NULL;
}

static struct tuf_target *append_target(struct tuf_targets *targets, const char *path)
{
    struct tuf_target *grown = realloc(targets->items, (targets->n_items + 1) * sizeof *grown);
    assert_non_null(grown);
    targets->items = grown;
    struct tuf_target *target = &grown[targets->n_items++];
    *target = (struct tuf_target){.path = strdup(path)};
    return target;
}

void tuf_targets_add(struct tuf_targets *targets, const char *path, struct hf_bytes content,
                     json_t *custom)
{
    struct tuf_target *target = find_target(targets, path);
    if (target == NULL)
        target = append_target(targets, path);
    hf_buf_free(&target->content);
    CHECK_OK(hf_buf_append(&target->content, content.data, content.len));
    json_decref(target->custom);
    target->custom = custom;
}

void tuf_repo_add_target(struct tuf_repo *repo, const char *path, struct hf_bytes content,
                         json_t *custom)
{
    tuf_targets_add(&repo->targets, path, content, custom);
}

void tuf_repo_remove_target(struct tuf_repo *repo, const char *path)
{
    struct tuf_target *target = find_target(&repo->targets, path);
    assert_non_null(target);
    target_free(target);
    *target = repo->targets.items[--repo->targets.n_items];
}

struct tuf_delegated_role *tuf_repo_delegate(struct tuf_repo *repo, const char *delegator,
                                             const char *role, const char *path_pattern,
                                             bool is_terminating)
{
    assert_true(repo->n_delegated < TUF_DELEGATED_MAX && repo->n_delegations < TUF_DELEGATED_MAX);
    struct tuf_delegated_role *d = &repo->delegated[repo->n_delegated++];
    *d = (struct tuf_delegated_role){.role = repo->roles[HF_ROLE_TARGETS]};
    snprintf(d->name, sizeof d->name, "%s", role);
    d->role.version = 1;
    tuf_keys_make(&d->role.keys, 1, 1);

    struct tuf_delegation *by = &repo->delegations[repo->n_delegations++];
    *by = (struct tuf_delegation){.keys = d->role.keys, .is_terminating = is_terminating};
    snprintf(by->delegator, sizeof by->delegator, "%s", delegator);
    snprintf(by->role, sizeof by->role, "%s", role);
    snprintf(by->path_pattern, sizeof by->path_pattern, "%s", path_pattern);
    return d;
}

/* ---- signed parts ---------------------------------------------------------------------------- */

static json_t *role_part(const char *type, const struct tuf_role *role)
{
    return tuf_signed_part(type, role->version, role->expires_s, role->signed_at_s);
}

static void add_keys(json_t *object, const struct tuf_keys *keys)
{
    for (size_t i = 0; i < keys->n_keys; i++)
        set_new(object, keys->keys[i].key_id, tuf_key_json(&keys->keys[i]));
}

/* What a parent says of a metadata file. */
static json_t *meta_entry(const struct tuf_repo *repo, int64_t version, const struct hf_buf *file)
{
    char sha256[HF_SHA256_HEX_LEN];
    json_t *entry = json_pack("{s:I}", "version", (json_int_t)version);
    if (repo->has_lengths)
        set_new(entry, "length", json_integer((json_int_t)file->len));
    if (repo->has_hashes) {
        hf_sha256_hex(hf_buf_bytes(file), sha256);
        set_new(entry, "hashes", json_pack("{s:s}", "sha256", sha256));
    }
    return entry;
}

static json_t *target_entry(const struct tuf_target *target)
{
    char sha256[HF_SHA256_HEX_LEN];
    hf_sha256_hex(hf_buf_bytes(&target->content), sha256);
    json_t *entry = json_pack("{s:I, s:{s:s}}", "length", (json_int_t)target->content.len, "hashes",
                              "sha256", sha256);
    if (target->custom != NULL)
        assert_int_equal(json_object_set(entry, "custom", target->custom), 0);
    return entry;
}

static json_t *targets_object(const struct tuf_targets *targets)
{
    json_t *object = json_object();
    for (size_t i = 0; i < targets->n_items; i++)
        set_new(object, targets->items[i].path, target_entry(&targets->items[i]));
    return object;
}

/* NULL where `delegator` delegates nothing. */
static json_t *delegations_object(const struct tuf_repo *repo, const char *delegator)
{
    json_t *keys = json_object(), *roles = json_array();
    for (size_t i = 0; i < repo->n_delegations; i++) {
        const struct tuf_delegation *d = &repo->delegations[i];
        if (strcmp(d->delegator, delegator) != 0)
            continue;
        add_keys(keys, &d->keys);
        json_t *role = tuf_role_json(&d->keys);
        set_new(role, "name", json_string(d->role));
        set_new(role, "terminating", json_boolean(d->is_terminating));
        set_new(role, "paths", json_pack("[s]", d->path_pattern));
        assert_int_equal(json_array_append_new(roles, role), 0);
    }
    if (json_array_size(roles) > 0)
        return json_pack("{s:o, s:o}", "keys", keys, "roles", roles);
    json_decref(keys);
    json_decref(roles);
    return NULL;
}

/* ---- files ----------------------------------------------------------------------------------- */

static void finish(const struct tuf_repo *repo, const char *role, json_t *part,
                   const struct tuf_keys *keys, const struct tuf_keys *more, struct hf_buf *out)
{
    if (repo->before_signing != NULL)
        repo->before_signing(repo->hook_ctx, role, part);
    json_t *envelope = tuf_sign(part, keys, more);
    if (repo->after_signing != NULL)
        repo->after_signing(repo->hook_ctx, role, envelope);
    tuf_write(envelope, out);
    json_decref(envelope);
}

void tuf_repo_build_root(const struct tuf_repo *repo, struct hf_buf *out)
{
    json_t *keys = json_object(), *roles = json_object();
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        add_keys(keys, &repo->roles[i].keys);
        set_new(roles, hf_top_role_name((enum hf_top_role)i), tuf_role_json(&repo->roles[i].keys));
    }
    const struct tuf_role *root = &repo->roles[HF_ROLE_ROOT];
    json_t *part = role_part("root", root);
    set_new(part, "consistent_snapshot", json_boolean(repo->consistent_snapshot));
    set_new(part, "keys", keys);
    set_new(part, "roles", roles);
    finish(repo, "root", part, &root->keys, &repo->root_keys_before, out);
}

static void build_targets_file(const struct tuf_repo *repo, const char *name,
                               const struct tuf_role *role, const struct tuf_targets *targets,
                               struct hf_buf *out)
{
    json_t *part = role_part("targets", role);
    set_new(part, "targets", targets_object(targets));
    json_t *delegations = delegations_object(repo, name);
    if (delegations != NULL)
        set_new(part, "delegations", delegations);
    finish(repo, name, part, &role->keys, NULL, out);
}

void tuf_repo_build_targets(const struct tuf_repo *repo, struct hf_buf *out)
{
    build_targets_file(repo, "targets", &repo->roles[HF_ROLE_TARGETS], &repo->targets, out);
}

void tuf_repo_build_delegated(const struct tuf_repo *repo, const struct tuf_delegated_role *role,
                              struct hf_buf *out)
{
    build_targets_file(repo, role->name, &role->role, &role->targets, out);
}

void tuf_repo_build_snapshot(const struct tuf_repo *repo, struct hf_buf *out)
{
    const struct tuf_role *role = &repo->roles[HF_ROLE_SNAPSHOT];
    json_t *meta = json_object();
    struct hf_buf file = {0};

    tuf_repo_build_targets(repo, &file);
    set_new(meta, "targets.json", meta_entry(repo, repo->roles[HF_ROLE_TARGETS].version, &file));
    hf_buf_free(&file);
    for (size_t i = 0; i < repo->n_delegated; i++) {
        const struct tuf_delegated_role *d = &repo->delegated[i];
        char name[80];
        snprintf(name, sizeof name, "%s.json", d->name);
        tuf_repo_build_delegated(repo, d, &file);
        set_new(meta, name, meta_entry(repo, d->role.version, &file));
        hf_buf_free(&file);
    }
    json_t *part = role_part("snapshot", role);
    set_new(part, "meta", meta);
    finish(repo, "snapshot", part, &role->keys, NULL, out);
}

void tuf_repo_build_timestamp(const struct tuf_repo *repo, struct hf_buf *out)
{
    const struct tuf_role *role = &repo->roles[HF_ROLE_TIMESTAMP];
    struct hf_buf file = {0};

    tuf_repo_build_snapshot(repo, &file);
    json_t *part = role_part("timestamp", role);
    set_new(part, "meta",
            json_pack("{s:o}", "snapshot.json",
                      meta_entry(repo, repo->roles[HF_ROLE_SNAPSHOT].version, &file)));
    hf_buf_free(&file);
    finish(repo, "timestamp", part, &role->keys, NULL, out);
}

/* ---- publishing ------------------------------------------------------------------------------ */

static void metadata_path(bool has_version, int64_t version, const char *name, char out[128])
{
    if (has_version)
        snprintf(out, 128, "metadata/%lld.%s.json", (long long)version, name);
    else
        snprintf(out, 128, "metadata/%s.json", name);
}

void tuf_repo_role_path(const struct tuf_repo *repo, enum hf_top_role role, char out[128])
{
    bool has_version = role == HF_ROLE_ROOT ||
                       (role != HF_ROLE_TIMESTAMP && repo->consistent_snapshot);
    metadata_path(has_version, repo->roles[role].version, hf_top_role_name(role), out);
}

void tuf_repo_content_path(const struct tuf_repo *repo, const struct tuf_target *target, char *out,
                           size_t out_size)
{
    char sha256[HF_SHA256_HEX_LEN];
    const char *slash = strrchr(target->path, '/');
    const char *name = slash != NULL ? slash + 1 : target->path;
    int dir_len = (int)(name - target->path);

    if (!repo->consistent_snapshot) {
        snprintf(out, out_size, "targets/%s", target->path);
        return;
    }
    hf_sha256_hex(hf_buf_bytes(&target->content), sha256);
    snprintf(out, out_size, "targets/%.*s%s.%s", dir_len, target->path, sha256, name);
}

static void put_and_free(struct tuf_repo *repo, const char *path, struct hf_buf *file)
{
    tuf_files_put(&repo->files, path, hf_buf_bytes(file));
    hf_buf_free(file);
}

static void put_contents(struct tuf_repo *repo, const struct tuf_targets *targets)
{
    char path[HF_TARGET_PATH_MAX + 160];
    for (size_t i = 0; i < targets->n_items; i++) {
        tuf_repo_content_path(repo, &targets->items[i], path, sizeof path);
        tuf_files_put(&repo->files, path, hf_buf_bytes(&targets->items[i].content));
    }
}

void tuf_repo_publish_root(struct tuf_repo *repo)
{
    char path[128];
    struct hf_buf file = {0};

    tuf_repo_role_path(repo, HF_ROLE_ROOT, path);
    tuf_repo_build_root(repo, &file);
    put_and_free(repo, path, &file);
}

void tuf_repo_publish(struct tuf_repo *repo)
{
    char path[128];
    struct hf_buf file = {0};

    put_contents(repo, &repo->targets);
    for (size_t i = 0; i < repo->n_delegated; i++) {
        const struct tuf_delegated_role *d = &repo->delegated[i];
        put_contents(repo, &d->targets);
        metadata_path(repo->consistent_snapshot, d->role.version, d->name, path);
        tuf_repo_build_delegated(repo, d, &file);
        put_and_free(repo, path, &file);
    }
    tuf_repo_build_targets(repo, &file);
    tuf_repo_role_path(repo, HF_ROLE_TARGETS, path);
    put_and_free(repo, path, &file);
    tuf_repo_build_snapshot(repo, &file);
    tuf_repo_role_path(repo, HF_ROLE_SNAPSHOT, path);
    put_and_free(repo, path, &file);
    tuf_repo_build_timestamp(repo, &file);
    tuf_repo_role_path(repo, HF_ROLE_TIMESTAMP, path);
    put_and_free(repo, path, &file);
}

void tuf_repo_publish_next(struct tuf_repo *repo)
{
    repo->roles[HF_ROLE_TARGETS].version++;
    repo->roles[HF_ROLE_SNAPSHOT].version++;
    repo->roles[HF_ROLE_TIMESTAMP].version++;
    tuf_repo_publish(repo);
}

void tuf_repo_rotate(struct tuf_repo *repo, enum hf_top_role role)
{
    struct tuf_keys before = repo->roles[role].keys;

    repo->roles[HF_ROLE_ROOT].version++;
    if (role == HF_ROLE_ROOT)
        repo->root_keys_before = before;
    tuf_keys_make(&repo->roles[role].keys, before.n_keys, before.threshold);
    tuf_repo_publish_root(repo);
    repo->root_keys_before = (struct tuf_keys){0};
}
