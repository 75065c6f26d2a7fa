#include "server/repository/keys/key_seal.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
    return strcmp(slash == NULL ? folder : slash + 1, hf_key_location_name(HF_KEYS_ONLINE)) == 0;
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

/* A fresh salt and a passphrase to be chosen for the keys of `folder`, of the same cost as `like`. */
static enum hf_err key_seal_choose(const char *folder, const char *passphrase_file,
                                   struct hf_kdf like, struct hf_key_seal *out, struct hf_why *why)
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
    return key_seal_choose(folder, passphrase_file, fresh, out, why);
}

/* ---- a new passphrase ------------------------------------------------------------------------ */

#define NEW_SUFFIX ".new" /* is not HF_KEY_FILE_SUFFIX: never taken for a key */

struct rekey {
    const char *const *paths;
    struct hf_path folder;
    struct hf_key_set set; /* the folder as its offline half */
    struct hf_key_seal seal;
    struct hf_kdf before;
    bool has_before;
    const struct hf_key_file *left_out;
    const struct hf_key_file *in_token; /* one that is given and has no passphrase */
};

/* ---- which keys ------------------------------------------------------------------------------- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static bool is_given(const struct rekey *r, const struct hf_key_file *file)
{
    for (size_t i = 0; r->paths[i] != NULL; i++) {
        if (strcmp(base_name(r->paths[i]), base_name(file->path)) == 0)
            return true;
    }
    return false;
}

static bool note_before(void *context, const struct hf_key_file *file)
{
    struct rekey *r = context;
    if (is_given(r, file) && file->kdf.kind != HF_KDF_NONE && !r->has_before) {
        r->before = file->kdf;
        r->has_before = true;
    }
    return false;
}

static bool note_in_token(void *context, const struct hf_key_file *file)
{
    struct rekey *r = context;
    if (is_given(r, file) && file->uri != NULL)
        r->in_token = file;
    return false;
}

static bool note_left_out(void *context, const struct hf_key_file *file)
{
    struct rekey *r = context;
    if (r->has_before && !is_given(r, file) && hf_kdf_same(&file->kdf, &r->before))
        r->left_out = file;
    return false;
}

static enum hf_err look(struct rekey *r, bool (*note)(void *, const struct hf_key_file *),
                        struct hf_why *why)
{
    struct hf_signers none = {0};
    const struct hf_key_choice choice = {note, r};
    enum hf_err err = hf_key_set_open_chosen(&r->set, HF_KEYS_OFFLINE, &choice, &none, why);
    hf_signers_free(&none);
    return err;
}

static enum hf_err check_folder(struct rekey *r, struct hf_why *why)
{
    HF_TRY(hf_path_folder(r->paths[0], &r->folder, why));
    for (size_t i = 1; r->paths[i] != NULL; i++) {
        struct hf_path folder;
        HF_TRY(hf_path_folder(r->paths[i], &folder, why));
        if (strcmp(folder.text, r->folder.text) != 0)
            return hf_fail(why, HF_E_ARGUMENT,
                           "%s and %s lie in two folders, which have a passphrase each; change one "
                           "after the other",
                           r->paths[0], r->paths[i]);
    }
    r->set.folders[HF_KEYS_OFFLINE].path = r->folder;
    HF_TRY(look(r, note_in_token, why));
    if (r->in_token != NULL)
        return hf_fail(why, HF_E_ARGUMENT,
                       "%s refers to a key in a token (%s), which has a PIN: change that with the "
                       "token's own tools, and leave this file out",
                       r->in_token->path, r->in_token->name);
    HF_TRY(look(r, note_before, why));
    HF_TRY(look(r, note_left_out, why));
    if (r->left_out != NULL)
        return hf_fail(why, HF_E_STATE,
                       "%s has the same passphrase and is left out; one passphrase opens a folder, "
                       "give all its keys",
                       r->left_out->path);
    return HF_OK;
}

/* ---- writing ---------------------------------------------------------------------------------- */

/* What a cut left behind is another copy of a key that is still there. */
static enum hf_err new_name(const char *path, struct hf_path *out, struct hf_why *why)
{
    HF_TRY(hf_path_set(out, why, "%s%s", path, NEW_SUFFIX));
    if (unlink(out->text) != 0 && errno != ENOENT)
        return hf_fail(why, HF_E_STORAGE, "cannot remove %s: %s", out->text, strerror(errno));
    return HF_OK;
}

