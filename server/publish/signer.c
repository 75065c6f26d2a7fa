#include "server/publish/signer.h"

#include "common/base/hex.h"
#include "common/json/json.h"

#include <sodium.h>

static enum hf_err sign_one(struct hf_bytes message, const struct hf_signing_key *key,
                            json_t *signatures, struct hf_why *why)
{
    uint8_t signature[crypto_sign_BYTES];
    char hex[2 * sizeof signature + 1];
    crypto_sign_detached(signature, NULL, message.data, message.len, key->secret_key);
    if (crypto_sign_verify_detached(signature, message.data, message.len, key->public_key) != 0)
        return hf_fail(why, HF_E_SIGNATURE,
                       "a signature just made with key %s does not verify; nothing was published, "
                       "check this machine's memory and the key file",
                       key->key_id);
    hf_hex_encode(signature, sizeof signature, hex);
    json_t *object = json_pack("{s:s, s:s}", "keyid", key->key_id, "sig", hex);
    if (object == NULL || json_array_append_new(signatures, object) != 0)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a signature");
    return HF_OK;
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
    err = hf_json_canonical(envelope, file, why);
out:
    json_decref(envelope);
    json_decref(signatures);
    hf_buf_free(&message);
    return err;
}
