/*
 * common/tuf/key: a key object, then a signature. A key that can be used has one form: written out
 * and read again it is the same key.
 */
#include "tests/fuzz/fuzz.h"

#include "common/base/digest.h"
#include "common/json/json.h"
#include "common/tuf/key.h"

#include <sodium.h>

#define MESSAGE "what is signed in the seeds"

static bool is_rsa(const struct hf_key *key)
{
    return key->scheme == HF_SCHEME_RSASSA_PSS_SHA256 ||
           key->scheme == HF_SCHEME_RSA_PKCS1V15_SHA256;
}

/* The public key as PEM, or as hexadecimal digits for Ed25519. */
static json_t *write_public(const struct hf_key *key)
{
    struct hf_buf text = {0};
    struct hf_why why = {0};
    char line[4 * 2200];
    if (key->scheme == HF_SCHEME_ED25519) {
        hf_hex_encode(key->public_key, key->public_key_len, line);
        return json_string(line);
    }
    sodium_bin2base64(line, sizeof line, key->public_key, key->public_key_len,
                      sodium_base64_VARIANT_ORIGINAL);
    FUZZ_OK(hf_buf_printf(&text, "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n",
                          line),
            &why);
    json_t *json = json_string((const char *)text.data);
    hf_buf_free(&text);
    return json;
}

static const char *type_of(const struct hf_key *key)
{
    return key->scheme == HF_SCHEME_ED25519 ? "ed25519" : is_rsa(key) ? "rsa" : "ecdsa";
}

static void check_one_form(const struct hf_key *key)
{
    struct hf_key again = {0};
    struct hf_why why = {0};
    json_t *object = json_pack("{s:s, s:s, s:{s:o}}", "keytype", type_of(key), "scheme",
                               hf_scheme_name(key->scheme), "keyval", "public", write_public(key));
    FUZZ_OK(hf_key_parse("again", object, &again, &why), &why);
    FUZZ_CHECK(again.scheme == key->scheme);
    FUZZ_CHECK(hf_key_same(&again, key));
    hf_key_free(&again);
    json_decref(object);
}

static void check_key(const struct hf_key *key, struct hf_bytes signature)
{
    struct hf_bytes message = hf_bytes_of_text(MESSAGE);
    bool is_valid = hf_key_verify(key, message, signature);
    FUZZ_CHECK((key->scheme == HF_SCHEME_UNKNOWN) == (key->public_key == NULL));
    if (key->scheme == HF_SCHEME_UNKNOWN) {
        FUZZ_CHECK(!is_valid && !hf_key_same(key, key));
        return;
    }
    check_one_form(key);
    if (!is_valid)
        return;
    /* A signature is over its message and no other, and nothing follows it. */
    FUZZ_CHECK(!hf_key_verify(key, hf_bytes_of_text(MESSAGE "!"), signature));
    FUZZ_CHECK(key->scheme != HF_SCHEME_ED25519 || signature.len == crypto_sign_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct hf_why why = {0};
    struct hf_key key = {0};
    json_t *object = NULL;
    if (hf_json_parse_object(fuzz_section(&in), "the key", &object, &why) != HF_OK)
        return 0;
    enum hf_err err = hf_key_parse("key", object, &key, &why);
    if (err == HF_OK)
        check_key(&key, (struct hf_bytes){in.data, in.len});
    else
        fuzz_check_refusal(err, &why);
    hf_key_free(&key);
    json_decref(object);
    return 0;
}
