#include "common/tuf/metadata.h"

#include "common/base/hex.h"
#include "common/base/limits.h"
#include "common/json/json.h"

#include <string.h>

static enum hf_err read_hash(const json_t *hashes, const char *algorithm, const char *what,
                             uint8_t *out, size_t len, bool *is_given, struct hf_why *why)
{
    const json_t *value = json_object_get(hashes, algorithm);
    if (value == NULL)
        return HF_OK;
    const char *hex = json_string_value(value);
    if (hex == NULL || !hf_hex_decode(hex, out, len))
        return hf_fail(why, HF_E_FORMAT, "the %s of %.200s should be %zu hexadecimal digits",
                       algorithm, what, 2 * len);
    *is_given = true;
    return HF_OK;
}

static enum hf_err read_hashes(const json_t *object, const char *what, struct hf_file_info *info,
                               struct hf_why *why)
{
    json_t *hashes = NULL;
    HF_TRY(hf_json_get_object(object, "hashes", what, &hashes, why));
    size_t count = json_object_size(hashes);
    if (count == 0)
        return hf_fail(why, HF_E_FORMAT, "%.200s lists 0 hashes, at least one is expected", what);
    if (count > HF_HASHES_MAX)
        return hf_fail(why, HF_E_LIMIT, "%.200s lists %zu hashes, at most %d are read", what, count,
                       HF_HASHES_MAX);
    info->has_hashes = true;
    HF_TRY(read_hash(hashes, "sha256", what, info->sha256, HF_SHA256_LEN, &info->has_sha256, why));
    return read_hash(hashes, "sha512", what, info->sha512, HF_SHA512_LEN, &info->has_sha512, why);
}

enum hf_err hf_file_info_parse(const json_t *object, enum hf_file_kind kind, const char *what,
                               struct hf_file_info *out, struct hf_why *why)
{
    struct hf_file_info info = {.length = -1};
    bool is_target = kind == HF_FILE_TARGET;
    if (!json_is_object(object))
        return hf_fail(why, HF_E_FORMAT, "%.200s should be an object", what);
    if (!is_target)
        HF_TRY(hf_json_get_integer(object, "version", what, 1, &info.version, why));
    if (is_target || json_object_get(object, "length") != NULL)
        HF_TRY(hf_json_get_integer(object, "length", what, 0, &info.length, why));
    if (is_target || json_object_get(object, "hashes") != NULL)
        HF_TRY(read_hashes(object, what, &info, why));
    *out = info;
    return HF_OK;
}

static enum hf_err verify_hashes(const struct hf_file_info *info, struct hf_bytes data,
                                 const char *what, struct hf_why *why)
{
    bool is_match = info->has_sha256 || info->has_sha512;
    uint8_t digest[HF_SHA512_LEN];
    if (info->has_sha256) {
        hf_sha256(data, digest);
        is_match = is_match && memcmp(digest, info->sha256, HF_SHA256_LEN) == 0;
    }
    if (info->has_sha512) {
        hf_sha512(data, digest);
        is_match = is_match && memcmp(digest, info->sha512, HF_SHA512_LEN) == 0;
    }
    if (is_match)
        return HF_OK;
    char found[HF_SHA256_HEX_LEN];
    hf_sha256_hex(data, found);
    return hf_fail(why, HF_E_HASH,
                   "%.200s does not have a hash that the signed metadata announces (its SHA-256 is "
                   "%s)",
                   what, found);
}

enum hf_err hf_file_info_verify(const struct hf_file_info *info, struct hf_bytes data,
                                const char *what, struct hf_why *why)
{
    if (info->length >= 0 && (uint64_t)info->length != data.len)
        return hf_fail(why, HF_E_HASH, "%.200s has %zu bytes, the signed metadata announces %lld",
                       what, data.len, (long long)info->length);
    return info->has_hashes ? verify_hashes(info, data, what, why) : HF_OK;
}
