#include "server/repository/keys/key_file.h"

#include "common/base/digest.h"
#include "common/json/json.h"
#include "common/os/file_util.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORMAT "holdfast-key"
#define FORMAT_VERSION 1
#define KEYTYPE_SEED "ed25519"
#define KEYTYPE_TOKEN "token"
#define FILE_BYTES_MAX 4096
#define PUBLIC_FILE_BYTES_MAX (16u * 1024u) /* PEM of RSA-8192 and room */
#define NONCE_LEN crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define SEALED_LEN (HF_SEED_LEN + crypto_aead_xchacha20poly1305_ietf_ABYTES)

_Static_assert(HF_WRAP_KEY_LEN == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "wrapping key");

static enum hf_err out_of_memory(struct hf_why *why)
{
    return hf_fail(why, HF_E_MEMORY, "out of memory for a key file");
}

/* What is authenticated along with the seed: the file without the sealed part, canonically. */
static enum hf_err associated_data(const json_t *file, struct hf_buf *out, struct hf_why *why)
{
    json_t *clear = json_copy((json_t *)(uintptr_t)file);
    if (clear == NULL)
        return out_of_memory(why);
    json_object_del(clear, "sealed");
    enum hf_err err = hf_json_canonical(clear, out, why);
    json_decref(clear);
    return err;
}

static enum hf_err get_hex(const json_t *object, const char *name, uint8_t *out, size_t len,
                           struct hf_why *why)
{
    const char *hex = NULL;
    HF_TRY(hf_json_get_text(object, name, "the key file", &hex, why));
    if (!hf_hex_decode(hex, out, len))
        return hf_fail(why, HF_E_FORMAT, "\"%s\" should be %zu hexadecimal digits", name, 2 * len);
    return HF_OK;
}

/* A key in a token: its URI and name are printed where something is wrong with it. */
static enum hf_err fill_reference(struct hf_key_file *file, const json_t *public_key,
                                  const char *uri, const char *name, struct hf_why *why)
{
    struct hf_public_key key = {0};
    bool is_printable = true;
    for (const char *c = uri; *c != '\0'; c++)
        is_printable = is_printable && *c > ' ' && *c <= '~';
    if (!is_printable || !hf_label_is_plain(name))
        return hf_fail(why, HF_E_FORMAT,
                       "\"uri\" and \"name\" should be printable ASCII, and the name of 1 to %d "
                       "characters",
                       HF_LABEL_MAX);
    HF_TRY(hf_token_check_uri(uri, why));
    HF_TRY(hf_public_key_from_json(public_key, &key, why));
    file->public_key = key.json;
    memcpy(file->key_id, key.key_id, sizeof file->key_id);
    file->uri = strdup(uri);
    file->name = strdup(name);
    return file->uri == NULL || file->name == NULL ? out_of_memory(why) : HF_OK;
}

static enum hf_err parse(struct hf_key_file *file, struct hf_why *why)
{
    const char *format = NULL, *keytype = NULL, *uri = NULL, *name = NULL;
    uint8_t public_key[HF_PUBLIC_KEY_LEN];
    int64_t version = 0;
    json_t *object = NULL;
    HF_TRY(hf_json_get_text(file->json, "format", "the key file", &format, why));
    HF_TRY(hf_json_get_integer(file->json, "version", "the key file", 1, &version, why));
    HF_TRY(hf_json_get_text(file->json, "keytype", "the key file", &keytype, why));
    bool is_token = strcmp(keytype, KEYTYPE_TOKEN) == 0;
    if (strcmp(format, FORMAT) != 0 || version != FORMAT_VERSION ||
        (!is_token && strcmp(keytype, KEYTYPE_SEED) != 0))
        return hf_fail(why, HF_E_FORMAT,
                       "a %s of version %d with an ed25519 key, or a key in a token, is expected, "
                       "this is a \"%.40s\" of version %lld with a \"%.40s\" key",
                       FORMAT, FORMAT_VERSION, format, (long long)version, keytype);
    if (is_token) {
        HF_TRY(hf_json_get_object(file->json, "key", "the key file", &object, why));
        HF_TRY(hf_json_get_text(file->json, "uri", "the key file", &uri, why));
        HF_TRY(hf_json_get_text(file->json, "name", "the key file", &name, why));
        return fill_reference(file, object, uri, name, why);
    }
    HF_TRY(get_hex(file->json, "public", public_key, sizeof public_key, why));
    HF_TRY(hf_json_get_object(file->json, "kdf", "the key file", &object, why));
    HF_TRY(hf_kdf_parse(object, &file->kdf, why));
    HF_TRY(hf_public_key_to_json(public_key, &file->public_key, why));
    file->name = strdup(basename(file->path));
    return file->name == NULL ? out_of_memory(why)
                              : hf_public_key_id(file->public_key, file->key_id, why);
}

