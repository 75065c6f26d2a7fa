#include "server/publish/key_set.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 256 /* key files in one folder */

enum hf_key_half hf_key_half_of(enum hf_top_role role)
{
    return role == HF_ROLE_ROOT || role == HF_ROLE_TARGETS ? HF_KEYS_OFFLINE : HF_KEYS_ONLINE;
}

const char *hf_key_half_name(enum hf_key_half half)
{
    return half == HF_KEYS_OFFLINE ? "offline" : "online";
}

enum hf_err hf_key_set_init(struct hf_key_set *set, const char *keys_dir,
                            const char *offline_passphrase_file, const char *online_passphrase_file,
                            struct hf_why *why)
{
    struct hf_key_set made = {0};
    made.folders[HF_KEYS_OFFLINE].passphrase_file = offline_passphrase_file;
    made.folders[HF_KEYS_ONLINE].passphrase_file = online_passphrase_file;
    HF_TRY(hf_path_set(&made.folders[HF_KEYS_OFFLINE].path, why, "%s/offline", keys_dir));
    HF_TRY(hf_path_set(&made.folders[HF_KEYS_ONLINE].path, why, "%s/online", keys_dir));
    *set = made;
    return HF_OK;
}

enum hf_err hf_key_set_init_holder(struct hf_key_set *set, const char *dir,
                                   const char *passphrase_file, struct hf_why *why)
{
    struct hf_key_set made = {0};
    struct hf_path *path = &made.folders[HF_KEYS_OFFLINE].path;
    made.folders[HF_KEYS_OFFLINE].passphrase_file = passphrase_file;
    HF_TRY(hf_path_set(path, why, "%s/offline", dir));
    if (!hf_disk_exists(path->text))
        HF_TRY(hf_path_set(path, why, "%s", dir));
    *set = made;
    return HF_OK;
}

static void free_folder(struct hf_key_folder *folder)
{
    for (size_t i = 0; i < folder->n_files; i++)
        hf_key_file_free(&folder->files[i]);
    free(folder->files);
    hf_passphrase_free(&folder->passphrase);
    sodium_free(folder->wrap_key);
}

void hf_key_set_free(struct hf_key_set *set)
{
    free_folder(&set->folders[HF_KEYS_OFFLINE]);
    free_folder(&set->folders[HF_KEYS_ONLINE]);
    *set = (struct hf_key_set){0};
}

/* ---- listing a folder ------------------------------------------------------------------------- */

static int is_key_file(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    size_t suffix_len = strlen(HF_KEY_FILE_SUFFIX);
    return len > suffix_len && strcmp(entry->d_name + len - suffix_len, HF_KEY_FILE_SUFFIX) == 0;
}

static enum hf_err read_files(struct hf_key_folder *folder, struct dirent **entries, size_t n,
                              struct hf_why *why)
{
    if (n > FILES_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s holds %zu key files, at most %d are expected",
                       folder->path.text, n, FILES_MAX);
    folder->files = calloc(n + 1, sizeof *folder->files);
    if (folder->files == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for keys");
    for (size_t i = 0; i < n; i++) {
        struct hf_path path;
        HF_TRY(hf_path_set(&path, why, "%s/%s", folder->path.text, entries[i]->d_name));
        HF_TRY(hf_key_file_read(path.text, &folder->files[folder->n_files], why));
        folder->n_files++;
    }
    return HF_OK;
}

/* Once per run, sorted by name, so that the same keys are chosen every time. */
static enum hf_err list_folder(struct hf_key_folder *folder, struct hf_why *why)
{
    struct dirent **entries = NULL;
    if (folder->is_listed)
        return HF_OK;
    int n = scandir(folder->path.text, &entries, is_key_file, alphasort);
    if (n < 0 && (errno == ENOENT || errno == ENOTDIR))
        return hf_fail(why, HF_E_NOT_FOUND,
                       "there is no folder %s; the keys in it are needed for this",
                       folder->path.text);
    if (n < 0)
        return hf_fail(why, HF_E_STORAGE, "cannot read the folder %s: %s", folder->path.text,
                       strerror(errno));
    enum hf_err err = read_files(folder, entries, (size_t)n, why);
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    folder->is_listed = err == HF_OK;
    return err;
}

/* ---- which files are a role's ----------------------------------------------------------------- */

/* By key id: ours are hashes of the public key, so the same id is the same key. */
static bool is_listed_in_root(const struct hf_root *root, enum hf_top_role role, const char *key_id)
{
    const struct hf_role *of_role = &root->roles[role];
    for (size_t i = 0; i < of_role->n_key_ids; i++) {
        if (strcmp(of_role->key_ids[i], key_id) == 0)
            return true;
    }
    return false;
}

/* A copy of a file that came before. */
static bool is_repeated(const struct hf_key_folder *folder, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(folder->files[i].key_id, folder->files[index].key_id) == 0)
            return true;
    }
    return false;
}

