#include "server/repository/keys/key_role.h"

#include "common/tuf/key.h"

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