/* Any fault of a key file is HF_E_KEY to the caller, with the file's name in front. */
static enum hf_err refused(const struct hf_key_file *file, enum hf_err err, struct hf_why *why)
{
    if (err == HF_OK || err == HF_E_MEMORY)
        return err;
    (void)hf_fail_context(why, "%s", file->path);
    if (why != NULL)
        why->code = HF_E_KEY;
    return HF_E_KEY;
}

enum hf_err hf_key_file_read(const char *path, struct hf_key_file *out, struct hf_why *why)
{
    struct hf_key_file file = {0};
    struct hf_buf text = {0};
    uid_t owner = 0;
    enum hf_err err = hf_file_read_any_secret(path, FILE_BYTES_MAX, &text, &owner, why);
    if (err == HF_OK)
        err = hf_json_parse_object(hf_buf_bytes(&text), path, &file.json, why);
    sodium_memzero(text.data, text.len); /* a key without passphrase lies open in it */
    hf_buf_free(&text);
    if (err != HF_OK)
        return err;

    file.path = strdup(path);
    err = file.path == NULL ? out_of_memory(why) : parse(&file, why);
    /* A module is code. A user who may write a folder of keys, as a timer's may KEYS/online, must
     * not choose what root runs. */
    if (err == HF_OK && owner != 0 && owner != geteuid() && file.uri != NULL &&
        hf_token_names_module(file.uri))
        err = hf_fail(why, HF_E_KEY,
                      "it names a PKCS#11 module to be loaded (module-path) and belongs to another "
                      "user (%lu): work as that one, or, if you know that module, chown the file",
                      (unsigned long)owner);
    err = refused(&file, err, why);
    if (err != HF_OK) {
        hf_key_file_free(&file);
        return err;
    }
    *out = file;
    return HF_OK;
}

/* A token may give its objects names that are too long to read. */
struct short_name {
    char text[HF_LABEL_MAX + 1];
};

static struct short_name shorten(const char *label)
{
    struct short_name name = {{0}};
    memcpy(name.text, label, strnlen(label, HF_LABEL_MAX));
    return name;
}

enum hf_err hf_key_file_find(const char *key, struct hf_tokens **tokens, struct hf_key_file *out,
                             struct hf_why *why)
{
    struct hf_token_public found = {0};
    struct hf_key_file file = {0};
    if (!hf_token_is_uri(key))
        return hf_key_file_read(key, out, why);
    HF_TRY(hf_token_check_uri(key, why));
    HF_TRY(hf_token_read_public(tokens, key, &found, why));
    const struct short_name name = shorten(found.label);
    file.path = strdup(key);
    enum hf_err err = file.path == NULL ? out_of_memory(why)
                                        : fill_reference(&file, found.json, key, name.text, why);
    hf_token_public_free(&found);
    if (err != HF_OK) {
        hf_key_file_free(&file);
        return err;
    }
    *out = file;
    return HF_OK;
}

void hf_key_file_free(struct hf_key_file *file)
{
    free(file->path);
    free(file->name);
    free(file->uri);
    json_decref(file->public_key);
    json_decref(file->json);
    *file = (struct hf_key_file){0};
}

