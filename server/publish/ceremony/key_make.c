#include "server/publish/ceremony/key_make.h"

#include "common/base/limits.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum hf_err hf_key_plan_check(const struct hf_key_plan *plan, struct hf_why *why)
{
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        const char *role = hf_top_role_name((enum hf_top_role)i);
        if (plan->counts[i] < 1 || plan->counts[i] > HF_ROLE_KEYS_MAX)
            return hf_fail(why, HF_E_ARGUMENT, "a role has 1 to %d keys, not %" PRId64 " (%s)",
                           HF_ROLE_KEYS_MAX, plan->counts[i], role);
        if (plan->thresholds[i] < 1 || plan->thresholds[i] > plan->counts[i])
            return hf_fail(why, HF_E_ARGUMENT,
                           "a threshold of %" PRId64 " cannot be met by %" PRId64 " %s key(s)",
                           plan->thresholds[i], plan->counts[i], role);
    }
    return HF_OK;
}

void hf_root_plan_free(struct hf_root_plan *plan)
{
    for (int i = 0; i < HF_TOP_ROLES; i++)
        hf_signers_free(&plan->keys[i]);
    *plan = (struct hf_root_plan){0};
}

struct making {
    struct hf_key_set *set;
    const struct hf_key_plan *plan;
    const struct hf_expiry *expiry;
    struct hf_undo *undo;
    struct hf_root_plan made;
    /* Where a given key lies, of those in tokens; owned. */
    char *uris[HF_TOP_ROLES][HF_ROLE_KEYS_MAX];
    /* How the keys of each half are sealed. */
    struct hf_kdf kdfs[HF_KEY_LOCATIONS];
    uint8_t *wrap_keys[HF_KEY_LOCATIONS]; /* owned; NULL without a passphrase */
};

static void free_making(struct making *m)
{
    for (int location = 0; location < HF_KEY_LOCATIONS; location++)
        sodium_free(m->wrap_keys[location]);
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        for (size_t i = 0; i < HF_ROLE_KEYS_MAX; i++)
            free(m->uris[role][i]);
    }
}

/* ---- generated, or given ---------------------------------------------------------------------- */

static enum hf_err generate_role(int64_t count, struct hf_signers *out, struct hf_why *why)
{
    out->keys = calloc((size_t)count, sizeof *out->keys);
    if (out->keys == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for keys");
    while (out->n_keys < (size_t)count) {
        HF_TRY(hf_signing_key_generate(&out->keys[out->n_keys], why));
        out->n_keys++;
    }
    return HF_OK;
}

/* Which of the given keys are opened, in their order: all. */
static bool note_and_want(void *context, const struct hf_key_file *file)
{
    char ***next = context;
    if (file->uri != NULL)
        **next = strdup(file->uri);
    (*next)++;
    return true;
}

static enum hf_err open_given(struct making *m, enum hf_top_role role, struct hf_key_set *holder,
                              struct hf_why *why)
{
    char **next = m->uris[role];
    const struct hf_key_choice all = {note_and_want, &next};
    const char *passphrase_file = m->plan->given_passphrase_file;
    if (passphrase_file == NULL)
        passphrase_file = m->set->folders[hf_key_location_of(role)].passphrase_file;
    HF_TRY(hf_key_set_add_extra(holder, m->plan->given[role], passphrase_file, why));
    return hf_key_set_open_chosen(holder, HF_KEYS_OFFLINE, &all, &m->made.keys[role], why);
}

/* One PIN a token, whatever roles its keys get: the tokens are those of the set. */
static enum hf_err take_given(struct making *m, enum hf_top_role role, struct hf_why *why)
{
    struct hf_key_set holder;
    HF_TRY(hf_key_set_init_holder(&holder, NULL, NULL, why));
    holder.tokens = m->set->tokens;
    enum hf_err err = open_given(m, role, &holder, why);
    m->set->tokens = holder.tokens;
    holder.tokens = NULL;
    hf_key_set_free(&holder);
    return err;
}

static enum hf_err collect_keys(struct making *m, struct hf_why *why)
{
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        m->made.thresholds[i] = m->plan->thresholds[i];
        if (m->plan->given[i] != NULL)
            HF_TRY(take_given(m, (enum hf_top_role)i, why));
        else
            HF_TRY(generate_role(m->plan->counts[i], &m->made.keys[i], why));
    }
    return HF_OK;
}

/* ---- sealing ---------------------------------------------------------------------------------- */

