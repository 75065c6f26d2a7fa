#include "server/repository/keys/key_set.h"

#include "common/tuf/key.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 256 /* key files in one folder */
#define TRIES_MAX 3   /* at a passphrase that is typed */

const char *hf_key_id_in(const struct hf_keyring *ring, const struct hf_role *role,
                         const json_t *public_key)
{
    struct hf_key wanted = {0};
    const char *id = NULL;
    if (hf_key_parse("at hand", public_key, &wanted, NULL) != HF_OK)
        return NULL;
    for (size_t i = 0; i < role->n_key_ids && id == NULL; i++) {
        const struct hf_key *key = hf_keyring_find(ring, role->key_ids[i]);
        if (key != NULL && hf_key_same(key, &wanted))
            id = role->key_ids[i];
    }
    hf_key_free(&wanted);
    return id;
}

const char *hf_key_role_id(const struct hf_root *root, enum hf_top_role role,
                           const json_t *public_key)
{
    return root == NULL ? NULL : hf_key_id_in(&root->ring, &root->roles[role], public_key);
}

enum hf_key_location hf_key_location_of(enum hf_top_role role)
{
    return role == HF_ROLE_ROOT || role == HF_ROLE_TARGETS ? HF_KEYS_OFFLINE : HF_KEYS_ONLINE;
}

const char *hf_key_location_name(enum hf_key_location location)
{
    return location == HF_KEYS_OFFLINE ? "offline" : "online";
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
    made.folders[HF_KEYS_OFFLINE].is_listed = dir == NULL;
    if (dir != NULL)
        HF_TRY(hf_path_set(path, why, "%s/offline", dir));
    if (dir != NULL && !hf_file_exists(path->text))
        HF_TRY(hf_path_set(path, why, "%s", dir));
    *set = made;
    return HF_OK;
}

static void free_files(struct hf_key_folder *folder)
{
    for (size_t i = 0; i < folder->n_files; i++)
        hf_key_file_free(&folder->files[i]);
    free(folder->files);
    folder->files = NULL;
    folder->n_files = 0;
}

static void free_folder(struct hf_key_folder *folder)
{
    free_files(folder);
    hf_passphrase_free(&folder->passphrase);
    sodium_free(folder->wrap_key);
}

void hf_key_set_free(struct hf_key_set *set)
{
    free_folder(&set->folders[HF_KEYS_OFFLINE]);
    free_folder(&set->folders[HF_KEYS_ONLINE]);
    for (size_t i = 0; i < set->n_extra; i++)
        free_folder(&set->extra[i]);
    free(set->extra);
    hf_tokens_free(set->tokens);
    *set = (struct hf_key_set){0};
}

static bool holds(const struct hf_key_folder *folder, const struct hf_key_file *file)
{
    for (size_t i = 0; i < folder->n_files; i++) {
        if (hf_public_key_same(folder->files[i].public_key, file->public_key))
            return true;
    }
    return false;
}

static int is_key_file(const struct dirent *entry)
{
    return hf_key_file_check_name(entry->d_name, NULL) == HF_OK;
}

/* Sorted by name, so that the same keys are chosen every time. */
enum hf_err hf_key_folder_list(struct hf_key_folder *folder, struct hf_why *why)
{
    struct dirent **entries = NULL;
    enum hf_err err = HF_OK;
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
    folder->files = n > FILES_MAX ? NULL : calloc((size_t)n + 1, sizeof *folder->files);
    if (n > FILES_MAX)
        err = hf_fail(why, HF_E_LIMIT, "%s holds %d key files, at most %d are expected",
                      folder->path.text, n, FILES_MAX);
    else if (folder->files == NULL)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for keys");
    for (int i = 0; i < n && err == HF_OK; i++) {
        struct hf_path path;
        struct hf_key_file file = {0};
        err = hf_path_set(&path, why, "%s/%s", folder->path.text, entries[i]->d_name);
        if (err == HF_OK)
            err = hf_key_file_read(path.text, &file, why);
        if (err == HF_OK && !holds(folder, &file))
            folder->files[folder->n_files++] = file;
        else
            hf_key_file_free(&file);
    }
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    folder->is_listed = err == HF_OK;
    if (err != HF_OK)
        free_files(folder); /* it may be listed again */
    return err;
}

