/*
 * hf-report-signature: signs and verifies reports for tests/cli/test_report_signature.py. Reads a
 * JSON object a line, and answers with one a line.
 *
 *   {"method", "authority", "path", "type", "body" in base64, and
 *    "seed" in base64, "created"                  -> "base", "digest", "input", "signature"
 *    or "digest", "input", "signature"}           -> "result": the name of the error, "key"
 */
#include "common/base/limits.h"
#include "common/json/json.h"
#include "common/report/limits.h"
#include "common/report/signature.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *line, const char *key)
{
    return json_string_value(json_object_get(line, key));
}

static json_t *sign(const json_t *line, const struct hf_report_message *m)
{
    uint8_t seed[HF_REPORT_KEY_LEN];
    struct hf_report_headers h;
    struct hf_report_signature s;
    struct hf_buf base = {0};
    struct hf_why why = {0};

    if (hf_json_get_bytes(line, "seed", "the line", seed, sizeof seed, &why) != HF_OK ||
        hf_report_sign(m, json_integer_value(json_object_get(line, "created")), seed, &h, &why) !=
            HF_OK ||
        hf_report_signature_parse(h.content_digest, h.signature_input, h.signature, &s, &why) !=
            HF_OK ||
        hf_report_signature_base(m, &s, &base, &why) != HF_OK)
        return json_pack("{s:s}", "result", hf_err_name(why.code));
    json_t *answer = json_pack("{s:s%, s:s, s:s, s:s}", "base", (const char *)base.data, base.len,
                               "digest", h.content_digest, "input", h.signature_input, "signature",
                               h.signature);
    hf_buf_free(&base);
    return answer;
}

static json_t *verify(const json_t *line, const struct hf_report_message *m)
{
    char key[HF_REPORT_KEY_TEXT_SIZE];
    struct hf_report_signature s = {0};

    enum hf_err err = hf_report_signature_parse(text_of(line, "digest"), text_of(line, "input"),
                                                text_of(line, "signature"), &s, NULL);
    if (err == HF_OK)
        err = hf_report_signature_verify(&s, m, NULL);
    hf_report_key_format(s.public_key, key);
    return json_pack("{s:s, s:s}", "result", hf_err_name(err), "key", key);
}

static bool answer(const char *text)
{
    struct hf_buf body = {0};
    struct hf_why why = {0};
    json_t *line = json_loads(text, 0, NULL);

    if (hf_json_get_base64(line, "body", "the line", HF_REPORT_BODY_MAX, &body, &why) != HF_OK) {
        fprintf(stderr, "hf-report-signature: %s\n", why.text);
        return false;
    }
    const struct hf_report_message m = {text_of(line, "method"), text_of(line, "authority"),
                                        text_of(line, "path"), text_of(line, "type"),
                                        hf_buf_bytes(&body)};
    json_t *out = json_object_get(line, "seed") != NULL ? sign(line, &m) : verify(line, &m);
    bool is_written = json_dumpf(out, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF;
    json_decref(out);
    json_decref(line);
    hf_buf_free(&body);
    return is_written;
}

int main(void)
{
    char *text = NULL;
    size_t room = 0;
    bool is_well = true;

    while (is_well && getline(&text, &room, stdin) > 0)
        is_well = answer(text);
    free(text);
    return is_well ? 0 : 1;
}
