#include "server/repository/base/json_text.h"

#include "common/base/hex.h"
#include "common/base/plaintext.h"
#include "common/base/timetext.h"

#include <stdlib.h>
#include <string.h>

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

json_t *hf_json_plain(const char *text)
{
    char *plain = strdup(text);
    if (plain == NULL)
        return NULL;
    hf_text_disarm(plain);
    json_t *value = json_string(plain);
    free(plain);
    return value;
}

json_t *hf_json_anchor(const struct hf_anchor *anchor)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "subject", anchor->cert.subject, "sha256",
                     hf_json_sha256(anchor->cert.sha256), "spki_sha256",
                     hf_json_sha256(anchor->cert.spki_sha256), "expires",
                     hf_json_time(anchor->cert.not_after_s), "distrust_after",
                     hf_json_time(anchor->distrust_after_s), "remove_after",
                     hf_json_time(anchor->remove_after_s));
}

json_t *hf_json_skipped(const struct hf_bundle *bundle)
{
    json_t *list = json_array();
    for (size_t i = 0; i < bundle->n_skipped; i++) {
        const struct hf_unsupported_cert *cert = &bundle->skipped[i];
        list = hf_json_append_take(list, json_pack("{s:s, s:o, s:o, s:s}", "subject", cert->subject,
                                                   "sha256", hf_json_sha256(cert->sha256),
                                                   "spki_sha256", hf_json_sha256(cert->spki_sha256),
                                                   "unsupported", cert->what));
    }
    return list;
}

json_t *hf_json_append_take(json_t *list, json_t *value)
{
    if (json_array_append_new(list, value) == 0)
        return list;
    json_decref(list);
    return NULL;
}

enum hf_err hf_json_print_take(json_t *object, FILE *out, struct hf_why *why)
{
    bool is_printed = object != NULL &&
                      json_dumpf(object, out, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0;
    json_decref(object);
    if (!is_printed)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the report");
    fputc('\n', out);
    return HF_OK;
}
