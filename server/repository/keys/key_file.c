#include "server/repository/keys/key_file.h"

#include "common/base/hex.h"
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

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
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

/* ---- reading ---------------------------------------------------------------------------------- */

static enum hf_err get_hex(const json_t *object, const char *name, uint8_t *out, size_t len,
                           struct hf_why *why)
{
    const char *hex = NULL;
    HF_TRY(hf_json_get_text(object, name, "the key file", &hex, why));
    if (!hf_hex_decode(hex, out, len))
        return hf_fail(why, HF_E_FORMAT, "\"%s\" should be %zu hexadecimal digits", name, 2 * len);
    return HF_OK;
}

static enum hf_err parse_kdf(const json_t *file, struct hf_kdf *out, struct hf_why *why)
{
    json_t *object = NULL;
    const char *name = NULL;
    struct hf_kdf kdf = {0};
    HF_TRY(hf_json_get_object(file, "kdf", "the key file", &object, why));
    HF_TRY(hf_json_get_text(object, "name", "\"kdf\"", &name, why));
    if (strcmp(name, "argon2id") == 0) {
        kdf.kind = HF_KDF_ARGON2ID;
        HF_TRY(hf_json_get_integer(object, "passes", "\"kdf\"", 1, &kdf.passes, why));
        HF_TRY(hf_json_get_integer(object, "memory", "\"kdf\"", 1, &kdf.memory_bytes, why));
        HF_TRY(get_hex(object, "salt", kdf.salt, sizeof kdf.salt, why));
        HF_TRY(hf_kdf_check(&kdf, why));
    } else if (strcmp(name, "none") != 0) {
        return hf_fail(why, HF_E_FORMAT, "\"kdf\" should be argon2id or none, it is \"%.40s\"",
                       name);
    }
    *out = kdf;
    return HF_OK;
}

static enum hf_err parse_seed_file(struct hf_key_file *file, struct hf_why *why)
{
    uint8_t public_key[HF_PUBLIC_KEY_LEN];
    HF_TRY(get_hex(file->json, "public", public_key, sizeof public_key, why));
    HF_TRY(parse_kdf(file->json, &file->kdf, why));
    HF_TRY(hf_public_key_to_json(public_key, &file->public_key, why));
    file->name = strdup(base_name(file->path));
    if (file->name == NULL)
        return out_of_memory(why);
    return hf_public_key_id(file->public_key, file->key_id, why);
}

static void take_reference(struct hf_key_file *file, struct hf_key_reference *r)
{
    file->public_key = r->public.json;
    memcpy(file->key_id, r->public.key_id, sizeof file->key_id);
    file->uri = r->uri;
    file->name = r->name;
    *r = (struct hf_key_reference){0};
}

static enum hf_err parse_reference(struct hf_key_file *file, struct hf_why *why)
{
    struct hf_key_reference reference = {0};
    HF_TRY(hf_key_reference_parse(file->json, &reference, why));
    take_reference(file, &reference);
    return HF_OK;
}

