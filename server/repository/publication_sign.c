/* The chain of signatures of a publication: targets, snapshot, timestamp; composed, signed, staged. */
#include "server/repository/publication.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "server/repository/base/verbose.h"
#include "server/repository/keys/key_role.h"
#include "server/repository/keys/signer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum hf_err hf_publication_expiry(struct hf_publication *p, enum hf_top_role role, int64_t *out_s,
                                  struct hf_why *why)
{
    enum hf_key_half half = hf_key_half_of(role);
    HF_TRY(hf_expiry_read(&p->keys.folders[half], half, &p->expiry, why));
    *out_s = hf_expiry_of(&p->expiry, role, p->now_s);
    return HF_OK;
}

/* The next number that no file ever had: what was begun and lost may have been seen, and what lies
 * there under a number may have been cached. */
int64_t hf_publication_next_version(const struct hf_publication *p, enum hf_top_role role,
                                    int64_t newest)
{
    struct hf_path path;
    for (int half = 0; half < HF_KEY_HALVES; half++) {
        int64_t last = p->is_used[half] ? hf_last_version(&p->last[half], role) : 0;
        newest = last > newest ? last : newest;
    }
    do
        newest++;
    while (role != HF_ROLE_TIMESTAMP &&
           hf_path_set(&path, NULL, "%s/metadata/%" PRId64 ".%s.json", p->repo.dir, newest,
                       hf_top_role_name(role)) == HF_OK &&
           hf_file_exists(path.text));
    return newest;
}

/* ---- who signs -------------------------------------------------------------------------------- */

/* Who signs besides: keys of the role in the published root, unless they sign already, under the id
 * that it knows. */
struct besides {
    const struct hf_root *root;
    enum hf_top_role role;
    const struct hf_signers *signers;
};

static bool signs_besides(void *context, const struct hf_key_file *file)
{
    const struct besides *b = context;
    const char *id = hf_key_role_id(b->root, b->role, file->public_key);
    for (size_t i = 0; i < b->signers->n_keys && id != NULL; i++) {
        if (strcmp(hf_signing_key_name(&b->signers->keys[i]), id) == 0)
            return false;
    }
    return id != NULL;
}

/* Takes the keys of `more`, also on failure. */
static enum hf_err join_take(struct hf_signers *signers, struct hf_signers *more,
                             struct hf_why *why)
{
    size_t n = signers->n_keys + more->n_keys;
    struct hf_signing_key *keys = realloc(signers->keys, (n + 1) * sizeof *keys);
    if (keys == NULL) {
        hf_signers_free(more);
        return hf_fail(why, HF_E_MEMORY, "out of memory for keys");
    }
    for (size_t i = 0; i < more->n_keys; i++)
        keys[signers->n_keys + i] = more->keys[i];
    *signers = (struct hf_signers){.keys = keys, .n_keys = n};
    free(more->keys);
    return HF_OK;
}

static enum hf_err add_old_signers(struct hf_publication *p, enum hf_top_role role,
                                   struct hf_signers *signers, struct hf_why *why)
{
    struct hf_signers old = {0};
    struct besides besides = {p->set.root, role, signers};
    const struct hf_key_choice choice = {signs_besides, &besides};
    HF_TRY(hf_key_set_open_chosen(&p->keys, hf_key_half_of(role), &choice, &old, why));
    for (size_t i = 0; i < old.n_keys; i++)
        old.keys[i].known_as = hf_key_role_id(p->set.root, role, old.keys[i].public_key);
    return join_take(signers, &old, why);
}

static enum hf_err open_signers(struct hf_publication *p, enum hf_top_role role,
                                struct hf_signers *out, struct hf_why *why)
{
    struct hf_signers signers = {0};
    const struct hf_root *root = p->next != NULL ? p->next : p->set.root;
    HF_TRY(hf_key_set_open(&p->keys, root, role, &signers, why));
    enum hf_err err = p->next == NULL ? HF_OK : add_old_signers(p, role, &signers, why);
    if (err != HF_OK) {
        hf_signers_free(&signers);
        return err;
    }
    *out = signers;
    return HF_OK;
}

/* ---- one role, and those above it ---------------------------------------------------------------- */