enum hf_err hf_key_set_add_extra(struct hf_key_set *set, const char *const *keys,
                                 const char *passphrase_file, struct hf_why *why)
{
    size_t n = 0;
    while (keys != NULL && keys[n] != NULL)
        n++;
    set->extra = calloc(n + 1, sizeof *set->extra);
    if (set->extra == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for keys");
    for (size_t i = 0; i < n; i++) {
        struct hf_key_folder *folder = &set->extra[i];
        folder->is_listed = true;
        folder->passphrase_file = passphrase_file;
        HF_TRY(hf_path_set(&folder->path, why, "%s", keys[i]));
        folder->files = calloc(1, sizeof *folder->files);
        if (folder->files == NULL)
            return hf_fail(why, HF_E_MEMORY, "out of memory for keys");
        set->n_extra++;
        HF_TRY(hf_key_file_find(keys[i], &set->tokens, folder->files, why));
        folder->n_files = 1;
        for (size_t k = 0; k < i; k++) {
            if (holds(&set->extra[k], folder->files))
                return hf_fail(why, HF_E_ARGUMENT, "%s and %s are the same key",
                               set->extra[k].path.text, keys[i]);
        }
    }
    return HF_OK;
}

enum hf_err hf_key_set_check_extra(const struct hf_key_set *set, const struct hf_root *root,
                                   const struct hf_root *next, const enum hf_top_role *roles,
                                   size_t n_roles, struct hf_why *why)
{
    for (size_t i = 0; i < set->n_extra; i++) {
        const struct hf_key_file *file = &set->extra[i].files[0];
        bool is_authorised = false;
        for (size_t k = 0; k < n_roles && !is_authorised; k++)
            is_authorised = hf_key_role_id(root, roles[k], file->public_key) != NULL ||
                            hf_key_role_id(next, roles[k], file->public_key) != NULL;
        if (!is_authorised)
            return hf_fail(why, HF_E_ARGUMENT,
                           "%s (key %.16s…) is not authorised to sign here, by root %" PRId64
                           "; give another key, or none",
                           file->path, file->key_id,
                           next == NULL ? root->env.version : next->env.version);
    }
    return HF_OK;
}

/* A key within reach, and what knows its passphrase. */
struct reachable {
    struct hf_key_folder *folder;
    const struct hf_key_file *file;
    bool is_extra;
};

/* Each key once, extra ones first; the rest in the order of their names. */
struct reach {
    struct reachable *keys; /* owned */
    size_t n_keys;
};

static enum hf_err find_reach(struct hf_key_set *set, enum hf_key_location location,
                              struct reach *out, struct hf_why *why)
{
    struct hf_key_folder *folder = &set->folders[location];
    HF_TRY(hf_key_folder_list(folder, why));
    struct reach reach = {.keys = calloc(set->n_extra + folder->n_files + 1, sizeof *reach.keys)};
    if (reach.keys == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for keys");
    for (size_t i = 0; i < set->n_extra; i++)
        reach.keys[reach.n_keys++] = (struct reachable){&set->extra[i], set->extra[i].files, true};
    for (size_t i = 0; i < folder->n_files; i++) {
        bool is_extra = false;
        for (size_t k = 0; k < set->n_extra && !is_extra; k++)
            is_extra = holds(&set->extra[k], &folder->files[i]);
        if (!is_extra)
            reach.keys[reach.n_keys++] = (struct reachable){folder, &folder->files[i], false};
    }
    *out = reach;
    return HF_OK;
}

static enum hf_err check_enough(const struct hf_key_set *set, const struct reach *reach,
                                const struct hf_root *root, enum hf_top_role role,
                                struct hf_why *why)
{
    int64_t n_found = 0;
    for (size_t i = 0; i < reach->n_keys; i++)
        n_found += hf_key_role_id(root, role, reach->keys[i].file->public_key) != NULL;
    if (n_found >= root->roles[role].threshold)
        return HF_OK;
    return hf_fail(why, HF_E_NOT_FOUND,
                   "%s holds %" PRId64 " of the %" PRId64 " %s keys that root %" PRId64
                   " asks for%s; bring the missing ones%s",
                   set->folders[hf_key_location_of(role)].path.text, n_found,
                   root->roles[role].threshold, hf_top_role_name(role), root->env.version,
                   set->n_extra == 0 ? "" : ", those of --key included",
                   role == HF_ROLE_TARGETS ? ", or let their holders sign a draft" : "");
}

enum hf_err hf_key_set_find(struct hf_key_set *set, const struct hf_root *root,
                            enum hf_top_role role, struct hf_why *why)
{
    struct reach reach = {0};
    HF_TRY(find_reach(set, hf_key_location_of(role), &reach, why));
    enum hf_err err = check_enough(set, &reach, root, role, why);
    free(reach.keys);
    return err;
}

/* The wrapping key for these parameters; NULL for keys that lie open. Files made together share the
 * parameters, wherever they lie now. */
static enum hf_err unlock(const struct hf_key_set *set, struct hf_key_folder *folder,
                          const struct hf_kdf *kdf, const uint8_t **out, struct hf_why *why)
{
    uint8_t *wrap_key = NULL;
    *out = NULL;
    if (kdf->kind == HF_KDF_NONE)
        return HF_OK;
    for (size_t i = 0; i < HF_KEY_LOCATIONS + set->n_extra && *out == NULL; i++) {
        const struct hf_key_folder *other = i < HF_KEY_LOCATIONS
                                                ? &set->folders[i]
                                                : &set->extra[i - HF_KEY_LOCATIONS];
        if (other->wrap_key != NULL && hf_kdf_same(kdf, &other->kdf))
            *out = other->wrap_key;
    }
    if (*out != NULL)
        return HF_OK;
    if (folder->passphrase.text == NULL)
        HF_TRY(hf_passphrase_read(HF_SECRET_PASSPHRASE, folder->passphrase_file, folder->path.text,
                                  &folder->passphrase, why));
    HF_TRY(hf_kdf_derive(kdf, &folder->passphrase, &wrap_key, why));
    sodium_free(folder->wrap_key);
    folder->wrap_key = wrap_key;
    folder->kdf = *kdf;
    *out = wrap_key;
    return HF_OK;
}

/* After a typo in a passphrase there is another question. A PIN is asked for elsewhere: its tries
 * are never used up here. */
static enum hf_err open_sealed(struct hf_key_set *set, const struct reachable *key,
                               struct hf_signing_key *out, struct hf_why *why)
{
    struct hf_key_folder *folder = key->folder;
    for (int n_tries = 1;; n_tries++) {
        const uint8_t *wrap_key = NULL;
        struct hf_why reason = {0};
        HF_TRY(unlock(set, folder, &key->file->kdf, &wrap_key, why));
        enum hf_err err = hf_key_file_open(key->file, wrap_key, out, &reason);
        if (err == HF_OK)
            return HF_OK;
        if (err != HF_E_KEY || wrap_key == NULL || wrap_key != folder->wrap_key ||
            n_tries >= TRIES_MAX || !hf_passphrase_is_typed(folder->passphrase_file))
            return hf_fail(why, err, "%s", reason.text);
        hf_terminal_tell("holdfastctl: %s; try again", reason.text);
        hf_passphrase_free(&folder->passphrase);
        sodium_free(folder->wrap_key);
        folder->wrap_key = NULL;
    }
}

/* Add the opened key to `signers`, which has room. */
static enum hf_err open_one(struct hf_key_set *set, const struct reachable *key, const char *id,
                            struct hf_signers *signers, struct hf_why *why)
{
    struct hf_signing_key *to = &signers->keys[signers->n_keys];
    enum hf_err err = HF_OK;
    if (key->file->uri == NULL) {
        err = open_sealed(set, key, to, why);
    } else {
        err = hf_signing_key_from_token(&set->tokens, key->file->uri, key->file->public_key, to,
                                        why);
        /* The sentence names the token; which file led there is put in front. */
        if (err != HF_OK && key->file->json != NULL)
            (void)hf_fail_context(why, "%s", key->file->path);
    }
    if (err != HF_OK)
        return err;
    to->known_as = id;
    signers->n_keys++;
    return HF_OK;
}

static bool has_signer(const struct hf_signers *signers, const char *id)
{
    for (size_t i = 0; i < signers->n_keys; i++) {
        if (strcmp(hf_signing_key_name(&signers->keys[i]), id) == 0)
            return true;
    }
    return false;
}

enum hf_err hf_key_set_open(struct hf_key_set *set, const struct hf_root *root,
                            const struct hf_root *before, enum hf_top_role role,
                            struct hf_signers *out, struct hf_why *why)
{
    size_t threshold = (size_t)root->roles[role].threshold;
    struct reach reach = {0};
    struct hf_signers signers = {0};
    HF_TRY(find_reach(set, hf_key_location_of(role), &reach, why));
    enum hf_err err = check_enough(set, &reach, root, role, why);
    if (err != HF_OK)
        goto out;
    signers.keys = calloc(2 * reach.n_keys + 1, sizeof *signers.keys); /* under both roots */
    if (signers.keys == NULL)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for keys");
    for (size_t i = 0; i < reach.n_keys && err == HF_OK; i++) {
        const char *id = hf_key_role_id(root, role, reach.keys[i].file->public_key);
        if (id != NULL && (reach.keys[i].is_extra || signers.n_keys < threshold))
            err = open_one(set, &reach.keys[i], id, &signers, why);
    }
    for (size_t i = 0; i < reach.n_keys && err == HF_OK; i++) {
        const char *id = hf_key_role_id(before, role, reach.keys[i].file->public_key);
        if (id != NULL && !has_signer(&signers, id))
            err = open_one(set, &reach.keys[i], id, &signers, why);
    }
out:
    free(reach.keys);
    if (err != HF_OK) {
        hf_signers_free(&signers);
        return err;
    }
    *out = signers;
    return HF_OK;
}

enum hf_err hf_key_set_open_chosen(struct hf_key_set *set, enum hf_key_location location,
                                   const struct hf_key_choice *choice, struct hf_signers *out,
                                   struct hf_why *why)
{
    struct reach reach = {0};
    HF_TRY(find_reach(set, location, &reach, why));
    struct hf_signers signers = {.keys = calloc(reach.n_keys + 1, sizeof *signers.keys)};
    enum hf_err err = HF_OK;
    if (signers.keys == NULL)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for keys");
    for (size_t i = 0; i < reach.n_keys && err == HF_OK; i++) {
        if (choice->is_wanted(choice->context, reach.keys[i].file))
            err = open_one(set, &reach.keys[i], NULL, &signers, why);
    }
    free(reach.keys);
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