static enum hf_err unseal(const json_t *json, const uint8_t *wrap_key, uint8_t seed[HF_SEED_LEN],
                          struct hf_why *why)
{
    uint8_t nonce[NONCE_LEN];
    uint8_t sealed[SEALED_LEN];
    struct hf_buf clear = {0};
    HF_TRY(get_hex(json, "nonce", nonce, sizeof nonce, why));
    HF_TRY(get_hex(json, "sealed", sealed, sizeof sealed, why));
    HF_TRY(associated_data(json, &clear, why));
    int failed = crypto_aead_xchacha20poly1305_ietf_decrypt(seed, NULL, NULL, sealed, sizeof sealed,
                                                            clear.data, clear.len, nonce, wrap_key);
    hf_buf_free(&clear);
    if (failed)
        return hf_fail(why, HF_E_KEY, "the passphrase is wrong, or the file is damaged");
    return HF_OK;
}

enum hf_err hf_key_file_open(const struct hf_key_file *file, const uint8_t *wrap_key,
                             struct hf_signing_key *out, struct hf_why *why)
{
    struct hf_signing_key key = {0};
    uint8_t *seed = sodium_malloc(HF_SEED_LEN);
    if (seed == NULL)
        return out_of_memory(why);
    enum hf_err err = file->kdf.kind == HF_KDF_NONE
                          ? get_hex(file->json, "seed", seed, HF_SEED_LEN, why)
                          : unseal(file->json, wrap_key, seed, why);
    if (err == HF_OK)
        err = hf_signing_key_make(seed, &key, why);
    sodium_free(seed);
    if (err == HF_OK && strcmp(key.key_id, file->key_id) != 0)
        err = hf_fail(why, HF_E_KEY, "the public key in the file is not that of its private key");
    if (err != HF_OK) {
        hf_signing_key_free(&key);
        return refused(file, err, why);
    }
    *out = key;
    return HF_OK;
}

/* jansson does not wipe its strings. A seed goes through here in the clear only under
 * --insecure-no-passphrase. That a member is missing (no memory) shows when the object is
 * parsed. */
static void set_hex(json_t *object, const char *name, const uint8_t *data, size_t len)
{
    char hex[2 * SEALED_LEN + 1];
    hf_hex_encode(data, len, hex);
    json_object_set_new(object, name, json_string(hex));
}

/* Takes the object. A key file that does not open is found now, not on the day of the next
 * ceremony. */
static enum hf_err create_take(const char *path, json_t *object, const uint8_t *wrap_key,
                               struct hf_why *why)
{
    struct hf_key_file file = {.json = object, .path = strdup(path)};
    struct hf_signing_key key = {0};
    enum hf_err err = file.path == NULL ? out_of_memory(why) : parse(&file, why);
    if (err == HF_OK && file.uri == NULL)
        err = hf_key_file_open(&file, wrap_key, &key, why);
    struct hf_buf text = {0};
    if (err == HF_OK) /* room at once, so that no copy of a seed is left behind by growing */
        err = hf_buf_reserve(&text, FILE_BYTES_MAX);
    if (err == HF_OK)
        err = hf_json_dump(object, JSON_INDENT(2) | JSON_SORT_KEYS, &text, why);
    if (err == HF_OK)
        err = hf_file_create(path, 0600, hf_buf_bytes(&text), why);
    if (text.data != NULL)
        sodium_memzero(text.data, text.len);
    hf_buf_free(&text);
    hf_signing_key_free(&key);
    hf_key_file_free(&file);
    return err;
}

enum hf_err hf_key_file_create(const char *path, const struct hf_signing_key *key,
                               const struct hf_kdf *kdf, const uint8_t *wrap_key,
                               struct hf_why *why)
{
    json_t *object = json_pack("{s:s, s:i, s:s, s:o}", "format", FORMAT, "version", FORMAT_VERSION,
                               "keytype", KEYTYPE_SEED, "kdf", hf_kdf_to_json(kdf));
    if (object == NULL)
        return out_of_memory(why);
    /* libsodium's secret key is the seed and then the public key. */
    set_hex(object, "public", key->secret_key + HF_SEED_LEN, HF_PUBLIC_KEY_LEN);
    if (kdf->kind == HF_KDF_NONE) {
        set_hex(object, "seed", key->secret_key, HF_SEED_LEN);
        return create_take(path, object, wrap_key, why);
    }

