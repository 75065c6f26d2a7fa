/* What a publication signs: each role is composed, signed and staged in memory. */
#include "common/base/timetext.h"
#include "server/repository/base/terminal.h"
#include "server/repository/keys/signer.h"
#include "server/repository/rollout_publish.h"

#include <inttypes.h>

#define DUE_MAX_S (60 * HF_DAY_S) /* a ceremony takes weeks to arrange */

/* Sign with the keys of `role`, stage under its name, and append the file to `file` (NULL:
 * nowhere). */
static enum hf_err sign_and_stage(struct hf_publication *p, enum hf_top_role role, int64_t version,
                                  const json_t *signed_part, struct hf_buf *file,
                                  struct hf_why *why)
{
    const struct hf_root *root = p->next != NULL ? p->next : p->set.root;
    const struct hf_root *before = p->next != NULL ? p->set.root : NULL;
    struct hf_signers signers = {0};
    struct hf_buf staged = {0};
    struct hf_path path;
    HF_TRY(hf_repo_role_path(role, version, p->set.root->consistent_snapshot, &path, why));
    HF_TRY(hf_key_set_open(p->keys, root, before, role, &signers, why));
    hf_verbose("signing %s %" PRId64 " with %zu key(s)", hf_top_role_name(role), version,
               signers.n_keys);
    enum hf_err err = hf_signer_sign(signed_part, signers.keys, signers.n_keys, &staged, why);
    hf_signers_free(&signers);
    if (err == HF_OK && file != NULL && hf_buf_append(file, staged.data, staged.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for %s", path.text);
    if (err == HF_OK) {
        p->signed_now.of[role] = hf_signed_file_make(version, hf_buf_bytes(&staged));
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

/* What the next file of an online role says of itself. */
static enum hf_err next_signing(struct hf_publication *p, enum hf_top_role role, int64_t newest,
                                struct hf_signing *out, struct hf_why *why)
{
    *out = (struct hf_signing){hf_publication_next_version(p, role, newest), 0, HF_TIME_NONE};
    return hf_publication_expiry(p, role, &out->expires_s, why);
}

static enum hf_err stage_timestamp(struct hf_publication *p, int64_t snapshot_version,
                                   struct hf_bytes snapshot_file, struct hf_why *why)
{
    json_t *timestamp = NULL;
    struct hf_signing signing;
    HF_TRY(next_signing(p, HF_ROLE_TIMESTAMP, p->set.timestamp->env.version, &signing, why));
    HF_TRY(hf_compose_timestamp(&signing, snapshot_version, snapshot_file, &timestamp, why));
    enum hf_err err = sign_and_stage(p, HF_ROLE_TIMESTAMP, signing.version, timestamp, NULL, why);
    json_decref(timestamp);
    return err;
}

/* A new snapshot and a new timestamp. `targets` is the file that it names; none: the same as
 * before. */
static enum hf_err stage_snapshot(struct hf_publication *p, int64_t targets_version,
                                  struct hf_bytes targets, struct hf_why *why)
{
    json_t *snapshot = NULL;
    struct hf_buf file = {0};
    struct hf_signing signing;
    HF_TRY(next_signing(p, HF_ROLE_SNAPSHOT, p->set.snapshot->env.version, &signing, why));
    HF_TRY(hf_compose_snapshot(p->set.snapshot->env.signed_part, &signing, targets_version, targets,
                               &snapshot, why));
    enum hf_err err = hf_rollouts_list(p, snapshot, why);
    if (err == HF_OK)
        err = sign_and_stage(p, HF_ROLE_SNAPSHOT, signing.version, snapshot, &file, why);
    if (err == HF_OK)
        err = stage_timestamp(p, signing.version, hf_buf_bytes(&file), why);
    hf_buf_free(&file);
    json_decref(snapshot);
    return err;
}

enum hf_err hf_publication_stage_online(struct hf_publication *p, int64_t targets_version,
                                        struct hf_bytes targets_file, struct hf_why *why)
{
    struct hf_targets targets = {0};
    HF_TRY(hf_targets_parse(targets_file, &targets, why));
    enum hf_err err = hf_rollouts_stage(p, &targets, NULL, why);
    hf_targets_free(&targets);
    HF_TRY(err);
    p->signed_now.of[HF_ROLE_TARGETS] = hf_signed_file_make(targets_version, targets_file);
    return stage_snapshot(p, targets_version, targets_file, why);
}

enum hf_err hf_publication_stage_rollout(struct hf_publication *p,
                                         const struct hf_rollout_change *change, struct hf_why *why)
{
    HF_TRY(hf_rollouts_stage(p, hf_publication_targets(p), change, why));
    return stage_snapshot(p, 0, (struct hf_bytes){0}, why);
}

enum hf_err hf_publication_stage_refresh(struct hf_publication *p, struct hf_why *why)
{
    struct hf_buf snapshot = {0};
    int64_t timestamp_ends_s = 0, version = p->set.snapshot->env.version;
    HF_TRY(hf_publication_expiry(p, HF_ROLE_TIMESTAMP, &timestamp_ends_s, why));
    HF_TRY(hf_rollouts_stage(p, hf_publication_targets(p), NULL, why));
    if (p->set.snapshot->env.expires_s < timestamp_ends_s || p->signed_now.n_rollouts > 0)
        return stage_snapshot(p, 0, (struct hf_bytes){0}, why);
    enum hf_err err = hf_repo_read_role(&p->repo, HF_ROLE_SNAPSHOT, version,
                                        p->set.root->consistent_snapshot, &snapshot, why);
    if (err == HF_OK)
        err = stage_timestamp(p, version, hf_buf_bytes(&snapshot), why);
    hf_buf_free(&snapshot);
    return err;
}

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
