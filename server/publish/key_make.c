#include "server/publish/key_make.h"

#include "common/base/limits.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>

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

/* ---- generating ------------------------------------------------------------------------------- */

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

static enum hf_err generate(const struct hf_key_plan *plan, struct hf_root_plan *out,
                            struct hf_why *why)
{
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        out->thresholds[i] = plan->thresholds[i];
        HF_TRY(generate_role(plan->counts[i], &out->keys[i], why));
    }
    return HF_OK;
}

/* ---- sealing ---------------------------------------------------------------------------------- */

/* How the keys of one half are sealed. */
struct seal {
    struct hf_kdf kdf;
    uint8_t *wrap_key; /* NULL without a passphrase */
};

static enum hf_err prepare_seal(const struct hf_key_folder *folder, struct hf_kdf kdf,
                                struct seal *out, struct hf_why *why)
{
    struct hf_passphrase passphrase = {0};
    HF_TRY(hf_passphrase_choose(folder->passphrase_file, folder->path.text, &passphrase, why));
    enum hf_err err = hf_kdf_derive(&kdf, &passphrase, &out->wrap_key, why);
    hf_passphrase_free(&passphrase);
    out->kdf = kdf;
    return err;
}

static enum hf_err prepare_seals(const struct hf_key_set *set, struct seal seals[HF_KEY_HALVES],
                                 struct hf_why *why)
{
    HF_TRY(prepare_seal(&set->folders[HF_KEYS_OFFLINE], hf_kdf_for_offline(),
                        &seals[HF_KEYS_OFFLINE], why));
    return prepare_seal(&set->folders[HF_KEYS_ONLINE], hf_kdf_for_online(), &seals[HF_KEYS_ONLINE],
                        why);
}

/* ---- writing ---------------------------------------------------------------------------------- */

static enum hf_err write_role(const struct hf_key_folder *folder, enum hf_top_role role,
                              const struct hf_signers *keys, const struct seal *seal,
                              struct hf_undo *undo, struct hf_why *why)
{
    for (size_t i = 0; i < keys->n_keys; i++) {
        struct hf_path path;
        HF_TRY(hf_path_set(&path, why, "%s/%s-%zu" HF_KEY_FILE_SUFFIX, folder->path.text,
                           hf_top_role_name(role), i + 1));
        HF_TRY(hf_key_file_create(path.text, &keys->keys[i], &seal->kdf, seal->wrap_key, why));
        HF_TRY(hf_undo_note(undo, path.text, why));
    }
    return HF_OK;
}

static enum hf_err write_half(const struct hf_key_set *set, enum hf_key_half half,
                              const struct hf_root_plan *plan, const struct hf_expiry *expiry,
                              const struct seal *seal, struct hf_undo *undo, struct hf_why *why)
{
    const struct hf_key_folder *folder = &set->folders[half];
    struct hf_path periods;
    HF_TRY(hf_undo_make_folder(undo, folder->path.text, 0700, why));
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        enum hf_top_role role = (enum hf_top_role)i;
        if (hf_key_half_of(role) == half)
            HF_TRY(write_role(folder, role, &plan->keys[role], seal, undo, why));
    }
    HF_TRY(hf_expiry_create(folder, half, expiry, why));
    HF_TRY(hf_path_set(&periods, why, "%s/expiry.json", folder->path.text));
    return hf_undo_note(undo, periods.text, why);
}

static enum hf_err write_keys(const struct hf_key_set *set, const struct hf_root_plan *plan,
                              const struct hf_expiry *expiry,
                              const struct seal seals[HF_KEY_HALVES], struct hf_undo *undo,
                              struct hf_why *why)
{
    HF_TRY(write_half(set, HF_KEYS_OFFLINE, plan, expiry, &seals[HF_KEYS_OFFLINE], undo, why));
    return write_half(set, HF_KEYS_ONLINE, plan, expiry, &seals[HF_KEYS_ONLINE], undo, why);
}

enum hf_err hf_key_make(const struct hf_key_set *set, const struct hf_key_plan *plan,
                        const struct hf_expiry *expiry, struct hf_undo *undo,
                        struct hf_root_plan *out, struct hf_why *why)
{
    struct hf_root_plan made = {0};
    struct seal seals[HF_KEY_HALVES] = {0};
    enum hf_err err = HF_OK;
    if (!plan->is_insecure)
        err = prepare_seals(set, seals, why);
    if (err == HF_OK)
        err = generate(plan, &made, why);
    if (err == HF_OK)
        err = write_keys(set, &made, expiry, seals, undo, why);
    sodium_free(seals[HF_KEYS_OFFLINE].wrap_key);
    sodium_free(seals[HF_KEYS_ONLINE].wrap_key);
    if (err != HF_OK) {
        hf_root_plan_free(&made);
        return err;
    }
    *out = made;
    return HF_OK;
}