static bool is_of_role(const struct hf_key_folder *folder, size_t index, const struct hf_root *root,
                       enum hf_top_role role)
{
    return is_listed_in_root(root, role, folder->files[index].key_id) &&
           !is_repeated(folder, index);
}

enum hf_err hf_key_set_find(struct hf_key_set *set, const struct hf_root *root,
                            enum hf_top_role role, struct hf_why *why)
{
    struct hf_key_folder *folder = &set->folders[hf_key_half_of(role)];
    int64_t n_found = 0;
    HF_TRY(list_folder(folder, why));
    for (size_t i = 0; i < folder->n_files; i++)
        n_found += is_of_role(folder, i, root, role);
    if (n_found < root->roles[role].threshold)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "%s holds %" PRId64 " of the %" PRId64 " %s keys that root %" PRId64
                       " asks for; bring the missing ones",
                       folder->path.text, n_found, root->roles[role].threshold,
                       hf_top_role_name(role), root->env.version);
    return HF_OK;
}

/* ---- opening ---------------------------------------------------------------------------------- */

/* The wrapping key for these parameters; kept, since files made together share them. */
static enum hf_err unlock(struct hf_key_folder *folder, const struct hf_kdf *kdf,
                          struct hf_why *why)
{
    uint8_t *wrap_key = NULL;
    if (kdf->kind == HF_KDF_NONE)
        return HF_OK;
    if (folder->wrap_key != NULL && hf_kdf_same(kdf, &folder->kdf))
        return HF_OK;
    if (folder->passphrase.text == NULL)
        HF_TRY(hf_passphrase_read(folder->passphrase_file, folder->path.text, &folder->passphrase,
                                  why));
    HF_TRY(hf_kdf_derive(kdf, &folder->passphrase, &wrap_key, why));
    sodium_free(folder->wrap_key);
    folder->wrap_key = wrap_key;
    folder->kdf = *kdf;
    return HF_OK;
}

static enum hf_err open_one(struct hf_key_folder *folder, const struct hf_key_file *file,
                            struct hf_signers *signers, struct hf_why *why)
{
    HF_TRY(unlock(folder, &file->kdf, why));
    HF_TRY(hf_key_file_open(file, folder->wrap_key, &signers->keys[signers->n_keys], why));
    signers->n_keys++;
    return HF_OK;
}

static enum hf_err open_threshold(struct hf_key_folder *folder, const struct hf_root *root,
                                  enum hf_top_role role, struct hf_signers *signers,
                                  struct hf_why *why)
{
    size_t wanted = (size_t)root->roles[role].threshold;
    signers->keys = calloc(wanted, sizeof *signers->keys);
    if (signers->keys == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for keys");
    for (size_t i = 0; i < folder->n_files && signers->n_keys < wanted; i++) {
        if (is_of_role(folder, i, root, role))
            HF_TRY(open_one(folder, &folder->files[i], signers, why));
    }
    return HF_OK;
}

enum hf_err hf_key_set_open(struct hf_key_set *set, const struct hf_root *root,
                            enum hf_top_role role, struct hf_signers *out, struct hf_why *why)
{
    struct hf_signers signers = {0};
    HF_TRY(hf_key_set_find(set, root, role, why)); /* also bounds the threshold by what is there */
    enum hf_err err = open_threshold(&set->folders[hf_key_half_of(role)], root, role, &signers,
                                     why);
    if (err != HF_OK) {
        hf_signers_free(&signers);
        return err;
    }
    *out = signers;
    return HF_OK;
}

static enum hf_err open_chosen(struct hf_key_folder *folder, const struct hf_key_choice *choice,
                               struct hf_signers *signers, struct hf_why *why)
{
    signers->keys = calloc(folder->n_files + 1, sizeof *signers->keys);
    if (signers->keys == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for keys");
    for (size_t i = 0; i < folder->n_files; i++) {
        if (!is_repeated(folder, i) && choice->is_wanted(choice->context, &folder->files[i]))
            HF_TRY(open_one(folder, &folder->files[i], signers, why));
    }
    return HF_OK;
}

enum hf_err hf_key_set_open_chosen(struct hf_key_set *set, enum hf_key_half half,
                                   const struct hf_key_choice *choice, struct hf_signers *out,
                                   struct hf_why *why)
{
    struct hf_signers signers = {0};
    HF_TRY(list_folder(&set->folders[half], why));
    enum hf_err err = open_chosen(&set->folders[half], choice, &signers, why);
    if (err != HF_OK) {
        hf_signers_free(&signers);
        return err;
    }
    *out = signers;
    return HF_OK;
}

void hf_signers_free(struct hf_signers *signers)
{
    for (size_t i = 0; i < signers->n_keys; i++)
        hf_signing_key_free(&signers->keys[i]);
    free(signers->keys);
    *signers = (struct hf_signers){0};
}
