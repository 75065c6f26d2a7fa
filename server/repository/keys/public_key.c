#include "server/repository/keys/public_key.h"

#include "common/json/json.h"
#include "common/os/file_util.h"
#include "server/repository/base/key_object.h"
#include "server/repository/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hf_public_key_free(struct hf_public_key *key)
{
    json_decref(key->json);
    *key = (struct hf_public_key){0};
}

/* Only what makes the key: its id must not depend on what is written beside it. */
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

enum hf_err hf_public_key_create(const char *path, const json_t *object, struct hf_why *why)
{
    char *text = json_dumps(object, JSON_INDENT(2) | JSON_SORT_KEYS);
    if (text == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a public key");
    enum hf_err err = hf_file_create(path, 0644, hf_bytes_of_text(text), why);
    free(text);
    return err;
}

/* ---- key types ------------------------------------------------------------------------------- */

#define ED25519 "ed25519"
#define ECDSA_P256 "ecdsa-p256"
#define ECDSA_P256_SCHEME "ecdsa-sha2-nistp256"

enum hf_err hf_key_type_parse(const char *name, enum hf_token_key_type *out, struct hf_why *why)
{
    if (name == NULL || strcmp(name, ED25519) == 0)
        *out = HF_TOKEN_ED25519;
    else if (strcmp(name, ECDSA_P256) == 0)
        *out = HF_TOKEN_ECDSA_P256;
    else
        return hf_fail(why, HF_E_ARGUMENT, "--type is " ED25519 " or " ECDSA_P256 ", not %s", name);
    return HF_OK;
}

const char *hf_key_type_word(const json_t *public_key)
{
    const char *scheme = json_string_value(json_object_get(public_key, "scheme"));
    return strcmp(scheme, ECDSA_P256_SCHEME) == 0 ? ECDSA_P256 : scheme;
}

/* ---- keys in tokens -------------------------------------------------------------------------- */

static enum hf_err out_of_memory(struct hf_why *why)
{
    return hf_fail(why, HF_E_MEMORY, "out of memory for a key in a token");
}

void hf_key_reference_free(struct hf_key_reference *r)
{
    hf_public_key_free(&r->public);
    free(r->uri);
    free(r->name);
    *r = (struct hf_key_reference){0};
}

/* ---- reading ---------------------------------------------------------------------------------- */

/* It is printed where something is wrong with it. */
static bool is_printable(const char *uri)
{
    for (; *uri != '\0'; uri++) {
        if (*uri <= ' ' || *uri > '~')
            return false;
    }
    return true;
}

static enum hf_err check_reference(const char *uri, const char *name, struct hf_why *why)
{
    if (!is_printable(uri) || !hf_label_is_plain(name))
        return hf_fail(why, HF_E_FORMAT,
                       "\"uri\" and \"name\" should be printable ASCII, and the name of 1 to %d "
                       "characters",
                       HF_LABEL_MAX);
    return hf_token_check_uri(uri, why);
}

static enum hf_err fill_reference(struct hf_key_reference *r, const json_t *public_key,
                                  const char *uri, const char *name, struct hf_why *why)
{
    HF_TRY(check_reference(uri, name, why));
    HF_TRY(hf_public_key_from_json(public_key, &r->public, why));
    r->uri = strdup(uri);
    r->name = strdup(name);
    return r->uri == NULL || r->name == NULL ? out_of_memory(why) : HF_OK;
}

static enum hf_err make_reference(const json_t *public_key, const char *uri, const char *name,
                                  struct hf_key_reference *out, struct hf_why *why)
{
    struct hf_key_reference r = {0};
    enum hf_err err = fill_reference(&r, public_key, uri, name, why);
    if (err != HF_OK) {
        hf_key_reference_free(&r);
        return err;
    }
    *out = r;
    return HF_OK;
}

enum hf_err hf_key_reference_parse(const json_t *file, struct hf_key_reference *out,
                                   struct hf_why *why)
{
    json_t *public_key = NULL;
    const char *uri = NULL, *name = NULL;
    HF_TRY(hf_json_get_object(file, "key", "the key file", &public_key, why));
    HF_TRY(hf_json_get_text(file, "uri", "the key file", &uri, why));
    HF_TRY(hf_json_get_text(file, "name", "the key file", &name, why));
    return make_reference(public_key, uri, name, out, why);
}

/* ---- making ----------------------------------------------------------------------------------- */

/* A token may give its objects names that are too long to read. */
struct short_name {
    char text[HF_LABEL_MAX + 1];
};

static struct short_name shorten(const char *label)
{
    struct short_name name;
    (void)snprintf(name.text, sizeof name.text, "%s", label);
    return name;
}

enum hf_err hf_key_reference_to_json(const struct hf_token_public *token_key, const char *uri,
                                     json_t **out, struct hf_why *why)
{
    const char *besides = strchr(uri, '?');
    const struct short_name name = shorten(token_key->label);
    json_t *full = json_sprintf("%.*s%s", (int)strcspn(token_key->uri, "?"), token_key->uri,
                                besides == NULL ? "" : besides);
    json_t *object = json_pack("{s:O, s:s, s:o}", "key", token_key->json, "name", name.text, "uri",
                               full);
    if (object == NULL)
        return out_of_memory(why);
    *out = object;
    return HF_OK;
}

enum hf_err hf_key_reference_look_up(struct hf_tokens **tokens, const char *uri,
                                     struct hf_key_reference *out, struct hf_why *why)
{
    struct hf_token_public found = {0};
    HF_TRY(hf_token_check_uri(uri, why));
    HF_TRY(hf_token_read_public(tokens, uri, &found, why));
    const struct short_name name = shorten(found.label);
    enum hf_err err = make_reference(found.json, uri, name.text, out, why);
    hf_token_public_free(&found);
    return err;
}
