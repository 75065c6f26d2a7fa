#include "server/repository/keys/public_key.h"

#include "common/json/json.h"
#include "common/os/file_util.h"
#include "server/repository/keys/key_file.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (16u * 1024u) /* PEM of RSA-8192 and room */

void hf_public_key_free(struct hf_public_key *key)
{
    json_decref(key->json);
    *key = (struct hf_public_key){0};
}

/* Only what makes the key: its id must not depend on what somebody wrote beside it. */
static enum hf_err copy_plain(const json_t *object, json_t **out, struct hf_why *why)
{
    const char *keytype = NULL, *scheme = NULL, *public = NULL;
    json_t *keyval = NULL;
    HF_TRY(hf_json_get_text(object, "keytype", "the key", &keytype, why));
    HF_TRY(hf_json_get_text(object, "scheme", "the key", &scheme, why));
    HF_TRY(hf_json_get_object(object, "keyval", "the key", &keyval, why));
    HF_TRY(hf_json_get_text(keyval, "public", "the key", &public, why));
    *out = json_pack("{s:s, s:s, s:{s:s}}", "keytype", keytype, "scheme", scheme, "keyval",
                     "public", public);
    return *out == NULL ? hf_fail(why, HF_E_MEMORY, "out of memory for a public key") : HF_OK;
}

static enum hf_err check_usable(const json_t *object, struct hf_why *why)
{
    struct hf_key key = {0};
    HF_TRY(hf_key_parse("the key", object, &key, why));
    bool is_usable = key.scheme != HF_SCHEME_UNKNOWN;
    hf_key_free(&key);
    if (!is_usable)
        return hf_fail(why, HF_E_KEY,
                       "devices cannot use this key: Ed25519, ECDSA P-256 or P-384, or RSA of 2048 "
                       "bits or more is expected");
    return HF_OK;
}

static enum hf_err complete(struct hf_public_key *key, struct hf_why *why)
{
    HF_TRY(check_usable(key->json, why));
    return hf_public_key_id(key->json, key->key_id, why);
}

enum hf_err hf_public_key_from_json(const json_t *object, struct hf_public_key *out,
                                    struct hf_why *why)
{
    struct hf_public_key key = {0};
    HF_TRY(copy_plain(object, &key.json, why));
    enum hf_err err = complete(&key, why);
    if (err != HF_OK) {
        hf_public_key_free(&key);
        return err;
    }
    *out = key;
    return HF_OK;
}

static enum hf_err from_key_file(const char *path, struct hf_public_key *out, struct hf_why *why)
{
    struct hf_key_file file = {0};
    HF_TRY(hf_key_file_read(path, &file, why));
    enum hf_err err = hf_public_key_from_json(file.public_key, out, why);
    hf_key_file_free(&file);
    return err;
}

static enum hf_err from_object(const json_t *object, const char *path, struct hf_public_key *out,
                               struct hf_why *why)
{
    enum hf_err err = hf_public_key_from_json(object, out, why);
    return err == HF_OK ? HF_OK : hf_fail_context(why, "%s", path);
}

enum hf_err hf_public_key_read(const char *path, struct hf_public_key *out, struct hf_why *why)
{
    struct hf_buf text = {0};
    json_t *object = NULL;
    enum hf_err err = hf_file_read_any(path, FILE_BYTES_MAX, &text, why);
    if (err == HF_OK)
        err = hf_json_parse_object(hf_buf_bytes(&text), path, &object, why);
    if (text.data != NULL)
        sodium_memzero(text.data, text.len); /* a key without passphrase lies open in it */
    hf_buf_free(&text);
    if (err != HF_OK)
        return err;
    err = json_object_get(object, "format") != NULL ? from_key_file(path, out, why)
                                                    : from_object(object, path, out, why);
    json_decref(object);
    return err;
}

enum hf_err hf_public_key_create(const char *path, const json_t *object, struct hf_why *why)
{
    char *text = json_dumps(object, JSON_INDENT(2) | JSON_SORT_KEYS);
    if (text == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a public key");
    enum hf_err err = hf_file_create(path, 0644, hf_bytes_of_text(text), why);
    free(text);
    return err;
}
