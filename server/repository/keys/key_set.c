#include "server/repository/keys/key_set.h"

#include "common/tuf/key.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *find(const struct hf_root *root, const struct hf_role *role,
                        const struct hf_key *public)
{
    for (size_t i = 0; i < role->n_key_ids; i++) {
        const struct hf_key *key = hf_keyring_find(&root->ring, role->key_ids[i]);
        if (key != NULL && hf_key_same(key, public))
            return role->key_ids[i];
    }
    return NULL;
}

const char *hf_key_role_id(const struct hf_root *root, enum hf_top_role role,
                           const json_t *public_key)
{
    struct hf_key public = {0};
    if (root == NULL || hf_key_parse("at hand", public_key, &public, NULL) != HF_OK)
        return NULL;
    const char *id = find(root, &root->roles[role], &public);
    hf_key_free(&public);
    return id;
}

#define FILES_MAX 256 /* key files in one folder */
#define TRIES_MAX 3   /* at a passphrase that is typed */

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
    for (size_t i = 0; i < set->n_given; i++)
        free_folder(&set->given[i]);
    free(set->given);
    hf_tokens_free(set->tokens);
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

/* ---- keys given one by one -------------------------------------------------------------------- */

static enum hf_err give_one(struct hf_key_set *set, const char *key, const char *passphrase_file,
                            struct hf_why *why)
{
    struct hf_key_folder *folder = &set->given[set->n_given];
    folder->is_listed = true;
    folder->passphrase_file = passphrase_file;
    HF_TRY(hf_path_set(&folder->path, why, "%s", key));
    folder->files = calloc(1, sizeof *folder->files);
    if (folder->files == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for keys");
    set->n_given++;
    HF_TRY(hf_key_file_find(key, &set->tokens, folder->files, why));
    folder->n_files = 1;
    for (size_t i = 0; i + 1 < set->n_given; i++) {
        if (hf_public_key_same(set->given[i].files[0].public_key, folder->files[0].public_key))
            return hf_fail(why, HF_E_ARGUMENT, "%s and %s are the same key",
                           set->given[i].path.text, key);
    }
    return HF_OK;
}

enum hf_err hf_key_set_add_extra(struct hf_key_set *set, const char *const *keys,
                                 const char *passphrase_file, struct hf_why *why)
{
    size_t n = 0;
    while (keys != NULL && keys[n] != NULL)
        n++;
    set->given = calloc(n + 1, sizeof *set->given);
    if (set->given == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for keys");
    for (size_t i = 0; i < n; i++)
        HF_TRY(give_one(set, keys[i], passphrase_file, why));
    return HF_OK;
}

/* ---- which keys are a role's ------------------------------------------------------------------ */

static bool has_a_role(const struct hf_key_file *file, const struct hf_root *root,
                       const enum hf_top_role *roles, size_t n_roles)
{
    for (size_t i = 0; i < n_roles; i++) {
        if (hf_key_role_id(root, roles[i], file->public_key) != NULL)
            return true;
    }
    return false;
}

enum hf_err hf_key_set_check_extra(const struct hf_key_set *set, const struct hf_root *root,
                                   const struct hf_root *next, const enum hf_top_role *roles,
                                   size_t n_roles, struct hf_why *why)
{
    for (size_t i = 0; i < set->n_given; i++) {
        const struct hf_key_file *file = &set->given[i].files[0];
        if (!has_a_role(file, root, roles, n_roles) && !has_a_role(file, next, roles, n_roles))
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
    bool is_given;
};

/* Each key once, given ones first; the rest in the order of their names. */
struct reach {
    struct reachable *keys;
    size_t n_keys;
};

static void add_to_reach(struct reach *reach, struct hf_key_folder *folder, bool is_given)
{
    for (size_t i = 0; i < folder->n_files; i++) {
        bool is_repeated = false;
        for (size_t k = 0; k < reach->n_keys && !is_repeated; k++)
            is_repeated = hf_public_key_same(reach->keys[k].file->public_key,
                                             folder->files[i].public_key);
        if (!is_repeated)
            reach->keys[reach->n_keys++] = (struct reachable){folder, &folder->files[i], is_given};
    }
}

static enum hf_err reach_for(struct hf_key_set *set, enum hf_key_location location,
                             struct reach *out, struct hf_why *why)
{
    struct hf_key_folder *folder = &set->folders[location];
    struct reach reach = {0};
    HF_TRY(list_folder(folder, why));
    reach.keys = calloc(set->n_given + folder->n_files + 1, sizeof *reach.keys);
    if (reach.keys == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for keys");
    for (size_t i = 0; i < set->n_given; i++)
        add_to_reach(&reach, &set->given[i], true);
    add_to_reach(&reach, folder, false);
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
                   set->n_given == 0 ? "" : ", those of --key included",
                   role == HF_ROLE_TARGETS ? ", or let their holders sign a draft" : "");
}

enum hf_err hf_key_set_find(struct hf_key_set *set, const struct hf_root *root,
                            enum hf_top_role role, struct hf_why *why)
{
    struct reach reach = {0};
    HF_TRY(reach_for(set, hf_key_location_of(role), &reach, why));
    enum hf_err err = check_enough(set, &reach, root, role, why);
    free(reach.keys);
    return err;
}

/* ---- opening ---------------------------------------------------------------------------------- */

/* Files made together share these parameters, wherever they lie now. */
static const uint8_t *find_derived(const struct hf_key_set *set, const struct hf_kdf *kdf)
{
    for (int location = 0; location < HF_KEY_LOCATIONS; location++) {
        if (set->folders[location].wrap_key != NULL &&
            hf_kdf_same(kdf, &set->folders[location].kdf))
            return set->folders[location].wrap_key;
    }
    for (size_t i = 0; i < set->n_given; i++) {
        if (set->given[i].wrap_key != NULL && hf_kdf_same(kdf, &set->given[i].kdf))
            return set->given[i].wrap_key;
    }
    return NULL;
}

/* The wrapping key for these parameters; NULL for keys that lie open. */
static enum hf_err unlock(const struct hf_key_set *set, struct hf_key_folder *folder,
                          const struct hf_kdf *kdf, const uint8_t **out, struct hf_why *why)
{
    uint8_t *wrap_key = NULL;
    *out = kdf->kind == HF_KDF_NONE ? NULL : find_derived(set, kdf);
    if (kdf->kind == HF_KDF_NONE || *out != NULL)
        return HF_OK;
    if (folder->passphrase.text == NULL)
        HF_TRY(hf_passphrase_read(folder->passphrase_file, folder->path.text, &folder->passphrase,
                                  why));
    HF_TRY(hf_kdf_derive(kdf, &folder->passphrase, &wrap_key, why));
    sodium_free(folder->wrap_key);
    folder->wrap_key = wrap_key;
    folder->kdf = *kdf;
    *out = wrap_key;
    return HF_OK;
}

/* After a typo there is another question. This uses up no tries of a PIN: tokens are opened
 * elsewhere. */
static bool may_try_again(struct hf_key_folder *folder, const uint8_t *wrap_key, int n_tries,
                          const struct hf_why *why)
{
    if (wrap_key == NULL || wrap_key != folder->wrap_key || n_tries >= TRIES_MAX ||
        !hf_passphrase_is_typed(folder->passphrase_file))
        return false;
    fprintf(stderr, "holdfastctl: %s; try again\n", why->text);
    hf_passphrase_free(&folder->passphrase);
    sodium_free(folder->wrap_key);
    folder->wrap_key = NULL;
    return true;
}

static enum hf_err open_sealed(struct hf_key_set *set, const struct reachable *key,
                               struct hf_signing_key *out, struct hf_why *why)
{
    for (int n_tries = 1;; n_tries++) {
        const uint8_t *wrap_key = NULL;
        struct hf_why reason = {0};
        HF_TRY(unlock(set, key->folder, &key->file->kdf, &wrap_key, why));
        enum hf_err err = hf_key_file_open(key->file, wrap_key, out, &reason);
        if (err == HF_OK)
            return HF_OK;
        if (err != HF_E_KEY || !may_try_again(key->folder, wrap_key, n_tries, &reason))
            return hf_fail(why, err, "%s", reason.text);
    }
}

static enum hf_err open_one(struct hf_key_set *set, const struct reachable *key,
                            struct hf_signers *signers, struct hf_why *why)
{
    struct hf_signing_key *to = &signers->keys[signers->n_keys];
    HF_TRY(key->file->uri != NULL ? hf_key_file_open_token(key->file, &set->tokens, to, why)
                                  : open_sealed(set, key, to, why));
    signers->n_keys++;
    return HF_OK;
}

static enum hf_err prepare(struct hf_signers *signers, size_t n_max, struct hf_why *why)
{
    signers->keys = calloc(n_max + 1, sizeof *signers->keys);
    return signers->keys == NULL ? hf_fail(why, HF_E_MEMORY, "out of memory for keys") : HF_OK;
}

static enum hf_err open_threshold(struct hf_key_set *set, const struct reach *reach,
                                  const struct hf_root *root, enum hf_top_role role,
                                  struct hf_signers *signers, struct hf_why *why)
{
    size_t wanted = (size_t)root->roles[role].threshold;
    HF_TRY(check_enough(set, reach, root, role, why));
    HF_TRY(prepare(signers, reach->n_keys, why));
    for (size_t i = 0; i < reach->n_keys; i++) {
        const struct reachable *key = &reach->keys[i];
        const char *id = hf_key_role_id(root, role, key->file->public_key);
        if (id == NULL || (!key->is_given && signers->n_keys >= wanted))
            continue;
        HF_TRY(open_one(set, key, signers, why));
        signers->keys[signers->n_keys - 1].known_as = id;
    }
    return HF_OK;
}

static enum hf_err open_chosen(struct hf_key_set *set, const struct reach *reach,
                               const struct hf_key_choice *choice, struct hf_signers *signers,
                               struct hf_why *why)
{
    HF_TRY(prepare(signers, reach->n_keys, why));
    for (size_t i = 0; i < reach->n_keys; i++) {
        if (choice->is_wanted(choice->context, reach->keys[i].file))
            HF_TRY(open_one(set, &reach->keys[i], signers, why));
    }
    return HF_OK;
}

static enum hf_err hand_over(enum hf_err err, struct reach *reach, struct hf_signers *signers,
                             struct hf_signers *out)
{
    free(reach->keys);
    if (err == HF_OK)
        *out = *signers;
    else
        hf_signers_free(signers);
    return err;
}

enum hf_err hf_key_set_open(struct hf_key_set *set, const struct hf_root *root,
                            enum hf_top_role role, struct hf_signers *out, struct hf_why *why)
{
    struct reach reach = {0};
    struct hf_signers signers = {0};
    HF_TRY(reach_for(set, hf_key_location_of(role), &reach, why));
    enum hf_err err = open_threshold(set, &reach, root, role, &signers, why);
    return hand_over(err, &reach, &signers, out);
}

enum hf_err hf_key_set_open_chosen(struct hf_key_set *set, enum hf_key_location location,
                                   const struct hf_key_choice *choice, struct hf_signers *out,
                                   struct hf_why *why)
{
    struct reach reach = {0};
    struct hf_signers signers = {0};
    HF_TRY(reach_for(set, location, &reach, why));
    enum hf_err err = open_chosen(set, &reach, choice, &signers, why);
    return hand_over(err, &reach, &signers, out);
}

void hf_signers_free(struct hf_signers *signers)
{
    for (size_t i = 0; i < signers->n_keys; i++)
        hf_signing_key_free(&signers->keys[i]);
    free(signers->keys);
    *signers = (struct hf_signers){0};
}
