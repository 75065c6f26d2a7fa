#include "server/repository/key_record.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX 32768 /* with as many roles of rollouts as there may be */

static const enum hf_top_role recorded_roles[] = {HF_ROLE_TARGETS, HF_ROLE_SNAPSHOT,
                                                  HF_ROLE_TIMESTAMP};
#define N_RECORDED (sizeof recorded_roles / sizeof recorded_roles[0])

enum hf_err hf_trusted_root_create(const struct hf_key_folder *folder, const struct hf_repo *repo,
                                   struct hf_undo *undo, struct hf_why *why)
{
    struct hf_path path;
    struct hf_buf root = {0};
    HF_TRY(hf_path_set(&path, why, "%s/root.json", folder->path.text));
    enum hf_err err = hf_repo_read_role(repo, HF_ROLE_ROOT, 1, true, &root, why);
    if (err == HF_OK)
        err = hf_file_create(path.text, 0600, hf_buf_bytes(&root), why);
    if (err == HF_OK)
        err = hf_undo_note(undo, path.text, why);
    hf_buf_free(&root);
    return err;
}

enum hf_err hf_trusted_root_read(const struct hf_key_folder *folder, struct hf_buf *out,
                                 struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_path_set(&path, why, "%s/root.json", folder->path.text));
    if (hf_file_is_absent(folder->path.text))
        return hf_fail(why, HF_E_NOT_FOUND,
                       "there is no folder %s; the keys in it are needed for this",
                       folder->path.text);
    enum hf_err err = hf_file_read_published(path.text, HF_ROOT_BYTES_MAX, out, why);
    if (err == HF_E_NOT_FOUND || (err == HF_OK && out->len == 0)) {
        hf_buf_free(out);
        return hf_fail(why, HF_E_NOT_FOUND,
                       "%s is not there or empty; it names the repository that these keys sign, "
                       "put the root metadata there that your devices ship with",
                       path.text);
    }
    return err;
}

enum hf_err hf_trusted_root_renew(const struct hf_key_folder *folder, const struct hf_repo *repo,
                                  int64_t first, int64_t now_s, struct hf_why *why)
{
    struct hf_path path;
    struct hf_buf trusted = {0}, newest = {0};
    struct hf_trusted_set set = {0};
    HF_TRY(hf_path_set(&path, why, "%s/root.json", folder->path.text));
    if (first > 0 && !hf_file_exists(path.text)) {
        enum hf_err err = hf_repo_read_role(repo, HF_ROLE_ROOT, first, true, &newest, why);
        if (err == HF_OK)
            err = hf_file_replace_alone(path.text, hf_buf_bytes(&newest), why);
        hf_buf_free(&newest);
        return err;
    }
    enum hf_err err = hf_trusted_root_read(folder, &trusted, why);
    if (err == HF_OK)
        err = hf_trusted_set_init(&set, hf_buf_bytes(&trusted), now_s, why);
    /* From root to root as far as the repository goes. Each is verified here once more, because the
     * folder may have been changed since it was verified as a whole. */
    while (err == HF_OK) {
        struct hf_buf file = {0};
        err = hf_repo_read_role(repo, HF_ROLE_ROOT, set.root->env.version + 1, true, &file, why);
        if (err == HF_OK)
            err = hf_trusted_set_update_root(&set, hf_buf_bytes(&file), why);
        if (err == HF_OK) {
            hf_buf_free(&newest);
            newest = file;
        } else {
            hf_buf_free(&file);
        }
    }
    bool is_walked = err == HF_E_NOT_FOUND && set.root != NULL;
    if (is_walked)
        err = newest.len == 0 ? HF_OK
                              : hf_file_replace_alone(path.text, hf_buf_bytes(&newest), why);
    hf_trusted_set_free(&set);
    hf_buf_free(&newest);
    hf_buf_free(&trusted);
    return err;
}

struct hf_signed_file hf_signed_file_make(int64_t version, struct hf_bytes file)
{
    struct hf_signed_file made = {.version = version};
    hf_sha256_hex(file, made.sha256);
    return made;
}

static const struct hf_signed_file *find_rollout(const struct hf_signed_files *files,
                                                 const char *role)
{
    for (size_t i = 0; i < files->n_rollouts; i++) {
        if (strcmp(files->rollouts[i].role, role) == 0)
            return &files->rollouts[i].file;
    }
    return NULL;
}

int64_t hf_signed_rollout_version(const struct hf_signed_files *files, const char *role)
{
    const struct hf_signed_file *file = find_rollout(files, role);
    return file == NULL ? 0 : file->version;
}