    uint8_t nonce[NONCE_LEN];
    uint8_t sealed[SEALED_LEN];
    struct hf_buf clear = {0};
    randombytes_buf(nonce, sizeof nonce);
    set_hex(object, "nonce", nonce, sizeof nonce);
    enum hf_err err = associated_data(object, &clear, why);
    if (err != HF_OK) {
        json_decref(object);
        return err;
    }
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, key->secret_key, HF_SEED_LEN,
                                               clear.data, clear.len, NULL, nonce, wrap_key);
    hf_buf_free(&clear);
    set_hex(object, "sealed", sealed, sizeof sealed);
    return create_take(path, object, wrap_key, why);
}

enum hf_err hf_key_file_create_reference(const char *path, const struct hf_token_public *token_key,
                                         const char *uri, struct hf_why *why)
{
    const char *query = strchrnul(uri, '?');
    const struct short_name name = shorten(token_key->label);
    json_t *full = json_sprintf("%.*s%s", (int)strcspn(token_key->uri, "?"), token_key->uri, query);
    json_t *object = json_pack("{s:s, s:i, s:s, s:O, s:s, s:o}", "format", FORMAT, "version",
                               FORMAT_VERSION, "keytype", KEYTYPE_TOKEN, "key", token_key->json,
                               "name", name.text, "uri", full);
    return object == NULL ? out_of_memory(why) : create_take(path, object, NULL, why);
}

enum hf_err hf_key_file_check_name(const char *path, struct hf_why *why)
{
    size_t len = strlen(path), suffix_len = strlen(HF_KEY_FILE_SUFFIX);
    if (len <= suffix_len || strcmp(path + len - suffix_len, HF_KEY_FILE_SUFFIX) != 0)
        return hf_fail(why, HF_E_ARGUMENT, "the name of a key file ends in %s, %s does not",
                       HF_KEY_FILE_SUFFIX, path);
    return HF_OK;
}

/* The public part of a key file or of a key in a token. */
static enum hf_err find_public(const char *key, struct hf_public_key *out, struct hf_why *why)
{
    struct hf_key_file file = {0};
    struct hf_tokens *tokens = NULL;
    enum hf_err err = hf_key_file_find(key, &tokens, &file, why);
    hf_tokens_free(tokens);
    if (err == HF_OK)
        err = hf_public_key_from_json(file.public_key, out, why);
    if (err == HF_OK && hf_token_is_uri(key)) {
        out->name = file.name;
        file.name = NULL;
    }
    hf_key_file_free(&file);
    return err;
}

enum hf_err hf_public_key_find(const char *key, struct hf_public_key *out, struct hf_why *why)
{
    struct hf_buf text = {0};
    json_t *object = NULL;
    struct hf_public_key found = {0};
    enum hf_err err = HF_OK;
    if (!hf_token_is_uri(key)) {
        err = hf_file_read_any(key, PUBLIC_FILE_BYTES_MAX, &text, why);
        if (err == HF_OK)
            err = hf_json_parse_object(hf_buf_bytes(&text), key, &object, why);
        if (text.data != NULL)
            sodium_memzero(text.data, text.len); /* a key without passphrase lies open in it */
        hf_buf_free(&text);
    }
    if (err == HF_OK && (object == NULL || json_object_get(object, "format") != NULL)) {
        err = find_public(key, &found, why);
    } else if (err == HF_OK) {
        err = hf_public_key_from_json(object, &found, why);
        if (err != HF_OK)
            (void)hf_fail_context(why, "%s", key);
    }
    json_decref(object);
    if (err == HF_OK && found.name == NULL)
        found.name = strdup(basename(key));
    if (err == HF_OK && found.name == NULL)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for a public key");
    if (err != HF_OK) {
        hf_public_key_free(&found);
        return err;
    }
    *out = found;
    return HF_OK;
}
