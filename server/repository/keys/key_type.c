#include "server/repository/keys/key_type.h"

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