enum hf_err hf_signed_rollout_set(struct hf_signed_files *files, const char *role,
                                  const struct hf_signed_file *file, struct hf_why *why)
{
    size_t i = 0;
    while (i < files->n_rollouts && strcmp(files->rollouts[i].role, role) != 0)
        i++;
    if (i == HF_ROLLOUT_ROLES_MAX)
        return hf_fail(why, HF_E_LIMIT, "there are more than %d roles of rollouts",
                       HF_ROLLOUT_ROLES_MAX);
    (void)snprintf(files->rollouts[i].role, sizeof files->rollouts[i].role, "%s", role);
    files->rollouts[i].file = *file;
    files->n_rollouts += i == files->n_rollouts;
    return HF_OK;
}

int64_t hf_rollback_record_version(const struct hf_rollback_record *record, enum hf_top_role role)
{
    int64_t committed = record->committed.of[role].version;
    int64_t prepared = record->prepared.of[role].version;
    return committed > prepared ? committed : prepared;
}

static json_t *add_file(json_t *object, const char *role, const struct hf_signed_file *file)
{
    if (file->version == 0)
        return object;
    return hf_json_set_take(object, role,
                            json_pack("{s:I, s:s}", "version", (json_int_t)file->version, "sha256",
                                      file->sha256));
}

/* NULL without memory. */
static json_t *files_to_json(const struct hf_signed_files *files)
{
    json_t *object = json_object();
    for (size_t i = 0; i < N_RECORDED; i++)
        object = add_file(object, hf_top_role_name(recorded_roles[i]),
                          &files->of[recorded_roles[i]]);
    for (size_t i = 0; i < files->n_rollouts; i++)
        object = add_file(object, files->rollouts[i].role, &files->rollouts[i].file);
    return object;
}

enum hf_err hf_rollback_record_write(const struct hf_key_folder *folder,
                                     const struct hf_rollback_record *record, struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_path_set(&path, why, "%s/last.json", folder->path.text));
    json_t *object = json_pack("{s:o, s:o, s:o}", "signed_at", hf_json_time(record->signed_at_s),
                               "done", files_to_json(&record->committed), "begun",
                               files_to_json(&record->prepared));
    struct hf_buf text = {0};
    enum hf_err err = hf_json_dump(object, JSON_INDENT(2) | JSON_SORT_KEYS, &text, why);
    json_decref(object);
    if (err == HF_OK)
        err = hf_file_replace_alone(path.text, hf_buf_bytes(&text), why);
    hf_buf_free(&text);
    return err;
}

static enum hf_err parse_file(const json_t *files, const char *role, const char *name,
                              struct hf_signed_file *out, struct hf_why *why)
{
    const char *sha256 = NULL;
    json_t *member = NULL;
    HF_TRY(hf_json_get_object(files, role, name, &member, why));
    HF_TRY(hf_json_get_integer(member, "version", name, 1, &out->version, why));
    HF_TRY(hf_json_get_text(member, "sha256", name, &sha256, why));
    if (strlen(sha256) != HF_SHA256_HEX_LEN - 1)
        return hf_fail(why, HF_E_FORMAT, "%s: a SHA-256 has 64 digits, not %zu", name,
                       strlen(sha256));
    memcpy(out->sha256, sha256, sizeof out->sha256);
    return HF_OK;
}

static enum hf_err parse_files(const json_t *object, const char *key, const char *name,
                               struct hf_signed_files *out, struct hf_why *why)
{
    json_t *files = NULL, *member;
    const char *role;
    HF_TRY(hf_json_get_object(object, key, name, &files, why));
    for (size_t i = 0; i < N_RECORDED; i++) {
        role = hf_top_role_name(recorded_roles[i]);
        if (json_object_get(files, role) != NULL)
            HF_TRY(parse_file(files, role, name, &out->of[recorded_roles[i]], why));
    }
    json_object_foreach(files, role, member)
    {
        struct hf_signed_file file = {0};
        if (hf_rollout_role_set(role) == NULL)
            continue;
        HF_TRY(parse_file(files, role, name, &file, why));
        HF_TRY(hf_signed_rollout_set(out, role, &file, why));
    }
    return HF_OK;
}

enum hf_err hf_rollback_record_read(const struct hf_key_folder *folder,
                                    struct hf_rollback_record *out, struct hf_why *why)
{
    struct hf_rollback_record record = {.signed_at_s = HF_TIME_NONE};
    struct hf_path path;
    struct hf_buf text = {0};
    json_t *object = NULL;
    HF_TRY(hf_path_set(&path, why, "%s/last.json", folder->path.text));
    enum hf_err err = hf_file_read_published(path.text, FILE_BYTES_MAX, &text, why);
    if (err == HF_E_NOT_FOUND) {
        *out = record;
        return HF_OK;
    }
    if (err == HF_OK)
        err = hf_json_parse_object(hf_buf_bytes(&text), path.text, &object, why);
    if (err == HF_OK)
        err = hf_json_get_time(object, "signed_at", path.text, &record.signed_at_s, why);
    if (err == HF_OK)
        err = parse_files(object, "done", path.text, &record.committed, why);
    if (err == HF_OK)
        err = parse_files(object, "begun", path.text, &record.prepared, why);
    json_decref(object);
    hf_buf_free(&text);
    if (err == HF_OK)
        *out = record;
    return err;
}

