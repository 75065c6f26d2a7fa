#include "server/repository/publication.h"

#include "common/base/limits.h"
#include "common/os/file_util.h"
#include "common/base/timetext.h"
#include "server/repository/base/text.h"
#include "server/repository/keys/key_set.h"
#include "server/repository/keys/signer.h"
#include "server/repository/trusted_root.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Beyond the end of the newest timestamp. Servers renew certificates of 90 days 30 days before they
 * end: a floor that is moved by no more leaves devices what they validate. */
#define CLOCK_AHEAD_MAX_S (30 * HF_DAY_S)

/* ---- open and close --------------------------------------------------------------------------- */

/* Devices take the newest signed_at as the least the time can be, and old signatures must not look
 * newer than new ones. */
static enum hf_err check_not_behind_signatures(const struct hf_publication *p, struct hf_why *why)
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

/* A timestamp carries no time of signing, so for refresh it is the keys' own memory that tells. */
static enum hf_err check_not_behind_memory(const struct hf_publication *p, struct hf_why *why)
{
    char now[HF_TIME_TEXT_MAX], last[HF_TIME_TEXT_MAX];
    for (int location = 0; location < HF_KEY_LOCATIONS; location++) {
        if (!p->is_used[location] || p->record[location].signed_at_s <= p->now_s)
            continue;
        hf_time_format(p->now_s, now);
        hf_time_format(p->record[location].signed_at_s, last);
        return hf_fail(why, HF_E_STATE,
                       "this machine's clock says %s, but these keys signed at %s; set the clock, "
                       "or give --clock-is-right",
                       now, last);
    }
    return HF_OK;
}

/* What is signed far ahead of time moves every device's clock floor there permanently. */
static enum hf_err check_not_far_ahead(const struct hf_publication *p, struct hf_why *why)
{
    char now[HF_TIME_TEXT_MAX], end[HF_TIME_TEXT_MAX];
    int64_t end_s = p->set.timestamp->env.expires_s;
    if (p->now_s - CLOCK_AHEAD_MAX_S <= end_s)
        return HF_OK;
    hf_time_format(p->now_s, now);
    hf_time_format(end_s, end);
    return hf_fail(
        why, HF_E_STATE,
        "this machine's clock says %s, more than 30 days after the timestamp ended (%s); "
        "set the clock, or give --clock-is-right",
        now, end);
}

static enum hf_err check_clock(const struct hf_publication *p, bool is_clock_right,
                               struct hf_why *why)
{
    HF_TRY(check_not_behind_signatures(p, why));
    if (is_clock_right)
        return HF_OK;
    HF_TRY(check_not_behind_memory(p, why));
    return check_not_far_ahead(p, why);
}

/* Trust begins in the keys folder: a repository cannot say of itself whose it is. */
static enum hf_err verify_from_pin(struct hf_publication *p, enum hf_key_location location,
                                   struct hf_trusted_set *out, struct hf_why *why)
{
    struct hf_buf pin = {0};
    HF_TRY(hf_trusted_root_read(&p->keys.folders[location], &pin, why));
    const struct hf_repo repo = {.dir = p->repo.dir,
                                 .trusted_root = hf_buf_bytes(&pin),
                                 .root_max = p->repo.root_max};
    enum hf_err err = hf_repo_verify_metadata(&repo, HF_REPO_ANY_TIME, out, why);
    hf_buf_free(&pin);
    return err;
}

/* The half's own memory of what it signed. */
static enum hf_err use_half(struct hf_publication *p, enum hf_key_location location,
                            struct hf_why *why)
{
    HF_TRY(hf_rollback_record_read(&p->keys.folders[location], &p->record[location], why));
    HF_TRY(hf_rollback_record_check(&p->record[location], &p->repo, &p->published, why));
    p->is_used[location] = true;
    return HF_OK;
}

/* In a ceremony its keys may be those of the root to come; that it knows this repository counts. */
static enum hf_err find_online_half(struct hf_publication *p, struct hf_why *why)
{
    struct hf_path pin;
    if (p->repo.root_max == 0)
        return hf_publication_find_online(p, why);
    HF_TRY(hf_path_set(&pin, why, "%s/root.json", p->keys.folders[HF_KEYS_ONLINE].path.text));
    return hf_file_exists(pin.text) ? HF_OK : HF_E_NOT_FOUND;
}

