#include "server/repository/base/key_object.h"

#include "common/base/hex.h"
#include "common/json/json.h"
#include "common/tuf/key.h"

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

enum hf_err hf_public_key_id(const json_t *public_key, char out[HF_SHA256_HEX_LEN],
                             struct hf_why *why)
{
    struct hf_buf canonical = {0};
    enum hf_err err = hf_json_canonical(public_key, &canonical, why);
    if (err == HF_OK)
        hf_sha256_hex(hf_buf_bytes(&canonical), out);
    hf_buf_free(&canonical);
    return err;
}

bool hf_public_key_same(const json_t *a, const json_t *b)
{
    struct hf_key key_a = {0}, key_b = {0};
    bool is_same = a != NULL && b != NULL && hf_key_parse("a", a, &key_a, NULL) == HF_OK &&
                   hf_key_parse("b", b, &key_b, NULL) == HF_OK && hf_key_same(&key_a, &key_b);
    hf_key_free(&key_a);
    hf_key_free(&key_b);
    return is_same;
}
