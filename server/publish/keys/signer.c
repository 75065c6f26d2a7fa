#include "server/publish/keys/signer.h"

#include "common/base/hex.h"
#include "common/json/json.h"
#include "common/tuf/key.h"

#include <stdlib.h>

/* By what devices verify with, so that whatever they would refuse is never written. */
static enum hf_err verify_own(struct hf_bytes message, const struct hf_signing_key *key,
                              struct hf_bytes signature, struct hf_why *why)
{
    struct hf_key parsed = {0};
    HF_TRY(hf_key_parse(key->key_id, key->public_key, &parsed, why));
    bool is_good = hf_key_verify(&parsed, message, signature);
    hf_key_free(&parsed);
    if (is_good)
        return HF_OK;
    if (key->token != NULL)
        return hf_fail(
            why, HF_E_SIGNATURE,
            "the token's signature is not one of key %s: it holds another key under that "
            "name, or signs wrongly; nothing was signed with it",
            key->key_id);
    return hf_fail(why, HF_E_SIGNATURE,
                   "a signature just made with key %s does not verify; nothing was published, "
                   "check this machine's memory and the key file",
                   key->key_id);
}

static enum hf_err append(const struct hf_buf *signature, const char *key_id, json_t *signatures,
                          struct hf_why *why)
{
    char *hex = malloc(2 * signature->len + 1);
    json_t *object = NULL;
    if (hex != NULL) {
        hf_hex_encode(signature->data, signature->len, hex);
        object = json_pack("{s:s, s:s}", "keyid", key_id, "sig", hex);
    }
    free(hex);
    if (json_array_append_new(signatures, object) != 0)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a signature");
    return HF_OK;
}

static enum hf_err sign_one(struct hf_bytes message, const struct hf_signing_key *key,
                            json_t *signatures, struct hf_why *why)
{
    struct hf_buf signature = {0};
    enum hf_err err = hf_signing_key_sign(key, message, &signature, why);
    if (err == HF_OK)
        err = verify_own(message, key, hf_buf_bytes(&signature), why);
    if (err == HF_OK)
        err = append(&signature, hf_signing_key_name(key), signatures, why);
    hf_buf_free(&signature);
    return err;
}

enum hf_err hf_signer_sign(const json_t *signed_part, const struct hf_signing_key *keys,
                           size_t n_keys, struct hf_buf *file, struct hf_why *why)
{
    struct hf_buf message = {0};
    json_t *signatures = json_array();
    json_t *envelope = json_object();
    enum hf_err err = hf_fail(why, HF_E_MEMORY, "out of memory for a metadata file");
    if (signatures == NULL || envelope == NULL)
        goto out;
    err = hf_json_canonical(signed_part, &message, why);
    for (size_t i = 0; i < n_keys && err == HF_OK; i++)
        err = sign_one(hf_buf_bytes(&message), &keys[i], signatures, why);
    if (err != HF_OK)
        goto out;
    /* jansson counts references on a value that it leaves alone otherwise. */
    if (json_object_set(envelope, "signed", (json_t *)(uintptr_t)signed_part) != 0 ||
        json_object_set(envelope, "signatures", signatures) != 0) {
        err = hf_fail(why, HF_E_MEMORY, "out of memory for a metadata file");
        goto out;
    }
    err = hf_json_write(envelope, file, why);
out:
    json_decref(envelope);
    json_decref(signatures);
    hf_buf_free(&message);
    return err;
}
