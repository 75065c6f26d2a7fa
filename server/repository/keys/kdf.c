#include "server/repository/keys/kdf.h"

#include <sodium.h>
#include <string.h>

#define PASSES_MAX 16
#define MEMORY_BYTES_MAX (INT64_C(1) << 30) /* 1 GiB: libsodium's "sensitive" */

_Static_assert(HF_KDF_SALT_LEN == crypto_pwhash_SALTBYTES, "Argon2id salt");

static struct hf_kdf draw(int64_t passes, int64_t memory_bytes)
{
    struct hf_kdf kdf = {HF_KDF_ARGON2ID, passes, memory_bytes, {0}};
    randombytes_buf(kdf.salt, sizeof kdf.salt);
    return kdf;
}

struct hf_kdf hf_kdf_for_offline(void)
{
    return draw(crypto_pwhash_OPSLIMIT_MODERATE, crypto_pwhash_MEMLIMIT_MODERATE);
}

struct hf_kdf hf_kdf_for_online(void)
{
    return draw(crypto_pwhash_OPSLIMIT_INTERACTIVE, crypto_pwhash_MEMLIMIT_INTERACTIVE);
}

enum hf_err hf_kdf_check(const struct hf_kdf *kdf, struct hf_why *why)
{
    if (kdf->kind == HF_KDF_NONE)
        return HF_OK;
    if (kdf->passes < 1 || kdf->passes > PASSES_MAX)
        return hf_fail(why, HF_E_LIMIT, "%lld passes of Argon2id, 1 to %d are allowed",
                       (long long)kdf->passes, PASSES_MAX);
    if (kdf->memory_bytes < (int64_t)crypto_pwhash_MEMLIMIT_MIN ||
        kdf->memory_bytes > MEMORY_BYTES_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       "%lld bytes of memory for Argon2id, %lld to %lld are allowed",
                       (long long)kdf->memory_bytes, (long long)crypto_pwhash_MEMLIMIT_MIN,
                       (long long)MEMORY_BYTES_MAX);
    return HF_OK;
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

bool hf_kdf_same(const struct hf_kdf *a, const struct hf_kdf *b)
{
    return a->kind == b->kind && a->passes == b->passes && a->memory_bytes == b->memory_bytes &&
           memcmp(a->salt, b->salt, sizeof a->salt) == 0;
}