/* Sign with the keys of `role`, stage under its name, and append the file to `file`. */
static enum hf_err sign_and_stage(struct hf_publication *p, enum hf_top_role role, int64_t version,
                                  const json_t *signed_part, struct hf_buf *file,
                                  struct hf_why *why)
{
    struct hf_signers signers = {0};
    struct hf_buf staged = {0};
    struct hf_path path;
    HF_TRY(hf_repo_role_path(role, version, p->set.root->consistent_snapshot, &path, why));
    HF_TRY(open_signers(p, role, &signers, why));
    hf_verbose("signing %s %" PRId64 " with %zu key(s)", hf_top_role_name(role), version,
               signers.n_keys);
    enum hf_err err = hf_signer_sign(signed_part, signers.keys, signers.n_keys, &staged, why);
    hf_signers_free(&signers);
    if (err == HF_OK && hf_buf_append(file, staged.data, staged.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for %s", path.text);
    if (err == HF_OK) {
        p->signed_now.of[role] = hf_last_file_make(version, hf_buf_bytes(&staged));
        return hf_repo_stage_take(&p->repo, path.text, &staged, why);
    }
    hf_buf_free(&staged);
    return err;
}

enum hf_err hf_publication_stage_targets(struct hf_publication *p, const json_t *targets,
                                         struct hf_buf *file, struct hf_why *why)
{
    int64_t version = json_integer_value(json_object_get(targets, "version"));
    return sign_and_stage(p, HF_ROLE_TARGETS, version, targets, file, why);
}

static enum hf_err stage_timestamp(struct hf_publication *p, int64_t snapshot_version,
                                   struct hf_bytes snapshot_file, struct hf_why *why)
{
    json_t *timestamp = NULL;
    struct hf_buf file = {0};
    struct hf_signing signing = {0, 0, HF_TIME_NONE};
    signing.version = hf_publication_next_version(p, HF_ROLE_TIMESTAMP,
                                                  p->set.timestamp->env.version);
    HF_TRY(hf_publication_expiry(p, HF_ROLE_TIMESTAMP, &signing.expires_s, why));
    HF_TRY(hf_compose_timestamp(&signing, snapshot_version, snapshot_file, &timestamp, why));
    enum hf_err err = sign_and_stage(p, HF_ROLE_TIMESTAMP, signing.version, timestamp, &file, why);
    hf_buf_free(&file);
    json_decref(timestamp);
    return err;
}

/* Takes the composed snapshot. */
static enum hf_err stage_snapshot_take(struct hf_publication *p, json_t *snapshot, int64_t version,
                                       struct hf_why *why)
{
    struct hf_buf file = {0};
    enum hf_err err = sign_and_stage(p, HF_ROLE_SNAPSHOT, version, snapshot, &file, why);
    if (err == HF_OK)
        err = stage_timestamp(p, version, hf_buf_bytes(&file), why);
    hf_buf_free(&file);
    json_decref(snapshot);
    return err;
}

static enum hf_err next_snapshot(struct hf_publication *p, struct hf_signing *out,
                                 struct hf_why *why)
{
    *out = (struct hf_signing){0, 0, HF_TIME_NONE};
    out->version = hf_publication_next_version(p, HF_ROLE_SNAPSHOT, p->set.snapshot->env.version);
    return hf_publication_expiry(p, HF_ROLE_SNAPSHOT, &out->expires_s, why);
}

enum hf_err hf_publication_stage_online(struct hf_publication *p, int64_t targets_version,
                                        struct hf_bytes targets_file, struct hf_why *why)
{
    json_t *snapshot = NULL;
    struct hf_signing signing;
    p->signed_now.of[HF_ROLE_TARGETS] = hf_last_file_make(targets_version, targets_file);
    HF_TRY(next_snapshot(p, &signing, why));
    HF_TRY(hf_compose_snapshot(p->set.snapshot->env.signed_part, &signing, targets_version,
                               targets_file, &snapshot, why));
    return stage_snapshot_take(p, snapshot, signing.version, why);
}

/* ---- refresh ---------------------------------------------------------------------------------- */

/* The snapshot that is published stays; only the timestamp over it is new. */
static enum hf_err stage_timestamp_only(struct hf_publication *p, struct hf_why *why)
{
    struct hf_buf file = {0};
    struct hf_path path;
    int64_t version = p->set.snapshot->env.version;
    HF_TRY(
        hf_repo_role_path(HF_ROLE_SNAPSHOT, version, p->set.root->consistent_snapshot, &path, why));
    enum hf_err err = hf_repo_read(&p->repo, path.text, HF_SNAPSHOT_BYTES_MAX, &file, why);
    if (err == HF_OK)
        err = stage_timestamp(p, version, hf_buf_bytes(&file), why);
    hf_buf_free(&file);
    return err;
}

enum hf_err hf_publication_stage_refresh(struct hf_publication *p, struct hf_why *why)
{
    json_t *snapshot = NULL;
    struct hf_signing signing;
    int64_t timestamp_ends_s = 0;
    HF_TRY(hf_publication_expiry(p, HF_ROLE_TIMESTAMP, &timestamp_ends_s, why));
    if (p->set.snapshot->env.expires_s >= timestamp_ends_s)
        return stage_timestamp_only(p, why);
    HF_TRY(next_snapshot(p, &signing, why));
    HF_TRY(hf_compose_same_snapshot(p->set.snapshot->env.signed_part, &signing, &snapshot, why));
    return stage_snapshot_take(p, snapshot, signing.version, why);
}

#define DUE_MAX_S (60 * HF_DAY_S) /* a ceremony takes weeks to arrange */

enum hf_err hf_publication_is_due(struct hf_publication *p, enum hf_top_role role,
                                  const struct hf_envelope *newest, bool *out, struct hf_why *why)
{
    int64_t ends_s = 0;
    HF_TRY(hf_publication_expiry(p, role, &ends_s, why));
    int64_t half_s = (ends_s - p->now_s) / 2;
    *out = newest->expires_s - p->now_s < (half_s < DUE_MAX_S ? half_s : DUE_MAX_S);
    return HF_OK;
}

enum hf_err hf_publication_refresh_if_due(struct hf_publication *p, struct hf_why *why)
{
    bool is_due = false;
    if (!p->is_used[HF_KEYS_ONLINE])
        return HF_OK;
    HF_TRY(hf_publication_is_due(p, HF_ROLE_TIMESTAMP, &p->set.timestamp->env, &is_due, why));
    if (!is_due)
        return HF_OK;
    HF_TRY(hf_publication_stage_refresh(p, why));
    return hf_publication_commit(p, why);
}
