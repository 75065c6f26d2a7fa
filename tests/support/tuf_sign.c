#include "tests/support/tuf_sign.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/json/json.h"
#include "tests/support/check.h"

#include <sodium.h>
#include <stdlib.h>

void tuf_key_make(struct tuf_key *key)
{
    assert_true(sodium_init() >= 0);
    assert_int_equal(crypto_sign_keypair(key->public_key, key->secret_key), 0);

    json_t *json = tuf_key_json(key);
    struct hf_buf canonical = {0};
    CHECK_OK(hf_json_canonical(json, &canonical, NULL));
    hf_sha256_hex(hf_buf_bytes(&canonical), key->key_id);
    hf_buf_free(&canonical);
    json_decref(json);
}

void tuf_keys_make(struct tuf_keys *keys, size_t n, int64_t threshold)
{
    assert_true(n <= TUF_KEYS_MAX);
    *keys = (struct tuf_keys){.n_keys = n, .n_signers = n, .threshold = threshold};
    for (size_t i = 0; i < n; i++)
        tuf_key_make(&keys->keys[i]);
}

json_t *tuf_key_json(const struct tuf_key *key)
{
    char public_hex[65];
    hf_hex_encode(key->public_key, sizeof key->public_key, public_hex);
    json_t *json = json_pack("{s:s, s:s, s:{s:s}}", "keytype", "ed25519", "scheme", "ed25519",
                             "keyval", "public", public_hex);
    assert_non_null(json);
    return json;
}

json_t *tuf_role_json(const struct tuf_keys *keys)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < keys->n_keys; i++)
        assert_int_equal(json_array_append_new(ids, json_string(keys->keys[i].key_id)), 0);
    json_t *json = json_pack("{s:o, s:I}", "keyids", ids, "threshold", (json_int_t)keys->threshold);
    assert_non_null(json);
    return json;
}

static void append_signatures(json_t *signatures, const struct hf_buf *message,
                              const struct tuf_keys *keys)
{
    for (size_t i = 0; i < keys->n_signers; i++) {
        uint8_t signature[crypto_sign_BYTES];
        char hex[2 * sizeof signature + 1];

        crypto_sign_detached(signature, NULL, message->data, message->len,
                             keys->keys[i].secret_key);
        hf_hex_encode(signature, sizeof signature, hex);
        assert_int_equal(json_array_append_new(signatures,
                                               json_pack("{s:s, s:s}", "keyid",
                                                         keys->keys[i].key_id, "sig", hex)),
                         0);
    }
}

json_t *tuf_sign(json_t *signed_part, const struct tuf_keys *keys, const struct tuf_keys *more)
{
    struct hf_buf message = {0};
    CHECK_OK(hf_json_canonical(signed_part, &message, NULL));

    json_t *signatures = json_array();
    append_signatures(signatures, &message, keys);
    if (more != NULL)
        append_signatures(signatures, &message, more);
    hf_buf_free(&message);

    json_t *envelope = json_pack("{s:o, s:o}", "signatures", signatures, "signed", signed_part);
    assert_non_null(envelope);
    return envelope;
}

void tuf_write(const json_t *envelope, struct hf_buf *out)
{
    char *text = json_dumps(envelope, JSON_INDENT(1));
    assert_non_null(text);
    CHECK_OK(hf_buf_append_text(out, text));
    free(text);
}

json_t *tuf_signed_part(const char *type, int64_t version, int64_t expires_s, int64_t signed_at_s)
{
    char time[HF_TIME_TEXT_MAX];
    hf_time_format(expires_s, time);
    json_t *part = json_pack("{s:s, s:s, s:I, s:s}", "_type", type, "spec_version", "1.0.34",
                             "version", (json_int_t)version, "expires", time);
    assert_non_null(part);
    if (signed_at_s != HF_TIME_NONE) {
        hf_time_format(signed_at_s, time);
        assert_int_equal(json_object_set_new(part, "signed_at", json_string(time)), 0);
    }
    return part;
}