/* The file just written, read from the disk, opens and is that key. */
static enum hf_err verify_written(const char *path, const struct hf_key_seal *seal,
                                  const char *key_id, struct hf_why *why)
{
    struct hf_key_file file = {0};
    struct hf_signing_key key = {0};
    HF_TRY(hf_key_file_read(path, &file, why));
    enum hf_err err = hf_key_file_open(&file, seal->wrap_key, &key, why);
    if (err == HF_OK && strcmp(key.key_id, key_id) != 0)
        err = hf_fail(why, HF_E_KEY, "%s holds another key than was written", path);
    hf_signing_key_free(&key);
    hf_key_file_free(&file);
    return err;
}

static bool is_that_file(void *context, const struct hf_key_file *file)
{
    return strcmp(base_name(context), base_name(file->path)) == 0;
}

static enum hf_err write_opened(struct rekey *r, const char *path, const struct hf_signers *opened,
                                struct hf_why *why)
{
    struct hf_path beside;
    if (opened->n_keys != 1)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "%s is no key of its own: expected a file that ends in %s and is no copy of "
                       "another one in the folder",
                       path, HF_KEY_FILE_SUFFIX);
    HF_TRY(new_name(path, &beside, why));
    HF_TRY(hf_key_file_create(beside.text, &opened->keys[0], &r->seal.kdf, r->seal.wrap_key, why));
    return verify_written(beside.text, &r->seal, opened->keys[0].key_id, why);
}

static enum hf_err write_beside(struct rekey *r, const char *path, struct hf_why *why)
{
    struct hf_signers opened = {0};
    const struct hf_key_choice choice = {is_that_file, (void *)(uintptr_t)path};
    HF_TRY(hf_key_set_open_chosen(&r->set, HF_KEYS_OFFLINE, &choice, &opened, why));
    enum hf_err err = write_opened(r, path, &opened, why);
    hf_signers_free(&opened);
    return err;
}

static enum hf_err rename_all(const struct rekey *r, struct hf_why *why)
{
    for (size_t i = 0; r->paths[i] != NULL; i++) {
        struct hf_path beside;
        HF_TRY(hf_path_set(&beside, why, "%s%s", r->paths[i], NEW_SUFFIX));
        if (rename(beside.text, r->paths[i]) != 0)
            return hf_fail(why, HF_E_STORAGE, "cannot rename %s: %s; begin again", beside.text,
                           strerror(errno));
    }
    return hf_file_sync_dir(r->folder.text, why);
}

static void remove_written(const struct rekey *r)
{
    for (size_t i = 0; r->paths[i] != NULL; i++) {
        struct hf_path beside;
        if (hf_path_set(&beside, NULL, "%s%s", r->paths[i], NEW_SUFFIX) == HF_OK)
            (void)unlink(beside.text);
    }
}

/* The old passphrase is asked for, and found wrong, before the new one. */
static enum hf_err rekey(struct rekey *r, const char *new_passphrase_file, struct hf_why *why)
{
    struct hf_signers opened = {0};
    const struct hf_key_choice first = {is_that_file, (void *)(uintptr_t)r->paths[0]};
    HF_TRY(check_folder(r, why));
    HF_TRY(hf_key_set_open_chosen(&r->set, HF_KEYS_OFFLINE, &first, &opened, why));
    hf_signers_free(&opened);
    struct hf_kdf like = r->has_before ? r->before : hf_kdf_for_offline();
    HF_TRY(key_seal_choose(r->folder.text, new_passphrase_file, like, &r->seal, why));
    enum hf_err err = HF_OK;
    for (size_t i = 0; r->paths[i] != NULL && err == HF_OK; i++)
        err = write_beside(r, r->paths[i], why);
    if (err == HF_OK)
        return rename_all(r, why);
    remove_written(r);
    return err;
}

enum hf_err hf_key_rekey(const char *const *paths, const char *passphrase_file,
                         const char *new_passphrase_file, struct hf_why *why)
{
    struct rekey r = {.paths = paths};
    r.set.folders[HF_KEYS_OFFLINE].passphrase_file = passphrase_file;
    enum hf_err err = rekey(&r, new_passphrase_file, why);
    hf_key_seal_free(&r.seal);
    hf_key_set_free(&r.set);
    return err;
}
