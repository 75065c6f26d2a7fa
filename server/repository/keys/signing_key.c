#include "server/repository/keys/signing_key.h"

#include <sodium.h>

_Static_assert(HF_SEED_LEN == crypto_sign_SEEDBYTES, "Ed25519 seed");
_Static_assert(HF_PUBLIC_KEY_LEN == crypto_sign_PUBLICKEYBYTES, "Ed25519 public key");
_Static_assert(HF_SECRET_KEY_LEN == crypto_sign_SECRETKEYBYTES, "Ed25519 secret key");

/* ---- in memory -------------------------------------------------------------------------------- */

static enum hf_err complete(struct hf_signing_key *key, const uint8_t public_key[HF_PUBLIC_KEY_LEN],
                            struct hf_signing_key *out, struct hf_why *why)
{
    enum hf_err err = hf_public_key_to_json(public_key, &key->public_key, why);
    if (err == HF_OK)
        err = hf_public_key_id(key->public_key, key->key_id, why);
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
    uint8_t public_key[HF_PUBLIC_KEY_LEN];
    HF_TRY(allocate(&key, why));
    crypto_sign_keypair(public_key, key.secret_key);
    return complete(&key, public_key, out, why);
}

enum hf_err hf_signing_key_from_seed(const uint8_t seed[HF_SEED_LEN], struct hf_signing_key *out,
                                     struct hf_why *why)
{
    struct hf_signing_key key = {0};
    uint8_t public_key[HF_PUBLIC_KEY_LEN];
    HF_TRY(allocate(&key, why));
    crypto_sign_seed_keypair(public_key, key.secret_key, seed);
    return complete(&key, public_key, out, why);
}

/* ---- in a token ------------------------------------------------------------------------------- */

enum hf_err hf_signing_key_from_token(struct hf_tokens **tokens, const char *uri,
                                      const json_t *public_key, struct hf_signing_key *out,
                                      struct hf_why *why)
{
    struct hf_signing_key key = {0};
    HF_TRY(hf_public_key_id(public_key, key.key_id, why));
    HF_TRY(hf_token_key_open(tokens, uri, public_key, &key.token, why));
    /* jansson counts references on a value that it leaves alone otherwise. */
    key.public_key = json_incref((json_t *)(uintptr_t)public_key);
    *out = key;
    return HF_OK;
}

/* ---- both ------------------------------------------------------------------------------------- */

const char *hf_signing_key_name(const struct hf_signing_key *key)
{
    return key->known_as != NULL ? key->known_as : key->key_id;
}

void hf_signing_key_free(struct hf_signing_key *key)
{
    sodium_free(key->secret_key);
    hf_token_key_free(key->token);
    json_decref(key->public_key);
    *key = (struct hf_signing_key){0};
}

enum hf_err hf_signing_key_sign(const struct hf_signing_key *key, struct hf_bytes message,
                                struct hf_buf *signature, struct hf_why *why)
{
    uint8_t made[crypto_sign_BYTES];
    if (key->token != NULL)
        return hf_token_key_sign(key->token, message, signature, why);
    crypto_sign_detached(made, NULL, message.data, message.len, key->secret_key);
    if (hf_buf_append(signature, made, sizeof made) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a signature");
    return HF_OK;
}
