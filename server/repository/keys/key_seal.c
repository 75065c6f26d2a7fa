#include "server/repository/keys/key_seal.h"

#include <sodium.h>
#include <string.h>

void hf_key_seal_free(struct hf_key_seal *seal)
{
    sodium_free(seal->wrap_key);
    *seal = (struct hf_key_seal){0};
}

enum hf_err hf_path_folder(const char *path, struct hf_path *out, struct hf_why *why)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return hf_path_set(out, why, ".");
    if (slash == path)
        return hf_path_set(out, why, "/");
    return hf_path_set(out, why, "%.*s", (int)(slash - path), path);
}

static bool is_online(const char *folder)
{
    const char *slash = strrchr(folder, '/');
    return strcmp(slash == NULL ? folder : slash + 1, hf_key_half_name(HF_KEYS_ONLINE)) == 0;
}

/* One sealed key is enough to see whether the passphrase is that of the folder. */
static bool is_first_sealed(void *context, const struct hf_key_file *file)
{
    bool *has_chosen = context;
    bool is_chosen = !*has_chosen && file->kdf.kind != HF_KDF_NONE;
    *has_chosen = *has_chosen || is_chosen;
    return is_chosen;
}

/* HF_E_NOT_FOUND without a sealed key. */
static enum hf_err seal_of_folder(struct hf_key_set *set, struct hf_key_seal *out,
                                  struct hf_why *why)
{
    struct hf_key_folder *folder = &set->folders[HF_KEYS_OFFLINE];
    struct hf_signers opened = {0};
    bool has_sealed = false;
    const struct hf_key_choice choice = {is_first_sealed, &has_sealed};
    HF_TRY(hf_key_set_open_chosen(set, HF_KEYS_OFFLINE, &choice, &opened, why));
    hf_signers_free(&opened);
    if (!has_sealed)
        return HF_E_NOT_FOUND;
    *out = (struct hf_key_seal){.kdf = folder->kdf, .wrap_key = folder->wrap_key};
    folder->wrap_key = NULL;
    return HF_OK;
}

enum hf_err hf_key_seal_choose(const char *folder, const char *passphrase_file, struct hf_kdf like,
                               struct hf_key_seal *out, struct hf_why *why)
{
    struct hf_passphrase passphrase = {0};
    struct hf_key_seal seal = {.kdf = like};
    randombytes_buf(seal.kdf.salt, sizeof seal.kdf.salt);
    HF_TRY(hf_passphrase_choose(passphrase_file, folder, &passphrase, why));
    enum hf_err err = hf_kdf_derive(&seal.kdf, &passphrase, &seal.wrap_key, why);
    hf_passphrase_free(&passphrase);
    if (err == HF_OK)
        *out = seal;
    return err;
}

enum hf_err hf_key_seal_prepare(const char *folder, const char *passphrase_file,
                                struct hf_key_seal *out, struct hf_why *why)
{
    struct hf_key_set set = {0};
    set.folders[HF_KEYS_OFFLINE].passphrase_file = passphrase_file;
    HF_TRY(hf_path_set(&set.folders[HF_KEYS_OFFLINE].path, why, "%s", folder));
    enum hf_err err = seal_of_folder(&set, out, why);
    hf_key_set_free(&set);
    if (err != HF_E_NOT_FOUND || !hf_file_exists(folder))
        return err;
    struct hf_kdf fresh = is_online(folder) ? hf_kdf_for_online() : hf_kdf_for_offline();
    return hf_key_seal_choose(folder, passphrase_file, fresh, out, why);
}
