#include "server/publish/key_token.h"

#include "server/publish/signer.h"

#include <string.h>

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

/* A key that cannot sign is found now, not on the day of the next ceremony. */
static enum hf_err try_to_sign(struct hf_tokens **tokens, const char *uri,
                               const struct hf_token_public *made, struct hf_why *why)
{
    struct hf_signing_key key = {0};
    HF_TRY(hf_signing_key_from_token(tokens, uri, made->json, &key, why));
    enum hf_err err = hf_signer_try(&key, why);
    hf_signing_key_free(&key);
    return err;
}

enum hf_err hf_key_token_generate(const char *uri, enum hf_token_key_type type,
                                  struct hf_token_public *out, struct hf_why *why)
{
    struct hf_tokens *tokens = NULL;
    struct hf_token_public made = {0};
    enum hf_err err = hf_token_check_uri(uri, why);
    if (err == HF_OK)
        err = hf_token_generate(&tokens, uri, type, &made, why);
    if (err == HF_OK) {
        err = try_to_sign(&tokens, uri, &made, why);
        if (err != HF_OK)
            (void)hf_fail_context(why, "the key %s was made and does not sign", made.uri);
    }
    hf_tokens_free(tokens);
    if (err != HF_OK) {
        hf_token_public_free(&made);
        return err;
    }
    *out = made;
    return HF_OK;
}
