#include "server/repository/keys/key_seal.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NEW_SUFFIX ".new" /* is not HF_KEY_FILE_SUFFIX: never taken for a key */

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

/* A seal of these parameters, with a passphrase to be chosen for the keys of `folder`. */
static enum hf_err choose_seal(struct hf_kdf kdf, const char *passphrase_file, const char *folder,
                               struct hf_key_seal *out, struct hf_why *why)
{
    struct hf_passphrase passphrase = {0};
    struct hf_key_seal seal = {.kdf = kdf};
    HF_TRY(hf_passphrase_read(HF_SECRET_NEW_PASSPHRASE, passphrase_file, folder, &passphrase, why));
    enum hf_err err = hf_kdf_derive(&seal.kdf, &passphrase, &seal.wrap_key, why);
    hf_passphrase_free(&passphrase);
    if (err == HF_OK)
        *out = seal;
    return err;
}

/* One sealed key is enough to see whether the passphrase is that of the folder. */
static bool is_first_sealed(void *context, const struct hf_key_file *file)
{
    bool *has_chosen = context;
    bool is_chosen = !*has_chosen && file->kdf.kind != HF_KDF_NONE;
    *has_chosen = *has_chosen || is_chosen;
    return is_chosen;
}

enum hf_err hf_key_seal_prepare(const char *folder, const char *passphrase_file,
                                struct hf_key_seal *out, struct hf_why *why)
{
    struct hf_key_set set = {0};
    struct hf_key_folder *keys = &set.folders[HF_KEYS_OFFLINE];
    struct hf_signers opened = {0};
    bool has_sealed = false;
    const struct hf_key_choice choice = {is_first_sealed, &has_sealed};
    keys->passphrase_file = passphrase_file;
    HF_TRY(hf_path_set(&keys->path, why, "%s", folder));
    enum hf_err err = hf_key_set_open_chosen(&set, HF_KEYS_OFFLINE, &choice, &opened, why);
    if (err == HF_OK && has_sealed) {
        *out = (struct hf_key_seal){.kdf = keys->kdf, .wrap_key = keys->wrap_key};
        keys->wrap_key = NULL;
    }
    hf_signers_free(&opened);
    hf_key_set_free(&set);
    if (err != HF_OK || has_sealed)
        return err;
    bool is_online = strcmp(basename(folder), hf_key_location_name(HF_KEYS_ONLINE)) == 0;
    return choose_seal(hf_kdf_make(is_online), passphrase_file, folder, out, why);
}

static bool has_name_of(void *context, const struct hf_key_file *file)
{
    return strcmp(basename(context), basename(file->path)) == 0;
}

static bool is_listed(const char *const *paths, const struct hf_key_file *file)
{
    bool is = false;
    for (size_t i = 0; paths[i] != NULL && !is; i++)
        is = has_name_of((void *)(uintptr_t)paths[i], file);
    return is;
}

/* May these keys of `folder` get another passphrase? `*like` is how they are sealed, if they
 * are. */
static enum hf_err check_rekey(struct hf_key_folder *folder, const char *const *paths,
                               struct hf_kdf *like, struct hf_why *why)
{
    const struct hf_kdf *sealed = NULL;
    HF_TRY(hf_path_folder(paths[0], &folder->path, why));
    for (size_t i = 1; paths[i] != NULL; i++) {
        struct hf_path other;
        HF_TRY(hf_path_folder(paths[i], &other, why));
        if (strcmp(other.text, folder->path.text) != 0)
            return hf_fail(why, HF_E_ARGUMENT,
                           "%s and %s lie in two folders, which have a passphrase each; change one "
                           "after the other",
                           paths[0], paths[i]);
    }
    HF_TRY(hf_key_folder_list(folder, why));
    for (size_t i = 0; i < folder->n_files; i++) {
        const struct hf_key_file *file = &folder->files[i];
        if (is_listed(paths, file) && file->uri != NULL)
            return hf_fail(why, HF_E_ARGUMENT,
                           "%s refers to a key in a token (%s), which has a PIN: change that with "
                           "the token's own tools, and leave this file out",
                           file->path, file->name);
        if (is_listed(paths, file) && file->kdf.kind != HF_KDF_NONE && sealed == NULL)
            sealed = &file->kdf;
    }
    for (size_t i = 0; i < folder->n_files && sealed != NULL; i++) {
        const struct hf_key_file *file = &folder->files[i];
        if (!is_listed(paths, file) && hf_kdf_same(&file->kdf, sealed))
            return hf_fail(why, HF_E_STATE,
                           "%s has the same passphrase and is left out; one passphrase opens a "
                           "folder, give all its keys",
                           file->path);
    }
    *like = hf_kdf_make(false);
    if (sealed != NULL) {
        like->passes = sealed->passes;
        like->memory_bytes = sealed->memory_bytes;
    }
    return HF_OK;
}

