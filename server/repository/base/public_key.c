#include "server/repository/base/public_key.h"

#include "common/base/digest.h"
#include "common/json/json.h"
#include "common/os/file_util.h"
#include "common/tuf/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool hf_label_is_plain(const char *text)
{
    size_t len = 0;
    for (; text[len] != '\0'; len++) {
        if (text[len] < ' ' || text[len] > '~')
            return false;
    }
    return len >= 1 && len <= HF_LABEL_MAX;
}

json_t *hf_label_to_json(const char *text)
{
    char label[HF_LABEL_MAX + 1];
    (void)snprintf(label, sizeof label, "%s", text);
    for (char *c = label; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return json_string(label);
}

enum hf_err hf_public_key_to_json(const uint8_t public_key[HF_PUBLIC_KEY_LEN], json_t **out,
                                  struct hf_why *why)
{
    char hex[2 * HF_PUBLIC_KEY_LEN + 1];
    hf_hex_encode(public_key, HF_PUBLIC_KEY_LEN, hex);
    json_t *object = json_pack("{s:s, s:s, s:{s:s}}", "keytype", "ed25519", "scheme", "ed25519",
                               "keyval", "public", hex);
    if (object == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a public key");
    *out = object;
    return HF_OK;
}

enum hf_err hf_public_key_id(const json_t *public_key, char out[HF_SHA256_HEX_LEN],
                             struct hf_why *why)
{
    struct hf_buf canonical = {0};
    enum hf_err err = hf_json_canonical(public_key, &canonical, why);
    if (err == HF_OK)
        hf_sha256_hex(hf_buf_bytes(&canonical), out);
    hf_buf_free(&canonical);
    return err;
}

bool hf_public_key_same(const json_t *a, const json_t *b)
{
    struct hf_key key_a = {0}, key_b = {0};
    bool is_same = a != NULL && b != NULL && hf_key_parse("a", a, &key_a, NULL) == HF_OK &&
                   hf_key_parse("b", b, &key_b, NULL) == HF_OK && hf_key_same(&key_a, &key_b);
    hf_key_free(&key_a);
    hf_key_free(&key_b);
    return is_same;
}

bool hf_public_key_is_usable(const json_t *object)
{
    struct hf_key key = {0};
    bool is_usable = hf_key_parse("the key", object, &key, NULL) == HF_OK &&
                     key.scheme != HF_SCHEME_UNKNOWN;
    hf_key_free(&key);
    return is_usable;
}

const char *hf_key_type_word(const json_t *public_key)
{
    const char *scheme = json_string_value(json_object_get(public_key, "scheme"));
    return strcmp(scheme, "ecdsa-sha2-nistp256") == 0 ? "ecdsa-p256" : scheme;
}

enum hf_err hf_public_key_from_json(const json_t *object, struct hf_public_key *out,
                                    struct hf_why *why)
{
    const char *keytype = NULL, *scheme = NULL, *public = NULL;
    json_t *keyval = NULL;
    HF_TRY(hf_json_get_text(object, "keytype", "the key", &keytype, why));
    HF_TRY(hf_json_get_text(object, "scheme", "the key", &scheme, why));
    HF_TRY(hf_json_get_object(object, "keyval", "the key", &keyval, why));
    HF_TRY(hf_json_get_text(keyval, "public", "the key", &public, why));
    if (!hf_public_key_is_usable(object))
        return hf_fail(why, HF_E_KEY,
                       "devices cannot use this key: Ed25519, ECDSA P-256 or P-384, or RSA of 2048 "
                       "bits or more is expected");
    /* Only what makes the key: its id must not depend on what is written beside it. */
    struct hf_public_key key = {
        .json = json_pack("{s:s, s:s, s:{s:s}}", "keytype", keytype, "scheme", scheme, "keyval",
                          "public", public),
    };
    enum hf_err err = key.json == NULL ? hf_fail(why, HF_E_MEMORY, "out of memory for a public key")
                                       : hf_public_key_id(key.json, key.key_id, why);
    if (err != HF_OK) {
        hf_public_key_free(&key);
        return err;
    }
    *out = key;
    return HF_OK;
}

void hf_public_key_free(struct hf_public_key *key)
{
    json_decref(key->json);
    free(key->name);
    *key = (struct hf_public_key){0};
}

enum hf_err hf_public_key_create(const char *path, const json_t *object, struct hf_why *why)
{
    struct hf_buf text = {0};
    enum hf_err err = hf_json_dump(object, JSON_INDENT(2) | JSON_SORT_KEYS, &text, why);
    if (err == HF_OK)
        err = hf_file_create(path, 0644, hf_buf_bytes(&text), why);
    hf_buf_free(&text);
    return err;
}
