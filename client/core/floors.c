#include "client/core/client_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- whose keys -------------------------------------------------------------------------------- */

static int compare_keys(const void *a, const void *b)
{
    const struct hf_key *x = *(const struct hf_key *const *)a;
    const struct hf_key *y = *(const struct hf_key *const *)b;
    size_t common = x->public_key_len < y->public_key_len ? x->public_key_len : y->public_key_len;
    int order = memcmp(x->public_key, y->public_key, common);
    if (order != 0)
        return order;
    return (x->public_key_len > y->public_key_len) - (x->public_key_len < y->public_key_len);
}

/* Keys that verify something; those of unknown schemes are nobody's yet. */
static size_t known_keys(const struct hf_root *root, const struct hf_role *role,
                         const struct hf_key *out[HF_ROLE_KEYS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < role->n_key_ids && n < HF_ROLE_KEYS_MAX; i++) {
        const struct hf_key *key = hf_keyring_find(&root->ring, role->key_ids[i]);
        if (key != NULL && key->public_key != NULL)
            out[n++] = key;
    }
    return n;
}

static enum hf_err append_key(struct hf_buf *out, const struct hf_key *key)
{
    /* The length first, so that two keys in a row cannot read as two others. */
    uint8_t len[4] = {(uint8_t)(key->public_key_len >> 24), (uint8_t)(key->public_key_len >> 16),
                      (uint8_t)(key->public_key_len >> 8), (uint8_t)key->public_key_len};
    HF_TRY(hf_buf_append(out, len, sizeof len));
    return hf_buf_append(out, key->public_key, key->public_key_len);
}

enum hf_err hf_role_keys_identity(const struct hf_root *root, enum hf_top_role role,
                                  char out[HF_SHA256_HEX_LEN], struct hf_why *why)
{
    const struct hf_key *keys[HF_ROLE_KEYS_MAX];
    struct hf_buf all = {0};
    enum hf_err err = HF_OK;

    size_t n = known_keys(root, &root->roles[role], keys);
    qsort(keys, n, sizeof keys[0], compare_keys);
    for (size_t i = 0; i < n && err == HF_OK; i++) {
        bool is_repeated = i > 0 && compare_keys(&keys[i - 1], &keys[i]) == 0;
        if (!is_repeated)
            err = append_key(&all, keys[i]);
    }
    if (err == HF_OK)
        hf_sha256_hex(hf_buf_bytes(&all), out);
    hf_buf_free(&all);
    return err == HF_OK ? HF_OK : hf_fail(why, err, "out of memory while comparing keys");
}

/* ---- the bundles' ------------------------------------------------------------------------------ */

/* Versions in decimal with single spaces between them. */
static bool parse_rejected(const char *text, struct hf_bundle_floor *out)
{
    while (*text != '\0') {
        char *end = NULL;
        long long version = strtoll(text, &end, 10);
        if (end == text || (*end != ' ' && *end != '\0') || out->n_rejected == HF_REJECTED_MAX)
            return false;
        out->rejected[out->n_rejected++] = version;
        text = *end == ' ' ? end + 1 : end;
    }
    return true;
}

static enum hf_err load_rejected(struct hf_client *c, struct hf_bundle_floor *out,
                                 struct hf_why *why)
{
    struct hf_buf text = {0};
    enum hf_err err = HF_OK;

    HF_TRY(hf_value_load(c, "bundle.rejected", &text, why));
    if (!parse_rejected((const char *)text.data, out))
        err = hf_fail(why, HF_E_STORAGE,
                      "expected the stored value 'bundle.rejected' to be at most %d version "
                      "numbers, found '%s'",
                      HF_REJECTED_MAX, (const char *)text.data);
    hf_buf_free(&text);
    return err;
}

enum hf_err hf_bundle_floor_load(struct hf_client *c, struct hf_bundle_floor *out,
                                 struct hf_why *why)
{
    struct hf_bundle_floor floor = {0};
    struct hf_buf keys = {0};

    HF_TRY(hf_role_keys_identity(c->trusted.root, HF_ROLE_TARGETS, floor.keys, why));
    HF_TRY(hf_value_load(c, "bundle.keys", &keys, why));
    floor.is_new = strcmp((const char *)keys.data, floor.keys) != 0;
    hf_buf_free(&keys);
    if (!floor.is_new) {
        HF_TRY(hf_value_load_integer(c, "bundle.floor", 0, &floor.version, why));
        HF_TRY(load_rejected(c, &floor, why));
    }
    *out = floor;
    return HF_OK;
}

bool hf_bundle_floor_rejects(const struct hf_bundle_floor *floor, int64_t version)
{
    for (size_t i = 0; i < floor->n_rejected; i++) {
        if (floor->rejected[i] == version)
            return true;
    }
    return version < floor->version;
}

/* The oldest one makes room: the floor has long risen above it. */
static const char *room_for_one_more(const char *rejected)
{
    size_t n = rejected[0] != '\0';
    for (const char *at = rejected; *at != '\0'; at++)
        n += *at == ' ';
    const char *second = strchr(rejected, ' ');
    return n >= HF_REJECTED_MAX && second != NULL ? second + 1 : rejected;
}

enum hf_err hf_bundle_reject(struct hf_client *c, int64_t version, struct hf_why *why)
{
    struct hf_buf text = {0};
    struct hf_buf more = {0};

    HF_TRY(hf_value_load(c, "bundle.rejected", &text, why));
    const char *before = room_for_one_more((const char *)text.data);
    enum hf_err err = hf_buf_printf(&more, "%s%s%" PRId64, before, before[0] != '\0' ? " " : "",
                                    version);
    err = err == HF_OK ? hf_value_save(c, "bundle.rejected", (const char *)more.data, why)
                       : hf_fail(why, err, "out of memory for the rejected versions");
    hf_buf_free(&more);
    hf_buf_free(&text);
    return err;
}

enum hf_err hf_bundle_floor_raise(struct hf_client *c, const struct hf_bundle_floor *floor,
                                  int64_t version, struct hf_why *why)
{
    if (floor->is_new) {
        HF_TRY(hf_value_save(c, "bundle.keys", floor->keys, why));
        HF_TRY(hf_value_save(c, "bundle.rejected", "", why));
    }
    if (!floor->is_new && version <= floor->version)
        return HF_OK;
    return hf_value_save_integer(c, "bundle.floor", version, why);
}
