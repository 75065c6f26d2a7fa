#include "server/repository/rollout_publish.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/json/json.h"
#include "server/repository/base/terminal.h"
#include "server/repository/keys/signer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One role on its way to be signed. */
struct turn {
    struct hf_publication *p;
    const struct hf_targets *targets; /* that the snapshot will name */
    const struct hf_delegation *delegation;
    const struct hf_targets *before; /* NULL: none */
    const struct hf_rollout_change *change;
    json_t *document; /* owned; the next one */
    bool has_changed;
};

const struct hf_targets *hf_rollout_published(const struct hf_trusted_set *set, const char *role)
{
    const struct hf_trusted_targets *top = hf_trusted_set_find_targets(set, "targets", NULL);
    const struct hf_trusted_targets *found = hf_trusted_set_find_targets(set, role, top);
    return found == NULL ? NULL : &found->targets;
}

bool hf_rollout_is_superseded(const struct hf_targets *targets, const struct hf_description *d)
{
    bool is_superseded = false;
    for (size_t i = 0; i < targets->n_targets && !is_superseded; i++) {
        struct hf_description other = {0};
        if (hf_description_parse(targets->targets[i].custom, &other, NULL) != HF_OK)
            continue;
        is_superseded = strcmp(other.set, d->set) == 0 && strcmp(other.profile, d->profile) == 0 &&
                        other.version > d->version;
        hf_description_free(&other);
    }
    return is_superseded;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static bool is_of_role(void *context, const struct hf_key_file *file)
{
    const struct turn *t = context;
    return hf_key_id_in(&t->targets->ring, &t->delegation->role, file->public_key) != NULL;
}

/* Without asking for a passphrase. */
static bool has_keys(struct turn *t)
{
    struct hf_key_folder *online = &t->p->keys->folders[HF_KEYS_ONLINE];
    int64_t n = 0;
    if (hf_key_folder_list(online, NULL) != HF_OK)
        return false;
    for (size_t i = 0; i < online->n_files; i++)
        n += is_of_role(t, &online->files[i]);
    return n >= t->delegation->role.threshold;
}

static enum hf_err sign(struct turn *t, struct hf_buf *file, struct hf_why *why)
{
    const struct hf_key_choice choice = {is_of_role, t};
    struct hf_signers signers = {0};
    HF_TRY(hf_key_set_open_chosen(t->p->keys, HF_KEYS_ONLINE, &choice, &signers, why));
    for (size_t i = 0; i < signers.n_keys; i++)
        signers.keys[i].known_as = hf_key_id_in(&t->targets->ring, &t->delegation->role,
                                                signers.keys[i].public_key);
    enum hf_err err = hf_signer_sign(t->document, signers.keys, signers.n_keys, file, why);
    hf_signers_free(&signers);
    return err;
}

/* ---- the document ---------------------------------------------------------------------------- */

static int64_t next_version(const struct turn *t)
{
    const char *role = t->delegation->role.name;
    int64_t newest = t->before == NULL ? 0 : t->before->env.version;
    for (int location = 0; location < HF_KEY_LOCATIONS; location++) {
        const struct hf_rollback_record *record = &t->p->record[location];
        const int64_t known[] = {hf_signed_rollout_version(&record->committed, role),
                                 hf_signed_rollout_version(&record->prepared, role)};
        for (size_t i = 0; i < 2 && t->p->is_used[location]; i++)
            newest = known[i] > newest ? known[i] : newest;
    }
    return hf_publication_next_free(t->p, role, newest);
}

/* What is to become of the stage of a target that `targets` list. True: *out is another stage. */
static bool is_to_be_aborted(const struct turn *t, const struct hf_target *target,
                             struct hf_rollout_activation *out)
{
    struct hf_description d = {0};
    if (hf_rollout_find(t->before, target, out, NULL) != HF_OK ||
        (out->state != HF_ROLLOUT_OPEN && out->state != HF_ROLLOUT_PAUSED) ||
        hf_description_parse(target->custom, &d, NULL) != HF_OK)
        return false;
    bool is_superseded = hf_rollout_is_superseded(t->targets, &d);
    hf_description_free(&d);
    out->state = HF_ROLLOUT_ABORTED;
    out->since_s = t->p->now_s;
    (void)snprintf(out->reason, sizeof out->reason, "a higher version was published");
    return is_superseded;
}

/* Bring the stages that are signed in line with what `targets` list. */
static enum hf_err carry_over(struct turn *t, struct hf_why *why)
{
    for (size_t i = 0; t->before != NULL && i < t->before->n_targets; i++) {
        const struct hf_target *entry = &t->before->targets[i];
        const struct hf_target *listed = hf_targets_find(t->targets, entry->path);
        struct hf_rollout_activation activation;
        if (listed == NULL || hf_rollout_find(t->before, listed, &activation, NULL) != HF_OK) {
            hf_compose_remove_target(t->document, entry->path);
            t->has_changed = true;
        } else if (is_to_be_aborted(t, listed, &activation)) {
            HF_TRY(hf_compose_set_stage(t->document, listed, &activation, why));
            t->has_changed = true;
        }
    }
    return HF_OK;
}

static enum hf_err compose(struct turn *t, struct hf_why *why)
{
    struct hf_signing signing = {next_version(t), 0, HF_TIME_NONE};
    HF_TRY(hf_publication_expiry(t->p, HF_ROLE_SNAPSHOT, &signing.expires_s, why));
    HF_TRY(hf_compose_targets(t->before == NULL ? NULL : t->before->env.signed_part, &signing,
                              &t->document, why));
    HF_TRY(carry_over(t, why));
    t->has_changed = t->has_changed || t->before == NULL || t->change != NULL;
    if (t->change == NULL)
        return HF_OK;
    return hf_compose_set_stage(t->document, t->change->target, &t->change->activation, why);
}

/* False: other keys sign now. */
static bool is_signed_by_role(const struct turn *t)
{
    const struct hf_role *role = &t->delegation->role;
    return t->before == NULL ||
           hf_envelope_verify(&t->before->env, &t->targets->ring, role, role->name, NULL) == HF_OK;
}

/* Must it be signed again, whatever is in it? */
static enum hf_err is_due(const struct turn *t, bool *out, struct hf_why *why)
{
    int64_t timestamp_ends_s = 0;
    HF_TRY(hf_publication_expiry(t->p, HF_ROLE_TIMESTAMP, &timestamp_ends_s, why));
    *out = t->has_changed || t->before->env.expires_s < timestamp_ends_s || !is_signed_by_role(t);
    return HF_OK;
}

static enum hf_err stage_one(struct turn *t, struct hf_why *why)
{
    const char *role = t->delegation->role.name;
    struct hf_buf file = {0};
    struct hf_path path;
    bool is_wanted = false;
    HF_TRY(compose(t, why));
    HF_TRY(is_due(t, &is_wanted, why));
    if (!is_wanted)
        return HF_OK;
    if (!has_keys(t) && t->change == NULL && is_signed_by_role(t))
        return HF_OK;
    if (!has_keys(t))
        return hf_fail(why, HF_E_NOT_FOUND,
                       "%s does not hold the key of %s that targets name; bring it, or delegate "
                       "the role to a new one (rollout delegate)",
                       t->p->keys->folders[HF_KEYS_ONLINE].path.text, role);
    const int64_t version = json_integer_value(json_object_get(t->document, "version"));
    HF_TRY(hf_repo_delegated_path(role, version, t->p->set.root->consistent_snapshot, &path, why));
    hf_verbose("signing %s %" PRId64, role, version);
    enum hf_err err = sign(t, &file, why);
    if (err == HF_OK) {
        const struct hf_signed_file made = hf_signed_file_make(version, hf_buf_bytes(&file));
        err = hf_signed_rollout_set(&t->p->signed_now, role, &made, why);
    }
    if (err == HF_OK)
        return hf_repo_stage_take(&t->p->repo, path.text, &file, why);
    hf_buf_free(&file);
    return err;
}

enum hf_err hf_rollouts_stage(struct hf_publication *p, const struct hf_targets *targets,
                              const struct hf_rollout_change *change, struct hf_why *why)
{
    for (size_t i = 0; i < targets->n_delegations; i++) {
        const struct hf_delegation *delegation = &targets->delegations[i];
        const char *role = delegation->role.name;
        if (hf_rollout_role_set(role) == NULL)
            continue;
        HF_TRY(hf_rollout_delegation_check(delegation, why));
        struct turn t = {.p = p,
                         .targets = targets,
                         .delegation = delegation,
                         .before = hf_rollout_published(&p->set, role)};
        if (change != NULL && strcmp(change->role, role) == 0)
            t.change = change;
        enum hf_err err = stage_one(&t, why);
        json_decref(t.document);
        HF_TRY(err);
    }
    return HF_OK;
}

enum hf_err hf_rollouts_list(const struct hf_publication *p, json_t *snapshot, struct hf_why *why)
{
    for (size_t i = 0; i < p->signed_now.n_rollouts; i++) {
        const struct hf_signed_rollout *made = &p->signed_now.rollouts[i];
        struct hf_path path;
        struct hf_buf file = {0};
        HF_TRY(hf_repo_delegated_path(made->role, made->file.version,
                                      p->set.root->consistent_snapshot, &path, why));
        HF_TRY(hf_repo_read(&p->repo, path.text, HF_TARGETS_BYTES_MAX, &file, why));
        enum hf_err err = hf_compose_add_to_snapshot(snapshot, made->role, made->file.version,
                                                     hf_buf_bytes(&file), why);
        hf_buf_free(&file);
        HF_TRY(err);
    }
    return HF_OK;
}
