#include "common/tuf/envelope.h"

#include "common/base/limits.h"
#include "common/json/json.h"

#include <stdlib.h>
#include <string.h>

enum hf_err hf_keyring_parse(const json_t *keys, const char *what, struct hf_keyring *out,
                             struct hf_why *why)
{
    size_t count = json_object_size(keys);
    if (count > HF_KEYS_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s lists %zu keys, at most %d are read", what, count,
                       HF_KEYS_MAX);
    struct hf_keyring ring = {.keys = calloc(count == 0 ? 1 : count, sizeof *ring.keys)};
    if (ring.keys == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading the keys of %s", what);

    enum hf_err err = HF_OK;
    const char *key_id;
    json_t *object;
    json_object_foreach(hf_json_iterable(keys), key_id, object)
    {
        err = hf_key_parse(key_id, object, &ring.keys[ring.n_keys], why);
        if (err != HF_OK) {
            hf_keyring_free(&ring);
            return err;
        }
        ring.n_keys++;
    }
    *out = ring;
    return HF_OK;
}

void hf_keyring_free(struct hf_keyring *ring)
{
    if (ring == NULL)
        return;
    for (size_t i = 0; i < ring->n_keys; i++)
        hf_key_free(&ring->keys[i]);
    free(ring->keys);
    *ring = (struct hf_keyring){0};
}

const struct hf_key *hf_keyring_find(const struct hf_keyring *ring, const char *key_id)
{
    for (size_t i = 0; i < ring->n_keys; i++) {
        if (strcmp(ring->keys[i].key_id, key_id) == 0)
            return &ring->keys[i];
    }
    return NULL;
}

static bool holds_text(const char *const *texts, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(texts[i], text) == 0)
            return true;
    }
    return false;
}

static enum hf_err read_key_ids(const json_t *list, const char *what, struct hf_role *role,
                                struct hf_why *why)
{
    size_t index;
    json_t *element;
    json_array_foreach(list, index, element)
    {
        const char *key_id = json_string_value(element);
        if (key_id == NULL)
            return hf_fail(why, HF_E_FORMAT, "the key ids of %s should be strings", what);
        if (holds_text(role->key_ids, role->n_key_ids, key_id))
            return hf_fail(why, HF_E_FORMAT, "%s lists one key id twice", what);
        role->key_ids[role->n_key_ids++] = key_id;
    }
    return HF_OK;
}

enum hf_err hf_role_parse(const char *name, const json_t *object, const char *what,
                          struct hf_role *out, struct hf_why *why)
{
    struct hf_role role = {.name = name};
    json_t *list = NULL;
    HF_TRY(hf_json_get_array(object, "keyids", what, &list, why));
    HF_TRY(hf_json_get_integer(object, "threshold", what, 1, &role.threshold, why));
    size_t count = json_array_size(list);
    if (count > HF_ROLE_KEYS_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s lists %zu key ids, at most %d are read", what, count,
                       HF_ROLE_KEYS_MAX);
    role.key_ids = calloc(count == 0 ? 1 : count, sizeof *role.key_ids);
    if (role.key_ids == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading %s", what);
    enum hf_err err = read_key_ids(list, what, &role, why);
    if (err != HF_OK) {
        hf_role_free(&role);
        return err;
    }
    *out = role;
    return HF_OK;
}

void hf_role_free(struct hf_role *role)
{
    if (role == NULL)
        return;
    free(role->key_ids);
    *role = (struct hf_role){0};
}