/* The online half signs too where it is at hand, so its pin must agree as well. */
static enum hf_err add_online_half(struct hf_publication *p, struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    enum hf_err err = find_online_half(p, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    if (err == HF_OK)
        err = verify_from_pin(p, HF_KEYS_ONLINE, &set, why);
    hf_trusted_set_free(&set);
    return err == HF_OK ? use_half(p, HF_KEYS_ONLINE, why) : err;
}

static enum hf_err begin_with_half(struct hf_publication *p, enum hf_key_location location,
                                   struct hf_why *why)
{
    HF_TRY(verify_from_pin(p, location, &p->set, why));
    HF_TRY(hf_rollback_record_observe(&p->repo, &p->set, &p->published, why));
    HF_TRY(use_half(p, location, why));
    return location == HF_KEYS_OFFLINE ? add_online_half(p, why) : HF_OK;
}

/* Root is never signed here, and targets not with online keys alone. */
static enum hf_err check_given(const struct hf_publication *p, bool signs_targets,
                               struct hf_why *why)
{
    static const enum hf_top_role roles[] = {HF_ROLE_TIMESTAMP, HF_ROLE_SNAPSHOT, HF_ROLE_TARGETS};
    return hf_key_set_check_extra(&p->keys, p->set.root, p->next, roles, signs_targets ? 3 : 2,
                                  why);
}

static enum hf_err open_parts(const struct hf_publication_context *place, struct hf_publication *p,
                              struct hf_why *why)
{
    const char *online = place->online_passphrase_file;
    HF_TRY(hf_repo_lock(place->repo_dir, &p->lock, why));
    HF_TRY(hf_key_set_init(&p->keys, place->keys_dir, place->passphrase_file,
                           online == NULL ? place->passphrase_file : online, why));
    HF_TRY(hf_key_set_add_extra(&p->keys, place->extra_keys, place->passphrase_file, why));
    HF_TRY(begin_with_half(p, place->location, why));
    if (place->root_max == 0)
        HF_TRY(check_given(p, place->location == HF_KEYS_OFFLINE, why));
    return check_clock(p, place->is_clock_right, why);
}

enum hf_err hf_publication_open(const struct hf_publication_context *place,
                                struct hf_publication *out, struct hf_why *why)
{
    struct hf_publication p = {.now_s = place->now_s,
                               .lock = -1,
                               .repo = {.dir = place->repo_dir, .root_max = place->root_max},
                               .expiry = hf_expiry_default()};
    enum hf_err err = open_parts(place, &p, why);
    if (err != HF_OK) {
        hf_publication_close(&p);
        return err;
    }
    *out = p;
    out->repo.self_signed = &out->self_signed;
    hf_verbose("verified %s: root %" PRId64 ", targets %" PRId64 ", snapshot %" PRId64
               ", timestamp %" PRId64,
               place->repo_dir, out->set.root->env.version,
               hf_publication_targets(out)->env.version, out->set.snapshot->env.version,
               out->set.timestamp->env.version);
    return HF_OK;
}

void hf_publication_close(struct hf_publication *p)
{
    hf_repo_unstage(&p->repo);
    hf_trusted_set_free(&p->set);
    hf_key_set_free(&p->keys);
    hf_self_signed_free(&p->self_signed);
    hf_file_unlock(p->lock);
    *p = (struct hf_publication){.lock = -1};
}

const struct hf_targets *hf_publication_targets(const struct hf_publication *p)
{
    return hf_trusted_set_top_targets(&p->set);
}

enum hf_err hf_publication_find_online(struct hf_publication *p, struct hf_why *why)
{
    HF_TRY(hf_key_set_find(&p->keys, p->set.root, HF_ROLE_SNAPSHOT, why));
    return hf_key_set_find(&p->keys, p->set.root, HF_ROLE_TIMESTAMP, why);
}

enum hf_err hf_publication_sign_under(struct hf_publication *p, const struct hf_root *next,
                                      struct hf_why *why)
{
    p->next = next;
    return check_given(p, true, why);
}

/* ---- commit ------------------------------------------------------------------------------------ */

/* What was signed now; else what stands, where it is not older than what the half knew. */
static struct hf_signed_files files_after(const struct hf_publication *p,
                                          const struct hf_rollback_record *record)
{
    struct hf_signed_files after = record->committed;
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        if (p->signed_now.of[role].version > 0)
            after.of[role] = p->signed_now.of[role];
        else if (p->published.of[role].version > after.of[role].version)
            after.of[role] = p->published.of[role];
    }
    return after;
}

enum hf_err hf_publication_remember(struct hf_publication *p, bool is_done, struct hf_why *why)
{
    for (int location = 0; location < HF_KEY_LOCATIONS; location++) {
        struct hf_rollback_record *record = &p->record[location];
        if (!p->is_used[location])
            continue;
        record->prepared = files_after(p, record);
        record->signed_at_s = p->now_s;
        if (is_done)
            record->committed = record->prepared;
        HF_TRY(hf_rollback_record_write(&p->keys.folders[location], record, why));
    }
    return HF_OK;
}

static enum hf_err before_timestamp(void *context, struct hf_why *why)
{
    struct hf_publication *p = context;
    for (int location = 0; location < HF_KEY_LOCATIONS; location++) {
        if (p->is_used[location])
            HF_TRY(hf_trusted_root_renew(&p->keys.folders[location], &p->repo, p->now_s, why));
    }
    return hf_publication_remember(p, false, why);
}

enum hf_err hf_publication_commit(struct hf_publication *p, struct hf_why *why)
{
    const struct hf_repo_step step = {before_timestamp, p};
    HF_TRY(hf_repo_write_with(&p->repo, p->now_s, &step, why));
    if (hf_publication_remember(p, true, why) != HF_OK)
        return hf_fail_context(why, "the repository is written, but not the memory of it");
    return HF_OK;
}

/* ---- signing --------------------------------------------------------------------------------- */

/* The chain of signatures of a publication: targets, snapshot, timestamp; composed, signed, staged. */
enum hf_err hf_publication_expiry(struct hf_publication *p, enum hf_top_role role, int64_t *out_s,
                                  struct hf_why *why)
{
    enum hf_key_location location = hf_key_location_of(role);
    HF_TRY(hf_expiry_read(&p->keys.folders[location], location, &p->expiry, why));
    *out_s = hf_expiry_of(&p->expiry, role, p->now_s);
    return HF_OK;
}

/* The next number that no file ever had: what was begun and lost may have been seen, and what lies
 * there under a number may have been cached. */
int64_t hf_publication_next_version(const struct hf_publication *p, enum hf_top_role role,
                                    int64_t newest)
{
    struct hf_path path;
    for (int location = 0; location < HF_KEY_LOCATIONS; location++) {
        int64_t last = p->is_used[location] ? hf_rollback_record_version(&p->record[location], role)
                                            : 0;
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
    HF_TRY(hf_key_set_open_chosen(&p->keys, hf_key_location_of(role), &choice, &old, why));
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
    p->signed_now.of[HF_ROLE_TARGETS] = hf_signed_file_make(targets_version, targets_file);
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
