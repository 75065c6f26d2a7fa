/*
 * server/publish/token_uri and token_point: a URI as a person writes it, then the curve and the
 * point of a key as a token shows them, and its label and id. A URI that is read is written again
 * as the same one, without where its PIN lies; a point that is taken is a key that devices can use.
 */
#include "tests/fuzz/fuzz.h"

#include "common/tuf/key.h"
#include "server/repository/tokens/token_point.h"
#include "server/repository/tokens/token_uri.h"

static void check_line(const char *text)
{
    for (; *text != '\0'; text++)
        FUZZ_CHECK(*text > ' ' && *text <= '~');
}

/* The module and, by label and id, one key. */
static void check_written(const struct hf_token_uri *uri, struct hf_bytes label, struct hf_bytes id)
{
    struct hf_token_uri again = {0};
    struct hf_why why = {0};
    CK_TOKEN_INFO token;
    char *text = NULL;
    memset(&token, ' ', sizeof token);
    memcpy(token.label, "alice", 5);
    FUZZ_OK(hf_token_uri_write(uri, &token, label, id, &text, &why), &why);
    check_line(text);
    bool has_nul = label.len > 0 && memchr(label.data, 0, label.len) != NULL;
    if (strlen(text) <= HF_TOKEN_URI_MAX && !has_nul) {
        FUZZ_OK(hf_token_uri_parse(text, &again, &why), &why);
        FUZZ_CHECK(hf_bytes_equal(hf_token_uri_attribute(&again, CKA_LABEL), label));
        FUZZ_CHECK(hf_bytes_equal(hf_token_uri_attribute(&again, CKA_ID), id));
        hf_token_uri_free(&again);
    }
    free(text);
}

static void check_uri(const struct hf_token_uri *uri)
{
    struct hf_token_uri again = {0};
    struct hf_why why = {0};
    check_line(uri->text);
    FUZZ_CHECK(uri->pin_file == NULL || uri->pin_file[0] == '/');
    FUZZ_CHECK(p11_kit_uri_get_pin_value(uri->p11) == NULL);
    if (strlen(uri->text) <= HF_TOKEN_URI_MAX) {
        FUZZ_OK(hf_token_uri_parse(uri->text, &again, &why), &why);
        FUZZ_CHECK(strcmp(again.text, uri->text) == 0 && again.pin_file == NULL);
        hf_token_uri_free(&again);
    }
}

static void check_point(struct hf_bytes params, struct hf_bytes point)
{
    enum hf_token_key_type type = HF_TOKEN_ED25519;
    json_t *json = NULL;
    struct hf_key key = {0};
    struct hf_why why = {0};
    if (!hf_token_curve_parse(params, &type))
        return;
    enum hf_err err = hf_token_point_to_json(type, point, &json, &why);
    if (err != HF_OK) {
        FUZZ_CHECK(json == NULL);
        fuzz_check_refusal(err, &why);
        return;
    }
    FUZZ_OK(hf_key_parse("a", json, &key, &why), &why);
    FUZZ_CHECK(key.scheme ==
               (type == HF_TOKEN_ED25519 ? HF_SCHEME_ED25519 : HF_SCHEME_ECDSA_P256_SHA256));
    hf_key_free(&key);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct hf_token_uri uri = {0};
    struct hf_why why = {0};
    char *text = fuzz_text(fuzz_section(&in));
    struct hf_bytes label = fuzz_section(&in), id = fuzz_section(&in), params = fuzz_section(&in);
    enum hf_err err = hf_token_uri_parse(text, &uri, &why);
    if (err == HF_OK) {
        check_uri(&uri);
        check_written(&uri, label, id);
        hf_token_uri_free(&uri);
    } else {
        fuzz_check_refusal(err, &why);
    }
    check_point(params, (struct hf_bytes){in.data, in.len});
    free(text);
    return 0;
}
