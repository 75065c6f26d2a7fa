#include "server/publish/signing_key.h"

#include "common/base/hex.h"
#include "common/json/json.h"

#include <sodium.h>

_Static_assert(HF_SEED_LEN == crypto_sign_SEEDBYTES, "Ed25519 seed");
_Static_assert(HF_PUBLIC_KEY_LEN == crypto_sign_PUBLICKEYBYTES, "Ed25519 public key");
_Static_assert(HF_SECRET_KEY_LEN == crypto_sign_SECRETKEYBYTES, "Ed25519 secret key");

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

enum hf_err hf_public_key_id(const uint8_t public_key[HF_PUBLIC_KEY_LEN],
                             char out[HF_SHA256_HEX_LEN], struct hf_why *why)
{
    json_t *object = NULL;
    struct hf_buf canonical = {0};
    HF_TRY(hf_public_key_to_json(public_key, &object, why));
    enum hf_err err = hf_json_canonical(object, &canonical, why);
    if (err == HF_OK)
        hf_sha256_hex(hf_buf_bytes(&canonical), out);
    hf_buf_free(&canonical);
    json_decref(object);
    return err;
}

static enum hf_err complete(struct hf_signing_key *key, struct hf_signing_key *out,
                            struct hf_why *why)
{
    enum hf_err err = hf_public_key_id(key->public_key, key->key_id, why);
    if (err != HF_OK) {
        hf_signing_key_free(key);
        return err;
    }
    *out = *key;
    return HF_OK;
}

static enum hf_err allocate(struct hf_signing_key *key, struct hf_why *why)
{
    key->secret_key = sodium_malloc(HF_SECRET_KEY_LEN);
    if (key->secret_key == NULL)
        return hf_fail(why, HF_E_MEMORY, "no locked memory for a private key");
    return HF_OK;
}

enum hf_err hf_signing_key_generate(struct hf_signing_key *out, struct hf_why *why)
{
    struct hf_signing_key key = {0};
    HF_TRY(allocate(&key, why));
    crypto_sign_keypair(key.public_key, key.secret_key);
    return complete(&key, out, why);
}

enum hf_err hf_signing_key_from_seed(const uint8_t seed[HF_SEED_LEN], struct hf_signing_key *out,
                                     struct hf_why *why)
{
    struct hf_signing_key key = {0};
    HF_TRY(allocate(&key, why));
    crypto_sign_seed_keypair(key.public_key, key.secret_key, seed);
    return complete(&key, out, why);
}

void hf_signing_key_free(struct hf_signing_key *key)
{
    sodium_free(key->secret_key);
    *key = (struct hf_signing_key){0};
}