static enum hf_err parse(struct hf_key_file *file, struct hf_why *why)
{
    const char *format = NULL, *keytype = NULL;
    int64_t version = 0;
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
    return is_token ? parse_reference(file, why) : parse_seed_file(file, why);
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

static enum hf_err read_json(const char *path, json_t **out, uid_t *owner, struct hf_why *why)
{
    struct hf_buf text = {0};
    enum hf_err err = hf_file_read_any_secret(path, FILE_BYTES_MAX, &text, owner, why);
    if (err == HF_OK)
        err = hf_json_parse_object(hf_buf_bytes(&text), path, out, why);
    sodium_memzero(text.data, text.len); /* a key without passphrase lies open in it */
    hf_buf_free(&text);
    return err;
}

/* A module is code. Who may write a folder of keys, as a timer's user may KEYS/online, must not choose
 * what root runs. */
static enum hf_err check_module(const struct hf_key_file *file, uid_t owner, struct hf_why *why)
{
    if (owner == 0 || owner == geteuid() || file->uri == NULL || !hf_token_names_module(file->uri))
        return HF_OK;
    return hf_fail(why, HF_E_KEY,
                   "it names a PKCS#11 module to be loaded (module-path) and belongs to another "
                   "user (%lu): work as that one, or, if you know that module, chown the file",
                   (unsigned long)owner);
}

enum hf_err hf_key_file_read(const char *path, struct hf_key_file *out, struct hf_why *why)
{
    struct hf_key_file file = {0};
    uid_t owner = 0;
    HF_TRY(read_json(path, &file.json, &owner, why));
    file.path = strdup(path);
    if (file.path == NULL) {
        hf_key_file_free(&file);
        return out_of_memory(why);
    }
    enum hf_err err = parse(&file, why);
    if (err == HF_OK)
        err = check_module(&file, owner, why);
    err = refused(&file, err, why);
    if (err != HF_OK) {
        hf_key_file_free(&file);
        return err;
    }
    *out = file;
    return HF_OK;
}

/* The key in a token that a URI names, as if a file had said so. As hf_token_read_public. */
static enum hf_err key_file_of_token(const char *uri, struct hf_tokens **tokens,
                                     struct hf_key_file *out, struct hf_why *why)
{
    struct hf_key_file file = {0};
    struct hf_key_reference reference = {0};
    HF_TRY(hf_key_reference_look_up(tokens, uri, &reference, why));
    take_reference(&file, &reference);
    file.path = strdup(uri);
    if (file.path == NULL) {
        hf_key_file_free(&file);
        return out_of_memory(why);
    }
    *out = file;
    return HF_OK;
}

enum hf_err hf_key_file_find(const char *key, struct hf_tokens **tokens, struct hf_key_file *out,
                             struct hf_why *why)
{
    return hf_token_is_uri(key) ? key_file_of_token(key, tokens, out, why)
                                : hf_key_file_read(key, out, why);
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

/* ---- unsealing -------------------------------------------------------------------------------- */

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

static enum hf_err recover_seed(const struct hf_key_file *file, const uint8_t *wrap_key,
                                uint8_t seed[HF_SEED_LEN], struct hf_why *why)
{
    if (file->kdf.kind == HF_KDF_NONE)
        return get_hex(file->json, "seed", seed, HF_SEED_LEN, why);
    return unseal(file->json, wrap_key, seed, why);
}

enum hf_err hf_key_file_open(const struct hf_key_file *file, const uint8_t *wrap_key,
                             struct hf_signing_key *out, struct hf_why *why)
{
    struct hf_signing_key key = {0};
    uint8_t *seed = sodium_malloc(HF_SEED_LEN);
    if (seed == NULL)
        return out_of_memory(why);
    enum hf_err err = recover_seed(file, wrap_key, seed, why);
    if (err == HF_OK)
        err = hf_signing_key_from_seed(seed, &key, why);
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

/* The sentences of a token name it; which file led there is said in front of them. */
enum hf_err hf_key_file_open_token(const struct hf_key_file *file, struct hf_tokens **tokens,
                                   struct hf_signing_key *out, struct hf_why *why)
{
    enum hf_err err = hf_signing_key_from_token(tokens, file->uri, file->public_key, out, why);
    if (err == HF_OK || file->json == NULL)
        return err;
    (void)hf_fail_context(why, "%s", file->path);
    return err;
}

/* ---- writing ---------------------------------------------------------------------------------- */

/* jansson does not wipe its strings. A seed goes through here in the clear only under
 * --insecure-no-passphrase. That a member is missing (no memory) shows in verify_own. */
static void set_hex(json_t *object, const char *name, const uint8_t *data, size_t len)
{
    char hex[2 * SEALED_LEN + 1];
    hf_hex_encode(data, len, hex);
    json_object_set_new(object, name, json_string(hex));
}

static json_t *kdf_to_json(const struct hf_kdf *kdf)
{
    if (kdf->kind == HF_KDF_NONE)
        return json_pack("{s:s}", "name", "none");
    json_t *object = json_pack("{s:s, s:I, s:I}", "name", "argon2id", "passes",
                               (json_int_t)kdf->passes, "memory", (json_int_t)kdf->memory_bytes);
    if (object != NULL)
        set_hex(object, "salt", kdf->salt, sizeof kdf->salt);
    return object;
}

static json_t *head(const char *keytype)
{
    return json_pack("{s:s, s:i, s:s}", "format", FORMAT, "version", FORMAT_VERSION, "keytype",
                     keytype);
}

/* libsodium's secret key is the seed and then the public key. */
static json_t *public_part(const struct hf_signing_key *key, const struct hf_kdf *kdf)
{
    json_t *object = head(KEYTYPE_SEED);
    if (object == NULL)
        return NULL;
    set_hex(object, "public", key->secret_key + HF_SEED_LEN, HF_PUBLIC_KEY_LEN);
    json_object_set_new(object, "kdf", kdf_to_json(kdf));
    return object;
}

static enum hf_err seal(json_t *object, const struct hf_signing_key *key, const uint8_t *wrap_key,
                        struct hf_why *why)
{
    uint8_t nonce[NONCE_LEN];
    uint8_t sealed[SEALED_LEN];
    struct hf_buf clear = {0};
    randombytes_buf(nonce, sizeof nonce);
    set_hex(object, "nonce", nonce, sizeof nonce);
    HF_TRY(associated_data(object, &clear, why));
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, key->secret_key, HF_SEED_LEN,
                                               clear.data, clear.len, NULL, nonce, wrap_key);
    hf_buf_free(&clear);
    set_hex(object, "sealed", sealed, sizeof sealed);
    return HF_OK;
}

static enum hf_err build(const struct hf_signing_key *key, const struct hf_kdf *kdf,
                         const uint8_t *wrap_key, json_t **out, struct hf_why *why)
{
    json_t *object = public_part(key, kdf);
    if (object == NULL)
        return out_of_memory(why);
    enum hf_err err = HF_OK;
    if (kdf->kind == HF_KDF_NONE)
        set_hex(object, "seed", key->secret_key, HF_SEED_LEN);
    else
        err = seal(object, key, wrap_key, why);
    if (err != HF_OK) {
        json_decref(object);
        return err;
    }
    *out = object;
    return HF_OK;
}

/* A key file that does not open is found now, not on the day of the next ceremony. */
static enum hf_err verify_own(const char *path, json_t *object, const uint8_t *wrap_key,
                              struct hf_why *why)
{
    struct hf_key_file file = {.json = json_incref(object), .path = strdup(path)};
    struct hf_signing_key key = {0};
    enum hf_err err = file.path == NULL ? out_of_memory(why) : parse(&file, why);
    if (err == HF_OK && file.uri == NULL)
        err = hf_key_file_open(&file, wrap_key, &key, why);
    hf_signing_key_free(&key);
    hf_key_file_free(&file);
    return err;
}

/* Takes the object. */
static enum hf_err create_take(const char *path, json_t *object, const uint8_t *wrap_key,
                               struct hf_why *why)
{
    enum hf_err err = verify_own(path, object, wrap_key, why);
    char *text = err == HF_OK ? json_dumps(object, JSON_INDENT(2) | JSON_SORT_KEYS) : NULL;
    json_decref(object);
    if (text == NULL)
        return err == HF_OK ? out_of_memory(why) : err;
    err = hf_file_create(path, 0600, hf_bytes_of_text(text), why);
    sodium_memzero(text, strlen(text));
    free(text);
    return err;
}

enum hf_err hf_key_file_create(const char *path, const struct hf_signing_key *key,
                               const struct hf_kdf *kdf, const uint8_t *wrap_key,
                               struct hf_why *why)
{
    json_t *object = NULL;
    HF_TRY(build(key, kdf, wrap_key, &object, why));
    return create_take(path, object, wrap_key, why);
}

enum hf_err hf_key_file_create_reference(const char *path, const struct hf_token_public *token_key,
                                         const char *uri, struct hf_why *why)
{
    json_t *object = NULL;
    json_t *file = head(KEYTYPE_TOKEN);
    enum hf_err err = hf_key_reference_to_json(token_key, uri, &object, why);
    if (err == HF_OK && json_object_update(file, object) != 0)
        err = out_of_memory(why);
    json_decref(object);
    if (err != HF_OK) {
        json_decref(file);
        return err;
    }
    return create_take(path, file, NULL, why);
}

enum hf_err hf_key_file_check_name(const char *path, struct hf_why *why)
{
    size_t len = strlen(path), suffix_len = strlen(HF_KEY_FILE_SUFFIX);
    if (len <= suffix_len || strcmp(path + len - suffix_len, HF_KEY_FILE_SUFFIX) != 0)
        return hf_fail(why, HF_E_ARGUMENT, "the name of a key file ends in %s, %s does not",
                       HF_KEY_FILE_SUFFIX, path);
    return HF_OK;
}

/* ---- public keys in files --------------------------------------------------------------------- */

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
    enum hf_err err = hf_file_read_any(path, PUBLIC_FILE_BYTES_MAX, &text, why);
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
