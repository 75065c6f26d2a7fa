#include "server/repository/keys/kdf.h"

#include "common/base/digest.h"
#include "common/json/json.h"

#include <sodium.h>
#include <string.h>

#define PASSES_MAX 16
#define MEMORY_BYTES_MAX (INT64_C(1) << 30) /* 1 GiB: libsodium's "sensitive" */

_Static_assert(HF_KDF_SALT_LEN == crypto_pwhash_SALTBYTES, "Argon2id salt");

struct hf_kdf hf_kdf_make(bool is_online)
{
    struct hf_kdf kdf = {HF_KDF_ARGON2ID,
                         crypto_pwhash_OPSLIMIT_MODERATE,
                         crypto_pwhash_MEMLIMIT_MODERATE,
                         {0}};
    if (is_online) {
        kdf.passes = crypto_pwhash_OPSLIMIT_INTERACTIVE;
        kdf.memory_bytes = crypto_pwhash_MEMLIMIT_INTERACTIVE;
    }
    randombytes_buf(kdf.salt, sizeof kdf.salt);
    return kdf;
}

enum hf_err hf_kdf_parse(const json_t *object, struct hf_kdf *out, struct hf_why *why)
{
    const char *name = NULL, *salt = NULL;
    struct hf_kdf kdf = {0};
    HF_TRY(hf_json_get_text(object, "name", "\"kdf\"", &name, why));
    if (strcmp(name, "none") == 0) {
        *out = kdf;
        return HF_OK;
    }
    if (strcmp(name, "argon2id") != 0)
        return hf_fail(why, HF_E_FORMAT, "\"kdf\" should be argon2id or none, it is \"%.40s\"",
                       name);
    kdf.kind = HF_KDF_ARGON2ID;
    HF_TRY(hf_json_get_integer(object, "passes", "\"kdf\"", 1, &kdf.passes, why));
    HF_TRY(hf_json_get_integer(object, "memory", "\"kdf\"", 1, &kdf.memory_bytes, why));
    HF_TRY(hf_json_get_text(object, "salt", "the key file", &salt, why));
    if (!hf_hex_decode(salt, kdf.salt, sizeof kdf.salt))
        return hf_fail(why, HF_E_FORMAT, "\"salt\" should be %d hexadecimal digits",
                       2 * HF_KDF_SALT_LEN);
    if (kdf.passes > PASSES_MAX)
        return hf_fail(why, HF_E_LIMIT, "%lld passes of Argon2id, 1 to %d are allowed",
                       (long long)kdf.passes, PASSES_MAX);
    if (kdf.memory_bytes < (int64_t)crypto_pwhash_MEMLIMIT_MIN ||
        kdf.memory_bytes > MEMORY_BYTES_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       "%lld bytes of memory for Argon2id, %lld to %lld are allowed",
                       (long long)kdf.memory_bytes, (long long)crypto_pwhash_MEMLIMIT_MIN,
                       (long long)MEMORY_BYTES_MAX);
    *out = kdf;
    return HF_OK;
}

json_t *hf_kdf_to_json(const struct hf_kdf *kdf)
{
    char salt[2 * HF_KDF_SALT_LEN + 1];
    if (kdf->kind == HF_KDF_NONE)
        return json_pack("{s:s}", "name", "none");
    hf_hex_encode(kdf->salt, sizeof kdf->salt, salt);
    return json_pack("{s:s, s:I, s:I, s:s}", "name", "argon2id", "passes", (json_int_t)kdf->passes,
                     "memory", (json_int_t)kdf->memory_bytes, "salt", salt);
}

bool hf_kdf_same(const struct hf_kdf *a, const struct hf_kdf *b)
{
    return a->kind == b->kind && a->passes == b->passes && a->memory_bytes == b->memory_bytes &&
           memcmp(a->salt, b->salt, sizeof a->salt) == 0;
}

enum hf_err hf_kdf_derive(const struct hf_kdf *kdf, const struct hf_passphrase *p, uint8_t **out,
                          struct hf_why *why)
{
    uint8_t *key = sodium_malloc(HF_WRAP_KEY_LEN);
    if (key == NULL)
        return hf_fail(why, HF_E_MEMORY, "no locked memory for a key");
    if (crypto_pwhash(key, HF_WRAP_KEY_LEN, p->text, p->len, kdf->salt,
                      (unsigned long long)kdf->passes, (size_t)kdf->memory_bytes,
                      crypto_pwhash_ALG_ARGON2ID13) != 0) {
        sodium_free(key);
        return hf_fail(why, HF_E_MEMORY,
                       "unlocking keys takes %lld MiB of memory, which there is not",
                       (long long)(kdf->memory_bytes >> 20));
    }
    *out = key;
    return HF_OK;
}