/* Where every key lies in a token, there is nothing to choose a passphrase for. */
static bool has_keys_to_seal(const struct making *m, enum hf_key_location location)
{
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        const struct hf_signers *keys = &m->made.keys[role];
        for (size_t i = 0; i < keys->n_keys; i++) {
            if (hf_key_location_of((enum hf_top_role)role) == location &&
                keys->keys[i].token == NULL)
                return true;
        }
    }
    return false;
}

static enum hf_err prepare_seal(struct making *m, enum hf_key_location location, struct hf_kdf kdf,
                                struct hf_why *why)
{
    const struct hf_key_folder *folder = &m->set->folders[location];
    struct hf_passphrase passphrase = {0};
    if (m->plan->is_insecure || !has_keys_to_seal(m, location))
        return HF_OK;
    HF_TRY(hf_passphrase_choose(folder->passphrase_file, folder->path.text, &passphrase, why));
    enum hf_err err = hf_kdf_derive(&kdf, &passphrase, &m->wrap_keys[location], why);
    hf_passphrase_free(&passphrase);
    m->kdfs[location] = kdf;
    return err;
}

/* ---- writing ---------------------------------------------------------------------------------- */

static enum hf_err write_reference(struct making *m, const char *path, const char *uri,
                                   struct hf_why *why)
{
    struct hf_token_public found = {0};
    HF_TRY(hf_token_read_public(&m->set->tokens, uri, &found, why));
    enum hf_err err = hf_key_file_create_reference(path, &found, uri, why);
    hf_token_public_free(&found);
    return err;
}

static enum hf_err write_key(struct making *m, enum hf_top_role role, size_t index,
                             const char *path, struct hf_why *why)
{
    enum hf_key_location location = hf_key_location_of(role);
    const struct hf_signing_key *key = &m->made.keys[role].keys[index];
    if (key->token == NULL)
        return hf_key_file_create(path, key, &m->kdfs[location], m->wrap_keys[location], why);
    if (m->uris[role][index] == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a key in a token");
    return write_reference(m, path, m->uris[role][index], why);
}

static enum hf_err write_role(struct making *m, enum hf_top_role role, struct hf_why *why)
{
    const struct hf_key_folder *folder = &m->set->folders[hf_key_location_of(role)];
    for (size_t i = 0; i < m->made.keys[role].n_keys; i++) {
        struct hf_path path;
        HF_TRY(hf_path_set(&path, why, "%s/%s-%zu" HF_KEY_FILE_SUFFIX, folder->path.text,
                           hf_top_role_name(role), i + 1));
        HF_TRY(write_key(m, role, i, path.text, why));
        HF_TRY(hf_undo_note(m->undo, path.text, why));
    }
    return HF_OK;
}

static enum hf_err write_half(struct making *m, enum hf_key_location location, struct hf_why *why)
{
    const struct hf_key_folder *folder = &m->set->folders[location];
    struct hf_path periods;
    HF_TRY(hf_undo_make_folder(m->undo, folder->path.text, 0700, why));
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        if (hf_key_location_of((enum hf_top_role)i) == location)
            HF_TRY(write_role(m, (enum hf_top_role)i, why));
    }
    HF_TRY(hf_expiry_create(folder, location, m->expiry, why));
    HF_TRY(hf_path_set(&periods, why, "%s/expiry.json", folder->path.text));
    return hf_undo_note(m->undo, periods.text, why);
}

static enum hf_err make_all(struct making *m, struct hf_why *why)
{
    HF_TRY(collect_keys(m, why));
    HF_TRY(prepare_seal(m, HF_KEYS_OFFLINE, hf_kdf_for_offline(), why));
    HF_TRY(prepare_seal(m, HF_KEYS_ONLINE, hf_kdf_for_online(), why));
    HF_TRY(write_half(m, HF_KEYS_OFFLINE, why));
    return write_half(m, HF_KEYS_ONLINE, why);
}

enum hf_err hf_key_make(struct hf_key_set *set, const struct hf_key_plan *plan,
                        const struct hf_expiry *expiry, struct hf_undo *undo,
                        struct hf_root_plan *out, struct hf_why *why)
{
    struct making m = {.set = set, .plan = plan, .expiry = expiry, .undo = undo};
    enum hf_err err = make_all(&m, why);
    free_making(&m);
    if (err != HF_OK) {
        hf_root_plan_free(&m.made);
        return err;
    }
    *out = m.made;
    return HF_OK;
}
