#include "server/publish/json_text.h"

#include "common/base/hex.h"
#include "common/base/timetext.h"

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

enum hf_err hf_json_print_take(json_t *object, FILE *out, struct hf_why *why)
{
    bool is_printed = object != NULL && json_dumpf(object, out, JSON_INDENT(2)) == 0;
    json_decref(object);
    if (!is_printed)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the report");
    fputc('\n', out);
    return HF_OK;
}
