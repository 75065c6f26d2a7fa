/*
 * All keys of a publisher: KEYS/offline (root, targets) and KEYS/online (snapshot, timestamp).
 *
 * Each folder is opened when one of its keys is asked for and not before, so that what only needs
 * online keys never touches offline/, which may be on a stick in a safe. Which key belongs to which
 * role stands in the root metadata; file names are for people.
 *
 * Extra keys (--key), in files or in tokens, join the keys of either folder.
 */
#ifndef HF_REPOSITORY_KEY_SET_H
#define HF_REPOSITORY_KEY_SET_H

#include "common/os/file_util.h"
#include "common/tuf/metadata.h"
#include "server/repository/keys/key_file.h"

enum hf_key_location { HF_KEYS_OFFLINE, HF_KEYS_ONLINE, HF_KEY_LOCATIONS };

enum hf_key_location hf_key_location_of(enum hf_top_role role);
const char *hf_key_location_name(enum hf_key_location location); /* "offline", "online" */

struct hf_key_folder {
    struct hf_path path;         /* of an extra key: its file or URI; empty: there is no folder */
    const char *passphrase_file; /* borrowed; NULL: ask */
    bool is_listed;
    struct hf_key_file *files; /* each key once, by file name */
    size_t n_files;
    struct hf_passphrase passphrase; /* once it was needed */
    struct hf_kdf kdf;               /* wrap_key was derived with it */
    uint8_t *wrap_key;
};

struct hf_key_set {
    struct hf_key_folder folders[HF_KEY_LOCATIONS];
    struct hf_key_folder *extra; /* owned; each of one key, with a passphrase of its own */
    size_t n_extra;
    struct hf_tokens *tokens; /* owned; NULL until one is needed */
};

/** Keys opened for one role. */
struct hf_signers {
    struct hf_signing_key *keys;
    size_t n_keys;
};

/** Nothing is opened yet. The passphrase files are borrowed and may be NULL. */
HF_MUST_USE enum hf_err hf_key_set_init(struct hf_key_set *set, const char *keys_dir,
                                        const char *offline_passphrase_file,
                                        const char *online_passphrase_file, struct hf_why *why);
/** What one key holder has: the keys in DIR/offline, or in DIR itself where there is no such
 *  folder. They are the offline keys of the set; it has no online ones. `dir` NULL: extra keys
 *  only. */
HF_MUST_USE enum hf_err hf_key_set_init_holder(struct hf_key_set *set, const char *dir,
                                               const char *passphrase_file, struct hf_why *why);
void hf_key_set_free(struct hf_key_set *set); /* after every key that was opened */

/** Add the keys of this list (files and PKCS#11 URIs, NULL-terminated, or NULL for none), which
 *  come before those in folders. No passphrase or PIN is asked for. HF_E_ARGUMENT for one that is
 *  listed twice; as hf_key_file_find. */
HF_MUST_USE enum hf_err hf_key_set_add_extra(struct hf_key_set *set, const char *const *keys,
                                             const char *passphrase_file, struct hf_why *why);

/**
 * Could every extra key sign for one of these roles under `root`, or `next` (NULL: none)? A typo
 * must not pass in silence: HF_E_ARGUMENT, in words.
 */
HF_MUST_USE enum hf_err hf_key_set_check_extra(const struct hf_key_set *set,
                                               const struct hf_root *root,
                                               const struct hf_root *next,
                                               const enum hf_top_role *roles, size_t n_roles,
                                               struct hf_why *why);

/** Read the key files of the folder, once in a run. HF_E_NOT_FOUND, HF_E_STORAGE, HF_E_LIMIT,
 *  HF_E_KEY. */
HF_MUST_USE enum hf_err hf_key_folder_list(struct hf_key_folder *folder, struct hf_why *why);

/**
 * Are there key files for as many distinct keys of `role` as its threshold in `root` asks?
 * HF_OK, HF_E_NOT_FOUND (in words), or what reading the folder gave. No passphrase is needed.
 */
HF_MUST_USE enum hf_err hf_key_set_find(struct hf_key_set *set, const struct hf_root *root,
                                        enum hf_top_role role, struct hf_why *why);

/**
 * Open as many keys of `role` as its threshold in `root` asks, but all extra ones of it; may ask
 * for a passphrase or a PIN. `before` is NULL, or the root that `root` follows: its keys that are
 * at hand are opened too, unless they sign already under the id that it knows. As hf_key_set_find,
 * and HF_E_KEY. hf_signers_free `out`.
 */
HF_MUST_USE enum hf_err hf_key_set_open(struct hf_key_set *set, const struct hf_root *root,
                                        const struct hf_root *before, enum hf_top_role role,
                                        struct hf_signers *out, struct hf_why *why);
void hf_signers_free(struct hf_signers *signers);

/** Chooses among key files; the public part is known. */
struct hf_key_choice {
    bool (*is_wanted)(void *context, const struct hf_key_file *file);
    void *context;
};

/** Open all keys in that folder, and extra ones, that are chosen, each once; there may be none. As
 *  above. */
HF_MUST_USE enum hf_err hf_key_set_open_chosen(struct hf_key_set *set,
                                               enum hf_key_location location,
                                               const struct hf_key_choice *choice,
                                               struct hf_signers *out, struct hf_why *why);

/**
 * The id under which `root` lists this public key for `role`; NULL where it does not. An id is a
 * label (TUF 4.2.2): another program, which spells the same PEM in another way, gives another one.
 * Borrowed from `root`, which may be NULL. No I/O.
 */
const char *hf_key_role_id(const struct hf_root *root, enum hf_top_role role,
                           const json_t *public_key);

/** The same for any role, and the keys among which it names its own. */
const char *hf_key_id_in(const struct hf_keyring *ring, const struct hf_role *role,
                         const json_t *public_key);

#endif
