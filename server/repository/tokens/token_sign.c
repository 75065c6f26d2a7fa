#include "server/repository/tokens/token_sign.h"

#include "common/base/digest.h"

#include <mbedtls/ecdsa.h>
#include <mbedtls/psa_util.h>

#include <stdlib.h>

#define RAW_LEN 64 /* of both: R and S of Ed25519; r and s of P-256 */
#define P256_BITS 256

struct hf_token_key hf_token_key_of(const struct hf_token_object *private_half)
{
    return (struct hf_token_key){
        .token = private_half->token,
        .handle = private_half->handle,
        .type = private_half->type,
        .is_asked_each_time = hf_token_object_flag(private_half, CKA_ALWAYS_AUTHENTICATE, false),
    };
}

void hf_token_key_free(struct hf_token_key *key)
{
    free(key);
}

/* ---- by the token ------------------------------------------------------------------------------- */

/* Ed25519 reads its message twice, so the token must hold all of it; some have room for little. */
static bool is_too_long(const struct hf_token_key *key, CK_RV rv)
{
    return key->type == HF_TOKEN_ED25519 &&
           (rv == CKR_DATA_LEN_RANGE || rv == CKR_DEVICE_MEMORY || rv == CKR_DATA_INVALID);
}

static enum hf_err refuse(const struct hf_token_key *key, size_t len, CK_RV rv, struct hf_why *why)
{
    if (!is_too_long(key, rv))
        return hf_token_fail(why, key->token, "sign", rv);
    return hf_fail(why, HF_E_KEY,
                   "token %s cannot take a message of %zu bytes, and Ed25519 signs the message "
                   "itself; a key of ECDSA P-256 signs a hash, which it can take",
                   key->token->name, len);
}

static enum hf_err sign_raw(const struct hf_token_key *key, CK_MECHANISM_TYPE type,
                            struct hf_bytes message, uint8_t raw[RAW_LEN], struct hf_why *why)
{
    const struct hf_token *token = key->token;
    CK_MECHANISM mechanism = {type, NULL, 0};
    CK_ULONG len = RAW_LEN;
    CK_RV rv = token->module->C_SignInit(token->session, &mechanism, key->handle);
    if (rv != CKR_OK)
        return refuse(key, message.len, rv, why);
    if (key->is_asked_each_time)
        HF_TRY(hf_token_login_again(key->token, why));
    rv = token->module->C_Sign(token->session, (CK_BYTE *)(uintptr_t)message.data, message.len, raw,
                               &len);
    if (rv != CKR_OK && rv != CKR_BUFFER_TOO_SMALL)
        return refuse(key, message.len, rv, why);
    if (rv != CKR_OK || len != RAW_LEN)
        return hf_fail(
            why, HF_E_KEY,
            "token %s gave a signature of %lu bytes, %d were expected; nothing is signed",
            token->name, (unsigned long)len, RAW_LEN);
    return HF_OK;
}

/* ---- as metadata has it ------------------------------------------------------------------------- */

static enum hf_err sign_ed25519(const struct hf_token_key *key, struct hf_bytes message,
                                struct hf_buf *signature, struct hf_why *why)
{
    uint8_t raw[RAW_LEN];
    HF_TRY(sign_raw(key, CKM_EDDSA, message, raw, why));
    if (hf_buf_append(signature, raw, sizeof raw) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a signature");
    return HF_OK;
}

/* Hashed here, so that a token of any size signs metadata of any size. */
static enum hf_err sign_p256(const struct hf_token_key *key, struct hf_bytes message,
                             struct hf_buf *signature, struct hf_why *why)
{
    uint8_t digest[HF_SHA256_LEN];
    uint8_t raw[RAW_LEN];
    uint8_t der[MBEDTLS_ECDSA_MAX_SIG_LEN(P256_BITS)];
    size_t len = 0;
    hf_sha256(message, digest);
    HF_TRY(sign_raw(key, CKM_ECDSA, (struct hf_bytes){digest, sizeof digest}, raw, why));
    if (mbedtls_ecdsa_raw_to_der(P256_BITS, raw, sizeof raw, der, sizeof der, &len) != 0)
        return hf_fail(why, HF_E_KEY, "token %s gave a signature that is none", key->token->name);
    if (hf_buf_append(signature, der, len) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a signature");
    return HF_OK;
}

enum hf_err hf_token_key_sign(struct hf_token_key *key, struct hf_bytes message,
                              struct hf_buf *signature, struct hf_why *why)
{
    return key->type == HF_TOKEN_ED25519 ? sign_ed25519(key, message, signature, why)
                                         : sign_p256(key, message, signature, why);
}
