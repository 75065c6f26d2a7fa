/*
 * All keys of a publisher: KEYS/offline (root, targets) and KEYS/online (snapshot, timestamp).
 *
 * Each half is opened when one of its keys is asked for and not before, so that what only needs
 * online keys never touches offline/, which may be on a stick in a safe. Which key belongs to which
 * role stands in the root metadata; file names are for people.
 */
#ifndef HF_PUBLISH_KEY_SET_H
#define HF_PUBLISH_KEY_SET_H

#include "common/tuf/metadata.h"
#include "server/publish/disk.h"
#include "server/publish/key_file.h"

enum hf_key_half { HF_KEYS_OFFLINE, HF_KEYS_ONLINE, HF_KEY_HALVES };

enum hf_key_half hf_key_half_of(enum hf_top_role role);
const char *hf_key_half_name(enum hf_key_half half); /* "offline", "online" */

struct hf_key_folder {
    struct hf_path path;
    const char *passphrase_file; /* borrowed; NULL: ask */
    bool is_listed;
    struct hf_key_file *files;
    size_t n_files;
    struct hf_passphrase passphrase; /* once it was needed */
    struct hf_kdf kdf;               /* wrap_key was derived with it */
    uint8_t *wrap_key;
};

struct hf_key_set {
    struct hf_key_folder folders[HF_KEY_HALVES];
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
/** What one key holder has: the keys in DIR/offline, or in DIR itself where there is no such folder.
 *  They are the offline half of the set; the other one is nowhere. */
HF_MUST_USE enum hf_err hf_key_set_init_holder(struct hf_key_set *set, const char *dir,
                                               const char *passphrase_file, struct hf_why *why);
void hf_key_set_free(struct hf_key_set *set);

/**
 * Are there key files for as many distinct keys of `role` as its threshold in `root` asks?
 * HF_OK, HF_E_NOT_FOUND (in words), or what reading the folder gave. No passphrase is needed.
 */
HF_MUST_USE enum hf_err hf_key_set_find(struct hf_key_set *set, const struct hf_root *root,
                                        enum hf_top_role role, struct hf_why *why);

/** Open exactly as many keys of `role` as its threshold asks; may ask for a passphrase. As above,
 *  and HF_E_KEY. hf_signers_free `out`. */
HF_MUST_USE enum hf_err hf_key_set_open(struct hf_key_set *set, const struct hf_root *root,
                                        enum hf_top_role role, struct hf_signers *out,
                                        struct hf_why *why);
void hf_signers_free(struct hf_signers *signers);

/** Chooses among key files; the public part is known. */
struct hf_key_choice {
    bool (*is_wanted)(void *context, const struct hf_key_file *file);
    void *context;
};

/** Open all keys of that half that are chosen, each once; there may be none. As above. */
HF_MUST_USE enum hf_err hf_key_set_open_chosen(struct hf_key_set *set, enum hf_key_half half,
                                               const struct hf_key_choice *choice,
                                               struct hf_signers *out, struct hf_why *why);

#endif