static enum hf_err open_named(struct hf_key_set *set, const char *path, struct hf_signers *out,
                              struct hf_why *why)
{
    const struct hf_key_choice choice = {has_name_of, (void *)(uintptr_t)path};
    return hf_key_set_open_chosen(set, HF_KEYS_OFFLINE, &choice, out, why);
}

/* Write the key beside its file. The file just written, read from the disk, opens and is that
 * key. */
static enum hf_err write_beside(struct hf_key_set *set, const char *path,
                                const struct hf_key_seal *seal, struct hf_why *why)
{
    struct hf_path beside;
    struct hf_signers opened = {0};
    struct hf_key_file file = {0};
    struct hf_signing_key key = {0};
    HF_TRY(hf_path_set(&beside, why, "%s%s", path, NEW_SUFFIX));
    enum hf_err err = open_named(set, path, &opened, why);
    if (err == HF_OK && opened.n_keys != 1)
        err = hf_fail(why, HF_E_NOT_FOUND,
                      "%s is no key of its own: expected a file that ends in %s and is no copy of "
                      "another one in the folder",
                      path, HF_KEY_FILE_SUFFIX);
    /* What a power cut left behind is another copy of a key that is still there. */
    if (err == HF_OK && unlink(beside.text) != 0 && errno != ENOENT)
        err = hf_fail(why, HF_E_STORAGE, "cannot remove %s: %s", beside.text, strerror(errno));
    if (err == HF_OK)
        err = hf_key_file_create(beside.text, &opened.keys[0], &seal->kdf, seal->wrap_key, why);
    if (err == HF_OK)
        err = hf_key_file_read(beside.text, &file, why);
    if (err == HF_OK)
        err = hf_key_file_open(&file, seal->wrap_key, &key, why);
    if (err == HF_OK && strcmp(key.key_id, opened.keys[0].key_id) != 0)
        err = hf_fail(why, HF_E_KEY, "%s holds another key than was written", beside.text);
    hf_signing_key_free(&key);
    hf_key_file_free(&file);
    hf_signers_free(&opened);
    return err;
}

enum hf_err hf_key_rekey(const char *const *paths, const char *passphrase_file,
                         const char *new_passphrase_file, struct hf_why *why)
{
    struct hf_key_set set = {0};
    struct hf_key_folder *folder = &set.folders[HF_KEYS_OFFLINE];
    struct hf_key_seal seal = {0};
    struct hf_signers opened = {0};
    struct hf_path beside;
    struct hf_kdf like = {0};
    folder->passphrase_file = passphrase_file;
    enum hf_err err = check_rekey(folder, paths, &like, why);
    /* The old passphrase is asked for, and found wrong, before the new one. */
    if (err == HF_OK)
        err = open_named(&set, paths[0], &opened, why);
    hf_signers_free(&opened);
    if (err == HF_OK)
        err = choose_seal(like, new_passphrase_file, folder->path.text, &seal, why);
    if (err != HF_OK)
        goto out;

    for (size_t i = 0; paths[i] != NULL && err == HF_OK; i++)
        err = write_beside(&set, paths[i], &seal, why);
    for (size_t i = 0; paths[i] != NULL && err != HF_OK; i++) {
        if (hf_path_set(&beside, NULL, "%s%s", paths[i], NEW_SUFFIX) == HF_OK)
            (void)unlink(beside.text);
    }
    if (err != HF_OK)
        goto out;
    for (size_t i = 0; paths[i] != NULL && err == HF_OK; i++) {
        err = hf_path_set(&beside, why, "%s%s", paths[i], NEW_SUFFIX);
        if (err == HF_OK && rename(beside.text, paths[i]) != 0)
            err = hf_fail(why, HF_E_STORAGE, "cannot rename %s: %s; begin again", beside.text,
                          strerror(errno));
    }
    if (err == HF_OK)
        err = hf_file_sync_dir(folder->path.text, why);
out:
    hf_key_seal_free(&seal);
    hf_key_set_free(&set);
    return err;
}
