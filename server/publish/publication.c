#include "server/publish/publication.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "server/publish/pin.h"
#include "server/publish/signer.h"

#include <inttypes.h>

/* ---- open and close --------------------------------------------------------------------------- */

/* Devices take the newest signed_at as the least the time can be, and old signatures must not look
 * newer than new ones. */
static enum hf_err check_clock(const struct hf_publication *p, struct hf_why *why)
{
    char now[HF_TIME_TEXT_MAX], last[HF_TIME_TEXT_MAX];
    int64_t signed_at_s = hf_trusted_set_signed_at(&p->set);
    if (signed_at_s == HF_TIME_NONE || signed_at_s <= p->now_s)
        return HF_OK;
    hf_time_format(p->now_s, now);
    hf_time_format(signed_at_s, last);
    return hf_fail(why, HF_E_STATE,
                   "this machine's clock says %s, but the repository was signed at %s; "
                   "set the clock",
                   now, last);
}

/* Trust begins in the keys folder: a repository cannot say of itself whose it is. */
static enum hf_err verify_from_pin(struct hf_publication *p, enum hf_key_half half,
                                   struct hf_trusted_set *out, struct hf_why *why)
{
    struct hf_buf pin = {0};
    HF_TRY(hf_pin_read(&p->keys.folders[half], &pin, why));
    const struct hf_repo repo = {.dir = p->repo.dir, .pinned_root = hf_buf_bytes(&pin)};
    enum hf_err err = hf_repo_verify_metadata(&repo, HF_REPO_ANY_TIME, out, why);
    hf_buf_free(&pin);
    return err;
}

/* The online half signs too where it is at hand, so its pin must agree as well. */
static enum hf_err add_online_half(struct hf_publication *p, struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    enum hf_err err = hf_publication_find_online(p, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    if (err == HF_OK)
        err = verify_from_pin(p, HF_KEYS_ONLINE, &set, why);
    hf_trusted_set_free(&set);
    if (err == HF_OK)
        p->is_used[HF_KEYS_ONLINE] = true;
    return err;
}

static enum hf_err begin_with_half(struct hf_publication *p, enum hf_key_half half,
                                   struct hf_why *why)
{
    HF_TRY(verify_from_pin(p, half, &p->set, why));
    p->is_used[half] = true;
    return half == HF_KEYS_OFFLINE ? add_online_half(p, why) : HF_OK;
}

static enum hf_err open_parts(const struct hf_publication_place *place, struct hf_publication *p,
                              struct hf_why *why)
{
    const char *online = place->online_passphrase_file;
    HF_TRY(hf_repo_lock_take(place->repo_dir, &p->lock, why));
    HF_TRY(hf_key_set_init(&p->keys, place->keys_dir, place->passphrase_file,
                           online == NULL ? place->passphrase_file : online, why));
    HF_TRY(begin_with_half(p, place->half, why));
    return check_clock(p, why);
}

enum hf_err hf_publication_open(const struct hf_publication_place *place,
                                struct hf_publication *out, struct hf_why *why)
{
    struct hf_publication p = {.now_s = place->now_s,
                               .lock = HF_REPO_LOCK_NONE,
                               .repo = {.dir = place->repo_dir},
                               .expiry = hf_expiry_default()};
    enum hf_err err = open_parts(place, &p, why);
    if (err != HF_OK) {
        hf_publication_close(&p);
        return err;
    }
    *out = p;
    return HF_OK;
}

void hf_publication_close(struct hf_publication *p)
{
    hf_repo_unstage(&p->repo);
    hf_trusted_set_free(&p->set);
    hf_key_set_free(&p->keys);
    hf_repo_lock_release(&p->lock);
    *p = (struct hf_publication){.lock = HF_REPO_LOCK_NONE};
}

const struct hf_targets *hf_publication_targets(const struct hf_publication *p)
{
    return hf_trusted_set_top_targets(&p->set);
}

/* ---- signing ---------------------------------------------------------------------------------- */

enum hf_err hf_publication_find_online(struct hf_publication *p, struct hf_why *why)
{
    HF_TRY(hf_key_set_find(&p->keys, p->set.root, HF_ROLE_SNAPSHOT, why));
    return hf_key_set_find(&p->keys, p->set.root, HF_ROLE_TIMESTAMP, why);
}

enum hf_err hf_publication_expiry(struct hf_publication *p, enum hf_top_role role, int64_t *out_s,
                                  struct hf_why *why)
{
    enum hf_key_half half = hf_key_half_of(role);
    HF_TRY(hf_expiry_read(&p->keys.folders[half], half, &p->expiry, why));
    *out_s = hf_expiry_of(&p->expiry, role, p->now_s);
    return HF_OK;
}

/* Sign with the keys of `role`, stage under its name, and append the file to `file`. */
static enum hf_err sign_and_stage(struct hf_publication *p, enum hf_top_role role, int64_t version,
                                  const json_t *signed_part, struct hf_buf *file,
                                  struct hf_why *why)
{
    struct hf_signers signers = {0};
    struct hf_buf staged = {0};
    struct hf_path path;
    HF_TRY(hf_repo_role_path(role, version, p->set.root->consistent_snapshot, &path, why));
    HF_TRY(hf_key_set_open(&p->keys, p->set.root, role, &signers, why));
    enum hf_err err = hf_signer_sign(signed_part, signers.keys, signers.n_keys, &staged, why);
    hf_signers_free(&signers);
    if (err == HF_OK && hf_buf_append(file, staged.data, staged.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for %s", path.text);
    if (err == HF_OK)
        return hf_repo_stage_take(&p->repo, path.text, &staged, why);
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
    struct hf_signing signing = {p->set.timestamp->env.version + 1, 0, HF_TIME_NONE};
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
    *out = (struct hf_signing){p->set.snapshot->env.version + 1, 0, HF_TIME_NONE};
    return hf_publication_expiry(p, HF_ROLE_SNAPSHOT, &out->expires_s, why);
}

enum hf_err hf_publication_stage_online(struct hf_publication *p, int64_t targets_version,
                                        struct hf_bytes targets_file, struct hf_why *why)
{
    json_t *snapshot = NULL;
    struct hf_signing signing;
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

enum hf_err hf_publication_commit(struct hf_publication *p, struct hf_why *why)
{
    for (int half = 0; half < HF_KEY_HALVES; half++) {
        if (p->is_used[half])
            HF_TRY(hf_pin_renew(&p->keys.folders[half], &p->repo, p->now_s, why));
    }
    return hf_repo_write(&p->repo, p->now_s, why);
}