static enum hf_err observe(const struct hf_repo *repo, enum hf_top_role role, int64_t version,
                           struct hf_signed_file *out, struct hf_why *why)
{
    struct hf_buf file = {0};
    enum hf_err err = hf_repo_read_role(repo, role, version, true, &file, why);
    if (err == HF_OK)
        *out = hf_signed_file_make(version, hf_buf_bytes(&file));
    hf_buf_free(&file);
    return err;
}

enum hf_err hf_rollback_record_observe(const struct hf_repo *repo, const struct hf_trusted_set *set,
                                       struct hf_signed_files *out, struct hf_why *why)
{
    struct hf_signed_files files = {0};
    const int64_t versions[HF_TOP_ROLES] =
        {[HF_ROLE_TARGETS] = hf_trusted_set_top_targets(set)->env.version,
         [HF_ROLE_SNAPSHOT] = set->snapshot->env.version,
         [HF_ROLE_TIMESTAMP] = set->timestamp->env.version};
    for (size_t i = 0; i < N_RECORDED; i++) {
        enum hf_top_role role = recorded_roles[i];
        HF_TRY(observe(repo, role, versions[role], &files.of[role], why));
    }
    for (size_t i = 0; i < set->n_targets; i++) {
        const struct hf_trusted_targets *t = set->targets[i];
        struct hf_signed_file file = {.version = t->targets.env.version};
        if (hf_rollout_role_set(t->role) == NULL)
            continue;
        hf_hex_encode(t->targets.env.file_sha256, HF_SHA256_LEN, file.sha256);
        HF_TRY(hf_signed_rollout_set(&files, t->role, &file, why));
    }
    *out = files;
    return HF_OK;
}

static enum hf_err check_file(const char *repo_dir, const char *role,
                              const struct hf_signed_file *committed,
                              const struct hf_signed_file *prepared,
                              const struct hf_signed_file *found, struct hf_why *why)
{
    const struct hf_signed_file *const recorded[] = {committed, prepared};
    if (found->version < committed->version)
        return hf_fail(why, HF_E_ROLLBACK,
                       "%s is an old copy: these keys signed %s %" PRId64 " last, it has %" PRId64
                       "; restore the newest copy of the repository",
                       repo_dir, role, committed->version, found->version);
    for (size_t k = 0; k < 2; k++) {
        if (recorded[k] != NULL && found->version == recorded[k]->version &&
            strcmp(found->sha256, recorded[k]->sha256) != 0)
            return hf_fail(why, HF_E_ROLLBACK,
                           "%s %" PRId64 " in %s is not the one that these keys signed: expected "
                           "SHA-256 %s, found %s; restore the newest copy of the repository",
                           role, found->version, repo_dir, recorded[k]->sha256, found->sha256);
    }
    return HF_OK;
}

/* A role that is no longer delegated is not there. */
static enum hf_err check_rollouts(const struct hf_rollback_record *record,
                                  const struct hf_repo *repo,
                                  const struct hf_signed_files *published, struct hf_why *why)
{
    for (size_t i = 0; i < record->committed.n_rollouts; i++) {
        const struct hf_signed_rollout *committed = &record->committed.rollouts[i];
        const struct hf_signed_file *found = find_rollout(published, committed->role);
        if (found != NULL)
            HF_TRY(check_file(repo->dir, committed->role, &committed->file,
                              find_rollout(&record->prepared, committed->role), found, why));
    }
    return HF_OK;
}

enum hf_err hf_rollback_record_check(const struct hf_rollback_record *record,
                                     const struct hf_repo *repo,
                                     const struct hf_signed_files *published, struct hf_why *why)
{
    for (size_t i = 0; i < N_RECORDED; i++) {
        enum hf_top_role role = recorded_roles[i];
        const struct hf_signed_file *committed = &record->committed.of[role];
        struct hf_signed_file found = published->of[role];
        /* Targets that were signed without the online keys wait in the repository. */
        if (role == HF_ROLE_TARGETS && committed->version > found.version) {
            enum hf_err err = observe(repo, role, committed->version, &found, why);
            if (err != HF_OK && err != HF_E_NOT_FOUND)
                return err;
        }
        HF_TRY(check_file(repo->dir, hf_top_role_name(role), committed, &record->prepared.of[role],
                          &found, why));
    }
    return check_rollouts(record, repo, published, why);
}
