#include "common/json/json.h"

#include "common/base/digest.h"
#include "common/base/plaintext.h"
#include "common/base/timetext.h"

#include <sodium.h>
#include <stdlib.h>

json_t *hf_json_append_take(json_t *list, json_t *value)
{
    if (json_array_append_new(list, value) == 0)
        return list;
    json_decref(list);
    return NULL;
}

json_t *hf_json_set_take(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) == 0)
        return object;
    json_decref(object);
    return NULL;
}

json_t *hf_json_time(int64_t time_s)
{
    char text[HF_TIME_TEXT_MAX];
    if (time_s == HF_TIME_NONE)
        return json_null();
    hf_time_format(time_s, text);
    return json_string(text);
}

json_t *hf_json_sha256(const uint8_t sha256[HF_SHA256_LEN])
{
    char hex[HF_SHA256_HEX_LEN];
    hf_hex_encode(sha256, HF_SHA256_LEN, hex);
    return json_string(hex);
}

json_t *hf_json_hashes(const uint8_t (*hashes)[HF_SHA256_LEN], size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        list = hf_json_append_take(list, hf_json_sha256(hashes[i]));
    return list;
}

json_t *hf_json_texts(const char *const *texts, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        list = hf_json_append_take(list, json_string(texts[i]));
    return list;
}

json_t *hf_json_base64(struct hf_bytes bytes)
{
    size_t size = sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(size);
    if (text == NULL)
        return NULL;
    json_t *value = json_string(
        sodium_bin2base64(text, size, bytes.data, bytes.len, sodium_base64_VARIANT_ORIGINAL));
    free(text);
    return value;
}

json_t *hf_json_plain(const char *text)
{
    struct hf_buf plain = {0};
    json_t *value = NULL;
    if (hf_buf_append_text(&plain, text) == HF_OK) {
        hf_text_sanitize((char *)plain.data);
        value = json_string((const char *)plain.data);
    }
    hf_buf_free(&plain);
    return value;
}
