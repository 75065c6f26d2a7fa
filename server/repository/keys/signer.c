#include "server/repository/keys/signer.h"

#include "common/base/digest.h"
#include "common/json/json.h"
#include "common/tuf/key.h"
#include "common/tuf/metadata.h"

#include <stdlib.h>
#include <string.h>

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

static enum hf_err sign_one(struct hf_bytes message, const struct hf_signing_key *key,
                            json_t *signatures, struct hf_why *why)
{
    struct hf_buf signature = {0};
    json_t *object = NULL;
    enum hf_err err = hf_signing_key_sign(key, message, &signature, why);
    if (err == HF_OK)
        err = verify_own(message, key, hf_buf_bytes(&signature), why);
    char *hex = err == HF_OK ? malloc(2 * signature.len + 1) : NULL;
    if (hex != NULL) {
        hf_hex_encode(signature.data, signature.len, hex);
        object = json_pack("{s:s, s:s}", "keyid", hf_signing_key_name(key), "sig", hex);
    }
    if (err == HF_OK && json_array_append_new(signatures, object) != 0)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for a signature");
    free(hex);
    hf_buf_free(&signature);
    return err;
}

/* Before a key is used: what no device reads must not be signed. Signatures take some room too, and
 * what is published is read once more with them. */
static enum hf_err check_devices_read_it(const json_t *signed_part, struct hf_why *why)
{
    const char *type = json_string_value(json_object_get(signed_part, "_type"));
    json_t *unsigned_file = json_pack("{s:O, s:[]}", "signed", (json_t *)(uintptr_t)signed_part,
                                      "signatures");
    struct hf_buf text = {0};
    struct hf_root root = {0};
    struct hf_targets targets = {0};
    struct hf_snapshot snapshot = {0};
    struct hf_timestamp timestamp = {0};

    enum hf_err err = unsigned_file == NULL ? hf_fail(why, HF_E_MEMORY, "out of memory")
                                            : hf_json_write(unsigned_file, &text, why);
    json_decref(unsigned_file);
    if (err != HF_OK)
        goto out;
    if (type == NULL)
        err = hf_fail(why, HF_E_FORMAT, "what is to be signed has no \"_type\"");
    else if (strcmp(type, "root") == 0)
        err = hf_root_parse(hf_buf_bytes(&text), &root, why);
    else if (strcmp(type, "targets") == 0)
        err = hf_targets_parse(hf_buf_bytes(&text), &targets, why);
    else if (strcmp(type, "snapshot") == 0)
        err = hf_snapshot_parse(hf_buf_bytes(&text), &snapshot, why);
    else
        err = hf_timestamp_parse(hf_buf_bytes(&text), &timestamp, why);
    if (err == HF_E_LIMIT) {
        struct hf_why reason = *why;
        err = hf_fail(
            why, err, "it is not signed, because devices would not read it: %.400s%s", reason.text,
            strcmp(type, "targets") == 0
                ? "; unlist versions that no device needs with `holdfastctl bundle unlist`"
                : "");
    }
out:
    hf_root_free(&root);
    hf_targets_free(&targets);
    hf_snapshot_free(&snapshot);
    hf_timestamp_free(&timestamp);
    hf_buf_free(&text);
    return err;
}

enum hf_err hf_signer_sign(const json_t *signed_part, const struct hf_signing_key *keys,
                           size_t n_keys, struct hf_buf *file, struct hf_why *why)
{
    struct hf_buf message = {0};
    HF_TRY(check_devices_read_it(signed_part, why));
    json_t *signatures = json_array();
    /* jansson counts references on a value that it leaves alone otherwise. */
    json_t *envelope = json_pack("{s:O, s:O}", "signed", (json_t *)(uintptr_t)signed_part,
                                 "signatures", signatures);
    enum hf_err err = envelope == NULL
                          ? hf_fail(why, HF_E_MEMORY, "out of memory for a metadata file")
                          : hf_json_canonical(signed_part, &message, why);
    for (size_t i = 0; i < n_keys && err == HF_OK; i++)
        err = sign_one(hf_buf_bytes(&message), &keys[i], signatures, why);
    if (err == HF_OK)
        err = hf_json_write(envelope, file, why);
    json_decref(envelope);
    json_decref(signatures);
    hf_buf_free(&message);
    return err;
}
